"""The twin that is trained on TensorFlow learns what the network itself would."""

from typing import Any

import keras
import numpy as np
import pytest

from minixception import models
from minixception.training.acceleration import (
    DataParallel,
    SubsampledConv2D,
    accelerated,
    choose_devices,
)

IMAGES = np.random.default_rng(0).uniform(-1, 1, (64, 48, 48, 1)).astype(np.float32)
TARGETS = np.eye(7, dtype=np.float32)[np.arange(64) % 7]


on_tensorflow = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="the twin is for TensorFlow"
)


def loss_after_a_step(model: keras.Model, count: int = 64) -> float:
    model.compile(optimizer=keras.optimizers.SGD(0.01), loss="categorical_crossentropy")
    model.train_on_batch(IMAGES[:count], TARGETS[:count])
    return float(model.test_on_batch(IMAGES[:count], TARGETS[:count]))


@on_tensorflow
@pytest.mark.parametrize("form", [{}, {"scale": False}, {"center": False}, {"axis": 1}])
def test_the_twin_normalizes_as_the_network_does(form: dict[str, Any]) -> None:
    inputs = keras.Input((8, 8, 8))
    outputs = keras.layers.Flatten()(keras.layers.BatchNormalization(**form)(inputs))
    model = keras.Model(inputs, outputs)
    model.set_weights([np.random.default_rng(0).uniform(0.5, 2, w.shape) for w in model.weights])
    images = np.random.default_rng(1).normal(size=(4, 8, 8, 8)).astype(np.float32)
    np.testing.assert_allclose(accelerated(model)(images), model(images), atol=1e-5)


@pytest.mark.usefixtures("eager")
def test_the_twin_takes_the_same_step() -> None:
    keras.utils.set_random_seed(0)
    model = models.build("big_xception", (48, 48, 1), 7)
    twin = accelerated(model)
    assert loss_after_a_step(twin, 16) == pytest.approx(loss_after_a_step(model, 16), rel=1e-3)
    for weight, expected in zip(twin.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_allclose(weight, expected, rtol=1e-3, atol=1e-3)


@on_tensorflow
def test_a_strided_pointwise_convolution_is_subsampled() -> None:
    inputs = keras.Input((9, 8, 3))
    x = keras.layers.Conv2D(7, 1, strides=2)(inputs)
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, keras.layers.Softmax(name="predictions")(x))
    twin = accelerated(model)
    assert [type(layer) for layer in twin.layers].count(SubsampledConv2D) == 1
    images = IMAGES[:4, :9, :24, 0].reshape(4, 9, 8, 3)
    np.testing.assert_allclose(twin(images), model(images), atol=1e-6)
    twin.compile(optimizer="sgd", loss="categorical_crossentropy")
    assert np.isfinite(twin.train_on_batch(images, TARGETS[:4]))


@on_tensorflow
def test_the_twin_says_the_same_and_takes_any_batch() -> None:
    keras.utils.set_random_seed(0)
    model = models.build("mini_xception", (48, 48, 1), 7)
    twin = accelerated(model)
    np.testing.assert_allclose(twin(IMAGES[:5]), model(IMAGES[:5]), atol=1e-5)
    twin.compile(optimizer=keras.optimizers.SGD(0.01), loss="categorical_crossentropy")
    for batch in (64, 5, 37, 1):  # sizes at some of which the plain network ended the process
        assert np.isfinite(twin.train_on_batch(IMAGES[:batch], TARGETS[:batch]))


@pytest.mark.usefixtures("eager")
def test_a_step_in_bfloat16_learns_nearly_the_same_in_float32_weights() -> None:
    keras.utils.set_random_seed(0)
    model = models.build("tiny_xception", (48, 48, 1), 7)
    twin = accelerated(model, precision="mixed_bfloat16")
    np.testing.assert_allclose(twin(IMAGES[:5]), model(IMAGES[:5]), atol=0.02)
    before = loss_after_a_step(accelerated(model), 16)
    assert loss_after_a_step(twin, 16) == pytest.approx(before, rel=0.05)
    model.set_weights(twin.get_weights())
    assert {weight.dtype for weight in map(np.asarray, twin.get_weights())} == {np.dtype("float32")}
    assert model(IMAGES[:1]).dtype == "float32"


def small_network(*, normalized: bool = True) -> keras.Model:
    """A network for images (8, 8, 1), with a normalization over the batch or without."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 1))
    outputs = keras.layers.Conv2D(4, 3)(inputs)
    if normalized:
        outputs = keras.layers.BatchNormalization(momentum=0.5)(outputs)
    outputs = keras.layers.GlobalAveragePooling2D()(keras.layers.ReLU()(outputs))
    outputs = keras.layers.Dense(7, kernel_regularizer="l2", activation="softmax")(outputs)
    return keras.Model(inputs, outputs)


@pytest.mark.parametrize(("replicas", "count"), [(2, 1), (2, 5), (3, 8)])
def test_replicas_say_what_the_network_says_in_the_same_order(replicas: int, count: int) -> None:
    model = small_network()
    images, twin = IMAGES[:count, :8, :8], accelerated(model, replicas=replicas)
    np.testing.assert_equal(twin.get_weights(), model.get_weights())
    np.testing.assert_allclose(twin(images), model(images), atol=1e-5)


def test_each_replica_normalizes_its_part_of_the_batch_by_itself() -> None:
    model = small_network()
    images = np.concatenate([IMAGES[:2, :8, :8], 5 * IMAGES[2:4, :8, :8]])
    twin = DataParallel(model, 2)
    parts = [np.asarray(model(part, training=True)) for part in (images[:2], images[2:])]
    together = np.asarray(model(images, training=True))
    result = np.asarray(twin(images, training=True))
    np.testing.assert_allclose(result, np.concatenate(parts), atol=1e-5)
    assert np.abs(result - together).max() > 1e-3


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("count", [64, 37, 1])
def test_a_step_of_replicas_is_the_step_on_the_mean_gradient(count: int) -> None:
    """Where nothing is normalized over the batch, two replicas take the step of one."""
    model = small_network(normalized=False)
    start = model.get_weights()
    steps = []
    for network in (model, DataParallel(model, 2)):
        model.set_weights(start)
        network.compile(optimizer=keras.optimizers.SGD(0.5), loss="categorical_crossentropy")
        network.train_on_batch(IMAGES[:count, :8, :8], TARGETS[:count])
        steps.append(network.get_weights())
    for weight, expected, before in zip(*reversed(steps), start, strict=True):
        np.testing.assert_allclose(weight, expected, atol=1e-5)
        assert not np.allclose(weight, before, atol=1e-4)


def test_devices_that_are_not_there_are_refused() -> None:
    for count, replicas in ((0, 2), (2, 1), (64, 64)):
        with pytest.raises(ValueError, match=f"`devices` must .* Received: {count}"):
            choose_devices(count, replicas)
        assert choose_devices(1, replicas) == ()
