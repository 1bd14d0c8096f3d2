"""FER2013: 35,887 grey 48x48 faces in a CSV file, seven emotions, three splits.

Source: Kaggle, "Challenges in Representation Learning: Facial Expression Recognition Challenge"
(Goodfellow et al. 2013, arXiv 1307.0414). Licence: competition data, research use, no
redistribution.
"""

import hashlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np

from minixception.bounds import open_unpacked
from minixception.datasets.cache import cached_dataset
from minixception.datasets.face_dataset import FaceDataset
from minixception.datasets.tables import read_rows
from minixception.labels import EMOTIONS_FER2013
from minixception.messages import counted

_LOGGER = logging.getLogger(__name__)

FER2013_MD5 = "f8428a1edbd21e88f42c73edd2a14f95"
"""MD5 of the uncompressed `fer2013.csv` of Kaggle (301,072,766 bytes)."""

FER2013_SPLIT_COUNTS = {"Training": 28_709, "PublicTest": 3_589, "PrivateTest": 3_589}
"""Values of `Usage` in file order and their number of rows."""

FER2013_LICENCE = "Kaggle competition data, research use, no redistribution"

_COLUMNS = ("emotion", "pixels", "Usage")
_SIDE = 48
_LOADER_VERSION = 2
_LABELS = tuple(map(str, range(len(EMOTIONS_FER2013))))
# A row is at most 2304 numbers of four characters, about 9 kB; a longer "line" is not this file.
_LONGEST_LINE = 1 << 18


def load_fer2013(path: str | Path, *, use_cache: bool = True) -> FaceDataset:
    """Load FER2013 from its CSV file.

    Args:
        path: `fer2013.csv`, a gzip of it, or `icml_face_data.csv`. Columns `emotion`, `pixels`
            and `Usage` are found by name, in any order.
        use_cache: Keep the parsed file in the cache folder.

    Returns:
        Images uint8 (N, 48, 48, 1) in file order, with classes `EMOTIONS_FER2013` and the splits
        "Training", "PublicTest" and "PrivateTest". If these have other sizes than
        `FER2013_SPLIT_COUNTS`, a warning says so.

    Raises:
        FileNotFoundError: There is no file at `path`.
        ValueError: The file is damaged or is not FER2013; the message names file and row.
    """
    path = Path(path)
    if not path.is_file():
        own = " For class folders of your own, the data set is `folder`." * path.is_dir()
        raise FileNotFoundError(
            f"There is no file {path}. Get fer2013.csv from Kaggle, 'Challenges in Representation "
            "Learning: Facial Expression Recognition Challenge', and put it into datasets/fer2013/."
            + own
        )
    dataset = cached_dataset(
        path, lambda: _read(path), loader="fer2013", version=_LOADER_VERSION, use_cache=use_cache
    )
    counts = {name: int(np.sum(dataset.splits == name)) for name in FER2013_SPLIT_COUNTS}
    if counts != FER2013_SPLIT_COUNTS:
        _LOGGER.warning(
            "%s does not have the rows of FER2013 (%s): scores on it cannot be compared with "
            "others. Received: %s",
            *(path, FER2013_SPLIT_COUNTS, counts),
        )
    return dataset


def _read(path: Path) -> FaceDataset:
    digest = hashlib.md5(usedforsecurity=False)

    def lines(stream: IO[bytes]) -> Iterator[bytes]:
        while line := stream.readline(_LONGEST_LINE):
            digest.update(line)
            yield line

    rows = []
    with open_unpacked(path) as stream:
        for where, (emotion, pixels, usage) in read_rows(path, lines(stream), _COLUMNS):
            if emotion not in _LABELS:
                allowed = f"`emotion` must be in 0..{len(_LABELS) - 1}"
                raise ValueError(f"{where}: {allowed}. Received: {emotion!r:.40}")
            if usage not in FER2013_SPLIT_COUNTS:
                allowed = f"`Usage` must be one of {', '.join(FER2013_SPLIT_COUNTS)}"
                raise ValueError(f"{where}: {allowed}. Received: {usage!r:.40}")
            rows.append((_parse_pixels(where, pixels), int(emotion), usage))
    if not rows:
        raise ValueError(f"{path} has a header and no rows.")
    images, labels, splits = zip(*rows, strict=True)
    return FaceDataset(
        images=np.stack(images).reshape(-1, _SIDE, _SIDE, 1),
        labels=np.array(labels, np.int64),
        class_names=EMOTIONS_FER2013,
        name="fer2013",
        licence=FER2013_LICENCE,
        checksum=f"md5:{digest.hexdigest()}",
        splits=np.array(splits),
    )


def _parse_pixels(where: str, field: str) -> np.ndarray:
    """Return uint8 (2304,)."""
    is_plain = not field.encode().translate(None, b"0123456789 \t\r")
    pixels = np.fromstring(field, np.int64, sep=" ") if is_plain else np.zeros(0)
    if len(pixels) != _SIDE * _SIDE or pixels.max() > 255:
        raise ValueError(
            f"{where}: `pixels` must be {_SIDE * _SIDE} whole numbers in 0..255. "
            f"Received: {counted(len(field.split()), 'word')}, {field!r:.40}"
        )
    return pixels.astype(np.uint8)
