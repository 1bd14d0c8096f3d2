"""Remake the pictures of this folder from two wheels; the README beside it has the commands.

PYTHONPATH=src python images/make_pictures.py matplotlib-3.0.3-*.whl scikit_image-0.26.0-*.whl
"""

from __future__ import annotations

import argparse
import io
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from minixception.boxes import Box
from minixception.images import as_rgb, crop, resize_image, write_image

FOLDER = Path(__file__).parent
TILE_SIZE = (300, 252)  # height and width; a face is then about 120 pixels wide
GAP = 24
BACKGROUND = 235

# Head and shoulders, of the proportions of a tile, found by eye.
ASTRONAUT_CROP = Box(123, 0, 202, 240)
LOVELACE_CROP = Box(105, 207, 233, 277)
HOPPER_CROP = Box(10, 0, 502, 598)


def read_from_wheel(wheel: Path, name: str) -> np.ndarray:
    """Return the picture `name` of a wheel as RGB uint8 (height, width, 3)."""
    with zipfile.ZipFile(wheel) as archive:
        return as_rgb(np.asarray(Image.open(io.BytesIO(archive.read(name)))))


def side_by_side(tiles: list[np.ndarray]) -> np.ndarray:
    """Return the tiles in a row on a plain background, with a gap around each."""
    height, width = TILE_SIZE
    shape = (height + 2 * GAP, len(tiles) * (width + GAP) + GAP, 3)
    picture = np.full(shape, BACKGROUND, dtype=np.uint8)
    for number, tile in enumerate(tiles):
        left = GAP + number * (width + GAP)
        picture[GAP : GAP + height, left : left + width] = tile
    return picture


def main() -> None:
    """Write the three pictures beside this script."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("matplotlib_wheel", type=Path)
    parser.add_argument("scikit_image_wheel", type=Path)
    arguments = parser.parse_args()
    samples = "matplotlib/mpl-data/sample_data"
    hopper = read_from_wheel(arguments.matplotlib_wheel, f"{samples}/grace_hopper.jpg")
    lovelace = read_from_wheel(arguments.matplotlib_wheel, f"{samples}/ada.png")
    astronaut = read_from_wheel(arguments.scikit_image_wheel, "skimage/data/astronaut.png")
    crops = [
        crop(astronaut, ASTRONAUT_CROP),
        crop(lovelace, LOVELACE_CROP),
        crop(hopper, HOPPER_CROP),
    ]
    tiles = [resize_image(part, TILE_SIZE) for part in crops]
    write_image(FOLDER / "astronaut.jpg", astronaut)
    write_image(FOLDER / "grace_hopper.jpg", hopper)
    write_image(FOLDER / "portraits.jpg", side_by_side(tiles))


if __name__ == "__main__":
    main()
