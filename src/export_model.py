"""Write a checkpoint for another runtime; see `--help`. Also `minixception export`."""

from minixception.commands import run_command

if __name__ == "__main__":
    raise SystemExit(run_command("export", program="export_model.py"))
