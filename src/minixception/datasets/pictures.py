"""Many picture files read into one array of one size."""

from __future__ import annotations

import logging
import tarfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import numpy as np

from minixception.datasets.face_dataset import picture_digest
from minixception.files import is_passing, read_patiently
from minixception.images import crop, read_image, resize_image, to_grey

if TYPE_CHECKING:
    from minixception.detection.search import FaceDetector

_LOGGER = logging.getLogger(__name__)

_NAMES_SHOWN = 5
_SECONDS_BETWEEN_REPORTS = 10.0

NamedReader = tuple[str, Callable[[], np.ndarray]]
"""What to call a picture, and how to get it: RGB uint8 (H, W, 3), OSError or ValueError."""


def check_image_form(image_size: tuple[int, int], channels: int) -> None:
    """Refuse sizes and channels that no data set can have.

    Raises:
        ValueError: `image_size` is not two numbers of at least 1, or `channels` is not 1 or 3.
    """
    if len(image_size) != 2 or min(image_size) < 1:
        raise ValueError(
            f"`image_size` must be (height, width), at least 1. Received: image_size={image_size}"
        )
    if channels not in (1, 3):
        raise ValueError(f"`channels` must be 1 (grey) or 3 (RGB). Received: channels={channels!r}")


@dataclass(frozen=True)
class ReadPictures:
    """What came of N pictures.

    Attributes:
        images: uint8 (M, height, width, channels), the M that could be used, in order.
        is_kept: bool (N,), True for these.
        contents: str (M,), the hash of each as it was decoded; see `picture_digest`.
        dropped: reason -> number of the others, which a logged warning names.
    """

    images: np.ndarray
    is_kept: np.ndarray
    contents: np.ndarray
    dropped: dict[str, int]


def read_pictures(
    files: Sequence[Path], *, image_size: tuple[int, int], channels: int
) -> ReadPictures:
    """Read picture files, each resized to the same size.

    Args:
        files: N picture files.
        image_size: (height, width) of the result.
        channels: 1 for grey, 3 for RGB.

    Raises:
        ValueError: `image_size` or `channels` is not allowed.
    """
    readers = [(str(file), partial(read_image, file)) for file in files]
    return read_parts(readers, None, image_size=image_size, channels=channels)


def read_parts(
    readers: Sequence[NamedReader],
    cut: Callable[[np.ndarray], np.ndarray | None] | None,
    *,
    image_size: tuple[int, int],
    channels: int,
) -> ReadPictures:
    """Read pictures, cut the face out of each if need be, tell every ten seconds how far it is.

    Args:
        readers: N pictures.
        cut: From a picture to its face, None where it has none; without `cut` it is kept whole.
        image_size: (height, width) to which the part is resized.
        channels: 1 for grey, 3 for RGB.

    Raises:
        ValueError: `image_size` or `channels` is not allowed.
        OSError: A file cannot be read for a reason that may pass, see `is_passing`, also after some
            seconds: a set without it would be another one.
    """
    check_image_form(image_size, channels)
    images = np.empty((len(readers), *image_size, channels), dtype=np.uint8)
    is_kept = np.zeros(len(readers), dtype=bool)
    contents: list[str] = []
    unreadable: list[str] = []
    faceless: list[str] = []
    began = told_at = time.monotonic()
    for position, (name, read) in enumerate(readers):
        if time.monotonic() - told_at > _SECONDS_BETWEEN_REPORTS:
            told_at = time.monotonic()
            left = (told_at - began) / max(position, 1) * (len(readers) - position)
            _LOGGER.info("Read %d of %d pictures, %.0f s left", position, len(readers), left)
        try:
            image = read_patiently(read)
        except (OSError, ValueError) as error:
            if is_passing(error):
                raise
            unreadable.append(f"{name}: {error}")
            continue
        part = image if cut is None else cut(image)
        if part is None:
            faceless.append(name)
            continue
        images[len(contents)] = to_form(part, image_size=image_size, channels=channels)
        is_kept[position] = True
        contents.append(picture_digest(image))
    log_dropped(_LOGGER, "unreadable pictures", unreadable)
    log_dropped(_LOGGER, "pictures without a face", faceless)
    dropped = {"unreadable picture": len(unreadable)}
    return ReadPictures(
        images=images[: len(contents)],
        is_kept=is_kept,
        contents=np.array(contents, dtype="<U32"),
        dropped=dropped if cut is None else {**dropped, "no face": len(faceless)},
    )


def to_form(image: np.ndarray, *, image_size: tuple[int, int], channels: int) -> np.ndarray:
    """Resize an RGB image uint8 (H, W, 3) to (height, width, channels), grey for 1 channel."""
    resized = resize_image(image, image_size)
    return to_grey(resized) if channels == 1 else resized


def log_dropped(logger: logging.Logger, what: str, names: Sequence[str]) -> None:
    """Log one warning that counts `names` and shows the first few; none when there are none."""
    if names:
        shown = "; ".join(names[:_NAMES_SHOWN])
        more = f"; and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
        logger.warning("Left out %d %s: %s%s", len(names), what, shown, more)


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
    from minixception.detection.registry import load_detector

    cut = partial(crop_largest_face, detector=load_detector(detector))
    return read_parts(readers, cut, image_size=image_size, channels=channels)


LARGEST_FILE = 64 << 20
"""Bytes of a picture or a table, at most."""


def named_contents(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of each file in a folder or a tar archive.

    An archive (also a compressed one) is read without unpacking, so that nothing in it can land
    outside a folder, and links in it lead nowhere.

    Args:
        path: An existing folder or archive.

    Yields:
        The path inside the folder or archive, parts joined by "/", and the content; no content
        (b"") where there is more than `LARGEST_FILE`.

    Raises:
        ValueError: `path` is neither a folder nor a whole tar archive.
        OSError: A file cannot be read.
    """
    if path.is_dir():
        for file in sorted(path.rglob("*")):
            if file.is_file():
                is_small = file.stat().st_size <= LARGEST_FILE
                yield file.relative_to(path).as_posix(), file.read_bytes() if is_small else b""
        return
    try:
        with tarfile.open(path, "r:*") as archive:
            for member in archive:
                if not member.isreg():
                    continue
                # An archive may claim a member of any size, and hold none of it.
                content = archive.extractfile(member) if member.size <= LARGEST_FILE else None
                name = PurePosixPath(member.name).as_posix()
                yield name, b"" if content is None else content.read()
    except (tarfile.TarError, EOFError, OSError) as error:
        if is_passing(error):
            raise
        raise ValueError(f"{path} must be a folder or a whole tar archive. {error}") from error
