"""Taking a trained network apart at a feature map, and replacing its ReLUs with guided ones.

The given model stays as it is: its layers are copied with their weights.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import keras
from keras import layers

from minixception.models.gradients import guided_relu


@dataclass(frozen=True)
class Dissection:
    """A network in parts; logits are what enters the softmax, (B, K).

    Attributes:
        image_to_maps: images to [`coarse`, `fine`], feature maps (B, height, width, channels).
        coarse_to_logits: from the last feature map with at least `COARSE` rows and columns.
        fine_to_logits: from the last one with at least `FINE`; it may be the same map.
        guided: images to logits, the same numbers with the gradients of guided backpropagation.
    """

    image_to_maps: keras.Model
    coarse_to_logits: keras.Model
    fine_to_logits: keras.Model
    guided: keras.Model


# Fewer rows than three cannot tell the eyes from the mouth.
COARSE = 3
# A mouth is about a fifth of a face box high.
FINE = 5


def dissect(model: keras.Model, input_shape: tuple[int, int, int]) -> Dissection:
    """Take a classifier apart; the parts have weights of their own.

    A feature map serves where everything that reaches the logits goes through it: after a residual
    sum, not inside one of its branches. It is found from the output backwards. In a network too
    small for `COARSE` or `FINE` the map with the most positions stands in.

    Args:
        model: functional or sequential, one image in and a softmax layer at its end; a model inside
            it counts as one layer.
        input_shape: (height, width, channels) of the image.

    Raises:
        ValueError: if it does not end in a softmax, or has no feature map.
    """
    copied = _copied(model, input_shape)
    coarse, fine = (_feature_map(copied, rows) for rows in (COARSE, FINE))
    return Dissection(
        image_to_maps=keras.Model(copied.input, [coarse, fine]),
        coarse_to_logits=keras.Model(coarse, copied.output),
        fine_to_logits=keras.Model(fine, copied.output),
        guided=_copied(model, input_shape, relu=guided_relu),
    )


def feature_extractor(model: keras.Model, input_shape: tuple[int, int, int]) -> keras.Model:
    """Return a network from images (B, height, width, channels) to features (B, D).

    Features are what enters the last layer with a kernel, which is the last convolution or dense
    layer; of a feature map it is the mean over all positions. Arguments and errors are those of
    `dissect`.
    """
    copied = _copied(model, input_shape)
    for layer in reversed(copied.layers):
        if any(len(weight.shape) > 1 for weight in layer.weights):
            if isinstance(layer, keras.Model):
                break
            positions = tuple(range(1, len(layer.input.shape) - 1))
            pooled = keras.ops.mean(layer.input, positions) if positions else layer.input
            return keras.Model(copied.input, pooled)
    raise ValueError(
        "`model` must have a convolution or dense layer, and no model inside it after that. "
        f"Received: {model.name}"
    )


def _copied(
    model: keras.Model,
    input_shape: tuple[int, int, int],
    *,
    relu: Callable[[Any], Any] | None = None,
) -> keras.Model:
    """Return a copy that ends in the logits, with another function for each ReLU if given.

    A layer that the model calls twice is two layers, so that each has one input and one output.
    """
    last = model.layers[-1]
    if not _is_softmax(last):
        raise ValueError(
            f"`model` must end in a softmax layer to be taken apart. Received: {model.name}, "
            f"which ends in {last.name}"
        )

    def copy(layer: Any) -> Any:
        if isinstance(layer, keras.Model):
            return keras.models.clone_model(layer, clone_function=copy)
        config = layer.get_config()
        config.pop("name", None)
        if layer is last and "activation" in config:
            config["activation"] = "linear"
        elif relu is not None and _has_relu(layer):
            if isinstance(layer, layers.ReLU):
                return layers.Activation(relu)
            config["activation"] = relu
        return type(layer).from_config(config)

    def call(layer: Any, *arguments: Any, **options: Any) -> Any:
        copied = copy(layer)
        output = copied(*arguments, **options)
        if isinstance(layer, layers.Layer):
            copied.set_weights(layer.get_weights())
        return output

    inputs = keras.Input(input_shape, name="image")
    copied = keras.models.clone_model(
        keras.Model(model.inputs, model.outputs),
        input_tensors=[inputs],
        clone_function=lambda layer: layer,
        call_function=call,
    )
    end = copied.layers[-1]
    logits = end.input if isinstance(end, layers.Softmax) else end.output
    return keras.Model(inputs, logits, name=model.name)


def _is_softmax(layer: layers.Layer) -> bool:
    is_softmax = getattr(layer, "activation", None) is keras.activations.softmax
    return is_softmax or isinstance(layer, layers.Softmax)


def _has_relu(layer: layers.Layer) -> bool:
    if isinstance(layer, layers.ReLU):
        return layer.max_value is None and not layer.negative_slope and not layer.threshold
    return getattr(layer, "activation", None) is keras.activations.relu


def _feature_map(model: keras.Model, rows: int) -> keras.KerasTensor:
    """Return the last feature map with so many rows and columns, else the one with the most."""
    maps = list(_feature_maps(model))
    if not maps:
        raise ValueError(
            "`model` must have a feature map (height, width, channels) that all of the image goes "
            f"through, to be explained. Received: {model.name}"
        )
    large = (each for each in maps if min(each.shape[1:3]) >= rows)
    return next(large, max(maps, key=lambda each: min(each.shape[1:3])))


def _feature_maps(model: keras.Model) -> Iterator[keras.KerasTensor]:
    """Yield the feature maps that all paths go through, from the output backwards.

    A cut moves through the graph, layer by layer; where it crosses a single connection, everything
    goes through that one.
    """
    cut = {id(model.output): model.output}
    for layer in reversed(model.operations):
        if cut.pop(id(layer.output), None) is None:
            continue
        cut.update({id(tensor): tensor for tensor in keras.tree.flatten(layer.input)})
        (first, *others) = cut.values()
        if first is model.input:
            return
        if not others and len(first.shape) == 4:
            yield first
