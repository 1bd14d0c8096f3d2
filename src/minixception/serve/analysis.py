"""What answers a picture: models and detectors by name, loaded once and shared by all threads."""

import base64
import io
import threading
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from minixception.boxes import crop_box
from minixception.checkpoints.card import read_card
from minixception.checkpoints.engines import BrokenModelError
from minixception.checkpoints.shipped import TASKS, find_model, shipped_models
from minixception.detection.card import TASK as DETECTOR_TASK
from minixception.detection.card import read_detector_card
from minixception.detection.network_detector import DEFAULT_DETECTOR
from minixception.detection.registry import DETECTORS, load_detector
from minixception.files import is_passing
from minixception.images import crop
from minixception.inference.analyzer import FaceAnalyzer
from minixception.inference.classifier import FaceClassifier
from minixception.inference.predictions import FacePrediction
from minixception.inference.sources import load_picture
from minixception.messages import explain, require
from minixception.serve.settings import Settings

NO_MODEL = "none"

Loaded = TypeVar("Loaded")


class RefusedError(Exception):
    """A request that gets no answer: HTTP status, and the reason in a sentence."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


class Analysis:
    """Finds and classifies the faces of pictures, by the models that a request names.

    Args:
        settings: of the service.

    Attributes:
        folders: task -> name -> folder of the models that a request may name: those that are
            shipped, and those that the service was started with.
        defaults: task -> name of the model that answers unless a request names another.
        detectors: that a request may name. YuNet is one where the service was started with it: a
            request must not make it fetch a file.

    Raises:
        FileNotFoundError, ValueError: if a model of the settings is none, or is damaged.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._loaded: dict[tuple[str, ...], Any] = {}
        self._locks: dict[tuple[str, ...], threading.Lock] = {}
        self.folders = {task: shipped_models(task) for task in TASKS}
        self.defaults = dict.fromkeys(TASKS, NO_MODEL)
        for task, model in settings.models.items():
            folder = find_model(model, tasks=(task,))
            self.defaults[task] = read_card(folder).name
            self.folders.setdefault(task, {})[self.defaults[task]] = folder
        self.detectors = tuple(
            name for name in DETECTORS if name != "yunet" or name == settings.detector
        )
        self._analyzer({}, settings.detector)  # what most requests ask for is there from the start

    def models(self) -> list[dict[str, Any]]:
        """Return what `/v1/models` answers: name, task and card of each model and detector."""
        found = [
            {"name": name, "task": task, "default": name == self.defaults[task], "card": card}
            for task, folders in self.folders.items()
            for name, card in ((name, read_card(each).to_json()) for name, each in folders.items())
        ]
        folder = find_model(DEFAULT_DETECTOR, tasks=(DETECTOR_TASK,))
        cards = {"mini_xception": read_detector_card(folder).to_json()}
        return found + [
            {
                "name": name,
                "task": DETECTOR_TASK,
                "default": name == self._settings.detector,
                "card": cards.get(name),
            }
            for name in self.detectors
        ]

    def analyze(
        self,
        content: bytes,
        name: str,
        *,
        models: Mapping[str, str],
        detector: str,
        explained_task: str | None = None,
    ) -> list[dict[str, Any]]:
        """Return the faces of a picture as `minixception image --json` writes them.

        Args:
            content: of the picture's file.
            name: what a message calls it.
            models: task -> name of the model, one of `folders` or `NO_MODEL`.
            detector: one of `detectors`.
            explained_task: each face also gets an `explanation` of its label in this task, as far
                as it has one.

        Raises:
            RefusedError: if that cannot be done; the reason names the picture or what is missing.
        """
        analyzer = _loaded(lambda: self._analyzer(models, detector))
        try:
            image = _read(content, name)
            faces = analyzer.analyze(image)
            answers = [face.to_json() for face in faces]
            classifier = analyzer.classifiers.get(explained_task or "")
            if classifier is not None and faces:
                explainer = _loaded(lambda: self._explainer(classifier.card.task, models))
                _add_explanations(answers, image, faces, classifier, explainer)
        except (ValueError, OSError, MemoryError, cv2.error) as error:
            if is_passing(error) or isinstance(error, BrokenModelError):
                raise RefusedError(503, f"{name}: {explain(error)}; try again later") from error
            raise RefusedError(422, f"{name}: {explain(error)}") from error
        return answers

    def _chosen(self, models: Mapping[str, str]) -> dict[str, str]:
        return {**self.defaults, **models}

    def _analyzer(self, models: Mapping[str, str], detector: str) -> FaceAnalyzer:
        classifiers: dict[str, Any] = dict.fromkeys(TASKS)
        for task, name in self._chosen(models).items():
            if name != NO_MODEL:
                classifiers[task] = self._classifier(task, name)
        found = self._once(("detector", detector), lambda: load_detector(detector))
        return FaceAnalyzer(detector=found, **classifiers)

    def _classifier(self, task: str, name: str) -> FaceClassifier:
        folder = self.folders[task][name]
        return self._once(("classifier", task, name), lambda: FaceClassifier.load(folder))

    def _explainer(self, task: str, models: Mapping[str, str]) -> Any:
        name = self._chosen(models)[task]

        def load() -> Any:
            require("keras", "tensorflow", what="`explain`")
            from minixception.explain import Explainer

            return Explainer.load(self.folders[task][name])

        return self._once(("explainer", task, name), load)

    def _once(self, key: tuple[str, ...], load: Callable[[], Loaded]) -> Loaded:
        """Load something once; meanwhile only those wait who need it too."""
        if key not in self._loaded:
            with self._locks.setdefault(key, threading.Lock()):
                if key not in self._loaded:
                    self._loaded[key] = load()
        return self._loaded[key]


def _loaded(load: Callable[[], Loaded]) -> Loaded:
    """Load something; a failure is this service's, not the picture's."""
    try:
        return load()
    except (ImportError, FileNotFoundError) as error:
        raise RefusedError(501, f"this service cannot do that: {explain(error)}") from error
    except (OSError, ValueError) as error:  # a model is damaged, or its file cannot be read
        raise RefusedError(503, f"this service cannot do that now: {explain(error)}") from error


def _read(content: bytes, name: str) -> NDArray[np.uint8]:
    file = io.BytesIO(content)
    file.name = name  # messages call it so
    try:
        return load_picture(file)
    except ValueError as error:
        statuses = {UnidentifiedImageError: 415, Image.DecompressionBombError: 413}
        status = next(
            (statuses[each] for each in statuses if isinstance(error.__cause__, each)), 422
        )
        raise RefusedError(status, explain(error)) from error


def _add_explanations(
    answers: list[dict[str, Any]],
    image: NDArray[np.uint8],
    faces: list[FacePrediction],
    classifier: FaceClassifier,
    explainer: Any,
) -> None:
    """Add an explanation to each face: the box of the crop, and a map as grey PNG."""
    size, card = image.shape[:2], classifier.card
    boxes = [crop_box(face.box, card.crop_margin, *size) for face in faces]
    labels = [str(face.label(card.task)) for face in faces]
    explanation = explainer.explain([crop(image, box) for box in boxes], labels)
    for answer, box, label, one in zip(answers, boxes, labels, explanation.hires_cam, strict=True):
        answer["explanation"] = {"class": label, "box": list(box), "map": _as_data_url(one)}


def _as_data_url(values: NDArray[np.float32]) -> str:
    file = io.BytesIO()
    Image.fromarray(np.rint(values * 255).astype(np.uint8)).save(file, format="PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode("ascii")
