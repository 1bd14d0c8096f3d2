"""YuNet, a small convolutional network, and its file, downloaded once from OpenCV Zoo.

Source: https://github.com/opencv/opencv_zoo. Licence: MIT.
"""

from __future__ import annotations

import hashlib
import os
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from minixception.boxes import Box
from minixception.detection.card import check_threshold
from minixception.detection.search import (
    PerThread,
    SizedSearch,
    boxes_in_image,
    merge_boxes,
    size_of_copy,
)
from minixception.files import cache_folder
from minixception.images import as_rgb, resize_image, rgb_to_bgr

YUNET_FACE_PIXELS = 24  # of 72 small faces in a group (webmorph.org) it finds 56 at 16

# YuNet misses faces above some 500 pixels: it finds a portrait 640 pixels high but not the same one
# at 1000. So it looks at a large picture twice, once with this longer side.
YUNET_OVERVIEW = 640

# On inputs with a side of 32 and less OpenCV 4.14 reads memory that it has not written: now and
# then a plain image gave a face of infinite size. From 33 on, so with a border added, it did not.
YUNET_SMALLEST_INPUT = 64

# A Haar box for the same face: a square with 1.074 times the root of YuNet's area, its centre 0.022
# of YuNet's height higher. Medians over 74 faces found by both (40 portraits of webmorph.org, 30
# frames of two films, 4 of a group picture), between 1.070 and 1.118 and between -0.019 and -0.028
# by source, standard deviation 4 % within each. Area varies less than width or height alone.
HAAR_SIDE_PER_YUNET_ROOT_AREA = 1.074

HAAR_RISE_PER_YUNET_HEIGHT = 0.022


class YuNetDetector(SizedSearch):
    """YuNet, a small convolutional network: faster than the cascade and with far fewer misses.

    Its boxes follow the face from brow to chin; they are turned into the square that the cascade
    would give, since the networks were trained on such crops. Pictures with a shorter side above
    960 pixels are shrunk to it, which leaves 24 pixels for the smallest face. Threads may share a
    detector.

    Args:
        model_path: the ONNX file; None for that of OpenCV Zoo, see `fetch_yunet`.
        score_threshold: lowest score of a face, 0 to 1.
        min_face: as for `MiniXceptionDetector`.
        working_size: as for `HaarDetector`.
        trust: whether to load a file that is not OpenCV Zoo's. A damaged one crashes OpenCV and
            ends the process without a message.

    Raises:
        FileNotFoundError: if `model_path` is not a file.
        OSError: if OpenCV Zoo's file cannot be downloaded.
        ValueError: if the file is not OpenCV Zoo's and not trusted, if OpenCV cannot read it, or
            if an argument is outside its range.
    """

    def __init__(
        self,
        model_path: str | os.PathLike[str] | None = None,
        *,
        score_threshold: float = 0.8,
        min_face: int | None = None,
        working_size: int | None = None,
        trust: bool = False,
    ) -> None:
        check_threshold(score_threshold)
        super().__init__(YUNET_FACE_PIXELS, min_face, working_size)
        path = fetch_yunet() if model_path is None else Path(model_path)
        if not path.is_file():
            raise FileNotFoundError(f"No YuNet model at '{path}'. It comes from {YUNET_URL}")
        content = path.read_bytes()
        if not trust and hashlib.sha256(content).hexdigest() != YUNET_SHA256:
            raise ValueError(
                f"{path} is not OpenCV Zoo's {YUNET_NAME}: its SHA-256 is another. A damaged file "
                f"would crash OpenCV. Get it from {YUNET_URL}, or trust this one with "
                "--trust-yunet or YuNetDetector(..., trust=True)"
            )
        self._network = PerThread(partial(load_yunet, content, path, score_threshold))

    def detect(self, image: np.ndarray) -> list[Box]:
        """See `FaceDetector.detect`; any array that `images.as_rgb` takes will do."""
        image = as_rgb(image)
        height, width = image.shape[:2]
        overview = size_of_copy(height, width, min(YUNET_OVERVIEW / max(height, width), 1))
        size = size_of_copy(height, width, self._scale(height, width))
        found = self._search(image, min(size, overview))
        if size > overview:
            found = merge_boxes(found, self._search(image, size))
        return [box for box in found if max(box.width, box.height) >= (self._min_face or 0)]

    def _search(self, image: np.ndarray, size: tuple[int, int]) -> list[Box]:
        """Search a copy of this size (height, width); return boxes in the image."""
        found = [haar_frame(*row[:4]) for row in self.look(resize_image(image, size))]
        return boxes_in_image(found, size, *image.shape[:2])

    def look(self, image: np.ndarray) -> list[list[float]]:
        """Return what the network finds in an RGB image in its own size.

        Rows are x, y, width, height, x and y of five landmarks, and a score.
        """
        height, width = image.shape[:2]
        down, right = (max(YUNET_SMALLEST_INPUT - side, 0) for side in (height, width))
        bgr = rgb_to_bgr(image)
        if down or right:
            bgr = cv2.copyMakeBorder(bgr, 0, down, 0, right, cv2.BORDER_CONSTANT)
        network = self._network.value
        network.setInputSize((width + right, height + down))
        rows = network.detect(bgr)[1]
        return [] if rows is None else rows.tolist()


