import keras
import numpy as np
import pytest
from keras import layers, ops

from minixception.models.gradients import compiled, gradient_of, guided_relu


def small_network() -> keras.Model:
    """Smooth everywhere, so that differences approach the gradient."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6, 5, 2))
    x = layers.Conv2D(3, 3, activation="tanh")(inputs)
    x = layers.SeparableConv2D(4, 3, padding="same", activation="tanh")(x)
    return keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling2D()(x)))


def test_gradient_is_the_numerical_one() -> None:
    network = small_network()
    images = np.random.default_rng(0).normal(size=(2, 6, 5, 2)).astype(np.float32)
    found = ops.convert_to_numpy(gradient_of(lambda x: network(x)[:, 1], images))
    step = 1e-2
    changes = step * np.eye(images[0].size, dtype=np.float32).reshape(-1, *images.shape[1:])
    for image, gradient in zip(images, found, strict=True):
        up, down = (ops.convert_to_numpy(network(image + sign * changes))[:, 1] for sign in (1, -1))
        expected = ((up - down) / (2 * step)).reshape(image.shape)
        np.testing.assert_allclose(gradient, expected, atol=2e-4)
        assert np.abs(expected).max() > 0.01


def test_what_does_not_depend_on_the_inputs_has_gradient_zero() -> None:
    found = gradient_of(lambda x: ops.ones((3,)), np.ones((2, 2), np.float32))
    np.testing.assert_array_equal(ops.convert_to_numpy(found), np.zeros((2, 2)))


def test_guided_relu_passes_what_is_positive_both_ways() -> None:
    inputs = np.array([-1.0, 2.0, 3.0, 4.0], np.float32)
    slopes = np.array([5.0, 5.0, -5.0, 0.5], np.float32)
    np.testing.assert_array_equal(ops.convert_to_numpy(guided_relu(inputs)), [0, 2, 3, 4])
    found = gradient_of(lambda x: guided_relu(x) * slopes, inputs)
    np.testing.assert_array_equal(ops.convert_to_numpy(found), [0, 5, 0, 0.5])


def test_compiled_takes_any_batch_size() -> None:
    double = compiled(lambda x, y: x * y, ((None, 2), "float32"), ((), "float32"))
    for size in (1, 3, 0):
        result = double(ops.ones((size, 2)), ops.convert_to_tensor(np.float32(2)))
        np.testing.assert_array_equal(ops.convert_to_numpy(result), np.full((size, 2), 2))


def test_a_backend_without_gradients_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keras.backend, "backend", lambda: "numpy")
    with pytest.raises(ValueError, match=r"tensorflow, jax, torch for gradients.*Received: numpy"):
        gradient_of(lambda x: x, np.ones(2, np.float32))
