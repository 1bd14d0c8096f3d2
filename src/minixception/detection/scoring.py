"""How well a detector finds faces: matches, precision, recall."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from minixception.detection.columns import MIDDLE, SIDE, SURE

LEAST_OVERLAP = 0.5  # IoU from which on a box has found a face
UNSURE_OVERLAP = 0.3  # and from which on it may mean a face that is not sure


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
    found: Sequence[NDArray[np.floating]],
    faces: Sequence[NDArray[np.floating]],
    size: tuple[int, int],
) -> Matches:
    """Compare what was found with what is there, image by image, best boxes first.

    A box on a face that is not sure counts neither way. `found` has per image (n, 5): score, x, y,
    width, height of a box; `faces` per image (m, 14), see `columns`, to be clipped like the boxes.
    """
    scores: list[float] = []
    correct: list[bool] = []
    found_at: list[NDArray[np.float64]] = []
    for boxes, labels in zip(found, faces, strict=True):
        at = np.full(len(labels), -1.0)
        sure = labels[:, SURE] > 0
        boxes = boxes[np.argsort(-boxes[:, 0], kind="stable")]
        overlaps = intersections_over_unions(boxes[:, 1:], clipped_boxes(labels, size))
        for box, row in zip(boxes, overlaps, strict=True):
            free = np.where(sure & (at < 0), row, 0.0)
            if free.max(initial=0.0) >= LEAST_OVERLAP:
                at[free.argmax()] = box[0]
            elif np.where(sure, 0.0, row).max(initial=0.0) >= UNSURE_OVERLAP:
                continue
            scores.append(float(box[0]))
            correct.append(free.max(initial=0.0) >= LEAST_OVERLAP)
        found_at.append(at[sure])
    order = np.argsort(-np.array(scores), kind="stable")
    return Matches(
        scores=np.array(scores)[order],
        correct=np.array(correct, bool)[order],
        found_at=np.concatenate(found_at) if found_at else np.zeros(0),
        images=len(found),
    )


def clipped_boxes(faces: NDArray[np.floating], size: tuple[int, int]) -> NDArray[np.float64]:
    """Return the boxes (n, 4) of faces (n, 14) in an image: x, y, width, height."""
    half = faces[:, SIDE, None] / 2
    bounds = size[::-1]
    lowest = np.clip(faces[:, MIDDLE] - half, 0, bounds)
    highest = np.clip(faces[:, MIDDLE] + half, 0, bounds)
    return np.concatenate([lowest, highest - lowest], axis=1)


def intersections_over_unions(
    boxes: NDArray[np.floating], others: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Return the IoU (n, m) of boxes (x, y, width, height) with others."""
    lowest = np.maximum(boxes[:, None, :2], others[None, :, :2])
    ends, other_ends = boxes[:, :2] + boxes[:, 2:], others[:, :2] + others[:, 2:]
    common = np.clip(np.minimum(ends[:, None], other_ends[None]) - lowest, 0, None).prod(axis=2)
    union = boxes[:, 2:].prod(axis=1)[:, None] + others[:, 2:].prod(axis=1)[None] - common
    return common / np.maximum(union, 1e-9)


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
