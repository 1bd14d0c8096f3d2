"""Pictures of explanations: a card per face, and maps laid over the faces of an image."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from minixception.boxes import Box, clip
from minixception.drawing.faces import BAR_TRACK_COLOUR, PANEL_COLOUR, WHITE, emotion_colour
from minixception.drawing.fonts import label_font
from minixception.images import as_rgb, resize_image, to_grey

if TYPE_CHECKING:
    from minixception.explain import Explanation

# Lightness grows evenly with the value, also in grey print and for colour-blind eyes.
COLOUR_MAP = "inferno"
# Opacity of the colour where the map is 1: the face shows through.
OPACITY = 0.75
# The strongest hundredth of a gradient's pixels may outshine all others: they are clipped.
BRIGHTEST_PERCENTILE = 99

TILE = 256  # pixels
GAP = 16
CAPTION = 30
FONT_SIZE = 17
DIM = (150, 150, 150)


def colours_of(values: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Return the colours of values in [0, 1]: (...) to RGB uint8 (..., 3)."""
    return _palette()[np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)]


@lru_cache(maxsize=1)
def _palette() -> NDArray[np.uint8]:
    import matplotlib

    return np.rint(255 * matplotlib.colormaps[COLOUR_MAP](range(256))[:, :3]).astype(np.uint8)


def draw_maps(
    image: NDArray[np.uint8], boxes: Sequence[Box], maps: NDArray[np.float32]
) -> NDArray[np.uint8]:
    """Return an image with a map laid over each face; where it is 0 the image stays as it is.

    `image` is RGB uint8 (H, W, 3); `boxes` are those of the crops that were explained, what lies
    outside the image is left out; `maps` are (N, height, width) in [0, 1].
    """
    drawn = image.copy()
    for box, one in zip(boxes, maps, strict=True):
        large = resize_image(np.asarray(one, np.float32), (box.height, box.width))
        x, y, width, height = clip(box, *image.shape[:2])
        part = large[y - box.y :, x - box.x :][:height, :width]
        drawn[y : y + height, x : x + width] = _blended(drawn[y : y + height, x : x + width], part)
    return drawn


def _blended(face: NDArray[np.uint8], values: NDArray[np.float32]) -> NDArray[np.uint8]:
    opacity = OPACITY * np.clip(values, 0, 1)[..., None]
    return np.rint(face * (1 - opacity) + colours_of(values) * opacity).astype(np.uint8)


def draw_explanation(
    face: NDArray[np.uint8], explanation: Explanation, index: int = 0
) -> NDArray[np.uint8]:
    """Draw the card of one face: the crop, an overlay, the probabilities and the maps.

    `face` is the crop that was explained, as `images.as_rgb` takes it; it is drawn square, as the
    network sees it. `index` says which of the explained faces it is.

    Returns:
        RGB uint8 (604, 832, 3).
    """
    face = resize_image(as_rgb(face), (TILE, TILE))
    name = explanation.explained[index]
    grey = np.repeat(to_grey(face), 3, axis=2)
    size = (4 * GAP + 3 * TILE, 2 * GAP + 2 * (TILE + CAPTION))
    picture = Image.new("RGB", size, PANEL_COLOUR)
    where = resize_image(explanation.hires_cam[index], (TILE, TILE))
    tiles = (
        ("face", face),
        (f"supports {name} (HiResCAM)", _blended(grey, where)),
        ("probabilities", None),
        ("Grad-CAM", _map_tile(explanation.grad_cam[index])),
        ("guided backpropagation", _map_tile(explanation.guided_backpropagation[index])),
        ("guided Grad-CAM", _map_tile(explanation.guided_grad_cam[index])),
    )
    for number, (caption, tile) in enumerate(tiles):
        place = GAP + number % 3 * (TILE + GAP), GAP + number // 3 * (TILE + CAPTION)
        if tile is None:
            _draw_probabilities(picture, place, explanation, index)
        else:
            picture.paste(Image.fromarray(tile), place)
        _draw_caption(picture, place, caption)
    return np.array(picture)


def _map_tile(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    brightest = float(np.percentile(values, BRIGHTEST_PERCENTILE)) or 1.0
    return colours_of(resize_image(np.minimum(values / brightest, 1), (TILE, TILE)))


def _draw_caption(picture: Image.Image, place: tuple[int, int], caption: str) -> None:
    middle = (place[0] + TILE / 2, place[1] + TILE + CAPTION / 2)
    fonts = [label_font(size, [caption]) for size in range(FONT_SIZE, 5, -1)]
    font = next((font for font in fonts if font.getlength(caption) <= TILE), fonts[-1])
    ImageDraw.Draw(picture).text(middle, caption, fill=WHITE, font=font, anchor="mm")


def _draw_probabilities(
    picture: Image.Image, place: tuple[int, int], explanation: Explanation, index: int
) -> None:
    """Draw a bar per class, that of the explained class in its colour."""
    draw = ImageDraw.Draw(picture)
    names = explanation.class_names
    step = min(2 * FONT_SIZE, TILE // len(names))
    font = label_font(max(6, min(FONT_SIZE, round(step * 0.8))), names)
    left = place[0] + max(draw.textlength(name, font=font) for name in names) + 8
    right = place[0] + TILE - draw.textlength("100 %", font=font) - 8
    top = place[1] + (TILE - step * len(names)) / 2
    for number, (name, share) in enumerate(zip(names, explanation.scores[index], strict=True)):
        middle, half = top + (number + 0.5) * step, step * 0.26
        ink, colour = DIM, DIM
        if number == explanation.classes[index]:
            ink, colour = WHITE, emotion_colour(name)
        draw.text((left - 8, middle), name, fill=ink, font=font, anchor="rm")
        text = f"{100 * share:.0f} %"
        draw.text((place[0] + TILE, middle), text, fill=ink, font=font, anchor="rm")
        draw.rectangle((left, middle - half, right, middle + half), fill=BAR_TRACK_COLOUR)
        end = left + (right - left) * float(share)
        if end - left >= 1:
            draw.rectangle((left, middle - half, end, middle + half), fill=colour)
