"""What speaks for the label of a face, laid over it in a video."""

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from minixception.commands.options import chosen_models

if TYPE_CHECKING:
    from minixception.boxes import CropMargin
    from minixception.explain import Explainer
    from minixception.inference.predictions import FacePrediction


def add_overlay_argument(parser: argparse.ArgumentParser) -> None:
    """Declare `--explain`."""
    parser.add_argument(
        "--explain",
        nargs="?",
        const="emotion",
        metavar="TASK",
        help="lay over each face what speaks for its emotion, gender ...; needs Keras, which takes "
        "seconds to start, and per frame about half the time of finding faces",
    )


def load_overlay(arguments: argparse.Namespace) -> "Overlay | None":
    """Load what `--explain` asks for, None if it does not.

    Raises:
        FileNotFoundError, ValueError: if the model has no `model.keras`, or that is damaged.
    """
    if not arguments.explain:
        return None
    from minixception.checkpoints.card import read_card
    from minixception.checkpoints.shipped import find_model
    from minixception.explain import Explainer

    task = arguments.explain
    folder = find_model(chosen_models(arguments)[task], tasks=(task,))
    return Overlay(Explainer.load(folder), read_card(folder).crop_margin, task)


class Overlay:
    """Explains the labels of the faces in a frame.

    Args:
        explainer: of the model that gave the labels.
        margin: from its card.
        task: of that model.
    """

    def __init__(self, explainer: "Explainer", margin: "CropMargin", task: str) -> None:
        self._explainer = explainer
        self._margin = margin
        self._task = task

    def draw(
        self, image: NDArray[np.uint8], faces: "Sequence[FacePrediction]"
    ) -> NDArray[np.uint8]:
        """Return a copy of a frame with a map over each face, of this frame alone."""
        from minixception.boxes import crop_box
        from minixception.drawing.explanations import draw_maps
        from minixception.images import crop

        boxes = [crop_box(face.box, self._margin, *image.shape[:2]) for face in faces]
        crops = [crop(image, box) for box in boxes]
        explanation = self._explainer.explain(
            crops, [str(face.label(self._task)) for face in faces]
        )
        return draw_maps(image, boxes, explanation.hires_cam)
