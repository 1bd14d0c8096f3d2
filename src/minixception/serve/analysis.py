"""Answers for pictures, from models and detectors that are loaded once and shared by threads."""

import base64
import io
import logging
import threading
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from starlette.exceptions import HTTPException

from minixception.checkpoints.card import read_card
from minixception.checkpoints.engines import BrokenModelError
from minixception.checkpoints.shipped import TASKS, find_model, shipped_models
from minixception.detection.card import TASK as DETECTOR_TASK
from minixception.detection.card import read_detector_card
from minixception.detection.checker import FaceChecker
from minixception.detection.network_detector import DETECTOR_MODEL
from minixception.detection.registry import DETECTORS, load_detector
from minixception.files import is_passing
from minixception.images import decode_image
from minixception.inference.analyzer import FaceAnalyzer
from minixception.inference.classifier import FaceClassifier
from minixception.inference.picture_files import failure_of
from minixception.messages import explain, printable, require
from minixception.serve.settings import Settings

NO_MODEL = "none"

_LOGGER = logging.getLogger(__name__)

Loaded = TypeVar("Loaded")

# Of a picture that cannot be read, by what its reader raised; 422 for all else.
_STATUSES: dict[Any, int] = {
    UnidentifiedImageError: 415,
    ImportError: 415,  # of what reads this format
    Image.DecompressionBombError: 413,
}


class RefusedError(HTTPException):
    """The refusal of a request: an HTTP status, and the reason in a sentence.

    The reason may hold names from the request; it is made safe for a terminal.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(status, printable(reason))


class Analysis:
    """Finds and classifies the faces in pictures, with the models that a request names.

    Attributes:
        folders: task -> name -> folder of the models that a request may name: the shipped ones,
            and those that the service was started with.
        defaults: task -> name of the model to use unless a request names another.
        detectors: those that a request may name. YuNet is one only if the service was started with
            it: a request must not make it fetch a file.

    Raises:
        FileNotFoundError, ValueError: if a model of the settings is missing or damaged.
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
        self._analyzer(self.defaults, settings.detector)  # most requests need no more

    def models(self) -> list[dict[str, Any]]:
        """Return what `/v1/models` answers: name, task and card of each model and detector."""
        cards: dict[tuple[str, str], Any] = {
            (task, name): read_card(folder).to_json()
            for task, folders in self.folders.items()
            for name, folder in folders.items()
        }
        cards |= {(DETECTOR_TASK, name): None for name in self.detectors}
        folder = find_model(DETECTOR_MODEL, tasks=(DETECTOR_TASK,))
        cards[DETECTOR_TASK, "mini_xception"] = read_detector_card(folder).to_json()
        defaults = {**self.defaults, DETECTOR_TASK: self._settings.detector}
        return [
            {"name": name, "task": task, "default": name == defaults[task], "card": card}
            for (task, name), card in cards.items()
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
            content: of the picture file.
            name: what messages call it.
            models: task -> name of the model, one of `folders` or `NO_MODEL`; as many as `folders`.
            detector: one of `detectors`.
            explained_task: adds an `explanation` of the label in this task to each face: a part of
                the picture, and a map of it.

        Raises:
            RefusedError: if that fails; the reason names the picture, or what is missing.
        """
        analyzer = _loaded(lambda: self._analyzer(models, detector))
        if explained_task and explained_task not in analyzer.classifiers:
            raise RefusedError(
                422, f"explain={explained_task} needs a model: {explained_task}_model is none"
            )
        try:
            file = io.BytesIO(content)
            file.name = name  # what messages call it
            whole = cache(partial(decode_image, content, name))  # maps are drawn on it
            is_needed = explained_task and analyzer.reduction(content) == 1
            faces = analyzer.analyze(whole() if is_needed else file)
            answers = [face.to_json() for face in faces]
            if explained_task and faces:
                load = partial(self._explainer, explained_task, models[explained_task])
                parts, maps = _loaded(load).map_in_image(whole(), faces, explained_task)
                for answer, part, one in zip(answers, parts, maps, strict=True):
                    explained = {"class": answer[explained_task], "box": list(part)}
                    answer["explanation"] = {**explained, "map": _as_data_url(one)}
        except BrokenModelError as error:
            _LOGGER.error("%s", explain(error))
            raise RefusedError(503, f"{name}: a model of this service fails; try later") from error
        except (ValueError, OSError, MemoryError, cv2.error) as error:
            reason = failure_of(name, error)
            if is_passing(error):
                raise RefusedError(503, f"{reason}; try again later") from error
            raise RefusedError(_STATUSES.get(type(error.__cause__), 422), reason) from error
        return answers

    def _analyzer(self, models: Mapping[str, str], detector: str) -> FaceAnalyzer:
        classifiers: dict[str, Any] = dict.fromkeys(TASKS)
        for task, name in models.items():
            if name != NO_MODEL:
                load = partial(FaceClassifier.load, self.folders[task][name])
                classifiers[task] = self._once(("classifier", task, name), load)
        found = self._once(("detector", detector), partial(load_detector, detector))
        checker = self._once(("checker",), FaceChecker.load)
        return FaceAnalyzer(detector=found, upright=checker, **classifiers)

    def _explainer(self, task: str, name: str) -> Any:
        def load() -> Any:
            require("keras", "tensorflow", what="`explain`")
            from minixception.explain import Explainer

            return Explainer.load(self.folders[task][name])

        return self._once(("explainer", task, name), load)

    def _once(self, key: tuple[str, ...], load: Callable[[], Loaded]) -> Loaded:
        """Load something once; only requests that need it wait."""
        if key not in self._loaded:
            with self._locks.setdefault(key, threading.Lock()):
                if key not in self._loaded:
                    self._loaded[key] = load()
        return self._loaded[key]


def _loaded(load: Callable[[], Loaded]) -> Loaded:
    """Load something; if that fails, the log names the file and the client is not told."""
    try:
        return load()
    except (ImportError, FileNotFoundError) as error:
        _LOGGER.error("%s", explain(error))
        raise RefusedError(501, "this service lacks a package or model for that") from error
    except (OSError, ValueError, MemoryError) as error:  # damaged, or it cannot be read now
        _LOGGER.error("%s", explain(error))
        raise RefusedError(503, "this service cannot load a model for that now") from error


def _as_data_url(values: NDArray[np.float32]) -> str:
    """Return a map as grey PNG."""
    file = io.BytesIO()
    Image.fromarray(np.rint(values * 255).astype(np.uint8)).save(file, format="PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode("ascii")
