"""Reads the pictures of a request, in memory only and within limits."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from itertools import chain, count

import anyio
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from minixception.messages import counted
from minixception.serve.analysis import RefusedError
from minixception.serve.settings import Limits

ONE_PICTURE = "picture"
"""Name in the answer of a picture without one, as of a request's body."""

_ANNOUNCE_A_BODY = (b"content-length", b"transfer-encoding")


class _ParserInMemory(MultiPartParser):
    """Starlette's parser, without the temporary files that it makes from a megabyte on."""

    spool_max_size = 0
    is_complete = False

    def on_end(self) -> None:
        """Note that the last boundary has come: the parser itself does not mind without it."""
        self.is_complete = True


async def read_pictures(request: Request, limits: Limits) -> dict[str, bytes]:
    """Return name -> content of the pictures in a request.

    Raises:
        RefusedError: if it is too large, too slow or not in a form that `POST /v1/faces` takes.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    is_picture = kind.startswith("image/") or kind in ("", "application/octet-stream")
    if not is_picture and kind != "multipart/form-data":
        raise RefusedError(
            415,
            "send a picture as the body with a Content-Type such as image/jpeg, or pictures as "
            f"multipart/form-data. Received: {kind[:100]}",
        )
    try:
        with anyio.fail_after(limits.seconds):
            body = _bounded(request, limits)
            if is_picture:
                pictures = {ONE_PICTURE: b"".join([chunk async for chunk in body])}
            else:
                pictures = await _parse(request, body, limits)
    except TimeoutError:
        seconds = counted(limits.seconds, "second")
        raise RefusedError(408, f"a request must arrive within {seconds}") from None
    for name, content in pictures.items():
        if not content:
            raise RefusedError(422, f"{name} is empty: a picture file must be sent")
    return pictures


async def _bounded(request: Request, limits: Limits) -> AsyncGenerator[bytes, None]:
    """Pass the body on, as long as it is not too large."""
    largest, received = limits.megabytes * 10**6, 0
    most = counted(limits.megabytes, "megabyte")
    refused = RefusedError(413, f"a request must have at most {most}")
    promised = request.headers.get("content-length", "")
    if promised.isdecimal() and int(promised) > largest:
        raise refused
    async for chunk in request.stream():
        received += len(chunk)
        if received > largest:
            raise refused
        yield chunk


async def _parse(
    request: Request, body: AsyncGenerator[bytes, None], limits: Limits
) -> dict[str, bytes]:
    most = limits.pictures
    parser = _ParserInMemory(request.headers, body, max_files=most, max_fields=most)
    try:
        form = await parser.parse()
    except UnicodeError as error:
        raise RefusedError(422, "the multipart body cannot be read: use UTF-8") from error
    except MultiPartException as error:
        if "Too many files" in error.message:
            limit = counted(most, "picture")
            raise RefusedError(413, f"a request must have at most {limit}") from error
        raise RefusedError(422, f"the multipart body cannot be read: {error.message}") from error
    try:
        if not parser.is_complete:
            raise RefusedError(422, "the multipart body ends too early: send all of it once more")
        pictures: dict[str, bytes] = {}
        for field, part in form.multi_items():
            if not isinstance(part, UploadFile):
                raise RefusedError(
                    422, f"`{field[:100]}` must be a file; options are query parameters"
                )
            # Some charsets decode to what UTF-8 cannot hold.
            given = (part.filename or field or ONE_PICTURE).encode("utf-8", "replace").decode()
            names = chain([given], (f"{given} ({number})" for number in count(2)))
            pictures[next(name for name in names if name not in pictures)] = await part.read()
    finally:
        await form.close()
    if not pictures:
        raise RefusedError(422, "the multipart body holds no picture")
    return pictures


class Drained:
    """Middleware that takes and drops the rest of a request that is answered before it has arrived.

    Most clients send all before they read, and lose the answer if the connection ends before.
    """

    def __init__(self, app: ASGIApp, *, seconds: int) -> None:
        self._app, self._seconds = app, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        has_more = any(name in _ANNOUNCE_A_BODY for name, _ in scope["headers"])

        async def read() -> Message:
            nonlocal has_more
            message = await receive()
            has_more = message.get("more_body", False)
            return message

        async def answer(message: Message) -> None:
            if has_more and message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"connection", b"close")]
            await send({**message, "more_body": True})

        await self._app(scope, read, answer)
        with suppress(asyncio.CancelledError), anyio.move_on_after(self._seconds):
            while has_more:
                await read()
        await send({"type": "http.response.body"})
