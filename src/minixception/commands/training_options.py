"""What the training commands for classifiers share: options, resuming, the call of `train`."""

import argparse
import logging
import shlex
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

from minixception.commands.outputs import check_folder
from minixception.training.recipe_book import RECIPES
from minixception.training.recipes import PROLONGING, UNCHANGED, Recipe, kind_of

log = logging.getLogger(__name__)

# Fields of a recipe, each with an option of its name.
OPTIONS = tuple(one for one in fields(Recipe) if one.metadata["option"])

# Inputs that a run still needs; they must be found from whatever folder it is resumed in.
_INPUTS = ("data", "backbone_weights", "teacher", "unlabelled", "unlabelled_teacher", "leave_out")


def add_arguments(
    parser: argparse.ArgumentParser, *, task: str | None = None, dataset: str | None = None
) -> None:
    """Declare the options. A `task` fixes the task and the default recipe; else there is --task."""
    add = parser.add_argument
    if task is None:
        add("--task", help="a word for what the classes tell apart")
    parser.set_defaults(task=task)
    of_task = " (default: that of the task's name, or else emotion)" * (task is None)
    text = f"settings to start from; `list` prints all of them{of_task}"
    add("--recipe", default=task, help=text)
    instead = f", or {dataset} if the recipe's has no such labels" if dataset else ""
    add(
        "--dataset",
        help="data set, several as in fer2013+jaffe, or a folder with a folder of pictures per "
        f"class; an unknown name lists the known ones (default: the recipe's{instead})",
    )
    add("--data", type=Path, help="its file or folder (default: in datasets/)")
    add_recipe_options(parser)
    backbone = (
        "weights trained on VGGFace2: of a ResNet-50 for facenet, of a MobileNet for "
        "facenet_mobilenet; nothing is downloaded"
    )
    initial = (
        "start from the weights of this model of the same network (fine-tuning); if its classes "
        "differ, the last layer is reinitialized; `none` for random weights (default: the "
        "shipped model if there are few faces and the recipe is this project's, else none)"
    )
    left_out = (
        "folder or tar archive of pictures that the model will be scored on: unlabelled pictures "
        "with the same names are left out"
    )
    for name, metavar, text in (
        ("backbone-weights", "FILE.h5", backbone),
        ("initial-weights", "MODEL", initial),
        ("leave-out", "PLACE", left_out),
    ):
        add(f"--{name}", type=Path, metavar=metavar, help=text)
    places = "folders or tar archives of pictures, or folders of detection sets: their faces are"
    for name, metavar, text in (
        ("teacher", "MODEL", "models whose probabilities go into the targets (distillation)"),
        ("unlabelled", "PLACE", f"{places} trained on too, labelled by the teachers"),
        ("unlabelled-teacher", "MODEL", "models that label these faces instead of the teachers"),
    ):
        several: dict[str, Any] = {"action": "extend", "nargs": "+", "default": []}
        add(f"--{name}", type=Path, **several, metavar=metavar, help=text)
    add("--seed", type=int, default=0, help="seed of weights, order, augmentation")
    add("--output", type=Path, help="folder to write (default: runs/DATASET_NETWORK_RECIPE)")
    add_devices_argument(parser)
    resume = (
        "continue the run in this folder, or in that of --output, with the options that it was "
        "started with; more --epochs extend a run with a constant learning rate"
    )
    of_folder: dict[str, Any] = {"nargs": "?", "const": True, "default": False, "type": Path}
    add("--resume", **of_folder, metavar="FOLDER", help=resume)


def add_devices_argument(parser: argparse.ArgumentParser) -> None:
    """Declare --devices."""
    text = (
        "accelerators that share each batch, at most as many as --replicas; the history stays the "
        "same (default: %(default)s)"
    )
    parser.add_argument("--devices", type=int, default=1, metavar="N", help=text)


def run(arguments: argparse.Namespace) -> int:
    """Train and return the exit code."""
    if arguments.recipe == "list":
        print_recipes()
        return 0
    arguments = options_of_run(arguments)
    if arguments.output is not None:
        check_folder(arguments.output, "--output")

    from minixception.training.run import train

    train(
        arguments.dataset,
        arguments.recipe,
        task=arguments.task,
        data=arguments.data,
        output=arguments.output,
        seed=arguments.seed,
        resume=bool(arguments.resume),
        teachers=arguments.teacher,
        initial_weights=arguments.initial_weights,
        backbone_weights=arguments.backbone_weights,
        unlabelled=arguments.unlabelled,
        unlabelled_teachers=arguments.unlabelled_teacher,
        leave_out=arguments.leave_out,
        devices=arguments.devices,
        command=arguments.command_line,
        verbose=0 if arguments.quiet else 1 if sys.stdout.isatty() else 2,
        **recipe_changes(arguments),
    )
    return 0


