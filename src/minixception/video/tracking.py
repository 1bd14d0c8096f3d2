"""Following faces from frame to frame, and smoothing what is said about each of them.

A face in a new frame belongs to the track whose expected box it overlaps most. Scores are smoothed
within a track, so that one person's smile never colours the neighbour's label.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from minixception.boxes import Box, intersection_over_union
from minixception.inference.predictions import FacePrediction

# Boxes of one face in successive frames share more than half their area in all test clips; half of
# that leaves room for slow cameras, and two people side by side stay apart.
SMALLEST_OVERLAP = 0.25
# A detector's box trembles by one or two percent of its side: the speed of a face is therefore an
# average over this many seconds, and it is trusted for no longer than that after the last sight.
SPEED_SECONDS = 0.3


@dataclass(frozen=True, kw_only=True)
class TrackedFace(FacePrediction):
    """A face whose scores are smoothed over the time that it has been followed.

    Attributes:
        track: the same number in all frames, counted from 1, never given to another face.
    """

    track: int


@dataclass(frozen=True)
class _Track:
    """What is remembered of a face: its last sight, and its speed in pixels per second."""

    face: TrackedFace
    seen_at: float
    speed: tuple[float, float] = (0.0, 0.0)
    in_last_frame: bool = True

    def expected_box(self, time_seconds: float) -> Box:
        """Return where the face should be by now."""
        elapsed = min(time_seconds - self.seen_at, SPEED_SECONDS)
        box = self.face.box
        x, y = (round(side + elapsed * speed) for side, speed in zip(box, self.speed, strict=False))
        return box._replace(x=x, y=y)


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
        for name, value in (
            ("smoothing_seconds", smoothing_seconds),
            ("lost_after_seconds", lost_after_seconds),
        ):
            if not 0 <= value < math.inf:
                raise ValueError(f"`{name}` must be 0 or more, and finite. Received: {value}")
        self._smoothing_seconds = smoothing_seconds
        self._lost_after_seconds = lost_after_seconds
        self._tracks: list[_Track] = []
        self._time_seconds = -math.inf
        self._numbers_given = 0

    def update(self, faces: Sequence[FacePrediction], time_seconds: float) -> list[TrackedFace]:
        """Take the faces of the next frame and return them numbered and smoothed.

        Args:
            faces: in any order; the order changes nothing but the order of the result.
            time_seconds: when the frame was taken, later than the one before.

        Returns:
            One face per given face, in the same order, with its own box.

        Raises:
            ValueError: if the frame is not later than the one before.
        """
        if not time_seconds > self._time_seconds:
            raise ValueError(
                f"`time_seconds` must grow from frame to frame. Received: {time_seconds} after "
                f"{self._time_seconds}"
            )
        self._time_seconds = time_seconds
        self._tracks = [track for track in self._tracks if self._is_alive(track)]
        owners = self._find_owners([face.box for face in faces])
        seen = {
            index: _follow(self._tracks[owner], faces[index], time_seconds, self._smoothing_seconds)
            for index, owner in owners.items()
        }
        missed = [
            replace(track, in_last_frame=False)
            for number, track in enumerate(self._tracks)
            if number not in owners.values()
        ]
        # New numbers go from left to right, whatever the order of `faces`.
        for index in sorted(set(range(len(faces))) - set(owners), key=lambda i: faces[i].box):
            seen[index] = self._new_track(faces[index])
        self._tracks = sorted([*missed, *seen.values()], key=lambda track: track.face.track)
        return [seen[index].face for index in range(len(faces))]

    def _is_alive(self, track: _Track) -> bool:
        # A face of the last frame is looked for however long ago that was: clips of one frame per
        # second exist.
        unseen = self._time_seconds - track.seen_at
        return track.in_last_frame or unseen <= self._lost_after_seconds

    def _find_owners(self, boxes: Sequence[Box]) -> dict[int, int]:
        """Return index of a box -> index of its track, for the boxes that belong to one.

        Where nothing is at the expected place, the place of the last sight is tried: a face may
        have stopped.
        """
        expected = [track.expected_box(self._time_seconds) for track in self._tracks]
        owners = match_boxes(boxes, expected)
        last = {i: track.face.box for i, track in enumerate(self._tracks)}
        free_tracks = [i for i in last if i not in owners.values()]
        free_boxes = [i for i in range(len(boxes)) if i not in owners]
        more = match_boxes([boxes[i] for i in free_boxes], [last[i] for i in free_tracks])
        return owners | {free_boxes[box]: free_tracks[track] for box, track in more.items()}

    def _new_track(self, face: FacePrediction) -> _Track:
        self._numbers_given += 1
        tracked = TrackedFace(face.box, face.scores, track=self._numbers_given)
        return _Track(tracked, self._time_seconds)


def match_boxes(boxes: Sequence[Box], others: Sequence[Box]) -> dict[int, int]:
    """Return index of a box -> index of the other box that it belongs to.

    Pairs are formed from the largest overlap downwards, each box at most once; pairs below
    `SMALLEST_OVERLAP` are none.
    """
    pairs = [
        (-intersection_over_union(box, other), second, box, first)
        for first, box in enumerate(boxes)
        for second, other in enumerate(others)
    ]
    matches: dict[int, int] = {}
    for negative_overlap, second, _, first in sorted(pairs):
        is_free = first not in matches and second not in matches.values()
        if is_free and -negative_overlap >= SMALLEST_OVERLAP:
            matches[first] = second
    return matches


def mix_scores(
    old: Mapping[str, float], new: Mapping[str, float], weight: float
) -> dict[str, float]:
    """Return `weight` of the new scores and the rest of the old; the new ones if names differ."""
    if old.keys() != new.keys():
        return dict(new)
    return {name: (1 - weight) * old[name] + weight * score for name, score in new.items()}


def _follow(track: _Track, face: FacePrediction, time_seconds: float, smoothing: float) -> _Track:
    """Return the track with one more sight of its face."""
    elapsed = time_seconds - track.seen_at
    weight = 1 - math.exp(-elapsed / smoothing) if smoothing > 0 else 1.0
    scores = {
        task: mix_scores(track.face.scores.get(task, {}), new, weight)
        for task, new in face.scores.items()
    }
    mixed = TrackedFace(face.box, scores, track=track.face.track)
    speed_weight = 1 - math.exp(-elapsed / SPEED_SECONDS)
    speed_x, speed_y = (
        (1 - speed_weight) * old + speed_weight * (there - here) / elapsed
        for old, here, there in zip(
            track.speed, _centre(track.face.box), _centre(face.box), strict=True
        )
    )
    return _Track(mixed, time_seconds, (speed_x, speed_y))


def _centre(box: Box) -> tuple[float, float]:
    return box.x + box.width / 2, box.y + box.height / 2
