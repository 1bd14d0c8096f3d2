"""Data sets as they are published, small and made up, and folders of pictures."""

from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from minixception.images import write_image


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


def write_album(folder: Path, picture: Image.Image, count: int) -> None:
    """Write a folder of so many pictures in two sub-folders, and three that cannot be read.

    Args:
        folder: it need not be there.
        picture: of three faces; cut in different ways it makes three quarters of the pictures.
        count: of those that can be read.
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
    (folder / "b" / 'a "strange",\nname.png').write_bytes(b"GIF89a")
