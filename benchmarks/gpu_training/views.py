"""Random views of faces, on the GPU: what `minixception.training.batches` does with OpenCV."""

from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.gpu_training.settings import Settings


def sample(images: Any, matrices: Any, size: int, sharpness: Any) -> Any:
    """Read float32 (B, H, H) into (B, size, size); borders are repeated.

    `matrices` (B, 2, 3) lead from a place in the result to one in the image; both reach from -0.5
    to 0.5. `sharpness` (B,) leads from bilinear, 0, to bicubic interpolation, 1.
    """
    count, side = images.shape[:2]
    grid = (jnp.arange(size) + 0.5) / size - 0.5
    place = jnp.stack([*jnp.meshgrid(grid, grid), jnp.ones((size, size))], axis=-1)
    x, y = jnp.moveaxis(jnp.einsum("hwk,bak->bahw", place, matrices), 1, 0)
    x, y = (x + 0.5) * side - 0.5, (y + 0.5) * side - 0.5
    left, top = jnp.floor(x), jnp.floor(y)
    flat = images.reshape(count, side * side)
    total = 0.0
    share = jnp.asarray(sharpness)[:, None, None]
    for row, weight_y in enumerate(_weights(y - top, share), start=-1):
        for column, weight_x in enumerate(_weights(x - left, share), start=-1):
            rows = jnp.clip(top + row, 0, side - 1).astype(jnp.int32)
            columns = jnp.clip(left + column, 0, side - 1).astype(jnp.int32)
            index = (rows * side + columns).reshape(count, -1)
            pixels = jnp.take_along_axis(flat, index, axis=1).reshape(x.shape)
            total = total + weight_y * weight_x * pixels
    return jnp.clip(total, 0, 255)


def _weights(t: Any, share: Any) -> list[Any]:
    """Return the weights of the four nearest pixels; bicubic with the slope -0.75 of OpenCV."""
    slope = -0.75
    near = lambda s: ((slope + 2) * s - (slope + 3)) * s * s + 1  # noqa: E731
    far = lambda s: ((slope * s - 5 * slope) * s + 8 * slope) * s - 4 * slope  # noqa: E731
    cubic = [far(t + 1), near(t), near(1 - t), far(2 - t)]
    linear = [0.0, 1 - t, t, 0.0]
    return [line + share * (curve - line) for curve, line in zip(cubic, linear, strict=True)]


def draw_matrices(key: Any, count: int, settings: Settings) -> Any:
    """Draw rotation, shift, zoom and flip for `count` faces, float32 (count, 2, 3)."""
    draws = jax.random.uniform(key, (6, count), minval=-1.0, maxval=1.0)
    angle = jnp.deg2rad(draws[0] * settings.rotation)
    zoom_x = (1 + draws[1] * settings.zoom) * jnp.where(draws[5] < 0, -1.0, 1.0)
    zoom_y = 1 + draws[2] * settings.zoom
    cosine, sine = jnp.cos(angle), jnp.sin(angle)
    rows = [
        jnp.stack([cosine * zoom_x, -sine * zoom_y, draws[3] * settings.shift], axis=-1),
        jnp.stack([sine * zoom_x, cosine * zoom_y, draws[4] * settings.shift], axis=-1),
    ]
    return jnp.stack(rows, axis=1)


def change_light(key: Any, images: Any, settings: Settings) -> Any:
    """Change brightness and contrast, blur every second face, erase a rectangle of every second."""
    count, side = images.shape[:2]
    draws = jax.random.uniform(key, (9, count, 1, 1))
    gains = 1 + settings.light * (2 * draws[:2] - 1)
    images = jnp.clip(gains[0] * images, 0, 255)
    images = jnp.clip(
        gains[1] * images + (1 - gains[1]) * images.mean((1, 2), keepdims=True), 0, 255
    )
    if settings.blur:
        sigma = jnp.where(draws[2] < 0.5, 0.0, draws[3] * settings.blur * side) + 1e-3
        taps = [jnp.exp(-((k / sigma) ** 2) / 2) for k in range(-3, 4)]
        total = sum(taps)
        for axis in (1, 2):
            width = [(3, 3) if other == axis else (0, 0) for other in range(3)]
            padded = jnp.pad(images, width, mode="edge")
            parts = [jax.lax.slice_in_dim(padded, k, k + side, axis=axis) for k in range(7)]
            images = sum(tap * part for tap, part in zip(taps, parts, strict=True)) / total
    if settings.erasing:
        area = draws[4] * settings.erasing * jnp.where(draws[5] < 0.5, 0.0, 1.0)
        stretch = jnp.sqrt(3.0 ** (2 * draws[6] - 1))
        height, width = jnp.sqrt(area) / stretch, jnp.sqrt(area) * stretch
        rows = (jnp.arange(side) / side)[None, :, None] - draws[7] * (1 - height)
        columns = (jnp.arange(side) / side)[None, None, :] - draws[8] * (1 - width)
        inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
        noise = jax.random.uniform(jax.random.fold_in(key, 1), images.shape, maxval=255.0)
        images = jnp.where(inside, noise, images)
    return images
