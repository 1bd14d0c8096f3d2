"""Train a gender classifier; see `--help`. Also `minixception train-gender`."""

from minixception.commands import run_command

if __name__ == "__main__":
    raise SystemExit(run_command("train-gender", program="train_gender_classifier.py"))
