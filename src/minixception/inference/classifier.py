"""A model with its card: from face crops to probabilities and features."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from minixception.boxes import as_boxes
from minixception.checkpoints.card import Card
from minixception.checkpoints.engines import Engine, load_engine
from minixception.evaluation import with_temperature
from minixception.images import cut_face
from minixception.inference.sources import Picture, load_picture, separate
from minixception.labels import index_of

if TYPE_CHECKING:
    from minixception.datasets import FaceDataset

# Of a data set: prepared, the largest network's take 300 MB. A multiple of the engines' batches.
FACES_AT_A_TIME = 512


@dataclass(frozen=True)
class FaceClassifier:
    """A loaded model with its card: it crops, prepares and classifies as in training.

    >>> classifier = FaceClassifier.load("fer2013_mini_xception")
    >>> faces = np.zeros((2, 48, 48), np.uint8)  # or paths, bytes, Pillow pictures
    >>> classifier.predict(faces).shape, len(classifier.card.class_names)
    ((2, 7), 7)
    """

    card: Card
    engine: Engine

    @classmethod
    def load(
        cls, name_or_folder: str | PathLike[str], *, engine: str = "litert"
    ) -> "FaceClassifier":
        """Load a shipped model by its name, or a checkpoint folder; see `engines.load_engine`."""
        return cls(*load_engine(name_or_folder, engine=engine))

    def crop(
        self,
        image: NDArray[np.uint8],
        boxes: Iterable[Any],
        *,
        angles: Sequence[float] | None = None,
    ) -> list[NDArray[np.uint8]]:
        """Cut faces out of an RGB uint8 image (H, W, 3), with the margin of the card.

        `angles` are the degrees by which each face is turned clockwise, and turned back; None: 0.

        Raises:
            ValueError: if a box is not valid, see `boxes.as_boxes`, or lies outside the image.
        """
        found = as_boxes(boxes)
        turns = [0.0] * len(found) if angles is None else angles
        return [
            cut_face(image, box, self.card.crop_margin, angle=angle)
            for box, angle in zip(found, turns, strict=True)
        ]

    def classify(self, image: NDArray[np.uint8], boxes: Iterable[Any]) -> list[dict[str, float]]:
        """Return class name -> probability for each box; see `crop` for the arguments."""
        return self.name_scores(self.predict(self.crop(image, boxes)))

    def predict(
        self, crops: Picture | Iterable[Picture], *, bgr: bool = False
    ) -> NDArray[np.float32]:
        """Return probabilities (N, K), in the order of `card.class_names`, for N whole faces.

        The pictures are not searched for faces, and the margin of the card is not applied.

        Args:
            crops: pictures of one face each, of any size, colour or grey: an array (N, H, W, C) or
                (N, H, W), an iterable of whatever `load_picture` takes, or one of these.
            bgr: whether arrays are BGR, as OpenCV returns them.

        Raises:
            OSError, TypeError, ValueError: as in `inference.sources.load_picture`.
        """
        return self._predict(self._prepare(crops, bgr=bgr))

    def features(
        self, crops: Picture | Iterable[Picture], *, bgr: bool = False
    ) -> NDArray[np.float32]:
        """Return the features (N, D) of N faces; the arguments are those of `predict`.

        They are the input of the last convolution or dense layer, averaged over all positions: 128
        numbers for mini_xception. Keras computes them from the checkpoint's `model.keras`, whatever
        the engine; TensorFlow is imported at the first call.

        Raises:
            ImportError: without Keras.
            FileNotFoundError: if the checkpoint has no `model.keras`.
            OSError, TypeError, ValueError: as in `predict`, or if a custom engine has no features.
        """
        compute = getattr(self.engine, "features", None)
        if compute is None:
            name = type(self.engine).__name__
            raise ValueError(f"{name} has no features: load {self.card.name} by name or folder")
        return compute(self._prepare(crops, bgr=bgr))

    def _predict(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        return with_temperature(self.engine.predict(inputs), self.card.temperature)

    def name_scores(self, probabilities: NDArray[np.float32]) -> list[dict[str, float]]:
        """Return class name -> probability for each row of probabilities (N, K)."""
        names = self.card.class_names
        return [dict(zip(names, map(float, row), strict=True)) for row in probabilities]

    def _prepare(self, crops: Picture | Iterable[Picture], *, bgr: bool) -> NDArray[np.float32]:
        """Return float32 (N, height, width, channels); one at a time, pictures may be large."""
        prepare = self.card.preprocessor
        prepared = [prepare([load_picture(each, bgr=bgr)]) for each in separate(crops)]
        return np.concatenate(prepared) if prepared else prepare([])

    def predict_faces(self, faces: "FaceDataset", *, flip: bool = False) -> NDArray[np.float32]:
        """Return probabilities (N, K) for the faces of a data set, in its class order.

        Args:
            faces: labelled with the classes of this model, in any order.
            flip: average with the prediction on the mirror image.

        Raises:
            ValueError: if the classes differ.
        """
        names = self.card.class_names
        if len(names) != len(faces.class_names):
            raise ValueError(
                f"{self.card.name} knows {', '.join(names)}; {faces.name} is labelled with "
                f"{', '.join(faces.class_names)}. Choose a data set with the same classes."
            )
        # Classes are matched by name: their order belongs to the checkpoint.
        columns = [index_of(name, names) for name in faces.class_names]
        parts = []
        for start in range(0, len(faces) or 1, FACES_AT_A_TIME):
            inputs = self.card.preprocessor(faces.images[start : start + FACES_AT_A_TIME])
            views = map(np.ascontiguousarray, [inputs, inputs[:, :, ::-1]][: 1 + flip])
            parts.append(np.mean([self._predict(view) for view in views], axis=0))
        return np.concatenate(parts)[:, columns]
