"""A FaceNet for two cores: a MobileNet that knows faces, its lower blocks frozen, with a new top.

Source of the backbone: Howard et al. 2017 (arXiv 1704.04861), as `keras.applications.MobileNet` has
it. Two things differ there: here every convolution pads as "same" does, which is what
`keras.applications` computes where strided layers meet even sizes (96, 128, 224 pixels) and what
its published weights learned from; at 112 pixels, where the last stride meets 7, it computes
something else. And the normalization of the input is inside, so that the network takes the grey or
RGB faces from -1 to 1 that the other networks take, and can teach them.
"""

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers, ops
from numpy.typing import NDArray

from minixception.models.building import network

# Filters and stride of the thirteen blocks.
BLOCKS = (
    *((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)),
    *((512, 1),) * 5,
    *((1024, 2), (1024, 1)),
)
FROZEN_BLOCKS = 4

# Faces smaller than SMALLEST are enlarged to ENLARGED inside the network: at 96 pixels a third of
# what a backbone of 224 pixels knows is lost, and below that the last blocks see nearly nothing.
# A teacher that learned at 128 pixels has 72.9 % of PublicTest (six emotions) when faces of 64
# pixels are enlarged to 128, and 71.2 % when they are enlarged to 112.
SMALLEST = 96
ENLARGED = 128

# Of ImageNet, in the order blue, green, red, as VGGFace and its successors take them off.
MEANS = (103.939, 116.779, 123.68)

DROPOUT = 0.2
STATISTICS_BATCH = 64


def build_facenet_mobilenet(**options: Any) -> keras.Model:
    """Build a MobileNet with a new fully connected top, with fresh weights; see `building.network`.

    Inside, the pixels become what VGGFace2 weights expect: 0 to 255 less the means of blue, green
    and red (`load_mobilenet_weights` turns the first kernel to RGB); grey counts three times. The
    convolution and the first four blocks are not trained.

    Chosen here: the mean over all positions, dropout 0.2, one fully connected layer.
    """
    model = _build(**options)
    names = [layer.name for layer in model.layers]
    for layer in model.layers[: names.index(f"conv_dw_{FROZEN_BLOCKS + 1}")]:
        layer.trainable = False
    return model


@network
def _build(x: keras.KerasTensor, num_classes: int) -> keras.KerasTensor:
    height, width, channels = x.shape[1:]
    if height is not None and width is not None and min(height, width) < SMALLEST:
        x = layers.Resizing(ENLARGED, ENLARGED)(x)
    if channels == 1:
        x = layers.Concatenate()([x, x, x])
    x = layers.Rescaling(127.5, offset=[127.5 - mean for mean in reversed(MEANS)])(x)
    x = layers.Conv2D(32, 3, strides=2, padding="same", use_bias=False, name="conv1")(x)
    x = layers.BatchNormalization(name="conv1_bn")(x)
    x = layers.ReLU(6.0)(x)
    for number, (filters, strides) in enumerate(BLOCKS, start=1):
        x = layers.DepthwiseConv2D(
            3, strides=strides, padding="same", use_bias=False, name=f"conv_dw_{number}"
        )(x)
        x = layers.BatchNormalization(name=f"conv_dw_{number}_bn")(x)
        x = layers.ReLU(6.0)(x)
        x = layers.Conv2D(filters, 1, use_bias=False, name=f"conv_pw_{number}")(x)
        x = layers.BatchNormalization(name=f"conv_pw_{number}_bn")(x)
        x = layers.ReLU(6.0)(x)
    x = layers.GlobalAveragePooling2D(name="average")(x)
    x = layers.Dropout(DROPOUT)(x)
    return layers.Dense(num_classes, name="dense")(x)


def load_mobilenet_weights(model: keras.Model, path: str | Path, faces: NDArray[np.float32]) -> str:
    """Put the weights of a file into the backbone, and return whose names its layers have.

    Files come with batch normalization folded into other weights, or with statistics of other
    pictures: trained on as they are, its output would jump at the first step. So its mean and
    variance are measured on `faces`, and gamma and beta set so that the function stays the same.

    Args:
        model: from `build_facenet_mobilenet`.
        path: weights of `keras.applications.MobileNet(include_top=False)`, for BGR pictures, as
            Keras 3 (`.weights.h5`) or Keras 2 (`.h5`) saves them.
        faces: float32 (N, height, width, channels), some hundred inputs of the model.

    Raises:
        ValueError: the file does not fit, or holds a value that is not finite. Then the model is
            unchanged.
    """
    source = keras.applications.MobileNet(
        input_shape=(None, None, 3), include_top=False, weights=None
    )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # one for each layer that does not fit
            source.load_weights(path)
    # What Keras and h5py raise depends on what is wrong.
    except Exception as error:
        reason = str(error).strip().splitlines()[0]
        raise ValueError(
            f"{path} must hold weights of keras.applications.MobileNet without its top: {reason}"
        ) from error
    values = {layer.name: layer.get_weights() for layer in source.layers if layer.weights}
    for name, weights in values.items():
        if not all(np.isfinite(weight).all() for weight in weights):
            raise ValueError(f"{path}: a weight of layer {name} is not finite.")
    values["conv1"] = [values["conv1"][0][:, :, ::-1]]
    for name, weights in values.items():
        model.get_layer(name).set_weights(weights)
    renew_statistics(model, faces)
    return "keras.applications"


def renew_statistics(model: keras.Model, faces: NDArray[np.float32]) -> None:
    """Measure what batch normalization remembers on faces, and keep the function of the network.

    `faces` are some hundred inputs of the model, float32 (N, height, width, channels).
    """
    normalizations = [
        layer for layer in model.layers if isinstance(layer, layers.BatchNormalization)
    ]
    inputs = keras.Model(model.input, [layer.input for layer in normalizations])
    for layer, (mean, variance) in zip(normalizations, _moments(inputs, faces), strict=True):
        gamma, beta, old_mean, old_variance = layer.get_weights()
        slope = gamma / np.sqrt(old_variance + layer.epsilon)
        gamma = slope * np.sqrt(variance + layer.epsilon)
        layer.set_weights([gamma, beta + slope * (mean - old_mean), mean, variance])


def _moments(
    model: keras.Model, faces: NDArray[np.float32]
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Yield mean and variance of each channel of each output of a model."""
    sums = []
    for start in range(0, len(faces), STATISTICS_BATCH):
        outputs = model(faces[start : start + STATISTICS_BATCH], training=False)
        share = min(STATISTICS_BATCH, len(faces) - start) / len(faces)
        moments = (ops.moments(ops.cast(x, "float32"), axes=(0, 1, 2)) for x in outputs)
        pairs = ((np.float64(mean), np.float64(variance)) for mean, variance in moments)
        sums.append([(share * mean, share * (variance + mean**2)) for mean, variance in pairs])
    for parts in zip(*sums, strict=True):
        mean, square = np.sum(parts, axis=0)
        yield mean, np.maximum(square - mean**2, 0)
