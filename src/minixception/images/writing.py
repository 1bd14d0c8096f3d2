"""Picture files: writing."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from minixception.files import atomic_path
from minixception.images.arrays import as_rgb

WRITABLE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")

# JPEG colours at full resolution, or thin coloured lines would blur, for a seventh more bytes. The
# least compression of a PNG takes a fifth of the default's time, also for a seventh more bytes.
_SAVE_OPTIONS: dict[str, dict[str, Any]] = {
    ".jpg": {"quality": 92, "subsampling": 0},
    ".jpeg": {"quality": 92, "subsampling": 0},
    ".webp": {"quality": 92},
    ".png": {"compress_level": 1},
}

# Pixels of a side that the encoder takes; other formats have no limit.
_LARGEST_SIDES = {".jpg": 65500, ".jpeg": 65500, ".webp": 16383}


def write_image(
    path: str | os.PathLike[str], image: np.ndarray, *, profile: bytes | None = None
) -> None:
    """Write a picture in the format that its file name asks for, whole or not at all.

    Missing folders are made.

    Args:
        path: a file name ending in one of `WRITABLE_SUFFIXES`; upper case is fine.
        image: any array that `as_rgb` takes.
        profile: the ICC profile of its colours, see `colour_profile`; sRGB if left out. A .bmp
            holds none.

    Raises:
        ValueError: for another ending, an array that is no image, or one that is too large for the
            format; or if `path` is a pipe or device.
        OSError: if the folder cannot be made or written to.
    """
    path = Path(path)
    if path.suffix.lower() not in WRITABLE_SUFFIXES:
        raise ValueError(
            f"`path` must end in one of {', '.join(WRITABLE_SUFFIXES)}. Received: path='{path}'"
        )
    picture = Image.fromarray(np.ascontiguousarray(as_rgb(image)))
    largest = _LARGEST_SIDES.get(path.suffix.lower(), max(picture.size))
    if max(picture.size) > largest:
        raise ValueError(
            f"`path` must be a .png for sides above {largest} pixels. Received: path='{path}', "
            f"{picture.width}x{picture.height} pixels"
        )
    with atomic_path(path) as temporary:
        picture.save(temporary, icc_profile=profile, **_SAVE_OPTIONS.get(path.suffix.lower(), {}))
