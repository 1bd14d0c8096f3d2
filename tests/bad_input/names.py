"""Names that are too long for a file system, or not ASCII, for what `media` does not name so."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from bad_input.models import h5_lambda, hdf5
from bad_input.place import (
    LONG,
    Arguments,
    Case,
    Place,
    content,
    converted,
    image_options,
    model,
    scored,
)

FOREIGN = "é顔"


def yunet(make: Callable[[Place], str]) -> Arguments:
    return lambda place: image_options("--no-draw", "--yunet", make(place))(place)


# What is given, its suffix, the command, what takes the name, what is said if it is not there.
INPUTS: tuple[tuple[str, str, str, Callable[..., Arguments], str], ...] = (
    ("CSV", ".csv", "evaluate", partial(scored, "fer2013"), "There is no file"),
    (
        "folder of classes",
        "",
        "evaluate",
        partial(scored, "folder"),
        "must be a folder of class folders. Received:",
    ),
    ("archive (.tar)", ".tar", "evaluate", partial(scored, "utkface", task="gender"), "nothing at"),
    (".mat", ".mat", "evaluate", partial(scored, "imdb", task="gender"), "There is no file"),
    ("checkpoint folder", "", "image", model, "neither a checkpoint folder nor a shipped"),
    (".keras", ".keras", "convert", converted, "does not exist"),
    (".hdf5", ".hdf5", "convert", converted, "does not exist"),
    ("YuNet file", ".onnx", "image", yunet, "No YuNet model at"),
)


def named(name: str) -> Callable[[Place], str]:
    return lambda _: name


NAMES = [
    Case(kind, given, command, arguments(named(name + suffix)), said)
    for kind, suffix, command, arguments, missing in INPUTS
    for given, name, said in (
        ("a name of 300 characters", LONG, "File name too long"),
        ("a name that is not there, not ASCII", FOREIGN, missing),
    )
]
NAMES += [
    Case(".hdf5", given, "convert", converted(make), said)
    for given, make, said in (
        ("missing", named("none.hdf5"), "none.hdf5 does not exist"),
        ("empty", content(b"", "a.hdf5"), "cannot be loaded as a Keras model"),
        ("a folder", named("folder"), "folder does not exist"),
        (
            "a Lambda layer, a name that is not ASCII",
            lambda place: str(Path(hdf5(h5_lambda)(place)).rename(f"{FOREIGN}.hdf5")),
            f"{FOREIGN}.hdf5",
        ),
    )
]
