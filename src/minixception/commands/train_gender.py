"""Train a gender classifier.

    python src/train_gender_classifier.py --data datasets/utkface/crop_part1_adults.tar
    python src/train_gender_classifier.py --dataset imdb --recipe paper

It trains on one split, chooses the best epoch on a second and never reads the third.
For this task `--recipe paper` stands for `paper-gender`.
"""

import argparse

from minixception.commands.training_options import add_training_arguments, run_training


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_training_arguments(parser, recipe="gender", dataset="utkface")


def run(arguments: argparse.Namespace) -> int:
    """Train and return the exit code."""
    return run_training(arguments, task="gender")
