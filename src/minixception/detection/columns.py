"""Faces as rows of an array, the same columns everywhere in this room."""

import numpy as np
from numpy.typing import NDArray

LANDMARK_NAMES = ("right_eye", "left_eye", "nose", "right_mouth", "left_mouth")

# The first column of a label says whether the face is sure (1) or may be one (0); that of a face
# found is its score, that of the network's output a logit. Then come the middle (x, y) and the side
# of a square, and x and y of the landmarks.
SURE = SCORE = 0
MIDDLE = slice(1, 3)
SIDE = 3
LANDMARKS = slice(4, 14)
FACE_COLUMNS = 14


def squares_of(faces: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return the squares (n, 4) of faces (n, 14): x, y, width, height."""
    side = faces[:, SIDE, None]
    return np.concatenate([faces[:, MIDDLE] - side / 2, side, side], axis=1)


def clipped_boxes(faces: NDArray[np.floating], size: tuple[int, int]) -> NDArray[np.float64]:
    """Return the boxes (n, 4) of faces (n, 14) in an image: x, y, width, height."""
    half = faces[:, SIDE, None] / 2
    bounds = size[::-1]
    lowest = np.clip(faces[:, MIDDLE] - half, 0, bounds)
    highest = np.clip(faces[:, MIDDLE] + half, 0, bounds)
    return np.concatenate([lowest, highest - lowest], axis=1)
