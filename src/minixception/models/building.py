"""What networks have in common: their input, normalized convolutions, the softmax at their end."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import keras
from keras import layers


def network(body: Callable[..., keras.KerasTensor]) -> Callable[..., keras.Model]:
    """Turn a function from images and a number of classes to logits into a builder of models.

    The builder takes the keywords `input_shape`, (height, width, channels), `num_classes` and
    `name`, and those of the body.
    """

    @wraps(body)
    def build(
        *,
        input_shape: tuple[int | None, int | None, int],
        num_classes: int,
        name: str,
        **options: Any,
    ) -> keras.Model:
        inputs = keras.Input(input_shape, name="image")
        logits = body(inputs, num_classes, **options)
        # In float32, so that probabilities sum to 1 whatever the precision of the body.
        outputs = layers.Activation("softmax", dtype="float32", name="predictions")(logits)
        return keras.Model(inputs, outputs, name=name)

    return build


def normalized_convolution(
    x: keras.KerasTensor, filters: int, size: int, *, padding: str = "same", **options: Any
) -> keras.KerasTensor:
    """Add a convolution without a bias, batch normalization and ReLU; `options` are of `Conv2D`."""
    x = layers.Conv2D(filters, size, padding=padding, use_bias=False, **options)(x)
    return normalized(x)


def normalized(x: keras.KerasTensor) -> keras.KerasTensor:
    """Add batch normalization and ReLU."""
    x = layers.BatchNormalization()(x)
    return layers.Activation("relu")(x)
