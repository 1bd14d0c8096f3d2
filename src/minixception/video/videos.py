"""Reading, writing and showing videos.

Frames are RGB like all images of the package: OpenCV's BGR does not leave this module.
"""

import errno
import math
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from minixception.files import atomic_path, require_utf8
from minixception.images import as_rgb, bgr_to_rgb, resize_image, rgb_to_bgr
from minixception.video.sources import open_capture

# OpenCV's wheels bring an MPEG-4 encoder for each of these, but none for H.264.
WRITABLE_SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".avi")
ENCODER = "mp4v"
# Written where the source does not tell: most cameras deliver 30.
UNKNOWN_RATE = 30.0
# Some recorders write 1000 for "no fixed rate"; what lasts longer than a quarter of an hour a frame
# cannot be written.
SLOWEST_RATE, RATE_LIMIT = 0.001, 1000.0
# Where a file is damaged, reading fails once per lost frame and then goes on.
LARGEST_DAMAGE = 1000
# Pixels: as for pictures, see `images.read_image`. A frame in 8K has 33 million.
LARGEST_FRAME = 178_956_970
# A camera or stream that fails this many times in a row, 0.05 s apart, is gone.
LIVE_FAILURES = 10


@dataclass(frozen=True)
class Frame:
    """One picture of a video: its number from 0, its time, and RGB uint8 (height, width, 3)."""

    number: int
    time_seconds: float
    image: NDArray[np.uint8]


class VideoReader:
    """A video file, camera or stream, opened; iterate over it once to get its frames.

    Films from phones come upright, as their rotation mark says. Times are those of the file; of a
    camera or stream without them, the time since the first frame. They grow from frame to frame.

    Args:
        source: a path, the number of a camera ("0"), or an address with "://".

    Attributes:
        is_live: whether frames come in their own time and without a known end.
        rate: frames per second on average, None if unknown.
        promised: frames that the file's header promises, 0 if unknown.
        done: frames given so far.
        is_at_end: whether no more frame came.

    Raises:
        OSError: if it is missing or does not open.
        ValueError: if the file is no video.
    """

    def __init__(self, source: str) -> None:
        self.source = source
        require_utf8(source)
        self._capture = open_capture(source)
        self._capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
        self._require_bounded_frames()
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        self.rate = float(rate) if SLOWEST_RATE <= rate < RATE_LIMIT else None  # refuses NaN too
        promised = self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        self.promised = int(promised) if 0 < promised < math.inf else 0
        is_file = "://" not in source and Path(source).is_file()
        self.is_live = not is_file and self.promised == 0
        self.done = 0
        self.is_at_end = False

    def __enter__(self) -> "VideoReader":
        return self

    def __exit__(self, *_: object) -> None:
        self._capture.release()

    def _require_bounded_frames(self) -> None:
        width = self._capture.get(cv2.CAP_PROP_FRAME_WIDTH)
        height = self._capture.get(cv2.CAP_PROP_FRAME_HEIGHT)
        if width * height > LARGEST_FRAME:
            self._capture.release()
            raise ValueError(
                f"{self.source} has frames of {width:.0f}x{height:.0f} pixels; at most "
                f"{LARGEST_FRAME} pixels are read. Shrink it first."
            )

    def __iter__(self) -> Iterator[Frame]:
        """Give the frames that can be decoded; those that cannot are passed over."""
        start, last, failures = 0.0, -math.inf, 0
        while failures <= self._patience():
            image = self._read()
            if image is None:
                failures += 1
                continue
            failures = 0
            now = time.monotonic()
            start = start or now
            seconds = now - start if self.is_live else self._time_in_file()
            if not seconds > last:  # refuses NaN too
                seconds = last + 1 / (self.rate or UNKNOWN_RATE)
            last = seconds
            self.done += 1
            yield Frame(self.done - 1, seconds, image)
        self.is_at_end = True

    def _patience(self) -> int:
        if self.is_live:
            return LIVE_FAILURES
        return min(max(self.promised - self.done, 0), LARGEST_DAMAGE)

    def _read(self) -> NDArray[np.uint8] | None:
        try:
            image = self._capture.retrieve()[1] if self._capture.grab() else None
        except cv2.error:
            image = None
        if image is None:
            if self.is_live:
                time.sleep(0.05)
            return None
        image = image.astype(np.uint8, copy=False)
        return bgr_to_rgb(image) if image.ndim == 3 else as_rgb(image)

    def _time_in_file(self) -> float:
        milliseconds = self._capture.get(cv2.CAP_PROP_POS_MSEC)
        if milliseconds > 0:
            return milliseconds / 1000
        return self.done / (self.rate or UNKNOWN_RATE)


