"""What the two training commands share: options, and the way from them to a training run."""

import argparse
import platform
import shlex
import shutil
import subprocess
import sys
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minixception.commands.hints import data_hints
from minixception.commands.outputs import check_folder
from minixception.commands.recipe_options import (
    add_recipe_arguments,
    check_backbone,
    dataset_of,
    load_backbone,
    preprocessor_of,
    print_recipes,
)
from minixception.commands.resuming import describe_start, options_of_run
from minixception.commands.teaching import (
    add_teaching_arguments,
    begin_with,
    check_origins,
    check_teaching,
    choose_origin,
    describe_teaching,
    load_teachers,
)
from minixception.files import checkout_root, find_data
from minixception.training.recipe_book import get_recipe
from minixception.training.recipes import MONITORS, OPTIMIZERS, PRECISIONS, Augmentation, Recipe

if TYPE_CHECKING:
    from minixception.datasets import FaceDataset
    from minixception.datasets.registry import DatasetEntry
    from minixception.training.trainer import TrainingRun

# That a backbone's batch normalization is measured on.
STATISTICS_FACES = 256

RECORDED_LIBRARIES = ("keras", "tensorflow", "numpy", "opencv-python")


def add_training_arguments(
    parser: argparse.ArgumentParser, *, recipe: str, dataset: str, paper: str = "paper"
) -> None:
    """Declare the options.

    Args:
        parser: of the command.
        recipe: the task's default.
        dataset: likewise.
        paper: the recipe that `--recipe paper` stands for.
    """
    add_recipe_arguments(parser, recipe=recipe, dataset=dataset, paper=paper)
    for name, kind, text in (
        ("epochs", int, "passes over the training set"),
        ("batch-size", int, "images per step"),
        ("replicas", int, "copies of the network that share a step and the cores"),
        ("learning-rate", float, "peak or first learning rate"),
        ("label-smoothing", float, "share of the target spread over all classes"),
        ("mixup", float, "mix images and targets in pairs, parameter of the Beta distribution"),
        ("weight-decay", float, "decay of kernels, with adamw"),
        ("ema-momentum", float, "momentum of the averaged weights"),
        ("early-stopping-patience", int, "epochs without improvement before training ends"),
    ):
        parser.add_argument(f"--{name}", type=kind, help=f"{text} (default: the recipe's)")
    parser.add_argument(
        "--image-size", type=int, metavar="PIXELS", help="input side (default: the recipe's)"
    )
    parser.add_argument(
        "--crop-margin",
        type=float,
        metavar="FRACTION",
        help="how far crops reach beyond the box of a detected face, as a fraction of it, negative "
        "to cut some off (default: the recipe's); it is stored with the model",
    )
    parser.add_argument("--precision", choices=PRECISIONS, help="default: the recipe's")
    parser.add_argument("--optimizer", choices=OPTIMIZERS, help="default: the recipe's")
    parser.add_argument("--monitor", choices=MONITORS, help="what is best (default: the recipe's)")
    parser.add_argument(
        "--no-augmentation", action="store_true", help="train on the images as they are"
    )
    parser.add_argument("--seed", type=int, default=0, help="of weights, order and augmentation")
    parser.add_argument(
        "--output", type=Path, help="folder to write (default: runs/DATASET_MODEL_RECIPE)"
    )
    parser.add_argument(
        "--resume",
        nargs="?",
        const=True,
        default=False,
        type=Path,
        metavar="FOLDER",
        help="go on with the run in this folder, or in that of --output, with the options that it "
        "was begun with; more --epochs prolong one whose learning rate is constant",
    )
    parser.add_argument(
        "--keep-improvements",
        action="store_true",
        default=None,
        help="keep a model file per improvement, with epoch and accuracy in its name, whatever the "
        "recipe says",
    )
    add_teaching_arguments(parser)


