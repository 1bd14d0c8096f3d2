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
        model: functional or sequential, one image in and a softmax out; models inside it are
            taken apart too.
        input_shape: (height, width, channels) of the image.

    Raises:
        ValueError: if it does not end in a softmax, or has no feature map.
    """
    inputs = keras.Input(input_shape, name="image")
    calls = _copied_calls(model, inputs)
    logits = calls[-1].output
    coarse, fine = (_feature_map(model, calls, rows) for rows in (COARSE, FINE))
    return Dissection(
        image_to_maps=keras.Model(inputs, [coarse, fine]),
        coarse_to_logits=keras.Model(coarse, logits),
        fine_to_logits=keras.Model(fine, logits),
        guided=keras.Model(inputs, _copied_calls(model, inputs, relu=guided_relu)[-1].output),
    )


def feature_extractor(model: keras.Model, input_shape: tuple[int, int, int]) -> keras.Model:
    """Return a network from images (B, height, width, channels) to features (B, D).

    Features are what enters the last layer with a kernel, which is the last convolution or dense
    layer; of a feature map it is the mean over all positions. Arguments and errors are those of
    `dissect`.
    """
    inputs = keras.Input(input_shape, name="image")
    for call in reversed(_copied_calls(model, inputs)):
        if any(len(weight.shape) > 1 for weight in call.layer.weights):
            features = call.inputs[0]
            positions = tuple(range(1, len(features.shape) - 1))
            pooled = keras.ops.mean(features, positions) if positions else features
            return keras.Model(inputs, pooled)
    raise ValueError(f"`model` must have a convolution or dense layer. Received: {model.name}")


@dataclass(frozen=True)
class _Call:
    """One layer in the graph."""

    layer: layers.Layer
    inputs: list[keras.KerasTensor]
    output: keras.KerasTensor


def _copied_calls(
    model: keras.Model, inputs: keras.KerasTensor, *, relu: Callable[[Any], Any] | None = None
) -> list[_Call]:
    """Call copies of all layers as the model calls them, from input to output; models are opened.

    The last softmax is left out, and `relu` takes the place of each ReLU.
    """
    calls: list[_Call] = []
    copies: dict[layers.Layer, layers.Layer] = {}
    last = _last_layer(model)
    if not _is_softmax(last):
        raise ValueError(
            f"`model` must end in a softmax layer to be taken apart. Received: {model.name}, "
            f"which ends in {last.name}"
        )

    def copy(layer: Any) -> Any:
        if isinstance(layer, keras.Model) or not isinstance(layer, layers.Layer):
            return layer
        if layer not in copies:
            other = relu if _has_relu(layer) else None
            copies[layer] = _copy_of(layer, keras.activations.linear if layer is last else other)
        return copies[layer]

    def call(layer: Any, *arguments: Any, **options: Any) -> Any:
        if isinstance(layer, keras.Model):
            return connect(layer, arguments[0])
        if isinstance(layer, layers.Activation):  # which takes no mask, as Softmax does
            options = {}
        output = layer(*arguments, **options)
        given = keras.tree.flatten((arguments, options))
        tensors = [each for each in given if isinstance(each, keras.KerasTensor)]
        calls.append(_Call(layer, tensors, output))
        return output

    def connect(part: keras.Model, tensor: keras.KerasTensor) -> keras.KerasTensor:
        if isinstance(part, keras.Sequential):
            part = keras.Model(part.inputs, part.outputs)
        keras.models.clone_model(
            part,
            input_tensors=keras.tree.map_structure(lambda _: tensor, part.input),
            clone_function=copy,
            call_function=call,
        )
        return calls[-1].output  # the layer that gives the output comes last

    connect(model, inputs)
    for layer, copied in copies.items():
        copied.set_weights(layer.get_weights())
    return calls


def _copy_of(layer: layers.Layer, activation: Callable[[Any], Any] | None) -> layers.Layer:
    """Return a layer with weights and a name of its own, and with another activation if given."""
    if activation is not None and isinstance(layer, layers.ReLU | layers.Softmax):
        return layers.Activation(activation)
    config = layer.get_config()
    del config["name"]  # a model inside the model may have layers of the same names
    if activation is not None:
        config["activation"] = activation
    return type(layer).from_config(config)


def _last_layer(model: keras.Model) -> layers.Layer:
    layer = model.layers[-1]
    return _last_layer(layer) if isinstance(layer, keras.Model) else layer


def _is_softmax(layer: layers.Layer) -> bool:
    is_softmax = getattr(layer, "activation", None) is keras.activations.softmax
    return is_softmax or isinstance(layer, layers.Softmax)


def _has_relu(layer: layers.Layer) -> bool:
    if isinstance(layer, layers.ReLU):
        return layer.max_value is None and not layer.negative_slope and not layer.threshold
    return getattr(layer, "activation", None) is keras.activations.relu


def _feature_map(model: keras.Model, calls: list[_Call], rows: int) -> keras.KerasTensor:
    """Return the last feature map with so many rows and columns, else the one with the most."""
    maps = list(_feature_maps(calls))
    if not maps:
        raise ValueError(
            "`model` must have a feature map (height, width, channels) that all of the image goes "
            f"through, to be explained. Received: {model.name}"
        )
    large = (each for each in maps if min(each.shape[1:3]) >= rows)
    return next(large, max(maps, key=lambda each: min(each.shape[1:3])))


def _feature_maps(calls: list[_Call]) -> Iterator[keras.KerasTensor]:
    """Yield the feature maps that all paths go through, from the output backwards.

    A cut moves through the graph, call by call; where it crosses a single connection, everything
    goes through that one.
    """
    cut = {id(calls[-1].output): calls[-1].output}
    produced = {id(call.output) for call in calls}
    for call in reversed(calls):
        if cut.pop(id(call.output), None) is None:
            continue
        cut.update({id(tensor): tensor for tensor in call.inputs})
        (first, *others) = cut.values()
        if not others and len(first.shape) == 4 and id(first) in produced:
            yield first
