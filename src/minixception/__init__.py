"""minixception: find faces and classify their emotion and gender, in real time.

    from minixception import FaceAnalyzer, draw_predictions, read_image, to_frame

    image = read_image("photo.jpg")
    faces = FaceAnalyzer().analyze(image)  # a box, probabilities and labels per face
    table = to_frame(faces)
    drawn = draw_predictions(image, faces)

Conventions, here and in all modules: images are RGB uint8 (height, width, 3), or grey uint8
(height, width, 1); sizes are (height, width) in pixels; boxes are (x, y, width, height) in pixels;
faces prepared for a network are float32 (batch, height, width, channels); probabilities
are float32 (batch, classes).

Importing this package loads no model and no framework.
"""

import importlib
from typing import TYPE_CHECKING, Any

from minixception.messages import explained

if TYPE_CHECKING:
    from minixception.boxes import Box as Box
    from minixception.checkpoints.keras_model import load_checkpoint as load_checkpoint
    from minixception.checkpoints.keras_model import save_checkpoint as save_checkpoint
    from minixception.checkpoints.own_models import make_checkpoint as make_checkpoint
    from minixception.detection.haar import HaarDetector as HaarDetector
    from minixception.detection.network_detector import MiniXceptionDetector as MiniXceptionDetector
    from minixception.detection.yunet import YuNetDetector as YuNetDetector
    from minixception.drawing.faces import draw_predictions as draw_predictions
    from minixception.explain import Explainer as Explainer
    from minixception.images import read_image as read_image
    from minixception.images import write_image as write_image
    from minixception.inference import FaceAnalyzer as FaceAnalyzer
    from minixception.inference import FaceClassifier as FaceClassifier
    from minixception.inference import FacePrediction as FacePrediction
    from minixception.inference import to_frame as to_frame
    from minixception.messages import hush as hush
    from minixception.models import build as build
    from minixception.preprocessor import Preprocessor as Preprocessor
    from minixception.training.run import train as train
    from minixception.training.scoring import evaluate as evaluate

__version__ = "0.2.0"

_HOMES = {
    "Box": "boxes",
    "Explainer": "explain",
    "FaceAnalyzer": "inference",
    "FaceClassifier": "inference",
    "FacePrediction": "inference",
    "HaarDetector": "detection.haar",
    "MiniXceptionDetector": "detection.network_detector",
    "Preprocessor": "preprocessor",
    "YuNetDetector": "detection.yunet",
    "build": "models",
    "draw_predictions": "drawing.faces",
    "evaluate": "training.scoring",
    "hush": "messages",
    "load_checkpoint": "checkpoints.keras_model",
    "make_checkpoint": "checkpoints.own_models",
    "read_image": "images",
    "save_checkpoint": "checkpoints.keras_model",
    "to_frame": "inference",
    "train": "training.run",
    "write_image": "images",
}

if not TYPE_CHECKING:  # checkers take the imports above for it
    __all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    """Import a public name from its module when it is first asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    except ModuleNotFoundError as error:
        raise explained(error) from None


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
