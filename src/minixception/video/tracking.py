"""Following faces from frame to frame, and smoothing what the models say of each.

A face in a new frame belongs to the track whose expected box it overlaps most. Scores are smoothed
within a track, so that one person's smile never colours the neighbour's label.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from minixception.boxes import Box, intersections_over_unions
from minixception.inference.predictions import FacePrediction

# Boxes of one face in successive frames share more than half their area in all test clips; half of
# that leaves room for slow cameras, and two people side by side stay apart.
SMALLEST_OVERLAP = 0.25
# A detector's box trembles by one or two percent of its side, so the speed of a face is an average
# over this many seconds, and is trusted for as long after the face was last seen.
SPEED_SECONDS = 0.3


@dataclass(frozen=True)
class _Track:
    """A face as it was last seen, and its speed: x + yj pixels per second."""

    face: FacePrediction
    seen_at: float
    speed: complex = 0

    def expected_box(self, time_seconds: float) -> Box:
        """Return where the face should be by now."""
        shift = self.speed * min(time_seconds - self.seen_at, SPEED_SECONDS)
        x, y, width, height = self.face.box
        return Box(round(x + shift.real), round(y + shift.imag), width, height)


class FaceTracker:
    """Gives faces a number that lasts, and smooths their scores over time.

    Smoothing is an exponential moving average: what was seen `smoothing_seconds` ago counts 1/e of
    what is seen now, whatever the frame rate. The mixed scores of a task still sum to 1.

    Args:
        smoothing_seconds: the time constant; 0 takes each frame as it is.
        lost_after_seconds: how long a face may be out of sight and keep its number.

    Raises:
        ValueError: for a negative or infinite time.
    """

    def __init__(self, *, smoothing_seconds: float = 0.3, lost_after_seconds: float = 1.0) -> None:
        times = {"smoothing_seconds": smoothing_seconds, "lost_after_seconds": lost_after_seconds}
        for name, value in times.items():
            if not 0 <= value < math.inf:
                raise ValueError(f"`{name}` must be 0 or more, and finite. Received: {value}")
        self._smoothing_seconds = smoothing_seconds
        self._lost_after_seconds = lost_after_seconds
        self._tracks: dict[int, _Track] = {}
        self._time_seconds = -math.inf
        self._numbers_given = 0

    def update(
        self, faces: Iterable[FacePrediction], time_seconds: float
    ) -> dict[int, FacePrediction]:
        """Take the faces of the next frame and return them numbered and smoothed.

        Args:
            faces: in any order; the order changes nothing but the order of the result.
            time_seconds: when the frame was taken, later than the one before.

        Returns:
            Number -> face with its own box, in the order of `faces`. Numbers start at 1; a face
            keeps its own in all frames, and no other face gets it.

        Raises:
            ValueError: if the frame is not later than the one before.
        """
        elapsed = time_seconds - self._time_seconds
        if not elapsed > 0:
            raise ValueError(
                f"`time_seconds` must grow from frame to frame. Received: {time_seconds} after "
                f"{self._time_seconds}"
            )
        self._time_seconds, faces = time_seconds, list(faces)
        # The faces of the last frame are never forgotten: some clips have a frame per second.
        longest = max(self._lost_after_seconds, elapsed)
        tracks = self._tracks.items()
        self._tracks = {n: track for n, track in tracks if time_seconds - track.seen_at <= longest}
        numbers = self._find_numbers([face.box for face in faces])
        for number, face in zip(numbers, faces, strict=True):
            self._tracks[number] = self._follow(self._tracks.get(number), face)
        return {number: self._tracks[number].face for number in numbers}

    def _find_numbers(self, boxes: Sequence[Box]) -> list[int]:
        """Return the number of the track that each box belongs to, a new one if there is none."""
        tracks = self._tracks.items()
        expected = {number: track.expected_box(self._time_seconds) for number, track in tracks}
        # A face that is not at the expected place may have stopped at the last one.
        last = {number: track.face.box for number, track in tracks}
        owners = match_boxes(boxes, expected, last)
        # New faces are numbered from left to right, whatever their order.
        for index in sorted({*range(len(boxes))} - owners.keys(), key=lambda index: boxes[index]):
            self._numbers_given += 1
            owners[index] = self._numbers_given
        return [owners[index] for index in range(len(boxes))]

    def _follow(self, track: _Track | None, face: FacePrediction) -> _Track:
        """Return the track with its face seen once more; a new one if there is none."""
        if track is None:
            return _Track(face, self._time_seconds)
        elapsed, smoothing = self._time_seconds - track.seen_at, self._smoothing_seconds
        weight = 1 - math.exp(-elapsed / smoothing) if smoothing > 0 else 1.0
        scores = {
            task: mix_scores(track.face.scores.get(task, {}), new, weight)
            for task, new in face.scores.items()
        }
        weight = 1 - math.exp(-elapsed / SPEED_SECONDS)
        shift = _centre(face.box) - _centre(track.face.box)
        speed = (1 - weight) * track.speed + weight * shift / elapsed
        return _Track(replace(face, scores=scores), self._time_seconds, speed)


def match_boxes(boxes: Sequence[Box], *places: Mapping[int, Box]) -> dict[int, int]:
    """Return index of a box -> number of the place that it belongs to, the likely `places` first.

    The pairs with the largest overlap come first, down to `SMALLEST_OVERLAP`; each box is in one.
    """
    pairs, rows = [], np.reshape(boxes, (-1, 4))
    for rank, each in enumerate(places):
        numbers = list(each)
        overlaps = intersections_over_unions(rows, np.reshape([*each.values()], (-1, 4)))
        for index, place in np.argwhere(overlaps >= SMALLEST_OVERLAP).tolist():
            pairs.append((rank, -overlaps[index, place], numbers[place], boxes[index], index))
    matches: dict[int, int] = {}
    taken: set[int] = set()
    for *_, number, _, index in sorted(pairs):
        if index not in matches and number not in taken:
            matches[index] = number
            taken.add(number)
    return matches


def mix_scores(
    old: Mapping[str, float], new: Mapping[str, float], weight: float
) -> dict[str, float]:
    """Return `weight` of the new scores and the rest of the old; the new ones if names differ."""
    if old.keys() != new.keys():
        return dict(new)
    return {name: (1 - weight) * old[name] + weight * score for name, score in new.items()}


def _centre(box: Box) -> complex:
    return complex(box.x + box.width / 2, box.y + box.height / 2)
