"""Scenes with labelled faces, composed from photographs of one face: a pure function of a seed.

There are only close-ups to learn from. A scene lays several of them over a background, at any
scale, turned and cut by the border, as rectangles or cut out around the head. It also holds what
is no face: backgrounds, textures, words, and photographs whose tiles are shuffled, with eyes and
mouths.
"""

import math
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from minixception.detection.columns import (
    FACE_COLUMNS,
    LANDMARKS,
    MIDDLE,
    SIDE,
    SURE,
    clipped_boxes,
)
from minixception.detection.labelled_pictures import LabelledPicture, SceneSources
from minixception.detection.scene_pixels import (
    change_light,
    degrade,
    erase,
    put_on_sunglasses,
    texture,
    write_word,
)
from minixception.images import resize_image

Image = NDArray[Any]
Faces = NDArray[np.float32]

# Pixels of the camera; smaller faces count neither as faces nor as background.
SMALLEST_FACE = 8.0
LEAST_CONTRAST = 5.0  # standard deviation of the grey values in a face's square; likewise
SUNGLASSES = 0.08  # share of the photographs whose face gets some
WORDS = 0.4  # share of the scenes with words behind the faces
# Share of the scenes from a camera with fewer pixels, up to so many times in each direction, since
# the search enlarges small pictures.
ENLARGED, MOST_ENLARGED = 0.4, 2.5
LEAST_VISIBLE = 0.5  # of a face's square inside the scene; with less it counts neither way

# Right and left change places in a mirror: of the landmarks' ten columns, which go where.
_MIRRORED = [2, 3, 0, 1, 4, 5, 8, 9, 6, 7]


def compose_scene(
    sources: SceneSources, size: int, generator: np.random.Generator
) -> tuple[Image, Faces]:
    """Return a scene, uint8 (size, size), and its faces, see `LabelledPicture`."""
    return _Composer(sources, size, generator).compose()


