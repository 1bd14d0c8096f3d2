"""What a caller asks for: a data set by name, a folder of pictures, or one already loaded."""

from pathlib import Path
from typing import Any

from minixception.datasets.face_dataset import FaceDataset, split_names
from minixception.datasets.registry import (
    DATASETS,
    DatasetEntry,
    dataset_names,
    get_entry,
    load_dataset,
)
from minixception.messages import explain


def name_and_place(
    dataset: str | Path | FaceDataset | None, data: str | Path | None, *, default: str
) -> tuple[str, Path | None]:
    """Return the name of what is asked for, and the path to read it from.

    `dataset` is a name, several joined by "+", a folder of class folders, or a loaded set; None
    takes the default. `data` is the file or folder of a named set; None takes its default place.
    """
    if isinstance(dataset, FaceDataset):
        if data is not None:
            raise ValueError(
                f"`data` is for a data set by its name; {dataset.name} is loaded already."
            )
        return dataset.name, None
    name = default if dataset is None else str(dataset)
    if set(name.split("+")) <= set(DATASETS):
        return name, None if data is None else Path(data)
    if data is None and Path(name).is_dir():
        return "folder", Path(name)
    raise ValueError(
        f"`dataset` must be one of {', '.join(DATASETS)}, several joined by +, or a folder with a "
        f"folder of pictures per class; `data` says where a named one is. Received: {name}"
    )


def name_and_place_for(
    task: str, dataset: str | Path | FaceDataset | None, data: str | Path | None, *, default: str
) -> tuple[str, Path | None]:
    """Return what `name_and_place` does, for a model of a task; refuse labels of another task.

    If the default has no labels for the task, the first data set that has takes its place.
    """
    known = dataset_names(task)
    is_fitting = set(default.split("+")) <= set(known)
    name, place = name_and_place(dataset, data, default=default if is_fitting else known[0])
    if not isinstance(dataset, FaceDataset) and not set(name.split("+")) <= set(known):
        raise ValueError(
            f"--dataset must be one of {', '.join(known)} to train on {task}, or some joined by +. "
            f"Received: {name}"
        )
    return name, place


def _entry_of(dataset: FaceDataset) -> DatasetEntry:
    """Return which splits of a loaded set play which part: those of its name, or the usual ones."""
    if dataset.splits is None:
        raise ValueError(
            f"{dataset.name} has no splits to train and to validate on: "
            "`minixception.datasets.draw_splits` draws them."
        )
    entry = DATASETS.get(dataset.name)
    if entry is not None and entry.training_split in split_names(dataset):
        return entry
    return DatasetEntry(load=lambda _: dataset, tasks=(), default_paths=())


def load_requested(
    dataset: str | Path | FaceDataset | None,
    name: str,
    path: Path | None,
    *,
    task: str,
    **form: Any,
) -> tuple[DatasetEntry, FaceDataset]:
    """Return the data set that is asked for, and its entry: which split plays which part.

    `name` and `path` are what `name_and_place` returns for `dataset`; `task` is that of the model.
    If the path cannot be read, the error also says which option reads such a path.
    """
    if isinstance(dataset, FaceDataset):
        return _entry_of(dataset), dataset
    try:
        return get_entry(name), load_dataset(name, path, **form)
    except (OSError, ValueError) as error:
        readers = _readers(path, task)
        if path is None or not readers or (name in readers and dataset is not None):
            raise
        if path.is_dir():
            hint = "For a folder with a folder of pictures per class, add --dataset folder."
        elif name not in readers:
            hint = f"A {path.suffix} file is read by --dataset {' or '.join(readers)}."
        else:
            raise
        raise ValueError(f"{explain(error).rstrip('.')}. {hint}") from error


def _readers(path: Path | None, task: str) -> list[str]:
    """Return the data sets that come as files with this suffix, or as folders."""
    if path is None or not path.exists():
        return []
    suffix = "" if path.is_dir() else path.suffix
    return [
        name
        for name in dataset_names(task)
        if any(Path(place).suffix == suffix for place in DATASETS[name].default_paths)
    ]


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
