"""The data sets by name, for the command line: which loader, which split plays which part.

Names joined by "+" stand for several sets as one: `fer2013+ck_plus+jaffe`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

from minixception.datasets.candidates import load_candidates
from minixception.datasets.face_dataset import FaceDataset, split_names
from minixception.datasets.facial_expressions import load_facial_expressions
from minixception.datasets.fer2013 import load_fer2013
from minixception.datasets.ferplus import load_ferplus
from minixception.datasets.folders import load_class_folders
from minixception.datasets.imdb import load_imdb
from minixception.datasets.merging import merge_datasets
from minixception.datasets.posed import load_ck_plus, load_jaffe, load_kdef
from minixception.datasets.split_index import has_split_index, read_split_index
from minixception.datasets.splits import CONTENT_RULE, DRAWN_RULE, draw_splits, draw_validation
from minixception.datasets.utkface import load_utkface
from minixception.files import find_data, is_special_file

AS_PUBLISHED = "as published"
"""What the card of a converted weight file calls its data, which the file does not name."""


@dataclass(frozen=True)
class DatasetEntry:
    """How a command uses a data set.

    Attributes:
        load: from the path to all faces, with their splits.
        tasks: what its labels may stand for; None for class folders, which may be of any task.
        default_paths: where to search in `datasets/`, best first.
        form: what `load` takes as keywords: `image_size` and `channels` of the faces, and the
            `crop_margin` with which it cuts them out of pictures.
        is_divided: whether its splits are drawn here.
        drawn_from: which split of the other sets in these files it is a part of, "" for none.
        training_split: faces to learn from.
        validation_split: faces to make choices on.
        test_split: faces to score a finished model on, once.
    """

    load: Callable[..., FaceDataset]
    tasks: tuple[str, ...] | None
    default_paths: tuple[str, ...]
    form: tuple[str, ...] = ()
    is_divided: bool = False
    drawn_from: str = ""
    training_split: str = "train"
    validation_split: str = "validation"
    test_split: str = "test"

    def may_label(self, task: str) -> bool:
        """Return whether its labels may be of a task."""
        return self.tasks is None or task in self.tasks


def _load_ferplus_public(path: Path) -> FaceDataset:
    """Take the majority labels of the PublicTest rows: 80 % to train on, a tenth of it to validate.

    This stands in for the 3,191 pictures of report 000, which are not public but have nearly the
    same counts per class.
    """
    dataset = replace(_load_ferplus(path).split("PublicTest"), name="ferplus_public")
    return draw_splits(dataset, fractions={"train": 0.72, "validation": 0.08, "test": 0.2})


def _load_ferplus(path: Path, **options: Any) -> FaceDataset:
    """Take the votes from next to the FER2013 file, or else from `datasets/ferplus/`."""
    beside = path.parent / "fer2013new.csv"
    votes = beside if beside.exists() else find_data("ferplus/fer2013new.csv")
    return load_ferplus(path, votes, **options)


def _load_folder(path: Path, **form: Any) -> FaceDataset:
    """Take the splits of the index or of split folders, and draw those that are missing."""
    load = read_split_index if has_split_index(path) else load_class_folders
    dataset = load(path, **form)
    names = split_names(dataset)
    if not names:
        return draw_splits(dataset)
    is_whole = "validation" in names or "train" not in names
    return dataset if is_whole else draw_validation(dataset)


_FER2013_FILES = ("fer2013/fer2013.csv", "fer2013/fer2013.csv.gz", "fer2013/icml_face_data.csv")
_EMOTION, _GENDER = ("emotion",), ("gender",)
_FORM = ("image_size", "channels")
_FORM_OF_CROPS = (*_FORM, "crop_margin")

_fer2013 = partial(
    DatasetEntry,
    tasks=_EMOTION,
    default_paths=_FER2013_FILES,
    training_split="Training",
    validation_split="PublicTest",
    test_split="PrivateTest",
)
_divided = partial(DatasetEntry, is_divided=True)
_pictures = partial(_divided, form=_FORM)
_photographs = partial(_divided, form=_FORM_OF_CROPS)

DATASETS: dict[str, DatasetEntry] = {
    "fer2013": _fer2013(load_fer2013),
    "ferplus": _fer2013(partial(_load_ferplus, labels="train-on-votes")),
    "ferplus_public": _divided(
        _load_ferplus_public, _EMOTION, _FER2013_FILES, drawn_from="PublicTest"
    ),
    "utkface": _divided(
        load_utkface,
        _GENDER,
        (
            *("utkface/crop_part1_adults", "utkface/crop_part1_adults.tar"),
            *("utkface/crop_part1", "utkface/crop_part1.tar.gz", "utkface"),
        ),
    ),
    "imdb": _pictures(load_imdb, _GENDER, ("imdb_crop/imdb.mat", "imdb_crop")),
    "facial_expressions": _photographs(
        load_facial_expressions,
        _EMOTION,
        ("facial_expressions/facial_expressions.tar", "facial_expressions"),
    ),
    "ck_plus": _pictures(load_ck_plus, _EMOTION, ("ck_plus/CK+48", "ck_plus/CK+48.tar", "ck_plus")),
    # The models are trained on faces cut out by the detector, so that is what they are given.
    "jaffe": _photographs(
        partial(load_jaffe, crop_faces=True), _EMOTION, ("jaffe", "jaffedbase", "jaffe.tar")
    ),
    "kdef": _photographs(partial(load_kdef, crop_faces=True), _EMOTION, ("kdef", "kdef.tar")),
    "candidates": DatasetEntry(load_candidates, ("roll",), ("detection",), _FORM),
    "folder": _pictures(_load_folder, None, ("folder",)),
    "folder_faces": _photographs(partial(_load_folder, crop_faces=True), None, ("folder",)),
}


FOLDER_READINGS = {"folder": "taken whole", "folder_faces": "cut to the largest face"}
"""The names of class folders -> what is done with their pictures."""


def _merged_entry(names: Sequence[str]) -> DatasetEntry:
    """Return an entry for several data sets as one, each from its default place."""
    entries = {name: get_entry(name) for name in names}
    if len({entry.default_paths for entry in entries.values()}) < len(names):
        raise ValueError(
            "Sets to be joined must have no pictures in common: these could be both trained and "
            f"scored on. Received: {'+'.join(names)}"
        )

    def load(path: Path | None, crop_margin: float = 0.0, **form: Any) -> FaceDataset:
        if path is not None:
            raise ValueError(
                "Each of several data sets is read from its place in datasets/: leave the path "
                f"out. Received: {path}"
            )
        parts = {name: load_dataset(name, crop_margin=crop_margin, **form) for name in names}
        return merge_datasets(parts, **form)

    labelled = [set(entry.tasks) for entry in entries.values() if entry.tasks is not None]
    tasks = tuple(sorted(set.intersection(*labelled))) if labelled else None
    return DatasetEntry(load, tasks, default_paths=(), form=_FORM_OF_CROPS)


def dataset_names(task: str) -> tuple[str, ...]:
    """Return the names of the data sets that are, or may be, labelled for a task."""
    return tuple(name for name, entry in DATASETS.items() if entry.may_label(task))


def get_entry(name: str) -> DatasetEntry:
    """Look a data set up by name, or several by their names joined by "+"."""
    if "+" in name:
        return _merged_entry(name.split("+"))
    if name not in DATASETS:
        raise ValueError(f"`name` must be one of {', '.join(DATASETS)}. Received: name={name!r}")
    return DATASETS[name]


def default_dataset(task: str, trained_on: Mapping[str, Any]) -> str:
    """Return the data set that a model was trained on; for a published model, the task's first.

    `trained_on` is the entry `data` of the model's card, here and in the functions below.

    Raises:
        ValueError: the card names faces that are not in `DATASETS`.
    """
    name = _trained_dataset(trained_on)
    if name and get_entry(name).may_label(task):
        return name
    if trained_on.get("name", AS_PUBLISHED) == AS_PUBLISHED:
        return dataset_names(task)[0]
    raise ValueError(
        f"The model was trained on {trained_on['name']}, which is not a data set with labels of "
        f"{task}. Name one with `dataset`: {', '.join(dataset_names(task))}."
    )


def folder_reading(trained_on: Mapping[str, Any]) -> str | None:
    """Return as which of `FOLDER_READINGS` the faces of a model were read; None for other sets."""
    name = _trained_dataset(trained_on)
    return name if name in FOLDER_READINGS else None


def is_trained_on(name: str, dataset: FaceDataset, trained_on: Mapping[str, Any]) -> bool:
    """Return whether a model was trained on this set, on these files of it or on others.

    `name` is a key of `DATASETS`, and `dataset` what it loaded.
    """
    theirs = _trained_dataset(trained_on)
    # Entries with the same paths read the same files in different ways.
    places, ours = ([each.default_paths for each in _entries(names)] for names in (theirs, name))
    return (not theirs or places == ours) and trained_on.get("name") == dataset.name


def _entries(names: str) -> list[DatasetEntry]:
    """Return the entries of joined names; a set that the caller has loaded has none."""
    return [DATASETS[name] for name in names.split("+") if name in DATASETS]


def _trained_dataset(trained_on: Mapping[str, Any]) -> str:
    """Return the key of `DATASETS`, "" where the card does not know it."""
    name = str(trained_on.get("dataset", trained_on.get("name")))  # older cards have only a name
    return name if all(part in DATASETS for part in name.split("+")) else ""


def may_share(
    name: str, dataset: FaceDataset, splits: Sequence[str], trained_on: Mapping[str, Any]
) -> bool:
    """Return whether splits of a set may hold pictures that a model's own splits divide.

    That is so for drawn splits of its set, also in other readings of the files, such as cut to the
    face; and for a split of the source that its set is a part of. `name` is what loaded the set,
    not necessarily a key of `DATASETS`.
    """
    every = product(_entries(name), _entries(_trained_dataset(trained_on)))
    pairs = [(one, other) for one, other in every if one.default_paths == other.default_paths]
    if any(other.drawn_from in splits for _, other in pairs):
        return True
    is_divided_too = any(one.is_divided and other.is_divided for one, other in pairs)
    is_same = is_divided_too or is_trained_on(name, dataset, trained_on)
    return is_same and not set(splits).isdisjoint(dataset.drawn_splits)


def refuse_unknown(
    name: str,
    dataset: FaceDataset,
    *,
    splits: Sequence[str],
    model: str,
    trained_on: Mapping[str, Any],
) -> None:
    """Refuse to score a model that keeps no hashes of its faces where these may be scored on.

    Raises:
        ValueError: these splits and the model's may divide the same pictures, and not by the rule
            "content", by which a picture is always in the same split; cards of earlier versions
            name none.
    """
    if not may_share(name, dataset, splits, trained_on):
        return
    is_alike = set(trained_on.get("drawn_splits", ())) == set(dataset.drawn_splits)
    if trained_on.get("split_rule") == dataset.split_rule == CONTENT_RULE and is_alike:
        return
    raise ValueError(
        f"{model} was trained on {trained_on.get('name')} in splits that are not those drawn now "
        f"(its card says split rule {trained_on.get('split_rule', DRAWN_RULE)!r}), so its training "
        "faces may be among the test faces. Train it again, or give faces that it has not seen, in "
        f"a folder `test` of class folders. Received: {dataset.name} {', '.join(splits)}"
    )


def load_dataset(
    name: str,
    path: Path | None = None,
    *,
    image_size: tuple[int, int] | None = None,
    channels: int | None = None,
    crop_margin: float = 0.0,
) -> FaceDataset:
    """Load a data set, or several by names joined by "+", from `path` or its place in `datasets/`.

    `image_size` (height, width) and `channels` are the form that a network takes; sets with
    pictures of one size come in their own. `crop_margin` is for faces that are cut out of
    pictures here, see `boxes.as_margin`.

    Raises:
        ValueError: The name is unknown, or the path does not hold what it should.
        FileNotFoundError: The file or folder is missing.
    """
    entry = get_entry(name)
    if path is not None and is_special_file(path):
        raise ValueError(f"{path} is a pipe or device; copy it into a file first")
    if path is None and entry.default_paths:
        path = find_data(*entry.default_paths)
    given = {"image_size": image_size, "channels": channels, "crop_margin": crop_margin}
    form = {name: given[name] for name in entry.form if given[name] is not None}
    return entry.load(path, **form)
