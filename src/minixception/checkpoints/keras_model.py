"""Checkpoint folders of Keras models: `model.keras`, `card.json`, `history.csv`, `model.tflite`."""

import json
import math
import threading
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import keras
import numpy as np

from minixception.bounds import check_shape
from minixception.checkpoints.card import (
    HISTORY_FILE,
    KERAS_FILE,
    LITERT_FILE,
    Card,
    read_card,
    refuse_run,
    write_card,
)
from minixception.checkpoints.model_files import (
    CONFIG_MEMBER,
    MOST_CALLS,
    check_config,
    check_model_file,
    private_copy,
)
from minixception.checkpoints.shipped import find_model, trained_models_folder
from minixception.files import atomic_folder, atomic_path
from minixception.messages import explain

# Options that Keras has got since 3.12, with what they do when left out. Nothing here sets them;
# an older Keras does not load a file that names one.
_NEW_OPTIONS: dict[str, Any] = {
    "input_axes": None,  # of initializers
    "output_axes": None,
    "renorm": False,  # of batch normalization
    "renorm_clipping": None,
    "renorm_momentum": 0.99,
}

_LOADING = threading.RLock()


@dataclass(frozen=True)
class Checkpoint:
    """A Keras model and its card."""

    model: keras.Model
    card: Card


def save_checkpoint(
    folder: str | Path, model: keras.Model, card: Card, history: Sequence[dict[str, float]] = ()
) -> None:
    """Write a checkpoint folder in one step: readers see the old files or the new ones.

    Args:
        folder: where to write; parents are created. A `model.tflite` in it is removed.
        model: with one input and one softmax output.
        card: must agree with the model.
        history: a row per epoch.

    Raises:
        ValueError: if card and model disagree, or the model has layers that are not Keras's own.
        FileExistsError: if the folder holds a training run.
        OSError: if the folder cannot be written.
    """
    refuse_run(folder)
    check_agreement(model, card, where=str(folder))
    write_checkpoint(folder, model, card, history)


def write_checkpoint(
    folder: str | Path, model: keras.Model, card: Any, history: Sequence[dict[str, float]]
) -> None:
    """Write what `save_checkpoint` writes, for a classifier or a detector."""
    with atomic_folder(folder) as temporary:
        save_keras_file(model, temporary / KERAS_FILE)
        write_history(temporary / HISTORY_FILE, history)
        write_card(temporary, card)
        (Path(folder) / LITERT_FILE).unlink(missing_ok=True)  # of other weights


def load_checkpoint(name_or_folder: str | PathLike[str]) -> Checkpoint:
    """Load a Keras model with its card, in safe mode (no code is run from the file).

    Args:
        name_or_folder: the name of a shipped model, or a checkpoint folder.

    Raises:
        FileNotFoundError: if the folder, the card or the model file is missing.
        ValueError: if a file is damaged, or card and model disagree.

    >>> checkpoint = load_checkpoint("fer2013_mini_xception")
    >>> checkpoint.model.output_shape, checkpoint.card.class_names[3]
    ((None, 7), 'happy')
    """
    folder = find_model(name_or_folder)
    card = read_card(folder)
    model = load_keras_file(folder / KERAS_FILE)
    check_agreement(model, card, where=str(folder))
    return Checkpoint(model, card)


def save_keras_file(model: keras.Model, path: str | Path) -> None:
    """Write a `.keras` file without optimizer that Keras 3.12 and later can load.

    A model that computes with 16 bits, as some are trained, will compute with 32, as LiteRT does.

    Raises:
        ValueError: if the model has layers that `load_keras_file` refuses, such as your own.
        OSError: if it cannot be written; then a file of that name stays as it was.
    """
    with atomic_path(path) as temporary:
        try:
            model.save(temporary, include_optimizer=False)
            with zipfile.ZipFile(temporary) as archive:
                members = {name: archive.read(name) for name in archive.namelist()}
            config = json.loads(members[CONFIG_MEMBER], object_hook=_portable)
            check_config(config)
        except OSError:
            raise
        except Exception as error:  # also of a layer of somebody's own, in its `get_config`
            raise ValueError(f"{model.name} cannot be stored: {explain(error)[:200]}") from error
        members[CONFIG_MEMBER] = json.dumps(config).encode()
        with zipfile.ZipFile(temporary, "w") as archive:
            for name, content in members.items():
                archive.writestr(name, content)


