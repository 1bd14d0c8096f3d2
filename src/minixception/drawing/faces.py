"""Drawing what was found on a copy of the image: boxes, labels and bars."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from minixception.boxes import Box, shared_area
from minixception.drawing.fonts import label_font
from minixception.images import as_rgb, pillow_to_rgb
from minixception.labels import canonical_name, describe_scores, most_probable

if TYPE_CHECKING:
    from minixception.inference.predictions import FacePrediction

Colour = tuple[int, int, int]

# The eight colours of Okabe and Ito, chosen to stay apart for colour-blind eyes; grey for black.
EMOTION_COLOURS: dict[str, Colour] = {
    "angry": (213, 94, 0),
    "contempt": (230, 159, 0),
    "disgust": (0, 158, 115),
    "fear": (204, 121, 167),
    "happy": (240, 228, 66),
    "neutral": (187, 187, 187),
    "sad": (0, 114, 178),
    "surprise": (86, 180, 233),
}
_COLOUR_OF_MEANING = {canonical_name(name): colour for name, colour in EMOTION_COLOURS.items()}
BLACK: Colour = (0, 0, 0)
WHITE: Colour = (255, 255, 255)
PANEL_COLOUR: Colour = (24, 24, 24)
BAR_TRACK_COLOUR: Colour = (80, 80, 80)

# What a place for a label or panel costs per pixel of each kind that it covers.
_COST_OF_DRAWING = 8
_COST_OF_OTHER_FACE = 2
_COST_OF_OWN_FACE = 1

# Letter sizes to try where a panel has no room, as shares of the label's.
_PANEL_SIZES = (0.75, 0.5)
_SMALLEST_PANEL_FONT = 9  # pixels; smaller letters cannot be read
_SMALLEST_FONT = 6


class _Face:
    """A face to draw, and the sizes in pixels that belong together for it."""

    def __init__(self, face: FacePrediction, lines: list[str], font_size: int) -> None:
        self.given, self.box = face, face.box
        self.emotions = face.scores.get("emotion", {})
        self.lines = lines
        self.colour = emotion_colour(most_probable(self.emotions))
        self.font_size = font_size
        self.font = label_font(font_size, [*self.emotions, *lines])
        self.stroke = max(2, round(font_size / 7)) if face.box.width >= 40 else 1
        self.padding = max(2, font_size // 4)
        self.line_height = round(font_size * 1.25)

    def width_of(self, lines: Iterable[str]) -> float:
        """Return the width of the longest line."""
        return max(map(self.font.getlength, lines))

    def plates(self, picture_size: tuple[int, int]) -> dict[tuple[int, int], list[str]]:
        """Return the lines of each label that a picture has room for, by its width and height."""
        plates = {}
        for lines in ([" · ".join(self.lines)], self.lines):
            width = round(self.width_of(lines)) + 2 * self.padding
            height = len(lines) * self.line_height + self.padding
            if width <= picture_size[0] and height <= picture_size[1]:
                plates[width, height] = lines
        return plates


class _Canvas:
    """A picture being drawn on that remembers what is already covered."""

    def __init__(self, picture: Image.Image, faces: Sequence[Box]) -> None:
        self.picture = picture
        self.draw = ImageDraw.Draw(picture)
        self._faces = faces
        self.has_one_face = len(faces) == 1
        self._drawn: list[Box] = []

    def take_place(self, places: Iterable[Box], own: Box) -> Box:
        """Return the first of the places, moved into the picture, that covers least."""

        def cost(place: Box) -> int:
            total = _COST_OF_DRAWING * sum(shared_area(place, box) for box in self._drawn)
            for face in self._faces:
                weight = _COST_OF_OWN_FACE if face == own else _COST_OF_OTHER_FACE
                total += weight * shared_area(place, face)
            return total

        place = min((_moved_inside(place, self.picture.size) for place in places), key=cost)
        self._drawn.append(place)
        return place

    def take_free_place(self, places: Iterable[Box], *, may_cover_faces: bool) -> Box | None:
        """Return the first of the places, moved into the picture, that covers nothing, if any."""
        width, height = self.picture.size
        taken = self._drawn if may_cover_faces else [*self._drawn, *self._faces]
        for place in places:
            place = _moved_inside(place, self.picture.size)
            fits = place.width <= width and place.height <= height
            if fits and not any(shared_area(place, other) for other in taken):
                self._drawn.append(place)
                return place
        return None


def draw_predictions(
    image: np.ndarray,
    faces: Iterable[FacePrediction],
    *,
    bars: bool = False,
    numbers: Iterable[int] | None = None,
) -> np.ndarray:
    """Draw a box and a label such as "happy 93 % · woman 88 %" for each face.

    The text size follows face and image. A label is above its box, or below, beside or inside if
    the border, another label or another face is in the way. The colour stands for the emotion.

    Args:
        image: any array that `images.as_rgb` takes.
        faces: what to draw, at most a few dozen; boxes may reach beyond the image.
        bars: whether to add a panel with one bar per emotion to each face: beside, below or above
            it, without covering a face, label or other panel, and smaller if there is little room.
            A face without room for a panel gets none, unless it is the only face.
        numbers: of the faces, as in a film, to begin the labels with: "#1 happy 93 %".

    Returns:
        A new RGB uint8 image (height, width, 3); `image` is not changed.

    Raises:
        TypeError, ValueError: as `images.as_rgb`; `read_image` makes an array of a file.
    """
    picture = Image.fromarray(np.ascontiguousarray(as_rgb(image)))  # RGB is copied by Pillow
    faces = [*faces]
    labels = [label_lines(face) for face in faces]
    for number, lines in zip(numbers, labels, strict=True) if numbers is not None else ():
        lines[:1] = [" ".join([f"#{number}", *lines[:1]])]
    drawn = [_sized(*each, picture.size) for each in zip(faces, labels, strict=True)]
    canvas = _Canvas(picture, [face.box for face in drawn])
    for draw in (_draw_box, _draw_label, _draw_bars)[: 2 + bars]:
        for face in drawn:
            draw(canvas, face)
    return pillow_to_rgb(picture)  # NumPy would copy it twice


def emotion_colour(name: str | None) -> Colour:
    """Return the RGB colour of an emotion, always the same one, also for unknown names."""
    if name is None:
        return WHITE
    meaning = canonical_name(name)
    palette = list(EMOTION_COLOURS.values())
    # A checksum and not `hash`, which differs from one start of Python to the next.
    return _COLOUR_OF_MEANING.get(meaning, palette[zlib.crc32(meaning.encode()) % len(palette)])


def label_lines(face: FacePrediction) -> list[str]:
    """Return what is written at a face: a line per task, with its most probable class."""
    return [text for scores in face.scores.values() if (text := describe_scores(scores))]


def _sized(face: FacePrediction, lines: list[str], picture_size: tuple[int, int]) -> _Face:
    """Return a face with letters that follow its size, within bounds that keep them readable.

    A picture is viewed as a whole, whatever its number of pixels: 1/70 of its longer side is about
    the smallest readable text, 1/28 looks like a heading. Letters below 11 pixels blur; they are
    used only where a label would not fit into the picture.
    """
    longer_side = max(picture_size)
    smallest, largest = max(11, longer_side // 70), max(14, longer_side // 28)
    sized = _Face(face, lines, min(max(face.box.width // 9, smallest), largest))
    while lines and sized.font_size > _SMALLEST_FONT and not sized.plates(picture_size):
        sized = _Face(face, lines, sized.font_size - 1)
    return sized


def _draw_box(canvas: _Canvas, face: _Face) -> None:
    """Draw the frame around the face's pixels, with dark edges that show on light."""
    left, top, width, height = face.box
    right, bottom = left + max(0, width - 1), top + max(0, height - 1)
    edge = face.stroke
    for reach, ink, thickness in ((edge + 2, BLACK, edge + 2), (edge + 1, face.colour, edge)):
        corners = (left - reach, top - reach, right + reach, bottom + reach)
        canvas.draw.rectangle(corners, outline=ink, width=thickness)


