"""Sets of posed faces whose file names give emotion and subject: CK+48, JAFFE, KDEF."""

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from minixception.datasets.face_dataset import FaceDataset
from minixception.datasets.pictures import ListedPicture, count_dropped, named_contents
from minixception.datasets.published import PublishedSet, Reader
from minixception.files import PICTURE_SUFFIXES, files_below
from minixception.labels import EMOTIONS_8, index_of, lacking

EMOTIONS_CK_PLUS = ("anger", "contempt", "disgust", "fear", "happy", "sadness", "surprise")
"""The class folders of CK+48 in alphabetical order; there is no neutral."""

EMOTIONS_JAFFE = tuple(name for name in EMOTIONS_8 if name != "contempt")
"""The seven expressions of JAFFE in alphabetical order."""

EMOTIONS_KDEF = EMOTIONS_JAFFE
"""The seven expressions of KDEF in alphabetical order."""

POSES_KDEF = ("S", "HL", "HR", "FL", "FR")
"""Straight, half and full profile, left and right: the end of a file name."""


Facts = dict[str, str | int]
Parsed = tuple[int, Facts] | str
"""Label and facts of a picture, "subject" among them; or the reason to leave it out."""

Parser = Callable[[PurePosixPath], Parsed]
"""Takes the path of a picture, beginning with the folder of the set, and returns what it says."""


def _read(path: Path, read: Reader, *, parse: Parser) -> FaceDataset:
    contents = None if path.is_dir() else dict(named_contents(path))
    files = files_below(path) if contents is None else sorted(contents, key=PurePosixPath)
    listed: dict[object, ListedPicture] = {}
    left_out: dict[str, list[str]] = defaultdict(list)
    for file in map(PurePosixPath, files):
        # The name of the folder gives the class in CK+48, also when it is that folder itself.
        parsed = parse(PurePosixPath(path.resolve().name) / file)
        is_hidden = any(part.startswith(".") for part in file.parts)
        if is_hidden or file.suffix.strip().lower() not in PICTURE_SUFFIXES:
            left_out["stray file"].append(str(path / file))
        elif isinstance(parsed, str):
            left_out[parsed].append(str(path / file))
        else:
            label, facts = parsed
            picture = ListedPicture(file.as_posix(), label, facts=facts)
            if listed.setdefault((label, *facts.values()), picture) is not picture:
                left_out["duplicate"].append(str(path / file))
    dropped = count_dropped(left_out, "file")
    content_of = None if contents is None else contents.__getitem__
    return read(path, list(listed.values()), dropped=dropped, content_of=content_of)


# Subject, sequence, frame: S010_004_00000017.
_CK_PLUS_NAME = re.compile(r"(S\d+)_(\d+)_(\d+)", re.IGNORECASE)


def _parse_ck_plus(file: PurePosixPath) -> Parsed:
    match = _CK_PLUS_NAME.fullmatch(file.stem.strip())
    if match is None:
        return "malformed name"
    if lacking([file.parent.name], EMOTIONS_CK_PLUS):
        return "unknown class folder"
    facts: Facts = {"subject": match[1].upper(), "sequence": match[2], "frame": int(match[3])}
    return index_of(file.parent.name, EMOTIONS_CK_PLUS), facts


# Subject, code and repetition, number: KA.AN1.39.tiff; some copies have stray blanks, other
# separators or a second ending (KA.AN1.39.tiff.bmp).
_JAFFE_NAME = re.compile(
    r"\s*([A-Z]{2})[\s.\-_]+(AN|DI|FE|HA|NE|SA|SU)\s*(\d+)[\s.\-_]+(\d+)\s*(?:\.[A-Z]+\s*)+",
    re.IGNORECASE,
)


def _parse_jaffe(file: PurePosixPath) -> Parsed:
    match = _JAFFE_NAME.fullmatch(file.name)
    if match is None:
        return "malformed name"
    facts: Facts = {
        "subject": match[1].upper(),
        "repetition": int(match[3]),
        "number": int(match[4]),
    }
    return index_of(match[2], EMOTIONS_JAFFE), facts


# Session, sex, number, expression, pose: AF01ANS.JPG.
_KDEF_NAME = re.compile(r"([AB])([FM])(\d\d)(AF|AN|DI|HA|NE|SA|SU)(S|HL|HR|FL|FR)", re.IGNORECASE)


def _parse_kdef(file: PurePosixPath, *, poses: Sequence[str]) -> Parsed:
    match = _KDEF_NAME.fullmatch(file.stem.strip())
    if match is None:
        return "unknown code"
    session, sex, number, emotion, pose = (group.upper() for group in match.groups())
    if pose not in poses:
        return "other pose"
    # The subject is the same person in both sessions.
    facts: Facts = {"subject": sex + number, "session": session, "sex": sex, "pose": pose}
    return index_of(emotion, EMOTIONS_KDEF), facts


load_ck_plus = PublishedSet(
    name="ck_plus",
    licence="research use under the authors' agreement, no redistribution",
    class_names=EMOTIONS_CK_PLUS,
    wanted="pictures of CK+48 with names such as anger/S010_004_00000017.png",
    source="Get CK+48 from the authors of CK+ (Lucey et al. 2010); "
    "datasets/README.md says where it goes.",
    read=partial(_read, parse=_parse_ck_plus),
).load
"""Load CK+48; `attributes` hold "subject" ("S010"), "sequence" ("004") and "frame".

981 cropped peak frames of 48x48 pixels in seven class folders, the last three frames of each
sequence. Source: Lucey, Cohn, Kanade, Saragih, Ambadar, Matthews 2010, "The Extended Cohn-Kanade
Dataset (CK+)". The folder gives the class, in any spelling."""

load_jaffe = PublishedSet(
    name="jaffe",
    licence="non-commercial research, no redistribution",
    class_names=EMOTIONS_JAFFE,
    wanted="pictures of JAFFE with names such as KA.AN1.39.tiff",
    source="Get JAFFE from https://zenodo.org/record/3451524; "
    "datasets/README.md says where it goes.",
    read=partial(_read, parse=_parse_jaffe),
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

    return PublishedSet(
        name="kdef",
        licence="non-commercial research, no redistribution",
        class_names=EMOTIONS_KDEF,
        wanted="pictures of KDEF with names such as AF01ANS.JPG",
        source="Get KDEF from https://kdef.se; datasets/README.md says where it goes.",
        read=partial(_read, parse=partial(_parse_kdef, poses=poses)),
        subjects=tuple(f"{sex}{number:02}" for sex in "FM" for number in range(1, 36)),
    ).load(path, **options)
