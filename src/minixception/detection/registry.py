"""Detectors by name."""

from __future__ import annotations

from minixception.detection.haar import HaarDetector
from minixception.detection.network_detector import MiniXceptionDetector
from minixception.detection.search import FaceDetector
from minixception.detection.yunet import YuNetDetector

DETECTORS = ("haar", "yunet", "mini_xception")
"""The detectors that `load_detector` knows by name."""


def load_detector(detector: str | FaceDetector | None = None) -> FaceDetector:
    """Return the detector of a name with its defaults, "haar" for None; a detector as it is.

    Raises:
        OSError: if YuNet's file cannot be fetched.
        TypeError: if it is neither a name nor a detector.
        ValueError: for another name.
    """
    if detector is None or detector == "haar":
        return HaarDetector()
    if detector == "yunet":
        return YuNetDetector()
    if detector == "mini_xception":
        return MiniXceptionDetector()
    if isinstance(detector, str):
        raise ValueError(
            f"`detector` must be {', '.join(DETECTORS)}, or an object with a method `detect`. "
            f"Received: detector={detector!r}"
        )
    if not hasattr(detector, "detect"):
        raise TypeError(f"`detector` must be a name or a detector. Received: {detector!r}")
    return detector
