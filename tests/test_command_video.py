import errno
import io
import itertools
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Timer
from typing import Any

import av
import cv2
import numpy as np
import pytest

from conftest import Run
from made_up_data import write_film
from made_up_films import encode, portrait
from minixception.checkpoints.card import Card
from minixception.commands import run_command
from minixception.commands import video_session as command
from minixception.commands.options import load_analyzer, make_detector
from minixception.drawing.plots import plot_timeline
from minixception.images import read_image
from minixception.inference.analyzer import FaceAnalyzer, FaceClassifier
from minixception.preprocessor import Preprocessor
from minixception.video.cameras import Frame
from minixception.video.opening import NETWORK_SECONDS
from minixception.video.reader import VideoReader
from minixception.video.writer import VideoWriter
from static_host import OK, raw_host
from stored_files import file_size_limit, read_rows
from systems import needs_kill

EMOTIONS = ("angry", "happy", "neutral")


class FakeEngine:
    """Gives random probabilities, and calls `interrupt` before batch number `at`."""

    def __init__(self, classes: int, interrupt: Callable[[], Any] | None = None, at: int = 0):
        self.classes, self.interrupt, self.at = classes, interrupt, at
        self.calls = itertools.count()
        self.random = np.random.default_rng(0)

    def predict(self, images: np.ndarray) -> np.ndarray:
        if next(self.calls) == self.at and self.interrupt is not None:
            self.interrupt()
        return self.random.dirichlet(np.ones(self.classes), len(images)).astype(np.float32)


def make_analyzer(arguments: Any, **options: Any) -> FaceAnalyzer:
    def make_classifier(task: str, names: tuple[str, ...], **options: Any) -> FaceClassifier:
        card = Card(task, task, "none", 0, names, Preprocessor(image_size=(8, 8)))
        return FaceClassifier(card, FakeEngine(len(names), **options))

    return FaceAnalyzer(
        emotion=make_classifier("emotion", EMOTIONS, **options),
        gender=make_classifier("gender", ("woman", "man")),
        detector=make_detector(arguments),
    )


@pytest.fixture(autouse=True)
def no_display(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "load_analyzer", make_analyzer)
    monkeypatch.setattr(command, "display_problem", lambda: "there is no display")


def write_clip(path: Path, frames: int = 20, *, face: bool = True) -> Path:
    """Write a film of a face that moves to the right before a plain background."""
    face_image = portrait()
    images = np.full((frames, 160, 320, 3), 200, np.uint8)
    images[:, :10, :10] = 0  # tells which way is up
    for number in range(frames * face):
        images[number, 20:140, 20 + 4 * number : 140 + 4 * number] = face_image
    return write_film(path, images)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clips") / "walk.mp4")


@pytest.fixture
def video(run: Run) -> Run:
    return partial(run, "video")


def count_frames(path: Path) -> int:
    with VideoReader(str(path)) as reader:
        return sum(1 for _ in reader)


def test_all_outputs(video: Run, clip: Path, tmp_path: Path) -> None:
    film, table, plot = (tmp_path / name for name in ("a/o.mp4", "b/o.csv", "c/o.png"))
    options = ("--output", film, "--csv", table, "--plot", plot, "--bars")
    said = video("--input", clip, *options).stdout
    rows = read_rows(table)
    assert list(rows[0]) == (
        ["frame", "time_seconds", "track", "x", "y", "width", "height", "emotion", "gender"]
        + [f"emotion_{name}" for name in EMOTIONS]
        + ["gender_woman", "gender_man"]
    )
    assert {row["track"] for row in rows} == {"1"}
    assert len(rows) >= 18
    for row in rows:
        assert float(row["time_seconds"]) == pytest.approx(int(row["frame"]) / 10)
        assert sum(float(row[f"emotion_{name}"]) for name in EMOTIONS) == pytest.approx(1, abs=1e-5)
    assert abs(int(rows[-1]["x"]) - int(rows[0]["x"]) - 4 * (len(rows) - 1)) < 20
    assert count_frames(film) == 20
    assert read_image(plot).shape[1] > 1000
    assert not list(tmp_path.rglob(".*"))
    for part in ("20 frames in", "   1     0.0 s", f"written to {film}"):
        assert part in said
    done = video(clip, "--csv", "-", "--no-window")
    assert done.stdout.encode() == table.read_bytes()
    assert "20 frames in" in done.stderr
    done = video(clip, "--quiet")
    assert done.stdout + done.stderr == ""


