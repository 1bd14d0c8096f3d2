"""facial_expressions: eight emotions on photographs that students collected, mostly close crops.

Source: https://github.com/muxspace/facial_expressions. Licence: Apache-2.0.

`legend.csv` has the columns user.id, image, emotion. The first is the student who added the row;
the person shown is in the file name (`Abdullah_Gul_0004.jpg`).
"""

import csv
import io
import re
from collections import defaultdict
from pathlib import Path, PurePosixPath

from minixception.datasets.face_dataset import FaceDataset
from minixception.datasets.pictures import (
    ListedPicture,
    PictureForm,
    count_dropped,
    named_contents,
)
from minixception.datasets.published import PublishedSet, Reader
from minixception.files import PICTURE_SUFFIXES
from minixception.labels import EMOTIONS_8, index_of, lacking

_LEGEND = "legend.csv"
_COLUMNS = ("image", "emotion")
# What follows the person in a file name: a number.
_PICTURE_NUMBER = re.compile(r"_\d+$")


def _read(path: Path, read: Reader) -> FaceDataset:
    files = dict(sorted(named_contents(path)))
    pictures = _pictures_by_name(files)
    rows, dropped = _read_legend(path, files, pictures)
    # Plain names, so that folder and archive have the same checksum.
    contents = {name: files[file] for name, file in sorted(pictures.items())}
    return read(
        path,
        rows,
        dropped=dropped,
        content_of=contents.__getitem__,
        summed=[(_LEGEND, files[_legend_file(files)]), *contents.items()],
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
) -> tuple[list[ListedPicture], dict[str, int]]:
    """Return a row per usable picture, and how many rows are left out by reason."""
    header, table = _read_table(path, files)
    places = [header.index(name) for name in _COLUMNS]
    left_out: dict[str, list[str]] = defaultdict(list)
    copies: dict[str, list[tuple[str, ListedPicture]]] = defaultdict(list)
    for number, fields in enumerate(table, start=1):
        row = _parse_row(fields, places, pictures)
        if isinstance(row, ListedPicture):
            copies[row.file].append((f"row {number}: {row.file}", row))
        elif fields:  # an empty line is an empty list
            left_out[row].append(f"row {number}: {','.join(fields)[:80]}")
    rows = []
    for group in copies.values():
        if len({row.label for _, row in group}) > 1:
            left_out["contradictory emotion"] += [where for where, _ in group]
            continue
        rows.append(group[0][1])
        left_out["repeated row"] += [where for where, _ in group[1:]]
    used = {reason: where for reason, where in left_out.items() if where}
    return rows, count_dropped(used, "row")


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


def _parse_row(
    fields: list[str], places: list[int], pictures: dict[str, str]
) -> ListedPicture | str:
    """Return a row, or the reason to leave it out."""
    if len(fields) <= max(places):
        return "malformed row"
    picture, emotion = (fields[place].strip() for place in places)
    if lacking([emotion], EMOTIONS_8):
        return "unknown emotion"
    if picture not in pictures:  # plain names only, so no path leads elsewhere
        return "missing picture"
    subject = _PICTURE_NUMBER.sub("", PurePosixPath(picture).stem)
    return ListedPicture(picture, index_of(emotion, EMOTIONS_8), facts={"subject": subject})


load_facial_expressions = PublishedSet(
    name="facial_expressions",
    licence="Apache-2.0",
    class_names=EMOTIONS_8,
    wanted=f"pictures with faces beside {_LEGEND}",
    source="Get facial_expressions from https://github.com/muxspace/facial_expressions and put it "
    "into datasets/facial_expressions/.",
    read=_read,
    form=PictureForm(crop_faces=True),
    version=6,
).load
"""Load the photographs named in `legend.csv`, each reduced to its largest face.

Legend and pictures may be anywhere in the folder or archive. Classes are `EMOTIONS_8`, rows in the
order of the legend; `attributes` hold "subject", the file name without its number, by which the set
is divided. `dropped` counts rows by reason."""