def load_yunet(content: bytes, path: Path, score_threshold: float) -> Any:
    """Load the YuNet network from the content of its ONNX file; `path` is for the message.

    Raises:
        ValueError: if OpenCV cannot read it.
    """
    # The size is set for each image; 0.3 and 5000 are OpenCV's own defaults.
    settings = (64, 64), score_threshold, 0.3, 5000
    model, none = np.frombuffer(content, np.uint8), np.empty(0, np.uint8)
    try:
        network = cv2.FaceDetectorYN.create("onnx", model, none, *settings)
        network.detect(np.zeros((64, 64, 3), np.uint8))  # only this notices another ONNX model
        return network
    except cv2.error as error:
        raise ValueError(
            f"`model_path` must be a YuNet ONNX file; get it from {YUNET_URL}. "
            f"Received: model_path='{path}'"
        ) from error


def haar_frame(x: float, y: float, width: float, height: float) -> tuple[float, ...]:
    """Return the box that the cascade has for YuNet's, both (x, y, width, height)."""
    middle_x, middle_y, side = haar_square(x, y, width, height)
    return middle_x - side / 2, middle_y - side / 2, side, side


def haar_square(x: float, y: float, width: float, height: float) -> tuple[float, float, float]:
    """Return the same as middle x, middle y and side."""
    side = HAAR_SIDE_PER_YUNET_ROOT_AREA * max(width * height, 0.0) ** 0.5
    return x + width / 2, y + (0.5 - HAAR_RISE_PER_YUNET_HEIGHT) * height, side


YUNET_NAME = "face_detection_yunet_2023mar.onnx"

YUNET_URL = (
    f"https://github.com/opencv/opencv_zoo/raw/main/models/face_detection_yunet/{YUNET_NAME}"
)

YUNET_SHA256 = "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4"


def fetch_yunet() -> Path:
    """Return OpenCV Zoo's file in the cache folder; download it, and say so, if it is not there.

    Raises:
        OSError: if it cannot be downloaded, or the download is another file.
    """
    path = cache_folder() / YUNET_NAME
    if path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == YUNET_SHA256:
        return path
    import pooch

    try:
        # It logs where from and where to, and renames the file only once its checksum holds.
        pooch.retrieve(YUNET_URL, f"sha256:{YUNET_SHA256}", fname=path.name, path=path.parent)
    except (OSError, ValueError) as error:
        raise OSError(
            f"YuNet's file could not be downloaded. Get {YUNET_URL} and save it as {path}. "
            f"The reason: {error}"
        ) from error
    return path
