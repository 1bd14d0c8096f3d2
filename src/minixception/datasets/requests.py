"""What a caller asks for: a data set by name, a folder of pictures, or a loaded data set."""

import logging
from collections.abc import Iterable
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np

from minixception.datasets.face_dataset import FaceDataset, contents_of, split_names
from minixception.datasets.registry import (
    DATASETS,
    DatasetEntry,
    dataset_names,
    get_entry,
    load_dataset,
)
from minixception.messages import counted

_LOGGER = logging.getLogger(__name__)


def as_path(name: str, given: Any) -> Path | None:
    """Return the path that was given as the argument `name`; None stays.

    Raises:
        ValueError: it is no path, or empty: that would be the current folder.
    """
    if given is None:
        return None
    if not isinstance(given, str | PathLike) or not fspath(given):
        raise ValueError(f"`{name}` must be a path. Received: {given!r:.100}")
    return Path(given)


def as_paths(name: str, given: Any) -> tuple[Path, ...]:
    """Return the paths given as the argument `name`: one, several or None; see `as_path`."""
    several = isinstance(given, Iterable) and not isinstance(given, str | PathLike)
    paths = [as_path(name, each) for each in (given if several else [given])]
    return tuple(path for path in paths if path)


def name_and_place(
    dataset: str | Path | FaceDataset | None,
    data: str | Path | None,
    *,
    default: str,
    task: str | None = None,
    reading: str = "folder",
) -> tuple[str, Path | None]:
    """Return the name of what is asked for, and the path to read it from.

    `dataset` is a name, several joined by "+", a folder of class folders, or a loaded set; None
    takes the default. `data` is the file or folder of a named set; None takes its default place.
    `reading` is the name by which a folder is read that is given by its path.
    With a task, sets with labels of another one are refused, and the first that has such labels
    takes the place of a default that has none.
    """
    if isinstance(dataset, FaceDataset):
        if data is not None:
            raise ValueError(f"`data` is for a data set by its name. Received: {dataset.name}")
        return dataset.name, None
    known = tuple(DATASETS) if task is None else dataset_names(task)
    if dataset is None:
        dataset = default if set(default.split("+")) <= set(known) else known[0]
    is_path = isinstance(dataset, str | PathLike)
    name = fspath(dataset) if is_path else type(dataset).__name__
    if set(name.split("+")) <= set(known):
        return name, as_path("data", data)
    if data is None and is_path and name and name not in DATASETS and Path(name).is_dir():
        return reading, Path(name)
    purpose = "" if task is None else f" to train on {task}"
    raise ValueError(
        f"`dataset` must be one of these{purpose}: {', '.join(known)}; several of them joined by "
        "+; or a folder with a folder of pictures per class. `data` says where a named one is. "
        f"Received: {name}"
    )


def load_requested(
    dataset: str | Path | FaceDataset | None, name: str, path: Path | None, **form: Any
) -> tuple[DatasetEntry, FaceDataset]:
    """Return the data set that is asked for, and its entry: which split plays which part.

    `name` and `path` are what `name_and_place` returns for `dataset`; `form` is for `load_dataset`.
    The splits of a loaded set play the parts as in the set of its name, or the usual ones.
    """
    if not isinstance(dataset, FaceDataset):
        return get_entry(name), load_dataset(name, path, **form)
    entry = DATASETS.get(dataset.name)
    if entry is None or entry.training_split not in split_names(dataset):
        entry = DatasetEntry(load=lambda _: dataset, tasks=(), default_paths=())
    return entry, dataset


def parts_to_learn_from(
    dataset: FaceDataset, entry: DatasetEntry
) -> tuple[FaceDataset, FaceDataset]:
    """Return the faces to train on and to validate on.

    A class without any to train on gets a warning, and so do pictures that are in both.

    Raises:
        ValueError: one of the two splits has no face, or there are fewer than two classes.
    """
    names, found = dataset.class_names, split_names(dataset)
    if len(names) < 2:
        raise ValueError(
            f"{dataset.name} must have two classes or more, to be told apart. "
            f"Received: {', '.join(names) or 'none'}"
        )
    training_split, validation_split = entry.training_split, entry.validation_split
    if dataset.splits is not None and not {training_split, validation_split} <= set(found):
        sizes = ", ".join(f"{name} {len(dataset.split(name))}" for name in found)
        raise ValueError(
            f"{dataset.name} must have faces to train on, the split {training_split}, and others "
            f"to choose the best epoch on, {validation_split}: add pictures, or divide them by "
            f"hand. Received: {sizes or 'no face'}"
        )
    training, validation = dataset.split(training_split), dataset.split(validation_split)
    absent = [name for name, count in training.class_counts().items() if not count]
    if absent and training_split not in dataset.drawn_splits:  # or there is a warning already
        _LOGGER.warning(
            "%s: %s has no face of %s, so it cannot be learned. Are its classes called as in the "
            "other splits?",
            *(dataset.name, training_split, ", ".join(absent)),
        )
    if twins := np.isin(contents_of(validation), contents_of(training)).sum():
        _LOGGER.warning(
            "%s: %d of %s of %s are in %s too, which makes its scores too good.",
            *(dataset.name, twins, counted(len(validation), "face"), validation_split),
            training_split,
        )
    return training, validation


def describe_data(
    dataset: FaceDataset, training_split: str, validation_split: str
) -> dict[str, Any]:
    """Return plain data for the card of a model that is trained on a set."""
    parts = {name: dataset.split(name) for name in (training_split, validation_split)}
    return {
        "name": dataset.name,
        "checksum": dataset.checksum,
        "licence": dataset.licence,
        "split_rule": dataset.split_rule if dataset.drawn_splits else "source",
        "drawn_splits": list(dataset.drawn_splits),
        "sizes": {name: len(part) for name, part in parts.items()},
        "class_counts": parts[training_split].class_counts(),
        "dropped": dict(dataset.dropped),
    }
