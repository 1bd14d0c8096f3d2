"""Python in a process of its own, as a terminal starts it."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).parents[1] / "src"
MAIN = "import sys; from minixception.commands import main; sys.exit(main(sys.argv[1:]))"

# What TensorFlow, CUDA, XNNPACK, LiteRT and their converters begin lines with.
CHATTER = re.compile(
    r"XNNPACK|absl|[IWEF]0000 |oneDNN|CUDA|cuda|MLIR|UserWarning|Assets written|Saved artifact"
    r"|fully_quantize|TensorSpec"
)


@contextmanager
def started(*arguments: object, **options: Any) -> Iterator[Any]:
    """Start Python, with options of `Popen`; what still runs at the end is killed."""
    process = subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def run_python(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python with this source, say with "-c" and `MAIN` and the arguments of a command."""
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        capture_output=True,
        encoding="utf-8",
        errors="surrogateescape",
        env={**os.environ, "PYTHONPATH": str(SOURCE), **environment},
        timeout=300,
        check=False,
    )
