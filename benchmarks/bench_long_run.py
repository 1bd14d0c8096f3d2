r"""Does memory grow, or do files stay open, in a process that runs for hours?

    python benchmarks/bench_long_run.py
    python benchmarks/bench_long_run.py --pictures 500 --frames 5400

Ten thousand pictures are read, analyzed and drawn, then an hour of video (108,000 frames at 30 per
second) is decoded, analyzed and tracked, all in one process. Ten times in each part the resident
memory and the open files are noted. The exit code is 0 if both stay flat after the first tenth, in
which caches fill: memory within --slack, files equal.
"""

import argparse
import itertools
import os
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from minixception.drawing.faces import draw_predictions
from minixception.images import read_image, write_image
from minixception.inference.analyzer import FaceAnalyzer
from minixception.video.cameras import Frame
from minixception.video.reader import VideoReader
from minixception.video.tracking import FaceTracker
from minixception.video.writer import VideoWriter

PORTRAITS = Path(__file__).parents[1] / "images" / "portraits.jpg"
SAMPLES = 10


@dataclass(frozen=True)
class Sample:
    """Where a part of the run stands."""

    done: int
    seconds: float
    megabytes: float
    open_files: int


def main() -> int:
    """Run both parts and return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pictures", type=int, default=10_000)
    parser.add_argument("--frames", type=int, default=108_000)
    parser.add_argument(
        "--slack", type=float, default=0.05, help="growth of memory that counts as flat"
    )
    arguments = parser.parse_args()
    if not Path("/proc/self/statm").exists():
        parser.error("memory is read from /proc, which this system does not have")
    analyzer = FaceAnalyzer.from_pretrained()
    with tempfile.TemporaryDirectory() as name:
        parts = {
            "pictures": (analyze_pictures(analyzer, Path(name)), arguments.pictures),
            "frames": (analyze_frames(analyzer, Path(name)), arguments.frames),
        }
        flat = [
            report(part, sampled(steps, total), arguments.slack)
            for part, (steps, total) in parts.items()
        ]
    return 0 if all(flat) else 1


def analyze_pictures(analyzer: FaceAnalyzer, folder: Path) -> Iterator[None]:
    """Read, analyze and draw a picture for ever; its size varies from one to the next."""
    image = read_image(PORTRAITS)
    files = []
    for number in range(20):
        files.append(folder / f"{number}.jpg")
        write_image(files[-1], image[: image.shape[0] - 5 * number, 7 * number :])
    for file in itertools.cycle(files):
        picture = read_image(file)
        faces = analyzer.analyze(picture)
        write_image(folder / "drawn.jpg", draw_predictions(picture, faces))
        yield


def analyze_frames(analyzer: FaceAnalyzer, folder: Path) -> Iterator[None]:
    """Decode a clip again and again, as one film without end."""
    clip, image = folder / "clip.mp4", read_image(PORTRAITS)[::3, ::3]
    with VideoWriter(clip, rate=30) as writer:
        for number in range(300):
            writer.write(Frame(number, number / 30, np.roll(image, number, axis=1)))
    tracker, count = FaceTracker(), itertools.count()
    while True:
        with VideoReader(str(clip)) as reader:
            for frame in reader:
                faces = analyzer.classify(frame.image, analyzer.detector.detect(frame.image))
                tracker.update(faces, next(count) / 30)
                yield


def sampled(steps: Iterable[None], total: int) -> list[Sample]:
    """Take the steps, and note `SAMPLES` times how the process stands."""
    samples, start = [], time.perf_counter()
    marks = {max(1, round(total * part / SAMPLES)) for part in range(1, SAMPLES + 1)}
    for done, _ in enumerate(itertools.islice(steps, total), start=1):
        if done in marks:
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            megabytes = pages * os.sysconf("SC_PAGE_SIZE") / 1e6
            open_files = len(list(Path("/proc/self/fd").iterdir()))
            samples.append(Sample(done, time.perf_counter() - start, megabytes, open_files))
    return samples


def report(part: str, samples: list[Sample], slack: float) -> bool:
    """Print a table; tell whether memory and open files stay flat."""
    print(f"{part:>9}  seconds  memory MB  open files")
    for one in samples:
        print(f"{one.done:9d}{one.seconds:9.0f}{one.megabytes:11.1f}{one.open_files:12d}")
    first, last = samples[0], samples[-1]
    growth = last.megabytes / first.megabytes - 1
    flat = growth <= slack and last.open_files <= first.open_files
    print(f"memory {growth:+.1%} since the first tenth: {'flat' if flat else 'NOT FLAT'}\n")
    return flat


if __name__ == "__main__":
    sys.exit(main())
