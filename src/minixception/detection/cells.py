"""The cells of the detector's maps: what they should say of faces, and what they have said.

Layout of the network's output: the cells of all strides, finest first, each map row by row. A cell
has a score logit, the middle (x, y) and the logarithm of the side of a square, and five landmarks
(x, y). Lengths are in strides, places relative to the middle of the cell.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from minixception.detection.columns import LANDMARKS, MIDDLE, SCORE, SIDE, SURE, squares_of

# A map answers for faces with a side of so many strides. In FCOS (arXiv 1904.01355, section 3.2)
# each face belongs to one map; here the ranges overlap, and answers just outside of them count
# neither way, since two maps may both see a face of middling size.
LEAST_STRIDES, MOST_STRIDES = 2.25, 5.5
UNDECIDED = 1.5  # how far outside, as a factor

# Cells answer for a face up to this distance from its middle (FCOS's centre sampling).
REACH_STRIDES = 1.5
REACH_SIDES = 0.3
# Further out, up to this many sides, they count neither way.
UNDECIDED_SIDES = 0.4

# Weights of the cells of a face: with this many cells, each has weight 1.
CELLS_OF_A_FACE = 5
LEAST_WEIGHT, MOST_WEIGHT = 0.4, 3.0

# Of squares that overlap more than this, the one with the best score is kept.
MOST_OVERLAP = 0.4
# A square within this many sides of the middle of a better one is a part of it.
PART_OF_FACE = 0.55
# More candidates than this come from a broken model, and would take long to compare.
MOST_CANDIDATES = 5000


def cell_places(
    height: int, width: int, strides: Sequence[int], *, numbers: NDArray[np.intp] | None = None
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the middles (N, 2) of cells as (x, y) in pixels, and their strides (N,).

    They are those with these `numbers` (N,), counted as in the output, and all if left out.
    """
    ends = np.cumsum([height // stride * (width // stride) for stride in strides])
    chosen = np.arange(ends[-1]) if numbers is None else numbers
    maps = np.searchsorted(ends, chosen, side="right")
    lengths = np.array(strides)[maps]
    rows, columns = np.divmod(chosen - np.append(0, ends)[maps], width // lengths)
    middles = np.column_stack([columns, rows]).astype(np.float32) + np.float32(0.5)
    return middles * lengths[:, None].astype(np.float32), lengths.astype(np.float32)


def assign_faces(
    faces: NDArray[np.float32], middles: NDArray[np.float32], lengths: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return what each cell should say, float32 (N, 14).

    Args:
        faces: (n, 14), as in `LabelledPicture`.
        middles: of the cells, from `cell_places`.
        lengths: their strides.

    Returns:
        Rows in the layout of the network's output, with a mark in place of the logit: 0 where there
        is no face, -1 where the answer does not count, else its weight: the fewer cells a face has,
        the more each of them counts.
    """
    targets = np.zeros((len(middles), faces.shape[1]), np.float32)
    if not len(faces):
        return targets
    side = faces[:, SIDE]
    distance = np.abs(middles[:, None] - faces[None, :, MIDDLE]).max(axis=2)  # (N, n)
    size = side / lengths[:, None]
    least = np.where(lengths == lengths.min(), 0.0, LEAST_STRIDES)[:, None]
    most = np.where(lengths == lengths.max(), np.inf, MOST_STRIDES)[:, None]
    in_range = (size >= least) & (size <= most)
    near_range = (size >= least / UNDECIDED) & (size <= most * UNDECIDED)
    reach = np.minimum(REACH_STRIDES * lengths[:, None], REACH_SIDES * side)
    reach = np.maximum(reach, 0.5 * lengths[:, None])
    answers = in_range & (distance <= reach) & (faces[:, SURE] > 0)
    undecided = near_range & (distance <= np.maximum(reach, UNDECIDED_SIDES * side))
    undecided |= (faces[:, SURE] == 0) & (distance <= 0.5 * side)
    targets[undecided.any(axis=1), 0] = -1

    answering = answers.any(axis=1)
    # Of two faces the smaller one, which has fewer cells, gets the cell.
    chosen = np.where(answers, side, np.inf).argmin(axis=1)[answering]
    length = lengths[answering, None]
    places = faces[chosen, LANDMARKS].reshape(-1, 5, 2) - middles[answering, None]
    cells = np.bincount(chosen, minlength=len(faces))[chosen]
    targets[answering, 0] = np.clip(CELLS_OF_A_FACE / cells, LEAST_WEIGHT, MOST_WEIGHT)
    targets[answering, MIDDLE] = (faces[chosen, MIDDLE] - middles[answering]) / length
    targets[answering, SIDE] = np.log(faces[chosen, SIDE] / length[:, 0])
    targets[answering, LANDMARKS] = places.reshape(-1, 10) / length
    return targets


def prepare_images(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Turn grey images (B, height, width), 0 to 255, into (B, height, width, 1) in [-1, 1]."""
    prepared = images[..., None] * np.float32(2 / 255)
    prepared -= np.float32(1)
    return prepared


def decode_faces(
    outputs: NDArray[np.float32],
    size: tuple[int, int],
    strides: Sequence[int],
    *,
    least_score: float,
) -> NDArray[np.float32]:
    """Return the faces that a network has seen in one image, best first.

    Args:
        outputs: float32 (N, 14).
        size: (height, width) of the network's input.
        strides: of its maps.
        least_score: faces with a lower score, 0 to 1, are left out.

    Returns:
        float32 (n, 14): score, middle x, middle y, side, x and y of the landmarks, in pixels.
    """
    least_logit = np.log(max(least_score, 1e-6) / max(1 - least_score, 1e-6))
    chosen = np.flatnonzero(outputs[:, SCORE] >= least_logit)
    faces = outputs[chosen]
    if not len(faces):
        return faces
    middles, lengths = cell_places(*size, strides, numbers=chosen)
    faces[:, SCORE] = 1 / (1 + np.exp(-faces[:, SCORE]))
    faces[:, MIDDLE] = faces[:, MIDDLE] * lengths[:, None] + middles
    faces[:, SIDE] = np.exp(np.minimum(faces[:, SIDE], 8)) * lengths
    faces[:, LANDMARKS] = faces[:, LANDMARKS] * lengths[:, None] + np.tile(middles, 5)
    return faces[keep_best(faces)]


def keep_best(faces: NDArray[np.float32]) -> NDArray[np.intp]:
    """Return which of the faces (n, 14) remain, best first.

    Of squares that overlap, the best is kept; squares inside a larger and better one are not: an
    eye or a mouth may look like a small face.
    """
    squares, scores = squares_of(faces).tolist(), faces[:, SCORE].tolist()
    kept = cv2.dnn.NMSBoxes(squares, scores, 0.0, MOST_OVERLAP, top_k=MOST_CANDIDATES)
    best = np.asarray(kept, np.intp).reshape(-1)
    side, middle = faces[best, SIDE], faces[best, MIDDLE]
    apart = np.abs(middle[:, None] - middle[None]).max(axis=2)
    inside = apart + side[:, None] / 2 < PART_OF_FACE * side[None]
    better = np.arange(len(best))[None] < np.arange(len(best))[:, None]
    return best[~(inside & better).any(axis=1)]
