"""Grey pictures with labelled faces, from a tar archive and the table beside it."""

import csv
import hashlib
import math
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minixception.bounds import tar_contents
from minixception.detection.columns import FACE_COLUMNS, LANDMARK_NAMES, SIDE
from minixception.detection.yunet import haar_square
from minixception.images import decode_image, to_grey
from minixception.messages import counted

# YuNet scores the face of nearly all photographs above this; below it may have been wrong.
SURE_SCORE = 0.7
SMALLEST_LABEL = 8  # pixels; smaller boxes are degenerate

_COLUMNS = (
    *("picture", "x", "y", "w", "h", "score"),
    *(f"{name}_{axis}" for name in LANDMARK_NAMES for axis in "xy"),
)


@dataclass(frozen=True)
class LabelledPicture:
    """A picture and its faces.

    Attributes:
        name: what it is called at its source.
        image: uint8 (height, width), grey.
        faces: float32 (n, 14), see `columns`.
    """

    name: str
    image: NDArray[Any]
    faces: NDArray[np.float32]


@dataclass(frozen=True)
class SceneSources:
    """What scenes are made from: photographs with faces, and pictures with few or none."""

    photographs: Sequence[LabelledPicture]
    backgrounds: Sequence[LabelledPicture]


# Shares of persons and of backgrounds that no training sees.
HELD_OUT_PHOTOGRAPHS = 0.1
HELD_OUT_BACKGROUNDS = 0.2


def read_sources(
    folder: str | Path, *, held_out: bool, leave_out: Collection[str] = ()
) -> SceneSources:
    """Read the photographs and backgrounds that are held out, or those to train on.

    Photographs whose name is in `leave_out` are in neither part.

    Raises:
        FileNotFoundError, ValueError: as in `read_labelled_pictures`; or there is no photograph
            with a face or no background without one, of which a scene needs both.
    """

    def is_photograph(name: str) -> bool:
        return name not in leave_out and is_held_out(name, HELD_OUT_PHOTOGRAPHS) == held_out

    def is_background(name: str) -> bool:
        return is_held_out(name, HELD_OUT_BACKGROUNDS) == held_out

    photographs = read_labelled_pictures(folder, "photographs", takes=is_photograph)
    with_faces = [picture for picture in photographs if len(picture.faces)]
    backgrounds = list(read_labelled_pictures(folder, "backgrounds", takes=is_background))
    empty = sum(not len(picture.faces) for picture in backgrounds)
    if not (with_faces and empty):
        part = "held-out" if held_out else "training"
        raise ValueError(
            f"{folder} must have {part} photographs with faces and {part} backgrounds without (a "
            "hash of its name decides where a picture is): add some. "
            f"Received: {len(with_faces)} and {empty}"
        )
    return SceneSources(with_faces, backgrounds)


def read_labelled_pictures(
    folder: str | Path, kind: str, *, takes: Callable[[str], object] = bool
) -> Iterator[LabelledPicture]:
    """Yield the pictures of `KIND.tar` and `KIND.csv`, in the order of the names in the archive.

    A row of the table names a picture, and has one of its faces as YuNet saw it, or none. Boxes
    become the squares of the cascade. Left out are pictures with a degenerate box, and those whose
    source (or name, without a source) is not taken. `kind` is "photographs" or "backgrounds".

    Raises:
        FileNotFoundError: if a file is missing.
        ValueError: if the table lacks a column or has a cell that is no number, or a picture is
            missing in the archive or cannot be read.
    """
    pictures = _read_table(Path(folder) / f"{kind}.csv")
    archive = Path(folder) / f"{kind}.tar"
    for member, content in sorted(tar_contents(archive)):
        name = Path(member).name
        if name not in pictures:
            continue
        source, rows = pictures.pop(name)
        if not takes(source) or any(row[SIDE] < SMALLEST_LABEL for row in rows):
            continue
        image = to_grey(decode_image(content, f"{archive}: {member}"))[:, :, 0]
        labels = np.array(rows, np.float32).reshape(-1, FACE_COLUMNS)
        yield LabelledPicture(source, image, labels)
    if pictures:
        count = counted(len(pictures), "picture")
        raise ValueError(f"{archive} lacks {count} of its table: {min(pictures)}")


def _read_table(path: Path) -> dict[str, tuple[str, list[list[float]]]]:
    """Return the source and the faces (rows as in `columns`) of each picture of a table."""
    pictures: dict[str, tuple[str, list[list[float]]]] = {}
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        reader = csv.DictReader(file)
        try:
            if missing := set(_COLUMNS) - set(reader.fieldnames or ()):
                raise ValueError(f"it lacks the columns {', '.join(sorted(missing))}")
            for row in reader:
                name = row["picture"]
                _, rows = pictures.setdefault(name, (row.get("source") or name, []))
                if row["score"]:
                    rows.append(_face(row))
        except (csv.Error, ValueError) as error:
            raise ValueError(f"{path}, line {reader.line_num}: {error}") from error
    return pictures


def _face(row: Mapping[str, str]) -> list[float]:
    x, y, width, height, score, *landmarks = (_number(row, column) for column in _COLUMNS[1:])
    return [float(score >= SURE_SCORE), *haar_square(x, y, width, height), *landmarks]


def _number(row: Mapping[str, str], column: str) -> float:
    with suppress(TypeError, ValueError):  # None where a row is cut off
        if math.isfinite(value := float(row[column])):
            return value
    raise ValueError(f"`{column}` must be a finite number. Received: {row[column]!r:.40}")


def is_held_out(name: str, share: float) -> bool:
    """Tell whether a picture is in the held-out share, by a hash of its name.

    Numbered photographs of one person (`Jane_Doe_0002.jpg`) are held out together.
    """
    person = re.sub(r"_\d+\.\w+$", "", name)
    digest = hashlib.blake2b(person.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") < share * 2**64
