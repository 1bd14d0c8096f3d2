"""A second look at what may be a face: is it one, and by how many degrees is it turned?

A network of the family sees the box of a detector and answers with one of 24 rolls, or "none"; see
`datasets.candidates`. Detectors in two stages are as old as Viola and Jones; that the second one
also corrects the first is from MTCNN (Zhang et al. 2016, arXiv 1604.02878).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minixception.boxes import Box
from minixception.checkpoints.card import Card
from minixception.checkpoints.engines import Engine, load_engine
from minixception.checkpoints.shipped import ROLL_MODEL, find_model
from minixception.images import cut_face
from minixception.labels import NO_FACE

TASK = "roll"


@dataclass(frozen=True)
class FaceChecker:
    """Tells whether boxes show faces, and by how many degrees these are turned.

    >>> checker = FaceChecker.load()
    >>> shares, rolls = checker.check(np.zeros((100, 100, 3), np.uint8), [Box(20, 20, 60, 60)])
    >>> shares.shape, rolls.shape, bool(shares[0] < 0.5)
    ((1,), (1,), True)
    """

    card: Card
    engine: Engine

    @classmethod
    def load(
        cls, name_or_folder: str | Path = ROLL_MODEL, *, engine: str = "litert"
    ) -> "FaceChecker":
        """Load a shipped model by its name, or a checkpoint folder of the task "roll"."""
        return cls(*load_engine(find_model(name_or_folder, tasks=(TASK,)), engine=engine))

    def check(
        self, image: NDArray[Any], boxes: Sequence[Box]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the probability of a face, and its roll, for each box.

        Args:
            image: uint8 (H, W, 1) or RGB (H, W, 3).
            boxes: each with at least a pixel inside the image.

        Returns:
            float64 (N,) from 0 to 1; and float64 (N,), degrees clockwise from -180 to 180.
        """
        crops = [cut_face(image, box, self.card.crop_margin) for box in boxes]
        probabilities = self.engine.predict(self.card.preprocessor(crops)).astype(np.float64)
        names = self.card.class_names
        angles = np.array([float("nan") if name == NO_FACE else float(name) for name in names])
        is_roll = np.isfinite(angles)
        means = probabilities[:, is_roll] @ np.exp(1j * np.deg2rad(angles[is_roll]))
        return probabilities[:, is_roll].sum(axis=1), np.rad2deg(np.angle(means))
