"""UTKFace: aligned and cropped 200x200 faces whose file names hold age, gender and ethnicity.

Source: https://susanqq.github.io/UTKFace/ (Zhang, Song, Qi 2017, arXiv 1702.08423). Licence:
non-commercial research, no redistribution.
"""

import re
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np

from minixception.datasets.face_dataset import FaceDataset
from minixception.datasets.pictures import ListedPicture, PictureForm, named_contents
from minixception.datasets.published import PublishedSet, Reader
from minixception.labels import GENDERS

ETHNICITIES = ("white", "black", "asian", "indian", "other")
"""Meaning of the ethnicity codes 0 to 4, in the words of the set's authors."""

# age_gender_ethnicity_timestamp; in the file names gender 0 is a man and 1 a woman.
_FILE_NAME = re.compile(r"(\d{1,3})_([01])_([0-4])_\d+\.jpg(?:\.chip\.jpg)?")
_FILE_NAME_GENDERS = ("man", "woman")


def _read(path: Path, read: Reader) -> FaceDataset:
    contents = dict(named_contents(path))
    names = {file: PurePosixPath(file).name for file in contents}
    files = sorted(contents, key=lambda file: (names[file], contents[file]))
    listed, malformed = [], []
    for file in files:
        if match := _FILE_NAME.fullmatch(names[file]):
            label = GENDERS.index(_FILE_NAME_GENDERS[int(match[2])])
            facts = {"age": int(match[1]), "ethnicity": int(match[3])}
            listed.append(ListedPicture(file, label, facts=facts))
        else:
            malformed.append(file)
    dataset = read(
        path,
        listed,
        left_out={"malformed name": malformed},
        content_of=contents.__getitem__,
        summed=[(names[file], contents[file]) for file in files],
    )
    return _without_copies(dataset)


def _without_copies(dataset: FaceDataset) -> FaceDataset:
    """Keep one row of each picture whose copies agree about the gender, and count the others."""
    _, first_rows, pictures = np.unique(
        dataset.attributes["content"], return_index=True, return_inverse=True
    )
    copies, label_sums = np.bincount(pictures), np.bincount(pictures, weights=dataset.labels)
    agrees = (label_sums == 0) | (label_sums == copies)
    dropped = {
        "duplicate": int((copies[agrees] - 1).sum()),
        "contradictory gender": int(copies[~agrees].sum()),
    }
    rows = np.sort(first_rows[agrees])
    images = dataset.images
    for place, row in enumerate(rows):  # in place: whole frames of all faces take 2.8 GB
        images[place] = images[row]
    kept = replace(dataset, images=images[:, :1, :1]).select(rows)
    return replace(kept, images=images[: len(rows)], dropped={**dataset.dropped, **dropped})


load_utkface = PublishedSet(
    name="utkface",
    licence="non-commercial research, no redistribution",
    class_names=GENDERS,
    wanted="pictures named age_gender_ethnicity_timestamp.jpg.chip.jpg",
    source="Get UTKFace from https://susanqq.github.io/UTKFace/ and put it into datasets/utkface/.",
    read=_read,
    form=PictureForm(image_size=(100, 100), channels=3),
    version=4,
).load
"""Load the faces of UTKFace with their gender, classes `GENDERS`, sorted by file name.

The whole frame is kept, in colour and at 100x100 pixels by default, so that a crop can be chosen
later. Identical pictures are kept once, or not at all if their names disagree about the gender.
`attributes` hold "age" and "ethnicity", int64 (N,), an index into `ETHNICITIES`."""
