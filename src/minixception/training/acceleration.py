"""A faster copy of a network, to be trained on TensorFlow: same layers and weights.

Two layers are written differently in the copy; both compute the same function.

- Keras writes batch normalization as a dozen elementwise operations, each of which passes over the
  whole feature map; on a CPU they cost more than the convolutions. TensorFlow has one operation for
  all of it, in training and for frozen layers. `benchmarks/bench_training.py` compares the two.
- TensorFlow's CPU library oneDNN writes beyond its memory in the gradient of a 1x1 convolution with
  stride 2 and fewer than 16 input channels (uxlfoundation/oneDNN issue 6035): depending on batch
  and image size, training ends with a segmentation fault. Picking every second pixel first avoids
  that gradient, as `xception.residual_module` does by itself, and a pooling of single pixels picks
  them faster than slicing does.

Replicas of the network, each with a core and a part of the batch, do change the result, so a recipe
must ask for them. Several accelerators may share the replicas; that changes nothing.
`benchmarks/training_pace.md` has what each of these is worth, and what else was tried.
"""

import contextlib
import os
from collections.abc import Callable, Sequence
from numbers import Integral
from typing import Any

import keras
from keras import layers, ops


def accelerated(
    model: keras.Model, *, precision: str = "float32", replicas: int = 1, devices: int = 1
) -> keras.Model:
    """Return a fast copy of `model` for training: the same layers and weights, a faster step.

    The copy has variables of its own, in float32. `model.set_weights(copy.get_weights())` brings
    what it has learned back. On other backends than TensorFlow the layers stay as they are, and
    with "float32" they are those of the model itself.

    `precision` is the Keras dtype policy of the copy, "float32" or "mixed_bfloat16"; the softmax
    layer, `predictions`, is computed in float32 with either. `replicas` is how many share a batch,
    see `DataParallel`, `devices` how many share the replicas, see `choose_devices`.
    """
    on_tensorflow = keras.backend.backend() == "tensorflow"

    def rewrite(layer: layers.Layer) -> layers.Layer:
        config = layer.get_config()
        # A strided depthwise gradient takes TensorFlow 25 times as long in bfloat16 on a CPU.
        is_slow = type(layer) is layers.DepthwiseConv2D and max(layer.strides) > 1
        if layer.name != "predictions" and not isinstance(layer, layers.InputLayer):
            config["dtype"] = "float32" if is_slow else precision
        return (_faster_class(layer) if on_tensorflow else type(layer)).from_config(config)

    copy = model
    if on_tensorflow or precision != "float32":
        copy = keras.models.clone_model(model, clone_function=rewrite)
        copy.set_weights(model.get_weights())
    if replicas == 1:
        return copy
    return DataParallel(copy, replicas, choose_devices(devices, replicas))


