"""Teachers: what they say goes into the targets, whatever their class order and image size."""

import shutil
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from made_up_data import make_card
from minixception import models
from minixception.checkpoints.card import read_card
from minixception.checkpoints.keras_model import save_checkpoint
from minixception.checkpoints.shipped import find_model
from minixception.preprocessor import Preprocessor
from minixception.training.origins import begin_with
from minixception.training.teaching import load_teachers, make_teacher, taught
from stored_files import change_card

CLASSES = ("angry", "happy", "sad")
PIXELS = Preprocessor((48, 48))
IMAGES = np.random.default_rng(0).uniform(-1, 1, (4, 48, 48, 1)).astype(np.float32)
TARGETS = np.eye(3, dtype=np.float32)[[0, 1, 2, 0]]


@pytest.fixture(scope="module")
def network() -> keras.Model:
    keras.utils.set_random_seed(0)
    return models.build("tiny_xception", (None, None, 1), 3)


@pytest.fixture(scope="module")
def origin(network: keras.Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "origin"
    save_checkpoint(folder, network, make_card(network, CLASSES))
    return folder


def test_targets_are_mixed_with_the_mean_opinion(network: keras.Model) -> None:
    card = make_card(network, CLASSES)
    teacher = make_teacher(network, card, student=card)
    opinion = np.asarray(network(IMAGES))
    batches = [(IMAGES, TARGETS)] * 2
    for images, targets in taught(batches, [teacher, teacher], share=0.75):
        np.testing.assert_array_equal(images, IMAGES)
        np.testing.assert_allclose(targets, 0.75 * opinion + 0.25 * TARGETS, atol=1e-5)
        assert targets.dtype == np.float32
    np.testing.assert_array_equal(next(taught(batches, [], share=0.75))[1], TARGETS)


def test_a_teacher_with_dropout_is_known_again(tmp_path: Path) -> None:
    model = models.build("simple_cnn", (48, 48, 1), 3)
    save_checkpoint(tmp_path, model, make_card(model, CLASSES))
    first, again = load_teachers((tmp_path, tmp_path), make_card(model, CLASSES))
    assert first.description == again.description


def test_classes_are_matched_by_name_and_images_resized(network: keras.Model) -> None:
    names = ("sadness", "anger", "happiness")
    theirs = make_card(network, names, preprocessor=Preprocessor((32, 32)))
    small = np.asarray(keras.ops.image.resize(IMAGES, (32, 32)))
    # A teacher may know more classes than the student.
    for classes, columns in ((CLASSES, [1, 2, 0]), (("sad", "angry"), [0, 1])):
        teacher = make_teacher(network, theirs, student=make_card(network, classes))
        kept = np.asarray(network(small))[:, columns]
        expected = kept / kept.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(teacher.opinion(IMAGES), expected, atol=1e-5)


def test_a_student_of_mirror_images_gets_the_mean_opinion_on_both(network: keras.Model) -> None:
    card = make_card(network, CLASSES)
    student = replace(card, recipe={"augmentation": {"horizontal_flip": True}})
    opinion = make_teacher(network, card, student=student).opinion(IMAGES)
    both = [np.asarray(network(view.copy())) for view in (IMAGES, IMAGES[:, :, ::-1])]
    np.testing.assert_allclose(opinion, np.mean(both, axis=0), atol=1e-5)
    assert not np.allclose(opinion, both[0], atol=1e-4)


def test_a_teacher_of_other_classes_or_pixels_is_refused(network: keras.Model) -> None:
    student = make_card(network, CLASSES)
    for changes, said in (
        ({"class_names": ("woman", "man")}, "knows woman, man; missing: angry, happy, sad"),
        ({"class_names": ("angry", "happy", "fear")}, "missing: sad"),
        ({"preprocessor": Preprocessor((48, 48), 1, (0.0, 1.0))}, "the same pixels.*value_range"),
    ):
        with pytest.raises(ValueError, match=said):
            make_teacher(network, replace(student, **changes), student=student)


def test_litert_runs_a_teacher_that_has_such_a_file(tmp_path: Path) -> None:
    shipped = find_model("fer2013_mini_xception")
    student = read_card(shipped)
    images = np.random.default_rng(0).uniform(-1, 1, (4, 64, 64, 1)).astype(np.float32)
    keras_only = tmp_path / "keras_only"
    shutil.copytree(shipped, keras_only, ignore=shutil.ignore_patterns("*.tflite"))
    change_card(keras_only, recipe={**student.recipe, "precision": "float32"})
    fast, slow = load_teachers((shipped, keras_only), student)
    assert fast.predict != slow.predict
    assert fast.description == slow.description
    np.testing.assert_allclose(fast.opinion(images), slow.opinion(images), atol=1e-5)


def test_fine_tuning_begins_with_the_other_weights(network: keras.Model, origin: Path) -> None:
    same = models.build("tiny_xception", (48, 48, 1), 3)
    begin_with(same, origin, CLASSES, PIXELS)
    np.testing.assert_equal(same.get_weights(), network.get_weights())
    other = models.build("tiny_xception", (48, 48, 1), 5)
    fresh = other.get_weights()
    begin_with(other, origin, ("a", "b", "c", "d", "e"), PIXELS)
    *trunk, kernel, bias = other.get_weights()
    np.testing.assert_equal(trunk, network.get_weights()[:-2])
    np.testing.assert_equal([kernel, bias], fresh[-2:])


def test_fine_tuning_of_another_network_is_refused(network: keras.Model, origin: Path) -> None:
    other = models.build("mini_xception", (48, 48, 1), 3)
    deeper = keras.Sequential(
        [keras.Input((48, 48, 1)), *(keras.layers.Dense(3) for _ in range(30))],
        name="tiny_xception",
    )
    brighter = Preprocessor((48, 48), value_range=(0.0, 1.0))
    for model, pixels, said in (
        (other, PIXELS, "must be a mini_xception .* Received: .* a tiny_xception"),
        (deeper, PIXELS, "a tiny_xception .* with the layers that it has here"),
        (network, brighter, r"range \(0.0, 1.0\).* range \(-1.0, 1.0\)"),
    ):
        with pytest.raises(ValueError, match=said):
            begin_with(model, origin, ("a", "b", "c"), pixels)