class VideoWriter:
    """Writes frames to a video file, which appears under its name when it is closed.

    Until then it lies beside it as `.NAME.NUMBER.SUFFIX`: without its end, an .mp4 or .mov cannot
    be played. Leaving the `with` block finishes the file on every way out, errors included. After
    a `kill -9` an .mkv or .avi under that temporary name plays but for its last seconds, an .mp4 or
    .mov does not play, and `path` is as it was.

    Args:
        path: with one of `WRITABLE_SUFFIXES`.
        rate: frames per second, the same throughout.
        follow_clock: repeat or skip frames so that the film lasts as long as what it shows, for
            cameras; otherwise each frame is written once.

    Attributes:
        written: frames written so far.

    Raises:
        ValueError: for another suffix.
        OSError: if the file cannot be written.
    """

    def __init__(self, path: str | Path, *, rate: float, follow_clock: bool = False) -> None:
        self._path = require_writable_suffix(path)
        # MPEG-4 counts in parts of 1/65535 second: 239.7612 frames per second are refused.
        self._rate = round(rate, 3 if rate < 65 else 2)
        self._follow_clock = follow_clock
        self._encoder: cv2.VideoWriter | None = None
        self._size = (0, 0)
        self._stack = ExitStack()
        self.written = 0

    def __enter__(self) -> "VideoWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def write(self, frame: Frame) -> None:
        """Append a frame; one of another size than the first is brought to that size."""
        image = frame.image
        if self._encoder is None:
            self._encoder = self._open(image.shape[0], image.shape[1])
        bgr = rgb_to_bgr(resize_image(image, self._size))
        copies = 1
        if self._follow_clock:
            copies = max(round(frame.time_seconds * self._rate) + 1 - self.written, 0)
        for _ in range(copies):
            self._encoder.write(bgr)
        self.written += copies

    def _open(self, height: int, width: int) -> "cv2.VideoWriter":
        self._size = (height, width)
        self._temporary = self._stack.enter_context(atomic_path(self._path))
        self._temporary.touch()  # tells why a folder cannot be written to; OpenCV does not
        code = cv2.VideoWriter.fourcc(*ENCODER)
        encoder = cv2.VideoWriter(
            str(self._temporary.absolute()), code, self._rate, (width, height)
        )
        if not encoder.isOpened():
            self._give_up(
                f"this OpenCV cannot encode {ENCODER} at {width}x{height} pixels and {self._rate} "
                "frames per second; install opencv-python from PyPI, or leave --output out"
            )
        return encoder

    def close(self) -> None:
        """Finish the file and give it its name; a second call does nothing.

        Raises:
            OSError: if the file came out broken, as on a full disk. It is removed.
        """
        if self._encoder is None:
            return
        self._encoder.release()
        self._encoder = None
        # OpenCV does not tell of a failed write.
        check = cv2.VideoCapture(str(self._temporary.absolute()))
        if self.written and not check.grab():
            self._give_up("the video could not be finished; is the disk full?")
        check.release()
        self._stack.close()

    def _give_up(self, problem: str) -> None:
        with self._stack:  # removes the temporary file
            raise OSError(errno.EIO, problem, str(self._path))


def require_writable_suffix(path: str | Path) -> Path:
    """Return the path, if a video can be written under such a name.

    Raises:
        ValueError: if not.
    """
    if Path(path).suffix.lower() not in WRITABLE_SUFFIXES:
        raise ValueError(f"{path}: a video must end in one of {', '.join(WRITABLE_SUFFIXES)}")
    require_utf8(path)
    return Path(path)


class Window:
    """A window on the screen; see `display_problem` before opening one."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._is_open = False

    def __enter__(self) -> "Window":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._is_open:
            cv2.destroyAllWindows()

    def show(self, image: NDArray[np.uint8], *, wait_seconds: float = 0.0) -> bool:
        """Show a frame for some time; return False once the user has closed the window.

        The keys q and Escape close it too.
        """
        if not self._is_open:
            cv2.namedWindow(self._title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO)
            scale = min(1.0, 1280 / image.shape[1], 720 / image.shape[0])
            cv2.resizeWindow(self._title, *(round(scale * side) for side in image.shape[1::-1]))
            self._is_open = True
        cv2.imshow(self._title, rgb_to_bgr(image))
        key = cv2.waitKey(max(1, round(1000 * wait_seconds))) & 0xFF
        is_closed = cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) < 1
        return not is_closed and key not in (ord("q"), 27)


def display_problem() -> str | None:
    """Return why no window can be opened, or None if one can.

    Where there is no display, OpenCV's window system ends the whole process: a child tries first.
    """
    displays = [os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")]
    if sys.platform.startswith("linux") and not any(displays):
        return "there is no display"
    attempt = "import cv2; cv2.namedWindow('minixception'); cv2.destroyAllWindows()"
    command = [sys.executable, "-c", attempt]
    try:
        code = subprocess.run(command, capture_output=True, timeout=30, check=False).returncode
    except subprocess.TimeoutExpired:
        return "the display does not answer"
    return f"OpenCV cannot open one here (display {displays[0]})" if code else None


def silence_opencv() -> None:
    """Keep OpenCV and FFmpeg from writing to the terminal, unless their variables are set."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    if "OPENCV_LOG_LEVEL" not in os.environ:
        # Up to 4.12 the function stands in `cv2` itself; 0 is "silent" in both.
        set_level = getattr(cv2, "setLogLevel", None) or cv2.utils.logging.setLogLevel
        set_level(0)


def draw_captions(
    image: NDArray[np.uint8], captions: Iterable[tuple[int, int, str]]
) -> NDArray[np.uint8]:
    """Return a copy of an image with small texts; x and y are their upper left corner."""
    picture = Image.fromarray(image)
    draw = ImageDraw.Draw(picture)
    size = max(12, max(picture.size) // 50)
    font = ImageFont.load_default(size)
    for x, y, text in captions:
        left, top, right, bottom = draw.textbbox((x + 3, y + 2), text, font=font)
        draw.rectangle((left - 3, top - 2, right + 2, bottom + 2), fill=(24, 24, 24))
        draw.text((x + 3, y + 2), text, font=font, fill=(255, 255, 255))
    return np.array(picture)
