"""From pictures to predictions, rows and tables."""

from minixception.inference.analyzer import FaceAnalyzer
from minixception.inference.classifier import FaceClassifier
from minixception.inference.predictions import FacePrediction, to_frame, to_rows

__all__ = ["FaceAnalyzer", "FaceClassifier", "FacePrediction", "to_frame", "to_rows"]