def chosen_recipe(arguments: argparse.Namespace) -> Recipe:
    """Return the named recipe with the changes that the options ask for.

    Raises:
        ValueError: for an unknown recipe, or an option out of its range.
    """
    side = arguments.image_size
    return get_recipe(arguments.recipe).with_changes(
        {
            "epochs": arguments.epochs,
            "batch_size": arguments.batch_size,
            "replicas": arguments.replicas,
            "learning_rate": arguments.learning_rate,
            "label_smoothing": arguments.label_smoothing,
            "mixup": arguments.mixup,
            "weight_decay": arguments.weight_decay,
            "ema_momentum": arguments.ema_momentum,
            "early_stopping_patience": arguments.early_stopping_patience,
            "teacher_share": arguments.teacher_share,
            "crop_margin": arguments.crop_margin,
            "keep_improvements": arguments.keep_improvements,
            "precision": arguments.precision,
            "optimizer": arguments.optimizer,
            "monitor": arguments.monitor,
            "network": arguments.model,
            "frozen_blocks": arguments.frozen_blocks,
            "classes": arguments.classes,
            "channels": arguments.channels,
            "image_size": None if side is None else (side, side),
            "augmentation": Augmentation() if arguments.no_augmentation else None,
        }
    )


def run_training(arguments: argparse.Namespace, *, task: str) -> int:
    """Load, build, train, export; return the exit code."""
    if arguments.recipe == "list":
        print_recipes()
        return 0
    arguments = options_of_run(arguments)
    recipe = chosen_recipe(arguments)
    recipe = replace(recipe, dataset=dataset_of(arguments, recipe, task=task))
    check_options(arguments, recipe)
    is_default = arguments.dataset is None
    with data_hints(recipe.dataset, arguments.data, task=task, is_default=is_default):
        entry, dataset = _load_data(arguments.data, recipe)

    from minixception.training.runs import best_epoch
    from minixception.training.trainer import train

    run = _prepare_run(arguments, task, recipe, entry, dataset)
    verbose = 0 if arguments.quiet else 1 if sys.stdout.isatty() else 2
    history = train(run, resume=bool(arguments.resume), verbose=verbose)
    best = best_epoch([row[recipe.monitor] for row in history], recipe.monitor)
    kept = history[best]
    print(
        f"Kept epoch {best + 1} of {len(history)}, the best by {recipe.monitor}: "
        f"{entry.validation_split} accuracy {kept['val_accuracy']:.4f}.\nWritten to {run.folder}"
    )
    _export(run)
    return 0


def check_options(arguments: argparse.Namespace, recipe: Recipe) -> None:
    """Refuse before the data is loaded what would fail after it.

    Raises:
        ValueError: a number is out of its range, the network is unknown or does not take the
            input, or options contradict each other.
        FileNotFoundError: a model or file that is named is missing.
        FileExistsError: the folder holds a run that is not to go on.
        OSError: the folder to write is a file, or cannot be written to.
    """
    from minixception.boxes import CropMargin
    from minixception.preprocessor import Preprocessor
    from minixception.training.runs import refuse_used_folder

    if not 0 <= arguments.seed < 2**32:  # what NumPy takes
        raise ValueError(f"--seed must be from 0 to {2**32 - 1}. Received: {arguments.seed}")
    if arguments.output is not None:
        check_folder(arguments.output, "--output")
    if arguments.output is not None and not arguments.resume:
        refuse_used_folder(arguments.output)
    CropMargin.from_json(recipe.crop_margin)
    Preprocessor(image_size=recipe.image_size)
    check_teaching(arguments, needs_teacher=recipe.needs_teacher)

    from minixception import models

    models.check_input(recipe.network, (*recipe.image_size, recipe.channels))
    check_backbone(recipe.network, arguments.backbone_weights, recipe.frozen_blocks)


def _load_data(path: Path | None, recipe: Recipe) -> tuple["DatasetEntry", "FaceDataset"]:
    """Return the faces of the recipe's classes, in the form that its network takes.

    They keep their colours, which the preprocessor takes off later, where these are to be changed.
    """
    from minixception.datasets import select_classes
    from minixception.datasets.registry import get_entry, load_dataset

    channels = 3 if recipe.augmentation.changes_colour else recipe.channels
    dataset = load_dataset(recipe.dataset, path, image_size=recipe.image_size, channels=channels)
    if recipe.classes:
        dataset = select_classes(dataset, recipe.classes)
    return get_entry(recipe.dataset), dataset


