"""Finding the faces in a video: some frames are searched; in between, boxes follow the faces."""

from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from minixception.boxes import Box, as_boxes, clip, intersection_over_union
from minixception.inference.workers import in_order
from minixception.video.cameras import Frame

if TYPE_CHECKING:
    from minixception.detection.search import FaceDetector

LONGEST_WAIT = 0.2  # seconds without looking for new faces
FLOW_SIDE = 320  # pixels: shifts are measured in images of this to twice this side
PART_SECONDS = 10.0
AHEAD = 4  # frames: as many as there are from search to search


def part_of(frame: Frame) -> int:
    """Return the number of the part of the video that a key frame may begin."""
    return int(frame.time_seconds / PART_SECONDS)


class FaceFinder:
    """Searches every Nth frame of a video for faces, and at least one every 0.2 seconds.

    In between it follows their boxes. It searches again at the beginning of each part, the first
    key frame of each ten seconds, so a part alone has the same boxes as in the whole video.

    Args:
        detector: what finds the faces.
        every: frames from search to search, 1 or more.
    """

    def __init__(self, detector: "FaceDetector", *, every: int) -> None:
        self._detector = detector
        self._every = every
        self._part = -1
        self._boxes: list[Box] = []
        self._searched: Frame | None = None
        self._before: Frame | None = None

    def find_in(
        self, frames: Iterable[Frame], *, ahead: int = AHEAD
    ) -> Generator[tuple[Frame, list[Box]], None, None]:
        """Yield each frame with its boxes.

        Up to `ahead` further frames are taken, and searched in a thread, while the caller works on
        one. With 0 none is: what comes live must not wait for what is to come.
        """

        def search(frame: Frame | Exception) -> tuple[Frame, list[Box]]:
            if isinstance(frame, Exception):
                raise frame
            return frame, self.find(frame)

        return in_order(search, _until_error(frames), workers=1, look_ahead=1 + ahead)

    def find(self, frame: Frame) -> list[Box]:
        """Return the boxes of the faces in the next frame."""
        before, searched, self._before = self._before, self._searched, frame
        begins_part = frame.is_key and part_of(frame) > self._part
        if begins_part:
            self._part = part_of(frame)
        if (
            before is None
            or searched is None
            or begins_part
            or frame.number - searched.number >= self._every
            or frame.time_seconds - searched.time_seconds > LONGEST_WAIT
            or frame.image.shape != before.image.shape
        ):
            self._boxes, self._searched = as_boxes(self._detector.detect(frame.image)), frame
        else:
            self._boxes = follow_boxes(before.image, frame.image, self._boxes)
        return self._boxes


def _until_error(frames: Iterable[Frame]) -> Iterator[Frame | Exception]:
    """Give the frames, and an error that ends them as the last item, to be raised in its turn."""
    try:
        yield from frames
    except Exception as error:
        yield error


def follow_boxes(
    before: NDArray[np.uint8], after: NDArray[np.uint8], boxes: Sequence[Box]
) -> list[Box]:
    """Return where the faces of one image are in the next, by the shift of what is in their boxes.

    Boxes keep their size and are clipped to the image; those that have left it are dropped.
    """
    height, width = after.shape[:2]
    step = max(1, max(height, width) // FLOW_SIDE)
    first, second = (
        np.ascontiguousarray(image[::step, ::step, 1])  # green is nearest to grey
        for image in (before, after)
    )
    grid = np.stack(np.meshgrid(*2 * [np.linspace(0.2, 0.8, 5)]), axis=-1).reshape(-1, 1, 2)
    followed, nothing = [], np.empty(0, np.float32)
    for box in boxes:
        points = (np.array(box[:2]) + grid * np.array(box[2:])) / step
        moved, found, _ = cv2.calcOpticalFlowPyrLK(
            first, second, points.astype(np.float32), nothing
        )
        if found.any():
            x, y = np.median((moved - points)[found == 1].reshape(-1, 2), axis=0) * step
            box = box._replace(x=box.x + round(x), y=box.y + round(y))
        if intersection_over_union(box, Box(0, 0, width, height)):
            followed.append(clip(box, height, width))
    return followed
