"""The MobileNet that knows faces: its plan, and weights from a file."""

from pathlib import Path

import keras
import numpy as np
import pytest

from minixception import models
from minixception.models.mobilenet import BLOCKS, MEANS, load_mobilenet_weights
from minixception.training.acceleration import accelerated

GREY, COLOUR = (96, 96, 1), (96, 96, 3)


def faces(shape: tuple[int, int, int], count: int = 6) -> np.ndarray:
    """Smooth random pictures from -1 to 1: noise alone would vanish in the first average."""
    small = np.random.default_rng(0).uniform(-1, 1, (count, 8, 8, shape[2]))
    return np.asarray(keras.ops.image.resize(small.astype(np.float32), shape[:2]))


@pytest.fixture(scope="module")
def backbone() -> keras.Model:
    """That of keras.applications, with random weights and the statistics of six pictures."""
    keras.utils.set_random_seed(3)
    model = keras.applications.MobileNet(
        input_shape=(None, None, 3), include_top=False, weights=None, pooling="avg"
    )
    generator = np.random.default_rng(4)
    normalizations = [
        layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)
    ]
    for layer in normalizations:
        gamma, beta, *statistics = layer.get_weights()
        shift = generator.normal(0.5, 0.5, len(beta)).astype(np.float32)
        layer.set_weights([gamma * 1.5, beta + shift, *statistics])
        layer.momentum = 0.0
    model(127 * faces(COLOUR), training=True)
    return model


@pytest.fixture
def few_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let networks be built of five blocks, which the others are like."""
    monkeypatch.setattr("minixception.models.mobilenet.BLOCKS", BLOCKS[:5])


@pytest.fixture
def network(few_blocks: None) -> keras.Model:
    keras.utils.set_random_seed(0)
    return models.build("facenet_mobilenet", GREY, 7)


def test_it_computes_what_keras_applications_does_and_keeps_to_it(
    backbone: keras.Model, tmp_path: Path
) -> None:
    """Colours, means, padding and function; training then begins at the same function."""
    backbone.save_weights(tmp_path / "mobilenet.weights.h5")
    model = models.build("facenet_mobilenet", COLOUR, 7)
    pictures = faces(COLOUR)
    top = model.layers[-2].get_weights()
    naming = load_mobilenet_weights(model, tmp_path / "mobilenet.weights.h5", pictures)
    assert naming == "keras.applications"
    np.testing.assert_equal(model.layers[-2].get_weights(), top)
    bgr = (pictures[..., ::-1] + 1) * 127.5 - np.array(MEANS, np.float32)
    expected = np.asarray(backbone(bgr))
    assert expected.std(axis=0).max() > 0.1
    model.trainable = True
    features = keras.Model(model.input, model.get_layer("average").output)
    for training in (False, True):  # the statistics are those of these pictures
        found = np.asarray(features(pictures, training=training))
        np.testing.assert_allclose(found, expected, rtol=2e-2, atol=2e-3)


def test_grey_is_a_colour(network: keras.Model) -> None:
    in_colour = models.build("facenet_mobilenet", COLOUR, 7)
    in_colour.set_weights(network.get_weights())
    expected = in_colour(np.repeat(faces(GREY), 3, axis=3))
    np.testing.assert_allclose(network(faces(GREY)), expected, atol=1e-5)


@pytest.mark.usefixtures("few_blocks")
def test_small_faces_are_enlarged() -> None:
    model = models.build("facenet_mobilenet", (48, 48, 1), 7)
    assert model.input_shape == (None, 48, 48, 1)
    assert model.get_layer("conv1").input.shape == (None, 128, 128, 3)


@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-5), ("mixed_bfloat16", 0.02)])
def test_its_twin_says_the_same(network: keras.Model, precision: str, tolerance: float) -> None:
    twin = accelerated(network, precision=precision)
    np.testing.assert_allclose(twin(faces(GREY)), network(faces(GREY)), atol=tolerance)
    depthwise = [layer for layer in twin.layers if "dw" in layer.name and "bn" not in layer.name]
    in_float32 = [layer.strides == (2, 2) or precision == "float32" for layer in depthwise]
    assert [layer.compute_dtype == "float32" for layer in depthwise] == in_float32


def test_a_file_that_does_not_fit_changes_nothing(
    network: keras.Model, backbone: keras.Model, tmp_path: Path
) -> None:
    before = network.get_weights()
    other, hole = tmp_path / "other.weights.h5", tmp_path / "hole.weights.h5"
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]).save_weights(other)
    kernel = backbone.get_layer("conv_pw_3").kernel
    whole = np.array(kernel)
    kernel.assign(whole * np.nan)
    backbone.save_weights(hole)
    kernel.assign(whole)
    for path, message in (
        (other, "must hold weights of keras.applications.MobileNet without its top"),
        (hole, "a weight of layer conv_pw_3 is not finite"),
    ):
        with pytest.raises(ValueError, match=message) as caught:
            load_mobilenet_weights(network, path, faces(GREY))
        assert str(path) in str(caught.value)
    np.testing.assert_equal(network.get_weights(), before)
