"""Picture files brought to one form, whole or reduced to the face."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from minixception.datasets.face_crops import crop_faces
from minixception.datasets.pictures import read_pictures
from minixception.images import read_image

if TYPE_CHECKING:
    from minixception.detector import FaceDetector


@dataclass(frozen=True)
class PictureForm:
    """What becomes of a picture.

    Attributes:
        image_size: (height, width) of the result.
        channels: 1 for grey, 3 for RGB.
        crop_faces: cut out the largest face; else the whole picture is resized.
        detector: finds the faces; None takes `HaarDetector()`.
    """

    image_size: tuple[int, int]
    channels: int
    crop_faces: bool = False
    detector: FaceDetector | None = None


def read_in_form(
    files: Sequence[Path], form: PictureForm
) -> tuple[np.ndarray, np.ndarray, dict[str, int]]:
    """Read N picture files.

    Returns:
        uint8 (M, height, width, channels) of those that could be used; bool (N,), True for these;
        and reason -> number of the others, which a logged warning names.

    Raises:
        ValueError: size or channels are not allowed.
    """
    size, channels = form.image_size, form.channels
    if not form.crop_faces:
        images, is_readable = read_pictures(files, image_size=size, channels=channels)
        return images, is_readable, {"unreadable picture": int((~is_readable).sum())}
    readers = [(str(file), partial(read_image, file)) for file in files]
    crops = crop_faces(readers, image_size=size, channels=channels, detector=form.detector)
    return crops.images, crops.is_found, crops.dropped
