"""UTKFace: aligned and cropped 200x200 faces whose file names hold age, gender and ethnicity.

Source: https://susanqq.github.io/UTKFace/ (Zhang, Song, Qi 2017, arXiv 1702.08423). Licence:
non-commercial research, no redistribution.
"""

import logging
import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from minixception.datasets.cache import load_arrays, source_fingerprint, store_arrays
from minixception.datasets.face_dataset import FaceDataset, picture_digest
from minixception.datasets.pictures import check_image_form, log_dropped, named_contents, to_form
from minixception.datasets.splits import CONTENT_RULE, draw_splits
from minixception.files import content_checksum
from minixception.images import decode_image
from minixception.labels import GENDERS

_LOGGER = logging.getLogger(__name__)

UTKFACE_LICENCE = "non-commercial research, no redistribution"

ETHNICITIES = ("white", "black", "asian", "indian", "other")
"""Meaning of the ethnicity codes 0 to 4, as the authors of the set wrote them down."""

_LOADER_VERSION = 2
# age_gender_ethnicity_timestamp; in the file names gender 0 is a man and 1 a woman.
_FILE_NAME = re.compile(r"(\d{1,3})_([01])_([0-4])_\d+\.jpg(?:\.chip\.jpg)?")
_FILE_NAME_GENDERS = ("man", "woman")


@dataclass(frozen=True)
class _Face:
    """One readable file: RGB uint8 (height, width, 3), its hash and what its name says."""

    image: np.ndarray
    content: str
    age: int
    label: int
    ethnicity: int


def load_utkface(
    path: str | Path,
    *,
    split: str | None = None,
    seed: int = 0,
    split_rule: str = CONTENT_RULE,
    image_size: tuple[int, int] = (100, 100),
    use_cache: bool = True,
) -> FaceDataset:
    """Load the faces of UTKFace with their gender.

    The set comes without splits: a hash of its pixels puts each picture into "train", "validation"
    or "test", 80 : 10 : 10, see `content_split`. Identical pictures are kept once, and not at all
    when their names contradict each other about the gender. The whole 200x200 frame is kept, so
    that a crop can be chosen later.

    Args:
        path: A folder of `age_gender_ethnicity_timestamp.jpg.chip.jpg` files, searched with its
            sub-folders, or a tar archive of it (also compressed), which is read without unpacking.
        split: "train", "validation" or "test"; None gives all.
        seed: Seed of the split.
        split_rule: "content", or "drawn" for models of earlier versions.
        image_size: (height, width) to which the frame is resized.
        use_cache: Keep the decoded arrays in the cache folder and read them from there.

    Returns:
        A data set of images uint8 (N, height, width, 3) with classes `GENDERS`, sorted by file
        name; `attributes` hold "age" and "ethnicity", int64 (N,), the latter an index into
        `ETHNICITIES`, and "content", the hash of the whole frame. `dropped` counts malformed
        names, unreadable pictures, duplicates and contradictory genders.

    Raises:
        FileNotFoundError: There is nothing at `path`.
        ValueError: The archive is damaged, holds no face, or an option is not allowed.
    """
    path = Path(path)
    check_image_form(image_size, channels=3)
    if not (path.is_dir() or path.is_file()):  # a pipe would be waited for
        raise FileNotFoundError(
            f"There is nothing at {path}. Get UTKFace from https://susanqq.github.io/UTKFace/ and "
            "put it into datasets/utkface/."
        )
    fingerprint = source_fingerprint(
        path, loader="utkface", version=_LOADER_VERSION, options={"image_size": list(image_size)}
    )
    arrays = load_arrays(fingerprint) if use_cache else None
    if arrays is None:
        arrays = _read_arrays(path, image_size)
        if use_cache:
            store_arrays(fingerprint, arrays)
    dataset = draw_splits(_as_dataset(arrays), seed=seed, split_rule=split_rule)
    return dataset if split is None else dataset.split(split)


def _as_dataset(arrays: dict[str, np.ndarray]) -> FaceDataset:
    reasons, counts = arrays["dropped_reasons"], arrays["dropped_counts"]
    return FaceDataset(
        images=arrays["images"],
        labels=arrays["labels"],
        class_names=GENDERS,
        name="utkface",
        licence=UTKFACE_LICENCE,
        checksum=str(arrays["checksum"]),
        attributes={name: arrays[name] for name in ("age", "ethnicity", "content")},
        dropped={str(reason): int(count) for reason, count in zip(reasons, counts, strict=True)},
    )


def _read_arrays(path: Path, image_size: tuple[int, int]) -> dict[str, np.ndarray]:
    files = sorted((PurePosixPath(name).name, content) for name, content in named_contents(path))
    faces, dropped = _read_faces(files, image_size)
    if not faces:
        raise ValueError(
            f"{path} must hold pictures named age_gender_ethnicity_timestamp.jpg.chip.jpg. "
            f"Received: {len(files)} files, none of them such a picture"
        )
    return {
        "images": np.stack([face.image for face in faces]),
        "labels": np.array([face.label for face in faces], dtype=np.int64),
        "age": np.array([face.age for face in faces], dtype=np.int64),
        "ethnicity": np.array([face.ethnicity for face in faces], dtype=np.int64),
        "content": np.array([face.content for face in faces]),
        "checksum": np.array(content_checksum(files)),
        "dropped_reasons": np.array(list(dropped)),
        "dropped_counts": np.array(list(dropped.values())),
    }


def _read_faces(
    files: list[tuple[str, bytes]], image_size: tuple[int, int]
) -> tuple[list[_Face], dict[str, int]]:
    """Read all files; return what is kept, and the number of files left out by reason."""
    malformed, unreadable = [], []
    copies: dict[str, list[_Face]] = defaultdict(list)
    for name, content in files:
        match = _FILE_NAME.fullmatch(name)
        face = _read_face(match, content, image_size) if match else None
        if match is None:
            malformed.append(name)
        elif face is None:
            unreadable.append(name)
        else:
            copies[face.content].append(face)
    log_dropped(_LOGGER, "files with malformed names", malformed)
    log_dropped(_LOGGER, "unreadable pictures", unreadable)
    faces, dropped = _without_copies(list(copies.values()))
    counts = {"malformed name": len(malformed), "unreadable picture": len(unreadable), **dropped}
    return faces, counts


def _without_copies(groups: list[list[_Face]]) -> tuple[list[_Face], dict[str, int]]:
    """Keep the first face of each group of identical pictures that agree about the gender."""
    agreeing = [group for group in groups if len({face.label for face in group}) == 1]
    file_count = sum(map(len, groups))
    agreeing_count = sum(map(len, agreeing))
    dropped = {
        "duplicate": agreeing_count - len(agreeing),
        "contradictory gender": file_count - agreeing_count,
    }
    return [group[0] for group in agreeing], dropped


def _read_face(match: re.Match[str], content: bytes, image_size: tuple[int, int]) -> _Face | None:
    """Decode one file whose name matches `_FILE_NAME`; None when it is no complete picture."""
    age, gender, ethnicity = (int(group) for group in match.groups())
    try:
        image = decode_image(content, match.string)
    except ValueError:
        return None
    return _Face(
        image=to_form(image, image_size=image_size, channels=3),
        content=picture_digest(image),
        age=age,
        label=GENDERS.index(_FILE_NAME_GENDERS[gender]),
        ethnicity=ethnicity,
    )
