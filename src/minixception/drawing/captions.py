"""Small texts on pictures."""

from collections.abc import Iterable

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from minixception.drawing.faces import PANEL_COLOUR, WHITE


def draw_captions(image: np.ndarray, captions: Iterable[tuple[int, int, str]]) -> np.ndarray:
    """Return a copy of an image with small texts; x and y are their upper left corner."""
    picture = Image.fromarray(image)
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(max(12, max(picture.size) // 50))
    for x, y, text in captions:
        left, top, right, bottom = draw.textbbox((x + 3, y + 2), text, font=font)
        draw.rectangle((left - 3, top - 2, right + 2, bottom + 2), fill=PANEL_COLOUR)
        draw.text((x + 3, y + 2), text, font=font, fill=WHITE)
    return np.array(picture)
