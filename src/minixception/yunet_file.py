"""The file of the face detector YuNet: fetched once from OpenCV Zoo, and told by its checksum.

Source: https://github.com/opencv/opencv_zoo. Licence: MIT.
"""

import hashlib
from pathlib import Path

YUNET_NAME = "face_detection_yunet_2023mar.onnx"
YUNET_URL = (
    f"https://github.com/opencv/opencv_zoo/raw/main/models/face_detection_yunet/{YUNET_NAME}"
)
YUNET_SHA256 = "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4"


def fetch_yunet() -> Path:
    """Return OpenCV Zoo's file in the cache folder; download it, and say so, if it is not there.

    Raises:
        OSError: if it cannot be downloaded, or what comes is another file.
        ImportError: if it must be downloaded and pooch is not installed.
    """
    from minixception.datasets.cache import cache_folder

    path = cache_folder() / YUNET_NAME
    if path.is_file() and _sha256(path) == YUNET_SHA256:
        return path
    import pooch

    try:
        # It logs where from and where to, and renames the file only once its checksum holds.
        pooch.retrieve(YUNET_URL, f"sha256:{YUNET_SHA256}", fname=path.name, path=path.parent)
    except (OSError, ValueError) as error:
        raise OSError(
            f"YuNet's file could not be fetched. Download {YUNET_URL} and save it as {path}. "
            f"The reason: {error}"
        ) from error
    return path


def require_known_yunet(path: Path) -> None:
    """Refuse a file that is not OpenCV Zoo's: OpenCV crashes on a damaged one.

    Raises:
        ValueError: if its checksum is another. A path without a file passes.
    """
    if path.is_file() and _sha256(path) != YUNET_SHA256:
        raise ValueError(
            f"{path} is not OpenCV Zoo's {YUNET_NAME}: its SHA-256 is another. A damaged file "
            f"would crash OpenCV. Get it from {YUNET_URL}; or say that you trust this one, with "
            "--trust-yunet or YuNetDetector(..., trust=True)"
        )


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
