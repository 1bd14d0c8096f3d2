"""What `report-limits` has measured, and the tables and pictures of it."""

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minixception.cards import Card
from minixception.evaluation import Scores, wilson_interval
from minixception.limits import GroupScores, LevelScores, confusions
from minixception.perturbations import PERTURBATIONS, perturb
from minixception.storage import atomic_path

GROUPS_PICTURE = "gender_by_group.png"
CONFUSIONS_PICTURE = "emotion_confusions.png"
LEVELS_PICTURE = "perturbations.png"
EXAMPLES_PICTURE = "perturbed_face.jpg"  # a photograph: as PNG it takes three times the space
GROUPS_TABLE = "gender_by_group.csv"
RECALL_TABLE = "emotion_recall.csv"
CONFUSIONS_TABLE = "emotion_confusions.csv"
LEVELS_TABLE = "perturbations.csv"


@dataclass(frozen=True)
class Subject:
    """A model and the held-out faces that it was tried on.

    Attributes:
        card: of the model.
        dataset: name of the data set.
        checksum: of the data set.
        split: its part that the faces are from.
        width: of the faces in pixels.
        scores: on the faces as they are.
    """

    card: Card
    dataset: str
    checksum: str
    split: str
    width: int
    scores: Scores


@dataclass(frozen=True)
class LimitsReport:
    """All that the page, its tables and its pictures are made of.

    Attributes:
        command: the command that measured.
        commit: of the checkout that ran, or None where there is none.
        seed: of noise and of the direction of turns.
        emotion: the emotion model and its faces.
        gender: likewise.
        twins: faces of `emotion` with a pixel-identical twin among the training faces.
        groups: kind of groups ("age", "ethnicity code") to the scores of its groups, on the test
            split, then on the test and validation splits together.
        levels: scores at each level of each perturbation, for both tasks.
        has_example: whether there is a picture of one face at each level.
    """

    command: str
    commit: str | None
    seed: int
    emotion: Subject
    gender: Subject
    twins: int
    groups: Mapping[str, tuple[list[GroupScores], list[GroupScores]]]
    levels: list[LevelScores]
    has_example: bool = False

    def levels_of(self, perturbation: str, task: str) -> list[LevelScores]:
        """Return the scores of one perturbation and task, the mildest level first."""
        return [row for row in self.levels if (row.perturbation, row.task) == (perturbation, task)]


def write_tables(report: LimitsReport, folder: Path) -> None:
    """Write the four CSV tables into a folder; shares are rounded to four digits."""
    _write_table(folder / GROUPS_TABLE, _group_rows(report))
    _write_table(folder / RECALL_TABLE, _recall_rows(report.emotion.scores))
    _write_table(
        folder / CONFUSIONS_TABLE, (vars(one) for one in confusions(report.emotion.scores))
    )
    _write_table(folder / LEVELS_TABLE, (_level_row(one) for one in report.levels))


def _write_table(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    table = list(rows)
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(table[0]), lineterminator="\n")
        writer.writeheader()
        for row in table:
            writer.writerow(
                {
                    name: f"{value:.4f}" if isinstance(value, float) and name != "level" else value
                    for name, value in row.items()
                }
            )


def _group_rows(report: LimitsReport) -> Iterable[dict[str, Any]]:
    for kind, splits in report.groups.items():
        for row in (row for rows in splits for row in rows):
            yield {
                "kind": kind,
                "group": row.group,
                "split": row.split,
                "faces": row.scores.n,
                **_totals(row.scores),
                "balanced_accuracy": row.scores.balanced_accuracy,
                "low": row.interval[0],
                "high": row.interval[1],
                "accuracy": row.scores.accuracy,
            }


def _totals(scores: Scores) -> dict[str, int]:
    """Return number of faces and of right answers of each class, as columns."""
    columns: dict[str, int] = {}
    for row in scores.per_class:
        columns |= {row.name: row.total, f"{row.name}_correct": row.correct}
    return columns


def _recall_rows(scores: Scores) -> Iterable[dict[str, Any]]:
    for row in scores.per_class:
        low, high = wilson_interval(row.correct, row.total) if row.total else (0.0, 1.0)
        yield {
            "emotion": row.name,
            "faces": row.total,
            "correct": row.correct,
            "recall": row.recall,
            "low": low,
            "high": high,
            "precision": row.precision,
        }


def _level_row(row: LevelScores) -> dict[str, Any]:
    low, high = row.scores.accuracy_interval
    return {
        "perturbation": row.perturbation,
        "level": row.level,
        "task": row.task,
        "faces": row.scores.n,
        "accuracy": row.scores.accuracy,
        "low": low,
        "high": high,
        "balanced_accuracy": row.scores.balanced_accuracy,
        "most_frequent_answer": row.answer,
        "its_share": row.answer_share,
        "mean_probability": row.confidence,
    }


def write_pictures(
    report: LimitsReport, folder: Path, *, groups: Mapping[str, list[GroupScores]]
) -> None:
    """Write the three pictures into a folder; `groups` are the rows to show of each kind."""
    from minixception.commands.limits_plots import plot_intervals, plot_levels
    from minixception.plots import plot_confusion_matrix

    plot_intervals(
        {
            f"by {kind}": {
                f"{row.group}{' *' if row.is_small else ''}": (
                    row.scores.balanced_accuracy,
                    *row.interval,
                )
                for row in rows
            }
            for kind, rows in groups.items()
        },
        folder / GROUPS_PICTURE,
        label="gender: balanced accuracy in %, 95 % interval",
    )
    scores = report.emotion.scores
    plot_confusion_matrix(
        np.array(scores.confusion_matrix),
        [row.name for row in scores.per_class],
        folder / CONFUSIONS_PICTURE,
        title=f"{report.emotion.card.name} on {report.emotion.dataset} {report.emotion.split}",
    )
    plot_levels(
        {
            f"{one.name}: {one.unit}": {
                task: _curve(report.levels_of(one.name, task)) for task in ("emotion", "gender")
            }
            for one in PERTURBATIONS
        },
        folder / LEVELS_PICTURE,
        label="accuracy in %, 95 % interval",
        descending=[f"{one.name}: {one.unit}" for one in PERTURBATIONS if one.is_size],
    )


def _curve(levels: list[LevelScores]) -> np.ndarray:
    """Return (N, 4): level, accuracy, lower and upper bound of its interval."""
    return np.array(
        [(row.level, row.scores.accuracy, *row.scores.accuracy_interval) for row in levels]
    )


def write_example(face: np.ndarray, folder: Path, *, seed: int) -> None:
    """Draw one face, uint8 (H, W, C), at each level of each perturbation."""
    from minixception.commands.limits_plots import plot_tiles

    rows = [
        {
            one.level_name(level): perturb(face[np.newaxis], one, level, seed=seed)[0]
            for level in one.levels_for(face.shape[1])
        }
        for one in PERTURBATIONS
    ]
    plot_tiles(rows, folder / EXAMPLES_PICTURE)
