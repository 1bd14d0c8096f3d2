"""Sets of posed faces whose file names give emotion and subject: CK+48, JAFFE, KDEF."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from minixception.datasets.face_dataset import FaceDataset
from minixception.datasets.pictures import (
    ListedPicture,
    PictureForm,
    count_dropped,
    named_contents,
    read_listed,
)
from minixception.datasets.published import PublishedSet
from minixception.files import PICTURE_SUFFIXES, files_below
from minixception.labels import EMOTIONS_8, canonical_name, index_of

EMOTIONS_CK_PLUS = ("anger", "contempt", "disgust", "fear", "happy", "sadness", "surprise")
"""The class folders of CK+48 in alphabetical order; there is no neutral."""

EMOTIONS_JAFFE = tuple(name for name in EMOTIONS_8 if name != "contempt")
"""The seven expressions of JAFFE in alphabetical order."""

EMOTIONS_KDEF = EMOTIONS_JAFFE
"""The seven expressions of KDEF in alphabetical order."""

POSES_KDEF = ("S", "HL", "HR", "FL", "FR")
"""Straight, half and full profile, left and right: the end of a file name."""


Facts = dict[str, str | int]
Parser = Callable[[PurePosixPath], tuple[str, Facts] | str]
"""From the path of a picture in the set to its emotion, in any spelling, and its facts, "subject"
among them; or to the reason to leave it out."""


def _posed(
    name: str,
    *,
    title: str,
    source: str,
    licence: str,
    class_names: tuple[str, ...],
    example: str,
    parse: Parser,
    subjects: tuple[str, ...] = (),
) -> PublishedSet:
    """Return a set of posed faces; `title` and `example`, a picture's name, are for messages."""

    def read(path: Path, form: PictureForm) -> FaceDataset:
        contents = None if path.is_dir() else dict(named_contents(path))
        listed, left_out = _list_pictures(path, contents, parse, class_names)
        return read_listed(
            path,
            listed,
            form,
            class_names=class_names,
            name=name,
            licence=licence,
            wanted=f"pictures of {title} with names such as {example}",
            dropped=count_dropped(left_out, "files"),
            contents=contents,
        )

    missing = (
        f"There is nothing at {{}}. Get {title} from {source}; "
        "datasets/README.md says where it goes."
    )
    return PublishedSet(name, read, missing, subjects=subjects)


def _list_pictures(
    path: Path, contents: Iterable[str] | None, parse: Parser, class_names: tuple[str, ...]
) -> tuple[list[ListedPicture], dict[str, list[str]]]:
    """Return the pictures of a folder or archive, sorted by path, and those left out by reason."""
    if contents is None:
        files = list(map(PurePosixPath, files_below(path)))
    else:
        files = sorted(map(PurePosixPath, contents))
    listed: dict[object, ListedPicture] = {}
    left_out: dict[str, list[str]] = defaultdict(list)
    for file in files:
        # The name of the folder gives the class in CK+48, also when it is that folder itself.
        parsed = parse(PurePosixPath(path.resolve().name) / file)
        is_hidden = any(part.startswith(".") for part in file.parts)
        if is_hidden or file.suffix.strip().lower() not in PICTURE_SUFFIXES:
            left_out["stray file"].append(str(path / file))
        elif isinstance(parsed, str):
            left_out[parsed].append(str(path / file))
        else:
            emotion, facts = parsed
            picture = ListedPicture(file.as_posix(), index_of(emotion, class_names), facts=facts)
            if listed.setdefault((picture.label, *facts.values()), picture) is not picture:
                left_out["duplicate"].append(str(path / file))
    return list(listed.values()), left_out


# Subject, sequence, frame: S010_004_00000017.
_CK_PLUS_NAME = re.compile(r"(S\d+)_(\d+)_(\d+)", re.IGNORECASE)
_CK_PLUS_CLASSES = {canonical_name(name) for name in EMOTIONS_CK_PLUS}


def _parse_ck_plus(file: PurePosixPath) -> tuple[str, Facts] | str:
    match = _CK_PLUS_NAME.fullmatch(file.stem.strip())
    if match is None:
        return "malformed name"
    if canonical_name(file.parent.name) not in _CK_PLUS_CLASSES:
        return "unknown class folder"
    facts: Facts = {"subject": match[1].upper(), "sequence": match[2], "frame": int(match[3])}
    return file.parent.name, facts


