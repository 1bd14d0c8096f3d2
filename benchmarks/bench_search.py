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
from pathlib import Path

import cv2
import numpy as np

from minixception.boxes import Box, intersection_over_union
from minixception.datasets.facial_expressions import read_legend
from minixception.detection.haar import HaarDetector
from minixception.detection.search import FaceDetector
from minixception.detection.yunet import YuNetDetector
from minixception.images import decode_image, read_image
from minixception.inference.analyzer import FaceAnalyzer
from minixception.labels import EMOTIONS_8, index_of

ROUNDS = 3


def main() -> None:
    """Measure and print a line per detector."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photographs", type=Path)
    parser.add_argument("--backgrounds", type=Path, required=True)
    parser.add_argument("--yunet", type=Path, required=True)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    images, labels = load_photographs(arguments.photographs)
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
        right = sum(map(is_right, [analyzer] * len(images), images, found, labels))
        false = sum(map(count_false, found, reference))
        empty = sum(len(detector.detect(image)) for image in backgrounds)
        print(
            f"{name:16} found {faces / len(images):.1%}, right {right / len(images):.1%}, "
            f"{1000 * min(times[name]):.1f} ms, false boxes: {false} on {len(images)} photographs, "
            f"{empty} on {len(backgrounds)} backgrounds",
            flush=True,
        )


def load_photographs(path: Path) -> tuple[list[np.ndarray], list[str]]:
    """Return every third photograph with the name of its emotion."""
    rows, contents, _ = read_legend(path)
    rows = sorted(rows, key=lambda row: row.file)[::3]
    images = [decode_image(contents[row.file], row.file) for row in rows]
    return images, [EMOTIONS_8[row.label] for row in rows]


def is_right(analyzer: FaceAnalyzer, image: np.ndarray, boxes: list[Box], label: str) -> bool:
    """Tell whether the largest face has the emotion of the legend."""
    largest = sorted(boxes, key=lambda box: box.area)[-1:]
    emotions = [face.emotion or "" for face in analyzer.classify(image, largest)]
    return any(EMOTIONS_8[index_of(emotion, EMOTIONS_8)] == label for emotion in emotions)


def count_false(found: list[Box], reference: list[Box]) -> int:
    """Return how many boxes meet none of the reference."""
    return sum(all(intersection_over_union(box, face) < 0.3 for face in reference) for box in found)


if __name__ == "__main__":
    main()
