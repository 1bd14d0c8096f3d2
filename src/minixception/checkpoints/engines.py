"""Running a checkpoint: LiteRT by default, Keras when asked for.

Only the engine that is asked for imports its framework. Engines can be pickled: LiteRT's with its
model, so that another machine can use it; Keras's as the path of its folder.
"""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial
from os import PathLike
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from minixception.bounds import check_shape
from minixception.checkpoints.card import KERAS_FILE, LITERT_FILE, Card, read_card
from minixception.checkpoints.model_files import require_kind
from minixception.checkpoints.shipped import find_model
from minixception.files import require_utf8
from minixception.messages import require

ENGINES = ("litert", "keras")

# Keras: more faces go through in several runs, so that memory does not grow with their number.
LARGEST_BATCH = 64

# LiteRT: up to `FEW_FACES` run in the caller's thread, since handing them over costs what it saves.
# More go to a thread per core in runs of up to `FACES_PER_RUN`: a core needs 0.20 ms a face in runs
# of 8, 0.30 ms in runs of 64, whose feature maps leave the cache (mini_xception, 48 px).
FEW_FACES = 4
FACES_PER_RUN = 8

# How far probabilities may be from a sum of 1: an 8-bit model rounds each of them to 1/256.
LARGEST_ERROR_OF_SUM = 0.05


class BrokenModelError(ValueError):
    """A model, not a picture, is at fault: it cannot be run, or does not return probabilities."""


