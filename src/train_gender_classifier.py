"""Train a gender classifier; see `--help`. Also `minixception train-gender`."""

import sys

from minixception.commands import run_command

if __name__ == "__main__":
    sys.exit(run_command("train-gender", sys.argv[1:], program="train_gender_classifier.py"))
