"""Pictures for a notebook about one's own classes: faces that are bare, masked or in sunglasses.

They are painted onto the three shipped portraits, which anybody may use. Each picture is cut out a
little differently, but there are three people only: enough to show the way, not to learn masks.
"""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from minixception import Box, HaarDetector, read_image, write_image

CLASSES = ("bare", "mask", "sunglasses")
SIDE = 96  # pixels of a written picture

# Of the three people in `portraits.jpg`, from left to right: each is on one side only.
SPLITS = ("test", "train", "train")


def disguise(
    image: NDArray[np.uint8], box: Box, name: str, *, generator: np.random.Generator
) -> NDArray[np.uint8]:
    """Return a copy of an image with a mask or sunglasses painted onto the face in `box`.

    Args:
        image: RGB uint8 (H, W, 3).
        box: of the face, as the detector gives it.
        name: one of `CLASSES`; "bare" changes nothing.
        generator: of colour and shape.

    Raises:
        ValueError: for another name.
    """
    if name not in CLASSES:
        raise ValueError(f"`name` must be one of {', '.join(CLASSES)}. Received: name={name!r}")
    painted = image.copy()
    if name == "mask":
        _paint_mask(painted, box, generator)
    elif name == "sunglasses":
        _paint_sunglasses(painted, box, generator)
    return painted


def _points(box: Box, places: list[tuple[float, float]]) -> NDArray[np.int32]:
    """Return pixels (N, 2) of places in a box, (0, 0) its upper left and (1, 1) its lower right."""
    corner, size = np.array([box.x, box.y]), np.array([box.width, box.height])
    return np.rint(corner + np.array(places) * size).astype(np.int32)


def _paint_mask(image: NDArray[np.uint8], box: Box, generator: np.random.Generator) -> None:
    top, light = generator.uniform(0.52, 0.62), generator.integers(120, 256)
    colour = tuple(int(light * share) for share in generator.uniform(0.7, 1.0, 3))
    corners = [(0.15, top + 0.05), (0.5, top - 0.04), (0.85, top + 0.05)]
    corners += [(0.82, 0.85), (0.65, 1.02), (0.35, 1.02), (0.18, 0.85)]
    cv2.fillPoly(image, [_points(box, corners)], colour, cv2.LINE_AA)
    for height in (0.1, 0.2):
        fold = _points(box, [(0.25, top + height), (0.75, top + height)])
        cv2.polylines(image, [fold], False, tuple(part // 2 for part in colour), 1, cv2.LINE_AA)


def _paint_sunglasses(image: NDArray[np.uint8], box: Box, generator: np.random.Generator) -> None:
    height, radius = generator.uniform(0.36, 0.42), generator.uniform(0.13, 0.17)
    colour = tuple(int(part) for part in generator.integers(0, 60, 3))
    thickness = max(box.width // 25, 1)
    axes = (int(radius * box.width), int(0.85 * radius * box.width))
    lenses = _points(box, [(0.31, height), (0.69, height)])
    for x, y in lenses.tolist():
        cv2.ellipse(image, (x, y), axes, 0, 0, 360, colour, -1, cv2.LINE_AA)
    frame = _points(box, [(0.05, height - 0.04), (0.95, height - 0.04)])
    cv2.polylines(image, [frame], False, colour, thickness, cv2.LINE_AA)


def write_disguised_faces(
    folder: Path, portraits: Path, *, per_class: int = 60, seed: int = 0
) -> int:
    """Write a folder of class folders: `train/mask/0_00.png` and so on.

    Args:
        folder: where to.
        portraits: the picture of three faces that is shipped.
        per_class: pictures per person and class.
        seed: the same seed writes the same pictures.

    Returns:
        The number of pictures.

    Raises:
        ValueError: if the detector does not find three faces.
    """
    image, generator = read_image(portraits), np.random.default_rng(seed)
    boxes = HaarDetector().detect(image)
    if len(boxes) != len(SPLITS):
        raise ValueError(
            f"{portraits} must show {len(SPLITS)} faces. Received: {len(boxes)} that were found"
        )
    for person, (box, split) in enumerate(zip(boxes, SPLITS, strict=True)):
        for name in CLASSES:
            for number in range(per_class):
                painted = disguise(image, box, name, generator=generator)
                face = _cut_out(painted, box, generator)
                write_image(folder / split / name / f"{person}_{number:02d}.png", face)
    return len(boxes) * len(CLASSES) * per_class


def _cut_out(
    image: NDArray[np.uint8], box: Box, generator: np.random.Generator
) -> NDArray[np.uint8]:
    """Return the face RGB uint8 (96, 96, 3), as if it had been photographed once more."""
    scale = SIDE / (box.width * generator.uniform(0.9, 1.15))
    middle = np.array([box.x + box.width / 2, box.y + box.height / 2])
    middle += generator.uniform(-0.05, 0.05, 2) * box.width
    angle = float(generator.uniform(-8, 8))
    matrix = cv2.getRotationMatrix2D((float(middle[0]), float(middle[1])), angle, float(scale))
    matrix[:, 2] = matrix[:, 2] + SIDE / 2 - middle
    face = cv2.warpAffine(image, matrix, (SIDE, SIDE), borderMode=cv2.BORDER_REPLICATE)
    light = generator.uniform(0.7, 1.25)
    return np.clip(face * light, 0, 255).astype(np.uint8)
