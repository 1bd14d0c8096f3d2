import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from minixception.detection import yunet as yunet_file
from minixception.detection.yunet import fetch_yunet

CONTENT = b"a network" * 10_000


class Zoo(ThreadingHTTPServer):
    """Serves `content`, or 404 without it, and counts the requests."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.content: bytes | None = CONTENT
        self.requests = 0


class Answer(BaseHTTPRequestHandler):
    server: Zoo

    def do_GET(self) -> None:
        self.server.requests += 1
        content = self.server.content
        if content is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture
def zoo(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Zoo]:
    with Zoo() as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}/yunet.onnx"
        monkeypatch.setattr(yunet_file, "YUNET_URL", url)
        monkeypatch.setattr(yunet_file, "YUNET_SHA256", hashlib.sha256(CONTENT).hexdigest())
        monkeypatch.setenv("MINIXCEPTION_CACHE", str(tmp_path / "cache"))
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        yield server
        server.shutdown()
        thread.join()


def test_file_is_fetched_once_and_then_without_network(
    zoo: Zoo, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = fetch_yunet()
    assert path.read_bytes() == CONTENT
    assert path.parent == tmp_path / "cache"
    (line,) = capfd.readouterr().err.splitlines()
    assert yunet_file.YUNET_URL in line
    assert str(path) in line
    path.write_bytes(CONTENT[:100])  # damaged: it is fetched anew
    assert fetch_yunet().read_bytes() == CONTENT
    capfd.readouterr()
    zoo.content = None
    assert fetch_yunet() == path
    assert zoo.requests == 2
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("content", [b"another file", b"", None, "nobody"])
def test_wrong_answer_leaves_nothing_behind(
    zoo: Zoo, tmp_path: Path, content: bytes | str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if isinstance(content, str):
        monkeypatch.setattr(yunet_file, "YUNET_URL", "http://127.0.0.1:9/yunet.onnx")
    else:
        zoo.content = content
    said = r"Get http.*save it as .*cache.*yunet_2023mar\.onnx"
    with pytest.raises(OSError, match=said) as caught:
        fetch_yunet()
    assert "\n" not in str(caught.value)
    assert [*tmp_path.glob("cache/*")] == []


def test_two_at_a_time_get_the_whole_file(zoo: Zoo) -> None:
    with ThreadPoolExecutor(2) as threads:
        paths = list(threads.map(lambda _: fetch_yunet(), range(2)))
    assert [path.read_bytes() for path in paths] == [CONTENT, CONTENT]
