"""The Xception family of Arriaga et al. 2017: mini, tiny and big Xception, from one builder.

Source: O. Arriaga, M. Valdenegro-Toro, P. Plöger, "Real-time Convolutional Neural Networks for
Emotion and Gender Classification", arXiv 1710.07557, figure 5, and the layer lists of the authors'
published weight files. An architecture here is a plan (two lists) that one loop turns into layers.

Layers are created in the order of the authors' code, so that the weight tensors stand in the same
order and shapes as in their files.
"""

from dataclasses import dataclass

import keras
from keras import layers

from minixception.models.building import network, normalized, normalized_convolution

# The authors wrote `kernel_regularizer=l2(0.01)` on the separable convolutions too, where their
# Keras ignored it. It acted on the two stem convolutions only, and so it does here.
STEM_L2 = 0.01


@dataclass(frozen=True)
class StemConvolution:
    """A 3x3 convolution without padding, then batch normalization and ReLU."""

    filters: int
    strides: int = 1


@dataclass(frozen=True)
class ResidualModule:
    """Two separable convolutions beside a 1x1 shortcut (see `residual_module`)."""

    filters: int
    strides: int = 2
    starts_with_relu: bool = False


@dataclass(frozen=True)
class XceptionPlan:
    """What distinguishes the members of the family."""

    stem: tuple[StemConvolution, ...]
    modules: tuple[ResidualModule, ...]
    stem_l2: float | None = STEM_L2


MINI_XCEPTION = XceptionPlan(
    stem=(StemConvolution(8), StemConvolution(8)),
    modules=tuple(ResidualModule(filters) for filters in (16, 32, 64, 128)),
)
# Twice as many filters, in multiples of 16, which suit the vector units of a CPU.
MINI_XCEPTION_WIDE = XceptionPlan(
    stem=(StemConvolution(16), StemConvolution(16)),
    modules=tuple(ResidualModule(filters) for filters in (32, 64, 128, 240)),
)
TINY_XCEPTION = XceptionPlan(
    stem=(StemConvolution(5), StemConvolution(5)),
    modules=tuple(ResidualModule(filters) for filters in (8, 16, 32, 64)),
)
BIG_XCEPTION = XceptionPlan(
    stem=(StemConvolution(32, strides=2), StemConvolution(64)),
    modules=(ResidualModule(128), ResidualModule(256, starts_with_relu=True)),
    stem_l2=None,
)
# The authors' older file for 48x48 faces: the last module keeps its size.
MINI_XCEPTION_48 = XceptionPlan(
    stem=(StemConvolution(5), StemConvolution(8)),
    modules=(
        *(ResidualModule(filters) for filters in (16, 32, 64)),
        ResidualModule(128, strides=1),
    ),
)


@network
def build_xception(
    x: keras.KerasTensor, num_classes: int, *, plan: XceptionPlan
) -> keras.KerasTensor:
    """Turn a plan into a model from (B, height, width, channels) to (B, num_classes) softmax."""
    for convolution in plan.stem:
        x = normalized_convolution(
            x,
            convolution.filters,
            3,
            strides=convolution.strides,
            padding="valid",
            kernel_regularizer=keras.regularizers.L2(plan.stem_l2) if plan.stem_l2 else None,
        )
    for module in plan.modules:
        x = residual_module(x, module)
    x = layers.Conv2D(num_classes, 3, padding="same")(x)
    return layers.GlobalAveragePooling2D()(x)


def residual_module(x: keras.KerasTensor, module: ResidualModule) -> keras.KerasTensor:
    """Add a shortcut and a main path; there is no ReLU after the sum, nor before it."""
    shortcut = x
    if module.strides > 1:
        # A convolution with these strides is the same, but its gradient ends Python on a CPU: below
        # 16 channels TensorFlow's oneDNN writes beyond its memory (uxlfoundation/oneDNN 6035).
        shortcut = layers.AveragePooling2D(1, strides=module.strides, padding="same")(shortcut)
    shortcut = layers.Conv2D(module.filters, 1, padding="same", use_bias=False)(shortcut)
    shortcut = layers.BatchNormalization()(shortcut)

    if module.starts_with_relu:
        x = layers.Activation("relu")(x)
    x = normalized(layers.SeparableConv2D(module.filters, 3, padding="same", use_bias=False)(x))
    x = layers.SeparableConv2D(module.filters, 3, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    if module.strides > 1:
        x = layers.MaxPooling2D(3, strides=module.strides, padding="same")(x)
    return layers.Add()([x, shortcut])
