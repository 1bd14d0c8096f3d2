"""Data sets as they are published, small and made up; albums; cards for models."""

import os
import tarfile
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import fields
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image

from minixception.boxes import Box
from minixception.checkpoints.card import Card
from minixception.datasets import FaceDataset
from minixception.images import write_image
from minixception.labels import FERPLUS_COLUMNS
from minixception.preprocessor import Preprocessor

# Windows has neither quotes nor line breaks in names.
STRANGE = "a 'strange', name.png" if os.name == "nt" else 'a "strange",\nname.png'


def fer2013_csv(counts: Mapping[str, int], *, twins: Collection[str] = ()) -> str:
    """Return the text of a fer2013.csv in which each class is a brightness.

    Args:
        counts: usage -> number of its faces; their labels come in turn.
        twins: usages whose first face is the first of the whole file.
    """
    generator = np.random.default_rng(0)
    lines, first = ["emotion,pixels,Usage"], ""
    for usage, count in counts.items():
        for row in range(count):
            values = np.clip(generator.normal(20 + 35 * (row % 7), 10, 48 * 48), 0, 255)
            pixels = " ".join(map(str, values.astype(int)))
            first = first or pixels
            lines.append(f"{row % 7},{first if row == 0 and usage in twins else pixels},{usage}")
    return "\n".join(lines) + "\n"


def write_fer2013(folder: Path) -> None:
    """Write the faces of `fer2013_csv`, 28, 14 and 7 of them, and beside them votes of FER+."""
    sizes = {"Training": 28, "PublicTest": 14, "PrivateTest": 7}
    votes = [f"Usage,Image name,{','.join(FERPLUS_COLUMNS)}"]
    for usage, size in sizes.items():
        for row in range(size):
            counts = [10 * (column == row % 7) for column in range(len(FERPLUS_COLUMNS))]
            votes.append(f"{usage},,{','.join(map(str, counts))}")
    folder.mkdir(parents=True)
    (folder / "fer2013.csv").write_text(fer2013_csv(sizes))
    (folder / "fer2013new.csv").write_text("\n".join(votes) + "\n")


def write_album(folder: Path, picture: Image.Image, count: int) -> None:
    """Write a folder of so many pictures in two sub-folders, and three that cannot be read.

    The picture, of three faces, is cut in different ways: they are three quarters of the pictures.
    """
    for number in range(count):
        path = folder / "ab"[number % 2] / f"{number:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        if number % 4:
            picture.crop((0, 0, picture.width // (1 + number % 3), picture.height)).save(path)
        else:
            write_image(path, np.full((60 + number, 50, 3), 200, np.uint8))
    (folder / "a" / "broken.jpg").write_text("no picture")
    (folder / "b" / "empty.png").touch()
    (folder / "b" / STRANGE).write_bytes(b"GIF89a")


class BrightFinder:
    """A detector that finds a face in the middle, and a small one, in bright pictures only."""

    def detect(self, image: np.ndarray) -> list[Box]:
        height, width = image.shape[:2]
        middle = Box(width * 3 // 8, height * 3 // 8, width // 4, height // 4)
        return [middle, Box(0, 0, 2, 2)] if image.max() > 50 else []


def write_picture(
    path: Path, colour: int | tuple[int, int, int] = 100, *, size: tuple[int, int] = (12, 12)
) -> None:
    """Write a picture of one colour, grey or RGB; the size is (width, height)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L" if isinstance(colour, int) else "RGB", size, colour).save(path)


def write_noise(
    path: Path, seed: int = 0, *, size: tuple[int, int] = (20, 20), least: int = 0
) -> None:
    """Write a picture in RGB of values from `least`, another for each seed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(seed)
    Image.fromarray(generator.integers(least, 256, (*size, 3), dtype=np.uint8)).save(path)


def write_film(path: Path, images: Iterable[np.ndarray], rate: float = 10) -> Path:
    """Write a film of these pictures, so many per second."""
    from minixception.video.cameras import Frame
    from minixception.video.writer import VideoWriter  # which not every installation has

    with VideoWriter(path, rate=rate) as writer:
        for number, image in enumerate(images):
            writer.write(Frame(number, number / rate, image))
    return path


def write_ck_plus(folder: Path, emotions: Iterable[str], *, frames: int = 1) -> None:
    """Write ten subjects of CK+48, each with so many frames of every emotion."""
    for subject, (sequence, emotion) in product(range(10), enumerate(emotions)):
        for frame in range(12, 12 + frames):
            name = f"{emotion}/S{subject:03d}_{sequence:03d}_{frame:08d}.png"
            write_picture(folder / name, 20 * sequence + subject)


def write_utkface(folder: Path, count: int, *, size: tuple[int, int] = (20, 20)) -> None:
    """Write faces of UTKFace, of as many men as women, from 16 years on."""
    for number in range(count):
        facts = f"{16 + number}_{number % 2}_{number % 5}_{20170116 + number}"
        write_noise(folder / f"{facts}.jpg.chip.jpg", number, size=size)


def make_dataset(
    class_names: Sequence[str],
    labels: ArrayLike,
    *,
    name: str = "made_up",
    shape: tuple[int, int, int] = (6, 4, 1),
    **changes: Any,
) -> FaceDataset:
    """Return a data set in which each image is filled with its row number."""
    numbers = np.array(labels, np.int64)
    rows = np.arange(len(numbers)).astype(np.uint8)
    given: dict[str, Any] = {
        "images": np.broadcast_to(rows[:, None, None, None], (len(rows), *shape)).copy(),
        "labels": numbers,
        "class_names": tuple(class_names),
        "name": name,
        "licence": f"terms of {name}",
        "checksum": f"md5:{name}",
    }
    return FaceDataset(**{**given, **changes})


def require_same(found: FaceDataset, expected: FaceDataset) -> None:
    """Compare two data sets in all their fields."""
    for field in fields(FaceDataset):
        np.testing.assert_equal(getattr(found, field.name), getattr(expected, field.name))


def pack(folder: Path, path: Path) -> Path:
    """Write a tar archive of a folder, and in it a link that leads out of it."""
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as archive:
        archive.add(folder, arcname=folder.name)
        outside = tarfile.TarInfo("../../gone_0001.jpg")
        outside.type, outside.linkname = tarfile.SYMTYPE, "/etc/hostname"
        archive.addfile(outside)
    return path


def make_card(model: Any, class_names: Sequence[str], **entries: Any) -> Card:
    """Return a card for a Keras model, of 48 pixels where that takes any size."""
    height, width, channels = (size or 48 for size in model.input_shape[1:])
    given: dict[str, Any] = {
        "name": "card",
        "task": "emotion",
        "architecture": model.name,
        "parameters": model.count_params(),
        "class_names": tuple(class_names),
        "preprocessor": Preprocessor((height, width), channels),
    }
    return Card(**{**given, **entries})
