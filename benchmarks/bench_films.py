"""Compare the frame rate of films with that of cv2.VideoCapture, which read them before PyAV did.

    python benchmarks/bench_films.py /work/data/media/single_face.mp4

The contestants take turns, and of each the median of the rounds counts: reading alone, and reading
with finding, classifying and following the faces, who are looked for in each frame or in every 4th.
"""

import argparse
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import cv2

from bench_inference import milliseconds
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


def drain(read: Read, film: str) -> int:
    """Return the number of frames."""
    return sum(1 for _ in read(film))


def follow(read: Read, film: str, analyzer: FaceAnalyzer, every: int) -> None:
    """Do what `minixception video` does without output."""
    finder, tracker = FaceFinder(analyzer.detector, every=every), FaceTracker()
    for frame in read(film):
        faces = analyzer.classify(frame.image, finder.find(frame))
        tracker.update(faces, frame.time_seconds)


def main() -> None:
    """Print frames per second, and how many times those of OpenCV they are."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("film", type=Path)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    film = str(arguments.film)
    frames = drain(read_by_pyav, film)
    analyzer = FaceAnalyzer(detector=HaarDetector(working_size=FILM_SIZES["haar"]))
    readers: dict[str, Read] = {"OpenCV": read_by_opencv, "PyAV": read_by_pyav}
    for every in (0, 1, 4):
        calls = {
            name: partial(follow, read, film, analyzer, every)
            if every
            else partial(drain, read, film)
            for name, read in readers.items()
        }
        times = milliseconds(calls, rounds=arguments.rounds)
        rates = {name: 1000 * frames / time for name, time in times.items()}
        what = f"faces in every {every}. frame" if every else "reading alone"
        ratio = rates["PyAV"] / rates["OpenCV"]
        print(
            f"{what}: OpenCV {rates['OpenCV']:.1f}, PyAV {rates['PyAV']:.1f} frames per second "
            f"({ratio:.2f})"
        )


if __name__ == "__main__":
    main()
