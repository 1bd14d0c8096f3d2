"""Finding faces: the Haar cascade of the published systems, and the faster, surer YuNet.

Both find faces down to `SMALLEST_FACE` of the picture's shorter side in a working copy that is just
large enough for them, since their time grows with the number of pixels. Both return boxes framed as
the networks were trained: as Haar boxes.
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
from minixception.yunet_file import YUNET_URL, fetch_yunet, require_known_yunet

CASCADE_NAME = "haarcascade_frontalface_default.xml"

SMALLEST_FACE = 0.025
"""Side of the smallest face that is looked for unless `min_face` is given, as a fraction of the
shorter side of the picture."""

# Pixels the smallest face gets in the working copy. Of 22 portraits (20 from webmorph.org, 2 of
# images/) at 1.3 the cascade finds all from 44 on, 20 at 36 to 38 and 19 at 30, as its windows step
# up from 24. Of 72 small faces in a group (webmorph.org)
# YuNet finds 56 at 16.
HAAR_FACE_PIXELS = 48
YUNET_FACE_PIXELS = 24
# YuNet misses faces above some 500 pixels: it finds a portrait 640 pixels high and not the same one
# at 1000. So it looks at a large picture twice, once at this length of its longer side.
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


_LARGEST_INTEGER = 2**31 - 1  # of OpenCV

# The close-up for faces that fill the picture. The cascade needs room around a face and, for a face
# well framed, window sizes close together; in so small a copy both cost little.
_CLOSE_UP_SIDE = 80
_CLOSE_UP_BORDER = 0.3  # of the shorter side, all around
_CLOSE_UP_SCALE_FACTOR = 1.1
_CLOSE_UP_NEIGHBORS = 0.6  # of `min_neighbors`: 3 of 5
_WHOLE_SCALE_FACTOR = 1.3
# For pictures that may show a group: shorter side -> scale factor and share of `min_neighbors`. Of
# 88 faces in 1200x1600 pixels, 30, 36 and 42 pixels wide, 1.3 finds 73, 69 and 81, 1.15 with four
# hits 85, 86 and 88. From 1920 on such pictures are shrunk and the smallest face has 48 pixels: 1.2
# finds 88 of 88.
_GROUP_SIDE, _GROUP_SCALE_FACTOR, _GROUP_NEIGHBORS = 600, 1.15, 0.8
_SHRUNK_SCALE_FACTOR = 1.2
# Two boxes that share more (intersection over union) frame one face. Boxes of a close crop at 1.3
# are often half as wide as the face, which is 0.25.
_ONE_FACE = 0.2


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
    """OpenCV's frontal face cascade.

    It looks twice: at a close-up, 80 pixels long with a black border around it, for faces that fill
    the picture; and at the whole picture as the published systems do, with
    `detectMultiScale(grey, 1.3, 5)`, more finely from a shorter side of 600 pixels on, for groups. Of
    two boxes around one face it keeps that of the close-up. Faces are found down to 2.5 % of the
    shorter side and to some 30 pixels: pictures with a shorter side above 1920 pixels are shrunk
    to it, which leaves 48 pixels to the smallest face.

    With a `scale_factor` it makes one plain call of `detectMultiScale` on the picture as it is:
    `HaarDetector(scale_factor=1.3)` is the setting of the published systems.

    One detector may serve several threads: each gets its own cascade, since OpenCV's must not be
    shared.

    Args:
        scale_factor: None for the search above; else the ratio of one window size to the next of
            the plain call, 1.01 to 10. Nearer to 1 finds more faces and takes longer.
        min_neighbors: overlapping hits that make a face, at least 0; more means fewer false faces.
        min_face: side of the smallest face of interest in pixels of the image. Smaller ones are
            not reported. None: 2.5 % of the shorter side, and all sizes in the plain call.
        working_size: longer side of the working copy in pixels, unless `min_face` needs more; for
            films, whose frames should not take long. None: as above. The plain call has none.

    Raises:
        ImportError: if the installed OpenCV has no cascades, as version 5.
        ValueError: if an argument is outside its range.
    """

    def __init__(
        self,
        *,
        scale_factor: float | None = None,
        min_neighbors: int = 5,
        min_face: int | None = None,
        working_size: int | None = None,
    ) -> None:
        # The time grows as 1 / log(scale_factor): at 1.0001 a small picture takes minutes.
        if scale_factor is not None and not 1.01 <= scale_factor <= 10:
            raise ValueError(
                "`scale_factor` must lie between 1.01 and 10. "
                f"Received: scale_factor={scale_factor}"
            )
        _require_at_least("min_neighbors", min_neighbors, 0)
        _require_sizes(min_face, working_size)
        self._scale_factor = scale_factor
        self._min_neighbors = min(min_neighbors, _LARGEST_INTEGER)
        self._min_face = min_face
        self._working_size = working_size
        self._cascade = _PerThread(load_cascade)

    def detect(self, image: np.ndarray) -> list[Box]:
        """See `FaceDetector.detect`; any array that `images.as_rgb` takes will do."""
        grey = to_grey(as_rgb(image))[:, :, 0]
        height, width = grey.shape
        if (self._min_face or 0) > max(height, width):
            return []
        if self._scale_factor is not None:
            return self._search(grey, (height, width), self._scale_factor)
        close_up = _size_of_copy(height, width, _CLOSE_UP_SIDE / max(height, width))
        size = _size_of_copy(height, width, self._scale(height, width))
        whole = self._search(grey, size, *self._fineness(min(height, width), size))
        return _merge(
            self._search(
                grey,
                close_up,
                _CLOSE_UP_SCALE_FACTOR,
                _CLOSE_UP_NEIGHBORS,
                border=_CLOSE_UP_BORDER,
            ),
            whole,
        )

    def _fineness(self, shorter_side: int, size: tuple[int, int]) -> tuple[float, float]:
        """Return scale factor and share of `min_neighbors` for the search of the whole picture."""
        if self._working_size is not None or shorter_side < _GROUP_SIDE:
            return _WHOLE_SCALE_FACTOR, 1.0
        if min(size) < shorter_side:
            return _SHRUNK_SCALE_FACTOR, 1.0
        return _GROUP_SCALE_FACTOR, _GROUP_NEIGHBORS

    def smallest_face(self, height: int, width: int) -> int | None:
        """Return the side of the smallest face looked for, None where nothing limits it."""
        if self._scale_factor is not None:
            return self._min_face
        return self._min_face or _bound(self._scale(height, width), HAAR_FACE_PIXELS)

    def _scale(self, height: int, width: int) -> float:
        """Return how much the picture is shrunk."""
        wanted = (self._min_face, self._working_size, HAAR_FACE_PIXELS)
        return _scale_for(height, width, *wanted)

    def _search(
        self,
        grey: np.ndarray,
        size: tuple[int, int],
        scale_factor: float,
        neighbors: float = 1.0,
        *,
        border: float = 0.0,
    ) -> list[Box]:
        """Search a copy of this size (height, width); return boxes in the image."""
        height, width = grey.shape
        copy, edge = resize_image(grey, size), round(border * min(size))
        if edge:
            copy = np.pad(copy, edge)
        min_side = round((self._min_face or 0) * max(size) / max(height, width))
        found = self._cascade.value.detectMultiScale(
            copy,
            scaleFactor=scale_factor,
            minNeighbors=round(self._min_neighbors * neighbors),
            minSize=(min_side, min_side),
        )
        moved = [(x - edge, y - edge, across, down) for x, y, across, down in np.array(found)]
        return _boxes_in_image(moved, size, height, width)


class YuNetDetector:
    """YuNet, a small convolutional network: faster than the cascade and with far fewer misses.

    Its boxes follow the face from brow to chin; they are turned into the square that the cascade
    would give, since the networks were trained on such crops. Pictures with a shorter side above
    960 pixels are shrunk to it, which leaves 24 pixels to the smallest face that is looked for,
    2.5 % of the shorter side. One detector may serve several threads.

    Args:
        model_path: the ONNX file; None for that of OpenCV Zoo, which is fetched once into the cache
            folder, see `yunet_file.fetch_yunet`.
        score_threshold: lowest score of a face, 0 to 1.
        min_face: side of the smallest face of interest in pixels of the image. Smaller ones are not
            reported. None: 2.5 % of the shorter side.
        working_size: as for `HaarDetector`.
        trust: load a file other than that of OpenCV Zoo too. A damaged one ends the process inside
            OpenCV, without a message.

    Raises:
        FileNotFoundError: if `model_path` is no file.
        OSError: if OpenCV Zoo's file cannot be fetched.
        ValueError: if the file is another than OpenCV Zoo's and not trusted, if OpenCV cannot read
            it, or if an argument is outside its range.
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
        if not 0 <= score_threshold <= 1:
            raise ValueError(
                "`score_threshold` must lie between 0 and 1. "
                f"Received: score_threshold={score_threshold}"
            )
        _require_sizes(min_face, working_size)
        self._min_face = min_face
        self._working_size = working_size
        path = fetch_yunet() if model_path is None else Path(model_path)
        if not trust:
            require_known_yunet(path)
        self._network = _PerThread(partial(load_yunet, path, score_threshold))

    def detect(self, image: np.ndarray) -> list[Box]:
        """See `FaceDetector.detect`; any array that `images.as_rgb` takes will do."""
        image = as_rgb(image)
        height, width = image.shape[:2]
        overview = _size_of_copy(height, width, min(YUNET_OVERVIEW / max(height, width), 1))
        size = _size_of_copy(height, width, self._scale(height, width))
        found = self._search(image, min(size, overview))
        if size > overview:
            found = _merge(found, self._search(image, size))
        return [box for box in found if max(box.width, box.height) >= (self._min_face or 0)]

    def smallest_face(self, height: int, width: int) -> int | None:
        """Return the side of the smallest face looked for, None where nothing limits it."""
        return self._min_face or _bound(self._scale(height, width), YUNET_FACE_PIXELS)

    def _scale(self, height: int, width: int) -> float:
        """Return how much the picture is shrunk."""
        wanted = (self._min_face, self._working_size, YUNET_FACE_PIXELS)
        return _scale_for(height, width, *wanted)

    def _search(self, image: np.ndarray, size: tuple[int, int]) -> list[Box]:
        """Search a copy of this size (height, width); return boxes in the image."""
        working_copy = _with_border(resize_image(image, size), YUNET_SMALLEST_INPUT)
        network = self._network.value
        network.setInputSize(working_copy.shape[1::-1])
        rows = network.detect(rgb_to_bgr(working_copy))[1]
        found = [] if rows is None else [_haar_frame(*row[:4]) for row in rows.tolist()]
        return _boxes_in_image(found, size, *image.shape[:2])


