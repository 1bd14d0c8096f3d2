"""Faces cut out of pictures by a detector, for sets whose pictures show more than the face.

The networks are trained on crops framed as Haar boxes, so the crop is the box itself.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from minixception.boxes import Box, clip, intersection_over_union
from minixception.datasets.pictures import check_image_form, log_dropped, to_form
from minixception.images import crop, resize_image

if TYPE_CHECKING:
    from minixception.detector import FaceDetector

_LOGGER = logging.getLogger(__name__)

# The cascade needs room around a face, and 36 pixels of it. Of 310 pictures of facial_expressions,
# most of them close crops, it finds a face in 121; with this border and least size in 259, and with
# the finer `scale_factor` of `default_detector` in 286.
_BORDER = 0.3
_SMALLEST_SIDE = 120
_SCALE_FACTOR = 1.1
_SECONDS_BETWEEN_REPORTS = 10.0

NamedReader = tuple[str, Callable[[], np.ndarray]]
"""What to call a picture, and how to get it: RGB uint8 (H, W, 3), OSError or ValueError."""


@dataclass(frozen=True)
class FaceCrops:
    """What was found in N pictures.

    Attributes:
        images: uint8 (M, height, width, channels), the M faces in order.
        is_found: bool (N,), True for each picture that gave a face.
        dropped: "unreadable picture" and "no face" -> number of pictures.
    """

    images: np.ndarray
    is_found: np.ndarray
    dropped: dict[str, int]


def default_detector() -> FaceDetector:
    """Return the Haar cascade as the loaders use it: patient, since no video is waiting."""
    from minixception.detector import HaarDetector

    return HaarDetector(scale_factor=_SCALE_FACTOR)


def crop_largest_face(image: np.ndarray, detector: FaceDetector) -> np.ndarray | None:
    """Cut out the face with the largest box.

    The detector sees the picture enlarged, if small, and with a black border, since it misses faces
    that fill the frame. The box is clipped to the picture.

    Args:
        image: RGB uint8 (height, width, 3).
        detector: Finds the faces.

    Returns:
        RGB uint8, a copy of the part of `image` inside the box; None when there is no face.
    """
    height, width = image.shape[:2]
    scale = max(1.0, _SMALLEST_SIDE / max(height, width))
    enlarged = resize_image(image, (round(height * scale), round(width * scale)))
    down, across = (round(side * _BORDER) for side in enlarged.shape[:2])
    bordered = cv2.copyMakeBorder(enlarged, down, down, across, across, cv2.BORDER_CONSTANT)
    boxes = [
        Box(
            round((box.x - across) / scale),
            round((box.y - down) / scale),
            max(round(box.width / scale), 1),
            max(round(box.height / scale), 1),
        )
        for box in detector.detect(bordered)
    ]
    whole = Box(0, 0, width, height)
    visible = [box for box in boxes if intersection_over_union(box, whole) > 0]
    if not visible:
        return None
    return crop(image, clip(max(visible, key=lambda box: box.area), height, width))


def crop_faces(
    readers: Sequence[NamedReader],
    *,
    image_size: tuple[int, int],
    channels: int,
    detector: FaceDetector | None = None,
) -> FaceCrops:
    """Find the largest face of each picture; tell every ten seconds how far it is.

    Args:
        readers: N pictures.
        image_size: (height, width) of the result.
        channels: 1 for grey, 3 for RGB.
        detector: Finds the faces; None takes `default_detector`.

    Returns:
        The faces, and what happened to the other pictures, which a logged warning names.

    Raises:
        ValueError: `image_size` or `channels` is not allowed.
    """
    check_image_form(image_size, channels)
    detector = default_detector() if detector is None else detector
    images = np.empty((len(readers), *image_size, channels), dtype=np.uint8)
    is_found = np.zeros(len(readers), dtype=bool)
    unreadable: list[str] = []
    faceless: list[str] = []
    began = told_at = time.monotonic()
    for position, (name, read) in enumerate(readers):
        if time.monotonic() - told_at > _SECONDS_BETWEEN_REPORTS:
            told_at = time.monotonic()
            left = (told_at - began) / max(position, 1) * (len(readers) - position)
            found = "Looked for a face in %d of %d pictures, %.0f s left"
            _LOGGER.info(found, position, len(readers), left)
        image = _read_or_note(name, read, unreadable)
        face = None if image is None else crop_largest_face(image, detector)
        if face is not None:
            form = to_form(face, image_size=image_size, channels=channels)
            images[int(is_found.sum())] = form
            is_found[position] = True
        elif image is not None:
            faceless.append(name)
    log_dropped(_LOGGER, "unreadable pictures", unreadable)
    log_dropped(_LOGGER, "pictures without a face", faceless)
    dropped = {"unreadable picture": len(unreadable), "no face": len(faceless)}
    return FaceCrops(images=images[: int(is_found.sum())], is_found=is_found, dropped=dropped)


def _read_or_note(
    name: str, read: Callable[[], np.ndarray], unreadable: list[str]
) -> np.ndarray | None:
    """Return a picture, or None and what is wrong with it added to `unreadable`."""
    try:
        return read()
    except (OSError, ValueError) as error:
        unreadable.append(f"{name}: {error}")
        return None
