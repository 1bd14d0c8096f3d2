"""Many picture files read into one array of one size."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from minixception.datasets.face_dataset import picture_digest
from minixception.images import read_image, resize_image, to_grey
from minixception.storage import is_passing, read_patiently

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