DETECTORS = ("haar", "yunet")
"""The detectors that `load_detector` knows by name."""


def load_detector(detector: str | FaceDetector | None = None) -> FaceDetector:
    """Return the detector of a name with its defaults; one that is given, as it is.

    Args:
        detector: "haar", "yunet" (whose file is fetched once) or a detector; None means "haar".

    Raises:
        OSError: if YuNet's file cannot be fetched.
        TypeError: if it is neither a name nor a detector.
        ValueError: for another name.
    """
    if detector is None or detector == "haar":
        return HaarDetector()
    if detector == "yunet":
        return YuNetDetector()
    if isinstance(detector, str):
        raise ValueError(
            f"`detector` must be {' or '.join(DETECTORS)}, or an object with a method `detect`. "
            f"Received: detector={detector!r}"
        )
    if not hasattr(detector, "detect"):
        raise TypeError(f"`detector` must be a name or a detector. Received: {detector!r}")
    return detector


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
    if path.is_file():
        with path.open("rb"):
            pass  # OpenCV would take a failure of the system for a missing file
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
        raise FileNotFoundError(f"No YuNet model at '{path}'. It comes from {YUNET_URL}")
    require_utf8(path)
    try:
        # The size is set for each image; 0.3 and 5000 are OpenCV's own defaults.
        network = cv2.FaceDetectorYN.create(str(path), "", (64, 64), score_threshold, 0.3, 5000)
        network.detect(np.zeros((64, 64, 3), np.uint8))  # only this notices another ONNX model
        return network
    except cv2.error as error:
        raise ValueError(
            f"`model_path` must be a YuNet ONNX file; get it from {YUNET_URL}. "
            f"Received: model_path='{path}'"
        ) from error