class Engine(Protocol):
    """A loaded model."""

    def predict(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return probabilities (B, K) for prepared faces (B, height, width, channels)."""
        ...


class LiteRTEngine:
    """Runs a `.tflite` file; many faces use all cores.

    Threads may share one engine: each has its own interpreter, and all hand their large batches to
    the same workers, so that there are never more of those than cores. A forked process starts
    workers of its own. Dealing out whole faces takes 2 % more processor time than one core does,
    LiteRT's own threads, which meet after every layer, 9 %.

    Attributes:
        content: the bytes of the file, read once.
        input_shape: (height, width, channels) of an image; -1 stands for any.

    Args:
        path: the file.
        num_classes: number of outputs that the card promises.
        num_workers: threads that share a large batch (default: one per core).
        content: the bytes of the file, where they are known; then it need not be there.

    Raises:
        FileNotFoundError: if the file is missing.
        ValueError: if it is no such model, or has another number of outputs, or its name is not
            UTF-8.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        num_classes: int,
        num_workers: int | None = None,
        content: bytes | None = None,
    ) -> None:
        self._path = Path(path)
        require_utf8(path)
        self._num_classes = num_classes
        self._num_workers = num_workers or available_cores()
        self._start_workers()
        self._local = threading.local()
        self._keras: KerasEngine | None = None
        if content is None and not self._path.is_file():
            raise FileNotFoundError(
                f"{path} does not exist. Training writes it beside model.keras; "
                "with engine='keras' it is not needed."
            )
        self.content = self._path.read_bytes() if content is None else content
        given = self._interpreter().get_input_details()[0]
        self.input_shape = tuple(map(int, given["shape_signature"][1:]))

    def __reduce__(self) -> tuple[Any, ...]:
        rebuild = partial(
            type(self),
            num_classes=self._num_classes,
            num_workers=self._num_workers,
            content=self.content,
        )
        return rebuild, (self._path.absolute(),)

    def _start_workers(self) -> None:
        self._process = os.getpid()
        self._workers = ThreadPoolExecutor(self._num_workers, "litert")  # starts no thread yet

    def predict(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return probabilities (B, K) for prepared faces (B, height, width, channels).

        Raises:
            ValueError: if `images` are not float32 of the size that the model takes; or if the
                file is damaged, so that it cannot be run or gives no probabilities.
        """
        sizes = zip(self.input_shape, images.shape[1:], strict=False)
        fits = images.ndim == 1 + len(self.input_shape) and all(a in (-1, b) for a, b in sizes)
        if images.dtype != np.float32 or not fits:
            raise ValueError(
                f"`images` must be float32 (B, {', '.join(map(str, self.input_shape))}). "
                f"Received: {images.dtype} {images.shape}"
            )
        if len(images) == 0:
            return np.zeros((0, self._num_classes), np.float32)
        probabilities = self.run(images) if len(images) <= FEW_FACES else self._deal(images)
        require_probabilities(probabilities, (len(images), self._num_classes), source=self._path)
        return probabilities

    def features(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the features that Keras computes from the `model.keras` beside the file."""
        if self._keras is None:
            self._keras = KerasEngine(self._path.parent)
        return self._keras.features(images)

    def _deal(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        if self._process != os.getpid():  # a forked process has none of its parent's threads
            self._start_workers()
        size = min(FACES_PER_RUN, -(-len(images) // self._num_workers))
        runs = [images[start : start + size] for start in range(0, len(images), size)]
        return np.concatenate(list(self._workers.map(self.run, runs)))

    def run(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the outputs for images (B, height, width, channels), unchecked, in this thread."""
        interpreter = self._interpreter()
        given = interpreter.get_input_details()[0]
        fixed = int(given["shape_signature"][0])
        if fixed not in (-1, len(images)):
            return self._run_in_batches(images, fixed)
        try:
            if tuple(given["shape"]) != images.shape:
                # Without `strict` LiteRT would run images of another size, and give nonsense.
                interpreter.resize_tensor_input(given["index"], images.shape, strict=True)
                interpreter.allocate_tensors()
            interpreter.set_tensor(given["index"], images)
            interpreter.invoke()
            return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
        except (ValueError, RuntimeError) as error:
            raise BrokenModelError(f"{self._path} cannot be run by LiteRT: {error}") from error

    def _run_in_batches(self, images: NDArray[np.float32], size: int) -> NDArray[np.float32]:
        """Run a model that takes a fixed number of faces; the last batch is filled up."""
        missing = np.zeros((-len(images) % size, *images.shape[1:]), np.float32)
        batches = np.concatenate([images, missing]).reshape(-1, size, *images.shape[1:])
        return np.concatenate([self.run(batch) for batch in batches])[: len(images)]

    def _interpreter(self) -> Any:
        if not hasattr(self._local, "interpreter"):
            from ai_edge_litert.interpreter import Interpreter

            try:
                require_kind(self.content, ".tflite")
                interpreter = Interpreter(model_content=self.content, num_threads=1)
                _require_bounded(interpreter)
                interpreter.allocate_tensors()
                _require_bounded(interpreter)  # what the file says of its tensors need not be so
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


def _require_bounded(interpreter: Any) -> None:
    """Refuse a model whose tensors for one face would fill the memory."""
    for tensor in interpreter.get_tensor_details():
        check_shape(f"its tensor {tensor['name'][:40]}", tensor["shape"])


class KerasEngine:
    """Runs a `model.keras` with whatever backend Keras is set to.

    It cannot be used in a process that was forked after it was loaded: TensorFlow would hang.

    Attributes:
        model: as loaded.
    """

    def __init__(self, folder: str | Path) -> None:
        from minixception.checkpoints.keras_model import load_checkpoint

        checkpoint = load_checkpoint(folder)
        self._folder = find_model(folder)
        self._process = os.getpid()
        self.model = checkpoint.model
        self._input_shape = checkpoint.card.preprocessor.input_shape

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._folder.absolute(),)

    def predict(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return probabilities (B, K) for prepared faces (B, height, width, channels).

        Raises:
            ValueError: if the model gives no probabilities.
        """
        self._require_own_process()
        probabilities = run_keras(self.model, images)
        shape = (len(images), self.model.output_shape[-1])
        require_probabilities(probabilities, shape, source=self._folder / KERAS_FILE)
        return probabilities

    def features(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return features (B, D), see `dissection.feature_extractor`, for prepared faces."""
        self._require_own_process()
        return run_keras(self._extractor, images)

    @cached_property
    def _extractor(self) -> Any:
        from minixception.models.dissection import feature_extractor

        return feature_extractor(self.model, self._input_shape)

    def _require_own_process(self) -> None:
        if self._process != os.getpid():
            raise RuntimeError(
                "A Keras model does not survive a fork. Start the process by the method "
                '"spawn", or use engine="litert".'
            )


def run_keras(
    model: Any, images: NDArray[np.float32], batch_size: int = LARGEST_BATCH
) -> NDArray[np.float32]:
    """Return the outputs (B, K) of a Keras model for images (B, ...), in batches.

    `predict` spends some 80 ms to set up its loop, and on TensorFlow as long again to end it.
    """
    if len(images) == 0:
        return np.zeros((0, model.output_shape[-1]), np.float32)
    starts = range(0, len(images), batch_size)
    batches = (images[start : start + batch_size] for start in starts)
    return np.concatenate([np.asarray(model.predict_on_batch(batch)) for batch in batches])


def require_probabilities(
    outputs: NDArray[np.float32], shape: tuple[int, int], *, source: str | Path
) -> None:
    """Refuse outputs of a model that are no probabilities (B, K), such as NaN from a damaged file.

    Raises:
        BrokenModelError: for another `shape`, values outside 0 to 1, or rows that do not sum to 1;
            it names the `source`, a file or model.
    """
    # Written so that NaN fails too.
    if outputs.shape != shape or not (
        np.all((outputs >= 0) & (outputs <= 1 + LARGEST_ERROR_OF_SUM))
        and np.all(np.abs(outputs.sum(axis=1) - 1) <= LARGEST_ERROR_OF_SUM)
    ):
        raise BrokenModelError(
            f"{source} does not return probabilities, {shape} from 0 to 1 that sum to 1: the file "
            "is damaged, or its network does not end in a softmax. "
            f"Received: {outputs.shape}, such as {outputs[:1]}"
        )


def load_engine(model: str | PathLike[str], *, engine: str = "litert") -> tuple[Card, Engine]:
    """Load the card and the model of a shipped name or a checkpoint folder, by one of `ENGINES`.

    Raises:
        FileNotFoundError: if the model, its card or its model file is missing.
        ValueError: for an unknown engine, a damaged file, or a card that does not fit the model.
    """
    if engine not in ENGINES:
        raise ValueError(
            f"`engine` must be one of {', '.join(ENGINES)}. Received: engine={engine!r}"
        )
    folder = find_model(model)
    card = read_card(folder)
    if engine == "keras":
        require("keras", "tensorflow", what="the Keras engine")
        return card, KerasEngine(folder)
    litert = LiteRTEngine(folder / LITERT_FILE, num_classes=len(card.class_names))
    card.check_input(litert.input_shape, where=folder)
    return card, litert


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
