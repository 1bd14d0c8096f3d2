"""Recipes are what was published, and the optimizer follows them."""

import argparse
import json
import runpy
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from minixception import models
from minixception.commands import train_emotion, train_gender
from minixception.datasets.registry import DATASETS
from minixception.training.optimization import averaged_weights, compile_model, make_optimizer
from minixception.training.recipe_book import RECIPES, get_recipe
from minixception.training.recipes import Augmentation, Recipe

ROOT = Path(__file__).parents[1]
CONSTANT = Recipe(name="constant", summary="", optimizer="sgd", schedule="constant")


def test_the_paper_s_emotion_recipe() -> None:
    recipe = get_recipe("paper")
    assert recipe == Recipe(
        name="paper",
        summary=recipe.summary,
        source=recipe.source,
        data=recipe.data,
        cost=recipe.cost,
        expected=recipe.expected,
        image_size=(64, 64),
        batch_size=32,
        epochs=10_000,
        optimizer="adam",
        learning_rate=1e-3,
        schedule="constant",
        monitor="val_loss",
        early_stopping_patience=50,
        plateau_patience=12,
        plateau_factor=0.1,
        label_smoothing=0.0,
        weight_decay=0.0,
        ema_momentum=None,
        augmentation=Augmentation(
            rotation=10, width_shift=0.1, height_shift=0.1, zoom=0.1, horizontal_flip=True
        ),
    )
    assert "1710.07557" in recipe.source


def test_the_paper_s_gender_recipe() -> None:
    recipe = get_recipe("paper-gender")
    assert (recipe.image_size, recipe.batch_size, recipe.monitor) == ((64, 64), 32, "val_loss")
    assert (recipe.optimizer, recipe.schedule, recipe.learning_rate) == ("adam", "constant", 1e-3)
    assert (recipe.early_stopping_patience, recipe.plateau_patience) == (100, 50)
    assert recipe.plateau_factor == 0.1
    assert (recipe.label_smoothing, recipe.weight_decay, recipe.ema_momentum) == (0, 0, None)
    assert recipe.augmentation == Augmentation(
        horizontal_flip=True, brightness=0.5, contrast=0.5, saturation=0.5, lighting=0.5
    )


def test_the_paper_s_optimizer_is_adam_as_keras_has_it() -> None:
    optimizer = make_optimizer(get_recipe("paper"), steps=897)
    assert type(optimizer) is keras.optimizers.Adam
    assert float(optimizer.learning_rate) == pytest.approx(1e-3)
    assert (optimizer.beta_1, optimizer.beta_2) == (0.9, 0.999)
    assert not optimizer.use_ema
    assert not optimizer.weight_decay


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


def differences(recipe: Recipe, other: Recipe) -> dict[str, Any]:
    """Settings of a recipe that are not those of another, without words about it."""
    data, base = recipe.to_json(), other.to_json()
    words = {"name", "summary", "source", "data", "cost", "expected"}
    return {name: data[name] for name in data if data[name] != base[name] and name not in words}


def test_the_recipes_of_the_reports() -> None:
    paper = get_recipe("paper")
    assert differences(get_recipe("report-000"), paper) == {
        "dataset": "ferplus_public",
        "augmentation": {**paper.to_json()["augmentation"], "rotation": 0.0},
    }
    assert differences(get_recipe("report-002"), paper) == {"epochs": 85, "keep_improvements": True}
    recipe = get_recipe("report-003")
    assert (recipe.network, recipe.dataset) == ("lenet5_rgb", "folder")
    assert (recipe.image_size, recipe.channels, recipe.fit_mean) == ((48, 48), 3, True)
    assert (recipe.optimizer, recipe.learning_rate, recipe.epochs) == ("sgd", 1e-3, 200)
    assert (recipe.schedule, recipe.momentum) == ("constant", 0)
    assert recipe.augmentation == Augmentation(rotation=10, horizontal_flip=True)
    assert "35.56 %" in recipe.expected


def test_the_recipes_of_the_poster() -> None:
    easynet, facenet = get_recipe("poster-easynet"), get_recipe("poster-facenet")
    for recipe in (easynet, facenet):
        assert recipe.classes == ("angry", "fear", "happy", "sad", "surprise", "neutral")
        optimizer = make_optimizer(recipe, steps=1)
        assert type(optimizer) is keras.optimizers.SGD
        assert optimizer.nesterov
        assert optimizer.momentum == 0.9
        changes = recipe.augmentation
        assert changes.horizontal_flip
        assert changes.random_crop > 0
        assert 0 < changes.rotation <= 15
    assert (easynet.network, easynet.image_size, easynet.channels) == ("easynet", (64, 64), 1)
    assert (facenet.network, facenet.image_size, facenet.channels) == ("facenet", (224, 224), 3)
    assert facenet.mean == (131.0912, 103.8827, 91.4953)
    assert facenet.value_range == (0, 255)
    assert "68.9 %" in easynet.expected
    assert "76.5 %" in facenet.expected


def test_the_poster_s_facenet_in_small() -> None:
    easynet, recipe = get_recipe("poster-easynet"), get_recipe("poster-mobilenet")
    assert set(differences(recipe, easynet)) == {
        *("network", "frozen_blocks", "dataset", "epochs", "ema_momentum", "precision"),
    }
    assert (recipe.network, recipe.frozen_blocks) == ("facenet_mobilenet", 4)
    assert recipe.dataset == "fer2013+ck_plus+jaffe"


