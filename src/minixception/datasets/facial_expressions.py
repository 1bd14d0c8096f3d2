"""facial_expressions: eight emotions on photographs that students collected, mostly close crops.

Source: https://github.com/muxspace/facial_expressions. Licence: Apache-2.0.

`legend.csv` has the columns user.id, image, emotion. The first is the student who added the row;
the person shown is in the file name (`Abdullah_Gul_0004.jpg`).
"""

import re
from collections import defaultdict
from collections.abc import Collection
from pathlib import Path, PurePosixPath

from minixception.datasets.face_dataset import FaceDataset
from minixception.datasets.pictures import ListedPicture, PictureForm, named_contents
from minixception.datasets.published import PublishedSet, Reader
from minixception.datasets.tables import read_rows
from minixception.files import PICTURE_SUFFIXES
from minixception.labels import EMOTIONS_8, index_of, lacking

_LEGEND = "legend.csv"
# What follows the person in a file name: a number.
_PICTURE_NUMBER = re.compile(r"_\d+$")


def _read(path: Path, read: Reader) -> FaceDataset:
    rows, contents, left_out = read_legend(path)
    content_of = contents.__getitem__
    return read(path, rows, left_out=left_out, content_of=content_of, summed=contents.items())


def read_legend(path: Path) -> tuple[list[ListedPicture], dict[str, bytes], dict[str, list[str]]]:
    """Read the set from a folder or archive.

    Returns:
        A row per usable picture, whose file is its plain name; the contents of the legend and of
        all pictures by these names; and the rows that are left out, by reason.
    """
    files = dict(sorted(named_contents(path)))
    legends = [file for file in files if PurePosixPath(file).name.lower() == _LEGEND]
    if not legends:
        raise ValueError(f"{path} must hold the file {_LEGEND}")
    legend = min(legends, key=lambda file: file.count("/"))
    pictures: dict[str, bytes] = {}
    for file in map(PurePosixPath, files):
        if file.suffix.lower() in PICTURE_SUFFIXES and not file.name.startswith("."):
            pictures.setdefault(file.name, files[file.as_posix()])
    rows, left_out = _usable_rows(path / legend, files[legend], pictures)
    # By plain names, so that folder and archive have the same checksum.
    return rows, {_LEGEND: files[legend], **dict(sorted(pictures.items()))}, left_out


def _usable_rows(
    legend: Path, content: bytes, pictures: Collection[str]
) -> tuple[list[ListedPicture], dict[str, list[str]]]:
    left_out: dict[str, list[str]] = defaultdict(list)
    copies: dict[str, dict[str, int]] = defaultdict(dict)
    lines = content.splitlines(keepends=True)
    for where, (name, emotion) in read_rows(legend, lines, ("image", "emotion")):
        where += f": {name}, {emotion}"
        if not (name and emotion):
            left_out["malformed row"].append(where)
        elif lacking([emotion], EMOTIONS_8):
            left_out["unknown emotion"].append(where)
        elif name not in pictures:  # plain names only, so no path leads elsewhere
            left_out["missing picture"].append(where)
        else:
            copies[name][where] = index_of(emotion, EMOTIONS_8)
    rows = []
    for name, labels in copies.items():
        first, *others = labels
        if len(set(labels.values())) > 1:
            left_out["contradictory emotion"] += labels
            continue
        if others:
            left_out["repeated row"] += others
        subject = _PICTURE_NUMBER.sub("", PurePosixPath(name).stem)
        rows.append(ListedPicture(name, labels[first], facts={"subject": subject}))
    return rows, left_out


load_facial_expressions = PublishedSet(
    name="facial_expressions",
    licence="Apache-2.0",
    class_names=EMOTIONS_8,
    wanted=f"pictures with faces beside {_LEGEND}",
    source="Get facial_expressions from https://github.com/muxspace/facial_expressions and put it "
    "into datasets/facial_expressions/.",
    read=_read,
    form=PictureForm(crop_faces=True),
    version=9,
).load
"""Load the photographs named in `legend.csv`, each reduced to its largest face.

Legend and pictures may be anywhere in the folder or archive. Classes are `EMOTIONS_8`, rows in the
order of the legend; `attributes` hold "subject", the file name without its number, by which the set
is divided. `dropped` counts rows by reason."""
