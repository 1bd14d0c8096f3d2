"""Boxes around faces, and the crop that is cut out around a box.

A box is (x, y, width, height) in whole pixels, its origin the image's upper left corner. It covers
the columns x to x + width - 1 and the rows y to y + height - 1. Plain Python, no array library.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from typing import Any, NamedTuple

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


@dataclass(frozen=True)
class CropMargin:
    """How far a crop reaches beyond its box, each side a fraction of the box.

    `left` and `right` are fractions of the box's width, `top` and `bottom` of its height. 0.1 adds
    a tenth of the box on that side, a negative fraction cuts some off: `top=0.1, bottom=-0.1` moves
    the crop up without changing its size.

    Raises:
        ValueError: if a fraction is not above -0.5, so that the crop would lose the middle of the
            box, or if it is above `LARGEST_MARGIN`.
    """

    left: float = 0.0
    top: float = 0.0
    right: float = 0.0
    bottom: float = 0.0

    def __post_init__(self) -> None:
        # Written so that NaN fails too.
        if not all(-0.5 < fraction <= LARGEST_MARGIN for fraction in astuple(self)):
            raise ValueError(
                "`margin` must have fractions greater than -0.5, which leave the middle of the "
                f"box, and at most {LARGEST_MARGIN}. Received: margin={self}"
            )

    @classmethod
    def from_json(cls, value: Any) -> CropMargin:
        """Build a margin from one number for all sides, or from [left, top, right, bottom].

        Raises:
            ValueError: if `value` is neither one number nor four numbers.
        """
        sides = value if isinstance(value, list | tuple) else [value] * 4
        if len(sides) == 4 and all(_is_number(side) for side in sides):
            return cls(*map(float, sides))
        raise ValueError(
            "`margin` must be one number or four numbers [left, top, right, bottom]. "
            f"Received: margin={value!r}"
        )

    def to_json(self) -> float | list[float]:
        """Return one number where all sides are equal, else [left, top, right, bottom]."""
        sides = [self.left, self.top, self.right, self.bottom]
        return sides[0] if len(set(sides)) == 1 else sides


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def expand(box: Box, margin: CropMargin) -> Box:
    """Return the box grown by the margin, rounded to whole pixels and not yet clipped.

    The result holds the pixel in the middle of the box.
    """
    left, right = _expand_side(box.x, box.width, margin.left, margin.right)
    top, bottom = _expand_side(box.y, box.height, margin.top, margin.bottom)
    return Box(left, top, right - left, bottom - top)


def _expand_side(start: int, length: int, before: float, after: float) -> tuple[int, int]:
    """Return where a side begins and ends; the pixel in its middle is always inside."""
    middle = start + (length - 1) // 2
    begin = min(round(start - before * length), middle)
    return begin, max(round(start + length + after * length), middle + 1)


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


def crop_box(box: Box, margin: CropMargin, height: int, width: int) -> Box:
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
