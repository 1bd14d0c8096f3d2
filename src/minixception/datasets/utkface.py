"""UTKFace: aligned and cropped 200x200 faces whose file names hold age, gender and ethnicity.

Source: https://susanqq.github.io/UTKFace/ (Zhang, Song, Qi 2017, arXiv 1702.08423). Licence:
non-commercial research, no redistribution.
"""

import re
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np

from minixception.datasets.cache import cached_dataset
from minixception.datasets.face_dataset import FaceDataset
from minixception.datasets.pictures import (
    PictureForm,
    count_dropped,
    named_contents,
    read_pictures,
)
from minixception.datasets.splits import CONTENT_RULE, draw_splits
from minixception.files import content_checksum
from minixception.images import decode_image
from minixception.labels import GENDERS

UTKFACE_LICENCE = "non-commercial research, no redistribution"

ETHNICITIES = ("white", "black", "asian", "indian", "other")
"""Meaning of the ethnicity codes 0 to 4, as the authors of the set wrote them down."""

_LOADER_VERSION = 3
# age_gender_ethnicity_timestamp; in the file names gender 0 is a man and 1 a woman.
_FILE_NAME = re.compile(r"(\d{1,3})_([01])_([0-4])_\d+\.jpg(?:\.chip\.jpg)?")
_FILE_NAME_GENDERS = ("man", "woman")


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
    form = PictureForm(image_size, channels=3)
    path = Path(path)
    if not (path.is_dir() or path.is_file()):  # a pipe would be waited for
        raise FileNotFoundError(
            f"There is nothing at {path}. Get UTKFace from https://susanqq.github.io/UTKFace/ and "
            "put it into datasets/utkface/."
        )
    dataset = cached_dataset(
        path,
        lambda: _read(path, form),
        loader="utkface",
        version=_LOADER_VERSION,
        options={"image_size": list(image_size)},
        use_cache=use_cache,
    )
    dataset = draw_splits(dataset, seed=seed, split_rule=split_rule)
    return dataset if split is None else dataset.split(split)


def _read(path: Path, form: PictureForm) -> FaceDataset:
    files = sorted((PurePosixPath(name).name, content) for name, content in named_contents(path))
    named = [(match, content) for name, content in files if (match := _FILE_NAME.fullmatch(name))]
    malformed = [name for name, _ in files if not _FILE_NAME.fullmatch(name)]
    pictures = read_pictures(
        [(match.string, partial(decode_image, content, match.string)) for match, content in named],
        form,
    )
    facts = np.array([match.groups() for match, _ in named], dtype=np.int64).reshape(-1, 3)
    age, gender, ethnicity = facts[pictures.is_kept].T
    labels = np.array([GENDERS.index(name) for name in _FILE_NAME_GENDERS], dtype=np.int64)[gender]
    rows, dropped = _without_copies(pictures.contents, labels)
    if not len(rows):
        raise ValueError(
            f"{path} must hold pictures named age_gender_ethnicity_timestamp.jpg.chip.jpg. "
            f"Received: {len(files)} files, none of them such a picture"
        )
    malformed_count = count_dropped({"malformed name": malformed}, "files")
    content = pictures.contents[rows]
    return FaceDataset(
        images=pictures.images[rows],
        labels=labels[rows],
        class_names=GENDERS,
        name="utkface",
        licence=UTKFACE_LICENCE,
        checksum=content_checksum(files),
        attributes={"age": age[rows], "ethnicity": ethnicity[rows], "content": content},
        dropped={**malformed_count, **pictures.dropped, **dropped},
    )


def _without_copies(contents: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, dict[str, int]]:
    """Return the first row of each picture whose copies agree about the gender, and the losses."""
    _, first_rows, pictures = np.unique(contents, return_index=True, return_inverse=True)
    copies, label_sums = np.bincount(pictures), np.bincount(pictures, weights=labels)
    agrees = (label_sums == 0) | (label_sums == copies)
    dropped = {
        "duplicate": int((copies[agrees] - 1).sum()),
        "contradictory gender": int(copies[~agrees].sum()),
    }
    return np.sort(first_rows[agrees]), dropped
