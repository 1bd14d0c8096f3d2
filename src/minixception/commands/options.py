"""Options that several commands have: models, engine, detector; and what depends on them."""

import argparse
import json
from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minixception.checkpoints.shipped import (
    DEFAULT_DETECTOR,
    DEFAULT_MODELS,
    ROLL_MODEL,
    TASKS,
    find_model,
)

if TYPE_CHECKING:
    from minixception.detection.search import FaceDetector
    from minixception.inference.analyzer import FaceAnalyzer


# Longer side in pixels at which the frames of a film are searched, for the frame rate: a face then
# needs 48 of 720 pixels in HD, with YuNet 24 of 360.
FILM_SIZES = {"mini_xception": 640, "haar": 1280, "yunet": 640}

_HAAR_OPTIONS = ("scale_factor", "min_neighbors")  # they choose the cascade

# Options about where results go and how fast; all others may change rows.
_WITHOUT_EFFECT = {
    *("pictures", "output", "no_draw", "bars", "json", "csv", "jsonl", "parquet", "resume"),
    *("film", "input", "plot", "no_window", "workers", "quiet", "verbose", "trust_yunet"),
    *("searches_films", "command_line", "parser", "standard_output", "cluster"),
}


def add_model_arguments(parser: argparse.ArgumentParser, *, engines: bool = True) -> None:
    """Declare which models run and, where there is a choice of engines, how."""
    add = parser.add_argument
    for task, model in DEFAULT_MODELS.items():
        text = f"shipped model or checkpoint folder; `none` leaves {task} out"
        add(f"--{task}-model", default=model, metavar="NAME_OR_FOLDER", help=text)
    text = "another model, for the task that its card names; may be given several times"
    add("--classifier", action="append", default=[], metavar="NAME_OR_FOLDER", help=text)
    if engines:
        add("--engine", choices=("litert", "keras"), default="litert", help="what runs the models")


def add_detector_arguments(parser: argparse.ArgumentParser, *, film: bool = False) -> None:
    """Declare how faces are found, in pictures or in the frames of a film."""
    add = parser.add_argument
    parser.set_defaults(searches_films=film)
    add(
        "--detector",
        choices=FILM_SIZES,
        help="the network trained in this project (default); OpenCV's Haar cascade; "
        "or YuNet, whose file is downloaded once",
    )
    scale = (
        "Haar: one plain search of the whole picture, each window larger than the last by this "
        "factor; 1.3 as published (default: also a finer search for faces that fill it)"
    )
    share = "2.5 %% of the shorter side" + ", 7 %% in HD" * film  # see `FILM_SIZES`
    beside = "a fifth of a close face beside it, with mini_xception"
    smallest = f"default: {share}, and {beside}; the Haar cascade misses some below 36"
    for name, kind, unit, text in (
        ("scale-factor", float, "RATIO", scale),
        ("min-neighbors", int, "N", "Haar: how many overlapping hits make a face (default: 5)"),
        ("min-face", int, "PIXELS", f"side of the smallest face to find ({smallest})"),
    ):
        add(f"--{name}", type=kind, metavar=unit, help=text)
    add("--yunet", type=Path, metavar="FILE", help="find faces with this YuNet file (.onnx)")
    text = "turn faces upright before they are classified"
    add("--upright", action=argparse.BooleanOptionalAction, default=True, help=text)
    text = "load the --yunet FILE even if it is not OpenCV Zoo's; a damaged one crashes OpenCV"
    add("--trust-yunet", action="store_true", help=text)


def path_or_url(text: str) -> Path | str:
    """Return an argument as a path, or as it is where it is a URL."""
    return text if "://" in text else Path(text)


def add_cluster_argument(parser: argparse.ArgumentParser) -> None:
    """Declare where the work is done; see `cluster.sessions.connected`."""
    text = (
        "do the work with Ray: on this machine, on the cluster that it belongs to, or on the "
        "cluster with this head; needs the extra `cluster`"
    )
    parser.add_argument("--cluster", metavar="local|auto|HOST:PORT", help=text)


def refuse_together(arguments: argparse.Namespace, names: Iterable[str], other: str) -> None:
    """Raise ValueError for the first of these options that is given, since another one is, too."""
    for name in names:
        if getattr(arguments, name) not in (None, False):
            raise ValueError(f"--{name.replace('_', '-')} does not go with {other}: leave one out")


