from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from minixception.boxes import (
    Box,
    as_boxes,
    as_margin,
    clip,
    crop_box,
    expand,
    intersection_over_union,
)

coordinates = st.integers(-300, 300)
lengths = st.integers(1, 300)
boxes = st.builds(Box, coordinates, coordinates, lengths, lengths)
margins = st.floats(-0.5, 2.0, exclude_min=True)


@given(boxes, lengths, lengths)
@example(Box(99, 79, 50, 50), 80, 100)
@example(Box(100, 0, 5, 5), 80, 100)
@example(Box(0, -5, 5, 5), 80, 100)
def test_clipped_box_is_the_shared_part_or_an_error(box: Box, height: int, width: int) -> None:
    rows = sorted({*range(box.y, box.y + box.height)} & {*range(height)})
    columns = sorted({*range(box.x, box.x + box.width)} & {*range(width)})
    if rows and columns:
        expected = Box(columns[0], rows[0], len(columns), len(rows))
        assert clip(box, height, width) == expected
    else:
        with pytest.raises(ValueError, match=f"image of {height} rows and {width} columns"):
            clip(box, height, width)


@given(boxes, margins, lengths, lengths)
def test_crop_of_a_visible_box_stays_inside(
    box: Box, margin: float, height: int, width: int
) -> None:
    if intersection_over_union(box, Box(0, 0, width, height)) > 0:
        visible = clip(box, height, width)
        cropped = crop_box(box, margin, height, width)
        assert clip(cropped, height, width) == cropped
        assert intersection_over_union(expand(visible, margin), visible) > 0


@pytest.mark.parametrize(
    ("margin", "expected"),
    [
        (0.1, Box(90, 180, 120, 240)),
        (-0.1, Box(110, 220, 80, 160)),
        (0.002, Box(100, 200, 100, 200)),
        (0.005, Box(100, 199, 100, 202)),  # halves go to the even neighbour
    ],
)
def test_margin_is_a_fraction_of_the_box(margin: float, expected: Box) -> None:
    assert expand(Box(100, 200, 100, 200), margin) == expected


def test_margins_and_what_is_refused() -> None:
    assert [as_margin(value) for value in (0.1, 1, [0.1] * 4)] == [0.1, 1.0, 0.1]
    refused = [None, "0.1", True, [0.1], [0.1] * 5, [0.1] * 3 + [None], [0.1, 0.2, 0.3, 0.4]]
    for value in (*refused, -0.5, -3.0, float("nan"), float("inf"), [float("inf")] * 4):
        with pytest.raises(ValueError, match=r"fraction above -0\.5.*the same for all sides"):
            as_margin(value)


@given(boxes, boxes)
def test_intersection_over_union_is_symmetric_and_bounded(first: Box, second: Box) -> None:
    value = intersection_over_union(first, second)
    assert 0 <= value <= 1
    assert value == intersection_over_union(second, first)
    assert intersection_over_union(first, first) == 1
    assert intersection_over_union(Box(0, 0, 10, 10), Box(5, 0, 10, 10)) == pytest.approx(1 / 3)
    assert intersection_over_union(Box(0, 0, 0, 0), Box(0, 0, 0, 0)) == 0


@pytest.mark.parametrize(
    "box",
    [
        (10, 20, 30, 40),
        [10.4, 19.6, 29.7, 40.0],
        *(np.array([10, 20, 30, 40], kind) for kind in (np.int32, np.float32)),
        Box(10, 20, 30, 40),
    ],
)
def test_four_numbers_are_a_box(box: Any) -> None:
    assert as_boxes([box]) == as_boxes(box) == [Box(10, 20, 30, 40)]
    assert {type(number) for number in as_boxes(box)[0]} == {int}
    assert len(as_boxes([box] * 4)) == len(as_boxes(iter([box] * 4))) == 4
    left, right = as_boxes([(0, 0, 10.5, 4), (10.5, 0, 10.4, 4)])  # neighbours of fractions touch
    assert left.x + left.width == right.x
    assert right.x + right.width == 21


@pytest.mark.parametrize(
    "box", [(1, 2, 3), np.zeros(15), (1, 2, 3, float("nan")), (1, 2, float("inf"), 4), "abcd", 5]
)
def test_what_is_no_box_is_refused(box: Any) -> None:
    with pytest.raises(ValueError, match=r"must be four numbers \(x, y, width, height\)"):
        as_boxes([box])
