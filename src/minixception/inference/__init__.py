"""From a picture to predictions: find the faces, crop them, classify all of them in one batch."""

from minixception.inference.analyzer import FaceAnalyzer
from minixception.inference.classifier import FaceClassifier
from minixception.inference.predictions import FacePrediction, to_frame, to_rows

__all__ = ["FaceAnalyzer", "FaceClassifier", "FacePrediction", "to_frame", "to_rows"]
