"""The twin that is trained on TensorFlow learns what the network itself would."""

import keras
import numpy as np
import pytest

from minixception import models
from minixception.acceleration import SubsampledConv2D, accelerated

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
def test_the_twin_takes_the_same_step() -> None:
    """In a network whose plain step stays within its memory, as mini-Xception's does not."""
    keras.utils.set_random_seed(0)
    model = models.build("big_xception", (48, 48, 1), 7)
    twin = accelerated(model)
    shortcuts = [layer for layer in twin.layers if isinstance(layer, SubsampledConv2D)]
    assert [layer.input.shape[-1] for layer in shortcuts] == [64, 128]
    assert loss_after_a_step(twin, 16) == pytest.approx(loss_after_a_step(model, 16), rel=1e-3)
    for weight, expected in zip(twin.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_allclose(weight, expected, rtol=1e-3, atol=1e-3)


@on_tensorflow
def test_the_twin_says_the_same_and_takes_any_batch() -> None:
    keras.utils.set_random_seed(0)
    model = models.build("mini_xception", (48, 48, 1), 7)
    twin = accelerated(model)
    np.testing.assert_allclose(twin(IMAGES[:5]), model(IMAGES[:5]), atol=1e-6)
    twin.compile(optimizer=keras.optimizers.SGD(0.01), loss="categorical_crossentropy")
    for batch in (64, 5, 37, 1):  # sizes at some of which the plain network ended the process
        assert np.isfinite(twin.train_on_batch(IMAGES[:batch], TARGETS[:batch]))


def test_a_step_in_bfloat16_learns_nearly_the_same_in_float32_weights() -> None:
    keras.utils.set_random_seed(0)
    model = models.build("mini_xception", (48, 48, 1), 7)
    twin = accelerated(model, precision="mixed_bfloat16")
    np.testing.assert_allclose(twin(IMAGES[:5]), model(IMAGES[:5]), atol=0.02)
    before = loss_after_a_step(accelerated(model))
    assert loss_after_a_step(twin) == pytest.approx(before, rel=0.05)
    model.set_weights(twin.get_weights())
    assert {weight.dtype for weight in map(np.asarray, twin.get_weights())} == {np.dtype("float32")}
    assert model(IMAGES[:1]).dtype == "float32"