def _draw_label(canvas: _Canvas, face: _Face) -> None:
    """Draw the label on a plate in the face's colour, unless the picture is too small for it."""
    draw, texts = canvas.draw, face.plates(canvas.picture.size) if face.lines else {}
    if not texts:
        return
    # A label much wider than its face runs into the neighbours: each task has a line then.
    room = 1.4 * face.box.width + 2 * face.padding
    sizes = [size for size in texts if size[0] <= room] or [*texts][-1:]
    places = [_places_for_label(face.box, size, face.stroke) for size in sizes]
    plate = canvas.take_place(chain.from_iterable(places), face.box)
    draw.rectangle(_corners(plate), fill=face.colour)
    for number, line in enumerate(texts[plate.width, plate.height]):
        middle = plate.y + face.padding / 2 + (number + 0.5) * face.line_height
        position = (plate.x + face.padding, middle)
        draw.text(position, line, fill=_ink_on(face.colour), font=face.font, anchor="lm")


def _draw_bars(canvas: _Canvas, face: _Face) -> None:
    """Draw a panel with name, bar and percentage of each emotion, if there is room for it.

    A single face may fill its picture: if there is no other place, the panel covers part of it.
    """
    if not face.emotions:
        return
    sizes = [max(round(share * face.font_size), _SMALLEST_PANEL_FONT) for share in _PANEL_SIZES]
    smaller = [_Face(face.given, face.lines, size) for size in sizes if size < face.font_size]
    for may_cover in (False, True)[: 1 + canvas.has_one_face]:
        for one in [face, *smaller]:
            panel = canvas.take_free_place(_places_for_panel(one), may_cover_faces=may_cover)
            if panel is not None:
                _fill_panel(canvas, panel, one)
                return


