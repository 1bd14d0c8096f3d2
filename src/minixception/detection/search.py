"""What detectors share: their protocol, the working copy, boxes brought back to the image."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import numpy as np

from minixception.boxes import Box, clip, intersection_over_union

SMALLEST_FACE = 0.025
"""Side of the smallest face to find unless `min_face` is given, as a share of the shorter side."""

# Pixels of the smallest face in the working copy. Of 22 portraits (20 from webmorph.org, 2 of
# images/) at 1.3 the cascade finds all from 44 on, 20 at 36 to 38 and 19 at 30, as its windows step
# up from 24.
HAAR_FACE_PIXELS = 48

# Two boxes that share more (intersection over union) frame one face. Boxes of a close crop at 1.3
# are often half as wide as the face, which is 0.25.
_ONE_FACE = 0.2


class FaceDetector(Protocol):
    """Anything that finds faces."""

    def detect(self, image: np.ndarray) -> list[Box]:
        """Return the boxes of the faces in an image, from left to right.

        Args:
            image: RGB uint8 (height, width, 3).

        Returns:
            Boxes in pixels of `image`, clipped to it, sorted by x and then by y; an empty list
            where no face is found.
        """


class PerThread(threading.local):
    """Hold one `value` per thread: `threading.local` runs `__init__` again in each thread.

    OpenCV's objects cannot be pickled, so the function that builds them is.
    """

    def __init__(self, build: Callable[[], Any]) -> None:
        self._build = build
        self.value = build()

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._build,)


def require_at_least(name: str, value: int, lowest: int) -> None:
    """Raise a ValueError for an argument that is too small."""
    if value < lowest:
        raise ValueError(f"`{name}` must be at least {lowest}. Received: {name}={value}")


class SizedSearch:
    """Knows how large a copy of a picture a detector must search, and which faces are too small.

    Args:
        face_pixels: side that the smallest face of interest has in the copy.
        min_face: side of that face in pixels of the picture; None for 2.5 % of the shorter side.
        working_size: longer side of the copy in pixels, unless `min_face` needs more; None for a
            copy that is just large enough for the smallest face.

    Raises:
        ValueError: if `min_face` or `working_size` is too small.
    """

    def __init__(self, face_pixels: int, min_face: int | None, working_size: int | None) -> None:
        if min_face is not None:
            require_at_least("min_face", min_face, 1)
        if working_size is not None:
            require_at_least("working_size", working_size, HAAR_FACE_PIXELS)
        self._face_pixels = face_pixels
        self._min_face = min_face
        self._working_size = working_size

    def smallest_face(self, height: int, width: int) -> int | None:
        """Return the side of the smallest face searched for, None if nothing limits it."""
        scale = self._scale(height, width)
        return self._min_face or (round(self._face_pixels / scale) if scale < 1 else None)

    def reduction(self, height: int, width: int, face_pixels: int) -> int:
        """Return how many times smaller a picture may be read along each side: 1, 2, 4 or 8.

        The smallest face searched for keeps `face_pixels`. With `min_face` it is 1.
        """
        smallest = self.smallest_face(height, width)
        if self._min_face is not None or smallest is None:
            return 1
        return max(step for step in (1, 2, 4, 8) if step == 1 or smallest >= step * face_pixels)

    def _scale(self, height: int, width: int, *, most: float = 1.0) -> float:
        """Return the size of the copy as a share of the picture's, at most `most`."""
        pixels, min_face = self._face_pixels, self._min_face
        if self._working_size is None:
            return min(pixels / (min_face or SMALLEST_FACE * min(height, width)), most)
        needed = pixels / min_face if min_face is not None else 0.0
        return min(max(self._working_size / max(height, width), needed), most)


def size_of_copy(height: int, width: int, scale: float) -> tuple[int, int]:
    """Return (height, width) of a picture at a scale, at least one pixel each."""
    return max(round(height * scale), 1), max(round(width * scale), 1)


def merge_boxes(first: list[Box], second: list[Box]) -> list[Box]:
    """Return the boxes of two searches; of a face that both have found, that of the first."""
    more = [
        box
        for box in second
        if all(intersection_over_union(box, other) < _ONE_FACE for other in first)
    ]
    return sorted([*first, *more])


def boxes_in_image(
    found: Iterable[Iterable[float]], size: tuple[int, int], height: int, width: int
) -> list[Box]:
    """Bring boxes from the working copy to the image: whole pixels, clipped, sorted.

    A box without a pixel in the image is left out: YuNet may place one beyond the border.
    """
    whole_image = Box(0, 0, width, height)
    across, down = width / size[1], height / size[0]
    boxes = []
    for x, y, box_width, box_height in found:
        left, right = round(x * across), round((x + box_width) * across)
        top, bottom = round(y * down), round((y + box_height) * down)
        boxes.append(Box(left, top, right - left, bottom - top))
    visible = [box for box in boxes if intersection_over_union(box, whole_image) > 0]
    return sorted(clip(box, height, width) for box in visible)
