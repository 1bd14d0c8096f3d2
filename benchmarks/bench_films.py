"""Compare the frame rate of films with that of cv2.VideoCapture, which read them before PyAV did.

    python benchmarks/bench_films.py single_face.mp4

The two take turns, and the median of the rounds counts: reading alone, and reading
with finding, classifying and following the faces, who are looked for in each frame or in every 4th.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import cv2

from minixception.commands.options import FILM_SIZES
from minixception.detection.haar import HaarDetector
from minixception.images import bgr_to_rgb
from minixception.inference.analyzer import FaceAnalyzer
from minixception.video.cameras import Frame
from minixception.video.finding import FaceFinder
from minixception.video.reader import VideoReader
from minixception.video.tracking import FaceTracker

Read = Callable[[str], Iterator[Frame]]


def read_by_opencv(film: str) -> Iterator[Frame]:
    """Give the frames at a fixed rate, as commit 52df818 did."""
    capture = cv2.VideoCapture(film)
    rate, number = capture.get(cv2.CAP_PROP_FPS), 0
    while capture.grab():
        yield Frame(number, number / rate, bgr_to_rgb(capture.retrieve()[1]))
        number += 1
    capture.release()


def read_by_pyav(film: str) -> Iterator[Frame]:
    """Give the frames as `minixception video` gets them."""
    with VideoReader(film) as reader:
        yield from reader


def follow(read: Read, film: str, analyzer: FaceAnalyzer, every: int) -> int:
    """Do what `minixception video` does without output; nothing but read if `every` is 0."""
    if not every:
        return sum(1 for _ in read(film))
    frames, finder, tracker = 0, FaceFinder(analyzer.detector, every=every), FaceTracker()
    for frame, boxes in finder.find_in(read(film)):
        tracker.update(analyzer.classify(frame.image, boxes), frame.time_seconds)
        frames += 1
    return frames


def frame_rate(read: Read, film: str, analyzer: FaceAnalyzer, every: int) -> float:
    """Return frames per second."""
    start = time.perf_counter()
    return follow(read, film, analyzer, every) / (time.perf_counter() - start)


def main() -> None:
    """Print frames per second, and how many times those of OpenCV they are."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("film", type=Path)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    film = str(arguments.film)
    analyzer = FaceAnalyzer(detector=HaarDetector(working_size=FILM_SIZES["haar"]))
    for every, what in ((0, "reading alone"), (1, "faces in each frame"), (4, "in every 4th")):
        old, new = [], []
        follow(read_by_pyav, film, analyzer, every)  # once unmeasured
        for _ in range(arguments.rounds):
            old.append(frame_rate(read_by_opencv, film, analyzer, every))
            new.append(frame_rate(read_by_pyav, film, analyzer, every))
        ratio = median(after / before for after, before in zip(new, old, strict=True))
        rates = f"OpenCV {median(old):.1f}, PyAV {median(new):.1f} frames per second"
        print(f"{what}: {rates}, ratio {ratio:.2f}")


if __name__ == "__main__":
    main()
