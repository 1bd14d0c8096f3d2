"""From a picture to predictions: find the faces, crop them, classify all of them in one batch."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, overload

import numpy as np
from numpy.typing import NDArray

from minixception.boxes import Box, as_boxes, crop_box
from minixception.cards import Card
from minixception.detector import FaceDetector, load_detector
from minixception.engines import Engine, load_engine
from minixception.images import crop
from minixception.labels import index_of
from minixception.parallel import available_cores, in_order
from minixception.paths import DEFAULT_EMOTION_MODEL, DEFAULT_GENDER_MODEL, find_model
from minixception.picture_sources import Picture, load_picture, read_now, separate
from minixception.predictions import FacePrediction, most_probable

if TYPE_CHECKING:
    from minixception.datasets import FaceDataset


@dataclass(frozen=True)
class FaceClassifier:
    """A loaded model with its card: it crops, prepares and classifies as it was trained.

    >>> classifier = FaceClassifier.load("fer2013_mini_xception")
    >>> faces = np.zeros((2, 48, 48), np.uint8)  # or paths, bytes, Pillow pictures
    >>> classifier.predict(faces).shape, len(classifier.card.class_names)
    ((2, 7), 7)
    """

    card: Card
    engine: Engine

    @classmethod
    def load(cls, name_or_folder: str | Path, *, engine: str = "litert") -> "FaceClassifier":
        """Load a shipped model by its name, or a checkpoint folder; see `engines.load_engine`."""
        return cls(*load_engine(name_or_folder, engine=engine))

    def crop(self, image: NDArray[np.uint8], boxes: Iterable[Any]) -> list[NDArray[np.uint8]]:
        """Cut faces out of an RGB uint8 image (H, W, 3), with the margin of the card.

        Raises:
            ValueError: if a box is none, see `boxes.as_boxes`, or lies outside the image.
        """
        height, width = image.shape[:2]
        margin = self.card.crop_margin
        return [crop(image, crop_box(box, margin, height, width)) for box in as_boxes(boxes)]

    def classify(self, image: NDArray[np.uint8], boxes: Iterable[Any]) -> list[dict[str, float]]:
        """Return class name -> probability for each box; see `crop` for the arguments."""
        return self.name_scores(self.predict(self.crop(image, boxes)))

    def predict(
        self, crops: Picture | Iterable[Picture], *, bgr: bool = False
    ) -> NDArray[np.float32]:
        """Return probabilities (N, K), in the order of `card.class_names`, for N whole faces.

        No face is looked for, and the margin of the card plays no part.

        Args:
            crops: pictures that are a face each, of any size, colour or grey: an array
                (N, H, W, C) or (N, H, W), an iterable of whatever `load_picture` takes, or one.
            bgr: arrays are BGR, as OpenCV gives them.

        Raises:
            OSError, TypeError, ValueError: as in `picture_sources.load_picture`.
        """
        return self.engine.predict(self._prepare(crops, bgr=bgr))

    def features(
        self, crops: Picture | Iterable[Picture], *, bgr: bool = False
    ) -> NDArray[np.float32]:
        """Return what the network has made of N faces before it decides: features (N, D).

        They are what enters the last convolution or dense layer, the mean over all positions: 128
        numbers for mini_xception. Whatever the engine, Keras computes them from the checkpoint's
        `model.keras`: TensorFlow is imported at the first call.

        Args:
            crops: as for `predict`.
            bgr: likewise.

        Raises:
            ImportError: without Keras.
            FileNotFoundError: if the checkpoint has no `model.keras`.
            OSError, TypeError, ValueError: as in `predict`; or if the engine is somebody's own.
        """
        compute = getattr(self.engine, "features", None)
        if compute is None:
            raise ValueError(f"The engine gives no features: {type(self.engine).__name__}")
        return compute(self._prepare(crops, bgr=bgr))

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


Model: TypeAlias = FaceClassifier | str | PathLike[str] | None


class FaceAnalyzer:
    """Finds the faces in a picture and tells emotion and gender of each.

    Threads may share one analyzer, and it can be pickled. A forked process can go on with it,
    unless Keras runs the models.

    Args:
        emotion: name of a shipped model, checkpoint folder or loaded classifier; None leaves
            emotion out.
        gender: likewise.
        detector: finds the faces: "haar", "yunet", or an object with a method `detect`, see
            `detector.FaceDetector`.
        engine: what runs the models given by name or folder, one of `engines.ENGINES`.

    Raises:
        FileNotFoundError: for an unknown name, or a folder without a checkpoint.
        ValueError: for a damaged checkpoint, or one of another task.
        TypeError: if a model is something else.

    >>> analyzer = FaceAnalyzer()
    >>> analyzer.analyze(np.zeros((300, 400, 3), np.uint8))
    []
    """

    def __init__(
        self,
        *,
        emotion: Model = DEFAULT_EMOTION_MODEL,
        gender: Model = DEFAULT_GENDER_MODEL,
        detector: str | FaceDetector = "haar",
        engine: str = "litert",
    ) -> None:
        self.emotion = _load_classifier(emotion, "emotion", engine)
        self.gender = _load_classifier(gender, "gender", engine)
        self.detector = load_detector(detector)

    @classmethod
    def from_pretrained(
        cls,
        emotion_model: Model = DEFAULT_EMOTION_MODEL,
        gender_model: Model = DEFAULT_GENDER_MODEL,
        *,
        detector: str | FaceDetector = "haar",
        engine: str = "litert",
    ) -> "FaceAnalyzer":
        """Do the same as the constructor, with the models by position."""
        return cls(emotion=emotion_model, gender=gender_model, detector=detector, engine=engine)

    @property
    def columns(self) -> list[str]:
        """The columns of `to_rows` and `to_frame` for faces from this analyzer, also for none."""
        names = [*Box._fields, "emotion", "gender"]
        for task, classifier in (("emotion", self.emotion), ("gender", self.gender)):
            if classifier is not None:
                names += [f"{task}_{name}" for name in classifier.card.class_names]
        return names

    def analyze(
        self, picture: Picture, *, bgr: bool = False, whole_picture: bool = False
    ) -> list[FacePrediction]:
        """Return a prediction per face, from left to right; an empty list if there is no face.

        Args:
            picture: path, bytes or file object of a picture file (its EXIF orientation is
                respected), a Pillow picture, or an array: RGB, RGBA or grey, uint8, uint16 or
                float in [0, 1].
            bgr: an array is BGR, as OpenCV gives it.
            whole_picture: the picture is a face: none is looked for, and there is one prediction.

        Raises:
            FileNotFoundError, IsADirectoryError, PermissionError, TypeError, ValueError: if the
                picture cannot be read; see `picture_sources.load_picture`.
        """
        image = load_picture(picture, bgr=bgr)
        if not whole_picture:
            return self._classify(image, self.detector.detect(image))
        box = Box(0, 0, image.shape[1], image.shape[0])
        return self._combine([box], lambda classifier: classifier.predict(image))

    @overload
    def analyze_many(
        self,
        pictures: Iterable[Picture],
        *,
        bgr: bool = False,
        whole_picture: bool = False,
        return_exceptions: Literal[False] = False,
    ) -> Iterator[list[FacePrediction]]: ...

    @overload
    def analyze_many(
        self,
        pictures: Iterable[Picture],
        *,
        bgr: bool = False,
        whole_picture: bool = False,
        return_exceptions: Literal[True],
    ) -> Iterator[list[FacePrediction] | Exception]: ...

    def analyze_many(
        self,
        pictures: Iterable[Picture],
        *,
        bgr: bool = False,
        whole_picture: bool = False,
        return_exceptions: bool = False,
    ) -> Iterator[Any]:
        """Give what `analyze` returns for each picture, in their order, by all cores.

        Pictures are taken as results are asked for, at most `parallel.LOOK_AHEAD` per core ahead,
        so that neither they nor the results need fit into memory; an array must stay as it is
        until its result has come.

            paths = sorted(Path("holidays").glob("*.jpg"))
            for path, faces in zip(paths, analyzer.analyze_many(paths)):
                print(path, [face.emotion for face in faces])

        Args:
            pictures: any iterable of what `analyze` takes, such as a generator or an array
                (N, H, W, 3).
            bgr: as for `analyze`.
            whole_picture: as for `analyze`.
            return_exceptions: give the exception of a picture that cannot be read in the place of
                its predictions; else it is raised there, and nothing comes after it.

        Raises:
            OSError, TypeError, ValueError: as `analyze`, unless they are returned.
        """

        def work(picture: Picture) -> list[FacePrediction] | Exception:
            try:
                return self.analyze(picture, bgr=bgr, whole_picture=whole_picture)
            except (OSError, TypeError, ValueError) as error:
                if return_exceptions:
                    return error
                raise

        # A file object may be closed by the time that its turn comes: its content is taken here.
        return in_order(work, map(read_now, separate(pictures)), workers=available_cores())

    def classify(
        self, picture: Picture, boxes: Iterable[Any], *, bgr: bool = False
    ) -> list[FacePrediction]:
        """Return a prediction for each box around a face, in their order.

        Args:
            picture: as for `analyze`.
            boxes: (x, y, width, height) in pixels, as detectors give them: any four numbers each,
                or an array (N, 4). Parts outside the picture are left out.
            bgr: as for `analyze`.

        Raises:
            ValueError: if a box has not four finite numbers, or lies outside the picture.
            OSError, TypeError: as `analyze`.
        """
        return self._classify(load_picture(picture, bgr=bgr), boxes)

    def _classify(self, image: NDArray[np.uint8], boxes: Iterable[Any]) -> list[FacePrediction]:
        found = as_boxes(boxes)
        if not found:
            return []
        return self._combine(
            found, lambda classifier: classifier.predict(classifier.crop(image, found))
        )

    def _combine(
        self, boxes: list[Box], predict: Callable[[FaceClassifier], NDArray[np.float32]]
    ) -> list[FacePrediction]:
        """Return predictions with what each classifier says of the faces in the boxes."""

        def scores(classifier: FaceClassifier | None) -> list[dict[str, float]]:
            if classifier is None:
                return [{} for _ in boxes]
            return classifier.name_scores(predict(classifier))

        return [
            FacePrediction(
                box=box,
                emotion=most_probable(emotion_scores),
                emotion_scores=emotion_scores,
                gender=most_probable(gender_scores),
                gender_scores=gender_scores,
            )
            for box, emotion_scores, gender_scores in zip(
                boxes, scores(self.emotion), scores(self.gender), strict=True
            )
        ]


def _load_classifier(model: Model, task: str, engine: str) -> FaceClassifier | None:
    if model is None:
        return None
    if not isinstance(model, FaceClassifier):
        if not isinstance(model, str | PathLike):
            raise TypeError(
                f"`{task}` must be the name of a shipped model, a checkpoint folder, a "
                f"FaceClassifier or None. Received: {type(model).__name__}"
            )
        model = FaceClassifier.load(find_model(Path(model), tasks=(task,)), engine=engine)
    if model.card.task != task:
        raise ValueError(
            f"`{task}` must be a model of the task {task}. Received: {model.card.name}, whose "
            f"card says {model.card.task}."
        )
    return model
