"""The Haar cascade of the published systems."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from minixception.boxes import Box
from minixception.detection.search import (
    HAAR_FACE_PIXELS,
    PerThread,
    SizedSearch,
    boxes_in_image,
    merge_boxes,
    require_at_least,
    size_of_copy,
)
from minixception.images import as_rgb, resize_image, to_grey

CASCADE_NAME = "haarcascade_frontalface_default.xml"
_LARGEST_INTEGER = 2**31 - 1  # of OpenCV

# The search for faces that fill the picture. The cascade needs room around a face and window sizes
# close together; in so small a copy both cost little.
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


class HaarDetector(SizedSearch):
    """OpenCV's frontal face cascade.

    It searches twice: a copy 80 pixels long with a black border, for faces that fill the picture;
    and the whole picture as the published systems do, with `detectMultiScale(grey, 1.3, 5)`, more
    finely from a shorter side of 600 pixels on, for groups. Of two boxes around one face it keeps
    that of the small copy. It finds faces down to 2.5 % of the shorter side and to 36 pixels, and
    about nine in ten of those of 30. Pictures with a shorter side above 1920 pixels are shrunk to
    it, which leaves 48 pixels for the smallest face.

    Threads may share a detector.

    Args:
        scale_factor: None for the search above. A number, 1.01 to 10, makes one plain call of
            `detectMultiScale` on the picture as it is, with this ratio of one window size to the
            next; 1.3 is that of the published systems. Closer to 1 finds more and takes longer.
        min_neighbors: how many overlapping hits make a face, at least 0; more give fewer false
            faces.
        min_face: side of the smallest face to find, in pixels of the image; smaller ones are not
            reported. None: 2.5 % of the shorter side, and all sizes in the plain call.
        working_size: longer side of the working copy in pixels, unless `min_face` needs more; None:
            as above. It is for video, whose frames must not take long: the small copy is then
            searched only if the whole frame shows no face. The plain call has no working copy.

    Raises:
        ImportError: if the installed OpenCV has no cascades, such as version 5.
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
        require_at_least("min_neighbors", min_neighbors, 0)
        super().__init__(HAAR_FACE_PIXELS, min_face, working_size)
        self._scale_factor = scale_factor
        self._min_neighbors = min(min_neighbors, _LARGEST_INTEGER)
        self._cascade = PerThread(load_cascade)

    def detect(self, image: np.ndarray) -> list[Box]:
        """See `FaceDetector.detect`; any array that `images.as_rgb` takes will do."""
        grey = to_grey(as_rgb(image))[:, :, 0]
        height, width = grey.shape
        if (self._min_face or 0) > max(height, width):
            return []
        size = size_of_copy(height, width, self._scale(height, width))
        if self._scale_factor is not None:
            return self._search(grey, size, self._scale_factor)
        close_up = size_of_copy(height, width, _CLOSE_UP_SIDE / max(height, width))
        whole = self._search(grey, size, *self._fineness(min(height, width), size))
        if whole and self._working_size is not None:
            return whole
        close = self._search(
            grey, close_up, _CLOSE_UP_SCALE_FACTOR, _CLOSE_UP_NEIGHBORS, border=_CLOSE_UP_BORDER
        )
        return merge_boxes(close, whole)

    def _fineness(self, shorter_side: int, size: tuple[int, int]) -> tuple[float, float]:
        """Return scale factor and share of `min_neighbors` for the search of the whole picture."""
        if self._working_size is not None or shorter_side < _GROUP_SIDE:
            return _WHOLE_SCALE_FACTOR, 1.0
        if min(size) < shorter_side:
            return _SHRUNK_SCALE_FACTOR, 1.0
        return _GROUP_SCALE_FACTOR, _GROUP_NEIGHBORS

    def _scale(self, height: int, width: int, *, most: float = 1.0) -> float:
        is_plain = self._scale_factor is not None
        return 1.0 if is_plain else super()._scale(height, width, most=most)

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
        return boxes_in_image(moved, size, height, width)


def load_cascade() -> Any:
    """Load the frontal face cascade that ships with OpenCV 4.

    Raises:
        ImportError: if the installed OpenCV has no cascades.
    """
    try:
        path = Path(cv2.data.haarcascades, CASCADE_NAME)  # type: ignore[attr-defined]
        # By its name OpenCV would not find it in every folder, on Windows only in those in ASCII.
        mode = cv2.FILE_STORAGE_READ | cv2.FILE_STORAGE_MEMORY
        content = cv2.FileStorage(path.read_text(encoding="utf-8"), mode)
        cascade = cv2.CascadeClassifier()
        cascade.read(content.getFirstTopLevelNode())
        return cascade
    except (AttributeError, FileNotFoundError) as error:
        raise ImportError(
            f"OpenCV {cv2.__version__} comes without the cascade {CASCADE_NAME}; version 5 dropped "
            'it. Run: pip install "opencv-python>=4.9,<5"'
        ) from error
