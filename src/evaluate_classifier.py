"""Score a checkpoint on a split of a data set; see `--help`. Also `minixception evaluate`."""

from minixception.commands import run_command

if __name__ == "__main__":
    raise SystemExit(run_command("evaluate", program="evaluate_classifier.py"))
