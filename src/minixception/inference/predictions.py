"""What is said about faces, as objects, rows and tables."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from minixception.boxes import Box
from minixception.messages import require

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True)
class FacePrediction:
    """What is said about one face.

    Attributes:
        box: (x, y, width, height) in pixels of the upright picture.
        emotion: the most probable class, or None without an emotion model.
        emotion_scores: class name -> probability, in the model's class order.
        gender: likewise.
        gender_scores: likewise.
    """

    box: Box
    emotion: str | None = None
    emotion_scores: Mapping[str, float] = field(default_factory=dict)
    gender: str | None = None
    gender_scores: Mapping[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "box": [int(number) for number in self.box],  # a detector may give NumPy's integers
            "emotion": self.emotion,
            "emotion_scores": dict(self.emotion_scores),
            "gender": self.gender,
            "gender_scores": dict(self.gender_scores),
        }


def to_rows(faces: Iterable[FacePrediction]) -> list[dict[str, Any]]:
    """Return a flat record per face: box, labels, then a column per class and task."""
    return [
        {
            **face.box._asdict(),
            "emotion": face.emotion,
            "gender": face.gender,
            **{f"emotion_{name}": value for name, value in face.emotion_scores.items()},
            **{f"gender_{name}": value for name, value in face.gender_scores.items()},
        }
        for face in faces
    ]


def to_frame(faces: Iterable[FacePrediction]) -> "pandas.DataFrame":
    """Return a DataFrame with a row per face; see `to_rows` for its columns."""
    require("pandas", what="to_frame")
    import pandas

    rows = to_rows(faces)
    columns = list(rows[0]) if rows else [*Box._fields, "emotion", "gender"]
    return pandas.DataFrame(rows, columns=columns)


def most_probable(scores: Mapping[str, float]) -> str | None:
    """Return the class with the highest score, None where there are no scores."""
    return max(scores, key=lambda name: scores[name]) if scores else None
