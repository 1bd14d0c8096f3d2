import math
import os
import struct
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from minixception.images import write_image
from minixception.video import videos
from minixception.video.videos import Frame, VideoReader, VideoWriter


def write_clip(path: Path, frames: int = 20, *, rate: float = 10) -> Path:
    """Write a film of a bar that moves to the right."""
    with VideoWriter(path, rate=rate) as writer:
        for number in range(frames):
            image = np.full((160, 320, 3), 200, np.uint8)
            image[:10, :10] = 0  # tells which way is up
            image[20:140, 20 + 4 * number : 60 + 4 * number] = (250, 180, 20)
            writer.write(Frame(number, number / rate, image))
    return path


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clips") / "walk.mp4")


def count_frames(path: Path) -> int:
    with VideoReader(str(path)) as reader:
        return sum(1 for _ in reader)


def test_damage_in_the_middle_loses_only_the_damaged_frames(clip: Path, tmp_path: Path) -> None:
    content = bytearray(clip.read_bytes())
    start = content.find(b"mdat") + 4
    middle = (start + content.find(b"moov")) // 2
    content[middle : middle + 600] = b"\xff" * 600
    (tmp_path / "damaged.mp4").write_bytes(content)
    with VideoReader(str(tmp_path / "damaged.mp4")) as reader:
        times = [frame.time_seconds for frame in reader]
        assert reader.is_at_end
    assert 12 <= len(times) <= 20
    assert times[-1] == pytest.approx(1.9)
    assert np.all(np.diff(times) > 0)


def test_colours_and_times_survive(tmp_path: Path) -> None:
    image = np.zeros((64, 64, 3), np.uint8)
    image[:, :, 0] = 220
    with VideoWriter(tmp_path / "red.mp4", rate=12.5) as writer:
        for number in range(5):
            writer.write(Frame(number, 0.0, image))
    with VideoReader(str(tmp_path / "red.mp4")) as reader:
        frames = list(reader)
    assert reader.rate == pytest.approx(12.5)
    assert [frame.time_seconds for frame in frames] == pytest.approx([0, 0.08, 0.16, 0.24, 0.32])
    np.testing.assert_allclose(frames[0].image.mean((0, 1)), [220, 0, 0], atol=8)


def test_names_that_are_not_utf8_are_refused(clip: Path, tmp_path: Path) -> None:
    name = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.mp4")
    Path(name).write_bytes(clip.read_bytes())
    with pytest.raises(ValueError, match="must be UTF-8"):
        VideoReader(name)
    with pytest.raises(ValueError, match="must be UTF-8"):
        VideoWriter(name, rate=10)


@pytest.mark.parametrize("rate", [0.002, 0.5, 23.67164648529643, 239.7612])
def test_unusual_rates(rate: float, tmp_path: Path) -> None:
    path = write_clip(tmp_path / "o.mp4", 4, rate=rate)
    with VideoReader(str(path)) as reader:
        assert reader.rate == pytest.approx(rate, rel=1e-3)
        assert len(list(reader)) == 4


def test_a_camera_film_lasts_as_long_as_what_it_shows(tmp_path: Path) -> None:
    image = np.zeros((48, 64, 3), np.uint8)
    with VideoWriter(tmp_path / "o.mp4", rate=30, follow_clock=True) as writer:
        for number, seconds in enumerate((0.0, 0.01, 0.1, 0.5, 0.52, 2.0)):
            writer.write(Frame(number, seconds, image))
    assert count_frames(tmp_path / "o.mp4") == 61


def test_frames_of_another_size_are_fitted(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "o.mp4", rate=10) as writer:
        for number, size in enumerate(((48, 64), (64, 48), (31, 33))):
            writer.write(Frame(number, 0.0, np.zeros((*size, 3), np.uint8)))
    assert count_frames(tmp_path / "o.mp4") == 3


def test_display_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    if sys.platform.startswith("linux"):
        assert videos.display_problem() == "there is no display"
        monkeypatch.setenv("DISPLAY", ":93")  # nobody listens: Qt would end the process
        assert "cannot open" in str(videos.display_problem())


def test_captions_leave_the_image_alone() -> None:
    image = np.full((100, 200, 3), 120, np.uint8)
    drawn = videos.draw_captions(image, [(5, 5, "#1"), (190, 95, "#2")])
    assert image.min() == image.max() == 120
    assert (drawn[5:20, 5:25] < 50).any()
    assert (drawn[5:20, 5:25] > 200).any()
    assert (drawn[40:80, 40:160] == 120).all()


def test_input_beside_a_number_named_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_clip(tmp_path / "0.mp4", 3).rename("0")
    write_image("still.png", np.zeros((48, 64, 3), np.uint8))
    assert count_frames(Path("0")) == 3
    assert count_frames(Path("still.png")) == 1


def test_a_film_from_a_phone_comes_upright(clip: Path, tmp_path: Path) -> None:
    content = bytearray(clip.read_bytes())
    # The matrix of the track header says: turn by 90 degrees clockwise.
    place = content.find(b"tkhd") + 44
    matrix = (0, 0x10000, 0, -0x10000, 0, 0, 160 << 16, 0, 0x40000000)
    content[place : place + 36] = struct.pack(">9i", *matrix)
    (tmp_path / "turned.mp4").write_bytes(content)
    with VideoReader(str(tmp_path / "turned.mp4")) as reader:
        image = next(iter(reader)).image
    assert image.shape == (320, 160, 3)
    assert image[:8, -8:].mean() < 60 < image[:8, :8].mean()


class FakeCapture:
    """A camera without a known rate that loses frames, fails twice and then goes away."""

    def __init__(self, *_: object) -> None:
        self.calls = 0

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
        return True

    def get(self, prop: int) -> float:
        return {cv2.CAP_PROP_FPS: math.nan, cv2.CAP_PROP_FRAME_COUNT: -1.0}.get(prop, 0.0)

    def set(self, *_: object) -> bool:
        return False

    def grab(self) -> bool:
        self.calls += 1
        return self.calls not in (3, 4) and self.calls < 10

    def retrieve(self) -> tuple[bool, np.ndarray | None]:
        if self.calls == 6:
            return False, None
        if self.calls == 7:
            raise cv2.error("broken frame")
        return True, np.zeros((48, 64, 3), np.uint8)

    def release(self) -> None:
        pass


def test_camera(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cv2, "VideoCapture", FakeCapture)
    with VideoReader("0") as reader:
        assert reader.is_live
        assert reader.rate is None
        times = [frame.time_seconds for frame in reader]
    assert len(times) == 5
    assert times[0] == 0
    assert np.all(np.diff(times) > 0)
