"""Where the shipped models are, and what a name or folder given for a model stands for."""

from os import PathLike
from pathlib import Path

from minixception.files import _CHECKOUT, _PACKAGE
from minixception.labels import check_task

DEFAULT_EMOTION_MODEL = "fer2013_mini_xception"

DEFAULT_GENDER_MODEL = "utkface_mini_xception"

DEFAULT_DETECTOR = "mini_xception"
"""Of the names in `detection.registry.DETECTORS`."""

ROLL_MODEL = "candidates_tiny_xception"
"""Of the task "roll": is this a face, and by how many degrees is it turned?"""

DEFAULT_MODELS = {"emotion": DEFAULT_EMOTION_MODEL, "gender": DEFAULT_GENDER_MODEL}

TASKS = tuple(DEFAULT_MODELS)
"""The tasks that have shipped models. Every table has their columns, also without a model."""

CLASSIFIER_TASKS = (*TASKS, "roll")
"""All tasks of shipped classifiers: the last one's helps to find faces, see `ROLL_MODEL`."""


def trained_models_folder() -> Path:
    """Return the folder of shipped models, with a folder per task such as `emotion_models/`."""
    installed = _PACKAGE / "trained_models"
    return installed if installed.is_dir() else _CHECKOUT / "trained_models"


def shipped_models(task: str) -> dict[str, Path]:
    """Return name -> checkpoint folder of the shipped models of a task."""
    folder = trained_models_folder() / f"{task}_models"
    return {card.parent.name: card.parent for card in sorted(folder.glob("*/card.json"))}


def find_model(
    name_or_folder: str | PathLike[str], *, tasks: tuple[str, ...] = CLASSIFIER_TASKS
) -> Path:
    """Return the checkpoint folder for a shipped model's name, or for a folder given as such.

    Args:
        name_or_folder: a folder, else the name of a shipped model.
        tasks: those whose shipped models are searched.

    Raises:
        FileNotFoundError: if it is neither; the message lists the shipped names.
        TypeError: if it is no path.
    """
    if not isinstance(name_or_folder, str | PathLike):
        raise TypeError(
            f"A model is given by its name or its folder. Received: {type(name_or_folder).__name__}"
        )
    folder = Path(name_or_folder)
    if folder.is_dir():
        return folder
    shipped = {name: path for task in tasks for name, path in shipped_models(task).items()}
    if str(folder) in shipped:
        return shipped[str(folder)]
    raise FileNotFoundError(
        f"{folder} is neither a checkpoint folder nor a shipped {' or '.join(tasks)} model "
        f"({', '.join(shipped) or 'there are none'}). For a model file: "
        "`minixception.make_checkpoint`"
    )


def check_new_task(name: str) -> None:
    """Raise ValueError for a task that `labels.check_task` refuses, or that is written `Emotion`.

    Such a model would stand beside those of emotion, in columns of its own.
    """
    check_task(name)
    if name not in CLASSIFIER_TASKS and name.lower() in CLASSIFIER_TASKS:
        raise ValueError(f"`task` must be {name.lower()}, or another word. Received: {name}")