class _Composer:
    """A scene in the making."""

    def __init__(self, sources: SceneSources, size: int, generator: np.random.Generator) -> None:
        self._sources, self._size, self._generator = sources, size, generator
        self.faces: list[NDArray[np.float32]] = []
        # Squares (middle x, middle y, side) where something lies that must stay visible.
        self.taken: list[tuple[float, float, float]] = []

    def compose(self) -> tuple[Image, Faces]:
        """Draw the scene, see `compose_scene`."""
        generator = self._generator
        kind = generator.random()
        self.image = self._ground()
        if generator.random() < WORDS:
            for _ in range(int(generator.integers(1, 4))):
                write_word(self.image, generator)
        if kind < 0.2:
            self._add_background_faces()
            self._add_faces(count=0, decoys=int(generator.integers(0, 5)))
        elif kind < 0.40:
            self._add_close_face()
        elif kind < 0.48:
            self._add_parts()
        else:
            if generator.random() < 0.15:
                self._add_background_faces()
            # Many scenes with a few faces, some with a crowd.
            count = 1 + int(generator.exponential(5.0))
            decoys = int(generator.integers(0, 4)) if generator.random() < 0.35 else 0
            self._add_faces(count=min(count, 24), decoys=decoys)
        faces = np.stack(self.faces) if self.faces else np.zeros((0, FACE_COLUMNS), np.float32)
        erase(self.image, faces, generator)
        times = generator.uniform(1.25, MOST_ENLARGED) if generator.random() < ENLARGED else 1.0
        seen = round(self._size / times)
        image = degrade(resize_image(self.image, (seen, seen)), generator)
        image = resize_image(image, (self._size, self._size), cubic=True)
        return image, _judge(faces, image, smallest=SMALLEST_FACE * times)

    def _draw(self, pictures: Sequence[LabelledPicture]) -> LabelledPicture:
        return pictures[int(self._generator.integers(len(pictures)))]

    def _placed(
        self, point: NDArray[Any], middle: tuple[float, float], scale: float, angle: float
    ) -> NDArray[np.float64]:
        """Return the (2, 3) matrix that takes a point to a place, mirrored or not by chance."""
        cosine, sine = math.cos(math.radians(angle)), math.sin(math.radians(angle))
        linear = scale * np.array([[cosine, -sine], [sine, cosine]])
        if self._generator.random() < 0.5:
            linear[:, 0] *= -1
        return np.column_stack([linear, np.asarray(middle) - linear @ point])

    def _add_faces(self, *, count: int, decoys: int) -> None:
        """Lay photographs, and shuffled ones as decoys, large ones first."""
        size, generator = self._size, self._generator
        largest = size * math.exp(generator.uniform(math.log(0.15), 0.0))
        sides = np.exp(generator.uniform(math.log(9.0), math.log(largest), count + decoys))
        if generator.random() < 0.25:  # a group: all of a size
            sides = sides[:1].repeat(len(sides)) * generator.uniform(0.85, 1.15, len(sides))
        is_decoy = generator.permutation(np.arange(count + decoys) < decoys)
        for index in np.argsort(-sides):
            for _ in range(6):
                x, y = generator.uniform(-0.1 * sides[index], size + 0.1 * sides[index], 2)
                if self._is_free(x, y, sides[index]):
                    picture = self._draw(self._sources.photographs)
                    if is_decoy[index]:
                        picture = shuffle_tiles(picture, generator)
                    self._lay(picture, (x, y), float(sides[index]))
                    break

    def _is_free(self, x: float, y: float, side: float) -> bool:
        """Tell whether a square would leave what lies in the scene visible."""
        return all(
            max(abs(x - other_x), abs(y - other_y)) > 0.45 * (side + other)
            for other_x, other_y, other in self.taken
        )

    def _add_close_face(self) -> None:
        """Lay one photograph over most of the scene, or all of it, as a portrait."""
        size, generator = self._size, self._generator
        picture = self._draw(self._sources.photographs)
        share = generator.uniform(0.4, 1.15)
        side = size * share * picture.faces[0, SIDE] / max(picture.image.shape)
        middle = size / 2 + generator.normal(0, 0.06 * size, 2)
        if generator.random() < 0.5:  # nothing else in sight
            self.image[:] = generator.integers(0, 256) if generator.random() < 0.5 else 0
        self._lay(picture, (middle[0], middle[1]), side, portrait=True)

    def _add_parts(self) -> None:
        """Fill the scene with a small part of a photograph: an eye or a mouth alone is no face."""
        size, generator = self._size, self._generator
        picture = self._draw(self._sources.photographs)
        own_side = float(picture.faces[0, SIDE])
        scale = size * math.exp(generator.uniform(math.log(2.2), math.log(7.0))) / own_side
        height, width = picture.image.shape
        point = generator.uniform(0.1, 0.9, 2) * (width, height)
        matrix = self._placed(point, (size / 2, size / 2), scale, generator.normal(0, 15))
        self.image[:] = cv2.warpAffine(
            change_light(picture.image, generator),
            matrix,
            (size, size),
            flags=cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_REPLICATE,
        )

    def _lay(
        self,
        picture: LabelledPicture,
        middle: tuple[float, float],
        side: float,
        *,
        portrait: bool = False,
    ) -> None:
        """Lay a picture so that its first face, or all of it, comes to `middle` with this side."""
        generator = self._generator
        height, width = picture.image.shape
        has_face = len(picture.faces) > 0
        own_side = float(picture.faces[0, SIDE]) if has_face else float(max(height, width))
        own_middle = picture.faces[0, MIDDLE] if has_face else np.array([width / 2, height / 2])
        angle = generator.normal(0, 8) if generator.random() < 0.5 else generator.uniform(-45, 45)
        if portrait:
            angle = generator.normal(0, 5) if generator.random() < 0.7 else angle
        matrix = self._placed(own_middle, middle, side / own_side, angle)
        image = change_light(picture.image, generator)
        if has_face and generator.random() < SUNGLASSES:
            put_on_sunglasses(image, picture.faces[0], generator)
        mask = None
        if has_face and not portrait and generator.random() < 0.6:
            mask = _head_mask(picture, generator)
        _blend(self.image, image, mask, matrix)
        self.taken.append((*middle, side))
        self.faces.extend(_moved(picture.faces, matrix))

    def _ground(self) -> Image:
        """Draw what lies behind: a part of a background without faces, or a texture."""
        size, generator = self._size, self._generator
        if generator.random() < 0.1:
            return texture(size, generator)
        picture = self._draw(self._sources.backgrounds)
        while len(picture.faces):
            picture = self._draw(self._sources.backgrounds)
        height, width = picture.image.shape
        scale = math.exp(generator.uniform(math.log(0.6), math.log(3.0)))
        turned = generator.random() >= 0.6
        angle = generator.uniform(-180, 180) if turned else generator.normal(0, 10)
        point = generator.uniform(0, (width, height))
        matrix = self._placed(point, (size / 2, size / 2), scale, angle)
        (image,), matrix = _shrunk((picture.image,), matrix, scale)
        return cv2.warpAffine(image, matrix, (size, size), borderMode=cv2.BORDER_REFLECT)

    def _add_background_faces(self) -> None:
        """Lay a background with faces of its own over the ground, if there is one."""
        size, generator = self._size, self._generator
        natural = [picture for picture in self._sources.backgrounds if len(picture.faces)]
        if not natural or generator.random() < 0.5:
            return
        picture = self._draw(natural)
        longer = max(picture.image.shape)
        scale = size / longer * math.exp(generator.uniform(math.log(0.7), math.log(2.0)))
        point = picture.faces[int(generator.integers(len(picture.faces))), MIDDLE]
        middle = generator.uniform(0.2 * size, 0.8 * size, 2)
        matrix = self._placed(point, (middle[0], middle[1]), scale, generator.normal(0, 8))
        _blend(self.image, picture.image, None, matrix)
        moved = _moved(picture.faces, matrix)
        self.faces.extend(moved)
        self.taken.extend((float(x), float(y), float(side)) for x, y, side in moved[:, 1:4])