def divide_cores(replicas: int) -> None:
    """Give each replica its share of the cores, where TensorFlow has not begun to compute yet.

    Without it all replicas want all cores, which costs what they gain. The number of threads stays
    for the rest of the process, and sums are rounded by it.
    """
    if keras.backend.backend() != "tensorflow" or replicas == 1:
        return
    import tensorflow as tf

    with contextlib.suppress(RuntimeError):  # too late: the threads are there
        threads = max((os.cpu_count() or 1) // replicas, 1)
        tf.config.threading.set_intra_op_parallelism_threads(threads)


def choose_devices(count: int, replicas: int) -> tuple[str, ...]:
    """Return the names of so many accelerators, such as "gpu:0"; none for 1, where Keras chooses.

    Without an accelerator those devices count that TensorFlow sees in the processor, which is one
    unless a program divides it.

    Raises:
        ValueError: if there are not as many replicas, or devices of Keras on TensorFlow.
    """
    if count == 1:
        return ()
    on_tensorflow = keras.backend.backend() == "tensorflow"
    found = keras.distribution.list_devices() if on_tensorflow else []
    if not isinstance(count, Integral) or not 1 <= count <= min(replicas, len(found)):
        raise ValueError(
            f"`devices` must be a whole number of at most the `replicas`, {replicas}, which they "
            f"share, and of at most the {len(found)} that Keras on TensorFlow finds here. "
            f"Received: {count!r}"
        )
    return tuple(found[:count])


class DataParallel(keras.Model):
    """A network whose replicas take equal parts of a batch (B, ...), side by side.

    Most operations of a small network are too short for several cores to share one. Replicas share
    nothing but the weights, so that each keeps a core busy. Batch normalization takes its
    statistics over the part of one replica ("ghost batches", Hoffer et al. 2017, arXiv 1705.08741).

    All `replicas`, at least 1, use the layers and weights of `network`. `devices` names those that
    compute them in turn in training; without any, all stay on one. Variables stay on the first, so
    that state and results are the same.
    """

    def __init__(self, network: keras.Model, replicas: int, devices: Sequence[str] = ()) -> None:
        super().__init__()
        self.network = network
        self.replicas = replicas
        self.devices = tuple(devices)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Return what the network makes of (B, ...), in the order of the inputs."""
        count = ops.shape(inputs)[0]  # a tensor in a graph of TensorFlow
        lesser = min if isinstance(count, int) else ops.minimum
        size = -(-count // self.replicas)
        outputs = []
        for replica in range(self.replicas):
            # No part is empty, which would have no mean: beyond the end the last image is repeated.
            start = lesser(replica * size, count - 1)
            part = inputs[start : (replica + 1) * size]
            if training and self.devices:
                device = self.devices[replica % len(self.devices)]
                outputs.append(_trained_on(device, self.network)(part))
            else:
                outputs.append(self.network(part, training=training))
        return ops.concatenate(outputs)[:count]


def _trained_on(device: str, network: keras.Model) -> Callable[[Any], Any]:
    """Return a network in training whose outputs and gradients a device computes.

    TensorFlow would compute the gradients on the first device, wherever the outputs come from.
    """
    import tensorflow as tf

    @tf.custom_gradient
    def run(inputs: Any) -> Any:
        with keras.device(device), tf.GradientTape() as tape:
            outputs = network(inputs, training=True)

        def gradient(upstream: Any, variables: Any) -> Any:
            with keras.device(device):
                return None, tape.gradient(outputs, variables, upstream)

        return outputs, gradient

    return run


def _faster_class(layer: layers.Layer) -> type[layers.Layer]:
    if type(layer) is layers.BatchNormalization:
        # The fused operation normalizes channels, with both a scale and an offset.
        is_usual = layer.scale and layer.center and layer.axis in (-1, 3)
        return FusedBatchNormalization if is_usual else type(layer)
    if is_strided_pointwise(layer):
        return SubsampledConv2D
    return type(layer)


def is_strided_pointwise(layer: layers.Layer) -> bool:
    """Return whether a layer is a 1x1 convolution that skips pixels."""
    return type(layer) is layers.Conv2D and layer.kernel_size == (1, 1) and max(layer.strides) > 1


class SubsampledConv2D(layers.Conv2D):
    """A strided 1x1 convolution of (B, height, width, channels): subsample, then convolve."""

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        """Convolve every `strides`-th pixel."""
        subsampled = ops.average_pool(inputs, 1, strides=self.strides)
        return ops.conv(subsampled, kernel, strides=1, padding="valid")


class FusedBatchNormalization(layers.BatchNormalization):
    """Batch normalization of (B, height, width, channels) by TensorFlow's fused operation."""

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Normalize; in training also update the moving statistics."""
        if len(inputs.shape) != 4 or mask is not None:
            return super().call(inputs, training=training, mask=mask)
        import tensorflow as tf

        # A frozen layer keeps its statistics, as in Keras.
        learns = bool(training and self.trainable)
        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=self.gamma.value,
            offset=self.beta.value,
            mean=[] if learns else self.moving_mean.value,
            variance=[] if learns else self.moving_variance.value,
            epsilon=self.epsilon,
            is_training=learns,
        )
        if not learns:
            return outputs
        # The operation returns the unbiased variance; Keras averages the biased one.
        count = tf.cast(tf.size(inputs) // inputs.shape[-1], variance.dtype)
        variance *= (count - 1) / count
        momentum = self.momentum
        self.moving_mean.assign(self.moving_mean * momentum + mean * (1 - momentum))
        self.moving_variance.assign(self.moving_variance * momentum + variance * (1 - momentum))
        return outputs
