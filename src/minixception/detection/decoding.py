"""From the output of the detector to faces: scores, squares, landmarks, one per face."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from minixception.detection.cells import cell_places
from minixception.detection.columns import LANDMARKS, MIDDLE, SCORE, SIDE

# Of squares that overlap more than this, the one with the best score is kept.
MOST_OVERLAP = 0.4
# A square within this many sides of the middle of a better one is a part of it.
PART_OF_FACE = 0.55
# More candidates than this come from a broken model, and would take long to compare.
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
        size: (height, width) of the network's input.
        strides: of its maps.
        least_score: faces with a lower score, 0 to 1, are left out.
        offsets: added to the logits of each map.

    Returns:
        float32 (n, 14): score, middle x, middle y, side, x and y of the landmarks, in pixels.
    """
    least_logit = np.log(max(least_score, 1e-6) / max(1 - least_score, 1e-6))
    counts = [(size[0] // stride) * (size[1] // stride) for stride in strides]
    added = np.array(offsets or [0.0] * len(strides), np.float32)
    logits = outputs[:, SCORE] + np.repeat(added, counts)
    chosen = np.flatnonzero(logits >= least_logit)
    faces = outputs[chosen]
    if not len(faces):
        return faces
    middles, lengths = cell_places(*size, strides, numbers=chosen)
    faces[:, SCORE] = 1 / (1 + np.exp(-logits[chosen]))
    faces[:, MIDDLE] = faces[:, MIDDLE] * lengths[:, None] + middles
    faces[:, SIDE] = np.exp(np.minimum(faces[:, SIDE], 8)) * lengths
    faces[:, LANDMARKS] = faces[:, LANDMARKS] * lengths[:, None] + np.tile(middles, 5)
    return faces[keep_best(faces)]


def keep_best(faces: NDArray[np.float32]) -> NDArray[np.intp]:
    """Return which of the faces (n, 14) remain, best first.

    Of squares that overlap, the best is kept; squares inside a larger and better one are not: an
    eye or a mouth may look like a small face.
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
