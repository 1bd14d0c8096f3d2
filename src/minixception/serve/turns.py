"""Turns for requests: so many at a time, first come, first served."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.requests import ClientDisconnect, Request


@asynccontextmanager
async def take_turn(free: asyncio.Semaphore, request: Request) -> AsyncIterator[None]:
    """Wait for a turn for a request that has been received whole; it ends with the block.

    Raises:
        ClientDisconnect: if the client hangs up before; it then holds up nobody.
    """
    turn = asyncio.ensure_future(free.acquire())
    gone = asyncio.ensure_future(request.receive())  # after the body only its end can come
    try:
        await asyncio.wait({turn, gone}, return_when=asyncio.FIRST_COMPLETED)
        if gone.done():
            raise ClientDisconnect
        yield
    finally:
        gone.cancel()
        if turn.done():
            free.release()
        turn.cancel()
