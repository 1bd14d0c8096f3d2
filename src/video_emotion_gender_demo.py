"""Emotion and gender of faces in videos, with `--help`. Also `minixception video`."""

import sys

from minixception.commands import run_command

if __name__ == "__main__":
    sys.exit(run_command("video", sys.argv[1:], program="video_emotion_gender_demo.py"))
