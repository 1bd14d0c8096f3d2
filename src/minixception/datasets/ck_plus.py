"""CK+48: the peak frames of the Extended Cohn-Kanade sequences, cropped to 48x48 pixels.

Source: Lucey, Cohn, Kanade, Saragih, Ambadar, Matthews 2010, "The Extended Cohn-Kanade Dataset
(CK+)"; the cropped copy of 981 pictures known as CK+48 has seven class folders and the last three
frames of each sequence. Licence: research use under the agreement of the authors.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from minixception.datasets.face_dataset import FaceDataset
from minixception.datasets.pictures import PictureForm
from minixception.datasets.posed import NamedSet, PictureName, load_named_pictures
from minixception.datasets.splits import CONTENT_RULE
from minixception.labels import canonical_name

if TYPE_CHECKING:
    from minixception.detection.search import FaceDetector

EMOTIONS_CK_PLUS = ("anger", "contempt", "disgust", "fear", "happy", "sadness", "surprise")
"""The class folders of CK+48 in alphabetical order; there is no neutral."""

_CLASSES = {canonical_name(name) for name in EMOTIONS_CK_PLUS}
# Subject, sequence, frame: S010_004_00000017.
_FILE_NAME = re.compile(r"(S\d+)_(\d+)_(\d+)", re.IGNORECASE)


def _parse(file: PurePosixPath) -> PictureName | str:
    match = _FILE_NAME.fullmatch(file.stem.strip())
    if match is None:
        return "malformed name"
    if canonical_name(file.parent.name) not in _CLASSES:
        return "unknown class folder"
    subject, sequence = match[1].upper(), match[2]
    return PictureName(
        shot=match[0].upper(),
        emotion=file.parent.name,
        subject=subject,
        facts={"sequence": sequence, "frame": int(match[3])},
    )


CK_PLUS = NamedSet(
    name="ck_plus",
    title="CK+48",
    source="the authors of CK+ (Lucey et al. 2010)",
    licence="research use under the authors' agreement, no redistribution",
    class_names=EMOTIONS_CK_PLUS,
    example="anger/S010_004_00000017.png",
    parse=_parse,
)


def load_ck_plus(
    path: str | Path,
    *,
    split: str | None = None,
    seed: int = 0,
    split_rule: str = CONTENT_RULE,
    image_size: tuple[int, int] = (48, 48),
    channels: int = 1,
    crop_faces: bool = False,
    detector: FaceDetector | None = None,
) -> FaceDataset:
    """Load CK+48: a folder of class folders with names such as `anger/S010_004_00000017.png`.

    The folder of a picture tells its class in any spelling ("Happiness"), its name the subject, the
    sequence and the frame. Frames of one sequence are near copies, so whole subjects are put
    into the splits, 80 : 10 : 10, by a hash of their name. The pictures are cropped faces already.

    Args:
        path: The folder `CK+48`, or one above it.
        split: "train", "validation" or "test"; None gives all.
        seed: Seed of the split.
        split_rule: "content", or "drawn" for models of earlier versions.
        image_size: (height, width) to which each picture is resized.
        channels: 1 for grey, 3 for RGB.
        crop_faces: Cut out the largest face, for copies that are not cropped.
        detector: Finds the faces; None takes the Haar cascade.

    Returns:
        Images uint8 (N, height, width, channels) with classes `EMOTIONS_CK_PLUS`, sorted by path;
        `attributes` hold "subject" ("S010"), "sequence" ("004"), "frame" int64 and "file".
        `dropped` counts stray files, malformed names, unknown class folders, further copies of
        a picture and unreadable pictures, by reason.

    Raises:
        FileNotFoundError: There is no folder at `path`.
        ValueError: It holds no such picture, or an option is not allowed.
    """
    form = PictureForm(image_size, channels, crop_faces, detector)
    return load_named_pictures(path, CK_PLUS, form, split=split, seed=seed, split_rule=split_rule)
