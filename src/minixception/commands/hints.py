"""Files given to the wrong command or option, and which one takes them."""

import shlex
from pathlib import Path

from minixception.files import PICTURE_SUFFIXES

NOTHING_DECODED = "no frame of it can be decoded; it may be damaged, or its frames too large"
FILM_SUFFIXES = (
    *(".mp4", ".m4v", ".mov", ".mkv", ".avi", ".webm", ".mpg", ".mpeg", ".wmv", ".3gp", ".flv"),
    *(".ts", ".m2ts", ".mts", ".vob", ".dv", ".mxf", ".ogv", ".asf", ".m1v", ".m2v"),
)

# The command that takes such files -> their suffixes, and what any other command says of them.
_KINDS = {
    "video": (FILM_SUFFIXES, "a video: minixception video {}"),
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
        "a table: minixception evaluate --model NAME --data {} scores a model on it",
    ),
    "unpack": (
        (".zip", ".tar", ".tgz", ".7z", ".rar"),
        "an archive: unpack it and name the folder",
    ),
}
_PICTURE_COMMANDS = ("image", "explain")


def hint_for(path: Path, *, command: str) -> str | None:
    """Return what a path is and what takes it; None if `command` does, or if that is unknown."""
    try:
        is_folder, is_file = path.is_dir(), path.is_file()
        is_model = (path / "card.json").is_file()
    except OSError:  # an impossible name, or a folder without permission
        return None
    name, suffix = shlex.quote(str(path)), path.suffix.lower()
    if is_model:
        return f"a model: give {name} to --emotion-model, --gender-model or --classifier"
    if is_folder and command not in _PICTURE_COMMANDS:
        videos = f"; its videos: minixception video {name} --cluster local --csv FOLDER"
        return f"a folder: minixception image {name}" + videos * (command == "video")
    if not is_file or (command == "video" and suffix == ".gif"):
        return None
    for owner, (suffixes, text) in _KINDS.items():
        if suffix in suffixes:
            is_right = owner == command or (owner == "image" and command in _PICTURE_COMMANDS)
            return None if is_right else text.format(name)
    return None


def failure_of(picture: Path | str, error: BaseException) -> str:
    """Return one line that names the picture, and says why it could not be done or what it is."""
    from minixception.inference import picture_files

    hint = hint_for(Path(picture), command="image")
    if hint is None:
        return picture_files.failure_of(picture, error)
    return f"{' '.join(str(picture).split())} is {hint}"
