"""Convolutions and poolings that XLA compiles well for small networks on large GPUs."""

from typing import Any

import jax.numpy as jnp
from keras.src.backend.jax import nn

_convolve, _average = nn.conv, nn.average_pool


def use_plain_kernels() -> None:
    """Let Keras write small convolutions and poolings as sums and products, here and from now on.

    Depthwise and 1x1 convolutions, those of one channel, and maxima are meant. XLA fuses them with
    what stands around them; as convolutions of cuDNN, or as `select_and_scatter`, they take most of
    the time of networks like these.
    """
    nn.conv, nn.depthwise_conv = _conv, _depthwise_conv
    nn.max_pool, nn.average_pool = _max_pool, _average_pool


def _conv(
    inputs: Any, kernel: Any, strides: Any = 1, padding: str = "valid", *rest: Any, **more: Any
) -> Any:
    kernel = nn.convert_to_tensor(kernel)
    if kernel.shape[:2] == (1, 1) and _first(strides) == 1:
        return jnp.einsum("bhwc,cd->bhwd", inputs.astype(kernel.dtype), kernel[0, 0])
    if inputs.shape[-1] == 1:
        return _weighted_sum(inputs, kernel, strides, padding).astype(kernel.dtype)
    return _convolve(inputs, kernel, strides, padding, *rest, **more)


def _depthwise_conv(
    inputs: Any, kernel: Any, strides: Any = 1, padding: str = "valid", *rest: Any, **more: Any
) -> Any:
    return _weighted_sum(inputs, kernel, strides, padding).astype(inputs.dtype)


def _weighted_sum(inputs: Any, kernel: Any, strides: Any, padding: str) -> Any:
    """Sum the taps of a kernel (size, size, channels, filters), where either of the last is 1."""
    kernel = nn.convert_to_tensor(kernel).astype(jnp.float32)
    weights = kernel.reshape(kernel.shape[0] * kernel.shape[1], -1)
    parts = _taps(inputs, kernel.shape[0], _first(strides), padding, 0.0)
    return sum(part.astype(jnp.float32) * each for part, each in zip(parts, weights, strict=True))


def _max_pool(
    inputs: Any, pool_size: Any, strides: Any = None, padding: str = "valid", *rest: Any
) -> Any:
    greatest, *parts = _taps(
        inputs, _first(pool_size), _first(strides or pool_size), padding, -jnp.inf
    )
    for part in parts:
        greatest = jnp.maximum(greatest, part)
    return greatest


def _average_pool(
    inputs: Any, pool_size: Any, strides: Any = None, padding: str = "valid", *rest: Any
) -> Any:
    if _first(pool_size) == 1:
        return inputs[:, :: _first(strides), :: _first(strides)]
    return _average(inputs, pool_size, strides, padding, *rest)


def _taps(x: Any, size: int, stride: int, padding: str, fill: float) -> list[Any]:
    """Return for each place of a window what it meets, (B, H', W', C), row by row."""
    if padding == "same":
        lacks = [max((-(-side // stride) - 1) * stride + size - side, 0) for side in x.shape[1:3]]
        margins = [(lack // 2, lack - lack // 2) for lack in lacks]
        x = jnp.pad(x, [(0, 0), *margins, (0, 0)], constant_values=fill)
    height, width = ((side - size) // stride * stride + 1 for side in x.shape[1:3])
    return [
        x[:, row : row + height : stride, column : column + width : stride]
        for row in range(size)
        for column in range(size)
    ]


def _first(value: Any) -> int:
    return value if isinstance(value, int) else value[0]
