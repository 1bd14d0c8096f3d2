"""Score a checkpoint on a split of a data set; see `--help`. Also `minixception evaluate`."""

import sys

from minixception.commands import run_command

if __name__ == "__main__":
    sys.exit(run_command("evaluate", sys.argv[1:], program="evaluate_classifier.py"))