def _moved(faces: Faces, matrix: NDArray[np.float64]) -> Faces:
    """Return faces as they lie after a similarity."""
    moved = faces.copy()
    points = np.concatenate([faces[:, MIDDLE], faces[:, LANDMARKS]], axis=1).reshape(-1, 6, 2)
    points = points @ matrix[:, :2].T + matrix[:, 2]
    determinant = float(np.linalg.det(matrix[:, :2]))
    moved[:, MIDDLE] = points[:, 0]
    moved[:, SIDE] *= math.sqrt(abs(determinant))
    landmarks = points[:, 1:].reshape(-1, 10)
    moved[:, LANDMARKS] = landmarks[:, _MIRRORED] if determinant < 0 else landmarks
    return moved


def _blend(scene: Image, image: Image, mask: Image | None, matrix: NDArray[np.float64]) -> None:
    """Lay an image over the scene, in place, within the part of the scene that it reaches."""
    scale = math.sqrt(abs(float(np.linalg.det(matrix[:, :2]))))
    opaque = np.full(image.shape, 255, np.uint8) if mask is None else mask
    (image, opaque), matrix = _shrunk((image, opaque), matrix, scale)
    height, width = image.shape
    corners = np.array([[0, 0], [width, 0], [0, height], [width, height]])
    corners = corners @ matrix[:, :2].T + matrix[:, 2]
    left, top = np.maximum(np.floor(corners.min(axis=0)), 0).astype(int)
    right, bottom = np.minimum(np.ceil(corners.max(axis=0)), scene.shape[::-1]).astype(int)
    if right <= left or bottom <= top:
        return
    # Places are counted from pixel corners, OpenCV counts from pixel middles.
    shifted = matrix.copy()
    shifted[:, 2] += matrix[:, :2] @ (0.5, 0.5) - 0.5 - (left, top)
    area = (int(right - left), int(bottom - top))
    laid = cv2.warpAffine(image, shifted, area, borderMode=cv2.BORDER_REPLICATE)
    share = cv2.warpAffine(opaque, shifted, area).astype(np.float32) / 255
    part = scene[top:bottom, left:right]
    part[:] = np.rint(part + share * (laid.astype(np.float32) - part))


