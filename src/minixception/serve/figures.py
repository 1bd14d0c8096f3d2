"""Figures of the service for Prometheus; nothing in them is about a picture or a client."""

import os
import time

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest, multiprocess
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Where the processes of one service add up their figures: prometheus_client reads it at import.
SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
HUNG_UP = "499"  # nginx's number for a client that did not wait


class Figures:
    """Counters of one process; `text` gives those of all processes of the service."""

    def __init__(self) -> None:
        registry = CollectorRegistry()
        self._registry = registry
        self._answers = Counter(
            "minixception_answers", "Answers of POST /v1/faces", ["status"], registry=registry
        )
        self._seconds = Histogram(
            "minixception_answer_seconds",
            "From the head of a request to its answer",
            registry=registry,
        )
        self.pictures = Counter("minixception_pictures", "Pictures analyzed", registry=registry)
        self.faces = Counter("minixception_faces", "Faces found in them", registry=registry)

    def count(self, status: str, seconds: float) -> None:
        """Count an answer."""
        self._answers.labels(status).inc()
        self._seconds.observe(seconds)

    def text(self) -> bytes:
        """Return all figures in the form that Prometheus reads."""
        registry = self._registry
        if SHARED_FOLDER in os.environ:
            registry = CollectorRegistry()
            multiprocess.MultiProcessCollector(registry)
        return generate_latest(registry)


class Measured:
    """The application with an eye on the clock, at one path.

    Args:
        app: the application.
        path: whose answers are counted.
        figures: where.
    """

    def __init__(self, app: ASGIApp, *, path: str, figures: Figures) -> None:
        self._app, self._path, self._figures = app, path, figures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["path"] != self._path:
            await self._app(scope, receive, send)
            return
        start, status = time.perf_counter(), HUNG_UP

        async def observe(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = str(message["status"])
            await send(message)

        try:
            await self._app(scope, receive, observe)
        finally:
            self._figures.count(status, time.perf_counter() - start)
