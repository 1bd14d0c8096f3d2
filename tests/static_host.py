"""A folder on a web server of this machine, or a single answer."""

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


class _QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Write nothing to the terminal."""


@contextmanager
def static_host(folder: Path) -> Iterator[tuple[str, ThreadingHTTPServer]]:
    """Give the address and the server, which may be shut down inside the block already."""
    handler = partial(_QuietHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/", server
        finally:
            server.shutdown()


OK = b"HTTP/1.1 200 OK\r\n\r\n"
"""The head of an answer that does not say how long it is."""


@contextmanager
def raw_host(answer: bytes, *, ends: bool = False) -> Iterator[str]:
    """Give an address that answers with these bytes, and then ends or stalls."""
    with socket.create_server(("127.0.0.1", 0)) as server, ExitStack() as open_still:

        def give() -> None:
            connection = open_still.enter_context(server.accept()[0])
            connection.recv(4096)
            connection.sendall(answer)
            if ends:
                connection.close()

        threading.Thread(target=give, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"
