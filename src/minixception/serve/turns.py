"""Who works when: so many at a time, in the order in which they came."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.requests import ClientDisconnect, Request


class Turns:
    """Gives turns to requests that have been received whole.

    Args:
        count: how many may have theirs at a time.
    """

    def __init__(self, count: int) -> None:
        self._free = asyncio.Semaphore(count)

    @asynccontextmanager
    async def take(self, request: Request) -> AsyncIterator[None]:
        """Wait for a turn, and end it with the block.

        Raises:
            ClientDisconnect: if the client hangs up before; it then waits in nobody's way.
        """
        turn = asyncio.ensure_future(self._free.acquire())
        gone = asyncio.ensure_future(request.receive())  # after the body only its end can come
        try:
            await asyncio.wait({turn, gone}, return_when=asyncio.FIRST_COMPLETED)
            if gone.done():
                raise ClientDisconnect
            yield
        finally:
            gone.cancel()
            if turn.done():
                self._free.release()
            turn.cancel()
