"""Show which parts of a face support its label; see `--help`. Also `minixception explain`."""

import sys

from minixception.commands import run_command

if __name__ == "__main__":
    sys.exit(run_command("explain", sys.argv[1:], program="image_gradcam_demo.py"))
