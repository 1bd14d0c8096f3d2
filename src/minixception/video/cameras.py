"""Cameras, read by OpenCV, which is part of every installation."""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from minixception.images import as_rgb, bgr_to_rgb

# A camera that fails this many times in a row, 0.05 s apart, is gone.
FAILURES = 10


@dataclass(frozen=True)
class Frame:
    """One picture of a video: its number from 0, its time, and RGB uint8 (height, width, 3).

    A key frame can be decoded without those before it. The last frame of a film says how long it
    is shown; each other one is shown until the next.
    """

    number: int
    time_seconds: float
    image: NDArray[np.uint8]
    is_key: bool = False
    duration_seconds: float = 0.0


def is_camera(source: str) -> bool:
    """Tell whether a source is the number of a camera, and not a file of that name."""
    return source.isdecimal() and len(source) < 5 and not Path(source).exists()


class Camera(AbstractContextManager["Camera"]):
    """A camera, opened; iterate over it once, as over a `reader.VideoReader`.

    Args:
        source: its number, "0" for the first.

    Raises:
        OSError: if it does not open.
    """

    rate, promised, sound, done = None, 0, None, 0
    remarks: tuple[str, ...] = ()
    losses: tuple[str, ...] = ()

    def __init__(self, source: str) -> None:
        self._capture = cv2.VideoCapture(int(source))
        # One frame of buffer: with more the picture lags behind when work takes longer.
        self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        if not self._capture.isOpened():
            raise OSError(
                f"camera {source} does not open: there is none, another program is using it, or "
                "this user may not. To read a video file, name it with --input FILE"
            )
        self._is_over = False

    def __exit__(self, *_: object) -> None:
        self._capture.release()

    def end(self) -> None:
        """Give no more frames; a handler of signals may call this."""
        self._is_over = True

    def end_at(self, frame: Frame) -> None:
        """End with a frame, the last that was read."""

    def __iter__(self) -> Iterator[Frame]:
        """Give frames until the camera goes away; their times count from the first."""
        start, failures = 0.0, 0
        while failures <= FAILURES and not self._is_over:
            image: np.ndarray | None = None
            with suppress(cv2.error):
                image = self._capture.read()[1]
            if image is None or not image.size:
                failures += 1
                time.sleep(0.05)
                continue
            failures, now = 0, time.perf_counter()
            start = start or now
            self.done += 1
            rgb = bgr_to_rgb(image) if image.ndim == 3 else as_rgb(image)
            yield Frame(self.done - 1, now - start, rgb)
