"""Write what the page needs of the package: models of fixed input, their cards, and the rules.

    python web/make_models.py web/dist/models

The runtime of browsers takes no input whose size is open, as that of the shipped model files is.
Classifiers take one face; the detector takes the size that the page writes into its file.
The rules are what the code of the package knows beside the cards, so that the page types no number
anew: how faces are looked for, told apart and followed, and in which colours emotions are drawn.
"""

import argparse
import inspect
import json
import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np

from minixception import __version__
from minixception.checkpoints.card import CARD_FILE, LITERT_FILE, read_card
from minixception.checkpoints.engines import LiteRTEngine
from minixception.checkpoints.shipped import (
    DEFAULT_MODELS,
    ROLL_MODEL,
    TASKS,
    find_model,
    shipped_models,
)
from minixception.commands import run_command
from minixception.commands.options import FILM_SIZES
from minixception.detection import cells, checker, network_detector, search
from minixception.detection.card import TASK as DETECTOR_TASK
from minixception.detection.cells import prepare_images
from minixception.detection.columns import FACE_COLUMNS
from minixception.drawing.faces import emotion_colour
from minixception.messages import hush
from minixception.video import tracking

# (height, width) in pixels that the detector is written for. The page puts that of its pictures in
# its place: such a network computes the same whatever the size.
WRITTEN_SIZE = (128, 128)
CHECKED_SIZE = (352, 864)


def write_classifiers(folder: Path) -> dict[str, list[str]]:
    """Write the shipped classifiers; return task -> names, that of the default first."""
    names: dict[str, list[str]] = {}
    for task in TASKS:
        shipped = shipped_models(task)
        names[task] = sorted(shipped, key=lambda name, task=task: name != DEFAULT_MODELS[task])  # type: ignore[misc]
        for checkpoint in shipped.values():
            write_classifier(checkpoint, folder)
    return names


def write_classifier(checkpoint: Path, folder: Path) -> None:
    """Write the model and the card of a classifier."""
    output = str(folder / f"{checkpoint.name}.tflite")
    options = ["--quiet", "--batch-size", "1", "--output", output]
    if run_command("export", [str(checkpoint), *options]):
        sys.exit(f"{checkpoint.name} cannot be exported")
    copy_card(checkpoint, folder / f"{checkpoint.name}.json")


def write_detector(folder: Path) -> dict[str, Any]:
    """Write the detector; return its name, and where sizes stand in its file.

    Its three maps are the outputs as they are, since rows of cells would have the size in them.

    Raises:
        ValueError: if the file, set to another size, gives other numbers than the shipped one.
    """
    import keras

    from minixception.checkpoints.export import litert_converter, require_equal
    from minixception.detector_training.export import load_detector_model

    checkpoint = find_model(network_detector.DETECTOR_MODEL, tasks=(DETECTOR_TASK,))
    model = load_detector_model(checkpoint)
    rows = model.get_layer("predictions").input
    maps = [each._keras_history.operation.input for each in rows]
    converter = litert_converter(keras.Model(model.input, maps), 1, WRITTEN_SIZE)
    content = bytearray(converter.convert())
    places = places_of_sizes(content)
    output = folder / f"{checkpoint.name}.tflite"
    output.write_bytes(content)
    difference = difference_from_shipped(checkpoint, resized(content, places, CHECKED_SIZE))
    require_equal(difference, what="The detector of the page", output=output)
    copy_card(checkpoint, folder / f"{checkpoint.name}.json")
    return {"name": checkpoint.name, "places_of_sizes": places}


