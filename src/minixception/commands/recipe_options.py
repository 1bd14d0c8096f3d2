"""The options that change a recipe, made from its fields, and the list of recipes."""

import argparse
import logging
from dataclasses import fields
from typing import Any

from minixception.training.recipe_book import RECIPES
from minixception.training.recipes import UNCHANGED, Recipe, kind_of

log = logging.getLogger(__name__)

OPTIONS = tuple(one for one in fields(Recipe) if one.metadata.get("option"))


def add_recipe_options(parser: argparse.ArgumentParser) -> None:
    """Declare an option for each field of a recipe that has one."""
    readers = {tuple[str, ...]: (_names, "NAME,NAME,..."), tuple[int, int]: (_square, "SIDE")}
    for one in OPTIONS:
        flag = f"--{one.name.replace('_', '-')}"
        kind, facts = kind_of(one), one.metadata
        read, metavar = readers.get(kind, (kind, None))
        form: dict[str, Any] = {"type": read, "metavar": metavar}
        if kind is bool:
            form = {"action": "store_true", "default": None}
        elif facts["choices"]:
            form = {"type": kind, "choices": facts["choices"]}
        first_sentence = facts["help"].split(". ")[0]
        parser.add_argument(flag, **form, help=f"{first_sentence} (default: the recipe's)")
    parser.add_argument("--model", dest="former_network", help=argparse.SUPPRESS)
    parser.add_argument(
        "--no-augmentation", action="store_true", help="train on the images as they are"
    )


def recipe_changes(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the fields of the recipe that the options set, with their values."""
    given = {one.name: getattr(arguments, one.name) for one in OPTIONS}
    if arguments.former_network is not None:
        log.warning("--model names a trained model elsewhere: for a network, use --network.")
        given["network"] = arguments.former_network
    given["augmentation"] = UNCHANGED if arguments.no_augmentation else None
    return {name: value for name, value in given.items() if value is not None}


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(","))
    if "" in names:
        raise argparse.ArgumentTypeError(f"names with commas between them. Received: {text!r}")
    return names


def _square(text: str) -> tuple[int, int]:
    try:
        return int(text), int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"invalid int value: {text!r}") from None


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
