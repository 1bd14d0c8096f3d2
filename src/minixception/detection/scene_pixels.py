"""Changes to the pixels of a scene: light, covers, and the faults of a poor camera."""

import math
import string
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from minixception.detection.columns import LANDMARKS, SIDE

Image = NDArray[Any]

LETTERS = list(string.ascii_letters + string.digits + "!?&@%")


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


def put_on_sunglasses(
    image: Image, face: NDArray[np.float32], generator: np.random.Generator
) -> None:
    """Cover the eyes of a face (see `columns`) with dark lenses or a dark bar, in place."""
    first, second = face[LANDMARKS].reshape(5, 2)[:2]
    across = second - first
    distance = max(float(np.hypot(*across)), 0.2 * float(face[SIDE]))
    angle = math.degrees(math.atan2(across[1], across[0]))
    covered, shade = image.copy(), int(generator.integers(0, 60))
    width, height = distance * generator.uniform((0.34, 0.2), (0.5, 0.4))
    first, second = (16 * first).astype(int).tolist(), (16 * second).astype(int).tolist()
    bar = height if generator.random() < 0.2 else 0.03 * distance
    cv2.line(covered, first, second, shade, max(round(2 * bar), 1), cv2.LINE_AA, shift=4)
    for eye in (first, second):
        axes = round(16 * width), round(16 * height)
        cv2.ellipse(covered, eye, axes, angle, 0, 360, shade, -1, cv2.LINE_AA, shift=4)
    clear = generator.uniform(0, 0.2)
    cv2.addWeighted(image, clear, covered, 1 - clear, 0, dst=image)


def write_word(image: Image, generator: np.random.Generator) -> None:
    """Write some letters anywhere over a scene, in place, with or without an outline."""
    size = len(image)
    word = "".join(generator.choice(LETTERS, generator.integers(1, 10)))
    height = math.exp(generator.uniform(math.log(8), math.log(0.7 * size)))
    thickness = max(round(height * generator.uniform(0, 0.2)), 1)
    outline = max(round(height * generator.uniform(0.02, 0.15)), 1) * (generator.random() < 0.5)
    (x, y), (slant, turn) = generator.uniform(0, size, 2), generator.normal(0, 0.2, 2)
    matrix = np.array([[generator.uniform(0.7, 1.4), slant, 0], [turn, 1, 0]])
    is_drawn = generator.random() < 0.5
    font = int(generator.integers(8))
    for extra in (outline, 0):
        if is_drawn:
            letters = _drawn(word, height, thickness + 2 * extra, font)
        else:
            letters = _printed(word, height, extra)
        middle = np.array(letters.shape[::-1]) / 2
        matrix[:, 2] = (x, y) - matrix[:, :2] @ middle
        share = cv2.warpAffine(letters, matrix, image.shape[::-1]).astype(np.float32) / 255
        image[:] = np.rint(image + share * (generator.uniform(0, 255) - image))


def _drawn(word: str, height: float, thickness: int, font: int) -> Image:
    """Return a mask of a word in one of OpenCV's fonts of lines."""
    scale = height / 21  # of capitals, in pixels
    (width, tall), below = cv2.getTextSize(word, font, scale, thickness)
    margin = 2 * thickness
    mask = np.zeros((tall + below + 2 * margin, width + 2 * margin), np.uint8)
    place = (margin, margin + tall)
    return cv2.putText(mask, word, place, font, scale, 255, thickness, cv2.LINE_AA)


def _printed(word: str, height: float, outline: int) -> Image:
    """Return a mask of a word in Pillow's own font."""
    font = ImageFont.load_default(1.4 * height)  # capitals have 0.7 of its size
    left, top, right, bottom = font.getbbox(word, stroke_width=outline)
    mask = Pillow.new("L", (round(right - left) + 4, round(bottom - top) + 4))
    place = (2 - left, 2 - top)
    ImageDraw.Draw(mask).text(place, word, 255, font, stroke_width=outline)
    return np.asarray(mask)


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
