"""Faces that nobody can read, shown in training so that a model learns to be unsure of them.

Source: outlier exposure, Hendrycks, Mazeika, Dietterich 2019 (arXiv 1812.04606): a classifier is
also shown things of no class, with all classes equally likely as the target. Here they are the
training images themselves, spoilt as by a bad camera or a detector's mistake.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from minixception.training.batches import Batch

Image = NDArray[Any]

# Keeps the random numbers here apart from those of `training_batches`, which has the same seed.
_STREAM = 1


def with_outliers(
    batches: Iterable[Batch], share: float, *, seed: int, first_step: int = 0
) -> Iterator[Batch]:
    """Spoil a share, 0 to 1, of the images of each batch, and set their targets to the uniform.

    The batches are those of `training_batches`, counted from `first_step`: what becomes of one
    depends on `seed` and its number alone.
    """
    for step, (images, targets) in enumerate(batches, first_step):
        if share:
            generator = np.random.default_rng([seed, step, _STREAM])
            images, targets = images.copy(), targets.copy()
            for index in np.flatnonzero(generator.random(len(images)) < share):
                images[index] = spoil(images[index], generator)
                targets[index] = 1 / targets.shape[1]
        yield images, targets


def spoil(image: Image, generator: np.random.Generator) -> Image:
    """Return an image (H, W, C) on which there is no face to be read, in one of several ways."""
    ways: tuple[Callable[[Image, np.random.Generator], Image], ...]
    ways = (_blur, _turn, _shuffle_tiles, _enlarge_part, _draw_texture)
    spoilt = ways[generator.integers(len(ways))](image, generator)
    return np.asarray(spoilt).reshape(image.shape)


def _blur(image: Image, generator: np.random.Generator) -> Image:
    """Blur by 5 to 30 % of the width: from 3 % on most emotions are no longer recognized."""
    sigma = image.shape[1] * math.exp(generator.uniform(math.log(0.05), math.log(0.3)))
    return cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)


def _turn(image: Image, generator: np.random.Generator) -> Image:
    return _warp(image, angle=generator.uniform(75, 285), scale=1.0, shift=(0.0, 0.0))


def _enlarge_part(image: Image, generator: np.random.Generator) -> Image:
    """Show a fourth to an eighth of the width: hair, cheek, half an eye."""
    scale = generator.uniform(4, 8)
    x, y = generator.uniform(-0.5, 0.5, 2) * (1 - 1 / scale)
    return _warp(image, angle=generator.uniform(-180, 180), scale=scale, shift=(x, y))


def _warp(image: Image, *, angle: float, scale: float, shift: tuple[float, float]) -> Image:
    """Turn and enlarge about a point, given in widths and heights from the middle."""
    height, width = image.shape[:2]
    middle = (width - 1) / 2, (height - 1) / 2
    point = middle[0] + shift[0] * width, middle[1] + shift[1] * height
    matrix = cv2.getRotationMatrix2D(point, angle, scale)
    matrix[:, 2] += np.subtract(middle, point)
    return cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)


def _shuffle_tiles(image: Image, generator: np.random.Generator) -> Image:
    """Cut into 3x3 to 6x6 tiles and shuffle them: all parts are there, but no face."""
    across = int(generator.integers(3, 7))
    height, width = (side // across for side in image.shape[:2])
    shuffled = image.copy()
    for place, tile in enumerate(generator.permutation(across**2)):
        top, left = place // across * height, place % across * width
        row, column = tile // across * height, tile % across * width
        part = image[row : row + height, column : column + width]
        shuffled[top : top + height, left : left + width] = part
    return shuffled


def _draw_texture(image: Image, generator: np.random.Generator) -> Image:
    """Draw noise, coarse or fine, of some contrast or none, in the range of the image's values."""
    height, width, channels = image.shape
    coarse = min(int(2 ** generator.uniform(0.5, 6.5)), height, width)
    noise = generator.random((coarse, coarse, channels), dtype=np.float32)
    middle = generator.random() * (1 - (contrast := generator.random()))
    low, high = image.min(), image.max()
    noise = (low + (high - low) * (middle + contrast * noise)).astype(image.dtype)
    return cv2.resize(noise, (width, height), interpolation=cv2.INTER_LINEAR)
