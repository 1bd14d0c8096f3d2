"""JAFFE: 213 pictures of ten Japanese women with seven posed expressions, 256x256 pixels.

Source: Lyons, Kamachi, Gyoba, https://zenodo.org/record/3451524. Licence: non-commercial research,
no redistribution.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from minixception.datasets.face_dataset import FaceDataset
from minixception.datasets.pictures import PictureForm
from minixception.datasets.posed import NamedSet, PictureName, load_named_pictures
from minixception.datasets.splits import CONTENT_RULE
from minixception.labels import EMOTIONS_8

if TYPE_CHECKING:
    from minixception.detection.search import FaceDetector

EMOTIONS_JAFFE = tuple(name for name in EMOTIONS_8 if name != "contempt")
"""The seven expressions of JAFFE in alphabetical order."""

# Subject, code and repetition, number: KA.AN1.39.tiff; copies come with stray blanks, other
# separators and a second ending (KA.AN1.39.tiff.bmp).
_FILE_NAME = re.compile(
    r"\s*([A-Z]{2})[\s.\-_]+(AN|DI|FE|HA|NE|SA|SU)\s*(\d+)[\s.\-_]+(\d+)\s*(?:\.[A-Z]+\s*)+",
    re.IGNORECASE,
)


def _parse(file: PurePosixPath) -> PictureName | str:
    match = _FILE_NAME.fullmatch(file.name)
    if match is None:
        return "malformed name"
    subject, code = match[1].upper(), match[2].upper()
    repetition, number = int(match[3]), int(match[4])
    return PictureName(
        shot=f"{subject}.{code}{repetition}.{number}",
        emotion=code,
        subject=subject,
        facts={"repetition": repetition, "number": number},
    )


JAFFE = NamedSet(
    name="jaffe",
    title="JAFFE",
    source="https://zenodo.org/record/3451524",
    licence="non-commercial research, no redistribution",
    class_names=EMOTIONS_JAFFE,
    example="KA.AN1.39.tiff",
    parse=_parse,
    subjects=("KA", "KL", "KM", "KR", "MK", "NA", "NM", "TM", "UY", "YM"),
)


def load_jaffe(
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
    """Load JAFFE: pictures with names such as `KA.AN1.39.tiff`.

    The name tells subject, expression (AN, DI, FE, HA, NE, SA, SU), repetition and number; of the
    ten subjects eight are in "train", and one each in "validation" and "test". The frame
    shows hair and shoulders: networks trained on crops want `crop_faces=True`, as the command line
    does it.

    Args:
        path: The folder `jaffe` or `jaffedbase`, or one above it.
        split: "train", "validation" or "test"; None gives all.
        seed: Seed of the split.
        split_rule: "content", or "drawn" for models of earlier versions.
        image_size: (height, width) to which each picture or face is resized.
        channels: 1 for grey, 3 for RGB.
        crop_faces: Cut out the largest face; pictures without one are counted in `dropped`.
        detector: Finds the faces; None takes the Haar cascade.

    Returns:
        Images uint8 (N, height, width, channels) with classes `EMOTIONS_JAFFE`, sorted by path;
        `attributes` hold "subject" ("KA"), "repetition" and "number", int64, and "file". `dropped`
        counts stray files, malformed names, further copies of a picture, unreadable pictures
        and pictures without a face, by reason.

    Raises:
        FileNotFoundError: There is no folder at `path`.
        ValueError: It holds no such picture, or an option is not allowed.
    """
    form = PictureForm(image_size, channels, crop_faces, detector)
    return load_named_pictures(path, JAFFE, form, split=split, seed=seed, split_rule=split_rule)
