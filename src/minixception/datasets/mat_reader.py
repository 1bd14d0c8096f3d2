"""A struct of a MATLAB file, read in a process of its own.

SciPy's reader is partly written in C and trusts the lengths in the file: one damaged file in fifty
crashes the process. Here that is a child process, and the caller gets a message.

The child runs this file without the package, so it starts in a fraction of a second.
"""

import io
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np


def read_struct(file: Path, struct: str, fields: Sequence[str]) -> dict[str, np.ndarray]:
    """Read fields of a struct in a `.mat` file of version 5: the first of words, others of numbers.

    Returns:
        Field name -> array (N,): str for the first, float64 for the others.

    Raises:
        ValueError: The file is damaged, or holds no such struct.
        OSError: It cannot be read.
    """
    from minixception.bounds import check_mat_size

    check_mat_size(file)
    child = subprocess.run(
        [sys.executable, __file__, str(file), struct, *fields],
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    if child.returncode:
        said = child.stderr.decode(errors="replace").strip().splitlines()
        reason = said[-1] if said and child.returncode > 0 else "SciPy's reader broke on it"
        raise ValueError(
            f"{file} is not a MATLAB file of version 5 that holds a struct `{struct}` with the "
            f"fields {', '.join(fields)}, one word and numbers per row. {reason}"
        )
    with np.load(io.BytesIO(child.stdout), allow_pickle=False) as arrays:
        return {field: arrays[field] for field in fields}


def _main() -> None:
    """Write the fields to standard output as an `.npz` file; any error ends in a traceback."""
    from scipy.io import loadmat

    file, struct, first, *others = sys.argv[1:]
    content = loadmat(file, squeeze_me=True, variable_names=[struct])[struct]
    found = {field: np.atleast_1d(content[field].item()) for field in (first, *others)}
    shapes = {field: values.shape for field, values in found.items()}
    if set(shapes.values()) != {(found[first].size,)}:
        raise ValueError(f"Received: {shapes}")
    numbers = {field: found[field].astype(float) for field in others}
    stream = io.BytesIO()
    np.savez(stream, **{first: found[first].astype(str)}, **numbers)  # type: ignore[arg-type]
    sys.stdout.buffer.write(stream.getvalue())


if __name__ == "__main__":
    _main()
