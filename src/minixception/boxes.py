"""Boxes around faces, and the crop that is cut out around a box.

A box is (x, y, width, height) in whole pixels, its origin the image's upper left corner. It covers
the columns x to x + width - 1 and the rows y to y + height - 1. An array of boxes has a row for
each.
"""

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

# A crop that is mostly surroundings is no longer a face to a network.
LARGEST_MARGIN = 10


class Box(NamedTuple):
    """A rectangle in pixels; it may reach beyond its image until it has been clipped."""

    x: int
    y: int
    width: int
    height: int

    @property
    def area(self) -> int:
        """Number of pixels covered, 0 for a box without width or height."""
        return max(self.width, 0) * max(self.height, 0)


def as_boxes(boxes: Iterable[Any]) -> list[Box]:
    """Turn boxes as detectors return them into boxes of whole pixels, not clipped.

    Args:
        boxes: any number of boxes (x, y, width, height), or a single one: tuples, lists or rows of
            an array (N, 4), of integers or floats. Edges are rounded rather than lengths.

    Raises:
        ValueError: if a box is not made of four finite numbers.

    >>> as_boxes([(10.6, 20, 5.2, 8), Box(1, 2, 3, 4)])
    [Box(x=11, y=20, width=5, height=8), Box(x=1, y=2, width=3, height=4)]
    """
    given = list(boxes)
    is_single = len(given) == 4 and not any(hasattr(each, "__len__") for each in given)
    return [_as_box(each) for each in ([given] if is_single else given)]


def _as_box(box: Any) -> Box:
    try:
        x, y, width, height = (float(number) for number in box)
        if not math.isfinite(x + y + width + height):
            raise ValueError("a number is infinite or NaN")
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"A box must be four numbers (x, y, width, height) in pixels. Received: {box!s:.100}"
        ) from error
    left, top = round(x), round(y)
    return Box(left, top, round(x + width) - left, round(y + height) - top)


def as_margin(value: Any) -> float:
    """Return how far a crop reaches beyond its box: on each side, a fraction of the box.

    0.1 adds a tenth of the box's width on the left and on the right, and a tenth of its height
    above and below; a negative fraction cuts some off. Early cards have four equal numbers.

    Raises:
        ValueError: if `value` is not one number for all sides, above -0.5, which leaves the middle
            of the box, and at most `LARGEST_MARGIN`.
    """
    sides = value if isinstance(value, list | tuple) and len(value) == 4 else [value]
    is_number = isinstance(sides[0], int | float) and not isinstance(sides[0], bool)
    # Written so that NaN fails too.
    if not is_number or not -0.5 < sides[0] <= LARGEST_MARGIN or sides.count(sides[0]) < len(sides):
        raise ValueError(
            "`margin` must be a fraction above -0.5, which leaves the middle of the box, and at "
            f"most {LARGEST_MARGIN}, the same for all sides. Received: margin={value!r}"
        )
    return float(sides[0])


def expand(box: Box, margin: float) -> Box:
    """Return the box grown by the margin, see `as_margin`, in whole pixels and not yet clipped.

    The result holds the pixel in the middle of the box.
    """
    sides = []
    for start, length in ((box.x, box.width), (box.y, box.height)):
        middle = start + (length - 1) // 2
        begin = min(round(start - margin * length), middle)
        end = max(round(start + length + margin * length), middle + 1)
        sides.append((begin, end - begin))
    (left, width), (top, height) = sides
    return Box(left, top, width, height)


def clip(box: Box, height: int, width: int) -> Box:
    """Return the part of the box inside an image of `height` rows and `width` columns.

    Raises:
        ValueError: if no pixel of the box lies inside the image.
    """
    left, top = max(box.x, 0), max(box.y, 0)
    right, bottom = min(box.x + box.width, width), min(box.y + box.height, height)
    if right <= left or bottom <= top:
        raise ValueError(
            f"`box` must share at least one pixel with the image of {height} rows and {width} "
            f"columns. Received: box={tuple(box)}"
        )
    return Box(left, top, right - left, bottom - top)


def crop_box(box: Box, margin: float, height: int, width: int) -> Box:
    """Return the part of an image of `height` x `width` pixels to cut out around a box.

    The box is clipped before it grows and after, so a box that touches the image has a crop.

    Raises:
        ValueError: if no pixel of the box lies inside the image.
    """
    return clip(expand(clip(box, height, width), margin), height, width)


def shared_area(first: Box, second: Box) -> int:
    """Return the number of pixels that two boxes have in common."""
    width = min(first.x + first.width, second.x + second.width) - max(first.x, second.x)
    height = min(first.y + first.height, second.y + second.height) - max(first.y, second.y)
    return max(width, 0) * max(height, 0)


def intersection_over_union(first: Box, second: Box) -> float:
    """Return the shared area of two boxes over the area of both: 0 (apart) to 1 (the same)."""
    shared = shared_area(first, second)
    union = first.area + second.area - shared
    return shared / union if union else 0.0


def intersections_over_unions(
    boxes: NDArray[np.floating], others: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Return the IoU (n, m) of boxes (x, y, width, height) with others."""
    lowest = np.maximum(boxes[:, None, :2], others[None, :, :2])
    ends, other_ends = boxes[:, :2] + boxes[:, 2:], others[:, :2] + others[:, 2:]
    common = np.clip(np.minimum(ends[:, None], other_ends[None]) - lowest, 0, None).prod(axis=2)
    union = boxes[:, 2:].prod(axis=1)[:, None] + others[:, 2:].prod(axis=1)[None] - common
    return common / np.maximum(union, 1e-9)
