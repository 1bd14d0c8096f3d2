"""facial_expressions: eight emotions on photographs that students collected, mostly close crops.

Source: https://github.com/muxspace/facial_expressions. Licence: Apache-2.0.

`legend.csv` has the columns user.id, image, emotion. The first names the student who added the row,
not the person on the picture; the person is in the file name (`Abdullah_Gul_0004.jpg`).
"""

from __future__ import annotations

import csv
import io
import re
from collections import defaultdict
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import numpy as np

from minixception.datasets.cache import cached_dataset
from minixception.datasets.face_dataset import FaceDataset
from minixception.datasets.pictures import (
    PictureForm,
    count_dropped,
    describe_dropped,
    named_contents,
    read_pictures,
)
from minixception.datasets.splits import CONTENT_RULE, draw_splits
from minixception.files import PICTURE_SUFFIXES, content_checksum
from minixception.images import decode_image
from minixception.labels import EMOTIONS_8, index_of

if TYPE_CHECKING:
    from minixception.detection.search import FaceDetector

FACIAL_EXPRESSIONS_LICENCE = "Apache-2.0"

_SOURCE = "https://github.com/muxspace/facial_expressions"
_LEGEND = "legend.csv"
_COLUMNS = ("user.id", "image", "emotion")
_LOADER_VERSION = 3
# What follows the person in a file name: a number.
_PICTURE_NUMBER = re.compile(r"_\d+$")


@dataclass(frozen=True)
class _Row:
    """One row of the legend whose picture exists."""

    contributor: str
    picture: str
    label: int


def load_facial_expressions(
    path: str | Path,
    *,
    split: str | None = None,
    seed: int = 0,
    split_rule: str = CONTENT_RULE,
    image_size: tuple[int, int] = (48, 48),
    channels: int = 1,
    detector: FaceDetector | None = None,
    use_cache: bool = True,
) -> FaceDataset:
    """Load the photographs named in `legend.csv`, each reduced to its largest face.

    The set comes without splits, so persons are put into "train", "validation" and "test",
    80 : 10 : 10, by a hash of their name: the file name without its number. The column user.id
    takes no part in it, since it names who added the row.

    Args:
        path: A folder with `legend.csv` and the pictures, both anywhere in it, or a tar archive of
            it (also compressed), which is read without unpacking.
        split: "train", "validation" or "test"; None gives all.
        seed: Seed of the split.
        split_rule: "content", or "drawn" for models of earlier versions.
        image_size: (height, width) to which each face is resized.
        channels: 1 for grey, 3 for RGB.
        detector: Finds the faces; None takes the Haar cascade, which needs two minutes for
            1,856 rows on two cores.
        use_cache: Keep the faces found by the cascade in the cache folder and read them from there.

    Returns:
        Images uint8 (N, height, width, channels) with classes `EMOTIONS_8`, in the order of
        the legend; `attributes` hold "subject", "contributor", "file" and "content", the hash of
        the whole picture. `dropped` counts rows: malformed, of unknown emotion, repeated, with
        another emotion for the same picture, with a missing or unreadable picture, without a face.

    Raises:
        FileNotFoundError: There is nothing at `path`.
        ValueError: There is no legend, it lacks a column, or no row gives a face.
    """
    form = PictureForm(image_size, channels, crop_faces=True, detector=detector)
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(
            f"There is nothing at {path}. Get facial_expressions from {_SOURCE} and put it into "
            "datasets/facial_expressions/."
        )
    dataset = cached_dataset(
        path,
        lambda: _read(path, form),
        loader="facial_expressions",
        version=_LOADER_VERSION,
        options={"image_size": list(image_size), "channels": channels},
        use_cache=use_cache and detector is None,
    )
    dataset = draw_splits(dataset, seed=seed, split_rule=split_rule)
    return dataset if split is None else dataset.split(split)