def _portable(entries: dict[str, Any]) -> dict[str, Any]:
    """Return the entries in float32, without those new options that are left at their defaults."""
    if entries.get("class_name") == "DTypePolicy" and "float" in entries["config"]["name"]:
        return {**entries, "config": {"name": "float32"}}
    return {
        key: value
        for key, value in entries.items()
        if key not in _NEW_OPTIONS or value != _NEW_OPTIONS[key]
    }


def load_keras_file(path: str | Path) -> keras.Model:
    """Load a `.keras` file, or the authors' `.hdf5`, without its optimizer, in safe mode.

    Raises:
        FileNotFoundError: if the file is missing.
        ValueError: if it is not a Keras model, or could run code, read other files or fill the
            memory; see `model_files.check_model_file`.
        OSError: if it cannot be read.
    """
    if not Path(path).is_file():
        is_shipped = trained_models_folder() in Path(path).resolve().parents
        note = " Packages leave out large model files: see trained_models/README.md of the source."
        raise FileNotFoundError(f"{path} does not exist, or is not a file.{note * is_shipped}")
    content = Path(path).read_bytes()
    try:
        suffix, parameters = check_model_file(content)
        # Keras takes a name, and chooses its reader by it: that of a copy.
        with private_copy(content, f"model{suffix}") as copy, at_most(parameters):
            model = keras.saving.load_model(copy, compile=False, safe_mode=True)
        if not all(np.isfinite(weights).all() for weights in model.get_weights()):
            raise ValueError("it has weights that are not finite numbers")  # which a ReLU may hide
        return model
    # Keras, zipfile and h5py raise many kinds for a damaged file.
    except Exception as error:
        reason = (str(error).strip() or repr(error)).splitlines()[0][:300]
        raise ValueError(
            f"{path} cannot be loaded as a Keras model (by Keras {keras.__version__}): {reason}"
        ) from error


@contextmanager
def at_most(parameters: int) -> Iterator[None]:
    """Limit the total number of parameters of the layers that this thread makes inside the block.

    Keras makes the whole network before it reads the first weight, so a line of text can ask for
    all memory. Every array passes through `Layer.add_weight`. What layers return is bounded too,
    since it needs no parameters, and so are the calls: models within models double them.

    Raises:
        ValueError: at the first array that is too much, before it is made; for a layer that takes
            or gives more than `LARGEST_LAYER` numbers for a face; or for more than `MOST_CALLS`.
    """
    thread, left, calls = threading.get_ident(), parameters, 0

    def add_weight(layer: keras.Layer, *args: Any, **options: Any) -> Any:
        nonlocal left
        if threading.get_ident() == thread:
            shape = args[0] if args else options.get("shape")
            left -= math.prod(shape or ())
            if left < 0:
                raise ValueError(
                    f"its network has more parameters than the {parameters} that the file holds: "
                    f"layer {layer.name[:40]} asks for {tuple(shape or ())}"
                )
        return make(layer, *args, **options)

    def call(layer: keras.Layer, *args: Any, **options: Any) -> Any:
        nonlocal calls
        if threading.get_ident() != thread:
            return run(layer, *args, **options)
        calls += 1
        if calls > MOST_CALLS:
            raise ValueError(f"its layers are called more than {MOST_CALLS} times")
        _require_bounded(layer, (args, options))
        result = run(layer, *args, **options)
        _require_bounded(layer, result)
        return result

    with _LOADING:
        make, run = keras.Layer.add_weight, keras.Layer.__call__
        keras.Layer.add_weight, keras.Layer.__call__ = add_weight, call
        try:
            yield
        finally:
            keras.Layer.add_weight, keras.Layer.__call__ = make, run


def _require_bounded(layer: keras.Layer, tensors: Any) -> None:
    for tensor in keras.tree.flatten(tensors):
        what = f"what its layer {layer.name[:40]} takes or returns"
        check_shape(what, getattr(tensor, "shape", ()))


def check_agreement(model: keras.Model, card: Card, *, where: str) -> None:
    """Raise ValueError if card and model disagree, naming both sides of the first difference."""
    card.check_input(tuple(model.input_shape[1:]), where=where)
    for what, said, had in (
        ("classes", len(card.class_names), model.output_shape[-1]),
        ("parameters", card.parameters, model.count_params()),
    ):
        if said != had:
            raise ValueError(
                f"Card and model disagree in {where}: the card has {said} {what}, the model {had}."
            )


def write_history(path: str | Path, history: Sequence[dict[str, float]]) -> None:
    """Write one CSV row per epoch, numbers with all their digits."""
    columns = list(history[0]) if history else ["epoch"]
    lines = [",".join(columns)]
    lines += [",".join(repr(row[column]) for column in columns) for row in history]
    with atomic_path(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
