"""Cameras, read by OpenCV, which every installation has."""

import os
import time
from collections.abc import Iterator
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

    `is_key` tells that it can be decoded without those before it.
    """

    number: int
    time_seconds: float
    image: NDArray[np.uint8]
    is_key: bool = False


def is_camera(source: str) -> bool:
    """Tell whether a source is the number of a camera, and no file of that name."""
    return source.isdecimal() and len(source) < 5 and not Path(source).exists()


class Camera:
    """A camera, opened; iterate over it once, as over a `reader.VideoReader`.

    Args:
        source: its number, "0" for the first.

    Raises:
        OSError: if it does not open.
    """

    rate: float | None = None
    promised = 0
    sound = None
    remarks: tuple[str, ...] = ()

    def __init__(self, source: str) -> None:
        self.done = 0
        if "OPENCV_LOG_LEVEL" not in os.environ:
            # Up to 4.12 the function stands in `cv2` itself; 0 is "silent" in both.
            set_level = getattr(cv2, "setLogLevel", None) or cv2.utils.logging.setLogLevel
            set_level(0)
        self._capture = cv2.VideoCapture(int(source))
        # One frame of buffer: with more the picture lags behind when work takes longer.
        self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        if not self._capture.isOpened():
            raise OSError(
                f"camera {source} does not open: there is none, or another program uses it, or "
                "this user may not. A video file is named with --input FILE"
            )

    def __enter__(self) -> "Camera":
        return self

    def __exit__(self, *_: object) -> None:
        self._capture.release()

    def __iter__(self) -> Iterator[Frame]:
        """Give frames until the camera goes away; their times count from the first."""
        start, failures = 0.0, 0
        while failures <= FAILURES:
            image = self._read()
            if image is None:
                failures += 1
                time.sleep(0.05)
                continue
            failures, now = 0, time.perf_counter()
            start = start or now
            self.done += 1
            yield Frame(self.done - 1, now - start, image)

    def _read(self) -> NDArray[np.uint8] | None:
        try:
            image = self._capture.retrieve()[1] if self._capture.grab() else None
        except cv2.error:
            return None
        if image is None:
            return None
        image = image.astype(np.uint8, copy=False)
        return bgr_to_rgb(image) if image.ndim == 3 else as_rgb(image)

    def losses(self) -> list[str]:
        """Return nothing: a camera promises nothing."""
        return []
