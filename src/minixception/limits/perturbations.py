"""Ways to make faces harder to read, as data: small, blurred, dark, turned, turned back.

Each changes uint8 faces (N, H, W, C) as a camera or a distance would, before a model's
preprocessor. Level 0, for `SIZE` the width of the faces, leaves them unchanged, except that
`UPRIGHT` still turns them by what the roll network reads.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from minixception.boxes import Box
from minixception.detection.checker import FaceChecker
from minixception.images import cut_face, resize_image

Image = NDArray[Any]
Change = Callable[[Image, float, np.random.Generator], Image]

# Electrons of a pixel at white, and the standard deviation of its read noise: assumed, typical of
# the small sensors in phones.
FULL_WELL = 6000.0
READ_NOISE = 3.0

# The light, 0 to 1, behind each of the 256 pixel values (sRGB, IEC 61966).
_VALUES = np.arange(256) / 255
_CURVE = ((_VALUES + 0.055) / 1.055) ** 2.4
_LIGHT_OF_VALUE = np.where(_VALUES <= 0.04045, _VALUES / 12.92, _CURVE).astype(np.float32)


@dataclass(frozen=True)
class Perturbation:
    """One way to make faces harder to read.

    Levels, in the given unit, go from the mildest to the hardest; `level_name` turns one into a
    short text. `change` turns an image uint8 (H, W, C), with a level and a generator, into
    (H', W', C). Where `is_size` levels are widths in pixels, and images change their size.
    """

    name: str
    unit: str
    levels: tuple[float, ...]
    level_name: Callable[[float], str]
    change: Change
    description: str
    is_size: bool = False

    def levels_for(self, width: int) -> tuple[float, ...]:
        """Return the levels for faces of a width in pixels, first the one of faces as they are.

        >>> SIZE.levels_for(48)
        (48, 40, 32, 24, 20, 16)
        """
        if self.is_size:
            return (width, *(level for level in self.levels if level < width))
        return (0.0, *self.levels)


def perturb(
    images: NDArray[np.uint8], perturbation: Perturbation, level: float, *, seed: int
) -> NDArray[np.uint8]:
    """Return changed copies of faces uint8 (N, H, W, C), N at least 1, as uint8 (N, H', W', C).

    `level` is one of `levels_for` their width. The seed decides noise and directions of rotation,
    the same for every level.
    """
    generator = np.random.default_rng(seed)
    return np.stack([perturbation.change(image, level, generator) for image in images])


def _shrink(image: Image, width: float, _: np.random.Generator) -> Image:
    height = max(round(width * image.shape[0] / image.shape[1]), 1)
    return resize_image(image, (height, round(width)))


def _blur(image: Image, share: float, _: np.random.Generator) -> Image:
    if not share:
        return image
    sigma = share * image.shape[1]
    blurred = cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    return blurred.reshape(image.shape)


def _darken(image: Image, stops: float, generator: np.random.Generator) -> Image:
    """Darken a picture as a camera does that exposes no longer: darker, and noisier.

    A pixel counts electrons, with a variance of their number (shot noise) plus that of the readout:
    the linear model of EMVA standard 1288. Darkening scales down the noise that the picture has;
    what dim light would have beyond that is added.
    """
    share = 2.0**-stops
    electrons = _LIGHT_OF_VALUE[image] * np.float32(FULL_WELL * share)
    missing = (1 - share) * electrons + np.float32((1 - share**2) * READ_NOISE**2)
    noise = generator.standard_normal(image.shape, dtype=np.float32) * np.sqrt(missing)
    return _value_of_light((electrons + noise) / np.float32(FULL_WELL))


def _turn(image: Image, degrees: float, generator: np.random.Generator) -> Image:
    """Rotate about the centre, to a random side; the border is repeated outwards."""
    height, width = image.shape[:2]
    angle = degrees * generator.choice((-1.0, 1.0))
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, 1.0)
    turned = cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
    return turned.reshape(image.shape)


def _turn_back(image: Image, degrees: float, generator: np.random.Generator) -> Image:
    """Turn as `_turn`, and then as `FaceAnalyzer` would for the box that the face was cut from."""
    turned = _turn(image, degrees, generator)
    box = Box(0, 0, *turned.shape[1::-1])
    (angle,) = _checker().turns(turned, [box])
    return cut_face(turned, box, margin=0.0, angle=angle)


@cache
def _checker() -> FaceChecker:
    return FaceChecker.load()


def _value_of_light(light: NDArray[np.float32]) -> Image:
    """Return the pixel values nearest to an amount of light, clipped to 0 (black) and 1 (white)."""
    light = np.clip(light, 0.0, 1.0)
    curve = np.float32(1.055) * light ** np.float32(1 / 2.4) - np.float32(0.055)
    values = np.where(light <= 0.0031308, light * np.float32(12.92), curve)
    return np.rint(values * 255).astype(np.uint8)


SIZE = Perturbation(
    name="size",
    unit="width of the face in pixels",
    levels=(200, 150, 100, 64, 48, 40, 32, 24, 20, 16),
    level_name="{:g} px".format,
    change=_shrink,
    description="The face is scaled down to this width (area average), and scaled up by the "
    "preprocessor if the network takes a larger one.",
    is_size=True,
)
BLUR = Perturbation(
    name="blur",
    unit="standard deviation as a share of the face's width",
    levels=(0.01, 0.02, 0.03, 0.04, 0.06, 0.08),
    level_name=lambda level: f"{100 * level:g} % of the width",
    change=_blur,
    description="Gaussian blur; the standard deviation is given as a share of the face's width.",
)
DARKNESS = Perturbation(
    name="darkness",
    unit="stops; each halves the light",
    levels=(1, 2, 3, 4, 5, 6),
    level_name=lambda level: f"{level:g} stop{'' if level == 1 else 's'}",
    change=_darken,
    description="Each stop halves the light that reaches the camera, which neither exposes longer "
    "nor brightens the picture. Noise is added as in a sensor: shot noise and read noise (EMVA "
    f"standard 1288), with {FULL_WELL:g} electrons at white and {READ_NOISE:g} electrons of read "
    "noise, assumed values typical of small sensors.",
)
ROTATION = Perturbation(
    name="rotation",
    unit="degrees in the plane of the picture, to either side",
    levels=(10, 20, 30, 45, 60, 75, 90),
    level_name="{:g}°".format,
    change=_turn,
    description="In the plane of the picture, randomly to either side, about the centre; the "
    "corners are filled by repeating the border.",
)
UPRIGHT = Perturbation(
    name="upright",
    unit="degrees of rotation before the face is turned back",
    levels=ROTATION.levels,
    level_name=ROTATION.level_name,
    change=_turn_back,
    description="Rotated as above, then turned upright by the angle that the roll network reads, "
    "as `FaceAnalyzer` does with the faces of a picture. The corners cut off by the rotation are "
    "lost here; in a picture they are not.",
)
PERTURBATIONS = (SIZE, BLUR, DARKNESS, ROTATION, UPRIGHT)
