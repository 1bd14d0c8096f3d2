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
_VARIABLES = ("kernel", "bias", "gamma", "beta", "moving_mean", "moving_variance")


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
        project, tensors = _find_tensors(file, [layer.name for layer in backbone], path)
        rename, epsilon = _NAMINGS[project]
        names = [rename(layer.name) for layer in backbone]
        values = [
            _read_layer(layer, tensors.get(name, {}), name, path)
            for layer, name in zip(backbone, names, strict=True)
        ]
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


# Project -> from our name of a layer to its own, and the epsilon of its batch normalization.
_NAMINGS: dict[str, tuple[Callable[[str], str], float]] = {
    "Keras-VGGFace": (vggface_name, 1e-3),
    "keras.applications": (str, 1.001e-5),
}


def _find_tensors(
    file: h5py.File, names: list[str], path: str | Path
) -> tuple[str, dict[str, dict[str, h5py.Dataset]]]:
    """Return whose names the file uses, and layer name there -> variable -> dataset."""
    known = {rename(name): project for project, (rename, _) in _NAMINGS.items() for name in names}
    tensors: dict[str, dict[str, h5py.Dataset]] = {}
    strangers: list[str] = []
    datasets = _datasets(file)
    for name, dataset in datasets.items():
        *place, variable = name.split(":")[0].split("/")
        if variable not in _VARIABLES or not place or place[0] == "optimizer_weights":
            continue
        # Files repeat the name of the layer, which may itself have slashes: the longest end counts.
        ends = ("/".join(place[start:]) for start in range(len(place)))
        layer = next((end for end in ends if end in known), None)
        if layer is not None:
            tensors.setdefault(layer, {})[variable] = dataset
        elif place[-1].startswith("conv"):
            strangers.append(place[-1])
    if not tensors:
        raise ValueError(
            f"{path} must hold a ResNet-50 with layers named as in Keras-VGGFace (conv1/7x7_s2) or "
            f"keras.applications (conv1_conv). Received: {', '.join(list(datasets)[:3]) or 'none'}"
        )
    if strangers:
        raise ValueError(
            f"{path} is no ResNet-50, which has no layer {strangers[0]} (a SENet-50 has, for one). "
            "Give a file of a ResNet-50."
        )
    return known[next(iter(tensors))], tensors


def _datasets(file: h5py.File) -> dict[str, h5py.Dataset]:
    """Return path in the file -> dataset, of all of them."""
    items: dict[str, h5py.Group | h5py.Dataset] = {}
    file.visititems(lambda name, item: items.update({name: item}))
    return {name: item for name, item in items.items() if isinstance(item, h5py.Dataset)}


def _read_layer(
    layer: keras.layers.Layer,
    tensors: Mapping[str, h5py.Dataset],
    name: str,
    path: str | Path,
) -> list[np.ndarray]:
    """Return the values of a layer's variables, float32, in their order; `name` is the file's."""
    where = name if name == layer.name else f"{name} ({layer.name} in keras.applications)"
    values = []
    for variable in layer.weights:
        shape = tuple(variable.shape)
        if variable.name == "bias" and "bias" not in tensors:
            values.append(np.zeros(shape, np.float32))
            continue
        if variable.name not in tensors:
            raise ValueError(f"{path} does not fit: it has no {variable.name} of layer {where}.")
        found = tensors[variable.name]
        if found.shape != shape:
            raise ValueError(
                f"{path} does not fit: the {variable.name} of layer {where} must have the shape "
                f"{shape}. Received: {found.shape}"
            )
        value = np.asarray(found, dtype=np.float32)
        if not np.isfinite(value).all():
            raise ValueError(f"{path}: the {variable.name} of layer {where} is not finite.")
        values.append(
            value[:, :, ::-1] if layer.name == "conv1_conv" and value.ndim == 4 else value
        )
    return values
