"""How well a detector finds faces: precision, recall, and what depends on what."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from minixception.detection.columns import MIDDLE, SIDE, SURE

LEAST_OVERLAP = 0.5  # IoU from which on a box has found a face


@dataclass(frozen=True)
class Matches:
    """What a detector has found in some images.

    Attributes:
        scores: float64 (M,) of the boxes that count, best first.
        correct: bool (M,): whether a box has found a face that no better one had.
        found_at: float64 (F,): for each sure face the score of the box that found it, or -1.
        images: number of images.
    """

    scores: NDArray[np.float64]
    correct: NDArray[np.bool_]
    found_at: NDArray[np.float64]
    images: int


def match_faces(
    found: Sequence[NDArray[np.float32]], faces: Sequence[NDArray[np.float32]]
) -> Matches:
    """Compare what was found with what is there, image by image, best boxes first.

    A box that has found a face which is no sure one counts neither way.

    Args:
        found: per image float32 (n, 4 or more): score, middle x, middle y, side, best first.
        faces: per image float32 (m, 14), see `LabelledPicture`.
    """
    scores: list[float] = []
    correct: list[bool] = []
    found_at: list[NDArray[np.float64]] = []
    for boxes, labels in zip(found, faces, strict=True):
        at = np.full(len(labels), -1.0)
        overlaps = overlap(boxes, labels)
        for box, row in zip(boxes, overlaps, strict=True):
            free = np.where(at < 0, row, 0.0)
            # A sure face goes before one that is not, which may be found many times.
            free = np.where(labels[:, SURE] > 0, free, np.where(row > 0.3, 0.01, 0.0))
            best = int(free.argmax()) if len(free) else -1
            if best >= 0 and labels[best, SURE] > 0 and free[best] >= LEAST_OVERLAP:
                at[best] = box[0]
                scores.append(float(box[0]))
                correct.append(True)
            elif not (free == 0.01).any():
                scores.append(float(box[0]))
                correct.append(False)
        found_at.append(at[labels[:, SURE] > 0])
    order = np.argsort(-np.array(scores), kind="stable")
    return Matches(
        scores=np.array(scores)[order],
        correct=np.array(correct, bool)[order],
        found_at=np.concatenate(found_at) if found_at else np.zeros(0),
        images=len(found),
    )


def overlap(squares: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the IoU (n, m) of squares given as (anything, middle x, middle y, side, ...)."""
    shift = np.abs(squares[:, None, MIDDLE] - others[None, :, MIDDLE]).astype(np.float64)
    side, other = squares[:, None, SIDE], others[None, :, SIDE]
    common = np.clip((side + other)[..., None] / 2 - shift, 0, np.minimum(side, other)[..., None])
    area = common.prod(axis=2)
    return area / np.maximum(side**2 + other**2 - area, 1e-9)


def average_precision(matches: Matches) -> float:
    """Return the area under the curve of precision over recall, as in Pascal VOC 2010 and later."""
    if not len(matches.found_at):
        return float("nan")
    hits = np.cumsum(matches.correct)
    precision = hits / np.arange(1, len(hits) + 1)
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    return float(precision[matches.correct].sum() / len(matches.found_at))


def threshold_for(matches: Matches, false_per_image: float) -> float:
    """Return the lowest score above which there are at most so many false boxes per image."""
    false = np.cumsum(~matches.correct)
    allowed = np.flatnonzero(false > false_per_image * matches.images)
    if not len(allowed):
        return float(matches.scores[-1]) if len(matches.scores) else 1.0
    return float(np.nextafter(matches.scores[allowed[0]], 2.0))


def recall(matches: Matches, threshold: float) -> float:
    """Return the share of the sure faces that were found with at least this score."""
    return float((matches.found_at >= threshold).mean()) if len(matches.found_at) else float("nan")