def _fill_panel(canvas: _Canvas, panel: Box, face: _Face) -> None:
    draw, gap, bar_width = canvas.draw, 2 * face.padding, 5 * face.font_size
    # 215 of 255: dark enough for the text, and the scene behind still shows.
    shade = Image.new("L", (panel.width, panel.height), 215)
    canvas.picture.paste(PANEL_COLOUR, _corners(panel), shade)
    left = round(panel.x + gap + face.width_of(face.emotions) + gap)
    half = max(1, round(face.font_size * 0.3))
    for number, (name, score) in enumerate(face.emotions.items()):
        middle = panel.y + face.padding + (number + 0.5) * face.line_height
        draw.text((left - gap, middle), name, fill=WHITE, font=face.font, anchor="rm")
        top, bottom = round(middle) - half, round(middle) + half - 1
        draw.rectangle((left, top, left + bar_width - 1, bottom), fill=BAR_TRACK_COLOUR)
        if filled := round(bar_width * min(max(score, 0.0), 1.0)):
            draw.rectangle((left, top, left + filled - 1, bottom), fill=emotion_colour(name))
        place = panel.x + panel.width - gap, middle
        draw.text(place, f"{100 * score:.0f} %", fill=WHITE, font=face.font, anchor="rm")


def _ink_on(colour: Colour) -> Colour:
    """Return black or white, whichever reads better on a colour."""
    red, green, blue = colour
    # Luma as in `images.to_grey`; 100 gives white on the dark blue of "sad" alone.
    return BLACK if 0.299 * red + 0.587 * green + 0.114 * blue > 100 else WHITE


def _corners(box: Box) -> tuple[int, int, int, int]:
    return box.x, box.y, box.x + box.width, box.y + box.height


def _places_for_label(box: Box, size: tuple[int, int], stroke: int) -> list[Box]:
    """Return places above, below, beside and inside the box, the favourite first."""
    width, height = size
    left, right = box.x - stroke, box.x + box.width + stroke - width
    above, below = box.y - stroke - height, box.y + box.height + stroke
    beside = [(box.x + box.width + stroke, box.y), (box.x - stroke - width, box.y)]
    lower, end = box.y + box.height - height, box.x + box.width - width
    inside = [(x, y) for y in (lower, box.y) for x in (box.x, end)]
    stacked = [(x, y) for y in (above, below) for x in (left, right)]
    return [Box(x, y, width, height) for x, y in stacked + beside + inside]


def _places_for_panel(face: _Face) -> list[Box]:
    """Return places beside, below and above the box, the favourite first."""
    box, gap = face.box, 3 * face.stroke
    texts = face.width_of(face.emotions) + 5 * face.font_size + face.width_of(["100 %"])
    width = round(texts) + 8 * face.padding
    height = len(face.emotions) * face.line_height + 2 * face.padding
    right, left = box.x + box.width + gap, box.x - gap - width
    top, bottom = box.y - face.stroke, box.y + box.height + face.stroke - height
    beside = [(x, y) for y in (top, bottom) for x in (right, left)]
    # Below and above once more with room for a label of two lines in between.
    stacked = [
        (x, y)
        for room in (gap, gap + 3 * face.line_height)
        for y in (box.y + box.height + room, box.y - room - height)
        for x in (box.x, box.x + box.width - width)
    ]
    return [Box(x, y, width, height) for x, y in beside + stacked]


def _moved_inside(box: Box, picture_size: tuple[int, int]) -> Box:
    """Move a box into a picture (width, height); one larger keeps its upper left corner."""
    x = max(0, min(box.x, picture_size[0] - box.width))
    y = max(0, min(box.y, picture_size[1] - box.height))
    return box._replace(x=x, y=y)
