"""FER2013: 35,887 grey 48x48 faces in a CSV file, seven emotions, three splits.

Source: Kaggle, "Challenges in Representation Learning: Facial Expression Recognition Challenge"
(Goodfellow et al. 2013, arXiv 1307.0414). Licence: competition data, research use, no
redistribution.
"""

import gzip
import hashlib
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
from minixception.datasets.pixel_text import explain_row, parse_pixels
from minixception.labels import EMOTIONS_FER2013

FER2013_MD5 = "f8428a1edbd21e88f42c73edd2a14f95"
"""MD5 of the uncompressed `fer2013.csv` of Kaggle (301,072,766 bytes)."""

FER2013_SPLIT_COUNTS = {"Training": 28_709, "PublicTest": 3_589, "PrivateTest": 3_589}
"""Values of `Usage` in file order and their number of rows."""

FER2013_LICENCE = "Kaggle competition data, research use, no redistribution"

IMAGE_SIZE = (48, 48)

_COLUMNS = ("emotion", "pixels", "Usage")
_PIXELS_PER_ROW = IMAGE_SIZE[0] * IMAGE_SIZE[1]
_LOADER_VERSION = 1
# Half a mebibyte is some 60 rows: its temporary arrays stay in the second-level cache.
_BLOCK_BYTES = 1 << 19
# A row is at most 2304 numbers of four characters, about 9 kB; a longer "line" is not this file.
_LONGEST_LINE = 1 << 18
_WORKERS = 2
_BLOCKS_IN_FLIGHT = 2 * _WORKERS
_LABELS = {str(label): label for label in range(len(EMOTIONS_FER2013))}
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
    """Whole lines of the file, `first_row` being the 1-based number of the first of them."""

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
        A data set of images uint8 (N, 48, 48, 1) with classes `EMOTIONS_FER2013`.

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
    return dataset if split is None else dataset.split(split)


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
    names = [_bare(field) for field in text.split(",")]
    missing = [name for name in _COLUMNS if name not in names]
    if missing:
        raise ValueError(
            f"{path} must have the columns {', '.join(_COLUMNS)}. Missing: {', '.join(missing)}. "
            f"Received: {', '.join(names)[:200]}"
        )
    emotion, pixels, usage = (names.index(name) for name in _COLUMNS)
    return _Columns(emotion, pixels, usage, len(names))


def _bare(text: str) -> str:
    return text.strip(' "\r\n\t')


def _line_blocks(path: Path, stream: IO[bytes], digest: "hashlib._Hash") -> Iterator[_Block]:
    """Cut the stream into blocks of whole lines, adding all bytes to `digest`."""
    rest = b""
    first_row = 1
    while chunk := stream.read(_BLOCK_BYTES):
        digest.update(chunk)
        text = rest + chunk
        end = text.rfind(b"\n") + 1
        rest = text[end:]
        if len(rest) > _LONGEST_LINE:
            raise ValueError(f"{path} is not FER2013: row {first_row} does not end.")
        if end:
            yield _Block(text[:end], first_row)
            first_row += text.count(b"\n", 0, end)
    if rest.strip():
        yield _Block(rest, first_row)


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
    lines = block.text.rstrip(b"\r\n").split(b"\n")
    rows = [line.split(b",") for line in lines]
    for number, row in enumerate(rows, start=block.first_row):
        if len(row) != columns.count:
            raise _row_error(path, number, f"{columns.count} fields expected, {len(row)} found")
    pixel_fields = [row[columns.pixels].strip(b' "\r') for row in rows]
    try:
        pixels = parse_pixels(pixel_fields, _PIXELS_PER_ROW)
    except ValueError:
        raise _pixel_error(path, block.first_row, pixel_fields) from None
    numbered = list(enumerate(rows, start=block.first_row))
    labels = [_parse_label(path, number, row[columns.emotion]) for number, row in numbered]
    splits = [_parse_usage(path, number, row[columns.usage]) for number, row in numbered]
    return _Rows(pixels, np.array(labels, dtype=np.int64), np.array(splits, dtype="<U11"))


def _row_error(path: Path, number: int, problem: str) -> ValueError:
    """Name the row as people count it; the header is line 1, so row n stands on line n + 1."""
    return ValueError(f"{path}, row {number} (line {number + 1}): {problem}")


def _pixel_error(path: Path, first_row: int, fields: list[bytes]) -> ValueError:
    """Find the first row of a refused block that is wrong, and say how."""
    for number, field in enumerate(fields, start=first_row):
        problem = explain_row(field, _PIXELS_PER_ROW)
        if problem is not None:
            return _row_error(path, number, problem)
    raise AssertionError(f"{path}: rows from {first_row} on were refused without a reason")


def _parse_label(path: Path, number: int, field: bytes) -> int:
    text = _bare(field.decode("ascii", errors="backslashreplace"))
    if text not in _LABELS:
        raise _row_error(path, number, f"`emotion` must be in 0..6. Received: {text[:20]!r}")
    return _LABELS[text]


def _parse_usage(path: Path, number: int, field: bytes) -> str:
    text = _bare(field.decode("ascii", errors="backslashreplace"))
    if text not in FER2013_SPLIT_COUNTS:
        allowed = ", ".join(FER2013_SPLIT_COUNTS)
        raise _row_error(path, number, f"`Usage` must be one of {allowed}. Received: {text[:20]!r}")
    return text
