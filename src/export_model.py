"""Write a checkpoint as LiteRT, 8-bit LiteRT or ONNX; see `--help`.

Also `minixception export`.
"""

import sys

from minixception.commands import run_command

if __name__ == "__main__":
    sys.exit(run_command("export", sys.argv[1:], program="export_model.py"))
