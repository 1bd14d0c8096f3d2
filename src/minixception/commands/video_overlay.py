"""What supports the label of a face, laid over it in a video."""

import argparse
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from minixception.commands.options import chosen_models

if TYPE_CHECKING:
    from minixception.inference.predictions import FacePrediction

Overlay = Callable[[NDArray[np.uint8], "Sequence[FacePrediction]"], NDArray[np.uint8]]
"""Returns a copy of a frame with a map over each face, of this frame alone."""


def add_overlay_argument(parser: argparse.ArgumentParser) -> None:
    """Declare `--explain`."""
    parser.add_argument(
        "--explain",
        nargs="?",
        const="emotion",
        metavar="TASK",
        help="lay over each face what supports its emotion, gender ...; needs Keras, which takes "
        "seconds to start, and adds about half the time of finding faces to each frame",
    )


def load_overlay(arguments: argparse.Namespace) -> Overlay | None:
    """Load what `--explain` asks for, None if it does not.

    Raises:
        FileNotFoundError: if the model has no `model.keras`.
        ValueError: if there is no model of that task, or it is damaged.
    """
    if not (task := arguments.explain):
        return None
    if task not in (models := chosen_models(arguments)):
        raise ValueError(
            f"--explain {task} needs a model of that task. Received: models of "
            f"{', '.join(models) or 'none'}"
        )
    from minixception.boxes import crop_box
    from minixception.checkpoints.card import read_card
    from minixception.checkpoints.shipped import find_model
    from minixception.drawing.explanations import draw_maps
    from minixception.explain import Explainer
    from minixception.images import crop

    folder = find_model(models[task], tasks=(task,))
    explainer, margin = Explainer.load(folder), read_card(folder).crop_margin

    def draw(image: NDArray[np.uint8], faces: "Sequence[FacePrediction]") -> NDArray[np.uint8]:
        boxes = [crop_box(face.box, margin, *image.shape[:2]) for face in faces]
        labels = [str(face.label(task)) for face in faces]
        maps = explainer.explain([crop(image, box) for box in boxes], labels).hires_cam
        return draw_maps(image, boxes, maps)

    return draw
