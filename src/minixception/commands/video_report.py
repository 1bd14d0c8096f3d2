"""The faces of a video as they are followed: tables of what is seen of each."""

import argparse
import csv
import io
from array import array
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, TextIO

import numpy as np
from numpy.typing import NDArray

from minixception.commands.outputs import STANDARD_OUTPUT
from minixception.commands.picture_report import format_cells
from minixception.files import atomic_path, naming
from minixception.inference.predictions import FacePrediction, to_rows
from minixception.labels import describe_scores
from minixception.messages import csv_cell, unfiltered
from minixception.video.tracking import FaceTracker

NOTHING_DECODED = "no frame of it can be decoded; it may be damaged, or its frames too large"
LISTED_FACES = 20
TABLE_FORM: dict[str, Any] = {"newline": "", "encoding": "utf-8"}


class TrackHistory:
    """The times and scores of one track, whose classes are those of `face`."""

    def __init__(self, face: FacePrediction) -> None:
        self.class_names = {task: tuple(scores) for task, scores in face.scores.items()}
        self.times = array("d")  # in seconds
        self._scores = {task: array("f") for task in self.class_names}

    def __len__(self) -> int:
        """Return the number of frames with this face."""
        return len(self.times)

    def add(self, face: FacePrediction, time_seconds: float) -> None:
        """Append one frame."""
        self.times.append(time_seconds)
        for task, names in self.class_names.items():
            self._scores[task].extend(face.scores[task][name] for name in names)

    def scores(self, task: str) -> NDArray[np.float32]:
        """Return the probabilities of a task, float32 (frames, classes)."""
        shape = len(self), len(self.class_names[task])
        return np.array(self._scores[task], np.float32).reshape(shape)


class Tracks:
    """Follows the faces of a video frame by frame; keeps their scores, and writes them down.

    The file, if there is one, gets a row for each face and frame, with these columns after frame,
    time and track.

    Attributes:
        histories: scores over time by track number.
        frame_times: of all frames, in seconds.
    """

    def __init__(
        self, tracker: FaceTracker, file: IO[str] | None = None, columns: Sequence[str] = ()
    ) -> None:
        self.histories: dict[int, TrackHistory] = {}
        self.frame_times = array("d")
        self._tracker = tracker
        self._table: csv.DictWriter[str] | None = None
        self._name = getattr(file, "name", None)
        if file is not None:
            self._table = csv.DictWriter(file, ["frame", "time_seconds", "track", *columns])
            with naming(self._name):
                self._table.writeheader()

    def add(
        self, faces: Sequence[FacePrediction], number: int, time_seconds: float
    ) -> dict[int, FacePrediction]:
        """Take the faces of the next frame, and return them numbered and smoothed."""
        tracked = self._tracker.update(faces, time_seconds)
        self.frame_times.append(time_seconds)
        for track, face in tracked.items():
            self.histories.setdefault(track, TrackHistory(face)).add(face, time_seconds)
        if self._table is not None:
            place = {"frame": number, "time_seconds": round(time_seconds, 6)}
            with naming(self._name):
                for track, row in zip(tracked, to_rows(tracked.values()), strict=True):
                    row |= {**place, "track": track}
                    self._table.writerow({name: csv_cell(value) for name, value in row.items()})
        return tracked


def make_tracker(arguments: argparse.Namespace) -> FaceTracker:
    """Build the tracker that --smoothing and --lost-after ask for."""
    return FaceTracker(
        smoothing_seconds=arguments.smoothing, lost_after_seconds=arguments.lost_after
    )


@contextmanager
def open_table(path: Path, standard_output: TextIO) -> Iterator[IO[str]]:
    """Give the file of a table to write to, or standard output where that is its path.

    After an error the file gets its name too, except when it could not be written.
    """
    if path == STANDARD_OUTPUT:
        output: io.TextIOWrapper = unfiltered(standard_output)
        output.reconfigure(line_buffering=True, **TABLE_FORM)
        yield output
        return
    with ExitStack() as stack:
        temporary = stack.enter_context(atomic_path(path))
        file = stack.enter_context(temporary.open("w", **TABLE_FORM))
        try:
            yield file
        except BaseException as error:
            # Others, as of the drawn video or of a terminal that has gone, leave the rows whole.
            if not (isinstance(error, OSError) and error.filename == str(temporary)):
                stack.close()
            raise


def format_summary(tracks: Tracks, last_seconds: float) -> str:
    """Return a table with a line per face: when it was seen, and its mean scores.

    A frame counts as long as it stands: until the next; the last one `last_seconds`, 0 if unknown.
    """
    histories = tracks.histories
    if not histories:
        return "no face found"
    frames = np.array(tracks.frame_times)
    steps = np.diff(frames)
    last = last_seconds or (np.median(steps) if len(steps) else 1.0)
    weights = np.append(steps, last)
    longest = longest_tracks(histories, LISTED_FACES).items()
    tasks = next(iter(histories.values())).class_names
    lines = [f"face      from        to  frames   {format_cells(tasks)}"]
    for number, history in longest:
        times = history.times
        seconds = weights[np.searchsorted(frames, times)]
        labels = format_cells(_mean_label(history, task, seconds) for task in history.class_names)
        seen = f"{times[0]:8.1f} s{times[-1]:8.1f} s{len(history):8d}"
        lines.append(f"{number:4d}{seen}   {labels}")
    if len(histories) > LISTED_FACES:
        lines.append(f"and {len(histories) - LISTED_FACES} more, seen for a shorter time")
    return "\n".join(lines)


def _mean_label(history: TrackHistory, task: str, seconds: NDArray[np.float64]) -> str:
    means = seconds @ history.scores(task) / seconds.sum()
    return describe_scores(dict(zip(history.class_names[task], means, strict=True))) or "-"


def longest_tracks(histories: dict[int, TrackHistory], count: int) -> dict[int, TrackHistory]:
    """Return the faces with the most frames, in the order of their numbers."""
    longest = sorted(histories, key=lambda number: -len(histories[number]))[:count]
    return {number: histories[number] for number in sorted(longest)}
