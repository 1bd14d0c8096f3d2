"""FER2013: 35,887 grey 48x48 faces in a CSV file, seven emotions, three splits.

Source: Kaggle, "Challenges in Representation Learning: Facial Expression Recognition Challenge"
(Goodfellow et al. 2013, arXiv 1307.0414). Licence: competition data, research use, no
redistribution.
"""

import gzip
import hashlib
import logging
import zlib
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

import numpy as np

from minixception.datasets.cache import load_arrays, source_fingerprint, store_arrays
from minixception.datasets.face_dataset import FaceDataset
from minixception.datasets.pixel_text import (
    explain_row,
    find_fields,
    parse_pixels,
    shown,
    unquoted,
)
from minixception.labels import EMOTIONS_FER2013

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
_LOADER_VERSION = 1
# Some 15 rows. Larger blocks are slower: the allocator maps fresh pages for their temporary arrays
# (300,000 page faults instead of 25,000 over the file). Smaller ones are slower by Python's share.
_BLOCK_BYTES = 1 << 17
# A row is at most 2304 numbers of four characters, about 9 kB; a longer "line" is not this file.
_LONGEST_LINE = 1 << 18
_WORKERS = 2
_BLOCKS_IN_FLIGHT = 2 * _WORKERS
_LABELS = {str(label).encode(): label for label in range(len(EMOTIONS_FER2013))}
_USAGES = {name.encode(): name for name in FER2013_SPLIT_COUNTS}
_GZIP_MAGIC = b"\x1f\x8b"


@dataclass(frozen=True)
class _Columns:
    """Positions of the columns, and how many there are."""

    emotion: int
    pixels: int
    usage: int
    count: int


@dataclass(frozen=True)
class _Block:
    """Whole lines of the file with their newlines; `first_row` is the number of the first."""

    text: bytes
    first_row: int


@dataclass(frozen=True)
class _Rows:
    """What a block holds: uint8 (n, 2304), int64 (n,), str (n,)."""

    pixels: np.ndarray
    labels: np.ndarray
    splits: np.ndarray


def load_fer2013(
    path: str | Path, *, split: str | None = None, use_cache: bool = True
) -> FaceDataset:
    """Load FER2013 from its CSV file.

    Args:
        path: `fer2013.csv`, a gzip of it, or `icml_face_data.csv`. Columns `emotion`, `pixels`
            and `Usage` are found by name, in any order.
        split: "Training", "PublicTest" or "PrivateTest"; None gives all rows in file order.
        use_cache: Keep the decoded arrays in the cache folder and read them from there.

    Returns:
        A data set of images uint8 (N, 48, 48, 1) with classes `EMOTIONS_FER2013`. A file with other
        numbers of rows than `FER2013_SPLIT_COUNTS` is read, with a warning.

    Raises:
        FileNotFoundError: There is no file at `path`.
        ValueError: The file is damaged or is not FER2013; the message names file and row. Or
            `split` is unknown.
    """
    path = Path(path)
    check_fer2013_split(split)
    _check_is_file(path)
    fingerprint = source_fingerprint(path, loader="fer2013", version=_LOADER_VERSION)
    arrays = load_arrays(fingerprint) if use_cache else None
    if arrays is None:
        arrays = _read_arrays(path)
        if use_cache:
            store_arrays(fingerprint, arrays)
    dataset = FaceDataset(
        images=arrays["images"],
        labels=arrays["labels"],
        class_names=EMOTIONS_FER2013,
        name="fer2013",
        licence=FER2013_LICENCE,
        checksum=str(arrays["checksum"]),
        splits=arrays["splits"],
    )
    _warn_of_other_rows(path, arrays["splits"])
    return dataset if split is None else dataset.split(split)


def _warn_of_other_rows(path: Path, splits: np.ndarray) -> None:
    counts = {name: int((splits == name).sum()) for name in FER2013_SPLIT_COUNTS}
    if counts != FER2013_SPLIT_COUNTS:
        _LOGGER.warning(
            "%s does not have the rows of FER2013 (%s): scores on it compare with no others. "
            "Received: %s",
            path,
            *(
                ", ".join(f"{name} {count}" for name, count in rows.items())
                for rows in (FER2013_SPLIT_COUNTS, counts)
            ),
        )


def check_fer2013_split(split: str | None) -> None:
    """Refuse a split that FER2013 does not have.

    Raises:
        ValueError: `split` is neither None nor a key of `FER2013_SPLIT_COUNTS`.
    """
    if split is not None and split not in FER2013_SPLIT_COUNTS:
        raise ValueError(
            f"`split` must be one of {', '.join(FER2013_SPLIT_COUNTS)}. Received: split={split!r}"
        )


def _check_is_file(path: Path) -> None:
    if path.is_dir():
        raise ValueError(f"`path` must be a CSV file, not a folder. Received: {path}")
    if not path.is_file():
        raise FileNotFoundError(
            f"There is no file {path}. Get fer2013.csv from Kaggle, 'Challenges in Representation "
            "Learning: Facial Expression Recognition Challenge', and put it into datasets/fer2013/."
        )


