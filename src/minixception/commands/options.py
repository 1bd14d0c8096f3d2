"""Options that several commands have: models, engine, detector."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minixception.checkpoints.shipped import DEFAULT_DETECTOR, DEFAULT_MODELS, TASKS

if TYPE_CHECKING:
    from minixception.detection.search import FaceDetector
    from minixception.inference.analyzer import FaceAnalyzer


# Longer side in pixels at which the frames of a film are searched, for the frame rate: a face then
# needs 48 of 720 pixels in HD, with YuNet 24 of 360.
FILM_SIZES = {"mini_xception": 640, "haar": 1280, "yunet": 640}

_HAAR_OPTIONS = ("scale_factor", "min_neighbors")  # they choose the cascade


def add_model_arguments(parser: argparse.ArgumentParser, *, engines: bool = True) -> None:
    """Declare which models run and, where there is a choice of engines, how."""
    add = parser.add_argument
    for task, model in DEFAULT_MODELS.items():
        add(
            f"--{task}-model",
            default=model,
            metavar="NAME_OR_FOLDER",
            help=f"shipped model or checkpoint folder; `none` leaves {task} out",
        )
    add(
        "--classifier",
        action="append",
        default=[],
        metavar="NAME_OR_FOLDER",
        help="another model, for the task that its card names; may be given several times",
    )
    if engines:
        add("--engine", choices=("litert", "keras"), default="litert", help="what runs the models")


def add_detector_arguments(parser: argparse.ArgumentParser, *, film: bool = False) -> None:
    """Declare how faces are found, in pictures or in the frames of a film."""
    add = parser.add_argument
    parser.set_defaults(searches_films=film)
    share = "2.5 %% of the shorter side"
    if film:
        share += ", 7 %% in HD"  # see `FILM_SIZES`
    add(
        "--detector",
        choices=FILM_SIZES,
        help="the network trained in this project (default); OpenCV's Haar cascade; "
        "or YuNet, whose file is downloaded once",
    )
    add(
        "--scale-factor",
        type=float,
        metavar="RATIO",
        help="Haar: one plain search of the whole picture, each window larger than the last by "
        "this factor; 1.3 as published (default: also a finer search for faces that fill it)",
    )
    add(
        "--min-neighbors",
        type=int,
        metavar="N",
        help="Haar: how many overlapping hits make a face (default: 5)",
    )
    add(
        "--min-face",
        type=int,
        metavar="PIXELS",
        help=f"side of the smallest face to find (default: {share}; the Haar cascade misses some "
        "below 36)",
    )
    add("--yunet", type=Path, metavar="FILE", help="find faces with this YuNet file (.onnx)")
    add(
        "--upright",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="turn faces upright before they are classified (default)",
    )
    add(
        "--trust-yunet",
        action="store_true",
        help="load the --yunet FILE even if it is not OpenCV Zoo's; a damaged one crashes OpenCV",
    )


def path_or_url(text: str) -> Path | str:
    """Return an argument as a path, or as it is where it is a URL."""
    return text if "://" in text else Path(text)


def add_cluster_argument(parser: argparse.ArgumentParser) -> None:
    """Declare where the work is done; see `cluster.sessions.connected`."""
    parser.add_argument(
        "--cluster",
        metavar="local|auto|HOST:PORT",
        help="do the work with Ray: on this machine, on the cluster that it belongs to, or on the "
        "cluster with this head; needs the extra `cluster`",
    )


def chosen_models(arguments: argparse.Namespace) -> dict[str, str]:
    """Return task -> name or folder of each model that the options ask for.

    Raises:
        FileNotFoundError, ValueError: if a `--classifier` is none, or of a task that has a model.
    """
    from minixception.checkpoints.card import read_card
    from minixception.checkpoints.shipped import find_model

    named = {task: getattr(arguments, f"{task}_model") for task in TASKS}
    models = {task: model for task, model in named.items() if model != "none"}
    for classifier in arguments.classifier:
        task = read_card(find_model(classifier)).task
        if task in TASKS:
            raise ValueError(f"{classifier} is a model of {task}: give it to --{task}-model")
        if task in models:
            raise ValueError(
                f"--classifier takes one model for each task. Received: {models[task]} and "
                f"{classifier}, both of {task}"
            )
        models[task] = classifier
    return models


def load_analyzer(arguments: argparse.Namespace) -> "FaceAnalyzer":
    """Load what the model and detector options ask for."""
    from minixception.inference.analyzer import FaceAnalyzer

    models = {**dict.fromkeys(TASKS), **chosen_models(arguments)}
    detector = make_detector(arguments)
    return FaceAnalyzer(
        detector=detector, engine=arguments.engine, upright=arguments.upright, **models
    )


def make_detector(arguments: argparse.Namespace) -> "FaceDetector":
    """Build the detector that the options ask for.

    Raises:
        ValueError: if an option is out of its range, or given for another detector.
    """
    from minixception.detection.registry import load_detector

    for_haar = any(getattr(arguments, option) is not None for option in _HAAR_OPTIONS)
    name = arguments.detector or ("haar" if for_haar else DEFAULT_DETECTOR)
    file = arguments.yunet
    if file is not None and arguments.detector not in (None, "yunet"):
        raise ValueError(f"--yunet is for the detector yunet: leave it out, or --detector {name}")
    if arguments.trust_yunet and file is None:
        raise ValueError("--trust-yunet is for a file of your own: it needs --yunet FILE")
    options: dict[str, Any] = {"min_face": arguments.min_face}
    if file is not None:
        name = "yunet"
        options |= {"model_path": file, "trust": arguments.trust_yunet}
    if arguments.searches_films:
        options["working_size"] = FILM_SIZES[name]
    for option in _HAAR_OPTIONS:
        if (value := getattr(arguments, option)) is None:
            continue
        if name != "haar":
            flag = option.replace("_", "-")
            raise ValueError(f"--{flag} is for the Haar cascade: leave it out, or --detector haar")
        options[option] = value
    return load_detector(name, **options)
