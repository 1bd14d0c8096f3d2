"""Emotion and gender of faces in videos, with `--help`. Also `minixception video`."""

from minixception.commands import run_command

if __name__ == "__main__":
    raise SystemExit(run_command("video", program="video_emotion_gender_demo.py"))