def _read_arrays(path: Path) -> dict[str, np.ndarray]:
    digest = hashlib.md5(usedforsecurity=False)
    try:
        with _open_bytes(path) as stream:
            columns = _read_header(path, stream, digest)
            blocks = list(_parse_blocks(path, _line_blocks(path, stream, digest), columns))
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(
            f"{path} is a truncated or damaged gzip file; get it again. Received: {error}"
        ) from error
    if not blocks:
        raise ValueError(f"{path} has a header and no rows.")
    return {
        "images": np.concatenate([rows.pixels for rows in blocks]).reshape(-1, *IMAGE_SIZE, 1),
        "labels": np.concatenate([rows.labels for rows in blocks]),
        "splits": np.concatenate([rows.splits for rows in blocks]),
        "checksum": np.array(f"md5:{digest.hexdigest()}"),
    }


def _open_bytes(path: Path) -> IO[bytes]:
    """Open the file for reading, through gzip when its first bytes say so."""
    with path.open("rb") as stream:
        is_gzip = stream.read(2) == _GZIP_MAGIC
    return cast("IO[bytes]", gzip.open(path, "rb")) if is_gzip else path.open("rb")


def _read_header(path: Path, stream: IO[bytes], digest: "hashlib._Hash") -> _Columns:
    """Read the first line and find the columns by name."""
    line = stream.readline(_LONGEST_LINE)
    digest.update(line)
    if not line.strip():
        raise ValueError(f"{path} is empty.")
    try:
        text = line.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not a CSV text file.") from error
    if "\0" in text:
        raise ValueError(f"{path} is not a CSV text file; unpack an archive first.")
    names = [field.strip(' "\r\n') for field in text.split(",")]
    missing = [name for name in _COLUMNS if name not in names]
    if missing:
        raise ValueError(
            f"{path} must have the columns {', '.join(_COLUMNS)}. Missing: {', '.join(missing)}. "
            f"Received: {', '.join(names)[:200]}"
        )
    emotion, pixels, usage = (names.index(name) for name in _COLUMNS)
    return _Columns(emotion, pixels, usage, len(names))


def _line_blocks(path: Path, stream: IO[bytes], digest: "hashlib._Hash") -> Iterator[_Block]:
    """Cut the stream into blocks of whole lines, adding all bytes to `digest`."""
    rest = b""
    first_row = 1
    while chunk := stream.read(_BLOCK_BYTES):
        digest.update(chunk)
        text = rest + chunk
        # The last line is held back, with any empty lines after it: those may end the file.
        end = text.rstrip(b"\r\n").rfind(b"\n") + 1
        rest = text[end:]
        if len(rest) > _LONGEST_LINE:
            raise ValueError(f"{path} is not FER2013: row {first_row} does not end.")
        if end:
            yield _Block(text[:end], first_row)
            first_row += text.count(b"\n", 0, end)
    if rest.strip():
        yield _Block(rest.rstrip(b"\r\n") + b"\n", first_row)


def _parse_blocks(path: Path, blocks: Iterator[_Block], columns: _Columns) -> Iterator[_Rows]:
    """Parse blocks in worker threads (NumPy lets go of the interpreter), a few at a time."""
    with ThreadPoolExecutor(_WORKERS) as executor:
        pending: deque[Future[_Rows]] = deque()
        for block in blocks:
            pending.append(executor.submit(_parse_block, path, block, columns))
            if len(pending) >= _BLOCKS_IN_FLIGHT:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def _parse_block(path: Path, block: _Block, columns: _Columns) -> _Rows:
    try:
        table = find_fields(block.text, columns.count)
    except ValueError:
        raise _field_count_error(path, block, columns.count) from None
    try:
        pixels = parse_pixels(table, columns.pixels, _PIXELS_PER_ROW)
    except ValueError:
        raise _pixel_error(path, block.first_row, table.column(columns.pixels)) from None
    labels = [
        _parse_label(path, number, field)
        for number, field in enumerate(table.column(columns.emotion), start=block.first_row)
    ]
    splits = [
        _parse_usage(path, number, field)
        for number, field in enumerate(table.column(columns.usage), start=block.first_row)
    ]
    return _Rows(pixels, np.array(labels, dtype=np.int64), np.array(splits))


def _row_error(path: Path, number: int, problem: str) -> ValueError:
    """Name the row as people count it; the header is line 1, so row n stands on line n + 1."""
    return ValueError(f"{path}, row {number} (line {number + 1}): {problem}")


def _field_count_error(path: Path, block: _Block, expected: int) -> ValueError:
    """Find the first row of a refused block that has a wrong number of fields."""
    counts = [line.count(b",") + 1 for line in block.text.split(b"\n")[:-1]]
    row = next(row for row, count in enumerate(counts) if count != expected)
    problem = f"{expected} fields expected. Received: {counts[row]} fields"
    return _row_error(path, block.first_row + row, problem)


def _pixel_error(path: Path, first_row: int, fields: list[bytes]) -> ValueError:
    """Find the first row of a refused block whose pixels are wrong, and say how."""
    problems = [explain_row(field, _PIXELS_PER_ROW) for field in fields]
    row, problem = next((row, problem) for row, problem in enumerate(problems) if problem)
    return _row_error(path, first_row + row, problem)


def _parse_label(path: Path, number: int, field: bytes) -> int:
    label = _LABELS.get(unquoted(field).strip())
    if label is None:
        problem = f"`emotion` must be in 0..{len(_LABELS) - 1}. Received: {shown(field)}"
        raise _row_error(path, number, problem)
    return label


def _parse_usage(path: Path, number: int, field: bytes) -> str:
    usage = _USAGES.get(unquoted(field).strip())
    if usage is None:
        allowed = ", ".join(FER2013_SPLIT_COUNTS)
        problem = f"`Usage` must be one of {allowed}. Received: {shown(field)}"
        raise _row_error(path, number, problem)
    return usage
