"""Finding faces: the Haar cascade of the published systems, and the faster, surer YuNet.

Both look at a working copy of the image with a bounded longer side, since their time grows with
the number of pixels, and both return boxes framed as the networks were trained: as Haar boxes.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

from minixception.boxes import Box, clip, intersection_over_union
from minixception.images import as_rgb, resize_image, rgb_to_bgr, to_grey
from minixception.paths import require_utf8

CASCADE_NAME = "haarcascade_frontalface_default.xml"
YUNET_SOURCE = (
    "https://github.com/opencv/opencv_zoo, "
    "models/face_detection_yunet/face_detection_yunet_2023mar.onnx (MIT)"
)

# Pixels a face needs in the working copy. Of 40 portraits from webmorph.org the cascade finds all
# at 33 and more and 35 at 30, as its windows step up from 24 by `scale_factor`; YuNet finds all at
# 16 and 35 at 14.
HAAR_FACE_PIXELS = 36
YUNET_FACE_PIXELS = 16
# On inputs with a side of 32 and less OpenCV 4.14 reads memory that it has not written: now and
# then a plain image gave a face of infinite size. From 33 on, so with a border added, it did not.
YUNET_SMALLEST_INPUT = 64

# A Haar box for the same face: a square with 1.074 times the root of YuNet's area, its centre 0.022
# of YuNet's height higher. Medians over 74 faces found by both (40 portraits of webmorph.org, 30
# frames of two films, 4 of a group picture), between 1.070 and 1.118 and between -0.019 and -0.028
# by source, standard deviation 4 % within each. Area varies less than width or height alone.
HAAR_SIDE_PER_YUNET_ROOT_AREA = 1.074
HAAR_RISE_PER_YUNET_HEIGHT = 0.022


_LARGEST_INTEGER = 2**31 - 1  # of OpenCV


class FaceDetector(Protocol):
    """Anything that finds faces."""

    def detect(self, image: np.ndarray) -> list[Box]:
        """Return the boxes of the faces in an image, from left to right.

        Args:
            image: RGB uint8 (height, width, 3).

        Returns:
            Boxes in pixels of `image`, clipped to it, sorted by x and then by y; an empty list
            where no face is found.
        """
        ...


class HaarDetector:
    """OpenCV's frontal face cascade, called as the published systems call it.

    Images up to `working_size` give the same boxes as `detectMultiScale(grey, 1.3, 5)`; larger
    ones are shrunk first. A 4000x3000 photograph then takes about 150 instead of 900 ms on two
    cores, and faces from 112 pixels (36 in the working copy) are seen. One detector may serve
    several threads: each gets its own cascade, since OpenCV's must not be shared.

    Args:
        scale_factor: ratio of one window size to the next, 1.01 to 10; nearer to 1 finds more faces
            and takes longer.
        min_neighbors: overlapping hits that make a face, at least 0; more means fewer false faces.
        min_face: side of the smallest face of interest in pixels of the image. Smaller ones are
            not reported, and a large image is shrunk only so far that such a face is still seen.
        working_size: longer side of the working copy in pixels, unless `min_face` needs more.

    Raises:
        ImportError: if the installed OpenCV has no cascades, as version 5.
        ValueError: if an argument is outside its range.
    """

    def __init__(
        self,
        *,
        scale_factor: float = 1.3,
        min_neighbors: int = 5,
        min_face: int | None = None,
        working_size: int = 1280,
    ) -> None:
        # The time grows as 1 / log(scale_factor): at 1.0001 a small picture takes minutes.
        if not 1.01 <= scale_factor <= 10:
            raise ValueError(
                "`scale_factor` must lie between 1.01 and 10. "
                f"Received: scale_factor={scale_factor}"
            )
        _require_at_least("min_neighbors", min_neighbors, 0)
        _require_working_size(min_face, working_size)
        self._scale_factor = scale_factor
        self._min_neighbors = min_neighbors
        self._min_face = min_face
        self._working_size = working_size
        self._cascade = _PerThread(load_cascade)

    def detect(self, image: np.ndarray) -> list[Box]:
        """See `FaceDetector.detect`; any array that `images.as_rgb` takes will do."""
        grey = to_grey(as_rgb(image))
        height, width = grey.shape[:2]
        size = _working_size(height, width, self._working_size, self._min_face, HAAR_FACE_PIXELS)
        if (self._min_face or 0) > max(height, width):
            return []
        min_side = round((self._min_face or 0) * max(size) / max(height, width))
        found = self._cascade.value.detectMultiScale(
            resize_image(grey, size)[:, :, 0],
            scaleFactor=self._scale_factor,
            minNeighbors=min(self._min_neighbors, _LARGEST_INTEGER),
            minSize=(min_side, min_side),
        )
        return _boxes_in_image(found, size, height, width)


class YuNetDetector:
    """YuNet, a small convolutional network: faster than the cascade and with far fewer misses.

    Its boxes follow the face from brow to chin; they are turned into the square that the cascade
    would give, since the networks were trained on such crops. One detector may serve several
    threads.

    Args:
        model_path: the ONNX file, see `YUNET_SOURCE`.
        score_threshold: lowest score of a face, 0 to 1.
        min_face: as for `HaarDetector`.
        working_size: longer side of the working copy in pixels, unless `min_face` needs more. 640
            is on purpose: the network misses faces above some 500 pixels, so that it finds a
            portrait 640 pixels high and not the same one at 1000.

    Raises:
        FileNotFoundError: if `model_path` is no file.
        ValueError: if OpenCV cannot read the file, or an argument is outside its range.
    """

    def __init__(
        self,
        model_path: str | os.PathLike[str],
        *,
        score_threshold: float = 0.8,
        min_face: int | None = None,
        working_size: int = 640,
    ) -> None:
        if not 0 <= score_threshold <= 1:
            raise ValueError(
                "`score_threshold` must lie between 0 and 1. "
                f"Received: score_threshold={score_threshold}"
            )
        _require_working_size(min_face, working_size)
        self._min_face = min_face
        self._working_size = working_size
        self._network = _PerThread(partial(load_yunet, Path(model_path), score_threshold))

    def detect(self, image: np.ndarray) -> list[Box]:
        """See `FaceDetector.detect`; any array that `images.as_rgb` takes will do."""
        image = as_rgb(image)
        height, width = image.shape[:2]
        size = _working_size(height, width, self._working_size, self._min_face, YUNET_FACE_PIXELS)
        working_copy = _with_border(resize_image(image, size), YUNET_SMALLEST_INPUT)
        network = self._network.value
        network.setInputSize(working_copy.shape[1::-1])
        rows = network.detect(rgb_to_bgr(working_copy))[1]
        found = [] if rows is None else [_haar_frame(*row[:4]) for row in rows.tolist()]
        boxes = _boxes_in_image(found, size, height, width)
        return [box for box in boxes if max(box.width, box.height) >= (self._min_face or 0)]


class _PerThread(threading.local):
    """Hold one `value` per thread: `threading.local` runs `__init__` again in each thread.

    OpenCV's objects cannot be pickled: what is stored is how they are built.
    """

    def __init__(self, build: Callable[[], Any]) -> None:
        self._build = build
        self.value = build()

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._build,)


def load_cascade() -> Any:
    """Load the frontal face cascade that ships with OpenCV 4.

    Raises:
        ImportError: if the installed OpenCV has no cascades.
    """
    path = Path(cv2.data.haarcascades) / CASCADE_NAME if hasattr(cv2, "data") else Path()
    cascade = cv2.CascadeClassifier(str(path)) if hasattr(cv2, "CascadeClassifier") else None
    if cascade is None or cascade.empty():
        raise ImportError(
            f"OpenCV {cv2.__version__} comes without the cascade {CASCADE_NAME}; version 5 dropped "
            'it. Run: pip install "opencv-python>=4.8,<5"'
        )
    return cascade


def load_yunet(path: Path, score_threshold: float) -> Any:
    """Load the YuNet network from its ONNX file.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if OpenCV cannot read the file or its name.
    """
    if not path.is_file():
        raise FileNotFoundError(f"No YuNet model at '{path}'. It comes from {YUNET_SOURCE}")
    require_utf8(path)
    try:
        # The size is set for each image; 0.3 and 5000 are OpenCV's own defaults.
        network = cv2.FaceDetectorYN.create(str(path), "", (64, 64), score_threshold, 0.3, 5000)
        network.detect(np.zeros((64, 64, 3), np.uint8))  # only this notices another ONNX model
        return network
    except cv2.error as error:
        raise ValueError(
            f"`model_path` must be a YuNet ONNX file; get it from {YUNET_SOURCE}. "
            f"Received: model_path='{path}'"
        ) from error


def _require_at_least(name: str, value: int, lowest: int) -> None:
    if value < lowest:
        raise ValueError(f"`{name}` must be at least {lowest}. Received: {name}={value}")


def _require_working_size(min_face: int | None, working_size: int) -> None:
    if min_face is not None:
        _require_at_least("min_face", min_face, 1)
    _require_at_least("working_size", working_size, HAAR_FACE_PIXELS)


def _working_size(
    height: int, width: int, longest: int, min_face: int | None, face_pixels: int
) -> tuple[int, int]:
    """Return the size (height, width) at which to look for faces, never above the image's."""
    scale = longest / max(height, width)
    if min_face is not None:
        scale = max(scale, face_pixels / min_face)
    scale = min(scale, 1.0)
    return max(round(height * scale), 1), max(round(width * scale), 1)