def test_the_teacher_that_knows_faces_takes_what_its_students_take() -> None:
    """All but the size, so that it can teach them as it is."""
    teacher, student = get_recipe("face-teacher"), get_recipe("distilled")
    same = ("dataset", "classes", "channels", "value_range", "mean", "fit_mean")
    assert [getattr(teacher, name) for name in same] == [getattr(student, name) for name in same]
    assert teacher.image_size == models.NETWORKS[teacher.network].input_shape[:2]


def test_a_mean_is_given_or_fitted() -> None:
    with pytest.raises(ValueError, match=r"`mean` must be None where it is fitted\. Received"):
        Recipe(name="two", summary="", mean=(100.0,), fit_mean=True)


def test_an_unknown_recipe_lists_the_known_ones() -> None:
    with pytest.raises(ValueError, match=f"{', '.join(RECIPES)}.*Received: recipe='fast'"):
        get_recipe("fast")


@pytest.mark.parametrize(
    "changes",
    [
        {"optimizer": "lion"},
        {"schedule": "linear"},
        {"monitor": "loss"},
        {"replicas": 0},
        {"learning_rate": 0.0},
        {"label_smoothing": -0.1},
        {"warmup": 1.0},
        {"plateau_patience": 3},  # together with the one-cycle schedule
    ],
    ids=str,
)
def test_what_no_engine_could_follow_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"`{next(iter(changes))}` must.*Received: "):
        Recipe(**{"name": "bad", "summary": "", **changes})


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
    model = keras.Sequential(
        [
            keras.Input((4, 4, 1)),
            layers.SeparableConv2D(2, 3),
            layers.BatchNormalization(),
            layers.Flatten(),
            layers.Dense(2),
        ]
    )
    model.set_weights([np.ones_like(weight) for weight in model.get_weights()])
    recipe = replace(CONSTANT, optimizer="adamw", learning_rate=0.1, weight_decay=0.5)
    optimizer = make_optimizer(recipe, steps=1)
    variables = model.trainable_variables
    optimizer.apply([keras.ops.zeros_like(variable) for variable in variables], variables)
    for variable in variables:
        kept = 1 - 0.1 * 0.5 if "kernel" in variable.name else 1.0
        np.testing.assert_allclose(keras.ops.convert_to_numpy(variable), kept, rtol=1e-6)


def test_averaged_weights_are_the_moving_average_and_leave_afterwards() -> None:
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2, activation="softmax")])
    compile_model(model, replace(CONSTANT, learning_rate=0.5, ema_momentum=0.75), steps=100)
    generator = np.random.default_rng(0)
    average: list[np.ndarray] = []
    for step in range(4):
        inputs = generator.normal(size=(6, 3)).astype(np.float32)
        model.train_on_batch(inputs, np.eye(2, dtype=np.float32)[[0, 1, 0, 1, 0, 1]])
        weights = model.get_weights()
        momentum = 0.75 if step else 0.0  # it begins with the weights after the first step
        average = [
            momentum * old + (1 - momentum) * new
            for old, new in zip(average or weights, weights, strict=True)
        ]
    with averaged_weights(model):
        inside = model.get_weights()
    for expected, found in zip(average, inside, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-6)
    assert not np.allclose(inside[0], weights[0])
    for expected, found in zip(weights, model.get_weights(), strict=True):
        assert np.array_equal(found, expected)


@pytest.mark.parametrize(("epochs", "momentum"), [(1, 0.0), (10, 0.9), (100, 0.99), (1000, 0.998)])
def test_the_average_spans_at_most_a_tenth_of_a_short_run(epochs: int, momentum: float) -> None:
    recipe = replace(CONSTANT, epochs=epochs, ema_momentum=0.998)
    assert make_optimizer(recipe, steps=10).ema_momentum == pytest.approx(momentum)


@pytest.mark.parametrize(
    "field", ["width_shift", "height_shift", "brightness", "contrast", "saturation"]
)
def test_the_limits_of_augmentation(field: str) -> None:
    def augmentation(value: Any) -> Augmentation:
        changes: dict[str, Any] = {field: value}
        return Augmentation(**changes)

    assert getattr(augmentation(1.0), field) == 1.0
    for value in (-0.1, 1.1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match=f"`{field}`"):
            augmentation(value)


@pytest.mark.parametrize("field", ["zoom", "random_crop"])
def test_a_zoom_or_crop_to_nothing_is_refused(field: str) -> None:
    changes: dict[str, Any] = {field: 1.0}
    with pytest.raises(ValueError, match=f"`{field}` must be at least 0 and below 1"):
        Augmentation(**changes)


def test_the_chain_of_models_reads_what_it_has_made() -> None:
    chain = runpy.run_path(str(ROOT / "benchmarks" / "train_models.py"))
    made: set[Path] = set()
    for command, *options in chain["commands"]():
        parser = argparse.ArgumentParser()
        {"train-emotion": train_emotion, "train-gender": train_gender}[command].add_arguments(
            parser
        )
        step = parser.parse_args(options)
        assert step.recipe in RECIPES
        assert {*step.teacher, step.initial_weights} - {None} <= made
        made.add(step.output)
