"""Train an emotion classifier.

    python src/train_emotion_classifier.py --data datasets/fer2013/fer2013.csv
    python src/train_emotion_classifier.py --recipe paper
    python src/train_emotion_classifier.py --resume runs/fer2013_mini_xception_emotion

On FER2013 it trains on Training, chooses the best epoch on PublicTest and never reads PrivateTest.
"""

import argparse

from minixception.commands.training_options import add_training_arguments, run_training


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_training_arguments(parser, recipe="emotion", dataset="fer2013")


def run(arguments: argparse.Namespace) -> int:
    """Train and return the exit code."""
    return run_training(arguments, task="emotion")