def _with_border(image: np.ndarray, smallest_side: int) -> np.ndarray:
    """Return the image, with black rows below and columns to the right if it is too small."""
    missing = [max(smallest_side - side, 0) for side in image.shape[:2]]
    if not any(missing):
        return image
    return np.pad(image, ((0, missing[0]), (0, missing[1]), (0, 0)))


def _haar_frame(x: float, y: float, width: float, height: float) -> tuple[float, ...]:
    side = HAAR_SIDE_PER_YUNET_ROOT_AREA * (width * height) ** 0.5
    centre_x = x + width / 2
    centre_y = y + (0.5 - HAAR_RISE_PER_YUNET_HEIGHT) * height
    return centre_x - side / 2, centre_y - side / 2, side, side


def _boxes_in_image(
    found: Iterable[Iterable[float]], size: tuple[int, int], height: int, width: int
) -> list[Box]:
    """Bring boxes from the working copy to the image: whole pixels, clipped, sorted.

    A box without a pixel in the image is left out: YuNet may place one beyond the border.
    """
    whole_image = Box(0, 0, width, height)
    across, down = width / size[1], height / size[0]
    boxes = []
    for x, y, box_width, box_height in found:
        left, right = round(x * across), round((x + box_width) * across)
        top, bottom = round(y * down), round((y + box_height) * down)
        boxes.append(Box(left, top, right - left, bottom - top))
    visible = [box for box in boxes if intersection_over_union(box, whole_image) > 0]
    return sorted(clip(box, height, width) for box in visible)


def load_detector(detector: str | FaceDetector) -> FaceDetector:
    """Return the detector of a name, "haar" or "yunet"; a detector is returned as it is.

    Raises:
        ValueError: for another name.
        TypeError: if it is neither a name nor a detector.
    """
    if detector == "haar":
        return HaarDetector()
    if isinstance(detector, str):
        raise ValueError(f"`detector` must be haar or a detector. Received: {detector!r}")
    if not hasattr(detector, "detect"):
        raise TypeError(f"`detector` must be a name or a detector. Received: {detector!r}")
    return detector
