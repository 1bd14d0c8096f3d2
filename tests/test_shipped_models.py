import json
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minixception.checkpoints.card import read_card
from minixception.checkpoints.engines import load_engine
from minixception.checkpoints.shipped import (
    CLASSIFIER_TASKS,
    DEFAULT_MODELS,
    find_model,
    shipped_models,
    trained_models_folder,
)
from minixception.datasets import load_fer2013, load_ferplus, load_utkface, select_classes
from minixception.labels import EMOTIONS_8, EMOTIONS_FER2013, GENDERS
from minixception.training.recipe_book import get_recipe


def folder_of(name: str) -> Path:
    if name not in {**shipped_models("emotion"), **shipped_models("gender")}:
        pytest.skip(f"no {name} in {trained_models_folder()}")
    return find_model(name)


def accuracy(card: Any, engine: Any, faces: Any) -> float:
    """Return the share of faces whose most probable class has the right name."""
    best = engine.predict(card.preprocessor(faces.images)).argmax(axis=1)
    found = np.array(card.class_names)[best]
    return float((found == np.array(faces.class_names)[faces.labels]).mean())


def test_every_shipped_folder_is_a_whole_checkpoint() -> None:
    folders = {task: shipped_models(task) for task in CLASSIFIER_TASKS}
    if not any(folders.values()):
        pytest.skip(f"no shipped models in {trained_models_folder()}")
    for task, models in folders.items():
        for name, folder in models.items():
            card, engine = load_engine(folder)
            assert (card.name, card.task) == (name, task)
            for file in ("model.keras", "model.tflite", "card.json", "history.csv"):
                assert (folder / file).is_file()
            prepared = np.zeros((2, *card.preprocessor.input_shape), np.float32)
            assert engine.predict(prepared).shape == (2, len(card.class_names))


@pytest.mark.parametrize("task", CLASSIFIER_TASKS)
def test_card_and_page_tell_the_same_weaknesses_of_every_shipped_model(task: str) -> None:
    page = trained_models_folder() / "README.md"
    text = " ".join(page.read_text(encoding="utf-8").split()).lower()
    for name, folder in shipped_models(task).items():
        section = text.split(f"## {task}_models/{name} ")[1].split(" ## ")[0]
        weaknesses = read_card(folder).known_weaknesses
        assert weaknesses
        assert f"known weaknesses: {weaknesses}".lower().rstrip(".") in section


@pytest.mark.parametrize(("task", "names"), [("emotion", EMOTIONS_FER2013), ("gender", GENDERS)])
def test_card_and_both_files_of_a_default_model_agree(task: str, names: tuple[str, ...]) -> None:
    folder = folder_of(DEFAULT_MODELS[task])
    card, litert = load_engine(folder)
    _, keras_engine = load_engine(folder, engine="keras")
    assert (card.architecture, card.class_names) == ("mini_xception", names)
    assert (card.preprocessor.channels, card.preprocessor.value_range) == (1, (-1.0, 1.0))
    assert card.crop_margin == get_recipe(task).crop_margin
    for entry in (card.data, card.recipe, card.versions, card.metrics, card.command):
        assert entry
    assert card.to_json() == json.loads((folder / "card.json").read_text(encoding="utf-8"))
    assert (folder / "history.csv").read_text(encoding="utf-8").startswith("epoch")
    shape = (20, *card.preprocessor.input_shape)
    images = np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)
    np.testing.assert_allclose(litert.predict(images), keras_engine.predict(images), atol=1e-4)


@pytest.mark.parametrize(
    ("name", "classes", "least"),
    [
        (DEFAULT_MODELS["emotion"], EMOTIONS_FER2013, 0.55),
        ("ferplus_mini_xception", EMOTIONS_8, 0.75),
        ("fer2013_mini_xception_wide", EMOTIONS_FER2013, 0.65),
    ],
)
def test_emotions_of_real_faces(
    real_data: Callable[[str], Path], name: str, classes: Collection[str], least: float
) -> None:
    card, engine = load_engine(folder_of(name))
    path, votes = (real_data(f"fer2013/{file}") for file in ("fer2013.csv.gz", "fer2013new.csv"))
    if card.class_names == EMOTIONS_8:
        faces = load_ferplus(path, votes).split("PublicTest")
    else:
        faces = select_classes(load_fer2013(path).split("PublicTest"), card.class_names)
    assert set(card.class_names) == set(classes)
    assert accuracy(card, engine, faces.select(np.arange(600))) > least


def test_gender_of_real_faces(real_data: Callable[[str], Path]) -> None:
    card, engine = load_engine(folder_of(DEFAULT_MODELS["gender"]))
    path = real_data("utkface/crop_part1_adults.tar")
    # In the form that test_datasets_gender.py reads too: the cache has it for both.
    faces = load_utkface(path, image_size=(64, 64)).split("test")
    assert accuracy(card, engine, faces) > 0.94
