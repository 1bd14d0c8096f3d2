"""Train an emotion classifier; see `--help`. Also `minixception train-emotion`."""

from minixception.commands import run_command

if __name__ == "__main__":
    raise SystemExit(run_command("train-emotion", program="train_emotion_classifier.py"))
