"""Turn a published .hdf5 weight file into a checkpoint folder; see `--help`."""

from minixception.commands import run_command

if __name__ == "__main__":
    raise SystemExit(run_command("convert", program="convert_published_weights.py"))
