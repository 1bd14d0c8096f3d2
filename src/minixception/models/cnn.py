"""The two plain convolutional networks that the mini-Xception paper starts from.

`simple_cnn` is the paper's section 3 fully convolutional network of about 600,000 parameters;
`simpler_cnn` is its strided relative in the authors' code. All convolutions have biases.
"""

import keras
from keras import layers

# (filters, kernel size) of the four blocks of `simple_cnn`.
SIMPLE_CNN_BLOCKS = ((16, 7), (32, 5), (64, 3), (128, 3))

# (filters, kernel size) of the first and of the second, strided convolution of each block.
SIMPLER_CNN_BLOCKS = (
    ((16, 5), (16, 5)),
    ((32, 5), (32, 5)),
    ((64, 3), (64, 3)),
    ((64, 1), (128, 3)),
)


def build_simple_cnn(
    *, input_shape: tuple[int | None, int | None, int], num_classes: int, name: str
) -> keras.Model:
    """Four blocks of two convolutions with average pooling, then a convolution per class."""
    inputs = keras.Input(input_shape, name="image")
    x = inputs
    for filters, kernel_size in SIMPLE_CNN_BLOCKS:
        x = layers.Conv2D(filters, kernel_size, padding="same")(x)
        x = layers.BatchNormalization()(x)
        x = layers.Conv2D(filters, kernel_size, padding="same")(x)
        x = layers.BatchNormalization()(x)
        x = layers.Activation("relu")(x)
        x = layers.AveragePooling2D(2, padding="same")(x)
        x = layers.Dropout(0.5)(x)
    x = layers.Conv2D(256, 3, padding="same")(x)
    x = layers.BatchNormalization()(x)
    x = layers.Conv2D(num_classes, 3, padding="same")(x)
    x = layers.GlobalAveragePooling2D()(x)
    outputs = layers.Activation("softmax", dtype="float32", name="predictions")(x)
    return keras.Model(inputs, outputs, name=name)


def build_simpler_cnn(
    *, input_shape: tuple[int, int, int], num_classes: int, name: str
) -> keras.Model:
    """Four strided blocks, then four convolutions down to one position, softmax over it."""
    inputs = keras.Input(input_shape, name="image")
    x = inputs
    for (filters, kernel_size), (strided_filters, strided_size) in SIMPLER_CNN_BLOCKS:
        x = layers.Conv2D(filters, kernel_size, padding="same")(x)
        x = layers.BatchNormalization()(x)
        x = layers.Conv2D(strided_filters, strided_size, strides=2, padding="same")(x)
        x = layers.BatchNormalization()(x)
        x = layers.Activation("relu")(x)
        x = layers.Dropout(0.25)(x)
    x = layers.Conv2D(256, 1, padding="same")(x)
    x = layers.BatchNormalization()(x)
    x = layers.Conv2D(128, 3, strides=2, padding="same")(x)
    x = layers.Conv2D(256, 1, padding="same")(x)
    x = layers.BatchNormalization()(x)
    x = layers.Conv2D(num_classes, 3, strides=2, padding="same")(x)
    x = layers.Flatten()(x)
    outputs = layers.Activation("softmax", dtype="float32", name="predictions")(x)
    return keras.Model(inputs, outputs, name=name)
