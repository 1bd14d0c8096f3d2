"""Draw the curves of several training runs; see `--help`. Also `minixception compare`."""

from minixception.commands import run_command

if __name__ == "__main__":
    raise SystemExit(run_command("compare", program="compare_runs.py"))
