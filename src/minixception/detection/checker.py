"""A second look at possible faces: is it a face, and by how many degrees is it turned?

A network of the family sees the box of a detector and answers with one of 24 rolls, or "none"; see
`datasets.candidates`. Detectors in two stages are as old as Viola and Jones; that the second one
also corrects the first is from MTCNN (Zhang et al. 2016, arXiv 1604.02878).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minixception.boxes import Box, clip
from minixception.checkpoints.card import Card
from minixception.checkpoints.engines import Engine, load_engine
from minixception.checkpoints.shipped import ROLL_MODEL, find_model
from minixception.evaluation import with_temperature
from minixception.images import cut_face
from minixception.labels import NO_FACE, ROLLS

TASK = "roll"

LEAST_TURN = 15.0
"""Degrees. The classifiers were trained on faces turned by up to 12. From 10 on, a fourth of the
photographs would be turned, and lose more than they gain."""

LEAST_SHARE = 0.5
"""Probability of a face; what has a lower one is not turned, and looked at in other frames."""

FRAMES = (0.65, 0.8, 1.25)
"""Sides of the other frames, in sides of the box."""

LEAST_SHARE_OF_FRAME = 0.75
"""Probability from which on another frame is better than the box."""


@dataclass(frozen=True)
class Look:
    """What the second look says of a box.

    Attributes:
        box: the frame that was looked at, inside the image.
        share: probability of a face, 0 to 1.
        roll: degrees by which it is turned clockwise, -180 to 180.
    """

    box: Box
    share: float
    roll: float


@dataclass(frozen=True)
class FaceChecker:
    """Tells whether boxes show faces, and by how many degrees these are turned.

    >>> checker = FaceChecker.load()
    >>> (look,) = checker.check(np.zeros((100, 100, 3), np.uint8), [Box(20, 20, 60, 60)])
    >>> look.box, look.share < 0.5
    (Box(x=20, y=20, width=60, height=60), True)
    """

    card: Card
    engine: Engine

    def __post_init__(self) -> None:
        """Refuse models that do not tell rolls."""
        if {*self.card.class_names} != {*ROLLS, NO_FACE}:
            raise ValueError(
                f"A checker must be a model with the classes {', '.join(ROLLS)} and {NO_FACE}. "
                f"Received: {self.card.name}, with {', '.join(self.card.class_names)}"
            )

    @classmethod
    def load(cls, name_or_folder: str | PathLike[str] = ROLL_MODEL) -> "FaceChecker":
        """Load a shipped model by its name, or a checkpoint folder of the task "roll", for LiteRT.

        Raises:
            FileNotFoundError: for an unknown name, or a folder without a checkpoint.
            ValueError: for a damaged checkpoint, or one with other classes.
        """
        return cls(*load_engine(find_model(Path(name_or_folder), tasks=(TASK,))))

    def turns(self, image: NDArray[Any], boxes: Sequence[Box]) -> list[float]:
        """Return by how many degrees to turn each face back; 0 leaves it as it is.

        The arguments are those of `check`.
        """
        return [
            look.roll if abs(look.roll) >= LEAST_TURN and look.share >= LEAST_SHARE else 0.0
            for look in self.check(image, boxes)
        ]

    def best_frames(
        self, image: NDArray[Any], boxes: Sequence[Box], *, likely: Sequence[bool]
    ) -> list[Look]:
        """Look at each box, and if a likely face is doubtful, at smaller and larger frames of it.

        Args:
            image: as for `check`.
            boxes: likewise.
            likely: for each box, whether other frames are tried where it hardly shows a face.

        Returns:
            For each box its look, or that at another frame if this surely shows a face.
        """
        looks = self.check(image, boxes)
        doubtful = [
            index for index, look in enumerate(looks) if likely[index] and look.share < LEAST_SHARE
        ]
        frames = [
            clip(_scaled(boxes[index], scale), *image.shape[:2])
            for index in doubtful
            for scale in FRAMES
        ]
        others = iter(self.check(image, frames))
        for index in doubtful:
            again = [next(others) for _ in FRAMES]
            best = max(again, key=lambda look: look.share)
            if best.share >= LEAST_SHARE_OF_FRAME:
                looks[index] = best
        return looks

    def check(self, image: NDArray[Any], boxes: Sequence[Box]) -> list[Look]:
        """Return a look at each box: whether it shows a face, and how far this is turned.

        Args:
            image: uint8 (H, W, 1) or RGB (H, W, 3).
            boxes: each with at least a pixel inside the image.
        """
        if not boxes:
            return []
        crops = [cut_face(image, box, self.card.crop_margin) for box in boxes]
        predicted = self.engine.predict(self.card.preprocessor(crops))
        probabilities = with_temperature(predicted, self.card.temperature).astype(np.float64)
        names = self.card.class_names
        of_rolls = probabilities[:, [names.index(name) for name in ROLLS]]
        means = of_rolls @ np.exp(1j * np.deg2rad(np.array(ROLLS, float)))
        shares, rolls = of_rolls.sum(axis=1).tolist(), np.rad2deg(np.angle(means)).tolist()
        return [Look(*each) for each in zip(boxes, shares, rolls, strict=True)]


def _scaled(box: Box, scale: float) -> Box:
    """Return a box of another size with the same middle."""
    width, height = round(box.width * scale), round(box.height * scale)
    left, top = box.x + (box.width - width) // 2, box.y + (box.height - height) // 2
    return Box(left, top, max(width, 1), max(height, 1))
