"""Fonts of labels, for names in any language."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from PIL import ImageFont

from minixception.messages import require

Font = ImageFont.ImageFont | ImageFont.FreeTypeFont

_DEJAVU = "mpl-data/fonts/ttf/DejaVuSans.ttf"

_CHECKED: set[str] = set()  # letters

log = logging.getLogger(__name__)


def label_font(size: int, texts: Iterable[str]) -> Font:
    """Return a font of `size` pixels, smooth at any size, that has the letters of the texts.

    That is Pillow's built-in Aileron for ASCII, else DejaVu Sans, which comes with matplotlib and
    has the alphabets of Europe and the Near East, but no Chinese, Japanese or Korean: see
    `warn_of_lacking`.
    """
    letters = "".join(texts)
    warn_of_lacking(letters)
    return _font(size, letters.isascii())


def warn_of_lacking(text: str) -> None:
    """Name the letters that become empty boxes, each once."""
    letters = {each for each in text if each.isprintable() and not each.isascii()} - _CHECKED
    _CHECKED.update(letters)
    if letters:
        font = _font(16, False)
        box = bytes(font.getmask("\uffff"))  # of a letter that does not exist
        if lacking := "".join(sorted(one for one in letters if bytes(font.getmask(one)) == box)):
            log.warning("Empty boxes are drawn for letters that are in no font here: %s", lacking)


@lru_cache(maxsize=64)
def _font(size: int, is_ascii: bool) -> Font:
    if is_ascii:
        return ImageFont.load_default(size)
    require("matplotlib", what="a label with letters beyond ASCII")
    found = find_spec("matplotlib")  # not imported, which would take longer than drawing
    assert found is not None
    return ImageFont.truetype(Path(str(found.origin)).parent / _DEJAVU, size)