def _require_at_least(name: str, value: int, lowest: int) -> None:
    if value < lowest:
        raise ValueError(f"`{name}` must be at least {lowest}. Received: {name}={value}")


def _require_sizes(min_face: int | None, working_size: int | None) -> None:
    if min_face is not None:
        _require_at_least("min_face", min_face, 1)
    if working_size is not None:
        _require_at_least("working_size", working_size, HAAR_FACE_PIXELS)


def _size_of_copy(height: int, width: int, scale: float) -> tuple[int, int]:
    return max(round(height * scale), 1), max(round(width * scale), 1)


def _scale_for(
    height: int, width: int, min_face: int | None, working_size: int | None, face_pixels: int
) -> float:
    """Return the scale at which the smallest face has `face_pixels`, at most 1."""
    if working_size is None:
        return min(face_pixels / (min_face or SMALLEST_FACE * min(height, width)), 1.0)
    needed = face_pixels / min_face if min_face is not None else 0.0
    return min(max(working_size / max(height, width), needed), 1.0)


def _bound(scale: float, face_pixels: int) -> int | None:
    """Return the smallest face, in pixels of the picture, if shrinking by `scale` sets a bound."""
    return round(face_pixels / scale) if scale < 1 else None


def _merge(first: list[Box], second: list[Box]) -> list[Box]:
    """Return the boxes of two searches, those of the first where both frame one face."""
    more = [
        box
        for box in second
        if all(intersection_over_union(box, other) < _ONE_FACE for other in first)
    ]
    return sorted([*first, *more])


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
