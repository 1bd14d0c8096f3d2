"""Show which parts of a face support its label, by the gradients of the network.

    python src/image_gradcam_demo.py photo.jpg
    python src/image_gradcam_demo.py photo.jpg --class surprise --output explained/
    python src/image_gradcam_demo.py holidays --task gender --output explained/

PATH is a file, a folder (searched recursively, in sorted order) or a quoted pattern, as in the
image demo. Each face gets its own picture, NAME_explained_1.png and so on from left to right: the
crop with the HiResCAM map over it, the probabilities, Grad-CAM, guided backpropagation and the
product of the last two. Maps are relative to their own peak: they show where, not how much, and
not why.

The gradients need Keras, which takes a few seconds to start. A picture without a face is not an
error; one that cannot be read is reported, the others are done, and the exit code is 1.
"""

import argparse
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from minixception.checkpoints.shipped import DEFAULT_MODELS, TASKS
from minixception.commands.options import add_detector_arguments, make_detector
from minixception.commands.picture_jobs import failure_of
from minixception.commands.picture_paths import find_pictures, paths_in_folder
from minixception.commands.picture_report import tell_of_search
from minixception.files import sole_writer
from minixception.messages import one_line

if TYPE_CHECKING:
    from minixception.checkpoints.card import Card
    from minixception.detection.search import FaceDetector
    from minixception.explain import Explainer


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "pictures", nargs="+", type=Path, metavar="PATH", help="picture files, folders, patterns"
    )
    parser.add_argument(
        "--task", choices=TASKS, help="what to explain (default: the task of --model, or emotion)"
    )
    parser.add_argument(
        "--model",
        metavar="NAME_OR_FOLDER",
        help="shipped model or checkpoint folder (default: the image demo's model of the task)",
    )
    parser.add_argument(
        "--class",
        dest="class_name",
        metavar="NAME",
        help="the class to explain (default: the most probable one of each face)",
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FOLDER",
        help="where the pictures go (default: the current folder)",
    )
    add_detector_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Find the pictures and their faces, explain, draw, print; return the exit code."""
    folder, card = _find_model(arguments)
    _check_arguments(arguments, card)
    found = find_pictures(arguments.pictures, output=arguments.output)
    tell_of_search(found)
    if not found.places:
        return 1
    job = _Job(arguments, folder, card, found.places)
    outputs = paths_in_folder(
        found.places,
        arguments.output or Path(),
        ending="_explained",
        suffix=".png",
        spare=len("_9999"),
    )
    with sole_writer(*filter(None, [arguments.output])):
        is_done = [job.do(picture, output) for picture, output in outputs.items()]
    return 0 if all(is_done) and not found.failures else 1


def _find_model(arguments: argparse.Namespace) -> "tuple[Path, Card]":
    """Return the checkpoint's folder and card."""
    from minixception.checkpoints.card import read_card
    from minixception.checkpoints.shipped import find_model

    task = arguments.task
    tasks = TASKS if task is None else (task,)
    folder = find_model(arguments.model or DEFAULT_MODELS[task or "emotion"], tasks=tasks)
    card = read_card(folder)
    if task not in (None, card.task):
        raise ValueError(
            f"--model must be a model of the task {task}. Received: {card.name}, whose card says "
            f"{card.task}; leave out --task"
        )
    return folder, card


def _check_arguments(arguments: argparse.Namespace, card: "Card") -> None:
    """Find out before the work what could not be done after it."""
    from minixception.commands.outputs import check_folder
    from minixception.labels import index_of

    if arguments.class_name is not None:
        try:
            index_of(arguments.class_name, card.class_names)
        except ValueError as error:
            raise ValueError(
                f"--class must be one of {', '.join(card.class_names)}. "
                f"Received: {arguments.class_name}"
            ) from error
    check_folder(arguments.output or Path(), "--output")


class _Job:
    """What all pictures share. Keras is loaded when the first face has been found."""

    def __init__(
        self, arguments: argparse.Namespace, folder: Path, card: "Card", pictures: Iterable[Path]
    ) -> None:
        self._pictures = {os.path.realpath(picture): picture for picture in pictures}
        self._detector: FaceDetector = make_detector(arguments)
        self._class_name: str | None = arguments.class_name
        self._folder = folder
        self._card = card
        self._explainer: Explainer | None = None

    def do(self, picture: Path, output: Path) -> bool:
        """Explain the faces of a picture; return False, and say why, if it cannot be read."""
        import cv2

        from minixception.boxes import crop_box
        from minixception.checkpoints.engines import BrokenModelError
        from minixception.images import crop, read_image

        try:
            image = read_image(picture)
            boxes = self._detector.detect(image)
        except BrokenModelError:
            raise
        except (OSError, ValueError, MemoryError, cv2.error) as error:
            print(f"not done: {failure_of(picture, error)}", file=sys.stderr)
            return False
        if not boxes:
            print(f"{one_line(picture)}: no face found")
            return True
        margin, size = self._card.crop_margin, image.shape[:2]
        self._draw(picture, [crop(image, crop_box(box, margin, *size)) for box in boxes], output)
        return True

    def _draw(self, picture: Path, faces: list[NDArray[np.uint8]], output: Path) -> None:
        from minixception.drawing.explanations import draw_explanation
        from minixception.explain import Explainer
        from minixception.images import write_image

        if self._explainer is None:
            self._explainer = Explainer.load(self._folder)
        explanation = self._explainer.explain(faces, self._class_name)
        print(f"{one_line(picture)}: {len(faces)} face{'s' if len(faces) > 1 else ''}")
        for index, face in enumerate(faces):
            path = output.with_name(f"{output.stem}_{index + 1}.png")
            if os.path.realpath(path) in self._pictures:
                raise ValueError(f"{path} is a picture to read: choose another --output")
            write_image(path, draw_explanation(face, explanation, index))
            probability = explanation.scores[index, explanation.classes[index]]
            label = f"{explanation.explained[index]} {100 * probability:.0f} %"
            print(f"  {label}, written to {one_line(path)}")
