"""What the detectors find, and how long they take: the search by default beside the published one.

    python benchmarks/bench_search.py facial_expressions_subset.tar \
        --backgrounds FOLDER --yunet face_detection_yunet_2023mar.onnx

The photographs are every third of those that `legend.csv` labels without contradiction, in the
order of their names. A picture counts as right when the emotion of its largest face is that of the
legend. False boxes share less than 0.3 (intersection over union) with each box of YuNet. Times are
CPU time of one core, the smallest of three alternating rounds.
"""

import argparse
import time
from functools import partial
from pathlib import Path

import cv2

from bench_detectors import is_right, read_photographs  # type: ignore[import-not-found]
from minixception.boxes import Box, intersection_over_union
from minixception.detection.haar import HaarDetector
from minixception.detection.search import FaceDetector
from minixception.detection.yunet import YuNetDetector
from minixception.images import read_image
from minixception.inference.analyzer import FaceAnalyzer

ROUNDS = 3


def main() -> None:
    """Measure and print a line per detector."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photographs", type=Path)
    parser.add_argument("--backgrounds", type=Path, required=True)
    parser.add_argument("--yunet", type=Path, required=True)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    photographs = list(read_photographs(arguments.photographs, every=3))
    images, emotions = ([each[part] for each in photographs] for part in (1, 2))
    backgrounds = [read_image(path) for path in sorted(arguments.backgrounds.glob("*.jpg"))]
    sure = YuNetDetector(arguments.yunet, score_threshold=0.6)
    reference = [sure.detect(image) for image in images]
    detectors: dict[str, FaceDetector] = {
        "published (1.3)": HaarDetector(scale_factor=1.3),
        "default": HaarDetector(),
        "YuNet": YuNetDetector(arguments.yunet),
    }
    analyzer = FaceAnalyzer.from_pretrained(gender_model=None)
    times: dict[str, list[float]] = {name: [] for name in detectors}
    for _ in range(ROUNDS):
        for name, detector in detectors.items():
            start = time.process_time()
            for image in images:
                detector.detect(image)
            times[name].append((time.process_time() - start) / len(images))
    for name, detector in detectors.items():
        found = [detector.detect(image) for image in images]
        faces = sum(map(bool, found))
        right = sum(map(partial(is_right, analyzer), images, emotions, found))
        false = sum(map(count_false, found, reference))
        empty = sum(len(detector.detect(image)) for image in backgrounds)
        print(
            f"{name:16} found {faces / len(images):.1%}, right {right / len(images):.1%}, "
            f"{1000 * min(times[name]):.1f} ms, false boxes: {false} on {len(images)} photographs, "
            f"{empty} on {len(backgrounds)} backgrounds",
            flush=True,
        )


def count_false(found: list[Box], reference: list[Box]) -> int:
    """Return how many boxes meet none of the reference."""
    return sum(all(intersection_over_union(box, face) < 0.3 for face in reference) for box in found)


if __name__ == "__main__":
    main()
