"""What was named to the wrong command or option, and which one takes it."""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from minixception.commands import explain
from minixception.files import PICTURE_SUFFIXES

FILM_SUFFIXES = (
    *(".mp4", ".m4v", ".mov", ".mkv", ".avi", ".webm", ".mpg", ".mpeg", ".wmv", ".3gp", ".flv"),
)

# The command that takes such files -> their suffixes, and what to say to everybody else.
_KINDS = {
    "video": (FILM_SUFFIXES, "a film: minixception video {}"),
    "image": (PICTURE_SUFFIXES, "a picture: minixception image {}"),
    "convert": (
        (".hdf5", ".h5"),
        "a weight file: minixception convert {} --task emotion --output FOLDER makes a model of it",
    ),
    "export": (
        (".keras", ".tflite", ".onnx"),
        "a model's file: give its folder to --emotion-model, --gender-model or --classifier",
    ),
    "evaluate": (
        (".csv", ".mat"),
        "a table: minixception evaluate --data {} scores a model on a data set",
    ),
    "": ((".zip", ".tar", ".tgz", ".7z", ".rar"), "an archive: unpack it and name the folder"),
}
_PICTURE_COMMANDS = ("image", "explain")


def hint_for(path: Path, *, command: str) -> str | None:
    """Return what a path is and what takes it; None if that is `command`, or nobody knows."""
    with suppress(OSError):  # of a name that no file can have, or a folder that may not be read
        return _hint(path, command)
    return None


def _hint(path: Path, command: str) -> str | None:
    name = shlex.quote(str(path))
    if path.is_dir():
        if (path / "card.json").is_file():
            return f"a model: give {name} to --emotion-model, --gender-model or --classifier"
        return None if command in _PICTURE_COMMANDS else f"a folder: minixception image {name}"
    if not path.is_file() or (command == "video" and path.suffix.lower() == ".gif"):
        return None
    for owner, (suffixes, text) in _KINDS.items():
        if path.suffix.lower() in suffixes:
            is_right = owner == command or (owner == "image" and command in _PICTURE_COMMANDS)
            return None if is_right else text.format(name)
    return None


@contextmanager
def data_hints(dataset: str, path: Path | None, *, task: str, is_default: bool) -> Iterator[None]:
    """Add to an error of reading `--data` which `--dataset` reads such a path, if it is another.

    Args:
        dataset: that reads it now.
        path: what was given to `--data`.
        task: of the model.
        is_default: whether nobody has named the data set.
    """
    try:
        yield
    except (OSError, ValueError) as error:
        readers = _readers(path, task)
        if path is None or not readers or (dataset in readers and not is_default):
            raise
        if path.is_dir():
            hint = "For a folder with a folder of pictures per class, add --dataset folder."
        elif dataset not in readers:
            hint = f"A {path.suffix} file is read by --dataset {' or '.join(readers)}."
        else:
            raise
        raise ValueError(f"{explain(error).rstrip('.')}. {hint}") from error


def _readers(path: Path | None, task: str) -> list[str]:
    """Return the data sets that are kept in files of this suffix, or in folders."""
    from minixception.datasets.registry import DATASETS, dataset_names

    if path is None or not path.exists():
        return []
    suffix = "" if path.is_dir() else path.suffix
    return [
        name
        for name in dataset_names(task)
        if any(Path(place).suffix == suffix for place in DATASETS[name].default_paths)
    ]
