"""The face detector trained in this project, run by LiteRT."""

import math
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from minixception.boxes import Box
from minixception.checkpoints.card import LITERT_FILE
from minixception.checkpoints.engines import BrokenModelError, LiteRTEngine
from minixception.checkpoints.shipped import ROLL_MODEL, find_model
from minixception.detection.card import TASK, check_threshold, read_detector_card
from minixception.detection.cells import decode_faces, keep_best, prepare_images
from minixception.detection.checker import FRAMES, FaceChecker
from minixception.detection.columns import (
    FACE_COLUMNS,
    LANDMARKS,
    MIDDLE,
    SCORE,
    SIDE,
    squares_of,
)
from minixception.detection.search import SizedSearch, boxes_in_image, size_of_copy
from minixception.images import as_rgb, resize_image, to_grey

DETECTOR_MODEL = "mini_xception_detector"

# Pixels of the smallest face of interest in the working copy. Of 1,152 faces of 120 pixels in group
# photographs of 4000x3000 1,104 are found with 24, 1,118 with 26 and 1,115 with 32.
FACE_PIXELS = 26
# The network has learned faces of up to some 300 pixels. So it looks at a picture twice, once with
# this longer side: shrunk for large faces, or enlarged if the picture is small.
OVERVIEW = 128

# Unless a smallest face is asked for, the largest face of the overview need not have more pixels in
# the working copy: one with a fifth of its side has 24.
LARGEST_PIXELS = 120

# Smaller pictures are enlarged by halves, up to so many times and to so many pixels, and further if
# a smallest face is asked for: see the mosaics in docs/detectors.md.
MOST_ENLARGED, SMALL_PICTURE = 2.0, 640 * 480
MOST_IF_ASKED, SMALL_IF_ASKED = 3.0, 1280 * 960

# Score of the network from which on the checker tries several frames, and a face counts as close.
LIKELY = 0.5
# The odds of the network are multiplied by those of the checker to this power. A crop that the
# checker takes for a face hardly ever lacks one, so it may raise a modest score of the network.
CHECKER_POWER = 0.5
SUREST = 0.99  # a probability of the checker counts as no more, and as no less than 1 - 0.99
# Lowest score of a face that both networks have seen. With less, more words are taken for faces;
# with more, fewer small faces are found.
SCORE_THRESHOLD = 0.84
# A face that fills this share of the longer side needs less: in pictures that were cut to a face it
# often has a modest score, and hardly ever is anything else taken for one as large as that.
CLOSE_UP, CLOSE_THRESHOLD = 0.5, 0.7
# Where no face is found, a copy of this size is turned to either side; faces in it must be surer.
TURNED_SIDE = 192
LYING_THRESHOLD, LYING_ALONE = 0.95, 0.8  # with a checker and without
# Boxes whose middles lie closer, in sides of the larger one, frame one face.
SAME_MIDDLE = 0.4


@dataclass(frozen=True)
class FoundFace:
    """A face in an image.

    Attributes:
        box: around it, clipped to the image.
        score: how sure the detector is, 0 to 1: the network's score, raised or lowered by the
            checker's probability; see `CHECKER_POWER`.
        landmarks: x and y of right eye, left eye, nose tip, right and left corner of the mouth, as
            the person sees them, in pixels of the image. They are coarse, and follow a turned face
            only in part.
        roll: degrees by which the face is turned clockwise in the image plane, -180 to 180; 0
            without a checker.
    """

    box: Box
    score: float
    landmarks: tuple[tuple[float, float], ...]
    roll: float = 0.0