def _shrunk(
    images: tuple[Image, ...], matrix: NDArray[np.float64], scale: float
) -> tuple[tuple[Image, ...], NDArray[np.float64]]:
    """Shrink by areas what a matrix shrinks much, since a warp looks at 2x2 pixels only."""
    if scale >= 0.75:
        return images, matrix
    height, width = images[0].shape
    shape = [max(round(side * scale), 2) for side in (height, width)]
    matrix = matrix @ np.diag([width / shape[1], height / shape[0], 1.0])
    area = cv2.INTER_AREA
    return tuple(cv2.resize(one, shape[::-1], interpolation=area) for one in images), matrix


def _head_mask(picture: LabelledPicture, generator: np.random.Generator) -> Image:
    """Return how much of a picture shows, 0 to 255: an oval about its faces with a soft edge."""
    height, width = picture.image.shape
    scale = 4  # a soft edge needs no more, and blurring the whole costs as much as all the rest
    mask = np.zeros((-(-height // scale), -(-width // scale)), np.uint8)
    for face in picture.faces / scale:
        axes = face[SIDE] * generator.uniform((0.42, 0.58), (0.65, 0.8))
        middle = tuple(round(float(place)) for place in face[MIDDLE])
        cv2.ellipse(mask, middle, (int(axes[0]), int(axes[1])), 0, 0, 360, 255, -1)
    blur = float(picture.faces[0, SIDE]) / scale * generator.uniform(0.01, 0.06)
    return cv2.resize(cv2.GaussianBlur(mask, (0, 0), max(blur, 0.3)), (width, height))


def shuffle_tiles(picture: LabelledPicture, generator: np.random.Generator) -> LabelledPicture:
    """Return a picture without a face: its tiles in another order, each turned or not."""
    across = int(generator.integers(3, 6))
    height, width = (side // across * across for side in picture.image.shape)
    shape = (across, height // across, across, width // across)
    tiles = picture.image[:height, :width].reshape(shape).swapaxes(1, 2)
    tiles = tiles.reshape(across**2, *tiles.shape[2:])
    tiles = tiles[generator.permutation(len(tiles))]
    turned = generator.random(len(tiles)) < 0.5
    tiles[turned] = tiles[turned, ::-1]
    shuffled = tiles.reshape(across, across, *tiles.shape[1:]).swapaxes(1, 2)
    return LabelledPicture(picture.name, shuffled.reshape(height, width), picture.faces[:0])


def _judge(faces: Faces, image: Image, *, smallest: float) -> Faces:
    """Return the visible faces; those too small, too dim or mostly cut off are not sure."""
    boxes = clipped_boxes(faces, image.shape)
    visible = boxes[:, 2:].prod(axis=1) / np.maximum(faces[:, SIDE] ** 2, 1e-6)
    faces, boxes, visible = faces[visible > 0].copy(), boxes[visible > 0], visible[visible > 0]
    for face, (x, y, width, height), share in zip(faces, boxes, visible, strict=True):
        part = image[int(y) : math.ceil(y + height), int(x) : math.ceil(x + width)]
        if share < LEAST_VISIBLE or face[SIDE] < smallest or part.std() < LEAST_CONTRAST:
            face[SURE] = 0
    return faces
