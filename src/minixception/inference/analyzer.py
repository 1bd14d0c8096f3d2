"""From a picture to predictions: find the faces, crop them, classify all of them in one batch."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import Any, Literal, TypeAlias, overload

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from minixception.boxes import Box, as_boxes
from minixception.checkpoints.engines import available_cores
from minixception.checkpoints.shipped import (
    DEFAULT_DETECTOR,
    DEFAULT_EMOTION_MODEL,
    DEFAULT_GENDER_MODEL,
    ROLL_MODEL,
    TASKS,
    find_model,
)
from minixception.detection.checker import FaceChecker
from minixception.detection.registry import load_detector
from minixception.detection.search import FaceDetector
from minixception.images import picture_size
from minixception.inference.classifier import FaceClassifier
from minixception.inference.predictions import FacePrediction, table_columns
from minixception.inference.sources import Picture, load_picture, read_now, separate
from minixception.inference.workers import LOOK_AHEAD, Room, in_order

# Pictures whose faces go through the networks together: a batch of four faces, which runs in the
# thread at hand (`engines.FEW_FACES`), takes 0.7 of the time of one by one.
PICTURES_PER_BATCH = 4

# Where no network says how many it takes.
_PIXELS_OF_A_FACE = 64

Model: TypeAlias = FaceClassifier | str | PathLike[str] | None


class FaceAnalyzer:
    """Finds the faces in a picture and classifies each by emotion, gender and any other task.

    Threads may share an analyzer, and it can be pickled. A forked process can use it too, unless
    the engine is Keras.

    Args:
        emotion: name of a shipped model, checkpoint folder, what `train` returned, or loaded
            classifier; None leaves emotion out.
        gender: likewise.
        others: a model for each further task, such as `glasses="runs/glasses"`; the keyword is
            the task on the model's card.
        detector: one of `detection.registry.DETECTORS`, or an object with a method `detect`, such
            as `MiniXceptionDetector(min_face=40)`, see `detection.search.FaceDetector`.
        engine: runs the classifiers given by name or folder, one of `engines.ENGINES`. Faces are
            found and turned by LiteRT.
        upright: whether faces that are turned in the image plane are turned back before they are
            classified; or what says by how many degrees: a checker, a folder or the name of a
            shipped one.

    Attributes:
        classifiers: task -> classifier, without the tasks that were left out.
        detector: finds the faces.
        checker: says by how many degrees faces are turned; None where they stay as they are.

    Raises:
        FileNotFoundError: for an unknown name, or a folder without a checkpoint.
        ValueError: for a damaged checkpoint, one of another task, or two whose columns have the
            same name.
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
        detector: str | FaceDetector = DEFAULT_DETECTOR,
        engine: str = "litert",
        upright: bool | FaceChecker | str | PathLike[str] = True,
        **others: Model,
    ) -> None:
        models = {"emotion": emotion, "gender": gender, **others}
        self.classifiers = {
            task: _load_classifier(model, task, engine)
            for task, model in models.items()
            if model is not None or task in others
        }
        self.detector = load_detector(detector)
        self.checker: FaceChecker | None = None
        if isinstance(upright, FaceChecker):
            self.checker = upright
        elif upright:
            name = ROLL_MODEL if isinstance(upright, bool) else upright
            self.checker = FaceChecker.load(name)
        if len(set(self.columns)) < len(self.columns):
            raise ValueError(
                "The columns of two tasks must have different names: rename a task or a class. "
                f"Received: {', '.join(self.columns)}"
            )

    @classmethod
    def from_pretrained(
        cls,
        emotion_model: Model = DEFAULT_EMOTION_MODEL,
        gender_model: Model = DEFAULT_GENDER_MODEL,
        **options: Any,
    ) -> "FaceAnalyzer":
        """Do the same as the constructor, with the two default models as positional arguments."""
        return cls(emotion=emotion_model, gender=gender_model, **options)

    @property
    def emotion(self) -> FaceClassifier | None:
        """The classifier of emotions, None if left out."""
        return self.classifiers.get("emotion")

    @property
    def gender(self) -> FaceClassifier | None:
        """The classifier of gender, None if left out."""
        return self.classifiers.get("gender")

    @property
    def class_names(self) -> dict[str, tuple[str, ...]]:
        """Task -> classes of each face's `scores`; none where a task of `TASKS` is left out."""
        known = {task: each.card.class_names for task, each in self.classifiers.items()}
        return {**dict.fromkeys(TASKS, ()), **known}

    @property
    def columns(self) -> list[str]:
        """The columns of `to_rows` and `to_frame` for faces from this analyzer, also for none."""
        return table_columns(self.class_names)

    def analyze(
        self, picture: Picture, *, bgr: bool = False, whole_picture: bool = False
    ) -> list[FacePrediction]:
        """Return a prediction per face, from left to right; an empty list if there is no face.

        Args:
            picture: path, bytes or file object of a picture file (its EXIF orientation is
                respected), a Pillow picture, or an array: RGB, RGBA or grey, uint8, uint16 or
                float in [0, 1].
            bgr: whether arrays are BGR, as OpenCV returns them.
            whole_picture: whether the picture is already cropped to a face. Then it is neither
                searched nor turned, and there is one prediction.

        Raises:
            OSError, TypeError, ValueError: if the picture cannot be read; see
                `inference.sources.load_picture`.
        """
        (faces,) = self._predict([self._find(picture, bgr=bgr, whole_picture=whole_picture)])
        return faces

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
        """Yield what `analyze` returns for each picture, in order, using all cores.

        At most `workers.LOOK_AHEAD` pictures per core are taken ahead of the results, so that
        neither need fit into memory. An array must not change until its result has come.

            paths = sorted(Path("holidays").glob("*.jpg"))
            for path, faces in zip(paths, analyzer.analyze_many(paths)):
                print(path, [face.emotion for face in faces])

        Args:
            pictures: any iterable of what `analyze` takes, such as a generator or an array
                (N, H, W, 3).
            bgr: as for `analyze`.
            whole_picture: as for `analyze`.
            return_exceptions: yield the exception for a picture that cannot be read, without its
                traceback, which would keep pixels. Otherwise it is raised, and the iteration ends.

        Raises:
            OSError, TypeError, ValueError: as `analyze`, unless they are to be returned.
        """
        find = partial(self._find, bgr=bgr, whole_picture=whole_picture)
        work = partial(self._analyze_batch, find, Room(), return_exceptions)
        # A file object may be closed when its turn comes, so its content is read here.
        taken = map(_read_or_fail, separate(pictures))
        batches = iter(lambda: list(islice(taken, PICTURES_PER_BATCH)), [])
        ahead = LOOK_AHEAD // PICTURES_PER_BATCH
        for results in in_order(work, batches, workers=available_cores(), look_ahead=ahead):
            for result in results:
                if isinstance(result, Exception) and not return_exceptions:
                    raise result
                yield result

    def classify(
        self, picture: Picture, boxes: Iterable[Any], *, bgr: bool = False
    ) -> list[FacePrediction]:
        """Return a prediction for each box around a face, in their order.

        Args:
            picture: as for `analyze`.
            boxes: (x, y, width, height) in pixels, see `boxes.as_boxes`. Parts outside the picture
                are left out.
            bgr: as for `analyze`.

        Raises:
            ValueError: if a box has not four finite numbers, or lies outside the picture.
            OSError, TypeError: as `analyze`.
        """
        (faces,) = self._predict([self._cut_out(load_picture(picture, bgr=bgr), boxes)])
        return faces

    def _analyze_batch(
        self,
        find: Callable[[Picture], Any],
        room: Room,
        keep_errors: bool,
        pictures: list[Picture | Exception],
    ) -> list[list[FacePrediction] | Exception]:
        """Return the result for each picture; all faces go through the networks at once."""
        found: list[_Faces | Exception] = []
        for picture in pictures:
            try:
                if isinstance(picture, Exception):
                    raise picture
                with room.keep(picture):
                    found.append(find(picture))
            except Exception as error:  # raised or returned when its turn comes
                found.append(_without_tracebacks(error) if keep_errors else error)
        predictions = iter(self._predict([each for each in found if isinstance(each, _Faces)]))
        return [next(predictions) if isinstance(each, _Faces) else each for each in found]

    def _find(self, picture: Picture, *, bgr: bool, whole_picture: bool) -> "_Faces":
        if whole_picture:
            image = load_picture(picture, bgr=bgr)
            box = Box(0, 0, image.shape[1], image.shape[0])
            return _Faces([box], [0.0], {task: [image] for task in self.classifiers})
        reduction = self.reduction(picture)
        image = load_picture(picture, bgr=bgr, reduction=reduction)
        return self._cut_out(image, self.detector.detect(image), reduction)

    def reduction(self, picture: Picture) -> int:
        """Return how many times smaller than stored a JPEG is read along each side: 1, 2, 4 or 8.

        The smallest face that the detector searches for keeps as many pixels as the networks take.
        It is 1 below some 26 megapixels, for all but JPEG files, and for detectors without a method
        for it.
        """
        rule = getattr(self.detector, "reduction", None)
        if rule is None or isinstance(picture, np.ndarray | Image.Image):
            return 1
        height, width = picture_size(picture, reducible=True)
        takes = [max(each.card.preprocessor.image_size) for each in self.classifiers.values()]
        return rule(height, width, max(takes, default=_PIXELS_OF_A_FACE)) if height else 1

    def _cut_out(
        self, image: NDArray[np.uint8], boxes: Iterable[Any], reduction: int = 1
    ) -> "_Faces":
        found = as_boxes(boxes)
        angles = self.checker.turns(image, found) if self.checker else [0.0] * len(found)
        crops = {
            task: each.crop(image, found, angles=angles) for task, each in self.classifiers.items()
        }
        in_picture = [Box(*(reduction * side for side in box)) for box in found]
        return _Faces(in_picture, angles, crops)

    def _predict(self, found: Sequence["_Faces"]) -> list[list[FacePrediction]]:
        """Return the predictions for the faces of each picture, all of them in one batch."""
        scores: dict[str, Iterator[dict[str, float]]] = {}
        if any(faces.boxes for faces in found):
            for task, classifier in self.classifiers.items():
                crops = [crop for faces in found for crop in faces.crops[task]]
                scores[task] = iter(classifier.name_scores(classifier.predict(crops)))
        return [
            [
                FacePrediction(box, {task: next(each) for task, each in scores.items()}, angle)
                for box, angle in zip(faces.boxes, faces.angles, strict=True)
            ]
            for faces in found
        ]


