"""Measure where the models fail, and write a page about it; see `--help`.

Also `minixception report-limits`.
"""

import sys

from minixception.commands import run_command

if __name__ == "__main__":
    sys.exit(run_command("report-limits", sys.argv[1:], program="report_limits.py"))
