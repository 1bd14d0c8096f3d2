"""IMDB-WIKI, the part from IMDB: cropped faces of film people with their gender.

Source: https://data.vision.ee.ethz.ch/cvl/rrothe/imdb-wiki/ (Rothe, Timofte, Van Gool 2015),
archive `imdb_crop.tar`. Licence: academic research only.
"""

import re
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np

from minixception.datasets.face_dataset import FaceDataset
from minixception.datasets.mat_reader import read_struct
from minixception.datasets.pictures import ListedPicture, PictureForm
from minixception.datasets.published import PublishedSet, Reader
from minixception.files import content_checksum, is_passing
from minixception.labels import GENDERS

_FIELDS = ("full_path", "gender", "face_score", "second_face_score")
_METADATA_FILE = "imdb.mat"
_SOURCE = (
    "Get imdb_crop.tar from https://data.vision.ee.ethz.ch/cvl/rrothe/imdb-wiki/ and unpack it "
    "into datasets/, which makes datasets/imdb_crop/."
)
# In 01/nm0000001_rm124825600_1899-5-10_1968.jpg; a picture of another name is a person of its own.
_PERSON = re.compile(r"nm[0-9]+(?=_)")


def _read(path: Path, read: Reader, *, minimum_face_score: float) -> FaceDataset:
    file = path / _METADATA_FILE if path.is_dir() else path
    if not file.is_file():
        raise FileNotFoundError(f"There is no file {file}. {_SOURCE}")
    metadata = read_struct(file, "imdb", _FIELDS)
    reasons = {
        "low face score": ~(metadata["face_score"] > minimum_face_score),
        "second face": ~np.isnan(metadata["second_face_score"]),
        "unknown gender": ~np.isin(metadata["gender"], (0, 1)),
    }
    listed = []
    left_out: dict[str, list[str]] = {reason: [] for reason in (*reasons, "missing picture")}
    for row, name in enumerate(map(str.strip, metadata["full_path"].tolist())):
        reason = next((reason for reason, rows in reasons.items() if rows[row]), "")
        if not reason and not _is_file_below(file.parent, name):
            reason = "missing picture"
        if reason:
            left_out[reason].append(name)
            continue
        person = _PERSON.match(PurePosixPath(name).name)
        facts = {"subject": person.group() if person else name}
        listed.append(ListedPicture(name, int(metadata["gender"][row]), facts=facts))
    dataset = read(file.parent, listed, left_out=left_out, summed=())
    listing = "\n".join(dataset.attributes["file"]).encode("utf-8", "surrogateescape")
    checksum = content_checksum([(_METADATA_FILE, file.read_bytes()), ("pictures", listing)])
    return replace(dataset, checksum=checksum)


def _is_file_below(folder: Path, path: str) -> bool:
    """Return whether a picture exists; a path that leads out of the folder counts as missing."""
    file = folder / path
    try:
        return file.is_file() and file.resolve().is_relative_to(folder.resolve())
    except (OSError, ValueError) as error:  # too long, or with a null character
        if is_passing(error):
            raise
        return False


load_imdb = PublishedSet(
    name="imdb",
    licence="academic research only",
    class_names=GENDERS,
    wanted="the pictures that its .mat file names",
    source=_SOURCE,
    read=_read,
    form=PictureForm(image_size=(64, 64)),
    options={"minimum_face_score": 3.0},
).load
"""Load the IMDB faces with their gender, filtered as in the mini-Xception paper.

A row is kept when its face score is above `minimum_face_score`, 3.0 by default, there is no second
face and the gender is known. `path` is `imdb.mat`, or the folder `imdb_crop` that holds it and the
pictures; these are grey, 64x64 pixels, by default. Classes are `GENDERS`, rows in the order of the
file, and `attributes` hold "subject", the person ("nm0000001", from the picture's name). `dropped`
counts each row under the first reason that applies."""
