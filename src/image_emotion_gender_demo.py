"""Emotion and gender of the faces in pictures; see `--help`. Also `minixception image`."""

import sys

from minixception.commands import run_command

if __name__ == "__main__":
    sys.exit(run_command("image", sys.argv[1:], program="image_emotion_gender_demo.py"))
