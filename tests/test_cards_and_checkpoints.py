"""The checkpoint folder: round trips, disagreements, damage, replacing, the LiteRT export."""

import json
import os
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import keras
import numpy as np
import pytest

from made_up_data import make_card
from minixception import models
from minixception.checkpoints.card import CARD_FILE, Card, read_card, write_card
from minixception.checkpoints.export import largest_difference, require_equal
from minixception.checkpoints.keras_model import (
    HISTORY_FILE,
    KERAS_FILE,
    load_checkpoint,
    save_checkpoint,
    save_keras_file,
)
from minixception.checkpoints.versions import checkout_commit
from minixception.detection.card import DetectorCard
from minixception.preprocessor import Preprocessor
from stored_files import change_card, contents

CLASS_NAMES = ("zebra", "ape", "Mouse")  # in no order that anything would sort them into
SIZE = (9, 13)  # odd, and not square


@pytest.fixture(scope="module")
def model() -> keras.Model:
    """A small network with every weight away from its initial value."""
    keras.utils.set_random_seed(0)
    model = models.build("tiny_xception", (*SIZE, 1), len(CLASS_NAMES))
    generator = np.random.default_rng(0)
    model.set_weights(
        [w + generator.uniform(0, 0.2, w.shape).astype(np.float32) for w in model.get_weights()]
    )
    return model


@pytest.fixture(scope="module")
def card(model: keras.Model) -> Card:
    return make_card(
        model,
        CLASS_NAMES,
        name="example",
        preprocessor=Preprocessor(SIZE, 1, (0.0, 1.0), (382 / 3,)),
        crop_margin=0.1,
        data={"name": "animals", "sizes": {"train": 10}},
        recipe={"name": "paper", "epochs": 3},
        seed=7,
        command="minixception train-emotion",
        versions={"python": "3"},
        metrics={"validation": {"accuracy": 0.5}},
        known_weaknesses="Nothing is known of it.",
    )


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory, model: keras.Model, card: Card) -> Path:
    folder = tmp_path_factory.mktemp("saved") / "example"
    save_checkpoint(folder, model, card, [{"epoch": 0, "loss": 0.1 + 0.2}])
    return folder


@pytest.fixture
def folder(tmp_path: Path, saved: Path) -> Path:
    """A copy of the checkpoint to break."""
    return Path(shutil.copytree(saved, tmp_path / "example"))


def test_no_export_is_equal_that_gives_nan() -> None:
    model = keras.Sequential([keras.Input((3,)), keras.layers.Softmax()])
    images = np.random.default_rng(1).uniform(-1, 1, (64, 3)).astype(np.float32)

    def broken(batch: np.ndarray) -> np.ndarray:
        answers = np.array(model(batch))
        answers[0, 0] = np.nan if len(batch) == 7 else answers[0, 0]
        return answers

    assert largest_difference(model.predict_on_batch, model, images) <= 1e-5
    difference = largest_difference(broken, model, images)
    assert np.isnan(difference)
    with pytest.raises(ValueError, match=r"The file differs.*nan.*a\.onnx was not written"):
        require_equal(difference, what="The file", output="a.onnx")


def test_a_stored_model_says_nothing_that_only_the_newest_keras_knows(folder: Path) -> None:
    with zipfile.ZipFile(folder / KERAS_FILE) as archive:
        config = archive.read("config.json").decode()
    assert "GlorotUniform" in config
    for option in ("input_axes", "output_axes", "renorm"):
        assert f'"{option}' not in config


def test_layers_that_would_not_be_loaded_are_not_stored(tmp_path: Path) -> None:
    class Scale(keras.layers.Layer):
        def call(self, inputs: object) -> object:
            return inputs

    model = keras.Sequential([keras.Input((8, 8, 1)), Scale()], name="scaled")
    with pytest.raises(ValueError, match=r"scaled cannot be stored: it would need .*Scale"):
        save_keras_file(model, tmp_path / "model.keras")
    assert not any(tmp_path.iterdir())