# Subject, code and repetition, number: KA.AN1.39.tiff; some copies have stray blanks, other
# separators or a second ending (KA.AN1.39.tiff.bmp).
_JAFFE_NAME = re.compile(
    r"\s*([A-Z]{2})[\s.\-_]+(AN|DI|FE|HA|NE|SA|SU)\s*(\d+)[\s.\-_]+(\d+)\s*(?:\.[A-Z]+\s*)+",
    re.IGNORECASE,
)


def _parse_jaffe(file: PurePosixPath) -> tuple[str, Facts] | str:
    match = _JAFFE_NAME.fullmatch(file.name)
    if match is None:
        return "malformed name"
    subject, code, repetition, number = match.groups()
    facts: Facts = {
        "subject": subject.upper(),
        "repetition": int(repetition),
        "number": int(number),
    }
    return code, facts


# Session, sex, number, expression, pose: AF01ANS.JPG.
_KDEF_NAME = re.compile(r"([AB])([FM])(\d\d)(AF|AN|DI|HA|NE|SA|SU)(S|HL|HR|FL|FR)", re.IGNORECASE)


def _parse_kdef(file: PurePosixPath) -> tuple[str, Facts] | str:
    match = _KDEF_NAME.fullmatch(file.stem.strip())
    if match is None:
        return "unknown code"
    session, sex, number, emotion, pose = (group.upper() for group in match.groups())
    # The subject is the same person in both sessions.
    return emotion, {"subject": sex + number, "session": session, "sex": sex, "pose": pose}


load_ck_plus = _posed(
    "ck_plus",
    title="CK+48",
    source="the authors of CK+ (Lucey et al. 2010)",
    licence="research use under the authors' agreement, no redistribution",
    class_names=EMOTIONS_CK_PLUS,
    example="anger/S010_004_00000017.png",
    parse=_parse_ck_plus,
).load
"""Load CK+48; `attributes` hold "subject" ("S010"), "sequence" ("004") and "frame".

981 cropped peak frames of 48x48 pixels in seven class folders, the last three frames of each
sequence. Source: Lucey, Cohn, Kanade, Saragih, Ambadar, Matthews 2010, "The Extended Cohn-Kanade
Dataset (CK+)". The folder gives the class, in any spelling."""

load_jaffe = _posed(
    "jaffe",
    title="JAFFE",
    source="https://zenodo.org/record/3451524",
    licence="non-commercial research, no redistribution",
    class_names=EMOTIONS_JAFFE,
    example="KA.AN1.39.tiff",
    parse=_parse_jaffe,
    subjects=("KA", "KL", "KM", "KR", "MK", "NA", "NM", "TM", "UY", "YM"),
).load
"""Load JAFFE; `attributes` hold "subject" ("KA"), "repetition" and "number".

213 pictures of ten Japanese women, 256x256 pixels, with hair and shoulders: the commands give
`crop_faces=True`. Source: Lyons, Kamachi, Gyoba, https://zenodo.org/record/3451524."""


def load_kdef(path: str | Path, *, poses: Sequence[str] = ("S",), **options: Any) -> FaceDataset:
    """Load KDEF, frontal pictures by default.

    70 actors, seven expressions, five poses, two sessions; 4,900 pictures of 562x762 pixels, for
    which the commands give `crop_faces=True`. Source: Lundqvist, Flykt, Oehman 1998, "The
    Karolinska Directed Emotional Faces", https://kdef.se.

    Args:
        path: The folder `KDEF`, with or without a folder per session and actor.
        poses: Which of `POSES_KDEF` to keep.
        **options: See `PublishedSet.load`.

    Returns:
        See `PublishedSet.load`; `attributes` hold "subject" ("F01"), "session", "sex" and "pose".

    Raises:
        FileNotFoundError: There is no folder at `path`.
        ValueError: It holds no such picture, or an option is not allowed.
    """
    if isinstance(poses, str) or not poses or not set(poses) <= set(POSES_KDEF):
        raise ValueError(
            f"`poses` must be a sequence of {', '.join(POSES_KDEF)}. Received: poses={poses!r}"
        )

    def parse(file: PurePosixPath) -> tuple[str, Facts] | str:
        parsed = _parse_kdef(file)
        wanted = isinstance(parsed, str) or parsed[1]["pose"] in poses
        return parsed if wanted else "other pose"

    return _posed(
        "kdef",
        title="KDEF",
        source="https://kdef.se",
        licence="non-commercial research, no redistribution",
        class_names=EMOTIONS_KDEF,
        example="AF01ANS.JPG",
        parse=parse,
        subjects=tuple(f"{sex}{number:02}" for sex in "FM" for number in range(1, 36)),
    ).load(path, **options)
