"""Turn a published .hdf5 weight file into a checkpoint folder; see `--help`."""

import sys

from minixception.commands import run_command

if __name__ == "__main__":
    sys.exit(run_command("convert", sys.argv[1:], program="convert_published_weights.py"))
