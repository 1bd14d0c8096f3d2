"""The cells of the detector's maps: which of them answer for a face, and what they should say.

Layout of the network's output: the cells of all strides, finest first, each map row by row; of each
cell a score logit, then the middle (x, y) and the logarithm of the side of a square, then five
landmarks (x, y). Lengths are in strides, places counted from the middle of the cell.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from minixception.detection.columns import LANDMARKS, MIDDLE, SIDE, SURE

# A map answers for faces with a side of so many strides: FCOS (arXiv 1904.01355, section 3.2) lets
# each face be found on one map. Here the ranges overlap, and around them lies a zone where an
# answer counts neither for nor against: two maps may well both see a face of middling size.
LEAST_STRIDES, MOST_STRIDES = 2.25, 5.5
UNDECIDED = 1.5  # the zone, as a factor

# Cells answer for a face up to so far from its middle (FCOS's centre sampling).
REACH_STRIDES = 1.5
REACH_SIDES = 0.3
# Further out, up to so many sides, they count neither way.
UNDECIDED_SIDES = 0.4

# How much a cell of a face counts: a face with so many cells counts as much as they do.
CELLS_OF_A_FACE = 5
LEAST_WEIGHT, MOST_WEIGHT = 0.4, 3.0


def cell_places(
    height: int, width: int, strides: Sequence[int]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the middles (N, 2) of all cells as (x, y) in pixels, and their strides (N,)."""
    middles, lengths = [], []
    for stride in strides:
        y, x = np.mgrid[0 : height // stride, 0 : width // stride].astype(np.float32)
        middles.append((np.stack([x.ravel(), y.ravel()], axis=1) + np.float32(0.5)) * stride)
        lengths.append(np.full(x.size, stride, np.float32))
    return np.concatenate(middles), np.concatenate(lengths)


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
        is no face, -1 where the answer does not count, and else how much it counts: a small face
        has few cells, each of which counts the more.
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
    # Where two faces want a cell, the smaller one, of which there are fewer cells, has it.
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
    return images[..., None] * np.float32(2 / 255) - np.float32(1)
