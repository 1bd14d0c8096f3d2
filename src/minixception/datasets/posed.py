"""Sets of posed faces whose file names give emotion and subject: CK+48, JAFFE, KDEF."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from minixception.datasets.face_dataset import FaceDataset
from minixception.datasets.pictures import ListedPicture, PictureForm, count_dropped, read_listed
from minixception.datasets.splits import CONTENT_RULE, draw_splits
from minixception.files import PICTURE_SUFFIXES, files_below
from minixception.labels import EMOTIONS_8, canonical_name, index_of

if TYPE_CHECKING:
    from minixception.detection.search import FaceDetector

EMOTIONS_CK_PLUS = ("anger", "contempt", "disgust", "fear", "happy", "sadness", "surprise")
"""The class folders of CK+48 in alphabetical order; there is no neutral."""

EMOTIONS_JAFFE = tuple(name for name in EMOTIONS_8 if name != "contempt")
"""The seven expressions of JAFFE in alphabetical order."""

EMOTIONS_KDEF = EMOTIONS_JAFFE
"""The seven expressions of KDEF in alphabetical order."""

POSES_KDEF = ("S", "HL", "HR", "FL", "FR")
"""Straight, half and full profile, left and right: the end of a file name."""


@dataclass(frozen=True)
class PictureName:
    """What the name of a picture says.

    Attributes:
        shot: The same for two copies of one photograph.
        emotion: A class of the set, in any spelling.
        facts: Attributes of the data set, "subject" among them, the same keys for every picture.
    """

    shot: str
    emotion: str
    facts: dict[str, str | int]


@dataclass(frozen=True)
class PosedSet:
    """A set of posed faces.

    Attributes:
        name: Of the data set.
        title: Its name in messages.
        source: Where to get it.
        licence: Its terms in a few words.
        class_names: In label order.
        example: The name of a picture, for messages.
        parse: From the path below the folder to what it says, or to the reason to leave it out.
        subjects: Everybody whom the whole set shows, where that is known.
    """

    name: str
    title: str
    source: str
    licence: str
    class_names: tuple[str, ...]
    example: str
    parse: Callable[[PurePosixPath], PictureName | str]
    subjects: tuple[str, ...] = ()

    def load(
        self,
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
        """Load a set of posed faces by the names of its pictures.

        Pictures of one person are near copies, so whole subjects are put into the splits,
        80 : 10 : 10, by a hash of their name; where all subjects are known, in exact shares.

        Args:
            path: The folder of the set, or one above it; its sub-folders are searched.
            split: "train", "validation" or "test"; None gives all.
            seed: Seed of the split.
            split_rule: "content", or "drawn" for models of earlier versions.
            image_size: (height, width) to which each picture or face is resized.
            channels: 1 for grey, 3 for RGB.
            crop_faces: Cut out the largest face, as the commands do it for JAFFE and KDEF, which
                show hair and shoulders; pictures without a face are counted in `dropped`.
            detector: Finds the faces; None takes the Haar cascade, for frontal faces only.

        Returns:
            Images uint8 (N, height, width, channels), sorted by path; `attributes` hold "subject",
            "file" (the path below `path`), "content" (the hash of the whole picture) and what else
            the names say. `dropped` counts stray files, names that do not fit, further copies of
            a picture, unreadable pictures and pictures without a face, by reason.

        Raises:
            FileNotFoundError: There is no folder at `path`.
            ValueError: It holds no picture of the set, or an option is not allowed.
        """
        form = PictureForm(image_size, channels, crop_faces, detector)
        path = Path(path)
        if not path.is_dir():
            raise FileNotFoundError(
                f"There is no folder {path}. Get {self.title} from {self.source}; "
                "datasets/README.md says where it goes."
            )
        left_out: dict[str, list[str]] = defaultdict(list)
        listed = list(self._list_pictures(path, left_out))
        dataset = read_listed(
            path,
            listed,
            form,
            class_names=self.class_names,
            name=self.name,
            licence=self.licence,
            dropped=count_dropped(left_out, "files"),
            wanted=f"pictures of {self.title} with names such as {self.example}",
        )
        dataset = draw_splits(dataset, seed=seed, split_rule=split_rule, roster=self.subjects)
        return dataset if split is None else dataset.split(split)

    def _list_pictures(self, path: Path, left_out: dict[str, list[str]]) -> Iterator[ListedPicture]:
        """Yield the pictures to read, sorted by path, the first of each shot."""
        shots = set()
        for entry in files_below(path):
            file = PurePosixPath(entry.relative_to(path).as_posix())
            # The name of the folder gives the class in CK+48, also when it is that folder itself.
            parsed = self.parse(PurePosixPath(path.resolve().name) / file)
            is_hidden = any(part.startswith(".") for part in file.parts)
            if is_hidden or entry.suffix.strip().lower() not in PICTURE_SUFFIXES:
                left_out["stray file"].append(str(entry))
            elif isinstance(parsed, str):
                left_out[parsed].append(str(entry))
            elif (parsed.shot, parsed.emotion) in shots:
                left_out["duplicate"].append(str(entry))
            else:
                shots.add((parsed.shot, parsed.emotion))
                label = index_of(parsed.emotion, self.class_names)
                yield ListedPicture(file.as_posix(), label, facts=parsed.facts)


# Subject, sequence, frame: S010_004_00000017.
_CK_PLUS_NAME = re.compile(r"(S\d+)_(\d+)_(\d+)", re.IGNORECASE)
_CK_PLUS_CLASSES = {canonical_name(name) for name in EMOTIONS_CK_PLUS}


def _parse_ck_plus(file: PurePosixPath) -> PictureName | str:
    match = _CK_PLUS_NAME.fullmatch(file.stem.strip())
    if match is None:
        return "malformed name"
    if canonical_name(file.parent.name) not in _CK_PLUS_CLASSES:
        return "unknown class folder"
    facts = {"subject": match[1].upper(), "sequence": match[2], "frame": int(match[3])}
    return PictureName(match[0].upper(), file.parent.name, facts)


# Subject, code and repetition, number: KA.AN1.39.tiff; copies come with stray blanks, other
# separators and a second ending (KA.AN1.39.tiff.bmp).
_JAFFE_NAME = re.compile(
    r"\s*([A-Z]{2})[\s.\-_]+(AN|DI|FE|HA|NE|SA|SU)\s*(\d+)[\s.\-_]+(\d+)\s*(?:\.[A-Z]+\s*)+",
    re.IGNORECASE,
)


def _parse_jaffe(file: PurePosixPath) -> PictureName | str:
    match = _JAFFE_NAME.fullmatch(file.name)
    if match is None:
        return "malformed name"
    subject, code, repetition, number = match[1].upper(), match[2].upper(), match[3], match[4]
    facts = {"subject": subject, "repetition": int(repetition), "number": int(number)}
    return PictureName(f"{subject}.{code}{int(repetition)}.{int(number)}", code, facts)


# Session, sex, number, expression, pose: AF01ANS.JPG.
_KDEF_NAME = re.compile(r"([AB])([FM])(\d\d)(AF|AN|DI|HA|NE|SA|SU)(S|HL|HR|FL|FR)", re.IGNORECASE)


def _parse_kdef(file: PurePosixPath) -> PictureName | str:
    match = _KDEF_NAME.fullmatch(file.stem.strip())
    if match is None:
        return "unknown code"
    session, sex, number, emotion, pose = (group.upper() for group in match.groups())
    # The subject is the same person in both sessions.
    facts: dict[str, str | int] = {"subject": sex + number, "session": session, "sex": sex}
    return PictureName(match[0].upper(), emotion, {**facts, "pose": pose})


CK_PLUS = PosedSet(
    name="ck_plus",
    title="CK+48",
    source="the authors of CK+ (Lucey et al. 2010)",
    licence="research use under the authors' agreement, no redistribution",
    class_names=EMOTIONS_CK_PLUS,
    example="anger/S010_004_00000017.png",
    parse=_parse_ck_plus,
)
"""981 cropped peak frames of 48x48 pixels in seven class folders, the last three frames of each
sequence. Source: Lucey, Cohn, Kanade, Saragih, Ambadar, Matthews 2010, "The Extended Cohn-Kanade
Dataset (CK+)". The folder gives the class, in any spelling."""

