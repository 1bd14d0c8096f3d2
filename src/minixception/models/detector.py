"""The face detector of the family: its residual modules, fully convolutional, with three heads.

Backbone: the stem and the residual depthwise-separable modules of mini-Xception (Arriaga et al.
2017, arXiv 1710.07557), padded so that a cell of a feature map stands for a square of `stride`
pixels. Heads without anchors, one per stride, as in FCOS (Tian et al. 2019, arXiv 1904.01355) and
YuNet (Wu et al. 2023, doi 10.1007/s11633-023-1423-y): each cell says whether the middle of a face
lies there, and where its box and landmarks are. There is no path from coarse to fine maps: LiteRT
would compute the size of the upsampling at run time, which rules out XNNPACK for all that follows.
"""

import math
from collections.abc import Sequence

import keras
from keras import layers

from minixception.models.building import normalized, normalized_convolution
from minixception.models.xception import residual_module

DETECTOR_NAME = "mini_xception_detector"

STRIDES = (8, 16, 32)

# What a cell gives: a score logit, a square box (middle x, middle y, logarithm of its side) and
# five landmarks (x, y), all in strides and from the middle of the cell.
OUTPUTS = 14

# Score of every cell at the beginning (Lin et al. 2017, arXiv 1708.02002, section 4.1).
PRIOR = 0.01


def build_detector(
    *,
    stem: Sequence[int] = (8, 16),
    levels: Sequence[Sequence[int]] = ((24, 48, 48), (80, 96), (96, 96)),
    head: int = 32,
) -> keras.Model:
    """Build the detector with fresh weights.

    `stem` are the filters of the two 3x3 convolutions with stride 2, `levels` those of the modules
    up to each of `STRIDES`, the first of which halves the map, and `head` those of the separable
    convolution of a head.

    Returns:
        A functional model from float32 (B, height, width, 1) in [-1, 1], height and width multiples
        of the last of `STRIDES`, to float32 (B, cells, 14): the cells of all strides, row by row,
        finest first; see `OUTPUTS`.
    """
    inputs = keras.Input((None, None, 1), name="image")
    x = inputs
    for filters in stem:
        x = normalized_convolution(x, filters, 3, strides=2)
    found = []
    for number, level in enumerate(levels):
        for index, filters in enumerate(level):
            # Small faces need what the first module sees before it halves the map; the others would
            # compute four times as much only to throw most of it away.
            is_pooled = number == 0
            x = residual_module(x, filters, strides=1 if index else 2, is_pooled=is_pooled)
        found.append(_head(x, head))
    outputs = layers.Concatenate(axis=1, dtype="float32", name="predictions")(found)
    return keras.Model(inputs, outputs, name=DETECTOR_NAME)


def _head(x: keras.KerasTensor, filters: int) -> keras.KerasTensor:
    x = normalized(layers.SeparableConv2D(filters, 3, padding="same", use_bias=False)(x))
    logit = math.log(PRIOR / (1 - PRIOR))
    score = layers.Conv2D(1, 1, bias_initializer=keras.initializers.Constant(logit))(x)
    place = layers.Conv2D(OUTPUTS - 1, 1)(x)
    x = layers.Concatenate()([score, place])
    return layers.Reshape((-1, OUTPUTS))(x)
