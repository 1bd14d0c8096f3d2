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


@dataclass(frozen=True)
class XceptionPlan:
    """What distinguishes the members of the family.

    Attributes:
        input_shape: (height, width, channels) of the publication.
        stem: (filters, strides) of the 3x3 convolutions without padding.
        modules: (filters, strides) of the residual modules.
        relu_between: whether all modules but the first begin with a ReLU.
        stem_l2: weight decay of the stem. The authors wrote it on the separable convolutions too,
            where their Keras ignored it. It acted on the stem only, and so it does here.
    """

    input_shape: tuple[int, int, int]
    stem: tuple[tuple[int, int], ...]
    modules: tuple[tuple[int, int], ...]
    relu_between: bool = False
    stem_l2: float | None = 0.01


PLANS = {
    "mini_xception": XceptionPlan(
        (64, 64, 1), stem=((8, 1), (8, 1)), modules=((16, 2), (32, 2), (64, 2), (128, 2))
    ),
    # Twice as many filters, in multiples of 16, which suit the vector units of a CPU.
    "mini_xception_wide": XceptionPlan(
        (48, 48, 1), stem=((16, 1), (16, 1)), modules=((32, 2), (64, 2), (128, 2), (240, 2))
    ),
    "tiny_xception": XceptionPlan(
        (64, 64, 1), stem=((5, 1), (5, 1)), modules=((8, 2), (16, 2), (32, 2), (64, 2))
    ),
    "big_xception": XceptionPlan(
        (64, 64, 1),
        stem=((32, 2), (64, 1)),
        modules=((128, 2), (256, 2)),
        relu_between=True,
        stem_l2=None,
    ),
    # The authors' older file for 48x48 faces: the last module keeps its size.
    "mini_xception_48": XceptionPlan(
        (48, 48, 1), stem=((5, 1), (8, 1)), modules=((16, 2), (32, 2), (64, 2), (128, 1))
    ),
}


@network
def build_xception(
    x: keras.KerasTensor, num_classes: int, *, plan: XceptionPlan
) -> keras.KerasTensor:
    """Turn a plan into a model from (B, height, width, channels) to (B, num_classes) softmax."""
    for filters, strides in plan.stem:
        decay = keras.regularizers.L2(plan.stem_l2) if plan.stem_l2 else None
        x = normalized_convolution(
            x, filters, 3, strides=strides, padding="valid", kernel_regularizer=decay
        )
    for number, (filters, strides) in enumerate(plan.modules):
        begins = plan.relu_between and number > 0
        x = residual_module(x, filters, strides, starts_with_relu=begins)
    x = layers.Conv2D(num_classes, 3, padding="same")(x)
    return layers.GlobalAveragePooling2D()(x)


def residual_module(
    x: keras.KerasTensor,
    filters: int,
    strides: int,
    *,
    starts_with_relu: bool = False,
    is_pooled: bool = True,
) -> keras.KerasTensor:
    """Add two separable convolutions beside a 1x1 shortcut; their sum has no ReLU.

    The map gets smaller by max pooling at the end or, if not `is_pooled`, by the first convolution.
    """
    shortcut = x
    if strides > 1:
        # A convolution with these strides is the same, but its gradient ends Python on a CPU: below
        # 16 channels TensorFlow's oneDNN writes beyond its memory (uxlfoundation/oneDNN 6035).
        shortcut = layers.AveragePooling2D(1, strides=strides, padding="same")(shortcut)
    shortcut = layers.Conv2D(filters, 1, padding="same", use_bias=False)(shortcut)
    shortcut = layers.BatchNormalization()(shortcut)

    if starts_with_relu:
        x = layers.Activation("relu")(x)
    first = layers.SeparableConv2D(
        filters, 3, strides=1 if is_pooled else strides, padding="same", use_bias=False
    )
    x = normalized(first(x))
    x = layers.SeparableConv2D(filters, 3, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    if is_pooled and strides > 1:
        x = layers.MaxPooling2D(3, strides=strides, padding="same")(x)
    return layers.Add()([x, shortcut])
