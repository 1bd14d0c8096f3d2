"""FER2013: 35,887 grey 48x48 faces in a CSV file, seven emotions, three splits.

Source: Kaggle, "Challenges in Representation Learning: Facial Expression Recognition Challenge"
(Goodfellow et al. 2013, arXiv 1307.0414). Licence: competition data, research use, no
redistribution.
"""

import hashlib
import logging
from pathlib import Path

import numpy as np

from minixception.bounds import open_unpacked
from minixception.datasets.cache import cached_dataset
from minixception.datasets.face_dataset import FaceDataset
from minixception.labels import EMOTIONS_FER2013
from minixception.messages import counted

_LOGGER = logging.getLogger(__name__)

FER2013_MD5 = "f8428a1edbd21e88f42c73edd2a14f95"
"""MD5 of the uncompressed `fer2013.csv` of Kaggle (301,072,766 bytes)."""

FER2013_SPLIT_COUNTS = {"Training": 28_709, "PublicTest": 3_589, "PrivateTest": 3_589}
"""Values of `Usage` in file order and their number of rows."""

FER2013_LICENCE = "Kaggle competition data, research use, no redistribution"

IMAGE_SIZE = (48, 48)
"""Height and width of every face."""

_COLUMNS = ("emotion", "pixels", "Usage")
_PIXELS_PER_ROW = IMAGE_SIZE[0] * IMAGE_SIZE[1]
_LOADER_VERSION = 2
_LABELS = {str(label).encode(): label for label in range(len(EMOTIONS_FER2013))}
_USAGES = {usage.encode(): usage for usage in FER2013_SPLIT_COUNTS}
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
    if path.is_dir():
        raise ValueError(f"`path` must be a CSV file, not a folder. Received: {path}")
    if not path.is_file():
        raise FileNotFoundError(
            f"There is no file {path}. Get fer2013.csv from Kaggle, 'Challenges in Representation "
            "Learning: Facial Expression Recognition Challenge', and put it into datasets/fer2013/."
        )
    dataset = cached_dataset(
        path,
        lambda: _read(path),
        loader="fer2013",
        version=_LOADER_VERSION,
        use_cache=use_cache,
    )
    counts = {name: int(np.sum(dataset.splits == name)) for name in FER2013_SPLIT_COUNTS}
    if counts != FER2013_SPLIT_COUNTS:
        shown = (
            ", ".join(f"{name} {count}" for name, count in rows.items())
            for rows in (FER2013_SPLIT_COUNTS, counts)
        )
        _LOGGER.warning(
            "%s does not have the rows of FER2013 (%s): scores on it cannot be compared with "
            "others. Received: %s",
            path,
            *shown,
        )
    return dataset


def _read(path: Path) -> FaceDataset:
    digest = hashlib.md5(usedforsecurity=False)
    rows: list[tuple[np.ndarray, int, str]] = []
    empty_row = 0
    with open_unpacked(path) as stream:
        header = stream.readline(_LONGEST_LINE)
        digest.update(header)
        positions, count = _find_columns(path, header)
        for row, line in enumerate(iter(lambda: stream.readline(_LONGEST_LINE), b""), start=1):
            digest.update(line)
            fields = [field.strip(b' "\r\n') for field in line.split(b",")]
            if fields == [b""]:  # allowed at the end only
                empty_row = row
            elif empty_row:
                raise _row_error(path, empty_row, "it is empty")
            else:
                try:
                    rows.append(_parse_row(fields, positions, count))
                except ValueError as error:
                    raise _row_error(path, row, str(error)) from None
    if not rows:
        raise ValueError(f"{path} has a header and no rows.")
    images, labels, splits = zip(*rows, strict=True)
    return FaceDataset(
        images=np.stack(images).reshape(-1, *IMAGE_SIZE, 1),
        labels=np.array(labels, np.int64),
        class_names=EMOTIONS_FER2013,
        name="fer2013",
        licence=FER2013_LICENCE,
        checksum=f"md5:{digest.hexdigest()}",
        splits=np.array(splits),
    )


def _row_error(path: Path, row: int, problem: str) -> ValueError:
    """Return an error that names the row, counted from 1; the header is line 1."""
    return ValueError(f"{path}, row {row} (line {row + 1}): {problem}")


def _find_columns(path: Path, header: bytes) -> tuple[list[int], int]:
    """Return the positions of `_COLUMNS` and the number of columns."""
    if not header.strip():
        raise ValueError(f"{path} is empty.")
    try:
        text = header.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not a CSV text file; unpack an archive first.") from error
    if "\0" in text:
        raise ValueError(f"{path} is not a CSV text file; unpack an archive first.")
    names = [field.strip(' "\r\n') for field in text.split(",")]
    missing = [name for name in _COLUMNS if name not in names]
    if missing:
        raise ValueError(
            f"{path} must have the columns {', '.join(_COLUMNS)}. Missing: {', '.join(missing)}. "
            f"Received: {', '.join(names)[:200]}"
        )
    return [names.index(name) for name in _COLUMNS], len(names)


def _parse_row(
    fields: list[bytes], positions: list[int], count: int
) -> tuple[np.ndarray, int, str]:
    """Return pixels uint8 (2304,), label and split of a row."""
    if len(fields) != count:
        raise ValueError(f"{count} fields expected. Received: {counted(len(fields), 'field')}")
    emotion, pixels, usage = (fields[position] for position in positions)
    if emotion not in _LABELS:
        raise ValueError(f"`emotion` must be in 0..{len(_LABELS) - 1}. Received: {_shown(emotion)}")
    if usage not in _USAGES:
        raise ValueError(
            f"`Usage` must be one of {', '.join(FER2013_SPLIT_COUNTS)}. Received: {_shown(usage)}"
        )
    return _parse_pixels(pixels), _LABELS[emotion], _USAGES[usage]


def _parse_pixels(field: bytes) -> np.ndarray:
    """Return uint8 (2304,)."""
    if not field.translate(None, b"0123456789 \t\r"):
        pixels = np.fromstring(field, np.int64, sep=" ")
        if len(pixels) == _PIXELS_PER_ROW and pixels.max() <= 255:
            return pixels.astype(np.uint8)
    words = field.split()
    for position, word in enumerate(words, start=1):
        if not word.isdigit() or len(word.lstrip(b"0")) > 3 or int(word) > 255:
            raise ValueError(
                f"pixel {position} must be a whole number in 0..255. Received: {_shown(word)}"
            )
    received = counted(len(words), "pixel")
    raise ValueError(f"a row must have {_PIXELS_PER_ROW} pixels. Received: {received}")


def _shown(word: bytes) -> str:
    """Return bytes of unknown origin and length as a message may show them."""
    return repr(word[:20].decode("ascii", errors="backslashreplace"))
