"""Train the face detector.

    python src/train_face_detector.py --data datasets/detection
    python src/train_face_detector.py --data datasets/detection --resume

It composes scenes from close-up photographs, a tenth of which is held out to choose the best epoch.
The data folder holds photographs.tar, photographs.csv, backgrounds.tar and backgrounds.csv.
"""

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from minixception.commands.outputs import check_folder
from minixception.commands.training_options import add_devices_argument
from minixception.messages import counted

if TYPE_CHECKING:
    from minixception.detection.labelled_pictures import SceneSources
    from minixception.detector_training.trainer import DetectorRecipe, DetectorRun


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add = parser.add_argument
    add("--data", type=Path, required=True, help="folder of the labelled pictures")
    text = "photographs to leave out by name, so that they can serve as a test"
    add("--leave-out", type=Path, metavar="ARCHIVE_OR_FOLDER", help=text)
    for name, kind, text in (
        ("epochs", int, "how often the run is validated and saved"),
        ("steps", int, "batches in an epoch"),
        ("learning-rate", float, "peak of the learning rate"),
        ("replicas", int, "copies of the network that divide each step among them"),
    ):
        add(f"--{name}", type=kind, help=f"{text} (default: the recipe's)")
    add("--initial-weights", type=Path, metavar="FOLDER", help="detector to start from")
    add_devices_argument(parser)
    add("--seed", type=int, default=0, help="seed of weights and scenes")
    add("--output", type=Path, default=Path("runs/mini_xception_detector"), help="folder to write")
    add("--resume", action="store_true", help="continue the run in the folder")


def run(arguments: argparse.Namespace) -> int:
    """Load, build, train, export; return the exit code."""
    from minixception.datasets.pictures import picture_names
    from minixception.detection.labelled_pictures import read_sources
    from minixception.training.runs import best_epoch, check_run_folder

    if not 0 <= arguments.seed < 2**32:  # what NumPy takes
        raise ValueError(f"--seed must be from 0 to {2**32 - 1}. Received: {arguments.seed}")
    check_folder(arguments.output, "--output")
    check_run_folder(arguments.output, resume=arguments.resume)

    from minixception.detector_training.export import finish_detector
    from minixception.detector_training.trainer import MONITOR, DetectorRecipe, train_detector
    from minixception.training.acceleration import choose_devices

    settings = ("epochs", "steps", "learning_rate", "replicas")
    given = {name: getattr(arguments, name) for name in settings}
    recipe = DetectorRecipe(**{name: value for name, value in given.items() if value is not None})
    choose_devices(arguments.devices, recipe.replicas)
    names = () if arguments.leave_out is None else picture_names(arguments.leave_out)
    training, validation = (
        read_sources(arguments.data, held_out=held_out, leave_out=names)
        for held_out in (False, True)
    )
    print(
        f"{counted(len(training.photographs), 'photograph')} and "
        f"{counted(len(training.backgrounds), 'background')} to train on, "
        f"{len(validation.photographs)} and {len(validation.backgrounds)} held out"
    )
    detector_run = _prepare_run(arguments, recipe, training, validation)
    history = train_detector(detector_run, resume=arguments.resume)
    best = best_epoch(history, MONITOR)
    print(
        f"Kept epoch {best + 1} of {len(history)}, average precision "
        f"{history[best][MONITOR]:.4f}.\nWritten to {arguments.output}"
    )
    difference = finish_detector(arguments.output, validation)
    print(f"Exported for LiteRT; largest difference of a score or place {difference:.1e}")
    return 0


def _prepare_run(
    arguments: argparse.Namespace,
    recipe: "DetectorRecipe",
    training: "SceneSources",
    validation: "SceneSources",
) -> "DetectorRun":
    """Seed, build the network, and record its origin in a card."""
    from dataclasses import asdict

    import keras

    from minixception.checkpoints.versions import recorded_versions
    from minixception.detection.card import DetectorCard
    from minixception.detector_training.export import load_detector_model
    from minixception.detector_training.trainer import DetectorRun
    from minixception.files import file_checksum
    from minixception.models.detector import DETECTOR_NAME, STRIDES, build_detector
    from minixception.training.acceleration import divide_cores

    divide_cores(recipe.replicas)
    keras.utils.set_random_seed(arguments.seed)
    start = arguments.initial_weights  # perhaps of an earlier version, with other widths
    model = build_detector() if start is None else load_detector_model(start)
    card = DetectorCard(
        name=arguments.output.resolve().name,
        architecture=DETECTOR_NAME,
        parameters=model.count_params(),
        strides=STRIDES,
        score_threshold=0.5,
        data={
            "photographs": file_checksum(arguments.data / "photographs.tar"),
            "backgrounds": file_checksum(arguments.data / "backgrounds.tar"),
            "left out": None if arguments.leave_out is None else arguments.leave_out.name,
            "initial weights": start and str(start),
            "sizes": {
                "training": [len(training.photographs), len(training.backgrounds)],
                "held out": [len(validation.photographs), len(validation.backgrounds)],
            },
        },
        recipe=asdict(recipe),
        seed=arguments.seed,
        command=shlex.join(arguments.command_line),
        versions=recorded_versions(),
    )
    return DetectorRun(
        model=model,
        training=training,
        validation=validation,
        recipe=recipe,
        seed=arguments.seed,
        folder=arguments.output,
        card=card,
        devices=arguments.devices,
    )
