"""A faster training step on TensorFlow: the same network with fused batch normalization.

Keras writes batch normalization as a dozen elementwise operations, each of which passes over the
whole feature map; in mini-Xception on a CPU they cost more than the convolutions. TensorFlow has
one operation for all of it. `benchmarks/bench_training.py` compares the two.
"""

from typing import Any

import keras
from keras import layers


def accelerated(model: keras.Model) -> keras.Model:
    """Return a twin of `model` for training: the same layers and weights, a faster step.

    The twin has variables of its own. `model.set_weights(twin.get_weights())` brings what it has
    learned back. On other backends than TensorFlow the model itself is returned.
    """
    if keras.backend.backend() != "tensorflow":
        return model
    twin = keras.models.clone_model(model, clone_function=_fuse)
    twin.set_weights(model.get_weights())
    return twin


def _fuse(layer: layers.Layer) -> layers.Layer:
    if type(layer) is layers.BatchNormalization:
        return FusedBatchNormalization.from_config(layer.get_config())
    return layer.__class__.from_config(layer.get_config())


class FusedBatchNormalization(layers.BatchNormalization):
    """Batch normalization of (B, height, width, channels) by TensorFlow's fused operation."""

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Normalize; in training also update the moving statistics."""
        if not training or len(inputs.shape) != 4 or mask is not None:
            return super().call(inputs, training=training, mask=mask)
        import tensorflow as tf

        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=self.gamma.value,
            offset=self.beta.value,
            mean=[],
            variance=[],
            epsilon=self.epsilon,
            is_training=True,
        )
        # The operation returns the unbiased variance; Keras averages the biased one.
        count = tf.cast(tf.size(inputs) // inputs.shape[-1], variance.dtype)
        variance *= (count - 1) / count
        momentum = self.momentum
        self.moving_mean.assign(self.moving_mean * momentum + mean * (1 - momentum))
        self.moving_variance.assign(self.moving_variance * momentum + variance * (1 - momentum))
        return outputs
