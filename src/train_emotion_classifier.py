"""Train an emotion classifier; see `--help`. Also `minixception train-emotion`."""

import sys

from minixception.commands import run_command

if __name__ == "__main__":
    sys.exit(run_command("train-emotion", sys.argv[1:], program="train_emotion_classifier.py"))
