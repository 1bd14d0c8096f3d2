import re
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas
import pytest

from made_up_data import make_dataset
from minixception.evaluation import score, wilson_interval
from minixception.limits.measurements import (
    EVERYBODY,
    SMALLEST_CLASS,
    balanced_interval,
    choose_rows,
    confusion_table,
    first_noticeable,
    score_levels,
)

GENDERS = ("woman", "man")


def certain(predicted: np.ndarray, classes: int = 2) -> np.ndarray:
    return np.eye(classes, dtype=np.float32)[predicted]


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
    enough, few = SMALLEST_CLASS, SMALLEST_CLASS - 1
    rows = [
        *(("a", "test", enough), ("b", "test", few), (EVERYBODY, "test", enough + few)),
        *(("a", "both", 50), ("b", "both", 50), ("c", "both", 2), (EVERYBODY, "both", 102)),
    ]
    groups = pandas.DataFrame(rows, columns=["group", "split", "woman"])
    chosen = choose_rows(groups.assign(kind="age", man=100), GENDERS)
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


def test_a_level_tells_the_most_frequent_answer_and_what_remains(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level("INFO")
    monkeypatch.setattr("minixception.messages._SECONDS_BETWEEN_REPORTS", -1)
    model: Any = SimpleNamespace(
        card=SimpleNamespace(task="gender"),
        predict_faces=lambda faces: certain(np.zeros(len(faces), int)),
    )
    faces = make_dataset(GENDERS, [0, 1, 1, 1], shape=(16, 16, 1))
    rows = [*score_levels((model, faces), seed=0)]
    for row in rows:
        assert row["most_frequent_answer"] == "woman"
        assert (row["its_share"], row["accuracy"], row["mean_probability"]) == (1, 0.25, 1)
    assert re.match(rf"1 of {len(rows)} levels measured, \d+ s left", caplog.messages[2])
    assert "gender, size 16: accuracy 0.2500" in caplog.messages


@pytest.mark.parametrize(
    ("correct", "first"),
    [((90, 88, 85, 70), 2), ((90, 89, 88, 87), None), ((90, 10), 1)],
)
def test_the_first_level_that_is_noticed(correct: tuple[int, ...], first: int | None) -> None:
    assert first_noticeable([number / 100 for number in correct]) == first
