"""Many picture files read into one array of one size."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from minixception.images import read_image, resize_image, to_grey

_LOGGER = logging.getLogger(__name__)

_NAMES_SHOWN = 5


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


def read_pictures(
    files: Sequence[Path], *, image_size: tuple[int, int], channels: int
) -> tuple[np.ndarray, np.ndarray]:
    """Read pictures, each resized to the same size.

    Args:
        files: N picture files.
        image_size: (height, width) of the result.
        channels: 1 for grey, 3 for RGB.

    Returns:
        uint8 (M, height, width, channels), the M readable pictures in order, and bool (N,), True
        for each file that could be read. The others are named in a logged warning.

    Raises:
        ValueError: `image_size` or `channels` is not allowed.
    """
    check_image_form(image_size, channels)
    images = np.empty((len(files), *image_size, channels), dtype=np.uint8)
    is_readable = np.zeros(len(files), dtype=bool)
    failures = []
    count = 0
    for position, file in enumerate(files):
        try:
            images[count] = to_form(read_image(file), image_size=image_size, channels=channels)
        except (OSError, ValueError) as error:
            failures.append(f"{file}: {error}")
        else:
            is_readable[position] = True
            count += 1
    log_dropped(_LOGGER, "unreadable pictures", failures)
    return images[:count], is_readable


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
