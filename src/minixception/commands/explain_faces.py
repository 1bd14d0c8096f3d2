"""Show which parts of a face support its label, by the gradients of the network.

    python src/image_gradcam_demo.py photo.jpg
    python src/image_gradcam_demo.py photo.jpg --class surprise --output explained/
    python src/image_gradcam_demo.py holidays --task gender --output explained/

PATH is a file, a folder (searched recursively, in sorted order) or a quoted pattern, as in the
image demo. Each face gets its own picture, NAME_explained_1.png and so on from left to right: the
crop with the HiResCAM map over it, the probabilities, Grad-CAM, guided backpropagation and the
product of the last two. Maps are relative to their own peak: they show where, not how much or
why.

The gradients need Keras, which takes a few seconds to start. A picture without a face is not an
error; one that cannot be read is reported, the others are done, and the exit code is 1.
"""

import argparse
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from minixception.checkpoints.shipped import DEFAULT_MODELS, TASKS
from minixception.commands.options import add_detector_arguments, make_detector
from minixception.commands.outputs import check_folder, identity
from minixception.commands.picture_paths import find_files, paths_in_folder
from minixception.commands.picture_report import format_count
from minixception.labels import lacking
from minixception.locks import own_folder
from minixception.messages import one_line, with_reports

if TYPE_CHECKING:
    from minixception.explain import Explanation


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add = parser.add_argument
    add("pictures", nargs="+", type=Path, metavar="PATH", help="picture files, folders, patterns")
    add("--task", choices=TASKS, help="explain the default model of this task (default: emotion)")
    add(
        "--model",
        metavar="NAME_OR_FOLDER",
        help="shipped model or checkpoint folder (default: the image demo's model of the task)",
    )
    add(
        "--class",
        dest="class_name",
        metavar="NAME",
        help="the class to explain (default: the most probable one of each face)",
    )
    add(
        "--output",
        type=Path,
        metavar="FOLDER",
        help="where the pictures go (default: the current folder)",
    )
    add_detector_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Find the pictures and their faces, explain, draw, print; return the exit code."""
    from minixception.images import cut_face, read_image
    from minixception.inference.analyzer import FaceAnalyzer
    from minixception.inference.picture_files import analyze_file

    folder = _find_model(arguments)
    target = arguments.output or Path()
    check_folder(target, "--output")
    found = find_files(arguments.pictures, output=arguments.output)
    if not found.places:
        return 1
    outputs = paths_in_folder(
        found.places, target, ending="_explained", suffix=".png", spare=len("_9999")
    )
    taken = {identity(picture) for picture in found.places}
    analyzer = FaceAnalyzer(
        emotion=None, gender=None, detector=make_detector(arguments), upright=arguments.upright
    )
    explainer: Any = None
    failures = len(found.failures)
    with nullcontext() if arguments.output is None else own_folder(arguments.output):
        for picture, output in with_reports([*outputs.items()], "pictures explained"):
            result, image = analyze_file(analyzer, picture)
            if result.error is not None:
                failures += 1
                print(f"not done: {result.error}", file=sys.stderr)
                continue
            print(format_count(picture, result.faces))
            if not result.faces:
                continue
            image = read_image(picture) if image is None else image  # found in a smaller copy
            from minixception.explain import Explainer  # with Keras, once there is a face

            explainer = explainer or Explainer.load(folder)
            margin = explainer.crop_margin
            crops = [cut_face(image, each.box, margin, angle=each.angle) for each in result.faces]
            _draw(crops, explainer.explain(crops, arguments.class_name), output, taken)
    return 1 if failures else 0


def _find_model(arguments: argparse.Namespace) -> Path:
    """Return the checkpoint's folder; refuse another task, or a class that it does not know."""
    from minixception.checkpoints.card import read_card
    from minixception.checkpoints.shipped import find_model

    task = arguments.task
    tasks = TASKS if task is None else (task,)
    folder = find_model(arguments.model or DEFAULT_MODELS[task or "emotion"], tasks=tasks)
    card = read_card(folder)
    if task not in (None, card.task):
        raise ValueError(f"--task {task}: {card.name} is a model of the task {card.task}")
    name = arguments.class_name
    if name is not None and lacking([name], card.class_names):
        known = ", ".join(card.class_names)
        raise ValueError(f"--class must be one of {known}. Received: {name}")
    return folder


def _draw(
    faces: list[NDArray[np.uint8]], explanation: "Explanation", output: Path, taken: set[str]
) -> None:
    """Write a picture per face, and say where; none takes the place of one to read."""
    from minixception.drawing.explanations import draw_explanation
    from minixception.images import write_image

    for index, face in enumerate(faces):
        path = output.with_name(f"{output.stem}_{index + 1}.png")
        if identity(path) in taken:
            raise ValueError(f"{path} is a picture to read: choose another --output")
        write_image(path, draw_explanation(face, explanation, index))
        probability = explanation.scores[index, explanation.classes[index]]
        label = f"{explanation.explained[index]} {100 * probability:.0f} %"
        print(f"  {label}, written to {one_line(path)}")