def places_of_sizes(content: bytearray) -> list[tuple[int, int]]:
    """Return where in a model's file the height of a map stands, and its stride.

    The width follows the height: both are whole numbers of four bytes.
    """
    from tensorflow.lite.python import schema_py_generated as schema

    strides = {WRITTEN_SIZE[0] // stride: stride for stride in (1, 2, 4, 8, 16, 32)}
    graph = schema.Model.GetRootAs(content, 0).Subgraphs(0)
    places = []
    for tensor in map(graph.Tensors, range(graph.TensorsLength())):
        shape = tensor.ShapeAsNumpy()
        if tensor.ShapeLength() == 4 and shape[0] == 1 and shape[1] == shape[2] in strides:
            start = tensor._tab.Vector(tensor._tab.Offset(4))  # `shape`, the first field
            places.append((start + 4, strides[int(shape[1])]))
    return places


def resized(content: bytearray, places: list[tuple[int, int]], size: tuple[int, int]) -> bytes:
    """Return the file of a model that takes another size."""
    changed = bytearray(content)
    for place, stride in places:
        struct.pack_into("<2i", changed, place, *(side // stride for side in size))
    return bytes(changed)


def difference_from_shipped(checkpoint: Path, content: bytes) -> float:
    """Return the largest difference from the shipped file's output."""
    from ai_edge_litert.interpreter import Interpreter

    noise = np.random.default_rng(0).integers(0, 256, (1, *CHECKED_SIZE), dtype=np.uint8)
    inputs = prepare_images(noise)
    shipped = LiteRTEngine(checkpoint / LITERT_FILE, num_classes=FACE_COLUMNS).run(inputs)
    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], inputs)
    interpreter.invoke()
    maps = [interpreter.get_tensor(each["index"]) for each in interpreter.get_output_details()]
    rows = [each.reshape(1, -1, FACE_COLUMNS) for each in sorted(maps, key=np.size)[::-1]]
    return float(np.abs(np.concatenate(rows, axis=1) - shipped).max())


def copy_card(checkpoint: Path, target: Path) -> None:
    """Copy a card in one line."""
    card = json.loads((checkpoint / CARD_FILE).read_text(encoding="utf-8"))
    target.write_text(json.dumps(card), encoding="utf-8")


def rules() -> dict[str, Any]:
    """Return what the code of the package knows beside the cards."""
    low, high = prepare_images(np.array([[[0, 255]]], np.uint8)).ravel()
    tracker = inspect.signature(tracking.FaceTracker).parameters
    return {
        "detector": {
            "value_range": (float(low), float(high)),
            "face_pixels": network_detector.FACE_PIXELS,
            "smallest_face": search.SMALLEST_FACE,
            "overview": network_detector.OVERVIEW,
            "largest_pixels": network_detector.LARGEST_PIXELS,
            "small_picture": network_detector.SMALL_PICTURE,
            "most_enlarged": network_detector.MOST_ENLARGED,
            "most_overlap": cells.MOST_OVERLAP,
            "part_of_face": cells.PART_OF_FACE,
            "most_candidates": cells.MOST_CANDIDATES,
            "score_threshold": network_detector.SCORE_THRESHOLD,
            "close_up": network_detector.CLOSE_UP,
            "close_threshold": network_detector.CLOSE_THRESHOLD,
            "likely": network_detector.LIKELY,
            "checker_power": network_detector.CHECKER_POWER,
            "surest": network_detector.SUREST,
            "turned_side": network_detector.TURNED_SIDE,
            "lying_threshold": network_detector.LYING_THRESHOLD,
            "same_middle": network_detector.SAME_MIDDLE,
            "film_size": FILM_SIZES["mini_xception"],
        },
        "checker": {
            "name": ROLL_MODEL,
            "least_turn": checker.LEAST_TURN,
            "least_share": checker.LEAST_SHARE,
            "frames": checker.FRAMES,
            "least_share_of_frame": checker.LEAST_SHARE_OF_FRAME,
        },
        "tracking": {
            "smallest_overlap": tracking.SMALLEST_OVERLAP,
            "speed_seconds": tracking.SPEED_SECONDS,
            "smoothing_seconds": tracker["smoothing_seconds"].default,
            "lost_after_seconds": tracker["lost_after_seconds"].default,
        },
        "colours": {
            name: emotion_colour(name)
            for checkpoint in shipped_models("emotion").values()
            for name in read_card(checkpoint).class_names
        },
    }


def main() -> None:
    """Write everything."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="where to; it is made")
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    hush()
    content = {"version": __version__, "models": write_classifiers(folder), **rules()}
    content["detector"] |= write_detector(folder)
    write_classifier(find_model(ROLL_MODEL, tasks=(checker.TASK,)), folder)
    (folder / "rules.json").write_text(json.dumps(content, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
