r"""Write a checkpoint as one file for another runtime, and compare it with the Keras model.

    python src/export_model.py fer2013_mini_xception --output emotion.onnx
    python src/export_model.py fer2013_mini_xception --format litert-int8 --output small.tflite \
        --data datasets/fer2013/fer2013.csv

`litert` and `onnx` must agree with the Keras model in batches of 1, 7 and 64, or no file is
written. `litert-int8` computes in 8 bits between float32 inputs and outputs; its ranges are
measured on training faces, and its loss of accuracy on the validation split is printed.

The input is named `faces`, and the output of an ONNX file `probabilities`. An ONNX file also holds
what its users need from the card, as JSON: task, class_names, preprocessor, crop_margin and
temperature. No file applies the temperature; `minixception.evaluation.with_temperature` does:

    session = onnxruntime.InferenceSession("emotion.onnx")
    entries = session.get_modelmeta().custom_metadata_map
    class_names = json.loads(entries["class_names"])
    preprocess = minixception.Preprocessor.from_json(json.loads(entries["preprocessor"]))
    probabilities = session.run(["probabilities"], {"faces": preprocess(crops)})[0]
    probabilities = with_temperature(probabilities, json.loads(entries["temperature"]))
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from minixception.commands.outputs import check_file
from minixception.messages import counted, require

if TYPE_CHECKING:
    from minixception.checkpoints.card import Card

# Format -> what a file's name ends in.
SUFFIXES = {"litert": ".tflite", "onnx": ".onnx", "litert-int8": ".tflite"}
INT8 = "litert-int8"
ONNX_PACKAGES = ("tf2onnx", "onnxruntime")
CALIBRATION_FACES = 300
LARGEST_BATCH = 64  # that is compared with the Keras model


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add = parser.add_argument
    add("model", metavar="NAME_OR_FOLDER", help="shipped model or folder")
    formats = "what to write (default: litert for a file ending in .tflite, onnx for .onnx)"
    add("--format", choices=SUFFIXES, help=formats)
    add("--output", type=Path, required=True, metavar="FILE", help="file to write")
    fixed = (
        "litert, onnx: fix the number of faces in a batch, for runtimes in browsers and devices "
        "that require it (default: any number)"
    )
    add("--batch-size", type=int, metavar="FACES", help=fixed)
    add("--dataset", help="litert-int8: as for evaluate (default: the set it was trained on)")
    add("--data", type=Path, help="litert-int8: its file or folder (default: in datasets/)")


def run(arguments: argparse.Namespace) -> int:
    """Export, compare, print; return the exit code."""
    from minixception.checkpoints.card import read_card
    from minixception.checkpoints.shipped import find_model

    folder = find_model(arguments.model)
    arguments.format = arguments.format or _format_of(arguments.output)
    _check_arguments(arguments, folder)
    card = read_card(folder)
    if arguments.format == INT8:
        _export_int8(folder, card, arguments)
    else:
        from minixception.checkpoints.export import export_litert, export_onnx

        export = export_onnx if arguments.format == "onnx" else export_litert
        output, batch_size = arguments.output, arguments.batch_size
        size = (LARGEST_BATCH, *card.preprocessor.input_shape)
        noise = np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8)
        images = card.preprocessor(noise)
        difference = export(folder, images=images, output=output, batch_size=batch_size)
        print(f"largest difference of a probability from the Keras model: {difference:.1e}")
    low, high = card.preprocessor.value_range
    batch = "B" if arguments.batch_size is None else arguments.batch_size
    shape = ", ".join(map(str, card.preprocessor.input_shape))
    centred = "" if card.preprocessor.mean is None else ", centred as its card says"
    scaling = f", before the temperature {card.temperature:g}" if card.temperature != 1 else ""
    print(
        f"written to {arguments.output} ({arguments.output.stat().st_size / 1000:.0f} kB)\n"
        f"input: float32 ({batch}, {shape}), pixels scaled to [{low:g}, {high:g}]{centred}\n"
        f"output: probabilities of {', '.join(card.class_names)}{scaling}"
    )
    return 0


def _format_of(output: Path) -> str:
    for form, suffix in SUFFIXES.items():
        if output.suffix.lower() == suffix:
            return form
    raise ValueError(f"--output must be a file ending in .tflite or .onnx. Received: {output}")


def _check_arguments(arguments: argparse.Namespace, folder: Path) -> None:
    """Find out before the work what could not be done after it."""
    from minixception.checkpoints.card import LITERT_FILE

    form, batch_size = arguments.format, arguments.batch_size
    # Nobody would see from the checkpoint that its model computes with 8 bits or in fixed batches.
    special = form == INT8 or batch_size is not None
    taken = folder / LITERT_FILE if special else None
    suffixes, apart_from = (SUFFIXES[form],), {"the float32 model of the checkpoint": taken}
    option = f"--output for --format {form}"
    check_file(arguments.output, option, suffixes=suffixes, apart_from=apart_from)
    for name in ("batch_size",) if form == INT8 else ("dataset", "data"):
        if getattr(arguments, name) is not None:
            users = "litert and onnx" if form == INT8 else INT8
            option = f"--{name.replace('_', '-')}"
            raise ValueError(
                f"{option} is for --format {users}; leave it out. Received: --format {form}"
            )
    if batch_size is not None and not 1 <= batch_size <= LARGEST_BATCH:
        raise ValueError(
            f"--batch-size must lie between 1 and {LARGEST_BATCH}. Received: {batch_size}"
        )
    if form == "onnx":
        require(*ONNX_PACKAGES, what="--format onnx")


def _export_int8(folder: Path, card: "Card", arguments: argparse.Namespace) -> None:
    """Write an 8-bit `.tflite` file; print the accuracies of both on the validation split."""
    from minixception.checkpoints.engines import Engine, KerasEngine, LiteRTEngine
    from minixception.checkpoints.export import quantized
    from minixception.datasets import with_classes
    from minixception.files import atomic_path
    from minixception.inference.classifier import FaceClassifier
    from minixception.training.learned_faces import refuse_seen
    from minixception.training.scoring import load_for

    name, entry, dataset = load_for(card, arguments.dataset, arguments.data)
    refuse_seen(folder, name, dataset, entry, [entry.validation_split])
    dataset = with_classes(dataset, card.class_names)
    training, validation = map(dataset.split, (entry.training_split, entry.validation_split))

    def accuracy(engine: Engine) -> float:
        probabilities = FaceClassifier(card, engine).predict_faces(validation)
        return float((probabilities.argmax(axis=1) == validation.labels).mean())

    keras_engine = KerasEngine(folder)
    before = accuracy(keras_engine)
    count = min(CALIBRATION_FACES, len(training))
    rows = np.random.default_rng(0).choice(len(training), count, replace=False)
    calibration = card.preprocessor(training.images[np.sort(rows)])
    with atomic_path(arguments.output) as path:
        path.write_bytes(quantized(keras_engine.model, calibration))
        after = accuracy(LiteRTEngine(path, num_classes=len(card.class_names)))
    print(
        f"accuracy on {dataset.name} {entry.validation_split}, {counted(len(validation), 'face')}: "
        f"float32 {before:.4f}, int8 {after:.4f}, loss {100 * (before - after):.2f} points"
    )
