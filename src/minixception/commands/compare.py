"""Draw loss and accuracy of several training runs in one picture, and print a table.

    python src/compare_runs.py runs/batch_16 runs/batch_32 --output batch_sizes.png

The legend names what differs between the runs' settings, or recipe and folder if a lot differs.
"""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add = parser.add_argument
    add("runs", nargs="+", type=Path, metavar="RUN", help="folder of a training run")
    target = Path("output/runs.png")
    add("--output", type=Path, default=target, metavar="FILE.png", help="the picture to write")


def run(arguments: argparse.Namespace) -> int:
    """Read, print, draw; return the exit code."""
    from minixception.commands.outputs import check_file
    from minixception.drawing.plots import plot_runs
    from minixception.images import WRITABLE_SUFFIXES
    from minixception.training.runs import describe_differences, format_runs, read_run

    check_file(arguments.output, "--output", suffixes=WRITABLE_SUFFIXES)
    runs = [read_run(folder) for folder in arguments.runs]
    labels = describe_differences(runs)
    histories = {label: run.history for label, run in zip(labels, runs, strict=True)}
    plot_runs(histories, arguments.output)
    print(format_runs(runs, labels))
    print(f"written to {arguments.output}")
    return 0
