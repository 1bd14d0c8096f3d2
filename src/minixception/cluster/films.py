"""Videos on a cluster: parts of them that begin at key frames, analyzed anywhere."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

import cv2

from minixception.files import is_passing, read_patiently
from minixception.inference.analyzer import FaceAnalyzer
from minixception.inference.picture_files import failure_of
from minixception.inference.predictions import FacePrediction
from minixception.video.finding import PART_SECONDS, FaceFinder, part_of
from minixception.video.reader import VideoReader

# The last part lasts to the end, whatever a header promises.
MOST_PARTS = 10_000


@dataclass(frozen=True)
class FilmPart:
    """A part of a video, and its results once it is done.

    Attributes:
        film: the video file.
        number: of the part, from 0.
        count: of the parts of the video.
        frames: time in seconds, and faces, of each frame.
        lost: how many frames cannot be decoded.
        remarks, cuts: see `VideoReader`; `cuts` of the last part only.
        error: why the video cannot be read, None if it can.
    """

    film: str
    number: int
    count: int
    frames: list[tuple[float, list[FacePrediction]]] = field(default_factory=list)
    lost: int = 0
    remarks: tuple[str, ...] = ()
    cuts: tuple[str, ...] = ()
    error: str | None = None


def cut_film(film: str) -> list[FilmPart]:
    """Return the parts of a video that can be read alone; one if its index is missing or wrong.

    Raises:
        OSError, ValueError: as `VideoReader`.
    """
    with VideoReader(film) as reader:
        count = max(1, min(1 + int(reader.length / PART_SECONDS), MOST_PARTS))
        if not all(reader.reaches(number * PART_SECONDS) for number in range(1, count)):
            count = 1
    return [FilmPart(film, number, count) for number in range(count)]


def make_part_worker(
    analyzer: FaceAnalyzer, *, detect_every: int
) -> Callable[[FilmPart], FilmPart]:
    """Return what a worker calls to have a part done; see `work_through` and `FaceFinder`."""

    def analyze(part: FilmPart) -> FilmPart:
        try:
            return read_patiently(partial(_analyze_part, analyzer, detect_every, part))
        except (OSError, ValueError, MemoryError, cv2.error) as error:
            reason = failure_of(part.film, error)
            if is_passing(error):
                raise OSError(f"{reason}: this may be temporary; --resume continues") from error
            return replace(part, error=reason)

    return analyze


def _analyze_part(analyzer: FaceAnalyzer, detect_every: int, part: FilmPart) -> FilmPart:
    finder = FaceFinder(analyzer.detector, every=detect_every)
    is_last, frames = part.number == part.count - 1, []
    begin, end = -math.inf if part.number == 0 else math.inf, math.inf
    with VideoReader(part.film) as reader:
        reader.go_before(part.number * PART_SECONDS)
        for frame in reader:
            if frame.is_key and part_of(frame) > part.number and not is_last:
                end = frame.time_seconds
                break
            if frame.is_key and part_of(frame) >= part.number:
                begin = min(begin, frame.time_seconds)
            if frame.time_seconds >= begin:
                faces = analyzer.classify(frame.image, finder.find(frame))
                frames.append((frame.time_seconds, faces))
        lost = sum(begin <= time < end for time in reader.lost)
        cuts = tuple(reader.cuts) if is_last else ()
        return replace(part, frames=frames, lost=lost, remarks=tuple(reader.remarks), cuts=cuts)
