"""From face crops to the input of a network: one object for training, evaluation and inference."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minixception.images import resize_image, to_grey
from minixception.messages import counted

Images = NDArray[np.uint8] | Sequence[NDArray[np.uint8]]

# The largest network here takes 224. A card that asks for a million would fill the memory.
LARGEST_SIDE = 2048
# The published ranges end at 1 and 255; float32, and the sums in a network, end at 1e38.
LARGEST_BOUND = 1e6


@dataclass(frozen=True)
class Preprocessor:
    """Resizes, converts to grey and scales. It is stored on the checkpoint's card.

    Calling it turns uint8 images, an array (B, H, W, C) or a sequence of arrays (H, W, C) of any
    sizes, C = 1 (grey) or 3 (RGB), possibly mixed, into float32 (B, height, width, channels).

    Attributes:
        image_size: (height, width) of the network's input in pixels.
        channels: of the network's input: 1 (grey) or 3 (RGB).
        value_range: (low, high) that the pixel values 0 and 255 become. The default is the
            published `(x / 255 - 0.5) * 2`.
        mean: None, or a value per channel in pixel units (0 to 255). Then the input is centred:
            `(x - mean) / 255 * (high - low)`.

    >>> import numpy as np
    >>> preprocess = Preprocessor(image_size=(64, 64))
    >>> batch = preprocess(np.full((5, 48, 48, 1), 255, np.uint8))
    >>> batch.shape, batch.dtype, float(batch.max())
    ((5, 64, 64, 1), dtype('float32'), 1.0)
    """

    image_size: tuple[int, int]
    channels: int = 1
    value_range: tuple[float, float] = (-1.0, 1.0)
    mean: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        """Check the fields."""
        if not _holds(self.image_size, 2, int | np.integer, (1, LARGEST_SIDE)):
            raise ValueError(
                "`image_size` must be (height, width) in pixels, at least 1 and at most "
                f"{LARGEST_SIDE} each. Received: image_size={self.image_size}"
            )
        if self.channels not in (1, 3):
            raise ValueError(f"`channels` must be 1 or 3. Received: channels={self.channels}")
        number, ends = int | float | np.number, self.value_range
        is_range = _holds(ends, 2, number, (-LARGEST_BOUND, LARGEST_BOUND))
        if not is_range or ends[0] >= ends[1]:
            raise ValueError(
                f"`value_range` must be (low, high), finite numbers up to {LARGEST_BOUND:g}. "
                f"Received: value_range={self.value_range}"
            )
        if self.mean is not None and not _holds(self.mean, self.channels, number, (0, 255)):
            raise ValueError(
                f"`mean` must have {counted(self.channels, 'number')} from 0 to 255, one per "
                f"channel. Received: mean={self.mean}"
            )

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of one prepared image."""
        return (*self.image_size, self.channels)

    def __call__(self, images: Images) -> NDArray[np.float32]:
        """Prepare a batch; see the class.

        Raises:
            ValueError: for another dtype than uint8, or another rank or channel count.
        """
        return self.normalize(self.resize(images))

    def resize(self, images: Images) -> NDArray[np.uint8]:
        """Bring images to `image_size`: uint8 (B, height, width, C).

        Colours stay as they are, but a sequence of grey and RGB images gets `channels` throughout.
        """
        if isinstance(images, np.ndarray) and images.ndim == 4:
            _check_pixels(images)
            if images.shape[1:3] == self.image_size:
                return images
        if len(images) == 0:
            return np.zeros((0, *self.input_shape), np.uint8)
        arrays = [np.asarray(image) for image in images]
        for array in arrays:
            _check_pixels(array[np.newaxis])
        resized = [resize_image(array, self.image_size) for array in arrays]
        if len({image.shape[2] for image in resized}) > 1:
            resized = [_match_channels(image[np.newaxis], self.channels)[0] for image in resized]
        return np.stack(resized)

    def normalize(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Make resized uint8 (B, height, width, C) grey where asked for, and scale the values."""
        low, high = self.value_range
        scale = np.float32((high - low) / 255.0)
        pixels = _match_channels(images, self.channels).astype(np.float32)
        if self.mean is not None:
            pixels -= np.asarray(self.mean, np.float32)
        pixels *= scale
        if self.mean is None:
            pixels += np.float32(low)
        return pixels

    def centred_on(self, images: Images) -> "Preprocessor":
        """Return a copy whose `mean` is the mean pixel of these images, the training set."""
        pixels = _match_channels(self.resize(images), self.channels)
        mean = pixels.mean(axis=(0, 1, 2), dtype=np.float64)
        return replace(self, mean=tuple(float(value) for value in mean))

    def to_json(self) -> dict[str, Any]:
        """Return plain data for `card.json`."""
        fields = vars(self).items()
        return {name: list(one) if isinstance(one, tuple) else one for name, one in fields}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Preprocessor":
        """Read what `to_json` wrote.

        Raises:
            KeyError, TypeError, ValueError: for missing or impossible entries.
        """
        (height, width), (low, high), mean = data["image_size"], data["value_range"], data["mean"]
        return cls(
            image_size=(int(height), int(width)),
            channels=int(data.get("channels", 1)),
            value_range=(float(low), float(high)),
            mean=None if mean is None else tuple(map(float, mean)),
        )


def _check_pixels(images: NDArray[np.uint8]) -> None:
    if images.ndim != 4 or images.shape[3] not in (1, 3) or images.dtype != np.uint8:
        raise ValueError(
            "Faces must be a sequence of uint8 arrays (height, width, channels) with 1 or 3 "
            "channels; `read_image` makes one of a file. "
            f"Received: one of shape={images.shape[1:]}, dtype={images.dtype}"
        )


def _match_channels(images: NDArray[np.uint8], channels: int) -> NDArray[np.uint8]:
    """Go from RGB to grey, or repeat grey three times."""
    batch, height, width, found = images.shape
    if found == channels:
        return images
    if channels == 3:
        return np.repeat(images, 3, axis=3)
    if batch == 0:
        return np.zeros((0, height, width, 1), np.uint8)
    # The batch is one tall image to OpenCV: a single call for all of it.
    return to_grey(images.reshape(batch * height, width, found)).reshape(batch, height, width, 1)


def _holds(values: Any, count: int, kind: Any, bounds: tuple[float, float]) -> bool:
    """Return whether a value is a sequence of so many numbers of a type, all within bounds."""
    if not isinstance(values, tuple | list) or len(values) != count:
        return False
    return all(isinstance(each, kind) and bounds[0] <= each <= bounds[1] for each in values)
