"""Detectors by name."""

from __future__ import annotations

from typing import Any

from minixception.checkpoints.card import LITERT_FILE
from minixception.checkpoints.shipped import DEFAULT_DETECTOR, ROLL_MODEL, find_model
from minixception.detection.card import TASK
from minixception.detection.haar import HaarDetector
from minixception.detection.network_detector import DETECTOR_MODEL, MiniXceptionDetector
from minixception.detection.search import FaceDetector
from minixception.detection.yunet import YuNetDetector
from minixception.files import content_checksum

DETECTORS: dict[str, type] = {
    "haar": HaarDetector,
    "yunet": YuNetDetector,
    "mini_xception": MiniXceptionDetector,
}
"""The detectors that `load_detector` knows by name."""


_SEARCH_VERSION = 2  # goes up when the same networks are asked in another way, and find other faces


def default_checksum() -> str:
    """Return a checksum of the default detector: faces cut by another one are other faces."""
    folders = find_model(DETECTOR_MODEL, tasks=(TASK,)), find_model(ROLL_MODEL)
    files = [(each.name, (each / LITERT_FILE).read_bytes()) for each in folders]
    return content_checksum([("search", bytes([_SEARCH_VERSION])), *files])


def load_detector(detector: str | FaceDetector | None = None, **options: Any) -> FaceDetector:
    """Return the detector of a name, the default for None, with these options; another as it is.

    Raises:
        OSError: if YuNet's file cannot be fetched.
        TypeError: if it is neither a name nor a detector.
        ValueError: for another name.
    """
    detector = DEFAULT_DETECTOR if detector is None else detector
    if isinstance(detector, str) and detector in DETECTORS:
        return DETECTORS[detector](**options)
    if isinstance(detector, str):
        raise ValueError(
            f"`detector` must be {', '.join(DETECTORS)}, or an object with a method `detect`. "
            f"Received: detector={detector!r}"
        )
    if not hasattr(detector, "detect"):
        raise TypeError(f"`detector` must be a name or a detector. Received: {detector!r}")
    return detector
