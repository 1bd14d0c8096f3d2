"""The service: the answers of the library over HTTP, and a reason for all that it refuses."""

import asyncio
import base64
import io
import json
import mimetypes
import os
import re
import signal
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest.mock import Mock
from urllib.parse import urlsplit

import cv2
import pytest
from PIL import Image

pytest.importorskip("fastapi", reason="the extra `serve` is not installed")
import httpx
from fastapi.testclient import TestClient
from starlette.requests import ClientDisconnect

from conftest import Run
from minixception import FaceAnalyzer
from minixception.checkpoints.shipped import DEFAULT_DETECTOR, DEFAULT_MODELS, find_model
from minixception.images import files as picture_files
from minixception.serve.app import FACES, build_app
from minixception.serve.settings import Limits, Settings, find_page, read_token
from own_process import SOURCE, started
from systems import needs_kill

JPEG = {"Content-Type": "image/jpeg"}
JSON = "application/json"
TOKEN = "a-token-of-many-characters"
Events = tuple[threading.Event, threading.Event]


@contextmanager
def client_of(**settings: Any) -> Iterator[TestClient]:
    app = build_app(Settings(models=DEFAULT_MODELS, **settings))
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    limits = Limits(megabytes=1, megapixels=1, pictures=3)
    with client_of(limits=limits) as client:
        yield client


@pytest.fixture(scope="module")
def content(portraits: Path) -> bytes:
    return portraits.read_bytes()


@pytest.fixture
def stalled(monkeypatch: pytest.MonkeyPatch) -> Events:
    """Let an analysis set the first event, and wait for the second."""
    began, goes_on = threading.Event(), threading.Event()

    def wait(*_: Any) -> list[Any]:
        began.set()
        goes_on.wait(10)
        return []

    monkeypatch.setattr(FaceAnalyzer, "analyze", wait)
    return began, goes_on


def ask(client: TestClient, content: bytes, **options: str) -> httpx.Response:
    return client.post(FACES, content=content, headers=JPEG, params=options)


def png(width: int, height: int) -> bytes:
    file = io.BytesIO()
    Image.new("L", (width, height)).save(file, format="PNG")
    return file.getvalue()


def test_the_answer_is_that_of_the_image_command(
    client: TestClient, portraits: Path, content: bytes, run: Run
) -> None:
    told = run("image", portraits, "--no-draw", "--json", "-").stdout
    (expected,) = json.loads(told).values()
    assert len(expected) == 3
    assert ask(client, content).json() == {"picture": expected}
    files = [("pictures", (name, content, "image/jpeg")) for name in ("a.jpg", "b.jpg")]
    answer = client.post(FACES, files=[*files, files[0]])
    assert answer.json() == dict.fromkeys(("a.jpg", "b.jpg", "a.jpg (2)"), expected)
    assert client.post(FACES, content=png(64, 64)).json() == {"picture": []}


def test_a_jpeg_that_is_too_large_to_decode_whole_has_the_faces_that_the_library_finds(
    client: TestClient, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FaceAnalyzer, "reduction", lambda *_: 2)
    expected = [face.to_json() for face in FaceAnalyzer().analyze(content)]
    assert ask(client, content).json() == {"picture": expected}


def test_a_request_chooses_models_and_detector(client: TestClient, content: bytes) -> None:
    query = {"emotion_model": "ferplus_mini_xception", "gender_model": "none", "detector": "haar"}
    (faces,) = ask(client, content, **query).json().values()
    analyzer = FaceAnalyzer(emotion="ferplus_mini_xception", gender=None, detector="haar")
    assert faces == [face.to_json() for face in analyzer.analyze(content)]


