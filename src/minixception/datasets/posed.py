"""Sets of posed faces whose file names give emotion and subject: CK+48, JAFFE, KDEF."""

import re
from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from minixception.datasets.face_dataset import FaceDataset
from minixception.datasets.pictures import ListedPicture, named_contents
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


# Parts of a file name without its ending; those in `_NUMBERS` become numbers.
_NUMBERS = ("frame", "repetition", "number")

_CK_PLUS_NAME = re.compile(r"(?P<subject>S\d+)_(?P<sequence>\d+)_(?P<frame>\d+)", re.IGNORECASE)

# As KA.AN1.39.tiff; some copies have stray blanks, other separators or a second ending.
_JAFFE_NAME = re.compile(
    r"(?P<subject>[A-Z]{2})[\s.\-_]+(?P<emotion>AN|DI|FE|HA|NE|SA|SU)\s*(?P<repetition>\d+)"
    r"[\s.\-_]+(?P<number>\d+)\s*(?:\.[A-Z]+\s*)*",
    re.IGNORECASE,
)

# The subject is the same person in both sessions.
_KDEF_NAME = re.compile(
    r"(?P<session>[AB])(?P<subject>(?P<sex>[FM])\d\d)(?P<emotion>AF|AN|DI|HA|NE|SA|SU)"
    r"(?P<pose>S|HL|HR|FL|FR)",
    re.IGNORECASE,
)


def _read(
    path: Path,
    read: Reader,
    *,
    pattern: re.Pattern[str],
    class_names: Sequence[str],
    poses: Sequence[str] = ("S",),
    misnamed: str = "malformed name",
) -> FaceDataset:
    if isinstance(poses, str) or not poses or not set(poses) <= set(POSES_KDEF):
        raise ValueError(
            f"`poses` must be a sequence of {', '.join(POSES_KDEF)}. Received: poses={poses!r}"
        )
    contents = None if path.is_dir() else dict(named_contents(path))
    files = files_below(path) if contents is None else sorted(contents, key=PurePosixPath)
    listed: dict[object, ListedPicture] = {}
    left_out: dict[str, list[Path]] = defaultdict(list)
    for file in map(PurePosixPath, files):
        match = pattern.fullmatch(file.stem.strip())
        facts = _facts(match) if match else {}
        # In CK+48 the folder gives the class, also when it is `path` itself.
        emotion = facts.pop("emotion", file.parent.name or path.resolve().name)
        is_hidden = any(part.startswith(".") for part in file.parts)
        if is_hidden or file.suffix.strip().lower() not in PICTURE_SUFFIXES:
            left_out["stray file"].append(path / file)
        elif not match:
            left_out[misnamed].append(path / file)
        elif lacking([emotion], class_names):
            left_out["unknown class folder"].append(path / file)
        elif facts.get("pose", "S") not in poses:
            left_out["other pose"].append(path / file)
        else:
            picture = ListedPicture(file.as_posix(), index_of(emotion, class_names), facts=facts)
            if listed.setdefault((picture.label, *facts.values()), picture) is not picture:
                left_out["duplicate"].append(path / file)
    content_of = None if contents is None else contents.__getitem__
    return read(path, list(listed.values()), left_out=left_out, content_of=content_of)


def _facts(match: re.Match[str]) -> dict[str, Any]:
    """Return the named parts of a file name: numbers, and words in upper case."""
    parts = match.groupdict().items()
    return {key: int(part) if key in _NUMBERS else part.upper() for key, part in parts}


load_ck_plus = PublishedSet(
    name="ck_plus",
    licence="research use under the authors' agreement, no redistribution",
    class_names=EMOTIONS_CK_PLUS,
    wanted="pictures of CK+48 with names such as anger/S010_004_00000017.png",
    source="Get CK+48 from the authors of CK+ (Lucey et al. 2010); "
    "datasets/README.md says where it goes.",
    read=partial(_read, pattern=_CK_PLUS_NAME, class_names=EMOTIONS_CK_PLUS),
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
    read=partial(_read, pattern=_JAFFE_NAME, class_names=EMOTIONS_JAFFE),
    subjects=("KA", "KL", "KM", "KR", "MK", "NA", "NM", "TM", "UY", "YM"),
).load
"""Load JAFFE; `attributes` hold "subject" ("KA"), "repetition" and "number".

213 pictures of ten Japanese women, 256x256 pixels, with hair and shoulders: the commands give
`crop_faces=True`. Source: Lyons, Kamachi, Gyoba, https://zenodo.org/record/3451524."""


load_kdef = PublishedSet(
    name="kdef",
    licence="non-commercial research, no redistribution",
    class_names=EMOTIONS_KDEF,
    wanted="pictures of KDEF with names such as AF01ANS.JPG",
    source="Get KDEF from https://kdef.se; datasets/README.md says where it goes.",
    read=partial(_read, pattern=_KDEF_NAME, class_names=EMOTIONS_KDEF, misnamed="unknown code"),
    subjects=tuple(f"{sex}{number:02}" for sex in "FM" for number in range(1, 36)),
    options={"poses": ("S",)},
).load
"""Load KDEF, frontal pictures by default, or those of `poses`, some of `POSES_KDEF`.

70 actors, seven expressions, five poses, two sessions; 4,900 pictures of 562x762 pixels, for which
the commands give `crop_faces=True`. Source: Lundqvist, Flykt, Oehman 1998, "The Karolinska Directed
Emotional Faces", https://kdef.se. `attributes` hold "subject" ("F01"), "session", "sex" and
"pose"."""
