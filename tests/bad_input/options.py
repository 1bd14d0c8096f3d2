"""Options that cannot be followed, files that may not be touched, and names of no file."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from bad_input.data_sets import FACE_NAME, archive, imdb, mat, utkface
from bad_input.models import h5_lambda, hdf5
from bad_input.place import (
    LONG,
    Arguments,
    Case,
    Place,
    clip,
    content,
    converted,
    explained,
    exported,
    film,
    film_options,
    image_options,
    model,
    picture,
    reported,
    scored,
    table,
    training,
)


def options(command: str, wrap: Callable[..., Arguments], *cases: tuple[str, ...]) -> list[Case]:
    """Each of the cases is the options, and then what is said about them."""
    return [
        Case(
            f"options of {command}",
            " ".join(given),
            command,
            wrap(*given),
            said,
            code=2 if said.startswith(("invalid", "the following", "an argument")) else 1,
        )
        for *given, said in cases
    ]


INT8 = ("--format", "litert-int8", "--output", "a.tflite")
OPTIONS = [
    *options(
        "image",
        image_options,
        ("--output", "out.pdf", "--output must be a folder; one named like a file"),
        ("--output", "a.jpg", "--output must be another file"),
        ("--output", "a.jpg/b.png", "a.jpg is in the way"),
        ("--no-draw", "--csv", "folder", "--csv must name a file"),
        ("--no-draw", "--csv", "faces.xlsx", "--csv must be a file ending in .csv"),
        ("--no-draw", "--csv", "-", "--json", "-", "--csv must be another file"),
        ("--no-draw", "--csv", "-", "--resume", "--resume continues tables in files"),
        ("--no-draw", "--output", "b.png", "--output does not go with --no-draw"),
        ("--no-draw", "--csv", "pipe", "a pipe or device"),
        ("--no-draw", "--resume", "--resume continues tables in files"),
        ("--whole-picture", "--min-face", "20", "--min-face does not go with --whole-picture"),
        ("--workers", "0", "--workers must be 1 or more"),
        ("--engine", "torch", "invalid choice"),
        ("--engine", "keras", "--workers", "2", "does not go with --engine keras"),
        ("--scale-factor", "1", "`scale_factor` must lie between"),
        ("--scale-factor", "nan", "`scale_factor` must lie between"),
        ("--min-neighbors", "-1", "`min_neighbors` must be at least 0"),
        ("--min-face", "0", "`min_face` must be at least 1"),
        ("--yunet", "none.onnx", "No YuNet model at 'none.onnx'"),
        ("--yunet", "a.jpg", "its SHA-256 is another"),
        ("--yunet", "none.onnx", "--min-neighbors", "3", "does not go with the detector yunet"),
        ("--emotion-model", "none.tflite", "neither a checkpoint folder"),
    ),
    *options(
        "video",
        film_options,
        ("--output", "a.gif", "--output must be a file ending in .mp4"),
        ("--plot", "a.svg", "must be a file ending in"),
        ("--output", "clip.avi", "must be another file than the video"),
        ("b.mp4", "one video at a time"),
        ("--plot", "a.png", "--emotion-model", "none", "needs an --emotion-model"),
        ("--smoothing", "nan", "must be 0 or more, and finite"),
        ("--lost-after", "-1", "must be 0 or more, and finite"),
        ("--detect-every", "0", "--detect-every must be 1 or more"),
        ("--explain", "emotion", "--explain draws into the video: it needs --output"),
        (
            *("--explain", "gender", "--output", "a.avi", "--gender-model", "none"),
            "--explain gender needs a model of that task",
        ),
    ),
    *options(
        "evaluate",
        lambda *given: scored("fer2013", table, *given),
        ("--split", "test", "`split` must be one of"),
        ("--dataset", "cifar", "`dataset` must be one of"),
        ("--dataset", "utkface", "a whole tar archive"),
        ("--dataset", "folder", "must be a folder of class folders. Received: faces.csv"),
        ("--output", "a.png", "--output must be a file ending in .json"),
        ("--output", "folder", "--output must name a file"),
        ("--without-twins", "PublicTest has no face left to score"),
    ),
    *options(
        "train-emotion",
        training,
        ("--recipe", "fast", "`recipe` must be one of"),
        ("--dataset", "utkface", "to train on emotion"),
        ("--dataset", "cifar", "`dataset` must be one of"),
        ("--network", "resnet", "The network must be one of"),
        ("--data", "folder", "the data set is `folder`"),
        ("--epochs", "0", "`epochs` must be at least 1"),
        ("--epochs", "many", "invalid int value"),
        ("--learning-rate", "nan", "`learning_rate` must be above 0"),
        ("--optimizer", "sgd", "--weight-decay", "0.1", "goes with the optimizer adamw"),
        ("--image-size", "100000", "at most 2048 each"),
        ("--network", "mini_xception", "--image-size", "4", "at least 5 pixels"),
        ("--classes", "happy", "must have two classes or more, to be told apart. Received: happy"),
        ("--classes", "happy,bored", "neutral. Received: bored"),
        ("--seed", "-1", "`seed` must be a whole number"),
        ("--output", "faces.csv", "--output must be a folder"),
        ("--output=", "an argument is empty"),
        ("--crop-margin", "nan", "`margin` must be a fraction"),
        ("--backbone-weights", "b.h5", "goes with `network` facenet"),
        (
            *("--network", "facenet", "--channels", "3", "--image-size", "32"),
            *("--backbone-weights", "b.h5", "must be a file"),
        ),
        ("--network", "lenet5_rgb", "`lenet5_rgb` takes 3 channels"),
        ("--teacher", "folder", "folder is not a checkpoint"),
        ("--teacher-share", "0.5", "name one as `teachers`"),
        ("--recipe", "patient", "name one as `teachers`"),
        ("--dataset", "fer2013+ferplus", "no pictures in common"),
        ("--teacher-share", "2", "must be at least 0 and at most 1"),
        ("--resume", "folder", "are two folders"),
    ),
    *options(
        "export",
        exported,
        ("--format", "litert", "--output", "a.onnx", "must be a file ending in .tflite"),
        ("--format", "litert", "--output", "a.tflite", "--data", "b", "leave it out"),
        ("--output", "a.h5", "must be a file ending in .tflite or .onnx"),
        ("--output", "a.tflite", "--batch-size", "0", "--batch-size must lie between"),
        (*INT8, "--batch-size", "1", "is for --format litert and onnx"),
        (*INT8, "--data", "x.csv", "There is no file x.csv"),
    ),
    *options(
        "convert",
        lambda *given: converted(hdf5(str)) if not given else lambda p: [hdf5(str)(p), *given],
        ("--task", "emotion", "the following arguments are required: --output"),
        ("--task", "emotion", "--output", "model.hdf5", "--output must be a folder"),
        ("--task", "gender", "--output", "b", "--crop-margin", "nan", "`margin` must be"),
    ),
    *options(
        "explain",
        explained,
        ("--class", "joy", "--class must be one of angry"),
        ("--output", "a.jpg", "--output must be a folder"),
    ),
    *options(
        "compare",
        lambda *given: lambda _: list(given),
        ("folder", "--output", "runs.svg", "must be a file ending in .png or"),
        ("folder", "folder is not a checkpoint"),
    ),
    *options(
        "report-limits",
        reported,
        ("--output", "page.html", "must be a file ending in .md"),
        ("--seed", "-1", "--seed must not be negative"),
    ),
]

FORBIDDEN = [
    Case(kind, "no permission", command, arguments, f"{named}: Permission denied", forbidden=path)
    for kind, command, path, named, arguments in (
        ("picture", "image", "b.jpg", "b.jpg", picture(lambda p: p.write("b.jpg", p.picture))),
        ("picture folder", "image", "folder", "folder", picture(lambda _: "folder")),
        ("video", "video", "clip.avi", "clip.avi", film(clip)),
        ("CSV", "evaluate", "faces.csv", "faces.csv", scored("fer2013", table)),
        ("archive (.tar)", "evaluate", "faces.tar", "faces.tar", archive(FACE_NAME, b"")),
        (".mat", "evaluate", "imdb/imdb.mat", "imdb.mat", mat()),
        (
            "folder of classes",
            "evaluate",
            "folder",
            "folder/classes.txt",
            scored("folder", lambda _: "folder"),
        ),
        ("checkpoint folder", "image", "model/card.json", "card.json", model(Place.checkpoint)),
        (".tflite", "image", "model/model.tflite", "model.tflite", model(Place.checkpoint)),
        (".hdf5", "convert", "model.hdf5", "model.hdf5", converted(hdf5(str))),
        ("YuNet file", "image", "a.jpg", "a.jpg", image_options("--yunet", "a.jpg")),
        ("output folder", "image", "folder", "folder", image_options("--output", "folder")),
        (
            "table",
            "image",
            "folder",
            "folder/a.csv",
            image_options("--no-draw", "--csv", "folder/a.csv"),
        ),
        ("run", "train-emotion", "folder", "folder/run", training("--output", "folder/run")),
    )
]

# Names too long for a file system, or not ASCII, for what `media` does not name so.
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
    ("archive (.tar)", ".tar", "evaluate", utkface, "nothing at"),
    (".mat", ".mat", "evaluate", imdb, "There is nothing at"),
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