def chosen_models(arguments: argparse.Namespace) -> dict[str, str]:
    """Return task -> name or folder of each model that the options ask for."""
    from minixception.checkpoints.card import read_card

    named = {task: getattr(arguments, f"{task}_model") for task in TASKS}
    models = {task: model for task, model in named.items() if model != "none"}
    for classifier in arguments.classifier:
        task = read_card(find_model(classifier)).task
        if task in models:
            raise ValueError(f"--classifier {classifier}: {task} has a model, {models[task]}")
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
    """Build the detector that the options ask for; refuse options for another one."""
    from minixception.detection.registry import load_detector

    file = arguments.yunet
    given = {option: getattr(arguments, option) for option in _HAAR_OPTIONS}
    for_haar = {option: value for option, value in given.items() if value is not None}
    name = arguments.detector or ("yunet" if file else "haar" if for_haar else DEFAULT_DETECTOR)
    if name != "yunet":
        refuse_together(arguments, ("yunet", "trust_yunet"), f"the detector {name}")
    if name != "haar":
        refuse_together(arguments, _HAAR_OPTIONS, f"the detector {name}")
    options: dict[str, Any] = {"min_face": arguments.min_face, **for_haar}
    if file is not None:
        options |= {"model_path": file, "trust": arguments.trust_yunet}
    if arguments.searches_films:
        options["working_size"] = FILM_SIZES[name]
    return load_detector(name, **options)


def describe_rows(arguments: argparse.Namespace, analyzer: "FaceAnalyzer") -> dict[str, str]:
    """Return option -> its value; for a model, its name and a checksum of what is used of it."""
    from minixception.detection.network_detector import MiniXceptionDetector
    from minixception.files import file_checksum

    named = {*(f"{task}_model" for task in TASKS), "classifier", "yunet"}
    models = {f"--{task}-model": "none" for task in TASKS}
    for task, name in chosen_models(arguments).items():
        option = f"--{task}-model" if task in TASKS else f"--classifier {task}"
        models[option] = _describe_model(find_model(name, tasks=(task,)))
    options = {
        f"--{name.replace('_', '-')}": str(value)
        for name, value in vars(arguments).items()
        if name not in _WITHOUT_EFFECT | named
    }
    if arguments.yunet is not None:
        options["--yunet"] = f"{arguments.yunet.name} {file_checksum(arguments.yunet)}"
    if analyzer.checker is not None:
        options["--upright"] = _describe_model(find_model(ROLL_MODEL))
    if isinstance(analyzer.detector, MiniXceptionDetector):
        folders = analyzer.detector.file.parent, find_model(ROLL_MODEL)
        options["--detector"] = ", ".join(map(_describe_model, folders))
    return {**models, **options}


def _describe_model(folder: Path) -> str:
    from minixception.checkpoints.card import KERAS_FILE, LITERT_FILE, Remarks, read_json_card
    from minixception.files import content_checksum

    card, remarks = read_json_card(folder, dict), [one.name for one in fields(Remarks)]
    used = {key: value for key, value in card.items() if key not in remarks}
    files = [folder / file for file in (LITERT_FILE, KERAS_FILE) if (folder / file).is_file()]
    contents = [(file.name, file.read_bytes()) for file in files]
    contents.append(("card", json.dumps(used, sort_keys=True).encode()))
    return f"{card['name']} {content_checksum(contents)}"


def check_job(
    place: Path | str, holds: str, then: Mapping[str, str], now: Mapping[str, str], *, resume: bool
) -> None:
    """Refuse to continue the job of a file or folder without --resume, or with other options."""
    if not resume:
        raise FileExistsError(
            f"{place} holds {holds}: add --resume to continue it, or delete {place} to start again"
        )
    # An option left at its default reads None, as does one that was not recorded then.
    changed = [name for name in {**then, **now} if str(then.get(name)) != str(now.get(name))]
    if changed:
        raise ValueError(
            f"{place} was started with other options: "
            + "; ".join(f"{name} was {then.get(name)}, now {now.get(name)}" for name in changed)
            + f". Give the same options to continue it, or delete {place} to start again."
        )
