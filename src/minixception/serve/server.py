"""Running the application, in one process or several."""

import asyncio
import os
import signal
import socket
import tempfile
import threading
from contextlib import ExitStack
from functools import partial
from multiprocessing import parent_process
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.supervisors import Multiprocess

from minixception.serve.settings import SHARED_FOLDER, Settings

# Seconds that a shutdown waits for requests in progress: a client may send for ever.
LONGEST_SHUTDOWN = 60

# Connections that wait to be accepted; all are accepted, and read, before the next answer.
WAITING = 128

# To standard output: commands silence descriptor 2, on which compiled libraries write. Warnings of
# Uvicorn are about requests that are not HTTP, which anybody can send.
_LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(message)s"}},
    "handlers": {
        "out": {"class": "logging.StreamHandler", "stream": "ext://sys.stdout", "formatter": "line"}
    },
    "loggers": {"uvicorn": {"handlers": ["out"], "level": "ERROR", "propagate": False}},
}


class _ImpatientProtocol(H11Protocol):
    """Uvicorn's protocol, which would wait for ever for the head of a first request."""

    def __init__(self, most_seconds: int, **of_uvicorn: Any) -> None:
        super().__init__(**of_uvicorn)
        self._most_seconds = most_seconds

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.loop.call_later(self._most_seconds, self._end_silence)

    def _end_silence(self) -> None:
        if self.cycle is None:
            self.transport.close()

    def send_400_response(self, msg: str) -> None:
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            super().send_400_response(msg)
        else:  # an answer has begun, and another would be an error
            self.transport.close()


class _Supervisor(Multiprocess):
    """Uvicorn's, which would wait a minute for a worker that dies before it answers.

    Ctrl-C in a terminal reaches workers that are starting, too.
    """

    def keep_subprocess_alive(self) -> None:
        for each in self.processes:
            each.child_conn.close()  # then its death closes the connection
        super().keep_subprocess_alive()


def run_service(settings: Settings, host: str, port: int) -> None:
    """Serve until a signal comes, then finish the requests in progress.

    Port 0 is any that is free; the address is printed.

    Raises:
        OSError: if the address is not available.
        FileNotFoundError, ValueError: if a model is missing or damaged.
    """
    with ExitStack() as held:
        listener = held.enter_context(_listen(host, port))
        for name in (SHARED_FOLDER, SHARED_FOLDER.lower()):
            os.environ.pop(name, None)  # that of another program
        if settings.workers > 1:
            # Windows removes no file that is open, as those of this process are.
            folder = tempfile.TemporaryDirectory(
                prefix="minixception-figures-", ignore_cleanup_errors=True
            )
            os.environ[SHARED_FOLDER] = held.enter_context(folder)
        from minixception.serve.app import build_app  # the metrics look for the folder at import

        app = build_app(settings)  # also for several processes: an error is reported once
        shown = f"[{host}]" if ":" in host else host
        address = f"http://{shown}:{listener.getsockname()[1]}"
        for number in (signal.SIGINT, signal.SIGTERM):
            # Uvicorn stops at a signal, and raises it again when all is answered.
            signal.signal(number, lambda *_: None)
        print(f"{address} is ready, {address}/docs describes the API; Ctrl-C ends it", flush=True)
        if settings.workers == 1:
            uvicorn.Server(_config(app, settings)).run([listener])
        else:
            build = partial(_build_in_worker, settings)
            _Supervisor(_config(build, settings), [listener]).run()


def _build_in_worker(settings: Settings) -> Any:
    """Return the application of a worker, which ends when its parent is killed."""
    from minixception.serve.app import build_app

    parent = parent_process()
    assert parent is not None

    def end_with_parent() -> None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=end_with_parent, daemon=True).start()
    return build_app(settings)


def _config(app: Any, settings: Settings) -> uvicorn.Config:
    protocol: Any = partial(_ImpatientProtocol, settings.limits.seconds)
    return uvicorn.Config(
        app,
        factory=settings.workers > 1,
        workers=settings.workers,
        lifespan="on",
        http=protocol,
        ws="none",
        backlog=WAITING,
        access_log=False,
        server_header=False,
        log_config=_LOGGING,
        timeout_graceful_shutdown=LONGEST_SHUTDOWN,
        # A worker that loads TensorFlow does not answer for many seconds; one that has died is
        # noticed without being asked.
        timeout_worker_healthcheck=LONGEST_SHUTDOWN,
    )


def _listen(host: str, port: int) -> socket.socket:
    """Return a socket that is bound, and that other processes may inherit."""
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.create_server(address, family=family)
    except OSError as error:
        raise OSError(
            f"--host {host} --port {port} is not available: {error.strerror}; choose another, or "
            "end the program that uses it"
        ) from error
    listener.set_inheritable(True)
    return listener
