"""Compare the per-pixel loop of the original with `load_fer2013`: time and peak memory.

Usage: python benchmarks/bench_loading.py fer2013.csv [--repeats 3]

Each run has a process of its own, so that none warms up or enlarges another; imports are not timed.
The ways take turns, and of each the fastest run counts, the one least disturbed. The loop of the
original only understands the uncompressed file of Kaggle.
"""

import argparse
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))


class Measurement(NamedTuple):
    """One run, ordered by time: seconds, peak memory of the process, sum of all pixels."""

    seconds: float
    peak_megabytes: float
    pixel_sum: int


def read_like_the_original(path: str) -> np.ndarray:
    """Read the faces as the authors' loader did: one Python integer per pixel."""
    import cv2
    import pandas

    table = pandas.read_csv(path)
    faces = []
    for pixel_sequence in table["pixels"].tolist():
        face = np.asarray([int(pixel) for pixel in pixel_sequence.split(" ")]).reshape(48, 48)
        faces.append(cv2.resize(face.astype("uint8"), (48, 48)))
    return np.asarray(faces)


def read_without_cache(path: str) -> np.ndarray:
    """Parse the file with `load_fer2013`."""
    from minixception.datasets.fer2013 import load_fer2013

    return load_fer2013(path, use_cache=False).images


def read_with_cache(path: str) -> np.ndarray:
    """Load the file with `load_fer2013`, which parses it only where no cache file exists."""
    from minixception.datasets.fer2013 import load_fer2013

    return load_fer2013(path).images


def measure(read: Callable[[str], np.ndarray], path: str) -> Measurement:
    """Run `read` once in a new process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_measure_here, (read, path))


def _measure_here(read: Callable[[str], np.ndarray], path: str) -> Measurement:
    import resource  # which Windows lacks: `--help` answers there too

    import cv2  # noqa: F401  imported before the clock starts
    import pandas  # noqa: F401

    import minixception.datasets.fer2013  # noqa: F401

    start = time.perf_counter()
    images = read(path)
    seconds = time.perf_counter() - start
    # Linux gives kilobytes, macOS bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    peak_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return Measurement(seconds, peak_bytes / 1e6, int(images.sum(dtype=np.int64)))


WAYS = {
    "original loop": read_like_the_original,
    "parsed": read_without_cache,
    "cached": read_with_cache,
}


def main() -> None:
    """Print one line per way of reading."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("file", help="uncompressed fer2013.csv")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each way (default: 3)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MINIXCEPTION_CACHE"] = folder
        measure(read_with_cache, arguments.file)  # fills the cache
        rounds = [
            {name: measure(read, arguments.file) for name, read in WAYS.items()}
            for _ in range(arguments.repeats)
        ]
    best = {name: min(results[name] for results in rounds) for name in WAYS}
    original = best["original loop"]
    print(f"{'way':<16}{'seconds':>9}{'times faster':>14}{'peak MB':>9}")
    for name, result in best.items():
        if result.pixel_sum != original.pixel_sum:
            raise SystemExit(f"{name} gives other pixels than the original loop")
        ratio = original.seconds / result.seconds
        print(f"{name:<16}{result.seconds:>9.3f}{ratio:>14.1f}{result.peak_megabytes:>9.0f}")


if __name__ == "__main__":
    main()
