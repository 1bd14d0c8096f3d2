"""Analyze pictures over HTTP; see `--help`. Also `minixception serve`."""

import sys

from minixception.commands import run_command

if __name__ == "__main__":
    sys.exit(run_command("serve", sys.argv[1:], program="serve_faces.py"))
