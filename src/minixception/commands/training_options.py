"""What the training commands for classifiers share: their options, and the call of `train`."""

import argparse
import logging
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

from minixception.commands.outputs import check_folder
from minixception.commands.resuming import options_of_run
from minixception.training.recipe_book import RECIPES
from minixception.training.recipes import UNCHANGED, Recipe, kind_of

log = logging.getLogger(__name__)

# Fields of a recipe, each with an option of its name.
OPTIONS = tuple(one for one in fields(Recipe) if one.metadata.get("option"))


def add_arguments(
    parser: argparse.ArgumentParser, *, task: str | None = None, dataset: str | None = None
) -> None:
    """Declare the options: those of any task, or of this one with its recipe and data set."""
    add = parser.add_argument
    if task is None:
        add("--task", help="a word for what the classes are about")
    parser.set_defaults(task=task)
    add(
        "--recipe",
        default=task,
        help="settings to start from; `list` prints all of them"
        + " (default: that of the task's name, or else emotion)" * (task is None),
    )
    instead = f", or {dataset} if the recipe's has no such labels" if dataset else ""
    add(
        "--dataset",
        help="data set, several as in fer2013+jaffe, or a folder with a folder of pictures per "
        f"class; an unknown name lists the known ones (default: the recipe's{instead})",
    )
    add("--data", type=Path, help="its file or folder (default: in datasets/)")
    add_recipe_options(parser)
    add(
        "--backbone-weights",
        type=Path,
        metavar="FILE.h5",
        help="weights trained on VGGFace2: of a ResNet-50 for facenet, of a MobileNet for "
        "facenet_mobilenet; nothing is downloaded",
    )
    add(
        "--initial-weights",
        type=Path,
        metavar="MODEL",
        help="start from the weights of this model of the same network (fine-tuning); if its "
        "classes differ, the last layer is initialized afresh; `none` for random weights (default: "
        "the shipped model if there are few faces and the recipe is this project's, else none)",
    )
    places = "folders or tar archives of pictures, or folders of detection sets: their faces are"
    for name, metavar, text in (
        ("teacher", "MODEL", "models whose probabilities go into the targets (distillation)"),
        ("unlabelled", "PLACE", f"{places} trained on too, labelled by the teachers"),
        ("unlabelled-teacher", "MODEL", "models that label these faces instead of the teachers"),
    ):
        add(f"--{name}", type=Path, nargs="+", default=(), metavar=metavar, help=text)
    add(
        "--leave-out",
        type=Path,
        metavar="PLACE",
        help="folder or tar archive of pictures that the model will be scored on: unlabelled "
        "pictures with the same names are left out",
    )
    add("--seed", type=int, default=0, help="seed of weights, order, augmentation")
    add("--output", type=Path, help="folder to write (default: runs/DATASET_NETWORK_RECIPE)")
    add_devices_argument(parser)
    add(
        "--resume",
        nargs="?",
        const=True,
        default=False,
        type=Path,
        metavar="FOLDER",
        help="continue the run in this folder, or in that of --output, with the options that it "
        "was started with; more --epochs extend a run with a constant learning rate",
    )


def add_devices_argument(parser: argparse.ArgumentParser) -> None:
    """Declare --devices."""
    parser.add_argument(
        "--devices",
        type=int,
        default=1,
        metavar="N",
        help="accelerators that share each batch, at most as many as --replicas; the history stays "
        "the same (default: %(default)s)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Train and return the exit code."""
    if arguments.recipe == "list":
        print_recipes()
        return 0
    arguments = options_of_run(arguments)
    if not arguments.task:
        raise ValueError("--task is missing: a word for what the classes are about")
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


def names(text: str) -> tuple[str, ...]:
    """Read names with commas between them."""
    found = tuple(name.strip() for name in text.split(","))
    if "" in found:
        raise argparse.ArgumentTypeError(f"names with commas between them. Received: {text!r}")
    return found


def numbers(text: str) -> tuple[float, ...]:
    """Read numbers with commas between them."""
    return tuple(map(float, text.split(",")))


def side(text: str) -> tuple[int, int]:
    """Read height and width of a square image."""
    return int(text), int(text)


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
