"""Draw the curves of several training runs; see `--help`. Also `minixception compare`."""

import sys

from minixception.commands import run_command

if __name__ == "__main__":
    sys.exit(run_command("compare", sys.argv[1:], program="compare_runs.py"))
