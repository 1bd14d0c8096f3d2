"""The FaceNet of poster 004: a ResNet-50 that knows faces, half of it frozen, with a new top."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import h5py
import keras
import numpy as np
from keras import layers

from minixception.models.building import network

# Backbone layers with a smaller number, counted from 0 as `model.layers` does, are not trained. The
# padding layers of keras.applications (Keras-VGGFace has none) do not matter: in both, layer 101
# is the first after the last weights of the second block of stage 4.
FIRST_TRAINED_LAYER = 101

UNITS = (4096, 1024)


@network
def build_facenet(inputs: keras.KerasTensor, num_classes: int) -> keras.KerasTensor:
    """Build the FaceNet of poster 004, with fresh weights.

    The source gives: input 224x224 RGB; a ResNet-50 trained on VGGFace2, its top removed; FC 4096,
    FC 1024, FC `num_classes`, softmax; the layers before number 101 frozen, those from 101 on
    trained.

    Chosen here: `keras.applications.ResNet50` as the backbone; the mean over all positions between
    it and the new top, as Keras-VGGFace has it, where flattening would make 400 million weights;
    ReLU after the two wide layers; no dropout. Frozen batch normalization keeps its statistics.

    Without the weights of a trained backbone (`load_backbone_weights`) the frozen
    part computes random features.
    """
    backbone = keras.applications.ResNet50(
        include_top=False, weights=None, input_tensor=inputs, pooling="avg"
    )
    for layer in backbone.layers[:FIRST_TRAINED_LAYER]:
        layer.trainable = False
    x = backbone.output
    for units in UNITS:
        x = layers.Dense(units)(x)
        x = layers.Activation("relu")(x)
    return layers.Dense(num_classes)(x)


_VGGFACE_PARTS = {"0": "1x1_proj", "1": "1x1_reduce", "2": "3x3", "3": "1x1_increase"}


def load_backbone_weights(model: keras.Model, path: str | Path) -> str:
    """Put the weights of a file into the backbone of a `facenet`; its top stays as it is.

    The file is the HDF5 file of a ResNet-50, with or without its top: weights or a whole model,
    with layers named as in Keras-VGGFace or as in `keras.applications`, which is returned.

    Raises:
        OSError, RuntimeError, KeyError: the file is missing or damaged.
        ValueError: it lacks a layer, has one too many or one of another shape. Then the model is
            unchanged.
    """
    backbone = [layer for layer in model.layers if re.match(r"conv\d.*_(conv|bn)$", layer.name)]
    with h5py.File(path, "r") as file:
        tensors = _tensors(file)
        project = next((one for one, (_, _, first) in _NAMINGS.items() if first in tensors), None)
        if project is None:
            raise ValueError(
                f"{path} must hold a ResNet-50 with layers named as in {' or '.join(_NAMINGS)}. "
                f"Received: {', '.join(list(tensors)[:3]) or 'none'}"
            )
        rename, epsilon, _ = _NAMINGS[project]
        try:
            _refuse_others(tensors, {rename(layer.name) for layer in backbone})
            values = [_read_layer(layer, tensors, rename(layer.name)) for layer in backbone]
        except ValueError as error:
            raise ValueError(f"{path} does not fit: {error}") from error
    for layer, weights in zip(backbone, values, strict=True):
        layer.set_weights(weights)
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.epsilon = epsilon
    return project


def vggface_name(name: str) -> str:
    """Return the Keras-VGGFace name of a `keras.applications` layer with weights.

    >>> vggface_name("conv2_block1_0_conv"), vggface_name("conv1_bn")
    ('conv2_1_1x1_proj', 'conv1/7x7_s2/bn')
    """
    suffix = "/bn" if name.endswith("_bn") else ""
    block = re.match(r"conv(\d)_block(\d)_(\d)_", name)
    if block is None:
        return "conv1/7x7_s2" + suffix
    stage, number, part = block.groups()
    return f"conv{stage}_{number}_{_VGGFACE_PARTS[part]}{suffix}"


# Project -> from our name of a layer to its own, the epsilon of its batch normalization, and the
# first tensor.
_NAMINGS: dict[str, tuple[Callable[[str], str], float, str]] = {
    "Keras-VGGFace": (vggface_name, 1e-3, "conv1/7x7_s2/kernel"),
    "keras.applications": (str, 1.001e-5, "conv1_conv/kernel"),
}


def _tensors(file: h5py.File) -> dict[str, h5py.Dataset]:
    """Return name -> dataset, by the ends of its path: files repeat the name of the layer."""
    tensors: dict[str, h5py.Dataset] = {}

    def add(path: str, item: h5py.Group | h5py.Dataset) -> None:
        parts = path.split(":")[0].split("/")[-4:]  # the longest name is conv1/7x7_s2/bn/gamma
        if isinstance(item, h5py.Dataset) and not path.startswith("optimizer_weights/"):
            tensors.update({"/".join(parts[start:]): item for start in range(len(parts))})

    file.visititems(add)
    return tensors


def _refuse_others(tensors: Mapping[str, h5py.Dataset], names: set[str]) -> None:
    """Refuse a file with further convolutions, such as that of a SENet-50."""
    for name in tensors:
        layer, _, variable = name.rpartition("/")
        is_convolution = variable == "kernel" and re.fullmatch(r"conv[^/]+", layer) is not None
        if is_convolution and layer not in names:
            raise ValueError(f"a ResNet-50 has no layer {layer}")


def _read_layer(
    layer: keras.layers.Layer, tensors: Mapping[str, h5py.Dataset], name: str
) -> list[np.ndarray]:
    """Return the values of a layer's variables, float32, in their order; `name` is the file's."""
    values = []
    for variable in layer.weights:
        shape, found = tuple(variable.shape), tensors.get(f"{name}/{variable.name}")
        if found is None and variable.name == "bias":
            values.append(np.zeros(shape, np.float32))
            continue
        if found is None or found.shape != shape:
            received = "none" if found is None else found.shape
            raise ValueError(
                f"the {variable.name} of layer {name} must have the shape {shape}. "
                f"Received: {received}"
            )
        value = np.asarray(found, dtype=np.float32)
        if not np.isfinite(value).all():
            raise ValueError(f"the {variable.name} of layer {name} is not finite")
        is_first = layer.name == "conv1_conv" and variable.name == "kernel"
        values.append(value[:, :, ::-1] if is_first else value)  # files are for BGR
    return values