def _read_or_fail(picture: Picture) -> Picture | Exception:
    """Return the content of a file object, or why it cannot be read, to be told in its turn."""
    try:
        return read_now(picture)
    except Exception as error:
        return error


def _without_tracebacks(error: Exception) -> Exception:
    below: BaseException | None = error
    while below is not None:
        below.__traceback__ = None
        below = below.__context__
    return error


@dataclass(frozen=True)
class _Faces:
    """The faces of a picture: boxes, by how many degrees each is turned, crops for each task."""

    boxes: list[Box]
    angles: list[float]
    crops: dict[str, list[NDArray[np.uint8]]]


def _load_classifier(model: Model, task: str, engine: str) -> FaceClassifier:
    if not isinstance(model, FaceClassifier):
        if not isinstance(model, str | PathLike):
            kind = "" if task in TASKS else ", as the model of a task,"
            raise TypeError(
                f"`{task}`{kind} must be the name of a shipped model, a checkpoint folder or a "
                f"FaceClassifier{', or None' * (task in TASKS)}. Received: {type(model).__name__}"
            )
        model = FaceClassifier.load(find_model(Path(model), tasks=(task,)), engine=engine)
    if model.card.task != task:
        raise ValueError(
            f"`{task}` must be a model of the task {task}. Received: {model.card.name}, a model of "
            f"{model.card.task}: give it as {model.card.task}=, or to --classifier."
        )
    return model
