"""Recipes are what was published, and the optimizer follows them."""

import argparse
import json
import runpy
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from minixception import models
from minixception.commands import train, train_detector, train_emotion, train_gender
from minixception.commands.training_options import recipe_changes
from minixception.datasets.registry import DATASETS
from minixception.training.optimization import averaged_weights, compile_model, make_optimizer
from minixception.training.recipe_book import RECIPES, get_recipe
from minixception.training.recipes import Augmentation, Recipe

ROOT = Path(__file__).parents[1]
COMMANDS = {
    "train": train,
    "train-detector": train_detector,
    "train-emotion": train_emotion,
    "train-gender": train_gender,
}
CONSTANT = Recipe(name="constant", summary="", optimizer="sgd", schedule="constant")


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


def test_the_recipes_of_the_paper_and_of_the_reports() -> None:
    paper = get_recipe("paper")
    assert (paper.image_size, paper.batch_size, paper.monitor) == ((64, 64), 32, "val_loss")
    assert (paper.optimizer, paper.schedule, paper.learning_rate) == ("adam", "constant", 1e-3)
    assert (paper.early_stopping_patience, paper.plateau_patience) == (50, 12)
    assert (paper.plateau_factor, paper.epochs) == (0.1, 10_000)
    assert (paper.label_smoothing, paper.weight_decay, paper.ema_momentum) == (0, 0, None)
    assert (paper.mixup, paper.outliers, paper.crop_margin) == (0, 0, 0)
    assert paper.augmentation == Augmentation(10, 0.1, 0.1, 0.1, horizontal_flip=True)
    assert "1710.07557" in paper.source
    gender = differences(get_recipe("paper-gender"), paper)
    strengths: dict[str, Any] = dict.fromkeys(
        ("brightness", "contrast", "saturation", "lighting"), 0.5
    )
    assert gender.pop("augmentation") == asdict(Augmentation(horizontal_flip=True, **strengths))
    patience = {"early_stopping_patience": 100, "plateau_patience": 50}
    assert gender == {"dataset": "imdb", "epochs": 1000, **patience}
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
        assert (optimizer.nesterov, optimizer.momentum) == (True, 0.9)
        assert recipe.augmentation.horizontal_flip
        assert recipe.augmentation.random_crop > 0
        assert 0 < recipe.augmentation.rotation <= 15
    assert (easynet.network, easynet.image_size, easynet.channels) == ("easynet", (64, 64), 1)
    assert (facenet.network, facenet.image_size, facenet.channels) == ("facenet", (224, 224), 3)
    assert (facenet.mean, facenet.value_range) == ((131.0912, 103.8827, 91.4953), (0, 255))
    assert "68.9 %" in easynet.expected
    assert "76.5 %" in facenet.expected
    small = get_recipe("poster-mobilenet")
    assert set(differences(small, easynet)) == {
        *("network", "dataset", "epochs", "ema_momentum", "precision")
    }
    assert small.network == "facenet_mobilenet"
    assert small.dataset == "fer2013+ck_plus+jaffe"


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
        {"schedule": "linear"},
        {"monitor": "loss"},
        {"replicas": 0},
        {"learning_rate": 0.0},
        {"label_smoothing": -0.1},
        {"warmup": 1.0},
        {"plateau_patience": 3},  # together with the one-cycle schedule
        {"plateau_factor": -1.0},
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
    network: Any = models.build("tiny_xception", (24, 24, 1), 2)
    with pytest.raises(ValueError, match="`network` must be of type str"):
        recipe.changed({"network": network})


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
    np.testing.assert_equal(model.get_weights(), weights)


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
        COMMANDS[command].add_arguments(parser)
        step = parser.parse_args(options)
        teachers = []
        if command != "train-detector":
            assert (step.recipe or step.task) in RECIPES
            teachers = step.teacher
        read = {Path(folder) for folder in (*teachers, step.initial_weights) if folder}
        assert {folder for folder in read if folder.parent != Path("runs", "gpu")} <= made
        made.add(step.output)
