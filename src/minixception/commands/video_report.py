"""What has been seen of each face in a video, and a table of it."""

from array import array
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from minixception.commands.picture_report import format_cells
from minixception.inference.predictions import FacePrediction
from minixception.video.tracking import TrackedFace

LISTED_FACES = 20


class TrackHistory:
    """The scores of one track over time; 8 bytes per time and 4 per score.

    Args:
        face: any of the track, for its classes.

    Attributes:
        class_names: task -> names of its classes.
    """

    def __init__(self, face: FacePrediction) -> None:
        self.class_names = {task: tuple(scores) for task, scores in face.scores.items()}
        self._times = array("d")
        self._scores = {task: array("f") for task in self.class_names}

    def __len__(self) -> int:
        """Return the number of frames with this face."""
        return len(self._times)

    def add(self, face: FacePrediction, time_seconds: float) -> None:
        """Append one frame."""
        self._times.append(time_seconds)
        for task, names in self.class_names.items():
            self._scores[task].extend(face.scores[task][name] for name in names)

    @property
    def times(self) -> NDArray[np.float64]:
        """Seconds, float64 (frames,)."""
        return np.array(self._times, dtype=np.float64)

    def scores(self, task: str) -> NDArray[np.float32]:
        """Return the probabilities of a task, float32 (frames, classes)."""
        shape = len(self), len(self.class_names[task])
        return np.array(self._scores[task], np.float32).reshape(shape)


def record(
    histories: dict[int, TrackHistory], faces: Iterable[TrackedFace], time_seconds: float
) -> None:
    """Append the faces of one frame to the histories, which are kept by track number."""
    for face in faces:
        if face.track not in histories:
            histories[face.track] = TrackHistory(face)
        histories[face.track].add(face, time_seconds)


def format_summary(histories: dict[int, TrackHistory]) -> str:
    """Return a table with a line per face: when it was seen, and its mean scores."""
    if not histories:
        return "no face found"
    longest = sorted(longest_tracks(histories, LISTED_FACES).items())
    lines = [f"face      from        to  frames   {format_cells(longest[0][1].class_names)}"]
    for number, history in longest:
        times = history.times
        labels = format_cells(_mean_label(history, task) for task in history.class_names)
        seen = f"{times[0]:8.1f} s{times[-1]:8.1f} s{len(history):8d}"
        lines.append(f"{number:4d}{seen}   {labels}")
    if len(histories) > LISTED_FACES:
        lines.append(f"and {len(histories) - LISTED_FACES} more, seen for a shorter time")
    return "\n".join(lines)


def _mean_label(history: TrackHistory, task: str) -> str:
    names = history.class_names[task]
    if not names:
        return "-"
    means = history.scores(task).mean(axis=0)
    return f"{names[means.argmax()]} {means.max():.0%}"


def longest_tracks(histories: dict[int, TrackHistory], count: int) -> dict[int, TrackHistory]:
    """Return the faces with the most frames, in the order of their numbers."""
    longest = sorted(histories, key=lambda number: -len(histories[number]))[:count]
    return {number: histories[number] for number in sorted(longest)}
