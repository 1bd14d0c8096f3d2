"""The window that shows a video."""

import os
import subprocess
import sys

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from minixception.drawing.faces import PANEL_COLOUR, WHITE
from minixception.images import rgb_to_bgr

TITLE = "minixception"


class Window:
    """A window on the screen for frames of this size; see `display_problem` before opening one."""

    def __init__(self, *, height: int, width: int) -> None:
        cv2.namedWindow(TITLE, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO)
        scale = min(1.0, 1280 / width, 720 / height)
        cv2.resizeWindow(TITLE, round(scale * width), round(scale * height))

    def close(self) -> None:
        """Close the window."""
        cv2.destroyAllWindows()

    def show(self, image: NDArray[np.uint8]) -> bool:
        """Show a frame; return False once the user has closed the window."""
        cv2.imshow(TITLE, rgb_to_bgr(image))
        return self.wait(0.0)

    def wait(self, seconds: float) -> bool:
        """Wait, 0.1 seconds at most; return False once the user has closed the window.

        The keys q and Escape close it too.
        """
        key = cv2.waitKey(max(1, min(round(1000 * seconds), 100))) & 0xFF
        is_closed = cv2.getWindowProperty(TITLE, cv2.WND_PROP_VISIBLE) < 1
        return not is_closed and key not in (ord("q"), 27)


def captioned(image: NDArray[np.uint8], text: str) -> NDArray[np.uint8]:
    """Return a copy of an image with a small text in its upper left corner."""
    picture = Image.fromarray(image)
    draw, place = ImageDraw.Draw(picture), (7, 6)
    font = ImageFont.load_default(max(12, max(picture.size) // 50))
    left, top, right, bottom = draw.textbbox(place, text, font=font)
    draw.rectangle((left - 3, top - 2, right + 2, bottom + 2), fill=PANEL_COLOUR)
    draw.text(place, text, font=font, fill=WHITE)
    return np.array(picture)


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
        if getattr(sys, "frozen", False):  # made by PyInstaller, the executable is no Python
            Window(height=1, width=1).close()
        else:
            subprocess.run(command, capture_output=True, timeout=30, check=True)
    except (cv2.error, subprocess.SubprocessError):
        return f"OpenCV cannot open one here (display {displays[0]})"
    return None
