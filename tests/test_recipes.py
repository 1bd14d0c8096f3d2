"""Recipes are what was published, and the optimizer follows them."""

import argparse
import json
import runpy
from dataclasses import asdict, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from minixception import models
from minixception.commands import COMMANDS, train_emotion
from minixception.commands.training_options import recipe_changes
from minixception.datasets.registry import DATASETS
from minixception.training.optimization import make_optimizer
from minixception.training.recipe_book import RECIPES, get_recipe
from minixception.training.recipes import REMARKS, Augmentation, Recipe

ROOT = Path(__file__).parents[1]
CONSTANT = Recipe(name="constant", summary="", optimizer="sgd", schedule="constant")


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=list(RECIPES))
def test_every_recipe_is_plain_data_and_names_what_there_is(recipe: Recipe) -> None:
    assert get_recipe(recipe.name) is recipe
    data = json.loads(json.dumps(recipe.to_json()))
    assert data["augmentation"]["rotation"] == recipe.augmentation.rotation
    network = models.NETWORKS[recipe.network]
    assert recipe.channels in network.channels
    assert min(recipe.image_size) >= network.smallest
    assert set(recipe.dataset.split("+")) <= set(DATASETS)
    for remark in (recipe.summary, recipe.source, recipe.data, recipe.cost, recipe.expected):
        assert remark


WORDS: dict[str, Any] = dict.fromkeys(REMARKS, "")
PAPER = Recipe(
    **WORDS,
    image_size=(64, 64),
    batch_size=32,
    epochs=10_000,
    optimizer="adam",
    learning_rate=1e-3,
    schedule="constant",
    monitor="val_loss",
    early_stopping_patience=50,
    plateau_patience=12,
    augmentation=Augmentation(10, 0.1, 0.1, 0.1, horizontal_flip=True),
)
EASYNET = Recipe(
    **WORDS,
    network="easynet",
    classes=("angry", "fear", "happy", "sad", "surprise", "neutral"),
    image_size=(64, 64),
    epochs=60,
    optimizer="sgd",
    learning_rate=0.02,
    augmentation=Augmentation(rotation=10, horizontal_flip=True, random_crop=0.15),
)
LIGHT: dict[str, Any] = dict.fromkeys(("brightness", "contrast", "saturation", "lighting"), 0.5)
PUBLISHED = {
    "paper": PAPER,
    "paper-gender": replace(
        PAPER,
        dataset="imdb",
        epochs=1000,
        early_stopping_patience=100,
        plateau_patience=50,
        augmentation=Augmentation(horizontal_flip=True, **LIGHT),
    ),
    "report-000": replace(
        PAPER,
        dataset="ferplus_public",
        augmentation=replace(PAPER.augmentation, rotation=0.0),
    ),
    "report-002": replace(PAPER, epochs=85, keep_improvements=True),
    "poster-easynet": EASYNET,
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_what_was_published(name: str) -> None:
    assert replace(get_recipe(name), **WORDS) == PUBLISHED[name]


def test_the_optimizers_of_paper_and_poster() -> None:
    adam, sgd = (make_optimizer(get_recipe(name), steps=1) for name in ("paper", "poster-easynet"))
    assert (type(adam), type(sgd)) == (keras.optimizers.Adam, keras.optimizers.SGD)
    assert float(adam.learning_rate) == pytest.approx(1e-3)
    assert (adam.beta_1, adam.beta_2, adam.use_ema, adam.weight_decay) == (0.9, 0.999, False, None)
    assert (sgd.nesterov, sgd.momentum) == (True, 0.9)


def test_the_teacher_that_knows_faces_takes_what_its_students_take() -> None:
    """All but the size, so that it can teach them as it is."""
    teacher, student = get_recipe("face-teacher"), get_recipe("patient")
    same = ("dataset", "classes", "channels", "value_range", "mean", "fit_mean")
    assert [getattr(teacher, name) for name in same] == [getattr(student, name) for name in same]
    assert teacher.image_size == models.NETWORKS[teacher.network].input_shape[:2]


@pytest.mark.parametrize(
    "changes",
    [
        {"optimizer": "lion"},
        {"replicas": 0},
        {"learning_rate": 0.0},
        {"warmup": 1.0},
        {"plateau_patience": 3},  # together with the one-cycle schedule
        {"mean": (100.0,), "fit_mean": True},
        {"image_size": 64},
        {"classes": "happy"},
        {"class_weights": (1.0, 0.0)},
        {"class_weights": ("3",)},
        {"augmentation": None},
    ],
    ids=str,
)
def test_what_no_engine_could_follow_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"`{next(iter(changes))}` must.*Received: "):
        Recipe(**{"name": "bad", "summary": "", **changes})


