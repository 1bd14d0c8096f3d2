"""Train the face detector; see `--help`. Also `minixception train-detector`."""

import sys

from minixception.commands import run_command

if __name__ == "__main__":
    sys.exit(run_command("train-detector", sys.argv[1:], program="train_face_detector.py"))