class MiniXceptionDetector(SizedSearch):
    """A small convolutional network, related to the classifiers and trained in this project.

    Its boxes are squares like those that the classifiers were trained on, each with five landmarks.
    Pictures with a shorter side above 1040 pixels are shrunk to it, which leaves 26 pixels for the
    smallest face; small ones are enlarged. Beside a close face none is looked for that has less
    than a fifth of its side. Where none is found, pictures are searched once more, turned to either
    side. Beside upright faces half of the lying ones are missed: looking for them in every picture
    would take as long again. Threads may share a detector.

    Args:
        folder: a detector's folder, or the name of a shipped one.
        score_threshold: lowest score of a face, 0 to 1; None for `SCORE_THRESHOLD`, and
            `CLOSE_THRESHOLD` where it fills half the picture; without a checker for that of the
            card.
        min_face: side of the smallest face to find, in pixels of the image; smaller ones are not
            reported. None: 2.5 % of the shorter side, and a fifth of a close face.
        working_size: as for `HaarDetector`.
        checker: looks at each face once more, a loaded one, a folder or the name of a shipped
            one; None leaves that out.

    Attributes:
        card: of the network.
        file: with the network for LiteRT.

    Raises:
        FileNotFoundError: if there is no such folder, or a file is missing in it.
        ValueError: if a file in it is damaged, or an argument is outside its range.
    """

    def __init__(
        self,
        folder: str | Path = DETECTOR_MODEL,
        *,
        score_threshold: float | None = None,
        min_face: int | None = None,
        working_size: int | None = None,
        checker: FaceChecker | str | Path | None = ROLL_MODEL,
    ) -> None:
        super().__init__(FACE_PIXELS, min_face, working_size)
        folder = find_model(folder, tasks=(TASK,))
        self.card = read_detector_card(folder)
        self._checker = (
            checker if isinstance(checker, FaceChecker | None) else FaceChecker.load(checker)
        )
        given, alone = score_threshold, self.card.score_threshold
        usual = (SCORE_THRESHOLD, CLOSE_THRESHOLD) if self._checker else (alone, alone)
        self._threshold, self._close_threshold = usual if given is None else (given, given)
        check_threshold(self._threshold)
        # An engine for each look: to change its size costs as much as to search a small picture.
        self.file = folder / LITERT_FILE
        self._whole, self._overview, self._turned = (
            LiteRTEngine(self.file, num_classes=FACE_COLUMNS) for _ in range(3)
        )

    def detect(self, image: np.ndarray) -> list[Box]:
        """See `FaceDetector.detect`; any array that `images.as_rgb` takes will do."""
        return [face.box for face in self.find(image)]

    def find(self, image: np.ndarray) -> list[FoundFace]:
        """Return the faces in an image with their landmarks, in the order of `detect`.

        Args:
            image: RGB uint8 (height, width, 3), or any array that `images.as_rgb` takes.
        """
        grey = to_grey(as_rgb(image))
        found = self._checked(grey, self._seen(grey), self._threshold, self._close_threshold)
        if not found:
            least = max(LYING_THRESHOLD if self._checker else LYING_ALONE, self._threshold)
            found = self._checked(grey, self._seen_lying(grey), least, least)
        return sorted(found, key=lambda face: face.box)

    def find_boxes(self, image: np.ndarray) -> NDArray[np.float64]:
        """Return the boxes of the faces, float64 (n, 5): score, x, y, width, height."""
        rows = [(face.score, *face.box) for face in self.find(image)]
        return np.array(rows, np.float64).reshape(-1, 5)

    def _seen(self, grey: NDArray[np.uint8]) -> list[FoundFace]:
        """Return what the network takes for faces."""
        height, width = grey.shape[:2]
        overview = OVERVIEW / max(height, width)
        copy, close = _copy_of(grey, overview), self._close_threshold  # close faces are seen in it
        faces = self._look(copy, grey, self._overview, threshold=close, least=OVERVIEW)
        scale = self._scale(height, width, most=self._most(height, width, faces))
        if scale > overview:
            copy = _copy_of(grey, scale)
            more = self._look(copy, grey, self._whole, threshold=self._threshold)
            faces = np.concatenate([faces, more])
            faces = faces[keep_best(faces)]
        return self._in_image(faces, height, width)

    def _seen_lying(self, grey: NDArray[np.uint8]) -> list[FoundFace]:
        """Return what the network takes for faces with the picture turned to either side."""
        copy = _copy_of(grey, TURNED_SIDE / max(grey.shape[:2]))
        faces = np.concatenate(
            [
                self._look(copy, grey, self._turned, threshold=self._threshold, quarter=one)
                for one in (1, -1)
            ]
        )
        return self._in_image(faces[keep_best(faces)], *grey.shape[:2])

    def _in_image(self, faces: NDArray[np.float32], height: int, width: int) -> list[FoundFace]:
        """Return the faces that are large enough, with boxes clipped to the image."""
        found = []
        large = faces[faces[:, SIDE] >= (self._min_face or 0)]
        for face, square in zip(large, squares_of(large), strict=True):
            landmarks = tuple((float(x), float(y)) for x, y in face[LANDMARKS].reshape(-1, 2))
            for box in boxes_in_image([square], (height, width), height, width):
                found.append(FoundFace(box, float(face[SCORE]), landmarks))
        return found

    def _most(self, height: int, width: int, seen: NDArray[np.float32]) -> float:
        """Return how large a copy is worth it where the overview shows these faces."""
        most, pixels = MOST_ENLARGED, SMALL_PICTURE
        if self._min_face is not None:
            most, pixels = MOST_IF_ASKED, SMALL_IF_ASKED
        halves = math.floor(2 * math.sqrt(pixels / (height * width)))
        most = min(max(halves / 2, 1.0), most)
        sides = seen[seen[:, SCORE] >= LIKELY, SIDE]
        if self._min_face is not None or not len(sides):
            return most
        # In steps of 64 pixels, since an engine that keeps its size is faster.
        overview = OVERVIEW / max(height, width)
        needed = LARGEST_PIXELS / (float(sides.max()) * overview)
        return min(overview * math.ceil(2 * needed) / 2, most)

    def _checked(
        self, grey: NDArray[np.uint8], faces: list[FoundFace], threshold: float, close: float
    ) -> list[FoundFace]:
        """Return the faces of which both networks are sure, framed anew where that helps.

        `close` is the lowest score of one that fills half the picture.
        """

        def lowest(face: FoundFace) -> float:
            fills_half = max(face.box[2:]) >= CLOSE_UP * max(grey.shape[:2])
            return close if fills_half else threshold

        faces = [face for face in faces if face.score >= self._least(lowest(face))]
        if self._checker is None or not faces:
            return faces
        least = (self._min_face or 0) / min(FRAMES)
        likely = [face.score >= LIKELY and face.box.width >= least for face in faces]
        seen = self._checker.best_frames(grey, [face.box for face in faces], likely=likely)
        checked = [
            replace(face, box=look.box, roll=look.roll, score=_joined(face.score, look.share))
            for face, look in zip(faces, seen, strict=True)
        ]
        return best_of_each([face for face in checked if face.score >= lowest(face)])

    def _least(self, threshold: float) -> float:
        """Return the lowest score of the network that the surest checker raises to a threshold."""
        return _joined(threshold, 1 - SUREST) if self._checker else threshold

    def _look(
        self,
        copy: NDArray[np.uint8],
        image: NDArray[np.uint8],
        engine: LiteRTEngine,
        *,
        threshold: float,
        least: int = 0,
        quarter: int = 0,
    ) -> NDArray[np.float32]:
        """Return the faces in a copy of an image, in pixels of the image; see `decode_faces`.

        The copy is turned by a `quarter`, 1 to the left or -1 to the right, and filled up to
        multiples of the stride and to sides of at least `least`, so that an engine keeps its size.
        """
        height, width = copy.shape[:2]
        turned = np.ascontiguousarray(np.rot90(copy[:, :, 0], quarter))
        stride = self.card.strides[-1]
        down, right = (max(-(-side // stride) * stride, least) - side for side in turned.shape)
        filled = cv2.copyMakeBorder(turned, 0, down, 0, right, cv2.BORDER_CONSTANT)
        outputs = engine.run(prepare_images(np.asarray(filled, np.uint8)[None]))[0]
        cells = sum(filled[::step, ::step].size for step in self.card.strides)
        if outputs.shape != (cells, FACE_COLUMNS) or not np.isfinite(outputs).all():
            raise BrokenModelError(
                f"{self.file} is damaged: it must give {FACE_COLUMNS} finite numbers for each of "
                f"{cells} cells. Received: {outputs.shape}"
            )
        faces = decode_faces(
            outputs,
            filled.shape,
            self.card.strides,
            least_score=self._least(threshold),
        )
        if quarter:
            _turn_back(faces, (height, width), quarter)
        # Height and width are rounded separately.
        ratio = np.array([image.shape[1] / width, image.shape[0] / height], np.float32)
        faces[:, SIDE] *= np.sqrt(ratio.prod())
        faces[:, MIDDLE] *= ratio
        faces[:, LANDMARKS] *= np.tile(ratio, 5)
        return faces


def _joined(score: float, share: float) -> float:
    """Return the score of a face that the checker takes for one with this probability."""
    share = min(max(share, 1 - SUREST), SUREST)
    log_odds = _log_odds(score) + CHECKER_POWER * _log_odds(share)
    return 1 / (1 + math.exp(-log_odds))


def _log_odds(probability: float) -> float:
    probability = min(max(probability, 1e-6), 1 - 1e-6)
    return math.log(probability / (1 - probability))


def _copy_of(grey: NDArray[np.uint8], scale: float) -> NDArray[np.uint8]:
    """Return an image (height, width, 1) in another size."""
    size = size_of_copy(grey.shape[0], grey.shape[1], scale)
    return resize_image(grey, size, cubic=True)


def _turn_back(faces: NDArray[np.float32], size: tuple[int, int], quarter: int) -> None:
    """Bring faces, in place, from a turned picture back to that of `size`; see `numpy.rot90`."""
    height, width = size
    for place in (MIDDLE, LANDMARKS):
        x, y = faces[:, place][:, ::2], faces[:, place][:, 1::2]
        back = [width - y, x] if quarter == 1 else [y, height - x]
        faces[:, place] = np.stack(back, axis=2).reshape(faces[:, place].shape)


def best_of_each(faces: list[FoundFace]) -> list[FoundFace]:
    """Return the faces without those that frame a better one: their middles are close."""
    best: list[FoundFace] = []
    for face in sorted(faces, key=lambda face: -face.score):
        if not any(_frames_the_same(face.box, other.box) for other in best):
            best.append(face)
    return best


def _frames_the_same(box: Box, other: Box) -> bool:
    apart = max(
        abs(2 * box.x + box.width - 2 * other.x - other.width),
        abs(2 * box.y + box.height - 2 * other.y - other.height),
    )
    return apart / 2 < SAME_MIDDLE * max(*box[2:], *other[2:])
