"""Gradients on whichever backend Keras runs: TensorFlow, JAX or PyTorch.

Keras has layers and operations for all three but no gradient; `gradient_of` is that one piece.
"""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

Tensor = Any  # of the backend


def gradient_of(function: Callable[[Tensor], Tensor], inputs: Tensor) -> Tensor:
    """Return the gradient of the sum of `function(inputs)` with respect to `inputs`.

    Since rows of a batch do not depend on each other, the gradient of the sum over a batch is the
    gradient of each row; it is zero where the result does not depend on the inputs. Weights are
    taken as constants.

    Raises:
        ValueError: on a backend that has no gradients.

    >>> ops.convert_to_numpy(gradient_of(lambda x: x**2, ops.array([3.0, -1.0]))).tolist()
    [6.0, -2.0]
    """
    inputs, backend = ops.convert_to_tensor(inputs), keras.backend.backend()

    def total(x: Tensor) -> Tensor:
        return ops.sum(function(x))

    if backend == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(inputs)
            result = total(inputs)
        return tape.gradient(result, inputs, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    if backend == "jax":
        import jax

        return jax.grad(total)(inputs)
    if backend == "torch":
        import torch

        with torch.enable_grad():
            inputs = inputs.detach().requires_grad_(True)
            result = total(inputs)
            if not result.requires_grad:
                return torch.zeros_like(inputs)
            return torch.autograd.grad(result, inputs, materialize_grads=True)[0]
    raise ValueError(
        "The Keras backend must be one of tensorflow, jax, torch for gradients; set KERAS_BACKEND. "
        f"Received: {backend}"
    )


def compiled(function: Callable[..., Any], *shapes_and_dtypes: tuple[tuple, str]) -> Any:
    """Return a function that does the same, compiled where the backend gains by it.

    On TensorFlow it is traced once for all batch sizes, and what the result does not need is left
    out, such as the gradients of kernels, which `acceleration` describes. `shapes_and_dtypes` are
    those of its tensors, None where any size will do.
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(
            function, input_signature=[tf.TensorSpec(*each) for each in shapes_and_dtypes]
        )
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(function)
    return function


@ops.custom_gradient
def guided_relu(inputs: Tensor) -> tuple[Tensor, Callable[..., Tensor]]:
    """Return ReLU, whose gradient passes only what is positive, on the way up and on the way down.

    Source: J. T. Springenberg, A. Dosovitskiy, T. Brox, M. Riedmiller, "Striving for Simplicity:
    The All Convolutional Net", arXiv 1412.6806, section 3.4.
    """
    outputs = ops.relu(inputs)

    def gradient(*arguments: Tensor, upstream: Tensor = None) -> Tensor:
        # TensorFlow and JAX give the gradient from above by position, PyTorch by name.
        if upstream is None:
            (upstream,) = arguments
        return ops.relu(upstream) * ops.cast(inputs > 0, inputs.dtype)

    return outputs, gradient
