"""Train a classifier of any task, such as whether a face wears glasses.

    minixception train --task glasses --dataset pictures

It trains on one split, chooses the best epoch on a second and never reads the third. The task goes
on the card of the model, and everything else follows the card. The task `roll` is that of the
network that looks at the faces of a detector once more.
"""

import argparse

from minixception.commands.training_options import add_training_arguments, run_training


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--task", help="a word for what the classes are about")
    add_training_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Train and return the exit code."""
    return run_training(arguments)
