"""Faces cut out of pictures by a detector, for sets whose pictures show more than the face.

The networks are trained on crops framed as Haar boxes, so the crop is the box itself.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from minixception.datasets.pictures import check_image_form, log_dropped, to_form
from minixception.images import crop

if TYPE_CHECKING:
    from minixception.detector import FaceDetector

_LOGGER = logging.getLogger(__name__)

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


def crop_largest_face(image: np.ndarray, detector: FaceDetector) -> np.ndarray | None:
    """Cut out the face with the largest box.

    Args:
        image: RGB uint8 (height, width, 3).
        detector: Finds the faces.

    Returns:
        RGB uint8, a copy of the part of `image` inside the box; None when there is no face.
    """
    boxes = detector.detect(image)
    return crop(image, max(boxes, key=lambda box: box.area)) if boxes else None


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
        detector: Finds the faces; None takes `HaarDetector()`.

    Returns:
        The faces, and what happened to the other pictures, which a logged warning names.

    Raises:
        ValueError: `image_size` or `channels` is not allowed.
    """
    from minixception.detector import load_detector

    check_image_form(image_size, channels)
    detector = load_detector(detector)
    images = np.empty((len(readers), *image_size, channels), dtype=np.uint8)
    is_found = np.zeros(len(readers), dtype=bool)
    unreadable: list[str] = []
    faceless: list[str] = []
    told_at = time.monotonic()
    for position, (name, read) in enumerate(readers):
        if time.monotonic() - told_at > _SECONDS_BETWEEN_REPORTS:
            told_at = time.monotonic()
            _LOGGER.info("Looked for a face in %d of %d pictures", position, len(readers))
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
