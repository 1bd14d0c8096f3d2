"""Emotion and gender of the faces in pictures; see `--help`. Also `minixception image`."""

from minixception.commands import run_command

if __name__ == "__main__":
    raise SystemExit(run_command("image", program="image_emotion_gender_demo.py"))
