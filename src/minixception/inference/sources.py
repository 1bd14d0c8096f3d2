"""Pictures in any form: a file, its content, a Pillow picture or an array."""

import io
from collections.abc import Iterable
from os import PathLike
from typing import Any, BinaryIO, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from minixception.images import as_rgb, bgr_to_rgb, decode_image, pillow_to_rgb, read_image

Picture: TypeAlias = str | PathLike[str] | bytes | BinaryIO | Image.Image | NDArray[Any]


def load_picture(picture: Picture, *, bgr: bool = False, reduction: int = 1) -> NDArray[np.uint8]:
    """Turn a picture in any form into the package's own.

    Args:
        picture: a path, the bytes of a picture file, a file object opened in binary mode or a
            Pillow picture, see `images.read_image`; or an array, see `images.as_rgb`.
        bgr: arrays are BGR or BGRA, as OpenCV returns them; it does not matter for files.
        reduction: of a JPEG, see `images.read_image`.

    Returns:
        RGB uint8 (height, width, 3); `picture` itself if it is an array of that form.

    Raises:
        FileNotFoundError, IsADirectoryError, PermissionError: if there is no file to read.
        ValueError: if it is not a picture, or a broken one.
        TypeError: for anything else.
    """
    if isinstance(picture, np.ndarray):
        image = as_rgb(picture)
        return bgr_to_rgb(image) if bgr else image
    if isinstance(picture, str | PathLike):
        return read_image(picture, reduction=reduction)
    if isinstance(picture, Image.Image):
        return pillow_to_rgb(picture)
    content = read_now(picture)
    if isinstance(content, bytes | bytearray | memoryview):
        name = str(getattr(picture, "name", "bytes"))
        return decode_image(bytes(content), name, reduction=reduction)
    raise TypeError(
        "`picture` must be a path, bytes, a file object opened in binary mode, a Pillow picture or "
        f"a NumPy array. Received: {type(picture).__name__}"
    )


def read_now(picture: Any) -> Any:
    """Return the content of a binary file object, and anything else as it is."""
    is_binary = hasattr(picture, "read") and not isinstance(picture, io.TextIOBase)
    return picture.read() if is_binary else picture


def separate(pictures: Any) -> Iterable[Picture]:
    """Return an iterable of pictures, given one, an array of several or an iterable.

    An array is one picture where it is (height, width) or (height, width, C) with C 1, 3 or 4, and
    several where it is (N, height, width) or (N, height, width, C).

    >>> len(separate(np.zeros((48, 48, 3)))), len(separate(np.zeros((5, 48, 48))))
    (1, 5)
    """
    if isinstance(pictures, np.ndarray):
        is_single = pictures.ndim == 2 or (pictures.ndim == 3 and pictures.shape[2] in (1, 3, 4))
        return [pictures] if is_single else pictures
    single = str | PathLike | bytes | bytearray | memoryview | Image.Image
    if isinstance(pictures, single) or hasattr(pictures, "read"):
        return [pictures]
    return pictures
