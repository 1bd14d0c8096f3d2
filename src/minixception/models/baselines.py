"""Plain convolutional networks: those that the paper starts from, and those of the reports.

`simple_cnn` is the paper's section 3 fully convolutional network of about 600,000 parameters;
`simpler_cnn` is its strided relative in the authors' code. All their convolutions have biases.
"""

import keras
from keras import layers

from minixception.models.building import network, normalized, normalized_convolution


@network
def build_simple_cnn(x: keras.KerasTensor, num_classes: int) -> keras.KerasTensor:
    """Four blocks of two convolutions with average pooling, then a convolution per class."""
    for filters, kernel_size in ((16, 7), (32, 5), (64, 3), (128, 3)):
        x = layers.Conv2D(filters, kernel_size, padding="same")(x)
        x = layers.BatchNormalization()(x)
        x = layers.Conv2D(filters, kernel_size, padding="same")(x)
        x = normalized(x)
        x = layers.AveragePooling2D(2, padding="same")(x)
        x = layers.Dropout(0.5)(x)
    x = layers.Conv2D(256, 3, padding="same")(x)
    x = layers.BatchNormalization()(x)
    x = layers.Conv2D(num_classes, 3, padding="same")(x)
    return layers.GlobalAveragePooling2D()(x)


@network
def build_simpler_cnn(x: keras.KerasTensor, num_classes: int) -> keras.KerasTensor:
    """Four strided blocks, then four convolutions down to one position, softmax over it."""
    for plain, strided in (
        ((16, 5), (16, 5)),
        ((32, 5), (32, 5)),
        ((64, 3), (64, 3)),
        ((64, 1), (128, 3)),
    ):
        x = layers.Conv2D(*plain, padding="same")(x)
        x = layers.BatchNormalization()(x)
        x = layers.Conv2D(*strided, strides=2, padding="same")(x)
        x = normalized(x)
        x = layers.Dropout(0.25)(x)
    x = layers.Conv2D(256, 1, padding="same")(x)
    x = layers.BatchNormalization()(x)
    x = layers.Conv2D(128, 3, strides=2, padding="same")(x)
    x = layers.Conv2D(256, 1, padding="same")(x)
    x = layers.BatchNormalization()(x)
    x = layers.Conv2D(num_classes, 3, strides=2, padding="same")(x)
    return layers.Flatten()(x)


@network
def build_lenet5_rgb(x: keras.KerasTensor, num_classes: int) -> keras.KerasTensor:
    """Build the LeNet-5 for colour pictures of report 003.

    The source gives: input 48x48x3, Conv 6 5x5, ReLU, MaxPool 2, Conv 16 5x5, ReLU, MaxPool 2 (maps
    of 44, 22, 18 and 9 pixels), three fully connected layers with ReLU, softmax.

    Chosen here: 120, 84 and `num_classes` units, as in LeNet-5 (LeCun et al. 1998, section II.B);
    no ReLU before the softmax, where it would only take away the negative half of the logits.
    """
    for filters in (6, 16):
        x = layers.Conv2D(filters, 5)(x)
        x = layers.Activation("relu")(x)
        x = layers.MaxPooling2D(2)(x)
    x = layers.Flatten()(x)
    for units in (120, 84):
        x = layers.Dense(units)(x)
        x = layers.Activation("relu")(x)
    return layers.Dense(num_classes)(x)


@network
def build_easynet(x: keras.KerasTensor, num_classes: int) -> keras.KerasTensor:
    """Build the EasyNet of poster 004.

    The source gives: input 64x64 grey, Conv 5x5, MaxPool 3x3, Conv 5x5, MaxPool 3x3, Conv 4x4, FC
    128, FC 6, and no more.

    Chosen here: 32, 96 and 192 filters, multiples of 32, which suit the vector units of a CPU;
    dropout 0.2 before both fully connected layers; convolutions without padding and poolings with
    stride 2 (maps of 60, 29, 25, 12 and 9 pixels); batch normalization and ReLU after each of them,
    behind the pooling, where a quarter of the positions is left to work on.
    """
    for filters in (32, 96):
        x = layers.Conv2D(filters, 5, use_bias=False)(x)
        x = layers.MaxPooling2D(3, strides=2)(x)
        x = normalized(x)
    x = normalized_convolution(x, 192, 4, padding="valid")
    x = layers.Flatten()(x)
    x = layers.Dropout(0.2)(x)
    x = layers.Dense(128)(x)
    x = layers.Activation("relu")(x)
    x = layers.Dropout(0.2)(x)
    return layers.Dense(num_classes)(x)


@network
def build_emonet(x: keras.KerasTensor, num_classes: int) -> keras.KerasTensor:
    """Build the EmoNet that poster 004 checks itself with, after Duncan, Shine, English 2017.

    The source gives the plan of VGG-S for 224x224: Conv 96 7x7 stride 2, local response
    normalization, MaxPool 3x3 stride 3, Conv 256 5x5, MaxPool 2x2 stride 2, three Conv 512 3x3,
    MaxPool 3x3 stride 3, FC 4048, FC 4048 with dropout 0.5, FC `num_classes`.

    Chosen here for 64x64: the first pooling has stride 2, and all padding is "same", which leaves
    maps of 32, 16, 8 and 3 pixels; batch normalization after each convolution instead of the one
    local response normalization; dropout after both wide layers.
    """
    x = normalized_convolution(x, 96, 7, strides=2)
    x = layers.MaxPooling2D(3, strides=2, padding="same")(x)
    x = normalized_convolution(x, 256, 5)
    x = layers.MaxPooling2D(2, padding="same")(x)
    for _ in range(3):
        x = normalized_convolution(x, 512, 3)
    x = layers.MaxPooling2D(3, padding="same")(x)
    x = layers.Flatten()(x)
    for _ in range(2):
        x = layers.Dense(4048)(x)  # the number of the source
        x = layers.Activation("relu")(x)
        x = layers.Dropout(0.5)(x)
    return layers.Dense(num_classes)(x)
