"""From a picture to predictions: find the faces, crop them, classify all of them in one batch."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from minixception.boxes import Box, crop_box
from minixception.cards import Card
from minixception.detector import FaceDetector, load_detector
from minixception.engines import Engine, load_engine
from minixception.images import as_rgb, crop, read_image
from minixception.labels import index_of
from minixception.paths import DEFAULT_EMOTION_MODEL, DEFAULT_GENDER_MODEL, find_model

if TYPE_CHECKING:
    import pandas

    from minixception.datasets import FaceDataset

Picture = str | PathLike[str] | NDArray[Any]


@dataclass(frozen=True)
class FacePrediction:
    """What is said about one face.

    Attributes:
        box: (x, y, width, height) in pixels of the upright picture.
        emotion: the most probable class, or None without an emotion model.
        emotion_scores: class name -> probability, in the model's class order.
        gender: likewise.
        gender_scores: likewise.
    """

    box: Box
    emotion: str | None = None
    emotion_scores: Mapping[str, float] = field(default_factory=dict)
    gender: str | None = None
    gender_scores: Mapping[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "box": [int(number) for number in self.box],  # a detector may give NumPy's integers
            "emotion": self.emotion,
            "emotion_scores": dict(self.emotion_scores),
            "gender": self.gender,
            "gender_scores": dict(self.gender_scores),
        }


@dataclass(frozen=True)
class FaceClassifier:
    """A loaded model with its card: it crops, prepares and classifies as it was trained."""

    card: Card
    engine: Engine

    @classmethod
    def load(cls, folder: str | Path, *, engine: str = "litert") -> "FaceClassifier":
        """Load a checkpoint folder; see `engines.load_engine`."""
        return cls(*load_engine(folder, engine=engine))

    def classify(self, image: NDArray[np.uint8], boxes: Sequence[Box]) -> list[dict[str, float]]:
        """Return class name -> probability for each box in an RGB uint8 image (H, W, 3)."""
        height, width = image.shape[:2]
        margin = self.card.crop_margin
        crops = [crop(image, crop_box(box, margin, height, width)) for box in boxes]
        probabilities = self.engine.predict(self.card.preprocessor(crops))
        names = self.card.class_names
        return [dict(zip(names, map(float, row), strict=True)) for row in probabilities]

    def predict_faces(self, faces: "FaceDataset", *, flip: bool = False) -> NDArray[np.float32]:
        """Return probabilities (N, K) for the faces of a data set, in its class order.

        Args:
            faces: labelled with the classes of this model, in any order.
            flip: average with the prediction on the mirror image.

        Raises:
            ValueError: if the classes are others.
        """
        names = self.card.class_names
        if len(names) != len(faces.class_names):
            raise ValueError(
                f"{self.card.name} tells {', '.join(names)}; {faces.name} is labelled with "
                f"{', '.join(faces.class_names)}. Choose a data set with the same classes."
            )
        # Classes are matched by name: their order belongs to the checkpoint.
        columns = [index_of(name, names) for name in faces.class_names]
        inputs = self.card.preprocessor(faces.images)
        probabilities = self.engine.predict(inputs)
        if flip:
            mirrored = np.ascontiguousarray(inputs[:, :, ::-1])
            probabilities = np.mean([probabilities, self.engine.predict(mirrored)], axis=0)
        return probabilities[:, columns]


class FaceAnalyzer:
    """Finds the faces in a picture and tells emotion and gender of each.

    Threads may share one analyzer.

    Args:
        emotion: classifier of emotions, or None.
        gender: classifier of gender, or None.
        detector: finds the faces: "haar" (None means this too), "yunet" or an object.

    Raises:
        ValueError: if a classifier was trained for another task.
    """

    def __init__(
        self,
        *,
        emotion: FaceClassifier | None,
        gender: FaceClassifier | None,
        detector: FaceDetector | str | None = None,
    ) -> None:
        for task, classifier in (("emotion", emotion), ("gender", gender)):
            if classifier is not None and classifier.card.task != task:
                raise ValueError(
                    f"`{task}` must be a model of the task {task}. Received: "
                    f"{classifier.card.name}, whose card says {classifier.card.task}."
                )
        self.emotion = emotion
        self.gender = gender
        self.detector = load_detector(detector)

    @classmethod
    def from_pretrained(
        cls,
        emotion_model: str | Path | None = DEFAULT_EMOTION_MODEL,
        gender_model: str | Path | None = DEFAULT_GENDER_MODEL,
        *,
        detector: FaceDetector | str | None = None,
        engine: str = "litert",
    ) -> "FaceAnalyzer":
        """Load models by the name of a shipped one or by folder; None leaves a task out.

        Raises:
            FileNotFoundError: for an unknown name, or a folder without a checkpoint.
            ValueError: for a damaged checkpoint, or one of another task.
        """

        def load(model: str | Path | None, task: str) -> FaceClassifier | None:
            if model is None:
                return None
            return FaceClassifier.load(find_model(model, tasks=(task,)), engine=engine)

        return cls(
            emotion=load(emotion_model, "emotion"),
            gender=load(gender_model, "gender"),
            detector=detector,
        )

    @property
    def columns(self) -> list[str]:
        """The columns of `to_rows` and `to_frame` for faces from this analyzer, also for none."""
        names = [*Box._fields, "emotion", "gender"]
        for task, classifier in (("emotion", self.emotion), ("gender", self.gender)):
            if classifier is not None:
                names += [f"{task}_{name}" for name in classifier.card.class_names]
        return names

    def analyze(self, picture: Picture) -> list[FacePrediction]:
        """Return a prediction per face, from left to right; an empty list if there is no face.

        Args:
            picture: path of a picture file (its EXIF orientation is respected), or an array as
                `images.as_rgb` takes it: RGB, RGBA or grey, uint8, uint16 or float in [0, 1].

        Raises:
            FileNotFoundError, IsADirectoryError, PermissionError, ValueError: if the picture
                cannot be read.
        """
        image = load_picture(picture)
        return self.classify(image, self.detector.detect(image))

    def classify(self, image: NDArray[np.uint8], boxes: Sequence[Box]) -> list[FacePrediction]:
        """Return a prediction per box in an RGB uint8 image (H, W, 3)."""
        if not boxes:
            return []
        nothing: list[dict[str, float]] = [{} for _ in boxes]
        emotions = self.emotion.classify(image, boxes) if self.emotion else nothing
        genders = self.gender.classify(image, boxes) if self.gender else nothing
        return [
            FacePrediction(
                box=box,
                emotion=most_probable(emotion_scores),
                emotion_scores=emotion_scores,
                gender=most_probable(gender_scores),
                gender_scores=gender_scores,
            )
            for box, emotion_scores, gender_scores in zip(boxes, emotions, genders, strict=True)
        ]


def load_picture(picture: Picture) -> NDArray[np.uint8]:
    """Return RGB uint8 (H, W, 3) for a path or an array; see `FaceAnalyzer.analyze`."""
    if isinstance(picture, np.ndarray):
        return as_rgb(picture)
    return read_image(picture)


def to_rows(faces: Iterable[FacePrediction]) -> list[dict[str, Any]]:
    """Return a flat record per face: box, labels, then a column per class and task."""
    return [
        {
            **face.box._asdict(),
            "emotion": face.emotion,
            "gender": face.gender,
            **{f"emotion_{name}": value for name, value in face.emotion_scores.items()},
            **{f"gender_{name}": value for name, value in face.gender_scores.items()},
        }
        for face in faces
    ]


def to_frame(faces: Iterable[FacePrediction]) -> "pandas.DataFrame":
    """Return a DataFrame with a row per face; see `to_rows` for its columns."""
    import pandas

    rows = to_rows(faces)
    columns = list(rows[0]) if rows else [*Box._fields, "emotion", "gender"]
    return pandas.DataFrame(rows, columns=columns)


def most_probable(scores: Mapping[str, float]) -> str | None:
    """Return the class with the highest score, None where there are no scores."""
    return max(scores, key=lambda name: scores[name]) if scores else None