def add_recipe_options(parser: argparse.ArgumentParser) -> None:
    """Declare an option for each field of a recipe that has one."""
    add = parser.add_argument
    readers = {
        tuple[str, ...]: (names, "NAME,NAME,..."),
        tuple[float, ...]: (numbers, "NUMBER,NUMBER,..."),
        tuple[int, int]: (side, "SIDE"),
    }
    for one in OPTIONS:
        flag = f"--{one.name.replace('_', '-')}"
        kind, facts = kind_of(one), one.metadata
        read, metavar = readers.get(kind, (kind, None))
        form: dict[str, Any] = {"action": argparse.BooleanOptionalAction}
        if kind is not bool:
            form = {"type": read, "metavar": metavar, "choices": facts["choices"] or None}
        first_sentence = facts["help"].split(". ")[0]
        add(flag, **form, help=f"{first_sentence} (default: the recipe's)")
    add("--model", dest="former_network", help=argparse.SUPPRESS)
    add("--no-augmentation", action="store_true", help="train on the images as they are")


def recipe_changes(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the fields of the recipe that the options set, with their values."""
    given = {one.name: getattr(arguments, one.name) for one in OPTIONS}
    if arguments.former_network is not None:
        log.warning("--model names a trained model elsewhere: for a network, use --network.")
        given["network"] = arguments.former_network
    given["augmentation"] = UNCHANGED if arguments.no_augmentation else None
    return {name: value for name, value in given.items() if value is not None}


# argparse calls these by their names where it refuses a value: "invalid side value: 'large'".
def names(text: str) -> tuple[str, ...]:
    """Read NAME,NAME,..."""
    found = tuple(map(str.strip, text.split(",")))
    if "" in found:
        raise ValueError(text)
    return found


def numbers(text: str) -> tuple[float, ...]:
    """Read NUMBER,NUMBER,..."""
    return tuple(map(float, text.split(",")))


def side(text: str) -> tuple[int, int]:
    """Read the side of a square image."""
    return int(text), int(text)


def options_of_run(arguments: argparse.Namespace) -> argparse.Namespace:
    """Return the options that a run was started with, overridden by those given now.

    Without `--resume`, or without a run in the folder, the options given now are returned.

    Raises:
        FileNotFoundError: `--resume FOLDER` names a folder without the state of a run.
        ValueError: it names another folder than `--output`, or a run of the other task.
    """
    from minixception.checkpoints.card import CARD_FILE, STATE_FILE

    if isinstance(arguments.resume, Path):
        if arguments.output not in (None, arguments.resume):
            raise ValueError(
                f"--resume {arguments.resume} and --output {arguments.output} are two folders: "
                "leave out --output"
            )
        arguments.output = arguments.resume
    folder = arguments.output
    if arguments.resume and folder and (folder / STATE_FILE).is_file():
        return _laid_over_the_run(arguments)
    if isinstance(arguments.resume, Path):
        raise FileNotFoundError(
            f"{folder} holds no training run to continue: there is no {STATE_FILE} in it. One that "
            f"was cut off in its first epoch is started again by the command in its {CARD_FILE}, "
            "and --resume."
        )
    return arguments


def _is_path(dataset: str | None) -> bool:
    from minixception.datasets.registry import DATASETS

    return dataset is not None and not set(dataset.split("+")) <= set(DATASETS)


def _laid_over_the_run(arguments: argparse.Namespace) -> argparse.Namespace:
    from minixception.checkpoints.card import STATE_FILE
    from minixception.training.state import read_state

    folder: Path = arguments.output
    state = read_state(folder / STATE_FILE)
    command = state.start.get("command")
    if not command:  # a run of Python, not of a command
        log.warning("%s does not record its options: give those that it was started with.", folder)
        return arguments
    if command[1] != arguments.command_line[1]:
        raise ValueError(
            f"{folder} is a run of {command[1]}: minixception {command[1]} --resume {folder}"
        )
    log.info("%s was started by: %s", folder, shlex.join(command))
    parse = arguments.parser.parse_args
    begun, merged = parse(command[2:]), parse([*command[2:], *arguments.command_line[2:]])
    for name in _INPUTS:
        given = getattr(arguments, name) or state.start.get(name) or getattr(begun, name)
        setattr(merged, name, given)
    if _is_path(arguments.dataset):
        merged.data = arguments.data
    elif _is_path(merged.dataset):
        merged.dataset = "folder"  # it was given as a path, which is `data` now
    # The run has its own weights by now; the initial ones are only compared.
    origin = state.identity.get("initial weights", "None")
    merged.initial_weights = arguments.initial_weights or ("none" if origin == "None" else origin)
    merged.command_line = list(command)
    for name in PROLONGING:
        if getattr(merged, name) != getattr(begun, name):
            merged.command_line += [f"--{name.replace('_', '-')}", str(getattr(merged, name))]
    for name in ("output", "resume", "quiet"):
        setattr(merged, name, getattr(arguments, name))
    return merged


def print_recipes() -> None:
    """Print every recipe: what it is, source, data, cost, expected result, main numbers."""
    for recipe in RECIPES.values():
        print(f"{recipe.name}: {recipe.summary}")
        for name in ("source", "data", "cost", "expected"):
            print(f"    {name}: {getattr(recipe, name)}")
        print(
            f"    {recipe.network}, {recipe.image_size[0]}x{recipe.image_size[1]} px "
            f"{'RGB' if recipe.channels == 3 else 'grey'}, batch {recipe.batch_size}, "
            f"{recipe.optimizer} {recipe.learning_rate:g} {recipe.schedule}, "
            f"up to {recipe.epochs} epochs"
        )
