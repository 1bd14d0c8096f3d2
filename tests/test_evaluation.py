"""Scores, by hand on small cases."""

from typing import Any

import numpy as np
import pytest

from minixception.evaluation import (
    cross_entropy,
    format_splits,
    format_table,
    score,
    wilson_interval,
)

NAMES = ("cat", "dog", "owl")


def certain(predicted: list[int]) -> np.ndarray:
    """Probabilities 0.8 for the predicted class, the rest spread evenly."""
    return np.where(np.eye(3, dtype=bool)[predicted], np.float32(0.8), np.float32(0.1))


def test_a_small_case_by_hand() -> None:
    labels = np.array([0, 0, 0, 1, 1, 2])
    scores = score(labels, certain([0, 0, 1, 1, 2, 2]), NAMES)
    assert scores.n == 6
    assert scores.accuracy == pytest.approx(4 / 6)
    assert scores.confusion_matrix == ((2, 1, 0), (0, 1, 1), (0, 0, 1))
    assert [(each.name, each.total, each.correct) for each in scores.per_class] == [
        *(("cat", 3, 2), ("dog", 2, 1), ("owl", 1, 1)),
    ]
    found = [(each.precision, each.recall, each.f1) for each in scores.per_class]
    np.testing.assert_allclose(found, [(1, 2 / 3, 0.8), (0.5, 0.5, 0.5), (0.5, 1, 2 / 3)])
    assert scores.balanced_accuracy == pytest.approx((2 / 3 + 1 / 2 + 1) / 3)
    assert scores.macro_f1 == pytest.approx((0.8 + 0.5 + 2 / 3) / 3)
    assert scores.accuracy_interval == wilson_interval(4, 6)


def test_a_class_that_never_occurs() -> None:
    for predicted, accuracy, balanced, macro_f1 in (  # balanced: over the classes that occur
        ([0, 0, 1], 1, 1, 2 / 3),
        ([0, 2, 1], 2 / 3, (1 / 2 + 1) / 2, (2 / 3 + 1 + 0) / 3),
        ([2, 1, 0], 0, 0, 0),
    ):
        scores = score(np.array([0, 0, 1]), certain(predicted), NAMES)
        owl = scores.per_class[2]
        assert (owl.total, owl.correct, owl.precision, owl.recall, owl.f1) == (0, 0, 0, 0, 0)
        found = (scores.accuracy, scores.balanced_accuracy, scores.macro_f1)
        assert found == pytest.approx((accuracy, balanced, macro_f1))
        assert scores.confusion_matrix[2] == (0, 0, 0)


@pytest.mark.parametrize(
    ("labels", "probabilities"),
    [
        (np.array([], np.int64), np.zeros((0, 3), np.float32)),
        (np.array([0, 1]), np.zeros((3, 3), np.float32)),
        (np.array([0, 1]), np.zeros((2, 2), np.float32)),
    ],
)
def test_what_does_not_fit_together_is_refused(labels: Any, probabilities: Any) -> None:
    with pytest.raises(ValueError, match=r"Received: \d labels, shape=.*3 class names"):
        score(labels, probabilities, NAMES)


def test_cross_entropy_by_hand() -> None:
    targets = np.array([[1, 0], [0.5, 0.5]], np.float32)
    probabilities = np.array([[0.25, 0.75], [0.5, 0.5]], np.float32)
    assert cross_entropy(targets, probabilities) == pytest.approx((np.log(4) + np.log(2)) / 2)
    impossible = np.array([[0, 1]], np.float32)
    assert cross_entropy(targets[:1], impossible) == pytest.approx(-np.log(1e-7))


def test_the_table_has_a_line_per_class_and_the_summary() -> None:
    table = format_table(score(np.array([0, 1, 2, 2]), certain([0, 1, 2, 0]), NAMES))
    lines = table.splitlines()
    assert [line.split()[0] for line in lines] == ["class", *NAMES, "accuracy"]
    assert len({len(line) for line in lines[:-1]}) == 1
    assert "accuracy 0.7500" in lines[-1]
    assert "4 faces" in lines[-1]


def test_splits_stand_side_by_side() -> None:
    train = score(np.array([0, 0, 1, 1]), certain([0, 0, 1, 0]), ("a", "b", "c"))
    test = score(np.array([0, 2, 2]), certain([1, 2, 2]), ("a", "b", "c"))
    lines = [line.split() for line in format_splits({"train": train, "test": test}).splitlines()]
    assert lines == [
        ["train", "test"],
        ["class", *["total", "correct", "accuracy"] * 2],
        ["a", "2", "2", "1.000", "1", "0", "0.000"],
        ["b", "2", "1", "0.500", "0", "0", "-"],
        ["c", "0", "0", "-", "2", "2", "1.000"],
        ["all", "4", "3", "0.750", "3", "2", "0.667"],
    ]