JAFFE = PosedSet(
    name="jaffe",
    title="JAFFE",
    source="https://zenodo.org/record/3451524",
    licence="non-commercial research, no redistribution",
    class_names=EMOTIONS_JAFFE,
    example="KA.AN1.39.tiff",
    parse=_parse_jaffe,
    subjects=("KA", "KL", "KM", "KR", "MK", "NA", "NM", "TM", "UY", "YM"),
)
"""213 pictures of ten Japanese women, 256x256 pixels. Source: Lyons, Kamachi, Gyoba,
https://zenodo.org/record/3451524."""

KDEF = PosedSet(
    name="kdef",
    title="KDEF",
    source="https://kdef.se",
    licence="non-commercial research, no redistribution",
    class_names=EMOTIONS_KDEF,
    example="AF01ANS.JPG",
    parse=_parse_kdef,
    subjects=tuple(f"{sex}{number:02}" for sex in "FM" for number in range(1, 36)),
)
"""70 actors, seven expressions, five poses, two sessions; 4,900 pictures of 562x762 pixels.
Source: Lundqvist, Flykt, Oehman 1998, "The Karolinska Directed Emotional Faces", https://kdef.se."""

load_ck_plus = CK_PLUS.load
"""Load CK+48; `attributes` hold "subject" ("S010"), "sequence" ("004") and "frame"."""

load_jaffe = JAFFE.load
"""Load JAFFE; `attributes` hold "subject" ("KA"), "repetition" and "number"."""


def load_kdef(path: str | Path, *, poses: Sequence[str] = ("S",), **options: Any) -> FaceDataset:
    """Load KDEF, frontal pictures by default.

    Args:
        path: The folder `KDEF`, with or without a folder per session and actor.
        poses: Which of `POSES_KDEF` to keep.
        **options: See `PosedSet.load`.

    Returns:
        See `PosedSet.load`; `attributes` hold "subject" ("F01"), "session", "sex" and "pose".

    Raises:
        FileNotFoundError: There is no folder at `path`.
        ValueError: It holds no such picture, or an option is not allowed.
    """
    if isinstance(poses, str) or not poses or not set(poses) <= set(POSES_KDEF):
        raise ValueError(
            f"`poses` must be a sequence of {', '.join(POSES_KDEF)}. Received: poses={poses!r}"
        )

    def parse_pose(file: PurePosixPath) -> PictureName | str:
        parsed = _parse_kdef(file)
        wanted = isinstance(parsed, str) or parsed.facts["pose"] in poses
        return parsed if wanted else "other pose"

    return replace(KDEF, parse=parse_pose).load(path, **options)
