"""Faces cut out of pictures by a detector, for sets whose pictures show more than the face.

The networks are trained on crops framed as Haar boxes, so the crop is the box itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from minixception.datasets.pictures import NamedReader, ReadPictures, read_parts
from minixception.images import crop

if TYPE_CHECKING:
    from minixception.detector import FaceDetector


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
) -> ReadPictures:
    """Find the largest face of each picture; tell every ten seconds how far it is.

    Args:
        readers: N pictures.
        image_size: (height, width) of the result.
        channels: 1 for grey, 3 for RGB.
        detector: Finds the faces; None takes `HaarDetector()`.

    Raises:
        ValueError: `image_size` or `channels` is not allowed.
    """
    from minixception.detector import load_detector

    cut = partial(crop_largest_face, detector=load_detector(detector))
    return read_parts(readers, cut, image_size=image_size, channels=channels)
