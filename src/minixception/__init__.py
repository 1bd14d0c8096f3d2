"""minixception: emotion and gender from faces in real time.

    from minixception import FaceAnalyzer, draw_predictions, to_frame

    analyzer = FaceAnalyzer.from_pretrained()
    faces = analyzer.analyze("photo.jpg")

Conventions, here and in all modules: images are RGB uint8 (height, width, 3), or grey uint8
(height, width, 1); sizes are (height, width) in pixels; boxes are (x, y, width, height) in pixels;
faces that are prepared for a network are float32 (batch, height, width, channels); probabilities
are float32 (batch, classes).

Importing this package loads no model and no framework.
"""

import importlib
import sys
from typing import TYPE_CHECKING, Any

from minixception.extras import ExtrasFinder

if TYPE_CHECKING:
    from minixception.boxes import Box
    from minixception.detector import HaarDetector, YuNetDetector
    from minixception.images import read_image, write_image
    from minixception.inference import FaceAnalyzer, FaceClassifier, FacePrediction, to_frame
    from minixception.messages import hush
    from minixception.preprocessor import Preprocessor
    from minixception.visualizer import draw_predictions

__version__ = "0.1.0"

if ExtrasFinder not in sys.meta_path:
    sys.meta_path.append(ExtrasFinder)

_HOMES = {
    "Box": "boxes",
    "FaceAnalyzer": "inference",
    "FaceClassifier": "inference",
    "FacePrediction": "inference",
    "HaarDetector": "detector",
    "Preprocessor": "preprocessor",
    "YuNetDetector": "detector",
    "draw_predictions": "visualizer",
    "hush": "messages",
    "read_image": "images",
    "to_frame": "inference",
    "write_image": "images",
}

__all__ = [
    "Box",
    "FaceAnalyzer",
    "FaceClassifier",
    "FacePrediction",
    "HaarDetector",
    "Preprocessor",
    "YuNetDetector",
    "draw_predictions",
    "hush",
    "read_image",
    "to_frame",
    "write_image",
]


def __getattr__(name: str) -> Any:
    """Import a public name from its module when it is first asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