def test_the_drawn_video_shows_the_face(video: Run, clip: Path, tmp_path: Path) -> None:
    video("--input", clip, "--output", tmp_path / "o.mkv")
    with VideoReader(str(clip)) as before, VideoReader(str(tmp_path / "o.mkv")) as after:
        changes = [
            np.abs(a.image - b.image.astype(int)) for a, b in zip(before, after, strict=True)
        ]
    assert all((change > 100).sum() > 500 for change in changes)  # box and label
    assert np.mean([np.median(change) for change in changes]) < 6  # the rest is as it was


def test_smoothing_zero_gives_the_scores_of_each_frame(
    video: Run, clip: Path, tmp_path: Path
) -> None:
    jumps = []
    for smoothing in ("0", "2"):
        table = tmp_path / f"{smoothing}.csv"
        video("--input", clip, "--csv", table, "--smoothing", smoothing, "--detect-every", 30)
        rows = read_rows(table)
        assert [row["track"] for row in rows] == ["1"] * 20  # it is followed between detections
        jumps.append(np.abs(np.diff([float(row["emotion_happy"]) for row in rows])))
    assert jumps[0].mean() > 5 * jumps[1].mean()


def test_explanations_lie_under_box_and_label(
    video: Run, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def draw_green(image: np.ndarray, faces: list[Any]) -> np.ndarray:
        drawn = image.copy()
        for face in faces:
            x, y, width, height = face.box
            drawn[y : y + height, x : x + width] = (0, 255, 0)
        return drawn

    monkeypatch.setattr(command, "load_overlay", lambda arguments: draw_green)
    video("--input", clip, "--output", tmp_path / "o.avi", "--explain", "gender")
    with VideoReader(str(tmp_path / "o.avi")) as reader:
        greens = [(frame.image[..., 1] > frame.image[..., 0] + 100.0).sum() for frame in reader]
    assert np.median(greens) > 2000  # the face is some 65 pixels wide


def test_no_display_and_no_output(video: Run, clip: Path) -> None:
    done = video("--input", clip)
    assert "no window: there is no display" in done.stderr
    assert "nothing is written" in done.stderr
    assert "frames per second" in done.stdout


def test_a_video_without_faces(video: Run, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "empty.mp4", 5, face=False)
    table, plot = tmp_path / "o.csv", tmp_path / "o.png"
    assert "no face found" in video("--input", clip, "--csv", table, "--plot", plot).stdout
    assert table.read_text(encoding="utf-8").startswith("frame,time_seconds,track,x,")
    assert read_rows(table) == []
    assert plot.is_file()


def open_window(
    monkeypatch: pytest.MonkeyPatch, wait: Callable[[int], int]
) -> list[tuple[float, np.ndarray]]:
    """Pretend that there is a window; return what is shown in it, and when."""
    shown: list[tuple[float, np.ndarray]] = []
    monkeypatch.setattr(command, "display_problem", lambda: None)
    for name in ("namedWindow", "resizeWindow", "destroyAllWindows"):
        monkeypatch.setattr(cv2, name, lambda *_: None)
    monkeypatch.setattr(cv2, "imshow", lambda _, image: shown.append((time.perf_counter(), image)))
    monkeypatch.setattr(cv2, "getWindowProperty", lambda *_: 1.0)
    monkeypatch.setattr(cv2, "waitKey", wait)
    return shown


def test_window(video: Run, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = open_window(monkeypatch, lambda _: ord("q") if len(shown) == 7 else -1)
    video("--input", clip, "--output", tmp_path / "o.avi")
    assert len(shown) == count_frames(tmp_path / "o.avi") == 7
    assert (shown[6][1][12:20, 20:80] < 60).any()  # the plate of the frame rate
    video("--input", clip, "--no-window")
    assert len(shown) == 7


def test_what_was_read_ahead_is_not_told_of(
    video: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = encode(tmp_path / "a.mkv", frames=12, sound=("mp2", 2.0))
    film.write_bytes(film.read_bytes()[: film.stat().st_size * 9 // 10])
    assert "cut off" in video(film, "--no-window").stderr
    shown = open_window(monkeypatch, lambda _: ord("q") if len(shown) == 8 else -1)
    done = video(film, "--output", tmp_path / "o.mp4")
    assert "8 frames in" in done.stdout
    assert "cut off" not in done.stderr
    with av.open(str(tmp_path / "o.mp4")) as container:
        packets: list[Any] = [packet for packet in container.demux(audio=0) if packet.size]
        times = [float(packet.pts * packet.time_base) for packet in packets]
    assert 0.6 < max(times) < 0.8


def test_the_window_plays_no_faster_after_models_were_loaded(
    video: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load_slowly(arguments: Any) -> FaceAnalyzer:
        time.sleep(0.3)
        return make_analyzer(arguments)

    def wait_without_keys(milliseconds: int) -> int:
        time.sleep(milliseconds / 1000)
        return -1

    monkeypatch.setattr(command, "load_analyzer", load_slowly)
    shown = open_window(monkeypatch, wait_without_keys)
    video(write_clip(tmp_path / "a.mp4", 4, face=False))
    assert len(shown) == 4
    assert shown[-1][0] - shown[0][0] >= 0.28


@contextmanager
def default_handler(number: int) -> Iterator[None]:
    """Let a signal interrupt, which a worker of the tests or a background job may ignore."""
    original = signal.signal(number, signal.default_int_handler)
    try:
        yield
        assert signal.getsignal(number) is signal.default_int_handler
    finally:
        signal.signal(number, original)


@pytest.mark.parametrize("how", ["q", "SIGINT"])
def test_a_long_wait_for_the_next_frame_can_be_ended(
    how: str, video: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[int] = []

    def wait(milliseconds: int) -> int:
        waits.append(milliseconds)
        if len(waits) == 4 and how == "SIGINT":
            signal.raise_signal(signal.SIGINT)
        return ord("q") if len(waits) == 4 and how == "q" else -1

    path, image = tmp_path / "a.mkv", np.full((160, 320, 3), 200, np.uint8)
    with VideoWriter(path, rate=10) as writer:
        for number in range(2):
            writer.write(Frame(number, 60.0 * number, image))
    open_window(monkeypatch, wait)
    with default_handler(signal.SIGINT):
        video(path, code=130 if how == "SIGINT" else 0)
    assert 4 <= len(waits) <= 5
    assert max(waits) == 100


@needs_kill
@pytest.mark.parametrize("is_opened", [False, True])
def test_a_stalled_address_does_not_hold_up_an_interrupt(
    is_opened: bool, video: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt = Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    monkeypatch.setattr(
        command, "load_analyzer", lambda a: make_analyzer(a, interrupt=interrupt.start)
    )
    film = write_clip(tmp_path / "a.mkv").read_bytes()
    content = OK + film[: len(film) * 9 // 10] if is_opened else b""
    start = time.monotonic()
    with default_handler(signal.SIGINT), raw_host(content) as address:
        if not is_opened:
            interrupt.start()
        done = video(address, "--csv", tmp_path / "o.csv", code=130)
    assert time.monotonic() - start < NETWORK_SECONDS / 2
    assert ("stopped by SIGINT" if is_opened else "interrupted") in done.stderr
    assert (tmp_path / "o.csv").exists() == is_opened


class GoneTerminal(io.StringIO):
    """What stderr is after its terminal has been closed."""

    def isatty(self) -> bool:
        return True

    def write(self, _: str) -> int:
        raise OSError(errno.EIO, "Input/output error")


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="there is no SIGHUP here")
def test_a_terminal_that_hangs_up_ends_the_run_with_its_signal(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault = {"interrupt": lambda: signal.raise_signal(signal.SIGHUP), "at": 5}
    monkeypatch.setattr(command, "load_analyzer", lambda a: make_analyzer(a, **fault))
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(f"sys.{name}", GoneTerminal())
    with default_handler(signal.SIGHUP):
        code = run_command("video", [str(clip), "--csv", str(tmp_path / "o.csv")])
    assert code == 128 + signal.SIGHUP
    assert 4 <= len(read_rows(tmp_path / "o.csv")) < 20


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "an error"])
def test_what_was_done_before_a_stop_or_an_error_is_kept(
    name: str, video: Run, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = getattr(signal, name, None)

    def interrupt() -> None:
        if number is None:
            raise OSError(errno.EIO, os.strerror(errno.EIO))  # of the film
        signal.raise_signal(number)

    fault = {"interrupt": interrupt, "at": 5}
    monkeypatch.setattr(command, "load_analyzer", lambda a: make_analyzer(a, **fault))
    output, table, plot = tmp_path / "o.mp4", tmp_path / "o.csv", tmp_path / "o.png"
    options = ("--output", output, "--csv", table, "--plot", plot)
    with default_handler(number or signal.SIGINT):
        done = video("--input", clip, *options, code=128 + number if number else 1)
    frames = 1 + int(read_rows(table)[-1]["frame"])
    assert count_frames(output) == frames < 20
    assert plot.is_file()
    assert not list(tmp_path.glob(".*"))
    said = f"stopped by {name} after {frames} frames" if number else os.strerror(errno.EIO)
    assert said in done.stderr


@pytest.mark.parametrize(("option", "name"), [("--output", "o.mkv"), ("--csv", "o.csv")])
def test_full_disk(option: str, name: str, video: Run, clip: Path, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text("old")
    with file_size_limit(1000):
        done = video("--input", clip, option, path, "--quiet", code=1)
    (message,) = done.stderr.splitlines()
    assert message.startswith(f"minixception video: error: {path}: ")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


CASES = {
    "media/single_face.mp4": (72, 71 / 30, ""),
    "cases/interlaced_dvd.mpg": (60, 2.36, "deinterlaced"),
    "cases/anamorphic_sar2.mp4": (72, 71 / 30, ""),
    "cases/variable_rate.mp4": (72, 21.5, ""),
    "cases/no_frame_count.mkv": (72, 2.367, ""),
    "cases/mirrored_mark.mp4": (72, 71 / 30, ""),
    "cases/healthy.ts": (72, 71 / 30 + 0.011, ""),
}


@pytest.mark.parametrize("name", CASES)
def test_one_person_is_one_track(
    name: str,
    video: Run,
    real_data: Callable[[str], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(command, "load_analyzer", load_analyzer)
    film, table, drawn = real_data(name), tmp_path / "o.csv", tmp_path / "o.mp4"
    rows_expected, last, said = CASES[name]
    done = video(film, "--csv", table, "--output", drawn, "--no-window", "--min-face", 80)
    rows = read_rows(table)
    assert [row["frame"] for row in rows] == [str(number) for number in range(rows_expected)]
    assert {row["track"] for row in rows} == {"1"}
    assert float(rows[-1]["time_seconds"]) == pytest.approx(last, abs=0.001)
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("   1 ")]
    assert "happy" in line
    assert int(line.split(" man ")[1].removesuffix(" %")) >= 90
    assert said in done.stderr
    assert (str(film) in done.stderr) == bool(said)
    with VideoReader(str(drawn)) as reader:
        times = [frame.time_seconds for frame in reader]
    expected = [float(row["time_seconds"]) for row in rows]
    np.testing.assert_allclose(times, expected, atol=0.001)


@pytest.mark.parametrize("frames", [0, 1, 9000])
def test_timeline(frames: int, tmp_path: Path) -> None:
    times = np.delete(np.arange(frames) / 30, slice(20, 40))
    scores = np.random.default_rng(0).dirichlet(np.ones(3), len(times))
    tracks = {"face 1": (times, scores), "face 2": (times[:1], scores[:1])} if frames else {}
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]
    path, shown = tmp_path / "o.png", np.arange(frames) / 30
    plot_timeline(tracks, EMOTIONS, path, frame_times=shown, colours=colours)
    image = read_image(tmp_path / "o.png")
    for colour in colours:
        # 3000 pixels are more than the legend has: the areas themselves are there.
        assert ((image == colour).all(axis=2).sum() > 3000) == bool(frames)


def test_frames_that_stay_long_are_no_gap_in_the_timeline(tmp_path: Path) -> None:
    times = np.append(np.arange(60) / 30, np.arange(2, 12, 0.5))  # a rate that falls
    tracks, path = {"face 1": (times, np.ones((80, 1)))}, tmp_path / "o.png"
    plot_timeline(tracks, ["happy"], path, frame_times=times, colours=[(255, 0, 0)])
    (row,) = (read_image(path) == (255, 0, 0)).all(axis=2)[160:161]
    assert row[np.flatnonzero(row)[0] : np.flatnonzero(row)[-1]].all()
