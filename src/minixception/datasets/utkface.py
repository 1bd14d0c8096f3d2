"""UTKFace: aligned and cropped 200x200 faces whose file names hold age, gender and ethnicity.

Source: https://susanqq.github.io/UTKFace/ (Zhang, Song, Qi 2017, arXiv 1702.08423). Licence:
non-commercial research, no redistribution.
"""

import hashlib
import io
import logging
import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from minixception.datasets.cache import load_arrays, source_fingerprint, store_arrays
from minixception.datasets.checksums import content_checksum
from minixception.datasets.face_dataset import DEFAULT_FRACTIONS, FaceDataset, stratified_split
from minixception.datasets.pictures import check_image_form, log_dropped, to_form
from minixception.datasets.sources import named_contents
from minixception.labels import GENDERS

_LOGGER = logging.getLogger(__name__)

UTKFACE_LICENCE = "non-commercial research, no redistribution"

ETHNICITIES = ("white", "black", "asian", "indian", "other")
"""Meaning of the ethnicity codes 0 to 4, as the authors of the set wrote them down."""

_LOADER_VERSION = 1
# age_gender_ethnicity_timestamp; in the file names gender 0 is a man and 1 a woman.
_FILE_NAME = re.compile(r"(\d{1,3})_([01])_([0-4])_\d+\.jpg(?:\.chip\.jpg)?")
_FILE_NAME_GENDERS = ("man", "woman")


@dataclass(frozen=True)
class _Face:
    """One readable file: RGB uint8 (height, width, 3), its content hash and what its name says."""

    image: np.ndarray
    digest: bytes
    age: int
    label: int
    ethnicity: int


def load_utkface(
    path: str | Path,
    *,
    split: str | None = None,
    seed: int = 0,
    image_size: tuple[int, int] = (100, 100),
    use_cache: bool = True,
) -> FaceDataset:
    """Load the faces of UTKFace with their gender.

    The set comes without splits, so 80 % of each gender are drawn for "train", 10 % for
    "validation" and 10 % for "test". Identical pictures are kept once, lest one face be on both
    sides, and not at all when their names contradict each other about the gender. The whole
    200x200 frame is kept, so that a crop can be chosen later.

    Args:
        path: A folder of `age_gender_ethnicity_timestamp.jpg.chip.jpg` files, searched with its
            sub-folders, or a tar archive of it (also compressed), which is read without unpacking.
        split: "train", "validation" or "test"; None gives all.
        seed: Seed of the split.
        image_size: (height, width) to which the frame is resized.
        use_cache: Keep the decoded arrays in the cache folder and read them from there.

    Returns:
        A data set of images uint8 (N, height, width, 3) with classes `GENDERS`, sorted by file
        name; `attributes` hold "age" and "ethnicity", int64 (N,), the latter an index into
        `ETHNICITIES`. `dropped` counts malformed names, unreadable pictures, duplicates
        and contradictory genders.

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
    dataset = _as_dataset(arrays, seed)
    return dataset if split is None else dataset.split(split)


def _as_dataset(arrays: dict[str, np.ndarray], seed: int) -> FaceDataset:
    reasons, counts = arrays["dropped_reasons"], arrays["dropped_counts"]
    return FaceDataset(
        images=arrays["images"],
        labels=arrays["labels"],
        class_names=GENDERS,
        name="utkface",
        licence=UTKFACE_LICENCE,
        checksum=str(arrays["checksum"]),
        splits=stratified_split(arrays["labels"], fractions=DEFAULT_FRACTIONS, seed=seed),
        drawn_splits=tuple(DEFAULT_FRACTIONS),
        attributes={"age": arrays["age"], "ethnicity": arrays["ethnicity"]},
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
        "checksum": np.array(content_checksum(files)),
        "dropped_reasons": np.array(list(dropped)),
        "dropped_counts": np.array(list(dropped.values())),
    }


def _read_faces(
    files: list[tuple[str, bytes]], image_size: tuple[int, int]
) -> tuple[list[_Face], dict[str, int]]:
    """Read all files; return what is kept, and the number of files left out by reason."""
    malformed, unreadable = [], []
    copies: dict[bytes, list[_Face]] = defaultdict(list)
    for name, content in files:
        match = _FILE_NAME.fullmatch(name)
        face = _read_face(match, content, image_size) if match else None
        if match is None:
            malformed.append(name)
        elif face is None:
            unreadable.append(name)
        else:
            copies[face.digest].append(face)
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
    """Decode one file whose name matches `_FILE_NAME`; None when it is no complete JPEG."""
    age, gender, ethnicity = (int(group) for group in match.groups())
    try:
        with Image.open(io.BytesIO(content), formats=("JPEG",)) as picture:
            image = np.array(picture.convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    return _Face(
        image=to_form(image, image_size=image_size, channels=3),
        digest=hashlib.blake2b(image.tobytes(), digest_size=16).digest(),
        age=age,
        label=GENDERS.index(_FILE_NAME_GENDERS[gender]),
        ethnicity=ethnicity,
    )
