"""Files with the weights of a model, in the order of Keras."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np


def write_weights(path: Path, weights: Sequence[Any], dtype: Any = np.float32) -> None:
    """Write weights in the order of Keras; statistics, which float16 cannot hold, as they are."""
    kernels = [w.astype(dtype if w.ndim > 1 else np.float32) for w in map(np.asarray, weights)]
    named: dict[str, Any] = {f"w{k}": kernel for k, kernel in enumerate(kernels)}
    np.savez(path, **named)


def read_weights(path: Path) -> list[np.ndarray]:
    """Read what `write_weights` wrote."""
    with np.load(path) as file:
        return [np.asarray(file[f"w{k}"], np.float32) for k in range(len(file.files))]
