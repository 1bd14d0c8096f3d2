"""Measure where the models fail; see `--help`. Also `minixception report-limits`."""

from minixception.commands import run_command

if __name__ == "__main__":
    raise SystemExit(run_command("report-limits", program="report_limits.py"))