def _prepare_run(
    arguments: argparse.Namespace,
    task: str,
    recipe: Recipe,
    entry: "DatasetEntry",
    dataset: "FaceDataset",
) -> "TrainingRun":
    """Seed, build the network, and say in a card where it will come from."""
    import keras

    from minixception import models
    from minixception.boxes import CropMargin
    from minixception.checkpoints.card import Card
    from minixception.training.acceleration import divide_cores
    from minixception.training.trainer import TrainingRun

    unseen = (entry.validation_split, entry.test_split)
    check_origins(arguments, recipe.dataset, dataset, splits=unseen)
    divide_cores(recipe.replicas)
    training = dataset.split(entry.training_split)
    validation = dataset.split(entry.validation_split)
    print(f"{dataset.name}: {len(training)} faces to train on, {len(validation)} to validate on")
    keras.utils.set_random_seed(arguments.seed)
    preprocessor = preprocessor_of(recipe, training)
    model = models.build(recipe.network, preprocessor.input_shape, len(dataset.class_names))
    arguments.initial_weights = choose_origin(
        arguments.initial_weights, recipe, task=task, faces=len(training)
    )
    some = training.images[:: max(1, len(training) // STATISTICS_FACES)][:STATISTICS_FACES]
    backbone = {}
    if arguments.backbone_weights or not arguments.initial_weights:
        backbone = load_backbone(model, arguments.backbone_weights, preprocessor(some))
    freeze_blocks = models.NETWORKS[recipe.network].freeze_blocks
    if freeze_blocks is not None and recipe.frozen_blocks is not None:
        freeze_blocks(model, recipe.frozen_blocks)
    if not arguments.goes_on:
        begin_with(model, arguments.initial_weights, dataset.class_names, preprocessor)
    folder = arguments.output or Path("runs", f"{dataset.name}_{model.name}_{recipe.name}")
    card = Card(
        name=folder.resolve().name,
        task=task,
        architecture=model.name,
        parameters=model.count_params(),
        class_names=dataset.class_names,
        preprocessor=preprocessor,
        crop_margin=CropMargin.from_json(recipe.crop_margin),
        data={"dataset": recipe.dataset}
        | _describe_data(dataset, training, validation, entry)
        | backbone,
        recipe=recipe.to_json(),
        seed=arguments.seed,
        command=shlex.join(arguments.command_line),
        versions=_versions(),
    )
    teachers = load_teachers(arguments.teacher, card)
    card = replace(card, data={**card.data, **describe_teaching(arguments, teachers)})
    return TrainingRun(
        model=model,
        training=training,
        validation=validation,
        preprocessor=preprocessor,
        recipe=recipe,
        seed=arguments.seed,
        folder=folder,
        make_card=lambda scores: card.with_metrics(entry.validation_split, scores.to_json()),
        teachers=teachers,
        origin={"initial weights": str(arguments.initial_weights), **backbone},
        start=describe_start(arguments, _data_path(arguments.data, entry)),
    )


def _data_path(path: Path | None, entry: "DatasetEntry") -> Path | None:
    """Return where the faces lie, None for several sets."""
    return path or (find_data(*entry.default_paths) if entry.default_paths else None)


def _export(run: "TrainingRun") -> None:
    import keras

    from minixception.checkpoints.export import export_litert

    if keras.backend.backend() != "tensorflow":
        print("No model.tflite: Keras writes it with the TensorFlow backend only.")
        return
    difference = export_litert(run.folder, images=run.preprocessor(run.validation.images[:64]))
    print(f"Exported for LiteRT; largest difference of a probability {difference:.1e}")


def _describe_data(
    dataset: "FaceDataset",
    training: "FaceDataset",
    validation: "FaceDataset",
    entry: "DatasetEntry",
) -> dict[str, Any]:
    return {
        "name": dataset.name,
        "checksum": dataset.checksum,
        "licence": dataset.licence,
        "split_rule": dataset.split_rule if dataset.drawn_splits else "source",
        "drawn_splits": list(dataset.drawn_splits),
        "sizes": {
            entry.training_split: len(training),
            entry.validation_split: len(validation),
        },
        "class_counts": training.class_counts(),
        "dropped": dict(dataset.dropped),
    }


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for library in RECORDED_LIBRARIES:
        try:
            versions[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            continue  # an optional backend, or an installation without metadata
    commit = checkout_commit()
    return versions if commit is None else {**versions, "commit": commit}


def checkout_commit() -> str | None:
    """Return the commit of the checkout that runs, or None where there is no such thing."""
    root, git = checkout_root(), shutil.which("git")
    if root is None or git is None:
        return None
    described = subprocess.run(
        [git, "describe", "--always", "--dirty"],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    return described.stdout.strip() if described.returncode == 0 else None