def test_numbers_of_numpy_are_plain_data_in_a_recipe() -> None:
    values = {"epochs": np.arange(3)[2], "class_weights": np.ones(2), "crop_margin": np.float32(1)}
    recipe = get_recipe("emotion").changed(values)
    assert (recipe.epochs, list(recipe.class_weights), recipe.crop_margin) == (2, [1, 1], 1)
    assert json.dumps(recipe.to_json())
    with pytest.raises(ValueError, match="`epochs` must be a whole number"):
        recipe.changed({"epochs": np.float64(2)})
    with pytest.raises(ValueError, match="`network` must be of type str"):
        recipe.changed({"network": keras.Sequential()})


def rates(recipe: Recipe, *, steps: int) -> list[float]:
    """The learning rate before every step of the run, and after the last."""
    optimizer = make_optimizer(recipe, steps=steps)
    found = []
    for step in range(recipe.epochs * steps + 1):
        optimizer.iterations.assign(step)
        found.append(float(optimizer.learning_rate))
    return found


def test_one_cycle_rises_to_its_peak_and_falls_to_zero() -> None:
    recipe = Recipe(name="cycle", summary="", epochs=10, learning_rate=0.5, warmup=0.2)
    found = rates(recipe, steps=5)
    assert found[0] == 0
    assert found[10] == max(found) == pytest.approx(0.5)
    np.testing.assert_allclose(np.diff(found[:11]), 0.05, rtol=1e-4)  # straight
    assert (np.diff(found[10:]) < 0).all()
    assert found[30] == pytest.approx(0.25, rel=1e-4)  # half way down the cosine
    assert found[-1] == pytest.approx(0, abs=1e-7)


def test_weight_decay_acts_on_kernels_only() -> None:
    parts = [layers.SeparableConv2D(2, 3), layers.BatchNormalization(), layers.Dense(2)]
    variables = keras.Sequential([keras.Input((4, 4, 1)), *parts]).trainable_variables
    before = [keras.ops.convert_to_numpy(variable) for variable in variables]
    recipe = replace(CONSTANT, optimizer="adamw", learning_rate=0.1, weight_decay=0.5)
    zeros = [keras.ops.zeros_like(variable) for variable in variables]
    make_optimizer(recipe, steps=1).apply(zeros, variables)
    for variable, values in zip(variables, before, strict=True):
        kept = 1 - 0.1 * 0.5 if "kernel" in variable.name else 1.0
        np.testing.assert_allclose(variable, kept * values, rtol=1e-6)


@pytest.mark.parametrize(("epochs", "momentum"), [(1, 0.0), (10, 0.9), (100, 0.99), (1000, 0.998)])
def test_the_average_spans_at_most_a_tenth_of_a_short_run(epochs: int, momentum: float) -> None:
    recipe = replace(CONSTANT, epochs=epochs, ema_momentum=0.998)
    assert make_optimizer(recipe, steps=10).ema_momentum == pytest.approx(momentum)


def test_an_option_can_turn_off_what_a_recipe_turns_on() -> None:
    parser = argparse.ArgumentParser()
    train_emotion.add_arguments(parser)
    given = parser.parse_args(["--recipe", "patient", "--no-teach-once"])
    assert recipe_changes(given) == {"teach_once": False}


def test_the_limits_of_augmentation() -> None:
    allowed: dict[str, Any] = dict.fromkeys(
        ("width_shift", "height_shift", "brightness", "contrast"), 1.0
    )
    assert asdict(Augmentation(saturation=1.0, **allowed)).items() >= allowed.items()
    beyond = dict.fromkeys([*allowed, "saturation"], 1.1) | {"zoom": 1.0, "random_crop": 1.0}
    for field, too_much in beyond.items():
        for value in (-0.1, too_much, float("nan"), float("inf")):
            with pytest.raises(ValueError, match=f"`{field}` must be at least 0 and"):
                Augmentation(**{field: value})  # type: ignore[arg-type]


def test_the_chain_of_models_reads_what_it_has_made() -> None:
    chain = runpy.run_path(str(ROOT / "benchmarks" / "train_models.py"))
    made: set[Path] = set()
    for module, command, *options in chain["commands"]():
        if module != "minixception":
            continue
        parser = argparse.ArgumentParser()
        module_name, _ = COMMANDS[command]
        import_module(f"minixception.commands.{module_name}").add_arguments(parser)
        step = parser.parse_args(options)
        teachers = []
        if command != "train-detector":
            assert (step.recipe or step.task) in RECIPES
            teachers = step.teacher
        read = {Path(folder) for folder in (*teachers, step.initial_weights) if folder}
        assert {folder for folder in read if folder.parent != Path("runs", "gpu")} <= made
        made.add(step.output)