def test_round_trip(saved: Path, model: keras.Model, card: Card) -> None:
    checkpoint = load_checkpoint(saved)
    assert checkpoint.card == card
    np.testing.assert_equal(checkpoint.model.get_weights(), model.get_weights())
    images = np.random.default_rng(1).uniform(-1, 1, (4, *SIZE, 1)).astype(np.float32)
    np.testing.assert_array_equal(checkpoint.model(images), model(images))
    assert (saved / HISTORY_FILE).read_text() == "epoch,loss\n0,0.30000000000000004\n"
    assert sorted(contents(saved)) == [CARD_FILE, HISTORY_FILE, KERAS_FILE]
    assert list(saved.parent.iterdir()) == [saved]  # nothing temporary is left
    measured = card.with_metrics("test", {"accuracy": 0.25})
    assert measured.metrics == {**card.metrics, "test": {"accuracy": 0.25}}
    assert replace(measured, metrics=card.metrics) == card


def test_a_card_of_another_model_is_neither_read_nor_written(
    folder: Path, model: keras.Model, card: Card
) -> None:
    change_card(folder, parameters=58_423)
    with pytest.raises(ValueError, match=r"example: the card has 58423 parameters, the model"):
        load_checkpoint(folder)
    vector_model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    new = folder.parent / "new"
    for other, changes, message in (
        (model, {"parameters": 1}, "the card has 1 parameters, the model"),
        (model, {"class_names": ("zebra", "ape")}, "the card has 2 classes, the model 3"),
        (model, {"preprocessor": Preprocessor((64, 13))}, r"\(64, 13, 1\).*the model takes \(9"),
        (model, {"preprocessor": Preprocessor(SIZE, 3)}, r"\(9, 13, 3\).*the model takes \(9"),
        (vector_model, {}, r"the model takes \(4,\)"),
    ):
        with pytest.raises(ValueError, match=message):
            save_checkpoint(new, other, replace(card, **changes))
    assert not new.exists()


def test_a_model_for_any_size_fits_the_size_on_the_card(tmp_path: Path, card: Card) -> None:
    model = keras.Sequential(
        [keras.Input((None, None, 1)), keras.layers.GlobalMaxPooling2D(), keras.layers.Dense(3)]
    )
    fitting = replace(card, parameters=6, preprocessor=Preprocessor((33, 21)))
    save_checkpoint(tmp_path / "any", model, fitting)
    assert load_checkpoint(tmp_path / "any").card == fitting


REQUIRED = (
    *("name", "task", "architecture", "parameters"),
    *("class_names", "preprocessor", "crop_margin"),
)


def test_some_entries_may_be_missing_and_others_are_named(folder: Path, card: Card) -> None:
    data = {name: value for name, value in card.to_json().items() if name in REQUIRED}
    (folder / CARD_FILE).write_text(json.dumps(data))
    assert read_card(folder).class_names == CLASS_NAMES
    for name in REQUIRED:
        rest = {other: value for other, value in data.items() if other != name}
        (folder / CARD_FILE).write_text(json.dumps(rest))
        with pytest.raises(ValueError, match=f"the entry '{name}' is missing"):
            read_card(folder)


def test_both_kinds_of_cards_read_alike_what_they_need_not_have(card: Card) -> None:
    detector = DetectorCard("trial", "made up", 10, (8, 16), 0.4, seed=3)
    for each in (card, detector):
        data, read = each.to_json(), type(each).from_json
        assert read(json.loads(json.dumps(data))) == each
        assert read({**data, "command": 5}).command == "5"
        for name in ("data", "recipe", "versions", "metrics", "seed"):
            with pytest.raises(TypeError, match=f"`{name}` must be .* Received: 'fast'"):
                read({**data, name: "fast"})


@pytest.mark.parametrize("breaks", ["write_card", "write_history"])
def test_a_failure_while_writing_keeps_the_old_files(
    folder: Path, model: keras.Model, card: Card, breaks: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, full = contents(folder), OSError(28, "No space left on device")
    monkeypatch.setattr(f"minixception.checkpoints.keras_model.{breaks}", Mock(side_effect=full))
    with pytest.raises(OSError, match="No space left"):
        save_checkpoint(folder, model, replace(card, seed=8))
    with pytest.raises(TypeError):
        write_card(folder, card.with_metrics("test", {"accuracy": object()}))
    assert contents(folder) == before
    assert list(folder.parent.iterdir()) == [folder]


@pytest.mark.skipif(os.name != "posix", reason="a script is no program there")
def test_no_commit_where_git_fails_whatever_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git = tmp_path / "git"
    git.write_bytes(b"#!/bin/sh\nprintf 'caf\\351' >&2\nexit 128\n")
    git.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert checkout_commit() is None
