"""Predictions for faces, as objects, rows and tables."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from minixception.boxes import Box, as_boxes
from minixception.checkpoints.shipped import TASKS
from minixception.labels import most_probable
from minixception.messages import require

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True)
class FacePrediction:
    """What the models say of one face.

    Attributes:
        box: (x, y, width, height) in pixels of the upright picture; given in any form that
            `boxes.as_boxes` takes.
        scores: task -> class name -> probability, in the model's class order. The tasks of `TASKS`
            are always present, empty without a model.
        angle: degrees by which the face was found to be turned clockwise and turned back before it
            was classified; 0 for an upright one.
    """

    box: Box
    scores: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    angle: float = 0.0

    def __post_init__(self) -> None:
        """Add the missing ones of `TASKS`, and make a `Box` of what was given for one."""
        object.__setattr__(self, "box", as_boxes([self.box])[0])
        object.__setattr__(self, "scores", {**{task: {} for task in TASKS}, **self.scores})

    def label(self, task: str) -> str | None:
        """Return the most probable class of a task, None without a model for it."""
        return most_probable(self.scores.get(task, {}))

    @property
    def emotion(self) -> str | None:
        """The most probable emotion, None without an emotion model."""
        return self.label("emotion")

    @property
    def emotion_scores(self) -> Mapping[str, float]:
        """Emotion -> probability, in the model's class order."""
        return self.scores["emotion"]

    @property
    def gender(self) -> str | None:
        """The more probable gender, None without a gender model."""
        return self.label("gender")

    @property
    def gender_scores(self) -> Mapping[str, float]:
        """Gender -> probability, in the model's class order."""
        return self.scores["gender"]

    def to_json(self) -> dict[str, Any]:
        """Return plain data: `box`, and label and scores of each task."""
        content: dict[str, Any] = {"box": list(self.box)}
        for task, scores in self.scores.items():
            content |= {task: self.label(task), f"{task}_scores": dict(scores)}
        return content


def table_columns(class_names: Mapping[str, Iterable[str]]) -> list[str]:
    """Return the columns of `to_rows` for faces with these classes by task."""
    scores = [f"{task}_{name}" for task, names in class_names.items() for name in names]
    return [*Box._fields, *class_names, *scores]


def to_rows(faces: Iterable[FacePrediction]) -> list[dict[str, Any]]:
    """Return a flat record per face: box, labels, then a column per class and task."""
    return [to_row(face.to_json()) for face in faces]


def to_row(face: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row of a face as `FacePrediction.to_json` gives it."""
    scores = {
        key.removesuffix("_scores"): value
        for key, value in face.items()
        if isinstance(value, Mapping)
    }
    values = [*face["box"], *map(most_probable, scores.values())]
    values += [score for each in scores.values() for score in each.values()]
    return dict(zip(table_columns(scores), values, strict=True))


def to_frame(faces: Iterable[FacePrediction]) -> "pandas.DataFrame":
    """Return a DataFrame with a row per face; see `to_rows` for its columns.

    A table of many pictures:

        found = zip(paths, analyzer.analyze_many(paths))
        rows = [{"picture": path, **row} for path, faces in found for row in to_rows(faces)]
        table = pandas.DataFrame(rows)
    """
    require("pandas", what="to_frame")
    import pandas

    rows = to_rows(faces)
    columns = list(rows[0]) if rows else table_columns(dict.fromkeys(TASKS, ()))
    return pandas.DataFrame(rows, columns=columns)
