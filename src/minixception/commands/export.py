r"""Write a checkpoint as one file for another runtime, and compare it with the Keras model.

    python src/export_model.py fer2013_mini_xception --output emotion.onnx
    python src/export_model.py fer2013_mini_xception --format litert-int8 --output small.tflite \
        --data datasets/fer2013/fer2013.csv

`litert` and `onnx` must agree with the Keras model in batches of 1, 7 and 64, or no file is
written. `litert-int8` computes in 8 bits between float32 inputs and outputs; its ranges are
measured on training faces, and its loss of accuracy on the validation split is printed.

The input is named `faces`, the output of an ONNX file `probabilities`. An ONNX file also holds
what its users need from the card, as JSON texts: task, class_names, preprocessor, crop_margin.

    entries = onnxruntime.InferenceSession("emotion.onnx").get_modelmeta().custom_metadata_map
    class_names = json.loads(entries["class_names"])
    preprocess = minixception.Preprocessor.from_json(json.loads(entries["preprocessor"]))
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from minixception.checkpoints.card import Card
    from minixception.datasets import FaceDataset

SUFFIXES = {"litert": ".tflite", "onnx": ".onnx", "litert-int8": ".tflite"}
ONNX_PACKAGES = ("tf2onnx", "onnxruntime")
CALIBRATION_FACES = 300
LARGEST_BATCH = 64  # that is compared with the Keras model


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("model", metavar="NAME_OR_FOLDER", help="shipped model or folder")
    parser.add_argument(
        "--format",
        choices=SUFFIXES,
        help="what to write (default: litert for a file ending in .tflite, onnx for .onnx)",
    )
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help="file to write")
    parser.add_argument(
        "--batch-size",
        type=int,
        metavar="FACES",
        help="litert, onnx: fix the number of faces in a batch, for runtimes in browsers and "
        "devices that require it (default: any number)",
    )
    parser.add_argument(
        "--dataset", help="litert-int8: name of the data set (default: the one it was trained on)"
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
        from minixception.checkpoints.export import export_litert, export_onnx

        export = export_onnx if arguments.format == "onnx" else export_litert
        output, batch_size = arguments.output, arguments.batch_size
        difference = export(folder, images=_noise(card), output=output, batch_size=batch_size)
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
    if arguments.batch_size is not None and arguments.format == "litert-int8":
        raise ValueError(
            "--batch-size is for --format litert and onnx; leave it out. "
            "Received: --format litert-int8"
        )
    if arguments.batch_size is not None and not 1 <= arguments.batch_size <= LARGEST_BATCH:
        raise ValueError(
            f"--batch-size must lie between 1 and {LARGEST_BATCH}. "
            f"Received: --batch-size {arguments.batch_size}"
        )
    if arguments.format == "onnx":
        require(*ONNX_PACKAGES, what="--format onnx")


def _noise(card: "Card") -> NDArray[np.float32]:
    """Return as many prepared images as the largest batch needs."""
    generator = np.random.default_rng(0)
    shape = (LARGEST_BATCH, *card.preprocessor.input_shape)
    return card.preprocessor(generator.integers(0, 256, shape, dtype=np.uint8))


def _export_int8(folder: Path, card: "Card", arguments: argparse.Namespace) -> None:
    """Write an 8-bit `.tflite` file; print the accuracies of both on the validation split."""
    from minixception.checkpoints.engines import Engine, KerasEngine, LiteRTEngine
    from minixception.checkpoints.export import quantized
    from minixception.datasets import select_classes
    from minixception.datasets.registry import default_dataset, get_entry, load_dataset
    from minixception.files import atomic_path
    from minixception.inference.classifier import FaceClassifier

    name = arguments.dataset or default_dataset(card.task, card.data)
    form = card.preprocessor
    dataset = load_dataset(name, arguments.data, image_size=form.image_size, channels=form.channels)
    dataset = select_classes(dataset, card.class_names)
    entry = get_entry(name)
    training, validation = map(dataset.split, (entry.training_split, entry.validation_split))

    def accuracy(engine: Engine) -> float:
        probabilities = FaceClassifier(card, engine).predict_faces(validation)
        return float((probabilities.argmax(axis=1) == validation.labels).mean())

    before = accuracy(KerasEngine(folder))
    with atomic_path(arguments.output) as path:
        path.write_bytes(quantized(folder, _calibration_faces(training, card)))
        after = accuracy(LiteRTEngine(path, num_classes=len(card.class_names)))
    print(
        f"accuracy on {dataset.name} {entry.validation_split}, {len(validation)} faces: "
        f"float32 {before:.4f}, int8 {after:.4f}, loss {100 * (before - after):.2f} points"
    )


def _calibration_faces(training: "FaceDataset", card: "Card") -> NDArray[np.float32]:
    count = min(CALIBRATION_FACES, len(training))
    rows = np.random.default_rng(0).choice(len(training), count, replace=False)
    return card.preprocessor(training.images[np.sort(rows)])
