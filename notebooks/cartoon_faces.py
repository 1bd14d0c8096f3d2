"""Drawn faces in the format of FER2013, so that a notebook also runs where FER2013 is not.

Seven expressions with a few strokes each: enough to show how training goes, and nothing more. What
a network learns from them is worth nothing on photographs.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from minixception.files import atomic_path
from minixception.images import resize_image
from minixception.labels import EMOTIONS_FER2013

SIZE = 48  # pixels, as in FER2013
SCALE = 4  # drawn larger, since a thin line needs room
ROWS = {"Training": 1050, "PublicTest": 280, "PrivateTest": 70}


@dataclass(frozen=True)
class Expression:
    """How a face is drawn; 0 is at rest, numbers reach from -1 to about 1.

    Attributes:
        brow_slope: inner ends of the brows down (frowning) or, below 0, up.
        brow_lift: brows up.
        eye_opening: 1 is an eye at rest.
        mouth_curve: corners up, or, below 0, down.
        mouth_opening: from closed to wide open.
        mouth_skew: one corner above the other.
    """

    brow_slope: float = 0.0
    brow_lift: float = 0.0
    eye_opening: float = 1.0
    mouth_curve: float = 0.0
    mouth_opening: float = 0.0
    mouth_skew: float = 0.0


EXPRESSIONS = {
    "angry": Expression(brow_slope=1.0, brow_lift=-0.6, eye_opening=0.8, mouth_curve=-0.3),
    "disgust": Expression(0.6, -0.2, 0.5, mouth_curve=-0.5, mouth_opening=0.2, mouth_skew=1.0),
    "fear": Expression(-1.0, 0.6, 1.4, mouth_curve=-0.4, mouth_opening=0.6),
    "happy": Expression(brow_lift=0.2, eye_opening=0.8, mouth_curve=1.0, mouth_opening=0.5),
    "sad": Expression(brow_slope=-0.9, eye_opening=0.6, mouth_curve=-0.9),
    "surprise": Expression(brow_lift=1.0, eye_opening=1.5, mouth_opening=1.2),
    "neutral": Expression(),
}


def draw_cartoon(expression: Expression, *, generator: np.random.Generator) -> NDArray[np.uint8]:
    """Return a grey face uint8 (48, 48), different in place, light and strength at every call."""
    side = SIZE * SCALE
    skin, ink, ground = (generator.uniform(*limits) for limits in ((140, 230), (0, 80), (30, 200)))
    image = np.full((side, side), ground, np.float32)
    middle = np.array([0.5, 0.5]) + generator.uniform(-0.06, 0.06, 2)
    size = generator.uniform(0.85, 1.1)

    centre = (int(middle[0] * side), int(middle[1] * side))
    axes = (int(0.40 * size * side), int(0.50 * size * side))
    cv2.ellipse(image, centre, axes, 0, 0, 360, skin, -1, cv2.LINE_AA)
    strength = generator.uniform(0.5, 1.1)
    for stroke in _strokes(expression, strength, generator):
        points = ((middle + size * stroke) * side).astype(np.int32)
        cv2.polylines(image, [points], False, ink, thickness=2 * SCALE - 2, lineType=cv2.LINE_AA)
    image += generator.normal(0, 8, image.shape)
    return resize_image(np.clip(image, 0, 255).astype(np.uint8), (SIZE, SIZE))


def _strokes(
    expression: Expression, strength: float, generator: np.random.Generator
) -> list[NDArray[np.float64]]:
    """Return the lines (points, 2) of nose, brows, eyes and mouth; (0, 0) is the middle.

    One unit is the height of the face; x goes right and y down.
    """
    slope, lift, curve, opening, skew = strength * np.array(
        [
            expression.brow_slope,
            expression.brow_lift,
            expression.mouth_curve,
            expression.mouth_opening,
            expression.mouth_skew,
        ]
    ) + generator.normal(0, 0.08, 5)
    eye = 1 + strength * (expression.eye_opening - 1)
    turn = np.linspace(0, 2 * np.pi, 17)
    strokes = [np.array([[0, -0.05], [0.03, 0.08], [-0.02, 0.09]])]
    for sign in (-1, 1):
        inner, outer = 0.07 * sign, 0.27 * sign
        height = -0.22 - 0.06 * lift
        strokes.append(np.array([[inner, height + 0.05 * slope], [outer, height - 0.05 * slope]]))
        eye_x, eye_y = 0.16 * sign + 0.06 * np.cos(turn), -0.1 + 0.045 * eye * np.sin(turn)
        strokes.append(np.column_stack([eye_x, eye_y]))
    across = np.linspace(-1, 1, 9)
    lips = 0.25 + 0.04 * skew * across - 0.08 * curve * (across**2 - 0.5)
    gap = 0.07 * max(opening, 0) * (1 - across**2)
    strokes += [np.column_stack([0.17 * across, lips + sign * gap]) for sign in (-1, 1)]
    return strokes


def write_cartoon_csv(path: Path, *, rows: Mapping[str, int] = ROWS, seed: int = 0) -> Path:
    """Write drawn faces as `fer2013.csv` has its own: emotion, pixels, Usage.

    Args:
        path: the file to write.
        rows: name of a split -> its number of rows, the emotions in turn.
        seed: the same seed draws the same faces.

    Returns:
        The path.
    """
    generator = np.random.default_rng(seed)
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.write("emotion,pixels,Usage\n")
        for usage, count in rows.items():
            for row in range(count):
                label = row % len(EMOTIONS_FER2013)
                expression = EXPRESSIONS[EMOTIONS_FER2013[label]]
                pixels = draw_cartoon(expression, generator=generator).ravel()
                file.write(f"{label},{' '.join(map(str, pixels))},{usage}\n")
    return path
