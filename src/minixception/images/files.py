"""Picture files: reading.

Files are read with Pillow rather than OpenCV, which drops transparency, decodes half a file without
an error and writes warnings to the terminal. The pixels are the same to the last bit; a JPEG of
twelve megapixels takes 150 ms instead of 70 (two cores).
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
from typing import BinaryIO, NoReturn

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError, _imaging
from PIL.ImageFile import ImageFile

from minixception.bounds import check_read_whole, check_scans
from minixception.images.arrays import as_rgb
from minixception.messages import one_line

# Listed, since Pillow would start Ghostscript for an EPS file. JPEG includes the MPO of phones, PPM
# includes PBM and PGM.
READABLE_FORMATS = ("JPEG", "PNG", "BMP", "GIF", "PPM", "TIFF", "WEBP")
"""What every Pillow reads; AVIF needs version 11.3, and HEIC the extra `heif`."""

_JPEG = ("JPEG", "MPO")

# AVIF and HEIC begin with a box `ftyp` that lists brands, and take more than every Pillow has.
_AVIF_BRANDS = {b"avif", b"avis"}
_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
_NEEDS = {
    "AVIF": "an AVIF picture, which takes Pillow 11.3 or newer",
    "HEIF": "a HEIC picture, which takes an extra: pip install 'minixception[heif]'",
}
_HEAD_BYTES = 48
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_LARGEST_REPAIR = 64 << 20  # bytes

_KIND_OF_TIFF, _SMALL_COPY = 254, 1

_PIXELS_AT_A_TIME = 1 << 20
_BRIGHTEST_OF_12_BITS = 16  # once it is read: 4095 of 65535
_SIXTEEN_BITS = (";16", "65535")  # in what Pillow knows of a file, which it may reduce to 8
_BRIGHTEST = 1.5  # of a float picture whose white is 1

# EXIF orientation -> what makes the picture upright.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

_LOGGER = logging.getLogger(__name__)


def read_image(path: str | os.PathLike[str], *, reduction: int = 1) -> np.ndarray:
    """Read a picture file, upright as its EXIF orientation says.

    Grey, palette, CMYK, 16-bit and float pictures become 8-bit RGB, transparent parts white. Of an
    animation the first frame is read, of several pages the first one, with a warning. The size is
    checked before any pixel is decoded. White is 65535 in 16 bits, and 1 or 255 in floats.

    Args:
        path: a JPEG, PNG, BMP, GIF, PPM, TIFF, WebP, AVIF or (with the extra `heif`) HEIC file.
        reduction: 1, 2, 4 or 8: a JPEG is decoded with its sides divided by this, rounded down,
            which takes less time and memory. Other formats are read whole.

    Returns:
        RGB uint8 (height, width, 3), a new array.

    Raises:
        FileNotFoundError, IsADirectoryError, PermissionError: if there is no file to read.
        ValueError: if the file is empty, truncated, not a picture, larger than 179 million pixels
            (Pillow's own bound), or has 32-bit integers, whose range is unknown.
    """
    path = Path(path)
    if path.exists() and not (path.is_file() or path.is_dir()):  # it would wait for a writer
        raise ValueError(f"{path} must be a file. Received: a pipe or device")
    with path.open("rb") as file:
        return _decode(file, str(path), path.stat().st_size, reduction)


def decode_image(content: bytes, name: str, *, reduction: int = 1) -> np.ndarray:
    """Decode the content of a picture file just as `read_image` does; messages call it `name`."""
    return _decode(io.BytesIO(content), name, len(content), reduction)


def picture_size(
    picture: str | os.PathLike[str] | bytes | BinaryIO, *, reducible: bool = False
) -> tuple[int, int]:
    """Return (height, width) from the head of a picture file, a stream or the content.

    It is the size of the pixels as stored, upright or not; (0, 0) if the head cannot be read, or
    with `reducible` if the format is not one that `read_image` can decode to a smaller size.
    """
    try:
        if isinstance(picture, str | os.PathLike):
            if not Path(picture).is_file():  # a pipe would wait for a writer
                return 0, 0
            with Path(picture).open("rb") as file:
                return picture_size(file, reducible=reducible)
        with _head(io.BytesIO(picture) if isinstance(picture, bytes) else picture) as opened:
            is_wanted = opened.format in _JPEG or not reducible
            return (opened.height, opened.width) if is_wanted else (0, 0)
    except Exception:  # the reader will say what is wrong
        return 0, 0


def colour_profile(path: str | os.PathLike[str]) -> bytes | None:
    """Return the ICC profile that says which colours the RGB of a picture file are.

    Phones write Display P3, cameras Adobe RGB; `read_image` leaves the values as they are. None if
    there is none, or one of CMYK or grey, or the head cannot be read.
    """
    with contextlib.suppress(Exception), Path(path).open("rb") as file, _head(file) as opened:
        profile = opened.info.get("icc_profile") or b""
        return profile if profile[16:20] == b"RGB " else None
    return None


@contextlib.contextmanager
def _head(stream: BinaryIO) -> Iterator[Image.Image]:
    """Give a picture whose pixels are not decoded; the stream stays where it is."""
    place = stream.tell()
    try:
        formats = _formats_of(stream.read(_HEAD_BYTES), stream.seek(0, io.SEEK_END), "")
        stream.seek(place)
        with Image.open(stream, formats=formats) as opened:
            yield opened
    finally:
        stream.seek(place)


def pillow_to_rgb(picture: Image.Image) -> np.ndarray:
    """Turn a Pillow picture, which stays as it is, into an array just as `read_image` does."""
    name = getattr(picture, "filename", "") or "a Pillow picture"
    try:
        return _picture_to_rgb(_upright(picture), name)
    except Exception as error:
        _raise_clearly(error, name)


def _decode(file: BinaryIO, name: str, size: int, reduction: int) -> np.ndarray:
    _silence_libtiff()
    head = file.read(_HEAD_BYTES)
    formats = _formats_of(head, size, name)
    try:
        return _decode_as(formats, file, name, size, reduction)
    except ValueError:
        if not head.startswith(_PNG_SIGNATURE) or size > _LARGEST_REPAIR:
            raise
        return _decode_as(formats, _without_broken_comments(file), name, size, reduction)


def _decode_as(
    formats: tuple[str, ...], file: BinaryIO, name: str, size: int, reduction: int
) -> np.ndarray:
    file.seek(0)
    try:
        with Image.open(file, formats=formats) as opened:
            return _pixels_of(opened, file, name, reduction)
    except Exception as error:
        _raise_clearly(error, name, size)


def _pixels_of(opened: ImageFile, file: BinaryIO, name: str, reduction: int) -> np.ndarray:
    picture: Image.Image = opened
    stored = str(opened.tile[:1])
    if getattr(opened, "tag_v2", {}).get(_KIND_OF_TIFF) == _SMALL_COPY:
        raise ValueError("its first picture is a small copy, as in the raw files of cameras")
    if opened.format == "TIFF" and getattr(opened, "is_animated", False):
        _LOGGER.warning("%s: only the first of its pages is read", one_line(name))
    if opened.format in _JPEG:
        check_scans(file, opened.width * opened.height)
        if reduction > 1:
            width, height = opened.width // reduction, opened.height // reduction
            opened.draft(None, (width, height))
            picture = opened.crop((0, 0, width, height))
    picture.load()
    if opened.format == "PPM" and picture.mode == "I":  # 16 bits, white is 65535
        picture = Image.fromarray(np.asarray(picture).astype(np.uint16))
    if "I;12" in stored:  # white is 4095
        picture = picture.point(lambda value: value * 16)
    is_deep = any(mark in stored for mark in _SIXTEEN_BITS)
    return _picture_to_rgb(_upright(picture), name, is_deep=is_deep)


def _upright(picture: Image.Image) -> Image.Image:
    """Turn a picture as its EXIF orientation says.

    `ImageOps.exif_transpose` also writes the EXIF data anew, and fails where another entry is
    damaged.
    """
    turn = _TURNS.get(picture.getexif().get(ExifTags.Base.Orientation, 1))
    return picture if turn is None else picture.transpose(turn)


def _formats_of(head: bytes, size: int, name: str) -> tuple[str, ...]:
    """Return the formats to try for a file of this size with these first bytes."""
    brands = {head[place : place + 4] for place in range(8, _HEAD_BYTES, 4)}
    is_boxed = head[4:8] == b"ftyp" and brands & (_AVIF_BRANDS | _HEIC_BRANDS)
    if is_boxed or head[8:12] == b"WEBP":
        check_read_whole(size, name)
    if not is_boxed:
        return READABLE_FORMATS
    form = "AVIF" if brands & _AVIF_BRANDS else "HEIF"
    if form == "HEIF":
        with contextlib.suppress(ImportError):
            from pillow_heif import register_heif_opener

            register_heif_opener()
    Image.init()
    if form not in Image.OPEN:
        raise ValueError(f"{name} is {_NEEDS[form]}") from ImportError(form)
    return (form,)


def _without_broken_comments(file: BinaryIO) -> BinaryIO:
    """Return a PNG without its text chunks that have a wrong checksum, which Pillow refuses."""
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


def _raise_clearly(error: Exception, name: str, size: int = 0) -> NoReturn:
    """Turn an error about a picture into a clear one; `size` is that of its file in bytes.

    No context manager: that of Python 3.13 ties errors, and the content of files, into a circle.
    """
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno is not None):
        raise error  # from the system, such as a disk that goes away; Pillow's own have no number
    if isinstance(error, UnidentifiedImageError):
        formats = ", ".join((*READABLE_FORMATS, "AVIF", "HEIC"))
        raise ValueError(
            f"{name} must be a picture in one of the formats {formats}. Received: "
            f"a file of {size} bytes that is none of them, or a rare variant"
        ) from error
    if isinstance(error, Image.DecompressionBombError):
        raise ValueError(
            f"{name} must be a picture of at most {2 * (Image.MAX_IMAGE_PIXELS or 0)} pixels; "
            "shrink it first"
        ) from error
    # Pillow raises many kinds for a damaged file: an AssertionError for a PNG without its palette,
    # a TypeError for a TIFF with text for a number.
    raise ValueError(
        f"{name} must be a complete picture; copy or download it again, or convert it to 8-bit "
        f"PNG. Received: {str(error) or type(error).__name__}"
    ) from error


@functools.cache
def _silence_libtiff() -> None:
    """Keep libtiff from printing errors that Pillow raises as well."""
    # Pillow switches off its warnings only. If libtiff is part of Pillow's own file, as on Windows,
    # it is out of reach.
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(_imaging.__file__).TIFFSetErrorHandler(None)


def _picture_to_rgb(picture: Image.Image, name: str, *, is_deep: bool = False) -> np.ndarray:
    """Convert some rows at a time: the largest picture takes 1.3 GB so, and 2.7 GB at once."""
    if picture.mode == "I":
        raise ValueError("32-bit whole numbers as pixels")
    highest = float(picture.getextrema()[1]) if picture.mode == "F" else 1.0  # type: ignore[arg-type]
    # A float picture up to 1 may overshoot a little, as enlarging does.
    white = np.float32(255 if _BRIGHTEST < highest <= 255 else 1)
    is_transparent = picture.has_transparency_data
    result = np.empty((picture.height, picture.width, 3), np.uint8)
    count = max(1, _PIXELS_AT_A_TIME // picture.width)
    for start in range(0, picture.height, count):
        rows = picture.crop((0, start, picture.width, min(start + count, picture.height)))
        if rows.mode == "F":
            values = np.asarray(rows) / white
            if highest <= _BRIGHTEST:
                values = np.minimum(values, 1)
        elif rows.mode.startswith("I;16"):
            values = np.asarray(rows).astype(np.uint16)
        else:
            values = np.asarray(rows.convert("RGBA" if is_transparent else "RGB"))
        result[start : start + count] = as_rgb(values)
    is_deep = is_deep or picture.mode.startswith("I;16")
    if is_deep and 0 < result.max() <= _BRIGHTEST_OF_12_BITS:
        _LOGGER.warning(
            "%s: its 16-bit values end at 4095 or so, as cameras of 10 or 12 bits write them. "
            "White is 65535, so it is read as nearly black: shift its values up",
            one_line(name),
        )
    return result
