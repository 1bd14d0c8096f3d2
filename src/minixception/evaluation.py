"""Scores of a classifier. Arrays in, plain data out."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minixception.messages import counted, require

_BINS = 15  # of probabilities, to see how well they are calibrated


@dataclass(frozen=True)
class ClassScores:
    """Scores of one class. A ratio without cases (0 / 0) is 0."""

    name: str
    total: int
    correct: int
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class Scores:
    """Scores of a classifier on one set.

    Attributes:
        n: number of faces.
        accuracy: share of faces whose most probable class is the right one.
        accuracy_interval: its 95 % Wilson score interval.
        balanced_accuracy: mean recall of the classes that occur.
        macro_f1: mean F1 of all classes.
        calibration_error: see `expected_calibration_error`.
        per_class: scores of each class, in class order.
        confusion_matrix: (K, K) counts, rows the true class, columns the predicted one.
    """

    n: int
    accuracy: float
    accuracy_interval: tuple[float, float]
    balanced_accuracy: float
    macro_f1: float
    calibration_error: float
    per_class: tuple[ClassScores, ...]
    confusion_matrix: tuple[tuple[int, ...], ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain data; `per_class` is keyed by class name."""
        rows = map(asdict, self.per_class)
        return {
            **asdict(self),
            "accuracy_interval": list(self.accuracy_interval),
            "per_class": {row.pop("name"): row for row in rows},
            "confusion_matrix": [list(row) for row in self.confusion_matrix],
        }


def score(
    labels: NDArray[np.int64], probabilities: NDArray[np.float32], class_names: Sequence[str]
) -> Scores:
    """Score predictions.

    Args:
        labels: int64 (N,), the true classes.
        probabilities: (N, K), the model's output.
        class_names: K names, in class order.

    Raises:
        ValueError: if there are no faces, or the shapes do not fit together.
    """
    labels = np.asarray(labels)
    if len(labels) == 0 or probabilities.shape != (len(labels), len(class_names)):
        raise ValueError(
            "`probabilities` must have a row per label and a column per class name. Received: "
            f"{counted(len(labels), 'label')}, shape={probabilities.shape}, "
            f"{counted(len(class_names), 'class name')}"
        )
    require("sklearn", what="scoring")
    from sklearn import metrics

    predicted, classes = probabilities.argmax(axis=1), np.arange(len(class_names))
    matrix = metrics.confusion_matrix(labels, predicted, labels=classes)
    precision, recall, f1, _ = metrics.precision_recall_fscore_support(
        labels, predicted, labels=classes, zero_division=0
    )
    # Not as counted there: those are floats if no answer is right.
    totals, correct = matrix.sum(axis=1), np.diag(matrix)
    columns = (column.tolist() for column in (totals, correct, precision, recall, f1))
    return Scores(
        n=len(labels),
        accuracy=float(correct.sum() / len(labels)),
        accuracy_interval=wilson_interval(int(correct.sum()), len(labels)),
        balanced_accuracy=float(recall[totals > 0].mean()),
        macro_f1=float(f1.mean()),
        calibration_error=expected_calibration_error(labels, probabilities),
        per_class=tuple(map(ClassScores, class_names, *columns)),
        confusion_matrix=tuple(map(tuple, matrix.tolist())),
    )


def cross_entropy(targets: NDArray[np.float32], probabilities: NDArray[np.float32]) -> float:
    """Mean cross-entropy in nats of (N, K) predictions against (N, K) target distributions."""
    smallest = 1e-7  # as in Keras: log(0) must not be infinite
    logarithms = np.log(np.clip(probabilities.astype(np.float64), smallest, 1.0))
    return float(-(targets * logarithms).sum(axis=1).mean())


def expected_calibration_error(
    labels: NDArray[np.int64], probabilities: NDArray[np.float32]
) -> float:
    """Return how far the probability of the answers is from their accuracy, on average.

    Answers are put into 15 bins of equal width by their probability; the differences are weighted
    by the faces in a bin (Guo et al. 2017, arXiv 1706.04599, equation 3). `labels` are the true
    classes, int64 (N,), `probabilities` (N, K) the model's output.

    >>> expected_calibration_error(np.array([0, 1]), np.array([[0.75, 0.25], [0.75, 0.25]]))
    0.25
    """
    highest = probabilities.max(axis=1).astype(np.float64)
    difference = highest - (probabilities.argmax(axis=1) == labels)
    place = np.minimum((highest * _BINS).astype(int), _BINS - 1)
    return float(np.abs(np.bincount(place, difference, _BINS)).sum() / len(labels))


def with_temperature(probabilities: NDArray[np.float32], temperature: float) -> NDArray[np.float32]:
    """Return probabilities (N, K) as if the logits behind them were divided by a temperature.

    Above 1 they become less sure, below 1 more so; the order of the classes stays.

    >>> with_temperature(np.array([[0.9, 0.1]], np.float32), 2.0).round(3)
    array([[0.75, 0.25]], dtype=float32)
    """
    if temperature == 1.0:
        return probabilities
    powers = (probabilities / probabilities.max(axis=-1, keepdims=True)) ** (1 / temperature)
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True), probabilities.dtype)


def fit_temperature(targets: NDArray[np.float32], probabilities: NDArray[np.float32]) -> float:
    """Return the temperature, from 0.2 to 5, that gives the least cross-entropy.

    `targets` (N, K) are distributions over the classes, `probabilities` (N, K) what a model says of
    faces that it was not trained on.
    """
    tried = np.round(np.geomspace(0.2, 5.0, 200), 2)
    losses = [cross_entropy(targets, with_temperature(probabilities, each)) for each in tried]
    return float(tried[int(np.argmin(losses))])


def wilson_interval(correct: int, total: int) -> tuple[float, float]:
    """Return the 95 % score interval of a share (Wilson 1927).

    >>> [round(bound, 4) for bound in wilson_interval(2351, 3589)]
    [0.6393, 0.6704]
    """
    from scipy.stats import binomtest

    low, high = binomtest(correct, total).proportion_ci(method="wilson")
    return float(low), float(high)


def format_table(scores: Scores) -> str:
    """Lay the scores out as text: a line per class, then the summary."""
    import pandas

    table = pandas.DataFrame(map(asdict, scores.per_class)).set_index("name")
    table = table.rename_axis(columns="class", index=None)
    low, high = scores.accuracy_interval
    return (
        f"{table.to_string(float_format='{:.3f}'.format)}\n"
        f"accuracy {scores.accuracy:.4f} (95 % interval {low:.4f} to {high:.4f}), "
        f"balanced {scores.balanced_accuracy:.4f}, macro-F1 {scores.macro_f1:.4f}, "
        f"calibration error {scores.calibration_error:.4f}, {counted(scores.n, 'face')}"
    )


def format_splits(scores: Mapping[str, Scores]) -> str:
    """Lay the scores of several splits side by side: total, correct and accuracy of each class.

    Args:
        scores: name of a split -> its scores, all with the same classes; at least one.
    """
    import pandas

    tables = {}
    for name, split in scores.items():
        rows = [(row.name, row.total, row.correct) for row in split.per_class]
        rows.append(("all", split.n, sum(row.correct for row in split.per_class)))
        table = pandas.DataFrame(rows, columns=["class", "total", "correct"]).set_index("class")
        tables[name] = table.assign(accuracy=table.correct / table.total)
    table = pandas.concat(tables, axis=1).rename_axis(columns=["", "class"], index=None)
    return table.to_string(float_format="{:.3f}".format, na_rep="-")