def _read(path: Path, form: PictureForm) -> FaceDataset:
    files = dict(sorted(named_contents(path)))
    pictures = _pictures_by_name(files)
    rows, dropped = _read_legend(path, files, pictures)
    readers = [
        (row.picture, partial(decode_image, files[pictures[row.picture]], row.picture))
        for row in rows
    ]
    faces = read_pictures(readers, form)
    dropped = {**dropped, **faces.dropped}
    rows = [row for row, is_kept in zip(rows, faces.is_kept, strict=True) if is_kept]
    if not rows:
        raise ValueError(
            f"{path} must hold pictures with faces beside {_LEGEND}. Received: no face "
            f"({describe_dropped(dropped)})"
        )
    # Plain names, so that folder and archive have the same checksum.
    used = [(_LEGEND, _legend_file(files)), *sorted(pictures.items())]
    subjects = [_PICTURE_NUMBER.sub("", PurePosixPath(row.picture).stem) for row in rows]
    return FaceDataset(
        images=faces.images,
        labels=np.array([row.label for row in rows], dtype=np.int64),
        class_names=EMOTIONS_8,
        name="facial_expressions",
        licence=FACIAL_EXPRESSIONS_LICENCE,
        checksum=content_checksum((name, files[file]) for name, file in used),
        attributes={
            "file": np.array([row.picture for row in rows]),
            "subject": np.array(subjects),
            "contributor": np.array([row.contributor for row in rows]),
            "content": faces.contents,
        },
        dropped=dropped,
    )


def _pictures_by_name(files: dict[str, bytes]) -> dict[str, str]:
    """Return plain name -> path of each picture, the first by path where names repeat."""
    pictures: dict[str, str] = {}
    for file in map(PurePosixPath, files):
        if file.suffix.lower() in PICTURE_SUFFIXES and not file.name.startswith("."):
            pictures.setdefault(file.name, file.as_posix())
    return pictures


def _legend_file(files: dict[str, bytes]) -> str:
    """Return the path of the legend nearest to the root, "" where there is none."""
    found = [file for file in map(PurePosixPath, files) if file.name.lower() == _LEGEND]
    return min(found, key=lambda file: len(file.parts)).as_posix() if found else ""


def _read_legend(
    path: Path, files: dict[str, bytes], pictures: dict[str, str]
) -> tuple[list[_Row], dict[str, int]]:
    """Return a row per usable picture, and how many rows are left out by reason."""
    header, table = _read_table(path, files)
    places = [header.index(name) for name in _COLUMNS]
    left_out: dict[str, list[str]] = defaultdict(list)
    copies: dict[str, list[tuple[str, _Row]]] = defaultdict(list)
    for number, fields in enumerate(table, start=1):
        row = _parse_row(fields, places, pictures)
        if isinstance(row, _Row):
            copies[row.picture].append((f"row {number}: {row.picture}", row))
        elif fields:  # the CSV format makes an empty list of an empty line
            left_out[row].append(f"row {number}: {','.join(fields)[:80]}")
    rows = []
    for group in copies.values():
        if len({row.label for _, row in group}) > 1:
            left_out["contradictory emotion"] += [where for where, _ in group]
            continue
        rows.append(group[0][1])
        left_out["repeated row"] += [where for where, _ in group[1:]]
    used = {reason: where for reason, where in left_out.items() if where}
    return rows, count_dropped(used, "rows")


def _read_table(path: Path, files: dict[str, bytes]) -> tuple[list[str], list[list[str]]]:
    """Return the header of the legend, with all of `_COLUMNS` in it, and its rows."""
    legend = _legend_file(files)
    text = files.get(legend, b"").decode("utf-8-sig", errors="replace")
    try:
        table = list(csv.reader(io.StringIO(text, newline="")))
    except csv.Error as error:
        raise ValueError(f"{path}: {legend} must be a CSV file. {error}") from error
    header = [name.strip().lower() for name in table[0]] if table else []
    missing = [name for name in _COLUMNS if name not in header]
    if missing:
        raise ValueError(
            f"{path} must hold {_LEGEND} with the columns {', '.join(_COLUMNS)}. "
            f"Missing: {', '.join(missing) if legend else 'the file'}"
        )
    return header, table[1:]


def _parse_row(fields: list[str], places: list[int], pictures: dict[str, str]) -> _Row | str:
    """Return a row, or the reason to leave it out."""
    if len(fields) <= max(places):
        return "malformed row"
    contributor, picture, emotion = (fields[place].strip() for place in places)
    try:
        label = index_of(emotion, EMOTIONS_8)
    except ValueError:
        return "unknown emotion"
    # A plain name only: a path that leads elsewhere is not in the set.
    return _Row(contributor, picture, label) if picture in pictures else "missing picture"
