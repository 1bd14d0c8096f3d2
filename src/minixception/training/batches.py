"""Batches for training: shuffled, augmented and prepared, a pure function of seed and epoch.

Nothing is remembered between epochs: the order and every random change of epoch `k` follow from
`(seed, k)` alone, so a resumed run continues like an uninterrupted one.
"""

import itertools
from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from minixception.images import to_grey
from minixception.preprocessor import Preprocessor
from minixception.training.recipes import Augmentation

Batch = tuple[NDArray[np.float32], NDArray[np.float32]]


def training_batches(
    images: NDArray[np.uint8],
    targets: NDArray[np.float32],
    *,
    preprocessor: Preprocessor,
    augmentation: Augmentation,
    batch_size: int,
    seed: int,
    mixup: float = 0.0,
    first_epoch: int = 0,
) -> Iterator[Batch]:
    """Yield batches forever, epoch after epoch, each with every image once.

    Images are uint8 (N, H, W, C) of any size: they are resized once, before augmentation, unless it
    asks for faces `from_stored_size`. Targets are float32 (N, K), a distribution over the classes
    per image. The last batch of an epoch has what is left. `seed`, not negative, decides order and
    augmentation; `mixup` is 0 for none, see `mix_images`; epochs are counted from 0.

    Yields:
        (float32 (B, height, width, channels), float32 (B, K)).
    """
    size = preprocessor.image_size
    larger = any(np.greater(images.shape[1:3], size))
    if larger or not augmentation.from_stored_size:
        images = preprocessor.resize(images)
    for epoch in itertools.count(first_epoch):
        generator = np.random.default_rng([seed, epoch])
        order = generator.permutation(len(images))
        for start in range(0, len(images), batch_size):
            rows = order[start : start + batch_size]
            changed = augment(images[rows], augmentation, generator=generator, size=size)
            batch = preprocessor.normalize(changed), targets[rows]
            yield mix_images(batch, mixup, generator=generator) if mixup else batch


def mix_images(batch: Batch, alpha: float, *, generator: np.random.Generator) -> Batch:
    """Mix each image of a batch with another one, and their targets likewise.

    Source: Zhang et al. 2018 (arXiv 1710.09412), with a share of its own for each image; that of
    the other image is drawn from Beta(alpha, alpha), alpha above 0.
    """
    images, targets = batch
    share = generator.beta(alpha, alpha, len(images)).astype(np.float32)
    share = np.minimum(share, 1 - share)  # an image stays the greater part of itself
    other = generator.permutation(len(images))
    shares = share[:, None, None, None]
    return (
        images + shares * (images[other] - images),
        targets + share[:, None] * (targets[other] - targets),
    )


