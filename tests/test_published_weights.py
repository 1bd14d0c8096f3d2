"""Weight files of the authors' code: tensor order, equal outputs, the converter."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from conftest import Run
from minixception import Preprocessor, models
from minixception.checkpoints.engines import load_engine
from minixception.checkpoints.keras_model import load_checkpoint
from minixception.commands.convert import rebuild
from minixception.labels import EMOTIONS_FER2013, GENDERS


def authors_mini_xception() -> keras.Model:
    """The layers in the order of the authors' code (without what their Keras ignored)."""
    regularization = keras.regularizers.l2(0.01)
    x = img_input = keras.Input((64, 64, 1))
    for _ in range(2):
        x = layers.Conv2D(8, (3, 3), kernel_regularizer=regularization, use_bias=False)(x)
        x = layers.BatchNormalization()(x)
        x = layers.Activation("relu")(x)
    for filters in (16, 32, 64, 128):
        residual = layers.Conv2D(filters, 1, strides=(2, 2), padding="same", use_bias=False)(x)
        residual = layers.BatchNormalization()(residual)
        x = layers.SeparableConv2D(filters, (3, 3), padding="same", use_bias=False)(x)
        x = layers.BatchNormalization()(x)
        x = layers.Activation("relu")(x)
        x = layers.SeparableConv2D(filters, (3, 3), padding="same", use_bias=False)(x)
        x = layers.BatchNormalization()(x)
        x = layers.MaxPooling2D((3, 3), strides=(2, 2), padding="same")(x)
        x = layers.add([x, residual])
    x = layers.Conv2D(7, (3, 3), padding="same")(x)
    x = layers.GlobalAveragePooling2D()(x)
    output = layers.Activation("softmax", name="predictions")(x)
    return keras.Model(img_input, output)


@pytest.fixture
def authors_model() -> keras.Model:
    """For seven emotions, with random weights everywhere: one in a wrong place would show."""
    keras.utils.set_random_seed(0)
    model = authors_mini_xception()
    generator = np.random.default_rng(0)
    weights = [
        weight + generator.uniform(-0.05, 0.05, weight.shape).astype(np.float32)
        for weight in model.get_weights()
    ]
    weights[-2] *= 20  # sure of its answers, as a trained network is
    model.set_weights(weights)
    return model


@pytest.fixture
def small_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A network of few layers for woman and man, the only one that is looked for."""
    monkeypatch.setattr("minixception.models.network_names", lambda: ["lenet5_rgb"])
    models.build("lenet5_rgb", (32, 32, 3), 2).save(tmp_path / "gender.hdf5")
    return tmp_path / "gender.hdf5"


@pytest.mark.usefixtures("eager", "no_export")
def test_converter_writes_an_equal_checkpoint(
    run: Run, tmp_path: Path, authors_model: keras.Model
) -> None:
    file, folder = tmp_path / "fer2013_mini_XCEPTION.hdf5", tmp_path / "converted"
    authors_model.save(file)
    said = run("convert", file, "--task", "emotion", "--output", folder).stdout
    assert "mini_xception with 58,423 parameters" in said

    checkpoint = load_checkpoint(folder)
    np.testing.assert_equal(checkpoint.model.get_weights(), authors_model.get_weights())
    images = np.random.default_rng(1).uniform(-1, 1, (6, 64, 64, 1)).astype(np.float32)
    expected = authors_model.predict_on_batch(images)
    assert np.ptp(expected, axis=0).max() > 0.01  # the images are told apart
    np.testing.assert_allclose(checkpoint.model.predict_on_batch(images), expected, atol=1e-5)
    card = checkpoint.card
    assert (card.architecture, card.crop_margin) == ("mini_xception", 0)
    assert card.class_names == EMOTIONS_FER2013
    assert card.preprocessor == Preprocessor((64, 64), 1, (-1.0, 1.0))
    assert json.loads((folder / "card.json").read_text())["data"]["source"] == file.name

    again = run("convert", file, "--task", "emotion", "--output", folder, code=1)
    assert "already holds a checkpoint" in again.stderr


@pytest.mark.usefixtures("eager")
def test_gender_takes_more_than_the_box(run: Run, tmp_path: Path, small_file: Path) -> None:
    for options, margin in (((), 0.3), (("--crop-margin", 0.2), 0.2)):
        folder = tmp_path / f"converted_{margin}"
        said = run("convert", small_file, "--task", "gender", "--output", folder, *options).stdout
        assert f"The crop margin is {margin:g} of a face's box" in said
        card, _ = load_engine(folder)
        assert (card.crop_margin, card.class_names) == (margin, GENDERS)


@pytest.mark.usefixtures("eager")
def test_converter_writes_no_other_model(
    run: Run, tmp_path: Path, small_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither one for other classes, nor one of which a single weight is slightly off."""

    def rebuild_badly(published: keras.Model, path: Path) -> keras.Model:
        model = rebuild(published, path)
        weights = model.get_weights()
        weights[-1][0] += 1e-3
        model.set_weights(weights)
        return model

    folder = tmp_path / "converted"
    options = ("convert", small_file, "--output", folder, "--task")
    assert "an output for each of angry" in run(*options, "emotion", code=1).stderr
    monkeypatch.setattr("minixception.commands.convert.rebuild", rebuild_badly)
    refused = run(*options, "gender", code=1)
    assert "more than 1e-05; " in refused.stderr
    assert "converted was not written" in refused.stderr
    assert not folder.exists()
