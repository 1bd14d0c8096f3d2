"""Making a checkpoint from a model that was trained elsewhere, or from a model file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from minixception.boxes import as_margin
from minixception.checkpoints.card import (
    CARD_FILE,
    CHECKPOINT_FILES,
    KERAS_FILE,
    LITERT_FILE,
    Card,
    refuse_run,
    write_card,
)
from minixception.checkpoints.engines import LiteRTEngine, require_probabilities
from minixception.checkpoints.shipped import check_new_task
from minixception.files import atomic_folder
from minixception.preprocessor import Preprocessor

if TYPE_CHECKING:
    import keras

# Images to try a model on: more than LiteRT takes in one run, so that it meets two sizes of batch.
TRIED = 9


def make_checkpoint(
    folder: str | Path,
    model: keras.Model | str | Path,
    *,
    class_names: Sequence[str],
    value_range: tuple[float, float],
    task: str = "emotion",
    crop_margin: float = 0.0,
    data: Mapping[str, Any] | None = None,
) -> Card:
    """Write a checkpoint folder for a model that was not trained here.

    The folder has `card.json`, `model.tflite` and, for a Keras model, `model.keras`. It can be
    given wherever the name of a shipped model can: `FaceAnalyzer(emotion=folder)`.

        make_checkpoint("my_model", model, class_names=("happy", "sad"), value_range=(0, 1))

    Args:
        folder: where to write; parents are created, a checkpoint in it is replaced.
        model: a Keras model, or a `.keras`, `.h5` or `.tflite` file, from images of fixed size
            (B, height, width, 1 or 3) to probabilities (B, K).
        class_names: K names in the order of the outputs; loaders of class folders sort them.
        value_range: what the pixel values 0 and 255 became in training: (0, 255) if nothing was
            done to them or the model has a `Rescaling` layer, otherwise (0, 1), (-1, 1) and so on.
        task: what the classes are about: "emotion", "gender" or a word of your own.
        crop_margin: how far the training faces reached beyond the box of a face detector, as a
            fraction of the box.
        data: what the card says about the training faces.

    Returns:
        The card. Its preprocessor resizes, and converts to grey if the model has one channel.

    Raises:
        ValueError: if the model does not fit the other arguments, or does not return
            probabilities. One without a softmax at its end gets it by
            `keras.Model(model.inputs, keras.layers.Softmax()(model.output))`. Nothing is written
            then.
        TypeError: if it is neither a Keras model nor a path.
        FileNotFoundError: if there is no such file.
        FileExistsError: if the folder holds a training run.
    """
    refuse_run(folder)
    check_new_task(task)
    litert: bytes | None = None
    if isinstance(model, str | Path) and Path(model).suffix.lower() == ".tflite":
        engine = LiteRTEngine(model, num_classes=len(class_names))
        name, predict, litert = Path(model).stem, engine.predict, engine.content
        preprocessor = _preprocessor_of(name, (None, *engine.input_shape), value_range)
        parameters = 0
    else:
        if isinstance(model, str | Path):
            from minixception.checkpoints.keras_model import load_keras_file

            model = load_keras_file(model)
        if not hasattr(model, "predict_on_batch"):
            raise TypeError(
                f"`model` must be a Keras model, or the path of a file. Received: {model!r:.100}"
            )
        name, predict = model.name, model.predict_on_batch
        preprocessor = _preprocessor_of(name, getattr(model, "input_shape", None), value_range)
        if model.output_shape != (None, len(class_names)):
            raise ValueError(
                f"`model` must have an output for each of {', '.join(class_names)}. "
                f"Received: {name}, with the outputs {model.output_shape}"
            )
        parameters = model.count_params()
    card = Card(
        name=Path(folder).resolve().name,
        task=task,
        architecture=name,
        parameters=parameters,
        class_names=tuple(class_names),
        preprocessor=preprocessor,
        crop_margin=as_margin(crop_margin),
        data=dict(data or {}),
    )
    noise = np.random.default_rng(0).uniform(*value_range, (TRIED, *card.preprocessor.input_shape))
    images = noise.astype(np.float32)
    require_probabilities(np.asarray(predict(images)), (TRIED, len(class_names)), source=name)
    with atomic_folder(folder) as temporary:
        if litert is None:
            _write_keras(temporary, model, card, images)
        else:
            (temporary / LITERT_FILE).write_bytes(litert)
            write_card(temporary, card)
        _remove_others(Path(folder), written=temporary)
    return card


def try_out(
    model: keras.Model, *, class_names: Sequence[str], value_range: tuple[float, float]
) -> None:
    """Refuse a fresh network that could not be stored and exported once it is trained.

    Raises:
        ValueError: as in `make_checkpoint`.
    """
    with TemporaryDirectory() as folder:
        place = Path(folder, model.name)
        make_checkpoint(place, model, class_names=class_names, value_range=value_range)


def _remove_others(folder: Path, *, written: Path) -> None:
    """Remove files of an earlier checkpoint in a folder that the new one does not replace."""
    if (folder / CARD_FILE).exists():
        for name in CHECKPOINT_FILES:
            if not (written / name).exists():
                (folder / name).unlink(missing_ok=True)


def _preprocessor_of(name: str, shape: Any, value_range: tuple[float, float]) -> Preprocessor:
    """Return what prepares images for a model that takes (B, height, width, channels)."""
    is_open = [size is None for size in shape] if isinstance(shape, tuple) else []
    is_fixed = is_open == [True, False, False, False]
    if not is_fixed or min(shape[1:]) < 1 or shape[3] not in (1, 3):  # -1 is any size in LiteRT
        raise ValueError(
            "`model` must be built for any number of images of one size, "
            "keras.Input((height, width, channels)), with 1 or 3 channels. "
            f"Received: {name}, which takes {shape}"
        )
    _, height, width, channels = shape
    return Preprocessor((height, width), channels=channels, value_range=value_range)


def _write_keras(folder: Path, model: keras.Model, card: Card, images: NDArray[np.float32]) -> None:
    from minixception.checkpoints.export import export_beside
    from minixception.checkpoints.keras_model import Checkpoint, load_keras_file, save_checkpoint

    save_checkpoint(folder, model, card)
    try:
        loaded = Checkpoint(load_keras_file(folder / KERAS_FILE), card)
    except ValueError as error:
        raise ValueError(
            f"{model.name} cannot be stored, since it could not be loaded again: use only layers "
            "and functions of Keras"
        ) from error
    export_beside(folder, images, loaded)
