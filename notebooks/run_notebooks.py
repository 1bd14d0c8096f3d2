"""Run notebooks from top to bottom and store them with their outputs.

    make notebooks
    python notebooks/run_notebooks.py notebooks/quickstart.ipynb --output elsewhere

A notebook is replaced only when all of it has run. What differs from machine to machine is left
out: messages on stderr, times, versions.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from minixception.files import atomic_path

HERE = Path(__file__).resolve().parent
SOURCE = HERE.parent / "src"
SECONDS_PER_CELL = 900
ERROR_OF_A_COMMAND = ": error: "

METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python", "file_extension": ".py", "pygments_lexer": "ipython3"},
}


def run_notebook(path: Path, output: Path) -> None:
    """Run a notebook in its own folder and write it with its outputs.

    Args:
        path: the notebook.
        output: the file to write; may be the same.

    Raises:
        FileNotFoundError: the notebook is missing.
        ValueError: a cell raises an exception, or a command in it ends with an error.
        RuntimeError: the kernel did not start, or died.
    """
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=SECONDS_PER_CELL,
        resources={"metadata": {"path": str(path.parent)}},
        record_timing=False,
        coalesce_streams=True,
    )
    try:
        client.execute(env=_environment())
    except CellExecutionError as error:
        raise ValueError(f"{path}: {error}") from error
    except AssertionError as error:  # nbclient trips over a kernel that is gone
        raise RuntimeError(f"{path}: the kernel died before the last cell was done") from error
    for number, cell in enumerate(notebook.cells, start=1):
        if cell.cell_type == "code":
            _look_at_messages(cell, where=f"{path}, cell {number}")
            _keep_what_lasts(cell)
    notebook.metadata = nbformat.from_dict(METADATA)
    with atomic_path(output) as temporary:
        nbformat.write(notebook, temporary)


def _environment() -> dict[str, str]:
    """Return what the kernel finds: this checkout."""
    paths = [str(SOURCE), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def _look_at_messages(cell: Any, *, where: str) -> None:
    """Raise for the message of a command that failed, which is no exception in the notebook.

    Other messages on stderr, which are not stored, are shown here.
    """
    for output in cell.outputs:
        for line in output.get("text", "").splitlines():
            if output.get("name") == "stderr":
                if ERROR_OF_A_COMMAND in line:
                    raise ValueError(f"{where}: {line}")
                print(f"{where}: {line}", file=sys.stderr)


def _keep_what_lasts(cell: Any) -> None:
    cell.metadata = type(cell.metadata)()
    cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the notebooks asked for, return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "notebooks", nargs="*", type=Path, metavar="NOTEBOOK", help="default: all in this folder"
    )
    parser.add_argument(
        "--output", type=Path, metavar="FOLDER", help="where they go (default: their own place)"
    )
    parsed = parser.parse_args(arguments)
    missing = [name for name in ("nbclient", "ipykernel") if find_spec(name) is None]
    if missing:
        parser.error(f'needs {" and ".join(missing)}. Run: pip install "minixception[notebooks]"')
    for path in parsed.notebooks or sorted(HERE.glob("*.ipynb")):
        output = (parsed.output or path.parent) / path.name
        try:
            run_notebook(path, output)
        except (OSError, RuntimeError, ValueError) as error:
            parser.error(str(error))
        print(f"written to {output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
