"""Files of trained models: weights, and what their cards say."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np


def write_model(
    path: Path, weights: Sequence[Any], facts: Mapping[str, Any], dtype: Any = np.float32
) -> None:
    """Write weights, in the order of Keras, and facts, in one step.

    Statistics, which float16 cannot hold, stay as they are.
    """
    kernels = [w.astype(dtype if w.ndim > 1 else np.float32) for w in map(np.asarray, weights)]
    named: dict[str, Any] = {f"w{k}": kernel for k, kernel in enumerate(kernels)}
    half = path.with_suffix(".part")
    with half.open("wb") as file:
        np.savez(file, facts=json.dumps(facts), **named)
    half.replace(path)


def read_weights(path: Path) -> list[np.ndarray]:
    """Return the weights of a model."""
    with np.load(path) as file:
        return [np.asarray(file[f"w{k}"], np.float32) for k in range(len(file.files) - 1)]


def read_facts(path: Path) -> dict[str, Any]:
    """Return the facts about a model."""
    with np.load(path) as file:
        return dict(json.loads(str(file["facts"])))
