import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from minixception.detection import yunet as yunet_file
from minixception.detection.yunet import fetch_yunet
from static_host import static_host

CONTENT = b"a network" * 10_000


@pytest.fixture
def zoo(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """Return the file that a server of this machine has to offer."""
    folder = tmp_path / "zoo"
    folder.mkdir()
    (folder / "yunet.onnx").write_bytes(CONTENT)
    with static_host(folder) as (address, _):
        monkeypatch.setattr(yunet_file, "YUNET_URL", f"{address}yunet.onnx")
        monkeypatch.setattr(yunet_file, "YUNET_SHA256", hashlib.sha256(CONTENT).hexdigest())
        monkeypatch.setenv("MINIXCEPTION_CACHE", str(tmp_path / "cache"))
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        yield folder / "yunet.onnx"


def test_file_is_fetched_once_and_then_without_network(
    zoo: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
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
    zoo.unlink()
    assert fetch_yunet() == path
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("content", [b"another file", b"", None, "nobody"])
def test_wrong_answer_leaves_nothing_behind(
    zoo: Path, tmp_path: Path, content: bytes | str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    zoo.unlink()
    if content == "nobody":
        monkeypatch.setattr(yunet_file, "YUNET_URL", "http://127.0.0.1:9/yunet.onnx")
    elif isinstance(content, bytes):
        zoo.write_bytes(content)
    said = r"Get http.*save it as .*cache.*yunet_2023mar\.onnx"
    with pytest.raises(OSError, match=said) as caught:
        fetch_yunet()
    assert "\n" not in str(caught.value)
    assert [*tmp_path.glob("cache/*")] == []


@pytest.mark.usefixtures("zoo")
def test_two_at_a_time_get_the_whole_file() -> None:
    with ThreadPoolExecutor(2) as threads:
        paths = list(threads.map(lambda _: fetch_yunet(), range(2)))
    assert [path.read_bytes() for path in paths] == [CONTENT, CONTENT]
