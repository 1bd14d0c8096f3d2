"""Metrics of the service for Prometheus; none reveals anything about a picture or a client."""

import os
import time

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest, multiprocess
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from minixception.serve.settings import SHARED_FOLDER

HUNG_UP = 499  # nginx's status for a client that did not wait


class Figures:
    """Metrics of one process; `text` returns the sums over all processes of the service."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self.answers = Counter(
            "minixception_answers", "Answers of POST /v1/faces", ["status"], registry=registry
        )
        self.seconds = Histogram(
            "minixception_answer_seconds",
            "From the head of a request to its answer",
            registry=registry,
        )
        self.pictures = Counter("minixception_pictures", "Pictures analyzed", registry=registry)
        self.faces = Counter("minixception_faces", "Faces found in them", registry=registry)

    def text(self) -> bytes:
        """Return all metrics in the form that Prometheus reads."""
        registry = self._registry
        if SHARED_FOLDER in os.environ:
            registry = CollectorRegistry()
            multiprocess.MultiProcessCollector(registry)
        return generate_latest(registry)


class Measured:
    """Middleware that counts and times the answers at one path."""

    def __init__(self, app: ASGIApp, *, path: str, figures: Figures) -> None:
        self._app, self._path, self._figures = app, path, figures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["path"] != self._path:
            await self._app(scope, receive, send)
            return
        start, status = time.perf_counter(), str(HUNG_UP)

        async def observe(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = str(message["status"])
            await send(message)

        try:
            await self._app(scope, receive, observe)
        except Exception:
            status = "500"  # sent further out
            raise
        finally:
            self._figures.answers.labels(status).inc()
            self._figures.seconds.observe(time.perf_counter() - start)
