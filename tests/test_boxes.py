import json
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from minixception.boxes import (
    Box,
    CropMargin,
    as_boxes,
    clip,
    crop_box,
    expand,
    intersection_over_union,
)

coordinates = st.integers(-300, 300)
lengths = st.integers(1, 300)
boxes = st.builds(Box, coordinates, coordinates, lengths, lengths)
fractions = st.floats(-0.5, 2.0, exclude_min=True)
margins = st.builds(CropMargin, fractions, fractions, fractions, fractions)


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
    box: Box, margin: CropMargin, height: int, width: int
) -> None:
    if intersection_over_union(box, Box(0, 0, width, height)) > 0:
        visible = clip(box, height, width)
        cropped = crop_box(box, margin, height, width)
        assert clip(cropped, height, width) == cropped
        assert intersection_over_union(expand(visible, margin), visible) > 0


@pytest.mark.parametrize(
    ("margin", "expected"),
    [
        (CropMargin.from_json(0.1), Box(90, 180, 120, 240)),
        (CropMargin.from_json(-0.1), Box(110, 220, 80, 160)),
        (CropMargin(top=0.1, bottom=-0.1), Box(100, 180, 100, 200)),
        (CropMargin(left=0.5), Box(50, 200, 150, 200)),
    ],
)
def test_margin_is_a_fraction_of_the_box(margin: CropMargin, expected: Box) -> None:
    assert expand(Box(100, 200, 100, 200), margin) == expected


@given(margins)
def test_margin_survives_json(margin: CropMargin) -> None:
    assert CropMargin.from_json(json.loads(json.dumps(margin.to_json()))) == margin


def test_margins_in_json_and_those_that_are_refused() -> None:
    assert CropMargin.from_json([0.1] * 4).to_json() == 0.1  # one number where one will do
    assert CropMargin(top=0.1, bottom=-0.1).to_json() == [0.0, 0.1, 0.0, -0.1]
    for value in (None, "0.1", True, [0.1], [0.1] * 5, [0.1, 0.1, 0.1, None]):
        with pytest.raises(ValueError, match="one number or four numbers"):
            CropMargin.from_json(value)
    for fraction in (-0.5, -3.0, float("nan"), float("inf")):  # which lose the middle
        with pytest.raises(ValueError, match=r"fractions greater than -0\.5"):
            CropMargin(right=fraction)


@given(boxes, boxes)
def test_intersection_over_union_is_symmetric_and_bounded(first: Box, second: Box) -> None:
    value = intersection_over_union(first, second)
    assert 0 <= value <= 1
    assert value == intersection_over_union(second, first)
    assert intersection_over_union(first, first) == 1


def test_intersection_over_union_of_known_boxes() -> None:
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