def test_an_explanation_is_a_map_of_each_face(
    client: TestClient, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    decode = Mock(side_effect=picture_files._decode)
    monkeypatch.setattr(picture_files, "_decode", decode)
    answer = ask(client, content, explain="gender")
    decode.assert_called_once()
    (faces,) = answer.json().values()
    for face in faces:
        explanation = face["explanation"]
        assert explanation["class"] == face["gender"]
        assert explanation["box"] != face["box"]  # its card has a margin
        drawn = Image.open(io.BytesIO(base64.b64decode(explanation["map"].partition(",")[2])))
        assert (drawn.size, drawn.getextrema()) == ((64, 64), (0, 255))


def form(content: bytes, kind: str = "multipart/form-data; boundary=x") -> dict[str, Any]:
    head = b'--x\r\nContent-Disposition: form-data; name="p"; filename="\xff-x"\r\n\r\n'
    return {"content": head + content, "headers": {"Content-Type": kind}}


# What reads it is an extra.
HEIC = (422, "complete picture") if find_spec("pillow_heif") else (415, "is a HEIC picture")

REFUSALS: dict[str, tuple[dict[str, Any], int, str]] = {
    "no picture": ({"content": b"text"}, 415, "that is none of them"),
    "HEIC": ({"content": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"}, *HEIC),
    "empty": ({"content": b""}, 422, "picture is empty"),
    "another kind of body": ({"json": {"a": 1}}, 415, "Received: application/json"),
    "cut off": ({"content": png(300, 300)[:-40]}, 422, "must be a complete picture"),
    "too many pixels": ({"content": png(1001, 1000)}, 413, "at most 1000000 pixels"),
    "too many bytes": ({"content": bytes(10**6 + 1)}, 413, "at most 1 megabyte"),
    "too many bytes, unannounced": ({"content": iter([bytes(10**5)] * 11)}, 413, "at most 1 mega"),
    "too many pictures": ({"files": [("p", ("a.png", png(8, 8)))] * 100}, 413, "at most 3 pictur"),
    "one of several": (
        {"files": [("p", ("a", png(8, 8))), ("p", ("\u202eb", b"x"))]},
        415,
        r"\u202eb must be",
    ),
    "a field": ({"files": {"a": b"x"}, "data": {"detector": "haar"}}, 422, "`detector` must be a"),
    "broken form": (form(b"", "multipart/form-data"), 422, "Missing boundary"),
    "a cut-off form": (form(png(8, 8)), 422, "ends too early"),
    "a name in no known letters": (
        form(b"x\r\n--x--\r\n", "multipart/form-data; boundary=x; charset=undefined"),
        422,
        "use UTF-8",
    ),
    "an explanation without a model": (
        {"content": png(8, 8), "params": {"explain": "emotion", "emotion_model": "none"}},
        422,
        "explain=emotion needs a model",
    ),
    "an unknown model": ({"content": b"", "params": {"emotion_model": "../etc"}}, 422, "`emotion_"),
    "an unknown option": ({"content": b"", "params": {"\u202e": "a"}}, 422, r"`\u202e`: Extra"),
    "an option twice": ({"content": b"", "params": {"detector": ["haar"] * 2}}, 422, "given once"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_cannot_be_answered_gets_a_reason(client: TestClient, case: str) -> None:
    request, status, reason = REFUSALS[case]
    answer = client.post(FACES, **request)
    assert (answer.status_code, list(answer.json())) == (status, ["detail"])
    assert reason in answer.json()["detail"]


EXPLAINER = "minixception.explain.Explainer.load"

# What fails, how -> the status of the answer, and what it says.
FAILURES: list[tuple[str, Exception, int, str]] = [
    ("minixception.FaceAnalyzer.analyze", cv2.error("broken"), 422, '"picture: '),
    ("minixception.FaceAnalyzer.analyze", MemoryError(), 503, '"picture: '),
    (EXPLAINER, FileNotFoundError("/a/model.keras does not exist"), 501, "model"),
    (EXPLAINER, MemoryError(), 503, "model"),
    ("minixception.serve.app.read_pictures", ZeroDivisionError(), 500, ""),
    ("minixception.serve.app.read_pictures", ClientDisconnect(), 499, ""),
]


def test_a_failure_has_its_status_and_figure_and_tells_no_place_of_files(
    content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    with client_of() as client:
        for place, error, status, said in FAILURES:
            with monkeypatch.context() as patch:
                patch.setattr(place, Mock(side_effect=error))
                params = {"explain": "gender"} if place == EXPLAINER else {}
                answer = ask(client, content, **params)
            assert answer.status_code == status
            assert said in answer.text
            assert "/" not in answer.text
        figures = client.get("/metrics").text
    statuses = [status for _, _, status, _ in FAILURES]
    for status in statuses:
        counted = f'minixception_answers_total{{status="{status}"}} {statuses.count(status)}.0'
        assert counted in figures


def test_requests_above_the_bound_are_told_to_come_again(content: bytes, stalled: Events) -> None:
    began, goes_on = stalled
    with client_of(limits=Limits(requests=1)) as client, ThreadPoolExecutor(1) as pool:
        first = pool.submit(ask, client, content)
        assert began.wait(10)
        second = ask(client, content)
        assert client.get("/healthz").json()["status"] == "ok"
        goes_on.set()
        assert (second.status_code, second.headers["Retry-After"]) == (503, "1")
        assert first.result().json() == {"picture": []}
        assert ask(client, content).status_code == 200


def test_a_request_that_the_end_of_the_service_cuts_short_is_told_so(
    content: bytes, stalled: Events
) -> None:
    began, goes_on = stalled
    app = build_app(Settings(models=DEFAULT_MODELS))

    async def begin_and_end() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://a") as client,
        ):
            request = asyncio.create_task(client.post(FACES, content=content, headers=JPEG))
            await asyncio.to_thread(began.wait, 10)
            request.cancel()  # as Uvicorn does when it waits no longer
            try:
                return await request
            finally:
                goes_on.set()

    answer = asyncio.run(begin_and_end())
    assert (answer.status_code, list(answer.json())) == (503, ["detail"])


def test_only_who_has_the_token_is_answered(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    with client_of(token=read_token(tmp_path / "token")) as client:
        for path in ("/v1/models", "/metrics"):
            assert client.get(path).status_code == 401
        for given in ("", f"Bearer {TOKEN}x", f"Basic {TOKEN}", "Bearer é".encode()):
            headers = {"Authorization": given}
            assert client.post(FACES, content=content, headers=headers).status_code == 401
        client.headers["Authorization"] = f"Bearer {TOKEN}"
        assert ask(client, content).status_code == 200
        names = [thread.name for thread in threading.enumerate()]
        assert not any("worker" in name for name in names), names  # of AnyIO: up to forty
        assert client.get("/metrics").status_code == 200
    for text in ("", "short", "two words of a token", "ümlaut-" * 5):
        (tmp_path / "token").write_text(text, encoding="utf-8")
        with pytest.raises(ValueError, match="must hold a token"):
            read_token(tmp_path / "token")


def test_models_come_with_their_cards(client: TestClient) -> None:
    models = client.get("/v1/models").json()["models"]
    defaults = [each["name"] for each in models if each["default"]]
    assert defaults == [*DEFAULT_MODELS.values(), DEFAULT_DETECTOR]
    for each in models:
        assert each["card"] is None or each["card"]["task"] == each["task"]
    folder = find_model("ferplus_mini_xception")
    with TestClient(build_app(Settings(models={"emotion": str(folder)}))) as other:
        models = other.get("/v1/models").json()["models"]
    defaults = [each["name"] for each in models if each["default"]]
    assert defaults == [folder.name, DEFAULT_DETECTOR]


def test_the_page_is_served_where_it_is_built(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<h1>page</h1>")
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "a.js").write_text("1")
    mimetypes.add_type("text/plain", ".js")  # as some programs on Windows have it
    with client_of(page=find_page(tmp_path)) as client:
        assert client.get("/").text == "<h1>page</h1>"
        assert client.get("/assets/a.js").headers["Content-Type"].startswith("text/javascript")
        assert client.get("/assets/../../secret").status_code == 404
        assert client.get(FACES).status_code == 405
    with client_of() as client:
        assert "make web" in client.get("/").text
    with pytest.raises(FileNotFoundError, match="make web"):
        find_page(tmp_path / "assets")


def test_the_description_is_whole_and_needs_no_other_machine(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    post = document["paths"][FACES]["post"]
    assert set(post["responses"]) == {*("200", "401", "408", "413", "415", "422", "501", "503")}
    named = {each["name"]: each["schema"] for each in post["parameters"]}
    assert "none" in named["emotion_model"]["enum"]
    assert named["detector"]["default"] == DEFAULT_DETECTOR
    assert post["operationId"] == "find_faces"
    answers = document["paths"]["/metrics"]["get"]["responses"]
    assert [list(each["content"]) for each in answers.values()] == [["text/plain"], [JSON]]
    assert "schema" in answers["401"]["content"][JSON]
    page = client.get("/docs").text
    sources = [part.split('"')[0] for part in page.split('src="')[1:] + page.split('href="')[1:]]
    assert sources
    for source in sources:
        assert source.startswith("/"), source
        assert client.get(source).status_code == 200


@contextmanager
def running(*options: str) -> Iterator[tuple[Any, str]]:
    with started(SOURCE / "serve_faces.py", "--port", "0", *options) as process:
        address = process.stdout.readline().split(" ")[0]
        for _ in range(100):
            try:
                httpx.get(f"{address}/healthz", timeout=5)
                break
            except httpx.TransportError:
                time.sleep(0.1)
        yield process, address


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Give the address of a service that waits little and takes few requests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PROMETHEUS_MULTIPROC_DIR", "/nowhere")  # of another program
        with running("--most-seconds", "2", "--most-requests", "40") as (_, address):
            yield address


def test_the_client_of_the_documentation_works(
    address: str, portraits: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (SOURCE.parent / "docs" / "service.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    with Image.open(portraits) as picture:
        for name in ("photo.jpg", "a.jpg", "b.png"):
            picture.save(here / name)
    exec(code.replace("http://127.0.0.1:8000", address), {})
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3 + 2
    assert "happy" in lines[0]
    assert lines[-1].startswith("b.png [")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGTERM for other processes")
@pytest.mark.parametrize(("workers", "number"), [("1", signal.SIGTERM), ("2", signal.SIGINT)])
def test_a_shutdown_answers_what_is_under_way(
    content: bytes, workers: str, number: signal.Signals
) -> None:
    with running("--workers", workers) as (process, address), ThreadPoolExecutor(1) as pool:
        files = [("p", (f"{n}.jpg", content)) for n in range(12)]
        answer = pool.submit(httpx.post, address + FACES, files=files, timeout=60)
        while "minixception_pictures_total 0.0" in httpx.get(f"{address}/metrics").text:
            time.sleep(0.02)
        head = f"POST {FACES} HTTP/1.1\r\nHost: a\r\nContent-Type: a/b\r\nTransfer-Encoding: "
        with connect(address, f"{head}chunked\r\n\r\n".encode()) as refused:
            assert refused.recv(13) == b"HTTP/1.1 415 "
            refused.sendall(b"not the length of a chunk\r\n")
            while refused.recv(100):  # until it is closed
                pass
        process.send_signal(number)
        assert len(answer.result().json()) == 12
        output, errors = process.communicate(timeout=30)
        assert (process.returncode, output, errors) == (0, "", "")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no process groups of this kind")
def test_ctrl_c_ends_a_service_whose_workers_are_starting() -> None:
    options = ("--port", "0", "--workers", "2")
    with started(SOURCE / "serve_faces.py", *options, start_new_session=True) as process:
        assert "is ready" in process.stdout.readline()
        time.sleep(1)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        output, errors = process.communicate(timeout=30)
        assert (process.returncode, output, errors) == (0, "", "")


def test_nothing_is_logged_about_a_picture(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    file = io.BytesIO()
    Image.new("I;16", (64, 64), 4000).save(file, "PNG")  # of 12 bits
    for content in (file.getvalue(), file.getvalue()[:50]):
        client.post(FACES, files={"pictures": ("secret.png", content)})
    assert "secret" not in caplog.text


def test_head_is_answered_like_get_without_the_body(address: str) -> None:
    with httpx.Client(base_url=address) as client:
        for path in ("/", "/docs", "/healthz", "/metrics", "/v1/models", FACES):
            head, get = client.head(path), client.get(path)
            assert (head.status_code, head.content) == (get.status_code, b"")
            assert head.headers["Content-Type"] == get.headers["Content-Type"]


def connect(address: str, sent: bytes) -> socket.socket:
    place = urlsplit(address)
    connection = socket.create_connection((place.hostname, place.port), timeout=20)
    connection.sendall(sent)
    return connection


def head_of(length: int) -> bytes:
    head = f"POST {FACES} HTTP/1.1\r\nHost: a\r\nContent-Type: image/jpeg\r\n"
    return f"{head}Content-Length: {length}\r\n\r\n".encode()


def test_who_is_silent_is_not_waited_for(address: str) -> None:
    with ExitStack() as stack:
        parts = (b"", head_of(10)[:20], head_of(10) + b"x")
        connections = [stack.enter_context(connect(address, part)) for part in parts]
        assert [each.recv(13) for each in connections] == [b"", b"", b"HTTP/1.1 408 "]


def test_who_sends_all_before_reading_is_told_why_it_is_refused(address: str) -> None:
    parts = [bytes(10**6)] * 30
    for body in (b"".join(parts), iter(parts)):
        request = urllib.request.Request(address + FACES, body, JPEG)
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=20)
        assert refused.value.code == 413
        assert b"at most 20 megabytes" in refused.value.read()


def test_who_hangs_up_makes_room_for_others(address: str, content: bytes) -> None:
    for _ in range(200):
        connect(address, head_of(len(content)) + content).close()
    for _ in range(50):  # the last of them may not have been noticed yet
        answer = httpx.post(address + FACES, content=content, headers=JPEG, timeout=60)
        if answer.status_code == 200:
            break
        time.sleep(0.1)
    figures = httpx.get(f"{address}/metrics").text
    (analyzed,) = re.findall(r"minixception_pictures_total (\d+)", figures)
    assert int(analyzed) < 100


@needs_kill
def test_a_killed_worker_is_replaced_and_figures_are_of_all(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import psutil

    monkeypatch.setenv("TMPDIR", str(tmp_path))  # what is killed leaves its folder of figures
    with running("--workers", "2") as (process, address):
        for _ in range(8):
            assert httpx.post(address + FACES, content=content, headers=JPEG).status_code == 200
        figures = httpx.get(f"{address}/metrics").text
        assert "minixception_pictures_total 8.0" in figures
        assert "minixception_faces_total 24.0" in figures
        children = psutil.Process(process.pid).children()
        workers = [each for each in children if "spawn_main" in " ".join(each.cmdline())]
        assert len(workers) == 2
        workers[0].kill()
        for _ in range(8):  # the other one goes on
            answer = httpx.Client(transport=httpx.HTTPTransport(retries=5), timeout=30).post(
                address + FACES, content=content, headers=JPEG
            )
            assert answer.status_code == 200
        workers += psutil.Process(process.pid).children()
        process.kill()  # or the workers would keep the port
        assert psutil.wait_procs(workers, 30)[1] == []


def test_bad_options_are_told_in_a_line(run: Run, tmp_path: Path) -> None:
    for options, reason in (
        (["--workers", "0"], "--workers must be 1 or more"),
        (["--port", "70000"], "--port must lie between"),
        (["--most-pictures", "0"], "--most-pictures must be 1 or more"),
        (["--token-file", str(tmp_path / "none")], "No such file"),
        (["--page", str(tmp_path)], "`make web` builds the page"),
        (["--emotion-model", "nowhere"], "nowhere is neither"),
        (["--host", "192.0.2.1", "--token-file", __file__], "must hold a token"),
    ):
        (line,) = run("serve", *options, code=1).stderr.splitlines()
        assert reason in line


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_doors_that_stand_open_are_told(run: Run, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(TOKEN)
    (tmp_path / "token").chmod(0o644)
    elsewhere = ["--host", "nowhere.invalid"]
    for options, warning in (
        (elsewhere, "anybody who can reach nowhere.invalid can use this service"),
        ([*elsewhere, "--token-file", str(tmp_path / "token")], "chmod o-r"),
    ):
        told, reason = run("serve", *options, code=1).stderr.splitlines()
        assert warning in told
        assert "--host nowhere.invalid --port 8000 is not available" in reason
