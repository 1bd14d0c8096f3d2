"""Running a checkpoint: LiteRT by default, Keras when asked for.

Only the engine that is asked for imports its framework.
"""

import threading
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from minixception.cards import Card, read_card

ENGINES = ("litert", "keras")

# More faces than this go through in several runs, so that memory does not grow with their number.
LARGEST_BATCH = 64


class Engine(Protocol):
    """A loaded model."""

    def predict(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return probabilities (B, K) for prepared faces (B, height, width, channels)."""
        ...


class LiteRTEngine:
    """Runs a `.tflite` file. Threads may share one engine: each gets its own interpreter.

    Args:
        path: the file.
        num_classes: number of outputs that the card promises.
        num_threads: threads of one run.

    Raises:
        FileNotFoundError: if the file is missing.
        ValueError: if it is no such model, or has another number of outputs.
    """

    def __init__(self, path: str | Path, *, num_classes: int, num_threads: int = 1) -> None:
        self._path = Path(path)
        self._num_classes = num_classes
        self._num_threads = num_threads
        self._local = threading.local()
        if not self._path.is_file():
            raise FileNotFoundError(
                f"{path} does not exist. Training writes it beside model.keras; "
                "with engine='keras' it is not needed."
            )
        self._interpreter()

    def predict(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return probabilities (B, K) for prepared faces (B, height, width, channels)."""
        probabilities = np.empty((len(images), self._num_classes), np.float32)
        for start in range(0, len(images), LARGEST_BATCH):
            stop = start + LARGEST_BATCH
            probabilities[start:stop] = self._run(images[start:stop])
        return probabilities

    def _run(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        interpreter = self._interpreter()
        given = interpreter.get_input_details()[0]
        if tuple(given["shape"]) != images.shape:
            interpreter.resize_tensor_input(given["index"], images.shape)
            interpreter.allocate_tensors()
        interpreter.set_tensor(given["index"], images)
        interpreter.invoke()
        return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])

    def _interpreter(self) -> Any:
        if not hasattr(self._local, "interpreter"):
            from ai_edge_litert.interpreter import Interpreter

            try:
                interpreter = Interpreter(str(self._path), num_threads=self._num_threads)
                interpreter.allocate_tensors()
                outputs = int(interpreter.get_output_details()[0]["shape"][-1])
            except (ValueError, RuntimeError, IndexError) as error:
                raise ValueError(f"{self._path} cannot be loaded by LiteRT: {error}") from error
            if outputs != self._num_classes:
                raise ValueError(
                    f"{self._path} has {outputs} outputs, its card names {self._num_classes} "
                    "classes: they do not belong together."
                )
            self._local.interpreter = interpreter
        return self._local.interpreter


class KerasEngine:
    """Runs a `model.keras` with whatever backend Keras is set to."""

    def __init__(self, folder: str | Path) -> None:
        from minixception.checkpoints import load_checkpoint

        self._model = load_checkpoint(folder).model

    def predict(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return probabilities (B, K) for prepared faces (B, height, width, channels)."""
        if len(images) == 0:
            return np.zeros((0, self._model.output_shape[-1]), np.float32)
        # `predict` is for large sets: it spends some 80 ms on each call to set up its loop.
        return np.concatenate(
            [
                np.asarray(self._model.predict_on_batch(images[start : start + LARGEST_BATCH]))
                for start in range(0, len(images), LARGEST_BATCH)
            ]
        )


def load_engine(folder: str | Path, *, engine: str = "litert") -> tuple[Card, Engine]:
    """Load a checkpoint folder for inference.

    Args:
        folder: with `card.json` and the engine's model file.
        engine: one of `ENGINES`.

    Raises:
        FileNotFoundError, ValueError: as the engines, or for an unknown engine.
    """
    if engine not in ENGINES:
        raise ValueError(f"`engine` must be one of {', '.join(ENGINES)}. Received: {engine!r}")
    if engine == "keras":
        return read_card(folder), KerasEngine(folder)
    card = read_card(folder)
    path = Path(folder) / "model.tflite"
    return card, LiteRTEngine(path, num_classes=len(card.class_names))
