"""What fails for a while stops a job, and is never noted as the fault of a picture."""

import errno
import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from unittest.mock import Mock

import cv2
import numpy as np
import pytest

from conftest import Run
from minixception import files as storage
from minixception.checkpoints.engines import BrokenModelError
from minixception.datasets import load_class_folders
from minixception.images import decode_image, read_image, write_image
from minixception.inference.analyzer import FaceAnalyzer

READER = "minixception.inference.sources.read_image"
NUMBERS = (errno.EMFILE, errno.ENFILE, errno.ENOTCONN, errno.ESTALE, errno.EIO, errno.ENODEV)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "PAUSES", (0.0, 0.0))


@pytest.fixture
def album(here: Path) -> Path:
    for name in ("a", "b", "c"):
        write_image(here / "album" / "happy" / f"{name}.png", np.full((40, 40, 3), 200, np.uint8))
    return here / "album"


@pytest.fixture
def image(run: Run, album: Path) -> Run:
    """Return a function that runs the command on the album, with the name of a table."""
    return partial(run, "image", "album", "--no-draw", "--workers=1", "--csv")


def failing(error: Exception, times: int) -> Callable[[Path], np.ndarray]:
    """Return a `read_image` that fails for picture b so many times."""
    left = [times]

    def read(path: Path, **_: object) -> np.ndarray:
        if Path(path).stem == "b" and left[0]:
            left[0] -= 1
            raise error
        return read_image(path)

    return read


NO_MEMORY = cv2.error("Insufficient memory")
NO_MEMORY.code = -4


def test_what_passes_is_told_from_what_stays() -> None:
    passing = [*(OSError(number, os.strerror(number)) for number in NUMBERS), MemoryError()]
    staying = [OSError(errno.ENOENT, "missing"), ValueError(), cv2.error("bad argument")]
    assert all(map(storage.is_passing, [*passing, NO_MEMORY]))
    assert not any(map(storage.is_passing, staying))


@pytest.mark.parametrize("error", [OSError(errno.EMFILE, "many"), NO_MEMORY], ids=repr)
def test_a_passing_failure_is_retried_then_stops_the_job(
    error: Exception, image: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    image("expected.csv")
    expected = Path("expected.csv").read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(READER, failing(error, 2))
        image("f.csv")
        assert Path("f.csv").read_bytes() == expected
        patch.setattr(READER, failing(error, 3))
        message = image("g.csv", code=1).stderr.splitlines()[-1]
    assert "b.png" in message
    assert "this may be temporary" in message
    assert not Path("g.csv").exists()
    assert Path(".g.csv.part").read_bytes().count(b"\n") == 2
    image("g.csv", "--resume")
    assert Path("g.csv").read_bytes() == expected


def test_a_broken_model_is_no_fault_of_a_picture(
    image: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = BrokenModelError("model.tflite gives no probabilities")
    monkeypatch.setattr(FaceAnalyzer, "analyze", Mock(side_effect=broken))
    assert image("f.csv", code=1).stderr.count("model.tflite gives no probabilities") == 1
    assert not Path("f.csv").exists()


@pytest.mark.parametrize("leaves_folder", [False, True])
def test_a_folder_that_goes_away_stops_the_job(
    album: Path, leaves_folder: bool, image: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(path: Path, **_: object) -> np.ndarray:
        if Path(path).stem == "b":
            shutil.move(album, "gone")
            if leaves_folder:  # as an empty mount point
                (album / "happy").mkdir(parents=True)
        return read_image(path)

    monkeypatch.setattr(READER, read)
    monkeypatch.setattr(storage, "PAUSES", ())
    assert "this may be temporary" in image("f.csv", code=1).stderr
    assert Path(".f.csv.part").read_bytes().count(b"\n") == 2


def test_a_loader_leaves_out_broken_pictures_only(
    album: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (album / "happy" / "broken.png").write_bytes(b"no picture")
    error = OSError(errno.EMFILE, "Too many open files")
    reader = "minixception.datasets.pictures.read_image"
    monkeypatch.setattr(reader, failing(error, 2))
    assert load_class_folders(album).dropped["unreadable picture"] == 1
    monkeypatch.setattr(reader, failing(error, 3))
    with pytest.raises(OSError, match="Too many open files"):
        load_class_folders(album)
    # A disk that fails in the middle is no broken picture.
    broken = OSError(errno.EIO, "Input/output error")
    content = (album / "happy" / "a.png").read_bytes()
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", Mock(side_effect=broken))
    with pytest.raises(OSError, match="Input/output error") as caught:
        decode_image(content, "a.png")
    assert storage.is_passing(caught.value)
