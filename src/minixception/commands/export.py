r"""Write a checkpoint as one file for another runtime, and compare it with the Keras model.

    python src/export_model.py fer2013_mini_xception --output emotion.onnx
    python src/export_model.py fer2013_mini_xception --format litert-int8 --output small.tflite \
        --data datasets/fer2013/fer2013.csv

`litert` and `onnx` must agree with the Keras model in batches of 1, 7 and 64, or no file is
written. `litert-int8` computes with 8-bit numbers between float32 inputs and outputs; its ranges
are measured on training faces, and what it loses is printed for the validation split.

The input is named `faces`, the output of an ONNX file `probabilities`. An ONNX file also holds
what its users need from the card, as JSON texts: task, class_names, preprocessor, crop_margin.

    entries = onnxruntime.InferenceSession("emotion.onnx").get_modelmeta().custom_metadata_map
    class_names = json.loads(entries["class_names"])
    preprocess = minixception.Preprocessor.from_json(json.loads(entries["preprocessor"]))
"""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from minixception.checkpoints.card import Card
    from minixception.datasets import FaceDataset

SUFFIXES = {"litert": ".tflite", "onnx": ".onnx", "litert-int8": ".tflite"}
ONNX_PACKAGES = ("tf2onnx", "onnxruntime")
ONNX_ENTRIES = ("task", "class_names", "preprocessor", "crop_margin")  # of the card
CALIBRATION_FACES = 300


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("model", metavar="NAME_OR_FOLDER", help="shipped model or folder")
    parser.add_argument(
        "--format",
        choices=SUFFIXES,
        help="what to write (default: litert for a file ending in .tflite, onnx for .onnx)",
    )
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help="where to")
    parser.add_argument(
        "--batch-size",
        type=int,
        metavar="FACES",
        help="litert, onnx: take exactly so many faces at once, for runtimes in browsers and "
        "devices that need a fixed number (default: any number)",
    )
    parser.add_argument(
        "--dataset", help="litert-int8: name of the data set (default: that of the training)"
    )
    parser.add_argument(
        "--data", type=Path, help="litert-int8: its file or folder (default: in datasets/)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Export, compare, print; return the exit code."""
    from minixception.checkpoints.card import read_card
    from minixception.checkpoints.shipped import find_model

    folder = find_model(arguments.model)
    arguments.format = arguments.format or _format_of(arguments.output)
    _check_arguments(arguments, folder)
    card = read_card(folder)
    if arguments.format == "litert-int8":
        _export_int8(folder, card, arguments)
    else:
        export = _export_onnx if arguments.format == "onnx" else _export_litert
        difference = export(folder, card, arguments.output, arguments.batch_size)
        print(f"largest difference of a probability from the Keras model: {difference:.1e}")
    low, high = card.preprocessor.value_range
    batch = "B" if arguments.batch_size is None else arguments.batch_size
    shape = ", ".join(map(str, card.preprocessor.input_shape))
    centred = "" if card.preprocessor.mean is None else ", centred as its card says"
    print(
        f"written to {arguments.output} ({arguments.output.stat().st_size / 1000:.0f} kB)\n"
        f"input: float32 ({batch}, {shape}), pixels scaled to [{low:g}, {high:g}]{centred}\n"
        f"output: probabilities of {', '.join(card.class_names)}"
    )
    return 0


def _format_of(output: Path) -> str:
    """Return the format that the suffix stands for."""
    for form, suffix in SUFFIXES.items():
        if output.suffix.lower() == suffix:
            return form
    raise ValueError(f"--output must be a file ending in .tflite or .onnx. Received: {output}")


def _check_arguments(arguments: argparse.Namespace, folder: Path) -> None:
    """Find out before the work what could not be done after it."""
    from minixception.checkpoints.card import LITERT_FILE
    from minixception.commands.outputs import check_file
    from minixception.messages import require

    # Nobody would see from the checkpoint that its model computes with 8 bits or in fixed batches.
    special = arguments.format == "litert-int8" or arguments.batch_size is not None
    taken = folder / LITERT_FILE if special else None
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
    if arguments.batch_size is not None:
        _check_batch_size(arguments)
    if arguments.format == "onnx":
        require(*ONNX_PACKAGES, what="--format onnx")


def _check_batch_size(arguments: argparse.Namespace) -> None:
    from minixception.checkpoints.export import COMPARED_BATCHES

    if arguments.format == "litert-int8":
        raise ValueError(
            "--batch-size is for --format litert and onnx; leave it out. "
            "Received: --format litert-int8"
        )
    if not 1 <= arguments.batch_size <= max(COMPARED_BATCHES):
        raise ValueError(
            f"--batch-size must lie between 1 and {max(COMPARED_BATCHES)}. "
            f"Received: --batch-size {arguments.batch_size}"
        )


def _export_litert(folder: Path, card: "Card", output: Path, batch_size: int | None) -> float:
    """Write a float32 `.tflite` file; return the largest difference of a probability."""
    from minixception.checkpoints.export import export_litert

    return export_litert(folder, images=_noise(card), output=output, batch_size=batch_size)


def _export_onnx(folder: Path, card: "Card", output: Path, batch_size: int | None) -> float:
    """Write an `.onnx` file; return the largest difference of a probability."""
    import onnxruntime

    from minixception.checkpoints.export import (
        COMPARED_BATCHES,
        export_signature,
        largest_difference,
        require_equal,
    )
    from minixception.checkpoints.keras_model import load_checkpoint
    from minixception.files import atomic_path

    model = load_checkpoint(folder).model
    with atomic_path(output) as path:
        # Without a signature Keras 3.15 refuses a model that has been loaded and not yet called.
        signature = export_signature(model, batch_size)
        model.export(path, format="onnx", verbose=False, input_signature=signature)
        _describe_onnx(path, card)
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        difference = largest_difference(
            lambda batch: session.run(["probabilities"], {"faces": batch})[0],
            model,
            _noise(card),
            [batch_size] if batch_size else COMPARED_BATCHES,
        )
        require_equal(difference, what="The ONNX model", output=output)
    return difference


def _describe_onnx(path: Path, card: "Card") -> None:
    """Name the output of an ONNX file and its open dimension, and add entries of the card."""
    import onnx

    model = onnx.load(path)
    graph = model.graph
    named = graph.output[0].name
    graph.output[0].name = "probabilities"
    for node in graph.node:
        for index, name in enumerate(node.output):
            if name == named:
                node.output[index] = "probabilities"
    for value in (graph.input[0], graph.output[0]):
        count = value.type.tensor_type.shape.dim[0]
        if not count.dim_value:
            count.dim_param = "batch"
    entries = card.to_json()
    onnx.helper.set_model_props(model, {name: json.dumps(entries[name]) for name in ONNX_ENTRIES})
    onnx.save(model, path)


def _noise(card: "Card") -> NDArray[np.float32]:
    """Return as many prepared images as the largest batch needs."""
    from minixception.checkpoints.export import COMPARED_BATCHES

    generator = np.random.default_rng(0)
    shape = (max(COMPARED_BATCHES), *card.preprocessor.input_shape)
    return card.preprocessor(generator.integers(0, 256, shape, dtype=np.uint8))


def _export_int8(folder: Path, card: "Card", arguments: argparse.Namespace) -> None:
    """Write an 8-bit `.tflite` file; print the accuracies of both on the validation split."""
    from minixception.checkpoints.engines import Engine, KerasEngine, LiteRTEngine
    from minixception.datasets import select_classes
    from minixception.datasets.registry import default_dataset, get_entry, load_dataset
    from minixception.files import atomic_path
    from minixception.inference.classifier import FaceClassifier

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

    from minixception.checkpoints.export import litert_converter
    from minixception.checkpoints.keras_model import load_checkpoint

    with litert_converter(load_checkpoint(folder).model) as converter:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([face[np.newaxis]] for face in faces)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        return bytes(converter.convert())
