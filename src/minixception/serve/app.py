"""The application: its paths, access and limits."""

import asyncio
import json
import logging
import mimetypes
import secrets
import warnings
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import cv2
from fastapi import Depends, FastAPI, HTTPException, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from fastapi.staticfiles import StaticFiles
from fastapi_offline import FastAPIOffline
from PIL import Image
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import ClientDisconnect
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from minixception import __version__
from minixception.checkpoints.engines import available_cores
from minixception.messages import counted, plain_json, printable
from minixception.serve.analysis import Analysis, RefusedError
from minixception.serve.bodies import Drained, read_pictures
from minixception.serve.figures import HUNG_UP, Figures, Measured
from minixception.serve.schemas import (
    EXAMPLE_FACE,
    REQUEST_BODY,
    Face,
    Health,
    Models,
    describe,
    options_for,
)
from minixception.serve.settings import Limits, Settings

FACES = "/v1/faces"
RETRY_SECONDS = "1"

DESCRIPTION = """Finds the faces in pictures and says what emotion and gender they seem to show.

    curl -H "Content-Type: image/jpeg" --data-binary @photo.jpg http://127.0.0.1:8000/v1/faces
    curl -F pictures=@a.jpg -F pictures=@b.png "http://127.0.0.1:8000/v1/faces?gender_model=none"

No picture is kept. An answer without a result says why in `detail`. A label is what a face seems to
show, not what somebody feels; emotion recognition at work and in education is prohibited in the
European Union."""


def build_app(settings: Settings) -> FastAPI:
    """Return the application of one process, its models loaded.

    Raises:
        FileNotFoundError, ValueError: if a model is missing or damaged.
    """
    analysis, figures = Analysis(settings), Figures()
    app: FastAPI = FastAPIOffline(
        redoc_url=None,
        title="minixception",
        version=__version__,
        description=DESCRIPTION,
        generate_unique_id_function=lambda route: route.name,  # what a generated client calls it
        lifespan=partial(_lifespan, settings.limits),
    )
    app.add_middleware(Measured, path=FACES, figures=figures)
    app.add_middleware(_HeadAsGet)
    app.add_middleware(Drained, seconds=settings.limits.seconds)
    app.add_exception_handler(RequestValidationError, _tell_option)
    app.add_exception_handler(ClientDisconnect, _tell_nobody)
    access = [] if settings.token is None else [Depends(_token_check(settings.token))]
    _add_faces(app, settings, analysis, figures, access)

    @app.get("/v1/models", dependencies=access, responses=describe([401]), summary="Models")
    def list_models() -> Models:
        """List the models and detectors that a request may name, with their cards."""
        return Models.model_validate({"models": analysis.models()})

    @app.get("/healthz", summary="Health")
    def tell_health() -> Health:
        """Say that the service is up."""
        return Health(version=__version__)

    @app.get(
        "/metrics",
        dependencies=access,
        responses={
            200: {"content": {"text/plain": {"schema": {"type": "string"}}}},
            **describe([401]),
        },
        summary="Metrics",
        response_class=Response,
    )
    def tell_figures() -> Response:
        """Return counts and times for Prometheus."""
        return Response(figures.text(), media_type=CONTENT_TYPE_LATEST)

    _add_page(app, settings.page)
    return app


