"""KDEF: 70 actors, seven expressions, five poses, two sessions; 4,900 pictures of 562x762 pixels.

Source: Lundqvist, Flykt, Oehman 1998, "The Karolinska Directed Emotional Faces", https://kdef.se.
Licence: non-commercial research, no redistribution.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from minixception.datasets.face_dataset import FaceDataset
from minixception.datasets.pictures import PictureForm
from minixception.datasets.posed import NamedSet, PictureName, load_named_pictures
from minixception.datasets.splits import CONTENT_RULE
from minixception.labels import EMOTIONS_8

if TYPE_CHECKING:
    from minixception.detection.search import FaceDetector

EMOTIONS_KDEF = tuple(name for name in EMOTIONS_8 if name != "contempt")
"""The seven expressions of KDEF in alphabetical order."""

POSES_KDEF = ("S", "HL", "HR", "FL", "FR")
"""Straight, half and full profile, left and right: the end of a file name."""

# Session, sex, number, expression, pose: AF01ANS.JPG.
_FILE_NAME = re.compile(r"([AB])([FM])(\d\d)(AF|AN|DI|HA|NE|SA|SU)(S|HL|HR|FL|FR)", re.IGNORECASE)


def _parse(file: PurePosixPath) -> PictureName | str:
    match = _FILE_NAME.fullmatch(file.stem.strip())
    if match is None:
        return "unknown code"
    session, sex, number, emotion, pose = (group.upper() for group in match.groups())
    return PictureName(
        shot=match[0].upper(),
        emotion=emotion,
        subject=f"{sex}{number}",  # the same person in both sessions
        facts={"session": session, "sex": sex, "pose": pose},
    )


KDEF = NamedSet(
    name="kdef",
    title="KDEF",
    source="https://kdef.se",
    licence="non-commercial research, no redistribution",
    class_names=EMOTIONS_KDEF,
    example="AF01ANS.JPG",
    parse=_parse,
    subjects=tuple(f"{sex}{number:02}" for sex in "FM" for number in range(1, 36)),
)


def load_kdef(
    path: str | Path,
    *,
    poses: Sequence[str] = ("S",),
    split: str | None = None,
    seed: int = 0,
    split_rule: str = CONTENT_RULE,
    image_size: tuple[int, int] = (48, 48),
    channels: int = 1,
    crop_faces: bool = False,
    detector: FaceDetector | None = None,
) -> FaceDataset:
    """Load KDEF: pictures with names such as `AF01ANS.JPG`, frontal ones by default.

    The name tells session, sex, number, expression and pose; of the 70 subjects, with both of
    their sessions, 56 are in "train", and 7 each in "validation" and "test". The frame shows
    hair and shoulders: networks trained on crops want `crop_faces=True`, as the command line does
    it.

    Args:
        path: The folder `KDEF`, with or without a folder per session and actor.
        poses: Which of `POSES_KDEF` to keep.
        split: "train", "validation" or "test"; None gives all.
        seed: Seed of the split.
        split_rule: "content", or "drawn" for models of earlier versions.
        image_size: (height, width) to which each picture or face is resized.
        channels: 1 for grey, 3 for RGB.
        crop_faces: Cut out the largest face; pictures without one are counted in `dropped`. The
            Haar cascade finds frontal faces only.
        detector: Finds the faces; None takes the Haar cascade.

    Returns:
        Images uint8 (N, height, width, channels) with classes `EMOTIONS_KDEF`, sorted by path;
        `attributes` hold "subject" ("F01"), "session", "sex", "pose" and "file". `dropped` counts
        stray files, names with an unknown code, other poses, further copies of a picture,
        unreadable pictures and pictures without a face, by reason.

    Raises:
        FileNotFoundError: There is no folder at `path`.
        ValueError: It holds no such picture, or an option is not allowed.
    """
    unknown = [pose for pose in poses if pose not in POSES_KDEF]
    if isinstance(poses, str) or unknown or not poses:
        raise ValueError(
            f"`poses` must be a sequence of {', '.join(POSES_KDEF)}. Received: poses={poses!r}"
        )

    def parse_pose(file: PurePosixPath) -> PictureName | str:
        parsed = _parse(file)
        wanted = isinstance(parsed, str) or parsed.facts["pose"] in poses
        return parsed if wanted else "other pose"

    form = PictureForm(image_size, channels, crop_faces, detector)
    return load_named_pictures(
        path, replace(KDEF, parse=parse_pose), form, split=split, seed=seed, split_rule=split_rule
    )
