"""Plain convolutional networks: those that the paper starts from, and those of the reports.

`simple_cnn` is the paper's section 3 fully convolutional network of about 600,000 parameters;
`simpler_cnn` is its strided relative in the authors' code. All their convolutions have biases.
"""

import keras
from keras import layers

from minixception.models.building import network, normalized, normalized_convolution

# (filters, kernel size) of the four blocks of `simple_cnn`.
SIMPLE_CNN_BLOCKS = ((16, 7), (32, 5), (64, 3), (128, 3))

# (filters, kernel size) of the first and of the second, strided convolution of each block.
SIMPLER_CNN_BLOCKS = (
    ((16, 5), (16, 5)),
    ((32, 5), (32, 5)),
    ((64, 3), (64, 3)),
    ((64, 1), (128, 3)),
)

# Filters of the convolutions of each stage; a stage ends with a pooling that halves the size.
NARROW_VGG_STAGES = ((16,), (32, 32), (64, 64, 64), (128, 128, 128), (256, 256))

# Widths of LeCun et al. 1998, section II.B: layers C1 and C3, then C5 and F6.
LENET5_FILTERS = (6, 16)
LENET5_UNITS = (120, 84)

# Duncan, Shine, English 2017, figure 1; 4048 is their number.
EMONET_UNITS = (4048, 4048)

# What poster 004 leaves open about EasyNet: filters of the three convolutions, in multiples of 32,
# which suit the vector units of a CPU, and dropout before each of the two fully connected layers.
EASYNET_FILTERS = (32, 96, 192)
EASYNET_DROPOUT = 0.2


@network
def build_simple_cnn(x: keras.KerasTensor, num_classes: int) -> keras.KerasTensor:
    """Four blocks of two convolutions with average pooling, then a convolution per class."""
    for filters, kernel_size in SIMPLE_CNN_BLOCKS:
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
    for (filters, kernel_size), (strided_filters, strided_size) in SIMPLER_CNN_BLOCKS:
        x = layers.Conv2D(filters, kernel_size, padding="same")(x)
        x = layers.BatchNormalization()(x)
        x = layers.Conv2D(strided_filters, strided_size, strides=2, padding="same")(x)
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
def build_narrow_vgg(x: keras.KerasTensor, num_classes: int) -> keras.KerasTensor:
    """Five stages of convolutions, then the mean over all positions and one dense layer."""
    for stage in NARROW_VGG_STAGES:
        for filters in stage:
            x = normalized_convolution(x, filters, 3)
        x = layers.MaxPooling2D(2, padding="same")(x)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dropout(0.2)(x)
    return layers.Dense(num_classes)(x)


@network
def build_lenet5_rgb(x: keras.KerasTensor, num_classes: int) -> keras.KerasTensor:
    """Build the LeNet-5 for colour pictures of report 003.

    The source gives: input 48x48x3, Conv 6 5x5, ReLU, MaxPool 2, Conv 16 5x5, ReLU, MaxPool 2 (maps
    of 44, 22, 18 and 9 pixels), three fully connected layers with ReLU, softmax.

    Chosen here: 120, 84 and `num_classes` units, as in LeNet-5 (LeCun et al. 1998); no ReLU before
    the softmax, where it would only take away the negative half of the logits.
    """
    for filters in LENET5_FILTERS:
        x = layers.Conv2D(filters, 5)(x)
        x = layers.Activation("relu")(x)
        x = layers.MaxPooling2D(2)(x)
    x = layers.Flatten()(x)
    for units in LENET5_UNITS:
        x = layers.Dense(units)(x)
        x = layers.Activation("relu")(x)
    return layers.Dense(num_classes)(x)


@network
def build_easynet(x: keras.KerasTensor, num_classes: int) -> keras.KerasTensor:
    """Build the EasyNet of poster 004.

    The source gives: input 64x64 grey, Conv 5x5, MaxPool 3x3, Conv 5x5, MaxPool 3x3, Conv 4x4, FC
    128, FC 6, and no more.

    Chosen here: filters and dropout, see above; convolutions without padding and poolings with
    stride 2 (maps of 60, 29, 25, 12 and 9 pixels); batch normalization and ReLU after each of them,
    behind the pooling, where a quarter of the positions is left to work on.
    """
    for filters in EASYNET_FILTERS[:2]:
        x = layers.Conv2D(filters, 5, use_bias=False)(x)
        x = layers.MaxPooling2D(3, strides=2)(x)
        x = normalized(x)
    x = normalized_convolution(x, EASYNET_FILTERS[2], 4, padding="valid")
    x = layers.Flatten()(x)
    x = layers.Dropout(EASYNET_DROPOUT)(x)
    x = layers.Dense(128)(x)
    x = layers.Activation("relu")(x)
    x = layers.Dropout(EASYNET_DROPOUT)(x)
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
    for units in EMONET_UNITS:
        x = layers.Dense(units)(x)
        x = layers.Activation("relu")(x)
        x = layers.Dropout(0.5)(x)
    return layers.Dense(num_classes)(x)
