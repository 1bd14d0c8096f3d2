"""The window that shows a video."""

import os
import subprocess
import sys

import cv2
import numpy as np
from numpy.typing import NDArray

from minixception.images import rgb_to_bgr


class Window:
    """A window on the screen; see `display_problem` before opening one."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._is_open = False

    def __enter__(self) -> "Window":
        return self

    def __exit__(self, *_: object) -> None:
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
