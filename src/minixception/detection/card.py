"""`card.json` of a detector: what its model needs to be used correctly, and where it comes from."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minixception.checkpoints.card import Remarks, read_json_card, shared_entries

TASK = "detector"


@dataclass(frozen=True)
class DetectorCard(Remarks):
    """The record that travels with a detector; the other entries are those of a `Card`.

    Attributes:
        strides: of the network's maps in pixels, finest first.
        score_threshold: lowest score of a face, 0 to 1, if no checker looks at it once more.
    """

    name: str
    architecture: str
    parameters: int
    strides: tuple[int, ...]
    score_threshold: float

    def __post_init__(self) -> None:
        """Check the entries."""
        pairs = zip(self.strides, self.strides[1:], strict=False)
        is_doubling = all(coarser == 2 * finer for finer, coarser in pairs)
        if min(self.strides, default=0) < 1 or not is_doubling:
            raise ValueError(
                "`strides` must be at least 1 and double from one to the next. "
                f"Received: strides={self.strides}"
            )
        check_threshold(self.score_threshold)

    def to_json(self) -> dict[str, Any]:
        """Return plain data, the content of `card.json`."""
        return {"task": TASK, **super().to_json()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "DetectorCard":
        """Read what `to_json` wrote; the first five entries of a card are required.

        Raises:
            KeyError, TypeError, ValueError, OverflowError: for missing or impossible entries.
        """
        if data.get("task") != TASK:
            raise ValueError(f"it is not a detector's card: its `task` is {data.get('task')!r}")
        return cls(
            strides=tuple(int(stride) for stride in data["strides"]),
            score_threshold=float(data["score_threshold"]),
            **shared_entries(data),
        )


def check_threshold(score_threshold: float) -> None:
    """Raise a ValueError for what is no score, 0 to 1."""
    if not 0 <= score_threshold <= 1:
        raise ValueError(
            "`score_threshold` must lie between 0 and 1. "
            f"Received: score_threshold={score_threshold}"
        )


def is_detector(folder: str | Path) -> bool:
    """Tell whether a folder holds a detector, by its card; False where there is none."""
    with suppress(OSError, ValueError):
        return read_json_card(folder, lambda card: card.get("task")) == TASK
    return False


def read_detector_card(folder: str | Path) -> DetectorCard:
    """Read the card of a detector's folder.

    Raises:
        FileNotFoundError: if the folder or its card is missing.
        ValueError: if the card is not valid JSON, is that of a classifier, or an entry is missing
            or impossible.
    """
    return read_json_card(folder, DetectorCard.from_json)
