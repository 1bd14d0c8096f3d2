from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from made_up_data import make_dataset
from minixception.datasets import FaceDataset, stratified_split, twins_of


def make(**changes: Any) -> FaceDataset:
    fields: dict[str, Any] = {
        "images": np.random.default_rng(0).integers(0, 256, (6, 4, 5, 1), dtype=np.uint8),
        "splits": np.array(["train", "train", "test"] * 2),
        "attributes": {"age": np.arange(6)},
    }
    return replace(make_dataset("abc", [0, 1, 2] * 2, name="made up", **fields), **changes)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("images", np.zeros((6, 4, 5, 1), np.float32)),
        ("images", np.zeros((6, 4, 5), np.uint8)),
        ("images", np.zeros((6, 4, 5, 2), np.uint8)),
        ("labels", np.zeros(6, np.int32)),
        ("labels", np.zeros(5, np.int64)),
        ("labels", np.full(6, 3)),
        ("labels", np.full(6, -1)),
        ("splits", ["train"] * 6),
        ("attributes", {"age": np.zeros(2)}),
        ("targets", np.ones((6, 3), np.float32)),
        ("targets", np.full((6, 3), np.nan, np.float32)),
        ("targets", np.ones((6, 2), np.float32)),
    ],
)
def test_inconsistent_fields_are_refused(field: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"`{field}.* must be .* Received: "):
        make(**{field: value})


def test_rows_are_selected_in_order_with_all_fields() -> None:
    targets = np.eye(3, dtype=np.float32)[np.arange(6) % 3]
    dataset = make(targets=targets)
    mask = np.isin(np.arange(6), [2, 5])
    for rows, part in (
        ([2, 5], dataset.split("test")),
        ([2, 5], dataset.select(mask)),
        ([5, 0], dataset.select(np.array([5, 0]))),
        ([], dataset.select(np.array([], dtype=int))),
    ):
        assert len(part) == len(rows)
        assert np.array_equal(part.images, dataset.images[rows])
        assert np.array_equal(part.distributions, targets[rows])
        assert part.attributes["age"].tolist() == rows
    assert dataset.split("test").class_counts() == {"a": 0, "b": 0, "c": 2}
    for wrong in (np.array([True, False]), np.array([0.5]), np.array([6])):
        with pytest.raises(IndexError):
            dataset.select(wrong)
    with pytest.raises(ValueError, match=r"one of train, test. Received: split='val'"):
        dataset.split("val")
    with pytest.raises(ValueError, match="made up has no splits"):
        make(splits=None).split("train")


def test_twins_are_found_by_content() -> None:
    dataset = make()
    reference = dataset.select(np.array([1, 4]))
    assert twins_of(dataset, reference).tolist() == [False, True, False, False, True, False]
    with pytest.raises(ValueError, match="`reference` must be of the form"):
        twins_of(dataset, make(images=np.zeros((6, 4, 4, 1), np.uint8)))


@given(
    st.lists(st.integers(0, 5), max_size=80),
    st.lists(st.floats(0.01, 1), min_size=1, max_size=4),
    st.integers(0, 9),
)
def test_a_split_has_every_row_once_and_each_class_in_its_shares(
    labels: list[int], weights: list[float], seed: int
) -> None:
    fractions = {f"part {i}": weight / sum(weights) for i, weight in enumerate(weights)}
    classes = np.array(labels, dtype=np.int64)
    splits = stratified_split(classes, fractions=fractions, seed=seed)
    assert splits.shape == classes.shape
    assert set(splits) <= set(fractions)
    for label in set(labels):
        for name, share in fractions.items():
            found = ((classes == label) & (splits == name)).sum()
            assert abs(found - share * labels.count(label)) <= 1
    again = stratified_split(classes, fractions=fractions, seed=seed)
    np.testing.assert_array_equal(splits, again)
