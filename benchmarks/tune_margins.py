"""Show what the crop margin of each shipped model is worth with the boxes of a detector.

    python benchmarks/tune_margins.py --data FOLDER [--detector mini_xception]

The folder holds `facial_expressions/` and `webmorph_canada/`. Only development parts are looked at:
of facial_expressions the photographs of one half of the persons, by a hash of their names; the
portraits of webmorph.org are all neutral and tell gender.
"""

import argparse
import csv
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from bench_detectors import (  # type: ignore[import-not-found]
    PHOTOGRAPHS,
    largest,
    read_photographs,
    table,
)
from minixception.boxes import Box
from minixception.checkpoints.shipped import shipped_models
from minixception.detection.labelled_pictures import is_held_out
from minixception.detection.registry import DETECTORS, load_detector
from minixception.detection.search import FaceDetector
from minixception.images import read_image
from minixception.inference.classifier import FaceClassifier
from minixception.labels import EMOTIONS_8, index_of

MARGINS = (-0.1, -0.05, 0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3)

Face = tuple[np.ndarray, Box, str]
"""A picture, the largest box in it, and its label."""


def main() -> None:
    """Measure and print a table per part."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--detector", choices=DETECTORS, default="mini_xception")
    arguments = parser.parse_args()
    detector = load_detector(arguments.detector)
    photographs = load_photographs(arguments.data, detector)
    portraits = load_portraits(arguments.data, detector)
    neutral = [(image, box, "neutral") for image, box, _ in portraits]
    for title, faces, task, meaning in (
        ("photographs", photographs, "emotion", _emotion),
        ("neutral portraits", neutral, "emotion", _emotion),
        ("portraits", portraits, "gender", str),
    ):
        rows = [
            [model, *(f"{share:.3f}" for share in shares(folder, faces, meaning))]
            for model, folder in shipped_models(task).items()
        ]
        print(f"{title}: right of {len(faces)} faces by margin\n")
        print(table(["model", *map(str, MARGINS)], rows))


def _emotion(name: str) -> str:
    return EMOTIONS_8[index_of(name, EMOTIONS_8)]


def shares(folder: Path, faces: Sequence[Face], meaning: Callable[[str], str]) -> list[float]:
    """Return for each of `MARGINS` the share of faces that a model names right."""
    classifier = FaceClassifier.load(folder)
    right = []
    for margin in MARGINS:
        card = replace(classifier.card, crop_margin=margin)
        cutter = replace(classifier, card=card)
        crops = [crop for image, box, _ in faces for crop in cutter.crop(image, [box])]
        best = cutter.predict(crops).argmax(axis=1)
        names = [meaning(card.class_names[index]) for index in best]
        right.append(float(np.mean([a == b for a, (_, _, b) in zip(names, faces, strict=True)])))
    return right


def load_photographs(data: Path, detector: FaceDetector) -> list[Face]:
    """Return the largest face of each photograph of the development part."""
    taken = partial(is_held_out, share=0.5)
    return [
        (image, box, emotion)
        for _, image, emotion in read_photographs(data / PHOTOGRAPHS, takes=taken)
        for box in largest(detector.detect(image))
    ]


def load_portraits(data: Path, detector: FaceDetector) -> list[Face]:
    """Return the portraits of webmorph.org with their gender."""
    folder = data / "webmorph_canada"
    with (folder / "canada_info.csv").open(newline="", encoding="utf-8") as file:
        genders = {row["face_id"]: row["face_gender"] for row in csv.DictReader(file)}
    names = {"female": "woman", "male": "man"}
    return [
        (image, box, names[genders[path.stem]])
        for path in sorted(folder.rglob("*.jpg"))
        if path.stem in genders
        for image in [read_image(path)]
        for box in largest(detector.detect(image))
    ]


if __name__ == "__main__":
    main()