class _HeadAsGet:
    """Middleware that answers HEAD like GET, as monitors ask; Uvicorn leaves out the body."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        is_head = scope.get("method") == "HEAD"
        await self._app({**scope, "method": "GET"} if is_head else scope, receive, send)


@asynccontextmanager
async def _lifespan(limits: Limits, app: FastAPI) -> AsyncIterator[None]:
    """Set up what the process needs to serve, and take it down when all work is done."""
    cores = available_cores()
    threads, before = cv2.getNumThreads(), Image.MAX_IMAGE_PIXELS
    names_pictures = logging.getLogger("minixception.images")
    level = names_pictures.level
    names_pictures.setLevel(logging.CRITICAL)
    cv2.setNumThreads(1)  # a picture per core; more threads would take turns
    Image.MAX_IMAGE_PIXELS = limits.megapixels * 10**6 // 2  # Pillow refuses twice as many
    with ThreadPoolExecutor(cores, "analysis") as pool, warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")
        app.state.pool, app.state.free = pool, asyncio.Semaphore(cores)
        app.state.room = asyncio.Semaphore(limits.requests)
        yield
    names_pictures.setLevel(level)
    cv2.setNumThreads(threads)
    Image.MAX_IMAGE_PIXELS = before


def _add_faces(
    app: FastAPI, settings: Settings, analysis: Analysis, figures: Figures, access: list[Any]
) -> None:
    limits, state, tasks = settings.limits, app.state, tuple(analysis.folders)
    chosen: Any = options_for(analysis, settings.detector)

    async def admit() -> AsyncIterator[None]:
        if state.room.locked():
            raise HTTPException(
                503,
                f"{counted(limits.requests, 'request')} in progress: try again later",
                headers={"Retry-After": RETRY_SECONDS},
            )
        async with state.room:
            yield

    @app.post(
        FACES,
        dependencies=[*access, Depends(admit)],
        responses={
            200: {
                "model": dict[str, list[Face]],
                "description": "name -> faces, left to right",
                "content": {"application/json": {"example": {"photo.jpg": [EXAMPLE_FACE]}}},
            },
            **describe([401, 408, 413, 415, 422, 501, 503]),
        },
        openapi_extra={"requestBody": REQUEST_BODY},
        summary="Faces in pictures",
    )
    async def find_faces(request: Request, options: Annotated[chosen, Query()]) -> Response:
        """Find and classify the faces in one or several pictures; name -> faces."""
        answer = {}
        if len(request.query_params.multi_items()) > len(request.query_params):
            raise RefusedError(422, "each option must be given once")
        try:
            pictures = await read_pictures(request, limits)
            # One after the other: who sends many at once gets no more cores than others.
            for name in list(pictures):
                async with _take_turn(state.free, request):
                    work = partial(
                        analysis.analyze,
                        pictures.pop(name),
                        name,
                        models={task: getattr(options, f"{task}_model") for task in tasks},
                        detector=options.detector,
                        explained_task=options.explain,
                    )
                    loop = asyncio.get_running_loop()
                    answer[name] = await loop.run_in_executor(state.pool, work)
                figures.pictures.inc()
                figures.faces.inc(len(answer[name]))
        except asyncio.CancelledError:
            raise RefusedError(503, "the service is shutting down: try again later") from None
        body = plain_json(json.dumps(answer, ensure_ascii=False))
        return Response(body, media_type="application/json")


@asynccontextmanager
async def _take_turn(free: asyncio.Semaphore, request: Request) -> AsyncIterator[None]:
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


def _token_check(token: str) -> Any:
    """Return a dependency that refuses requests without the token."""
    bearer = HTTPBearer(auto_error=False)

    # Not a plain function, for which FastAPI would start a thread per request.
    async def check(given: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]) -> None:
        brought = b"" if given is None else given.credentials.encode()
        if not secrets.compare_digest(brought, token.encode()):
            raise HTTPException(
                401,
                "send the token of this service as Authorization: Bearer TOKEN",
                headers={"WWW-Authenticate": "Bearer"},
            )

    return check


def _add_page(app: FastAPI, page: Path | None) -> None:
    """Serve the files of the built page; unknown paths stay unknown."""

    @app.get("/", include_in_schema=False)
    def open_page() -> Response:
        if page is None:
            return PlainTextResponse(
                "The page is not built. In the checkout: make web; then start the service again, "
                "with --page web/dist where it runs elsewhere. The API is described at /docs.\n"
            )
        return FileResponse(page / "index.html")

    # Some programs on Windows call it plain text, which browsers do not run.
    mimetypes.add_type("text/javascript", ".js")
    for entry in sorted(page.iterdir()) if page is not None else ():
        path = f"/{entry.name}" + "/{path:path}" * entry.is_dir()
        app.router.routes.append(Route(path, StaticFiles(directory=page)))


async def _tell_option(_: Request, error: Exception) -> Response:
    """Say which option is wrong, without repeating the rest of the request."""
    assert isinstance(error, RequestValidationError)
    wrong = [f"`{str(each['loc'][-1])[:100]}`: {each['msg']}" for each in error.errors()]
    return JSONResponse({"detail": printable("; ".join(wrong))}, 422)


async def _tell_nobody(_: Request, __: Exception) -> Response:
    return Response(status_code=HUNG_UP)
