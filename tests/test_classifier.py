from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from minixception import Explainer, FaceAnalyzer, FaceClassifier, read_image, write_image
from minixception.checkpoints.card import read_card
from minixception.checkpoints.keras_model import load_checkpoint
from minixception.checkpoints.shipped import find_model
from minixception.models.dissection import feature_extractor
from minixception.training.runs import RunRecord

FACES = np.random.default_rng(0).integers(0, 256, (3, 48, 48), dtype=np.uint8)


@pytest.fixture(scope="module")
def classifier(checkpoints: dict[str, Path]) -> FaceClassifier:
    return FaceClassifier.load(checkpoints["emotion"])


def test_faces_are_predicted_in_every_form(
    classifier: FaceClassifier, portraits: Path, tmp_path: Path
) -> None:
    """One by one, the forms are those of `test_picture_sources.py`."""
    expected = classifier.engine.predict(classifier.card.preprocessor(FACES[..., None]))
    write_image(tmp_path / "face.png", FACES[0])
    mixed = [tmp_path / "face.png", np.dstack([FACES[1]] * 3), FACES[2] / 255.0]
    for form in (FACES, np.repeat(FACES[..., None], 3, axis=3), mixed, iter(FACES)):
        np.testing.assert_allclose(classifier.predict(form), expected, atol=1e-6)
    assert classifier.predict([]).shape == (0, 7)
    for one in (FACES[0], portraits, np.zeros((300, 20, 3), np.uint8)):
        assert classifier.predict(one).shape == (1, 7)


def test_the_margin_of_the_card_is_for_boxes_only(
    classifier: FaceClassifier, portraits: Path
) -> None:
    image = read_image(portraits)
    card = replace(classifier.card, crop_margin=-0.2)
    narrow = FaceClassifier(card, classifier.engine)
    np.testing.assert_array_equal(narrow.predict(image), classifier.predict(image))
    whole = [(0, 0, image.shape[1], image.shape[0])]
    assert narrow.classify(image, whole) != classifier.classify(image, whole)


def test_features_are_what_enters_the_last_convolution(
    classifier: FaceClassifier, checkpoints: dict[str, Path]
) -> None:
    model = load_checkpoint(checkpoints["emotion"]).model
    last = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)][-1]
    maps = np.asarray(
        keras.Model(model.input, last.input)(classifier.card.preprocessor(FACES[..., None]))
    )
    with_keras = FaceClassifier.load(checkpoints["emotion"], engine="keras")
    for each in (classifier, with_keras):
        features = each.features(FACES)
        assert features.shape == (3, 128)
        np.testing.assert_allclose(features, maps.mean(axis=(1, 2)), rtol=1e-4, atol=1e-5)
    assert with_keras.features([]).shape == (0, 128)


def test_a_model_that_ends_in_another_model_has_no_features() -> None:
    inner = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(2)])
    outer = keras.Sequential([keras.Input((48, 48, 1)), inner, keras.layers.Softmax()])
    with pytest.raises(ValueError, match="no model inside it after that"):
        feature_extractor(outer, (48, 48, 1))


def test_shipped_names_and_runs_are_taken_wherever_a_folder_is() -> None:
    name = "utkface_mini_xception"
    run = RunRecord(find_model(name), read_card(find_model(name)), {})
    assert FaceAnalyzer(emotion=None, gender=run).classifiers["gender"].card == run.card
    assert FaceClassifier.load(run).card.name == name
    assert load_checkpoint(run).card.name == name
    assert Explainer.load(name).class_names == ("woman", "man")
    for load in (FaceClassifier.load, load_checkpoint, Explainer.load):
        with pytest.raises(FileNotFoundError, match=rf"nope is neither .* {name}"):
            load("nope")
