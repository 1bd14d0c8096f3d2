from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from made_up_data import make_dataset
from minixception.evaluation import score, wilson_interval
from minixception.limits.measurements import (
    EVERYBODY,
    SMALLEST_CLASS,
    age_bands,
    balanced_interval,
    choose_rows,
    confusion_table,
    first_noticeable,
    score_groups,
    score_levels,
)

GENDERS = ("woman", "man")


def certain(predicted: np.ndarray, classes: int = 2) -> np.ndarray:
    return np.eye(classes, dtype=np.float32)[predicted]


@settings(max_examples=8, deadline=None)
@given(
    faces=st.lists(st.tuples(st.integers(0, 116), st.integers(0, 1), st.integers(0, 1)), min_size=1)
)
def test_groups_partition_the_faces_and_the_table_adds_up(
    faces: list[tuple[int, int, int]],
) -> None:
    ages, labels, predicted = np.array(faces).T
    rows = score_groups(labels, certain(predicted), GENDERS, age_bands(ages))
    *groups, everybody = rows
    assert everybody["group"] == EVERYBODY
    whole = score(labels, certain(predicted), GENDERS)
    assert everybody["accuracy"] == whole.accuracy
    assert everybody["faces"] == len(faces)
    for column in ("faces", "woman", "woman_correct", "man", "man_correct"):
        assert sum(row[column] for row in groups) == everybody[column]
    for row in rows:
        assert row["low"] <= row["balanced_accuracy"] <= row["high"]


def test_every_age_is_in_the_band_that_its_name_says() -> None:
    ages = np.arange(117)
    for age, band in zip(ages, age_bands(ages), strict=True):
        first, _, last = band.partition(" to ")
        if last:
            assert int(first) <= age <= int(last)
        else:
            assert band == "70 and older"
            assert age >= 70
    names = age_bands(ages).tolist()
    assert names == sorted(names)


def test_the_interval_of_a_balanced_accuracy() -> None:
    labels = np.repeat([0, 1], [80, 20])
    predicted = np.concatenate([np.repeat([0, 1], [72, 8]), np.repeat([0, 1], [5, 15])])
    low, high = balanced_interval(score(labels, certain(predicted), GENDERS))
    (low0, high0), (low1, high1) = wilson_interval(72, 80), wilson_interval(15, 20)
    assert low == pytest.approx(0.825 - np.hypot(0.9 - low0, 0.75 - low1) / 2)
    assert high == pytest.approx(0.825 + np.hypot(high0 - 0.9, high1 - 0.75) / 2)
    # Of one class alone it is Wilson's.
    alone = score(labels[:80], certain(predicted[:80]), GENDERS)
    assert balanced_interval(alone) == pytest.approx((low0, high0))


def test_small_groups_take_more_faces_in() -> None:
    def rows(split: str, sizes: dict[str, int]) -> list[dict]:
        groups = np.repeat(list(sizes), [2 * size for size in sizes.values()])
        labels = np.tile([0, 1], len(groups) // 2)
        scored = score_groups(labels, certain(labels), GENDERS, groups)
        return [{"kind": "age", "split": split, **row} for row in scored]

    test = rows("test", {"a": SMALLEST_CLASS, "b": SMALLEST_CLASS - 1})
    more = rows("both", {"a": 50, "b": 50, "c": 2})
    chosen = choose_rows(pandas.DataFrame([*test, *more]), GENDERS)
    assert chosen[["label", "split", "is_small"]].to_numpy().tolist() == [
        ["a", "test", False],
        ["b", "both", False],
        ["c *", "both", True],
        [EVERYBODY, "test", False],
    ]


def test_confusions_are_all_errors_the_most_frequent_first() -> None:
    labels = np.array([0] * 5 + [1] * 4)
    scores = score(labels, certain(np.array([0, 2, 2, 1, 2, 1, 1, 1, 0]), 3), ("a", "b", "c"))
    found = confusion_table(scores)
    errors = [f"{row.true}{row.predicted}{row[3]}" for row in found.itertuples()]
    assert errors == ["ac3", "ab1", "ba1", "bc0", "ca0", "cb0"]
    assert found.share.iloc[0] == pytest.approx(3 / 5)
    assert found.share.iloc[-1] == 0


def test_a_level_tells_the_most_frequent_answer() -> None:
    model: Any = SimpleNamespace(
        card=SimpleNamespace(task="gender"),
        predict_faces=lambda faces: certain(np.zeros(len(faces), int)),
    )
    faces = make_dataset(GENDERS, [0, 1, 1, 1], shape=(16, 16, 1))
    for row in score_levels(model, faces, seed=0, report=lambda _: None):
        assert row["most_frequent_answer"] == "woman"
        assert (row["its_share"], row["accuracy"], row["mean_probability"]) == (1, 0.25, 1)


@pytest.mark.parametrize(
    ("correct", "first"),
    [((90, 88, 85, 70), 2), ((90, 89, 88, 87), None), ((90, 80, 89, 70), 3), ((90, 10), 1)],
)
def test_the_first_level_that_is_noticed(correct: tuple[int, ...], first: int | None) -> None:
    assert first_noticeable([number / 100 for number in correct]) == first
