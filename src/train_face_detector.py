"""Train the face detector; see `--help`. Also `minixception train-detector`."""

from minixception.commands import run_command

if __name__ == "__main__":
    raise SystemExit(run_command("train-detector", program="train_face_detector.py"))