def augment(
    images: NDArray[np.uint8],
    augmentation: Augmentation,
    *,
    generator: np.random.Generator,
    size: tuple[int, int] | None = None,
) -> NDArray[np.uint8]:
    """Return a changed copy of a batch, uint8 (B, H, W, C), by one warp per image.

    Rotation, shifts, zoom, crop, flip and the change of size are composed into one matrix, so that
    pixels are interpolated once. `size` is (height, width) of the result, if it is to be another.
    """
    height, width = size or images.shape[1:3]
    matrices = _affine_matrices(len(images), (height, width), augmentation, generator)
    if images.shape[1:3] != (height, width):
        _read_from(matrices, images.shape[1:3], size=(height, width))
    changed = np.empty((len(images), height, width, images.shape[3]), np.uint8)
    interpolation = cv2.INTER_CUBIC if augmentation.cubic else cv2.INTER_LINEAR
    for index, matrix in enumerate(matrices):
        warped = cv2.warpAffine(
            images[index],
            matrix,
            (width, height),
            flags=interpolation | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        changed[index] = warped.reshape(changed.shape[1:])
    lights = ("brightness", "contrast", "saturation", "lighting")
    if any(getattr(augmentation, name) for name in lights):
        for index in range(len(changed)):
            changed[index] = _jitter_light(changed[index], augmentation, generator)
    if augmentation.blur:
        for image in changed:
            _blur(image, augmentation.blur * width, generator)
    if augmentation.erasing:
        for image in changed:
            _erase_rectangle(image, augmentation.erasing, generator)
    return changed


def _affine_matrices(
    count: int, size: tuple[int, int], augmentation: Augmentation, generator: np.random.Generator
) -> NDArray[np.float64]:
    """Draw (count, 2, 3) matrices from output to input pixels (x, y), about the image's centre."""
    height, width = size

    def draw(limit: float) -> NDArray[np.float64]:
        return generator.uniform(-limit, limit, count)

    angle = np.deg2rad(draw(augmentation.rotation))
    shift_x = draw(augmentation.width_shift) * width
    shift_y = draw(augmentation.height_shift) * height
    zoom_x = 1 + draw(augmentation.zoom)
    zoom_y = 1 + draw(augmentation.zoom)
    if augmentation.horizontal_flip:
        zoom_x *= generator.choice([-1.0, 1.0], count)
    # Drawn only where asked for, so that recipes without a crop keep their random numbers.
    if augmentation.random_crop:
        side = generator.uniform(1 - augmentation.random_crop, 1, count)
        # The window's centre can move by half of what the window leaves of the image.
        shift_x += generator.uniform(-0.5, 0.5, count) * (1 - side) * width
        shift_y += generator.uniform(-0.5, 0.5, count) * (1 - side) * height
        zoom_x, zoom_y = zoom_x * side, zoom_y * side

    centre_x, centre_y = (width - 1) / 2, (height - 1) / 2
    cosine, sine = np.cos(angle), np.sin(angle)
    matrices = np.empty((count, 2, 3))
    matrices[:, 0, 0], matrices[:, 0, 1] = cosine * zoom_x, -sine * zoom_y
    matrices[:, 1, 0], matrices[:, 1, 1] = sine * zoom_x, cosine * zoom_y
    linear_x = matrices[:, 0, 0] * centre_x + matrices[:, 0, 1] * centre_y
    linear_y = matrices[:, 1, 0] * centre_x + matrices[:, 1, 1] * centre_y
    matrices[:, 0, 2] = centre_x + shift_x - linear_x
    matrices[:, 1, 2] = centre_y + shift_y - linear_y
    return matrices


def _read_from(
    matrices: NDArray[np.float64], stored: tuple[int, int], *, size: tuple[int, int]
) -> None:
    """Let matrices that point into images of `size` point into images of size `stored`, in place.

    The outer edges of both coincide, as in `cv2.resize`; pixel k has its centre at k + 0.5.
    """
    for axis, (there, here) in enumerate(zip(stored[::-1], size[::-1], strict=True)):
        matrices[:, axis, 2] += 0.5
        matrices[:, axis] *= there / here
        matrices[:, axis, 2] -= 0.5


def _jitter_light(
    image: NDArray[np.uint8], augmentation: Augmentation, generator: np.random.Generator
) -> NDArray[np.uint8]:
    """Change saturation, brightness, contrast and lighting of an image (H, W, C), in this order."""
    pixels = image.astype(np.float32)

    def blend(other: NDArray[np.float32] | float, limit: float) -> NDArray[np.float32]:
        weight = np.float32(1 + generator.uniform(-limit, limit))
        return np.clip(weight * pixels + (1 - weight) * other, 0, 255).astype(np.float32)

    if augmentation.saturation and image.shape[2] == 3:
        pixels = blend(to_grey(image).astype(np.float32), augmentation.saturation)
    if augmentation.brightness:
        pixels = blend(0.0, augmentation.brightness)
    if augmentation.contrast:
        pixels = blend(float(to_grey(pixels).mean()), augmentation.contrast)
    if augmentation.lighting:
        pixels = np.clip(pixels + _lighting_noise(pixels, augmentation.lighting, generator), 0, 255)
    return np.rint(pixels).astype(np.uint8)


def _blur(image: NDArray[np.uint8], greatest: float, generator: np.random.Generator) -> None:
    """Blur every second image (H, W, C), in place, by up to `greatest` pixels."""
    blurred, share = generator.uniform(size=2)
    sigma = share * greatest
    if blurred >= 0.5 and sigma > 0.01:  # OpenCV fails at some that are nearly 0
        soft = cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
        image[:] = soft.reshape(image.shape)


def _erase_rectangle(
    image: NDArray[np.uint8], greatest_share: float, generator: np.random.Generator
) -> None:
    """Fill a rectangle of every second image (H, W, C) with noise, in place."""
    erased, share, aspect, top, left = generator.uniform(size=5)
    if erased < 0.5:
        return
    # Area uniform, width by height from 1:3 to 3:1, as in the source.
    area = share * greatest_share * image.shape[0] * image.shape[1]
    stretch = np.sqrt(3.0 ** (2 * aspect - 1))
    height = min(int(np.sqrt(area) / stretch), image.shape[0])
    width = min(int(np.sqrt(area) * stretch), image.shape[1])
    row = int(top * (image.shape[0] - height + 1))
    column = int(left * (image.shape[1] - width + 1))
    noise = generator.integers(0, 256, (height, width, image.shape[2]), dtype=np.uint8)
    image[row : row + height, column : column + width] = noise


def _lighting_noise(
    pixels: NDArray[np.float32], standard_deviation: float, generator: np.random.Generator
) -> NDArray[np.float32]:
    """Draw noise (C,) along the principal components of the image's own colours, in pixel units."""
    channels = pixels.shape[2]
    if pixels.size == channels:  # a single pixel: no colours vary
        return np.zeros(channels, np.float32)
    covariance = np.cov(pixels.reshape(-1, channels) / 255, rowvar=False).reshape(channels, -1)
    eigenvalues, eigenvectors = np.linalg.eigh(covariance)
    strength = generator.normal(0, standard_deviation, channels) * eigenvalues
    return (eigenvectors @ strength * 255).astype(np.float32)
