"""Changes to the pixels of a scene: light, covers, and the faults of a poor camera."""

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[Any]


def texture(size: int, generator: np.random.Generator) -> Image:
    """Draw noise of some coarseness with some contrast, or a plain grey."""
    coarse = int(2 ** generator.uniform(0.5, 6.5))
    noise = generator.normal(generator.uniform(30, 225), generator.uniform(0, 60), (coarse, coarse))
    noise = np.clip(noise, 0, 255).astype(np.uint8)
    way = cv2.INTER_CUBIC if generator.random() < 0.7 else cv2.INTER_NEAREST
    return cv2.resize(noise, (size, size), interpolation=way)


def change_light(image: Image, generator: np.random.Generator) -> Image:
    """Change gain and offset of one photograph; sometimes let the light come from a side."""
    gain, offset = 1.0, 0.0
    if generator.random() < 0.5:
        gain, offset = generator.uniform(0.5, 1.4), generator.uniform(-40, 40)
    if generator.random() < 0.15:
        left, right = generator.uniform(0.3, 1.2, 2)
        ramp = np.linspace(left, right, image.shape[1], dtype=np.float32)
        return np.clip(image * (ramp * gain) + offset, 0, 255).astype(np.uint8)
    table = np.clip(np.arange(256) * gain + offset, 0, 255).astype(np.uint8)
    return table[image]


def erase(image: Image, faces: NDArray[np.float32], generator: np.random.Generator) -> None:
    """Cover parts of some faces, and of some scenes, with rectangles, in place."""
    squares = [face[1:4] for face in faces if generator.random() < 0.12]
    if generator.random() < 0.15:
        size = len(image)
        squares.append(
            np.array([*generator.uniform(0, size, 2), size * generator.uniform(0.1, 0.5)])
        )
    for x, y, side in squares:
        height, width = (side * generator.uniform(0.15, 0.55, 2)).astype(int)
        left = int(x + side * generator.uniform(-0.5, 0.5) - width / 2)
        top = int(y + side * generator.uniform(-0.5, 0.5) - height / 2)
        part = image[max(top, 0) : max(top + height, 0), max(left, 0) : max(left + width, 0)]
        if generator.random() < 0.5:
            part[:] = generator.integers(0, 256)
        else:
            part[:] = generator.integers(0, 256, part.shape, dtype=np.uint8)


def degrade(image: Image, generator: np.random.Generator) -> Image:
    """Return a scene as a poor camera sees it: light, blur, noise, compression, each at times."""
    pixels: NDArray[Any] = image.astype(np.float32)
    if generator.random() < 0.5:  # contrast and brightness
        contrast = generator.uniform(0.5, 1.3)
        pixels = (pixels - 128) * contrast + 128 + generator.uniform(-40, 40)
    if generator.random() < 0.15:  # dark
        pixels *= math.exp(generator.uniform(math.log(0.15), math.log(0.7)))
    pixels = np.clip(pixels, 0, 255)
    if generator.random() < 0.2:
        pixels = cv2.GaussianBlur(pixels, (0, 0), generator.uniform(0.3, 1.4))
    if generator.random() < 0.35:
        strength = 15 * generator.random() ** 2
        pixels = pixels + strength * generator.standard_normal(pixels.shape, dtype=np.float32)
    degraded = np.rint(np.clip(pixels, 0, 255)).astype(np.uint8)
    if generator.random() < 0.3:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(generator.integers(25, 95))]
        encoded = cv2.imencode(".jpg", degraded, quality)[1]
        return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE))
    return degraded
