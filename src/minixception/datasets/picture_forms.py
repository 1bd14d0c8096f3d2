"""Picture files brought to one form, whole or reduced to the face."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from minixception.datasets.face_crops import crop_faces
from minixception.datasets.pictures import ReadPictures, read_pictures
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


def read_in_form(files: Sequence[Path], form: PictureForm) -> ReadPictures:
    """Read N picture files.

    Raises:
        ValueError: size or channels are not allowed.
    """
    size, channels = form.image_size, form.channels
    if not form.crop_faces:
        return read_pictures(files, image_size=size, channels=channels)
    readers = [(str(file), partial(read_image, file)) for file in files]
    return crop_faces(readers, image_size=size, channels=channels, detector=form.detector)
