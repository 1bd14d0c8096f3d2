"""A made-up set of labelled pictures in the form that the detector is trained on."""

import csv
import io
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from minixception.detection.labelled_pictures import _COLUMNS


def write_labelled_pictures(folder: Path, *, photographs: int = 30) -> None:
    """Write the two archives with their tables: discs with eyes and a mouth, and noise."""
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder, "photographs", [_photograph(index) for index in range(photographs)])
    generator = np.random.default_rng(0)
    noise = generator.integers(0, 256, (20, 6, 9), dtype=np.uint8)
    no_face = [""] * (len(_COLUMNS) - 1)
    _write(folder, "backgrounds", [(cv2.resize(image, (90, 60)), no_face) for image in noise])


def _photograph(index: int) -> tuple[np.ndarray, list[float]]:
    image = np.full((80, 80), 60 + index, np.uint8)
    cv2.ellipse(image, (40, 40), (24, 32), 0, 0, 360, 200, -1)
    for x in (30, 50):
        cv2.circle(image, (x, 32), 4, 20, -1)
    cv2.line(image, (32, 56), (48, 56), 20, 3)
    landmarks = [30, 32, 50, 32, 40, 44, 32, 56, 48, 56]
    return image, [16, 8, 48, 64, 0.9, *landmarks]


def _write(folder: Path, kind: str, pictures: Sequence[tuple[np.ndarray, list[Any]]]) -> None:
    with (
        tarfile.open(folder / f"{kind}.tar", "w") as archive,
        (folder / f"{kind}.csv").open("w", newline="") as table,
    ):
        rows = csv.writer(table)
        rows.writerow([_COLUMNS[0], "source", *_COLUMNS[1:]])
        for number, (image, face) in enumerate(pictures):
            name = f"{number:05d}.jpg"
            content = cv2.imencode(".jpg", image)[1].tobytes()
            member = tarfile.TarInfo(f"{kind}/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
            rows.writerow([name, f"{kind}_{number}_0001.jpg", *face])
