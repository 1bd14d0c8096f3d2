"""From the output of the detector to faces: scores, squares, landmarks, one per face."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from minixception.detection.cells import cell_places
from minixception.detection.columns import FACE_COLUMNS, LANDMARKS, MIDDLE, SIDE

# Of squares that overlap more than this the one with the best score is kept.
MOST_OVERLAP = 0.4
# A square that reaches less than so many sides of a better one from its middle is a part of it.
PART_OF_FACE = 0.55
# More candidates than this are no faces but a broken model, and would take long to compare.
MOST_CANDIDATES = 5000


def decode_faces(
    outputs: NDArray[np.float32],
    size: tuple[int, int],
    strides: Sequence[int],
    *,
    least_score: float,
    offsets: Sequence[float] = (),
) -> NDArray[np.float32]:
    """Return the faces that a network has seen in one image, best first.

    Args:
        outputs: float32 (N, 14), see `cells`.
        size: (height, width) of what the network was given.
        strides: of its maps.
        least_score: 0 to 1; what has less is left out.
        offsets: what is added to the logits of each map; none for nothing.

    Returns:
        float32 (n, 14): score, middle x, middle y, side, x and y of the landmarks, in pixels.
    """
    least_logit = np.log(max(least_score, 1e-6) / max(1 - least_score, 1e-6))
    logits = outputs[:, 0] + _per_cell(offsets or [0.0] * len(strides), size, strides)
    chosen = np.flatnonzero(logits >= least_logit)
    if not len(chosen):
        return np.zeros((0, FACE_COLUMNS), np.float32)
    middles, lengths = cell_places(*size, strides)
    cells, middles, lengths = outputs[chosen], middles[chosen], lengths[chosen, None]
    faces = np.empty_like(cells)
    faces[:, 0] = 1 / (1 + np.exp(-logits[chosen]))
    faces[:, MIDDLE] = cells[:, MIDDLE] * lengths + middles
    faces[:, SIDE] = np.exp(np.minimum(cells[:, SIDE], 8)) * lengths[:, 0]
    places = cells[:, LANDMARKS].reshape(-1, 5, 2) * lengths[:, None] + middles[:, None]
    faces[:, LANDMARKS] = places.reshape(-1, 10)
    return faces[keep_best(faces)]


def _per_cell(
    values: Sequence[float], size: tuple[int, int], strides: Sequence[int]
) -> NDArray[np.float32]:
    """Return a value per map as one per cell."""
    counts = [(size[0] // stride) * (size[1] // stride) for stride in strides]
    return np.repeat(np.array(values, np.float32), counts)


def keep_best(faces: NDArray[np.float32]) -> NDArray[np.intp]:
    """Return which of the faces (n, 14) remain, best first.

    Of squares that overlap the best is kept, and of squares that lie in a larger and better one
    none is: an eye or a mouth may look like a small face.
    """
    corners = faces[:, MIDDLE] - faces[:, SIDE, None] / 2
    squares = np.column_stack([corners, faces[:, SIDE], faces[:, SIDE]]).astype(np.float64)
    kept = cv2.dnn.NMSBoxes(
        squares.tolist(), faces[:, 0].tolist(), 0.0, MOST_OVERLAP, top_k=MOST_CANDIDATES
    )
    best = np.asarray(kept, np.intp).reshape(-1)
    side, middle = faces[best, SIDE], faces[best, MIDDLE]
    apart = np.abs(middle[:, None] - middle[None]).max(axis=2)
    inside = apart + side[:, None] / 2 < PART_OF_FACE * side[None]
    better = np.arange(len(best))[None] < np.arange(len(best))[:, None]
    return best[~(inside & better).any(axis=1)]
