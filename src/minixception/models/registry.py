"""The list of networks, and `build(name, input_shape, num_classes)`."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from numbers import Integral
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from minixception.models import baselines, facenet, mobilenet, xception


@dataclass(frozen=True)
class Network:
    """An architecture: how it is built, for what it was published, and the sizes it can take.

    Attributes:
        builder: called with keywords `input_shape`, `num_classes`, `name`; returns a built model.
        input_shape: (height, width, channels) of the publication.
        smallest: least height and width in pixels that leave at least one position.
        largest: greatest height and width in pixels, or None if there is no limit.
        any_size: whether height and width may be left open.
        channels: numbers of channels that it can take: 1 (grey), 3 (RGB).
        load_backbone: puts the weights of a file into its pre-trained part and returns whose layer
            names the file has; None without such a part. It is given some hundred prepared faces,
            float32 (N, height, width, channels).
    """

    builder: Callable[..., keras.Model]
    input_shape: tuple[int, int, int]
    smallest: int = 1
    largest: int | None = None
    any_size: bool = True
    channels: tuple[int, ...] = (1, 3)
    load_backbone: Callable[[keras.Model, Path, NDArray[np.float32]], str] | None = None


def _xception(plan: xception.XceptionPlan) -> Network:
    smallest = 1
    for _, strides in reversed(plan.stem):  # back from one position
        smallest = (smallest - 1) * strides + 3
    builder = partial(xception.build_xception, plan=plan)
    return Network(builder, plan.input_shape, smallest=smallest)


NETWORKS: dict[str, Network] = {
    **{name: _xception(plan) for name, plan in xception.PLANS.items()},
    "simple_cnn": Network(baselines.build_simple_cnn, (48, 48, 1)),
    # Its six strides of 2 must end in exactly one position.
    "simpler_cnn": Network(baselines.build_simpler_cnn, (64, 64, 1), largest=64, any_size=False),
    "lenet5_rgb": Network(
        baselines.build_lenet5_rgb, (48, 48, 3), smallest=16, any_size=False, channels=(3,)
    ),
    "easynet": Network(baselines.build_easynet, (64, 64, 1), smallest=31, any_size=False),
    "emonet": Network(baselines.build_emonet, (64, 64, 1), any_size=False),
    "facenet": Network(
        facenet.build_facenet,
        (224, 224, 3),
        smallest=32,
        channels=(3,),
        load_backbone=lambda model, path, _: facenet.load_backbone_weights(model, path),
    ),
    "facenet_mobilenet": Network(
        mobilenet.build_facenet_mobilenet,
        (112, 112, 1),
        load_backbone=mobilenet.load_mobilenet_weights,
    ),
}


_SHIPPED = dict(NETWORKS)


def is_shipped(name: str) -> bool:
    """Return whether a name still stands for the network that came with this package."""
    return name in _SHIPPED and NETWORKS.get(name) is _SHIPPED[name]


def network_names() -> tuple[str, ...]:
    """Names that `build` knows."""
    return tuple(NETWORKS)


def build(
    name: str, input_shape: tuple[int | None, int | None, int], num_classes: int
) -> keras.Model:
    """Build a network with fresh weights (Glorot uniform, seeded by `keras.utils.set_random_seed`).

    Args:
        name: one of `network_names()`.
        input_shape: (height, width, channels); channels are 1 (grey) or 3 (RGB). Height and width
            may be None, for any size, in the fully convolutional networks.
        num_classes: number of classes, at least 2.

    Returns:
        A functional model, float32 (B, height, width, channels) to float32 (B, num_classes), the
        rows of which sum to 1. Its last layer is named `predictions`.

    Raises:
        ValueError: for an unknown name, an impossible input shape or class count, or a builder
            that does not keep to this.

    >>> build("mini_xception", (64, 64, 1), 7).count_params()
    58423
    """
    check_input(name, input_shape)
    if not isinstance(num_classes, Integral) or num_classes < 2:
        raise ValueError(f"`num_classes` must be at least 2. Received: num_classes={num_classes!r}")
    builder = NETWORKS[name].builder
    model = builder(input_shape=tuple(input_shape), num_classes=num_classes, name=name)
    _check_built(model, name, num_classes)
    return model


def _check_built(model: keras.Model, name: str, num_classes: int) -> None:
    """Refuse what a builder got wrong before anything is trained."""
    found = None
    if isinstance(model, keras.Model) and model.built:
        last = model.layers[-1]
        is_softmax = getattr(last, "activation", None) is keras.activations.softmax
        found = (model.name, last.name, model.output_shape, is_softmax)
    if found != (name, "predictions", (None, num_classes), True):
        raise ValueError(
            f"The builder of `{name}` must return a Keras model of that name that begins with an "
            "`Input` and whose last layer is named `predictions`, with the shape (None, "
            f"{num_classes}) and the activation softmax. Received: {found or model}"
        )


def check_input(name: str, input_shape: tuple[int | None, int | None, int]) -> None:
    """Raise the errors of `build` for a name and an input shape, without building a network."""
    if name not in NETWORKS:
        raise ValueError(
            f"The network must be one of {', '.join(network_names())}. Received: {name!r}"
        )
    network = NETWORKS[name]
    received = f"Received: input_shape={input_shape}"
    is_shape = isinstance(input_shape, tuple | list) and len(input_shape) == 3
    is_shape = is_shape and all(isinstance(size, int | np.integer | None) for size in input_shape)
    if not is_shape or input_shape[2] not in network.channels:
        channels = " or ".join(map(str, network.channels))
        raise ValueError(
            f"`{name}` takes {channels} channels, in a shape (height, width, channels). {received}"
        )
    for size in input_shape[:2]:
        if size is None and network.any_size:
            continue
        if size is None or size < network.smallest or size > (network.largest or size):
            least, most = network.smallest, network.largest
            limits = f"{least} to {most}" if most is not None else f"at least {least}"
            raise ValueError(f"`{name}` takes a height and a width of {limits} pixels. {received}")
