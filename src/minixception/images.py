"""Pictures as arrays: reading, writing, resizing, cropping.

Everywhere in the package an image is RGB uint8 (height, width, 3), or (height, width, 1) when grey,
and a size is (height, width). OpenCV's networks, windows and videos speak BGR: this module has the
two conversions.

Files are read with Pillow rather than OpenCV: OpenCV drops transparency, decodes half a file
without an error and writes warnings to the terminal, and its result is the same to the last bit.
The price is 150 instead of 70 ms for a JPEG of twelve megapixels (two cores).
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import io
import logging
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError, _imaging

from minixception.bounds import check_scans
from minixception.files import atomic_path

# Named one by one, since Pillow would start Ghostscript for an EPS file. JPEG includes the MPO that
# phones write, PPM includes PBM and PGM.
READABLE_FORMATS = ("JPEG", "PNG", "BMP", "GIF", "PPM", "TIFF", "WEBP")
"""What every Pillow reads; AVIF takes one of version 11.3, HEIC the extra `heif`."""

WRITABLE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")

# AVIF and HEIC begin with a box `ftyp` that lists what can read them.
_AVIF_BRANDS = {b"avif", b"avis"}
_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
_HEAD_BYTES = 48
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_LARGEST_REPAIR = 64 << 20  # bytes

_PIXELS_AT_A_TIME = 1 << 20
_HIGHEST_OF_12_BITS = 4095

_LOGGER = logging.getLogger(__name__)

# Colours at full resolution, or thin coloured lines would blur: a seventh more bytes, no more time.
# The least compression of a PNG takes a fifth of the time of Pillow's default, for a seventh more.
_SAVE_OPTIONS: dict[str, dict[str, Any]] = {
    ".jpg": {"quality": 92, "subsampling": 0},
    ".jpeg": {"quality": 92, "subsampling": 0},
    ".webp": {"quality": 92},
    ".png": {"compress_level": 1},
}

# Pixels of a side that the encoder takes; the others take any.
LARGEST_SIDES = {".jpg": 65500, ".jpeg": 65500, ".webp": 16383}


def read_image(path: str | os.PathLike[str]) -> np.ndarray:
    """Read a picture file, upright as its EXIF orientation says.

    Grey, palette, CMYK, 16-bit and float pictures become 8-bit RGB; transparent parts become
    white, as on a page; of an animation the first frame is read. The size is checked before any
    pixel is decoded. 16-bit white is 65535; floats reach up to 1, or else to 255.

    Args:
        path: a JPEG, PNG, BMP, GIF, PPM, TIFF, WebP, AVIF or (with the extra `heif`) HEIC file.

    Returns:
        RGB uint8 (height, width, 3), a new array.

    Raises:
        FileNotFoundError, IsADirectoryError, PermissionError: if there is no file to read.
        ValueError: if the file is empty, truncated, not a picture, larger than 179 million pixels
            (Pillow's own bound), or has 32-bit whole numbers, whose range nobody knows.
    """
    path = Path(path)
    if path.exists() and not (path.is_file() or path.is_dir()):  # it would wait for a writer
        raise ValueError(f"`path` must be a file. Received: path='{path}', a pipe or device")
    with path.open("rb") as file:
        return _decode(file, str(path), path.stat().st_size)


def decode_image(content: bytes, name: str) -> np.ndarray:
    """Decode the bytes of a picture file, as of an archive member, just as `read_image` does.

    Args:
        content: the whole file.
        name: what messages call it.

    Returns:
        RGB uint8 (height, width, 3), a new array.

    Raises:
        ValueError: as `read_image`.
    """
    return _decode(io.BytesIO(content), name, len(content))


def count_pixels(picture: str | os.PathLike[str] | bytes) -> int:
    """Return the pixels of a picture file, or its content, by its head; 0 if that is unreadable."""
    try:
        if isinstance(picture, bytes):
            return _count_pixels(io.BytesIO(picture))
        if not Path(picture).is_file():  # a pipe would wait for a writer
            return 0
        with Path(picture).open("rb") as file:
            return _count_pixels(file)
    except Exception:  # whatever it is, the reader will say so
        return 0


def _count_pixels(file: BinaryIO) -> int:
    formats = _formats_of(file.read(_HEAD_BYTES), "")
    file.seek(0)
    with Image.open(file, formats=formats) as opened:
        return opened.width * opened.height


def pillow_to_rgb(picture: Image.Image) -> np.ndarray:
    """Turn a Pillow picture, which stays as it is, into an array just as `read_image` does.

    Returns:
        RGB uint8 (height, width, 3), a new array.

    Raises:
        ValueError: as `read_image`.
    """
    with _clear_errors(getattr(picture, "filename", "") or "a Pillow picture"):
        return _picture_to_rgb(ImageOps.exif_transpose(picture))


def _decode(file: BinaryIO, name: str, size: int) -> np.ndarray:
    _silence_libtiff()
    head = file.read(_HEAD_BYTES)
    formats = _formats_of(head, name)
    try:
        return _decode_as(formats, file, name, size)
    except ValueError:
        if not head.startswith(_PNG_SIGNATURE) or size > _LARGEST_REPAIR:
            raise
        return _decode_as(formats, _without_broken_comments(file), name, size)


def _decode_as(formats: tuple[str, ...], file: BinaryIO, name: str, size: int) -> np.ndarray:
    file.seek(0)
    with _clear_errors(name, size), Image.open(file, formats=formats) as picture:
        if picture.format in ("JPEG", "MPO"):
            check_scans(file, picture.width * picture.height)
        picture.load()
        ImageOps.exif_transpose(picture, in_place=True)
        return _picture_to_rgb(picture)


def _formats_of(head: bytes, name: str) -> tuple[str, ...]:
    """Return the formats to try for a file that begins so."""
    brands = {head[place : place + 4] for place in range(8, _HEAD_BYTES, 4)}
    if head[4:8] != b"ftyp" or not brands & (_AVIF_BRANDS | _HEIC_BRANDS):
        return READABLE_FORMATS
    Image.init()
    if brands & _AVIF_BRANDS:
        if "AVIF" not in Image.OPEN:
            raise ValueError(f"{name} is an AVIF picture, which takes Pillow 11.3 or newer")
        return ("AVIF",)
    try:
        from pillow_heif import register_heif_opener
    except ImportError:
        raise ValueError(
            f"{name} is a HEIC picture, which takes an extra: pip install 'minixception[heif]'"
        ) from None
    register_heif_opener()
    return ("HEIF",)


def _without_broken_comments(file: BinaryIO) -> BinaryIO:
    """Leave out the texts of a PNG whose checksum is wrong; of the other chunks Pillow tells."""
    file.seek(0)
    content = file.read()
    kept, place = [content[:8]], 8
    while place < len(content):
        end = place + 12 + int.from_bytes(content[place : place + 4], "big")
        chunk = content[place:end]
        is_text = chunk[4:8] in (b"tEXt", b"zTXt", b"iTXt")
        if not is_text or zlib.crc32(chunk[4:-4]) == int.from_bytes(chunk[-4:], "big"):
            kept.append(chunk)
        place = end
    return io.BytesIO(b"".join(kept))


@contextlib.contextmanager
def _clear_errors(name: str, size: int = 0) -> Iterator[None]:
    """Say in one way what is wrong with a picture; `size` is that of its file in bytes."""
    try:
        yield
    except UnidentifiedImageError as error:
        formats = ", ".join((*READABLE_FORMATS, "AVIF", "HEIC"))
        raise ValueError(
            f"`path` must be a picture in one of the formats {formats}. Received: "
            f"path='{name}', a file of {size} bytes that is none of them, or of a rare kind"
        ) from error
    except Image.DecompressionBombError as error:
        raise ValueError(
            f"`path` must be a picture of at most {2 * (Image.MAX_IMAGE_PIXELS or 0)} pixels; "
            f"shrink it first. Received: path='{name}'"
        ) from error
    except MemoryError:
        raise
    # Pillow raises many kinds for a damaged file: an AssertionError where a PNG lacks its palette,
    # a TypeError where a number of a TIFF is a text.
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # of the system, as when a disk goes away; Pillow's own errors have no number
        raise ValueError(
            f"`path` must be a complete picture; copy or download it again, or convert it to "
            f"8-bit PNG. Received: path='{name}' ({str(error) or type(error).__name__})"
        ) from error


@functools.cache
def _silence_libtiff() -> None:
    """Keep libtiff from writing to the terminal what Pillow raises as an error as well."""
    # Pillow turns its warnings off, and has no switch for its errors. Where libtiff is part of
    # Pillow's own file, as on Windows, it cannot be reached.
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(_imaging.__file__).TIFFSetErrorHandler(None)


def _picture_to_rgb(picture: Image.Image) -> np.ndarray:
    """Convert some rows at a time: the largest picture would take 2.7 GB at once, and 1.3 GB so."""
    if picture.mode == "I":
        raise ValueError("32-bit whole numbers as pixels")
    is_deep = picture.mode == "F" or picture.mode.startswith("I;16")
    highest = float(picture.getextrema()[1]) if is_deep else 1.0  # type: ignore[arg-type]
    white = np.float32(255 if 1 < highest <= 255 else 1)
    if picture.mode != "F" and 1 < highest < _HIGHEST_OF_12_BITS + 1:
        _tell_of_dark_values()
    is_transparent = picture.has_transparency_data
    result = np.empty((picture.height, picture.width, 3), np.uint8)
    count = max(1, _PIXELS_AT_A_TIME // picture.width)
    for start in range(0, picture.height, count):
        rows = picture.crop((0, start, picture.width, min(start + count, picture.height)))
        if rows.mode == "F":
            values = np.asarray(rows) / white
        elif rows.mode.startswith("I;16"):
            values = np.asarray(rows).astype(np.uint16)
        else:
            values = np.asarray(rows.convert("RGBA" if is_transparent else "RGB"))
        result[start : start + count] = as_rgb(values)
    return result


@functools.cache
def _tell_of_dark_values() -> None:
    """Say, once, that pictures are nearly black whose 16 bits hold those of a scientific camera."""
    _LOGGER.warning(
        "A 16-bit picture has no value above %d, as cameras of 10 or 12 bits write them. White is "
        "65535 here, so that it is read as nearly black: shift its values up.",
        _HIGHEST_OF_12_BITS,
    )


def as_rgb(array: np.ndarray) -> np.ndarray:
    """Turn an array that a user may hold into the package's own form.

    Args:
        array: (height, width) or (height, width, C) with C 1 (grey), 3 (RGB) or 4 (RGBA, laid on
            white); uint8, uint16 (65535 is white: shift values of 12 bits by 4), bool (True is
            white) or float in [0, 1].

    Returns:
        RGB uint8 (height, width, 3); `array` itself where it has that form already.

    Raises:
        ValueError: for another shape, an empty array, NaN or a float outside [0, 1].
        TypeError: if `array` is no array, or one of another dtype.
    """
    if not isinstance(array, np.ndarray):
        raise TypeError(f"`array` must be a NumPy array. Received: {type(array).__name__}")
    _require_image_shape(array)
    image = _as_uint8(array.reshape(*array.shape[:2], -1))
    if image.shape[2] == 1:
        return np.repeat(image, 3, axis=2)
    if image.shape[2] == 4:
        return _on_white(image)
    return image


def _require_image_shape(array: np.ndarray) -> None:
    known = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (1, 3, 4))
    if not known or array.size == 0:
        raise ValueError(
            "`array` must have the shape (height, width) or (height, width, channels), with 1, 3 "
            f"or 4 channels last, and must not be empty. Received: shape={array.shape}"
        )


def _as_uint8(array: np.ndarray) -> np.ndarray:
    if array.dtype == np.uint8:
        return array
    if np.issubdtype(array.dtype, np.uint16):  # of either byte order
        # 65535 = 255 * 257: dividing by 257 maps white to white, adding half of it rounds.
        return ((array.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * np.uint8(255)
    if not np.issubdtype(array.dtype, np.floating):
        raise TypeError(
            "`array` must be uint8, uint16, bool or float; integers from 0 to 255 become uint8 "
            f"with `array.astype('uint8')`. Received: dtype={array.dtype}"
        )
    lowest, highest = float(array.min()), float(array.max())
    if not (lowest >= 0.0 and highest <= 1.0):  # written so that NaN fails too
        raise ValueError(
            "`array` of floats must lie in [0, 1], without NaN. "
            f"Received: minimum={lowest:g}, maximum={highest:g}"
        )
    return np.rint(array * 255.0).astype(np.uint8)


def _on_white(image: np.ndarray) -> np.ndarray:
    opacity = image[:, :, 3:].astype(np.uint16)
    # At most 255 * 255, and half of it to round.
    return ((image[:, :, :3] * opacity + 255 * (255 - opacity) + 127) // 255).astype(np.uint8)


def write_image(path: str | os.PathLike[str], image: np.ndarray) -> None:
    """Write a picture in the format of its file name, all of it or nothing.

    Whoever reads `path` meanwhile sees the old picture or the new one, see `files.atomic_path`.
    Missing folders are made.

    Args:
        path: a file name ending in one of `WRITABLE_SUFFIXES`; upper case is fine.
        image: any array that `as_rgb` takes.

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
    largest = LARGEST_SIDES.get(path.suffix.lower(), max(picture.size))
    if max(picture.size) > largest:
        raise ValueError(
            f"`path` must be a .png for sides above {largest} pixels. Received: path='{path}', "
            f"{picture.width}x{picture.height} pixels"
        )
    with atomic_path(path) as temporary:
        picture.save(temporary, **_SAVE_OPTIONS.get(path.suffix.lower(), {}))


def resize_image(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize an image, whatever its proportions.

    Growing is bilinear, as the 48 px faces of FER2013 were brought to 64 px for the published
    networks. Shrinking averages over the area, since bilinear would skip most pixels of a large
    face. Where one side grows and the other shrinks, bilinear serves both.

    Args:
        image: (height, width) or (height, width, C), uint8 or float32.
        size: (height, width) of the result, at least 1 each.

    Returns:
        An array of that size, of the same dtype and rank; `image` itself if it has that size.

    Raises:
        ValueError: if a side of `size` is below 1, or `image` is empty.
    """
    height, width = size
    if height < 1 or width < 1:
        raise ValueError(f"`size` must be at least (1, 1). Received: size={tuple(size)}")
    if image.size == 0:
        raise ValueError(f"`image` must not be empty. Received: shape={image.shape}")
    if image.shape[:2] == (height, width):
        return image
    shrinks = height <= image.shape[0] and width <= image.shape[1]
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    resized = cv2.resize(image, (width, height), interpolation=interpolation)
    return resized.reshape(height, width, *image.shape[2:])


def to_grey(image: np.ndarray) -> np.ndarray:
    """Turn an RGB image into grey with the usual weights 0.299, 0.587 and 0.114.

    Args:
        image: uint8 or float32 (height, width, 3), or (height, width, 1), which is returned as is.

    Returns:
        An array (height, width, 1) of the same dtype.

    Raises:
        ValueError: for another shape.
    """
    if image.ndim != 3 or image.shape[2] not in (1, 3):
        raise ValueError(
            "`image` must have the shape (height, width, 3) or (height, width, 1). "
            f"Received: shape={image.shape}"
        )
    if image.shape[2] == 1:
        return image
    return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[:, :, np.newaxis]


def mirror(image: np.ndarray) -> np.ndarray:
    """Return a copy of an image (height, width, ...) with left and right exchanged."""
    return np.ascontiguousarray(image[:, ::-1])


def crop(image: np.ndarray, box: tuple[int, int, int, int]) -> np.ndarray:
    """Return a copy of the part of an image inside a box.

    Args:
        image: (height, width) or (height, width, C).
        box: (x, y, width, height), inside the image: see `boxes.crop_box`.

    Raises:
        ValueError: if the box is empty or reaches beyond the image.
    """
    x, y, width, height = box
    inside = 0 <= x < x + width <= image.shape[1] and 0 <= y < y + height <= image.shape[0]
    if not inside:
        raise ValueError(
            f"`box` must lie inside the image of {image.shape[0]} rows and {image.shape[1]} "
            f"columns. Received: box={tuple(box)}"
        )
    return image[y : y + height, x : x + width].copy()


def rgb_to_bgr(image: np.ndarray) -> np.ndarray:
    """Return a copy of an RGB image (height, width, 3) in the order of OpenCV, BGR."""
    return cv2.cvtColor(image, cv2.COLOR_RGB2BGR)


def bgr_to_rgb(image: np.ndarray) -> np.ndarray:
    """Return a copy of an image (height, width, 3) from OpenCV, BGR, as RGB."""
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
