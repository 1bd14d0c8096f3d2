"""The data sets by name, for the command line: which loader, which split plays which part.

Names joined by "+" stand for several sets as one: `fer2013+ck_plus+jaffe`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from minixception.datasets.ck_plus import load_ck_plus
from minixception.datasets.face_dataset import (
    DEFAULT_FRACTIONS,
    FaceDataset,
    split_names,
    stratified_split,
)
from minixception.datasets.facial_expressions import load_facial_expressions
from minixception.datasets.fer2013 import load_fer2013
from minixception.datasets.ferplus import load_ferplus
from minixception.datasets.folders import load_class_folders
from minixception.datasets.imdb import load_imdb
from minixception.datasets.jaffe import load_jaffe
from minixception.datasets.kdef import load_kdef
from minixception.datasets.merging import merge_datasets
from minixception.datasets.split_index import has_split_index, read_split_index, split_per_class
from minixception.datasets.utkface import load_utkface
from minixception.paths import find_data

AS_PUBLISHED = "as published"
"""What the card of a converted weight file calls its data: the file does not tell."""


@dataclass(frozen=True)
class DatasetEntry:
    """How a command uses a data set.

    Attributes:
        load: from the path to all faces, with their splits.
        takes_form: whether `load` takes `image_size` and `channels`, the form of the faces.
        tasks: what its labels may stand for.
        default_paths: where the data is looked for inside `datasets/`, best first.
        training_split: faces to learn from.
        validation_split: faces that every choice is made on.
        test_split: faces that a finished model is scored on, once.
    """

    load: Callable[..., FaceDataset]
    tasks: tuple[str, ...]
    default_paths: tuple[str, ...]
    takes_form: bool = False
    training_split: str = "train"
    validation_split: str = "validation"
    test_split: str = "test"


def _load_ferplus(path: Path) -> FaceDataset:
    """Take the votes from beside the FER2013 file, else from `datasets/ferplus/`."""
    return load_ferplus(path, _ferplus_votes(path), labels="train-on-votes")


def _load_ferplus_public(path: Path) -> FaceDataset:
    """Take the majority labels of the PublicTest rows, 80 % of each class to train on.

    It stands in for the 3,191 pictures of report 000, which are not public: their counts per class
    are nearly those of this rule.
    """
    dataset = load_ferplus(path, _ferplus_votes(path), split="PublicTest", labels="majority")
    return replace(_with_validation(split_per_class(dataset)), name="ferplus_public")


def _ferplus_votes(fer2013_path: Path) -> Path:
    beside = fer2013_path.parent / "fer2013new.csv"
    return beside if beside.exists() else find_data("ferplus/fer2013new.csv")


def _load_folder(
    path: Path,
    *,
    image_size: tuple[int, int] = (48, 48),
    channels: int = 1,
    crop_faces: bool = False,
) -> FaceDataset:
    """Take the splits of its index or of its split folders; make those that are missing.

    Without any, the shares are 80, 10 and 10 % of each class; where only validation is missing, it
    is a tenth of `train`. Both are drawn with the seed 0.
    """
    load = read_split_index if has_split_index(path) else load_class_folders
    dataset = load(path, image_size=image_size, channels=channels, crop_faces=crop_faces)
    if dataset.splits is None:
        return split_per_class(dataset, fractions=DEFAULT_FRACTIONS)
    return dataset if "validation" in split_names(dataset) else _with_validation(dataset)


def _with_validation(dataset: FaceDataset) -> FaceDataset:
    """Make a tenth of each class of `train` the split `validation`."""
    assert dataset.splits is not None
    splits = dataset.splits.astype(np.dtype("<U10"))
    training = splits == "train"
    shares = {"train": 0.9, "validation": 0.1}
    splits[training] = stratified_split(dataset.labels[training], fractions=shares, seed=0)
    drawn = (*dataset.drawn_splits, *shares)
    return replace(dataset, splits=splits, drawn_splits=tuple(dict.fromkeys(drawn)))


_FER2013_FILES = ("fer2013/fer2013.csv", "fer2013/fer2013.csv.gz", "fer2013/icml_face_data.csv")

DATASETS: dict[str, DatasetEntry] = {
    "fer2013": DatasetEntry(
        load=load_fer2013,
        tasks=("emotion",),
        default_paths=_FER2013_FILES,
        training_split="Training",
        validation_split="PublicTest",
        test_split="PrivateTest",
    ),
    "ferplus": DatasetEntry(
        load=_load_ferplus,
        tasks=("emotion",),
        default_paths=_FER2013_FILES,
        training_split="Training",
        validation_split="PublicTest",
        test_split="PrivateTest",
    ),
    "ferplus_public": DatasetEntry(
        load=_load_ferplus_public, tasks=("emotion",), default_paths=_FER2013_FILES
    ),
    "utkface": DatasetEntry(
        load=load_utkface,
        tasks=("gender",),
        default_paths=(
            "utkface/crop_part1_adults",
            "utkface/crop_part1_adults.tar",
            "utkface/crop_part1",
            "utkface/crop_part1.tar.gz",
            "utkface",
        ),
    ),
    "imdb": DatasetEntry(
        load=load_imdb,
        tasks=("gender",),
        default_paths=("imdb_crop/imdb.mat", "imdb_crop"),
        takes_form=True,
    ),
    "facial_expressions": DatasetEntry(
        load=load_facial_expressions,
        tasks=("emotion",),
        default_paths=(
            "facial_expressions/facial_expressions.tar",
            "facial_expressions/facial_expressions_subset.tar",
            "facial_expressions",
        ),
        takes_form=True,
    ),
    "ck_plus": DatasetEntry(
        load=load_ck_plus,
        tasks=("emotion",),
        default_paths=("ck_plus/CK+48", "ck_plus"),
        takes_form=True,
    ),
    # The models are trained on faces cut out by the detector, so that is what they are given.
    "jaffe": DatasetEntry(
        load=partial(load_jaffe, crop_faces=True),
        tasks=("emotion",),
        default_paths=("jaffe", "jaffedbase"),
        takes_form=True,
    ),
    "kdef": DatasetEntry(
        load=partial(load_kdef, crop_faces=True),
        tasks=("emotion",),
        default_paths=("kdef",),
        takes_form=True,
    ),
    "folder": DatasetEntry(
        load=_load_folder,
        tasks=("emotion", "gender"),
        default_paths=("folder",),
        takes_form=True,
    ),
    "folder_faces": DatasetEntry(
        load=partial(_load_folder, crop_faces=True),
        tasks=("emotion", "gender"),
        default_paths=("folder",),
        takes_form=True,
    ),
}


def _merged_entry(names: Sequence[str]) -> DatasetEntry:
    """Return an entry for several data sets as one, each from its place in `datasets/`.

    Raises:
        ValueError: a name is unknown, or two of the sets show the same pictures.
    """
    entries = {name: get_entry(name) for name in names}
    if len({entry.default_paths for entry in entries.values()}) < len(names):
        raise ValueError(
            "Sets to be joined must have no pictures in common, which would be learned from and "
            f"scored on. Received: {'+'.join(names)}"
        )

    def load(path: Path | None, **form: Any) -> FaceDataset:
        if path is not None:
            raise ValueError(
                "Each of several data sets is read from its place in datasets/: leave the path "
                f"out. Received: {path}"
            )
        parts = {name: load_dataset(name, **form) for name in names}
        return merge_datasets(parts, **form)

    first, *others = (entry.tasks for entry in entries.values())
    tasks = tuple(task for task in first if all(task in known for known in others))
    return DatasetEntry(load=load, tasks=tasks, default_paths=(), takes_form=True)


def dataset_names(task: str) -> tuple[str, ...]:
    """Return the names of the data sets that are labelled for a task."""
    return tuple(name for name, entry in DATASETS.items() if task in entry.tasks)


def get_entry(name: str) -> DatasetEntry:
    """Look a data set up by name, or several by their names joined by "+".

    Raises:
        ValueError: for an unknown name; the message lists the known ones.
    """
    if "+" in name:
        return _merged_entry(name.split("+"))
    if name not in DATASETS:
        raise ValueError(f"`name` must be one of {', '.join(DATASETS)}. Received: name={name!r}")
    return DATASETS[name]


def default_dataset(task: str, trained_on: Mapping[str, Any]) -> str:
    """Return the data set that a model was trained on, the first of its task for a published one.

    Args:
        task: "emotion" or "gender".
        trained_on: entry `data` of the model's card.

    Raises:
        ValueError: the card names faces that have no place in `datasets/`.
    """
    name = _trained_dataset(trained_on)
    if name and task in get_entry(name).tasks:
        return name
    if trained_on.get("name", AS_PUBLISHED) == AS_PUBLISHED:
        return dataset_names(task)[0]
    raise ValueError(
        f"The model was trained on {trained_on['name']}, which is no data set with labels of "
        f"{task}. Name one with --dataset: {', '.join(dataset_names(task))}."
    )


def is_trained_on(name: str, dataset: FaceDataset, trained_on: Mapping[str, Any]) -> bool:
    """Tell whether a model was trained on this set, be it on these files of it or on others.

    Args:
        name: a key of `DATASETS`.
        dataset: what it loaded.
        trained_on: entry `data` of the model's card.
    """
    theirs = _trained_dataset(trained_on)
    # Two entries that look in the same place differ in how they read the same files.
    is_same_entry = not theirs or get_entry(theirs).default_paths == get_entry(name).default_paths
    return is_same_entry and trained_on.get("name") == dataset.name


def _trained_dataset(trained_on: Mapping[str, Any]) -> str:
    """Return the key of `DATASETS`, "" where the card does not know it."""
    name = str(trained_on.get("dataset", trained_on.get("name")))  # older cards have only a name
    return name if all(part in DATASETS for part in name.split("+")) else ""


def require_same_files(
    name: str,
    dataset: FaceDataset,
    *,
    splits: Sequence[str],
    model: str,
    trained_on: Mapping[str, Any],
) -> None:
    """Refuse to score a model on splits that may hold the faces that it learned from.

    Args:
        name: a key of `DATASETS`.
        dataset: what it loaded.
        splits: what is to be scored.
        model: name of the model.
        trained_on: entry `data` of the model's card.

    Raises:
        ValueError: if the model was trained on this set, alone or with others, these splits are
            drawn from all its files, and the files are others.
    """
    # A model of several sets has the checksums of all of them.
    are_other_files = dataset.checksum not in str(trained_on.get("checksum"))
    theirs = _trained_dataset(trained_on)
    is_one_of_theirs = "+" in theirs and name in theirs.split("+")
    has_seen = is_one_of_theirs or is_trained_on(name, dataset, trained_on)
    if has_seen and are_other_files and set(splits) & set(dataset.drawn_splits):
        raise ValueError(
            f"{model} was trained on other files of {dataset.name} (its card says "
            f"{trained_on.get('checksum')}). The splits are drawn from all files, so that its "
            "training faces may be among those to be tested. Give the files that it was trained "
            f"on; datasets/README.md says which. Received: {dataset.checksum}"
        )


def load_dataset(
    name: str,
    path: Path | None = None,
    *,
    image_size: tuple[int, int] | None = None,
    channels: int | None = None,
) -> FaceDataset:
    """Load a data set by name, from `path` or from its place in `datasets/`.

    Args:
        name: a key of `DATASETS`, or several joined by "+".
        path: its file or folder; None for several sets.
        image_size: (height, width) that a network takes. Sets of pictures of any size are read in
            this size, others in their own.
        channels: likewise, 1 (grey) or 3 (RGB).

    Raises:
        ValueError: for an unknown name, or a file that does not hold what it should.
        FileNotFoundError: if the file or folder is missing.
    """
    entry = get_entry(name)
    form = {"image_size": image_size, "channels": channels} if entry.takes_form else {}
    return entry.load(
        find_data(*entry.default_paths) if path is None and entry.default_paths else path,
        **{option: value for option, value in form.items() if value is not None},
    )
