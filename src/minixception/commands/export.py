r"""Write a checkpoint as one file for another runtime, and compare it with the Keras model.

    python src/export_model.py fer2013_mini_xception --format onnx --output emotion.onnx
    python src/export_model.py fer2013_mini_xception --format litert-int8 --output small.tflite \
        --data datasets/fer2013/fer2013.csv

`litert` and `onnx` must agree with the Keras model in batches of 1, 7 and 64, or no file is
written. `litert-int8` computes with 8-bit numbers between float32 inputs and outputs; its ranges
are measured on training faces, and what it loses is printed for the validation split.
"""

import argparse
import importlib
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from minixception.cards import Card
    from minixception.datasets import FaceDataset

SUFFIXES = {"litert": ".tflite", "litert-int8": ".tflite", "onnx": ".onnx"}
ONNX_PACKAGES = ("tf2onnx", "onnxruntime")
CALIBRATION_FACES = 300


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("model", metavar="NAME_OR_FOLDER", help="shipped model or folder")
    parser.add_argument("--format", choices=SUFFIXES, required=True, help="what to write")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help="where to")
    parser.add_argument(
        "--dataset", help="litert-int8: name of the data set (default: that of the training)"
    )
    parser.add_argument(
        "--data", type=Path, help="litert-int8: its file or folder (default: in datasets/)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Export, compare, print; return the exit code."""
    from minixception.cards import read_card
    from minixception.paths import find_model

    folder = find_model(arguments.model)
    _check_arguments(arguments, folder)
    card = read_card(folder)
    if arguments.format == "litert-int8":
        _export_int8(folder, card, arguments)
    else:
        export = _export_onnx if arguments.format == "onnx" else _export_litert
        difference = export(folder, card, arguments.output)
        print(f"largest difference of a probability from the Keras model: {difference:.1e}")
    low, high = card.preprocessor.value_range
    shape = ", ".join(map(str, card.preprocessor.input_shape))
    centred = "" if card.preprocessor.mean is None else ", centred as its card says"
    print(
        f"written to {arguments.output} ({arguments.output.stat().st_size / 1000:.0f} kB)\n"
        f"input: float32 (B, {shape}), pixels scaled to [{low:g}, {high:g}]{centred}\n"
        f"output: probabilities of {', '.join(card.class_names)}"
    )
    return 0


def _check_arguments(arguments: argparse.Namespace, folder: Path) -> None:
    """Find out before the work what could not be done after it.

    Raises:
        ValueError: for another suffix, a folder, a device, the model of the checkpoint where that
            is to stay, or options that do not go together.
        OSError: if the folder of the file cannot be made or written to.
        ImportError: if packages for ONNX are missing.
    """
    from minixception.cards import LITERT_FILE
    from minixception.commands.outputs import check_file

    # Nobody would see from the checkpoint that its model computes with 8 bits.
    taken = folder / LITERT_FILE if arguments.format == "litert-int8" else None
    check_file(
        arguments.output,
        f"--output for --format {arguments.format}",
        suffixes=(SUFFIXES[arguments.format],),
        apart_from={"the float32 model of the checkpoint": taken},
    )
    given = [name for name in ("dataset", "data") if getattr(arguments, name) is not None]
    if given and arguments.format != "litert-int8":
        raise ValueError(
            f"--{given[0]} is for --format litert-int8, which measures ranges on training faces; "
            f"leave it out. Received: --format {arguments.format}"
        )
    missing = [name for name in ONNX_PACKAGES if importlib.util.find_spec(name) is None]
    if missing and arguments.format == "onnx":
        raise ImportError(
            f'--format onnx needs {" and ".join(missing)}. Run: pip install "minixception[onnx]"'
        )


def _export_litert(folder: Path, card: "Card", output: Path) -> float:
    """Write a float32 `.tflite` file; return the largest difference of a probability."""
    from minixception.checkpoints import export_litert

    return export_litert(folder, images=_noise(card), output=output)


def _export_onnx(folder: Path, card: "Card", output: Path) -> float:
    """Write an `.onnx` file; return the largest difference of a probability.

    Raises:
        ValueError: if it exceeds the tolerance of exports; then no file is written.
    """
    from minixception.checkpoints import largest_difference, load_checkpoint, require_equal
    from minixception.storage import atomic_path

    onnxruntime = importlib.import_module("onnxruntime")  # may be missing, to type checkers too
    model = load_checkpoint(folder).model
    with atomic_path(output) as path:
        model.export(path, format="onnx", verbose=False)
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        difference = largest_difference(
            lambda batch: session.run(None, {name: batch})[0], model, _noise(card)
        )
        require_equal(difference, what="The ONNX model", output=output)
    return difference


def _noise(card: "Card") -> NDArray[np.float32]:
    """Return as many prepared images as the largest batch needs."""
    from minixception.checkpoints import COMPARED_BATCHES

    generator = np.random.default_rng(0)
    shape = (max(COMPARED_BATCHES), *card.preprocessor.input_shape)
    return card.preprocessor(generator.integers(0, 256, shape, dtype=np.uint8))


def _export_int8(folder: Path, card: "Card", arguments: argparse.Namespace) -> None:
    """Write an 8-bit `.tflite` file; print the accuracies of both on the validation split."""
    from minixception.classifier import FaceClassifier
    from minixception.datasets import select_classes
    from minixception.datasets.registry import default_dataset, get_entry, load_dataset
    from minixception.engines import Engine, KerasEngine, LiteRTEngine
    from minixception.storage import atomic_path

    name = arguments.dataset or default_dataset(card.task, card.data)
    form = card.preprocessor
    dataset = load_dataset(name, arguments.data, image_size=form.image_size, channels=form.channels)
    dataset = select_classes(dataset, card.class_names)
    entry = get_entry(name)
    training, validation = (
        dataset.split(entry.training_split),
        dataset.split(entry.validation_split),
    )

    def accuracy(engine: Engine) -> float:
        probabilities = FaceClassifier(card, engine).predict_faces(validation)
        return float((probabilities.argmax(axis=1) == validation.labels).mean())

    before = accuracy(KerasEngine(folder))
    with atomic_path(arguments.output) as path:
        path.write_bytes(_quantized(folder, _calibration_faces(training, card)))
        after = accuracy(LiteRTEngine(path, num_classes=len(card.class_names)))
    print(
        f"accuracy on {dataset.name} {entry.validation_split}, {len(validation)} faces: "
        f"float32 {before:.4f}, int8 {after:.4f}, loss {100 * (before - after):.2f} points"
    )


def _calibration_faces(training: "FaceDataset", card: "Card") -> NDArray[np.float32]:
    count = min(CALIBRATION_FACES, len(training))
    rows = np.random.default_rng(0).choice(len(training), count, replace=False)
    return card.preprocessor(training.images[np.sort(rows)])


def _quantized(folder: Path, faces: NDArray[np.float32]) -> bytes:
    """Return the content of an 8-bit `.tflite` file whose ranges are measured on the faces."""
    import tensorflow as tf

    from minixception.checkpoints import load_checkpoint

    converter = tf.lite.TFLiteConverter.from_keras_model(load_checkpoint(folder).model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([face[np.newaxis]] for face in faces)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    return bytes(converter.convert())
