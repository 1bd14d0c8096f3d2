"""Runs of a network of a few hundred parameters on patterns of 8x8 pixels."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from made_up_data import make_card, make_dataset
from minixception.datasets import FaceDataset
from minixception.preprocessor import Preprocessor
from minixception.training import state
from minixception.training import trainer as training
from minixception.training.recipes import Augmentation, Recipe
from minixception.training.trainer import TrainingRun, train

NAMES = ("dark", "light", "striped")
PREPROCESSOR = Preprocessor((8, 8))

EVERYTHING = Recipe(
    name="everything",
    summary="all that has a state: momenta, averages, statistics, schedule, dropout, augmentation",
    keep_improvements=True,
    image_size=(8, 8),
    batch_size=8,
    replicas=2,
    epochs=5,
    learning_rate=0.03,
    weight_decay=0.02,
    label_smoothing=0.1,
    ema_momentum=0.8,
    augmentation=Augmentation(10, 0.1, 0.1, 0.1, True, brightness=0.2),
)
# Of `minixception.train`, for a run on these patterns.
SMALL: dict[str, Any] = {
    "network": "lenet5_rgb",
    "channels": 3,
    "image_size": (16, 16),
    "batch_size": 24,
}
# A rate too small to change a weight: nothing ever improves on the first epoch.
STANDSTILL = Recipe(
    name="standstill",
    summary="for the patiences",
    keep_improvements=True,
    image_size=(8, 8),
    batch_size=8,
    epochs=20,
    optimizer="sgd",
    learning_rate=1e-12,
    schedule="constant",
    monitor="val_loss",
)


def faces(count: int, *, seed: int) -> FaceDataset:
    generator = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    images = generator.integers(0, 120, (count, 8, 8, 1))
    images[labels == 1] += 120
    images[labels == 2, ::2] += 120
    images = images.astype(np.uint8)
    return make_dataset(NAMES, labels, name="patterns", images=images, checksum=f"seed:{seed}")


def divided_faces() -> FaceDataset:
    """Return 24 coloured faces to train on, 6 to validate and 6 to test on."""
    splits, grey = np.array(["train"] * 24 + ["validation"] * 6 + ["test"] * 6), faces(36, seed=1)
    return replace(grey, splits=splits, images=np.repeat(grey.images, 3, axis=-1))


def build_network(*, stateful: bool = True) -> keras.Model:
    """A stem with a penalty, batch normalization and dropout; or none that moves by itself."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 1))
    x = layers.Conv2D(4, 3, kernel_regularizer=keras.regularizers.L2(0.01))(inputs)
    if stateful:
        x = layers.BatchNormalization()(x)
        x = layers.Activation("relu")(x)
        x = layers.Dropout(0.3)(x)
    x = layers.Dense(3)(layers.Flatten()(x))
    outputs = layers.Activation("softmax", name="predictions")(x)
    return keras.Model(inputs, outputs, name="patterns_network")


def make_run(folder: Path, recipe: Recipe = EVERYTHING, **changes: Any) -> TrainingRun:
    model = build_network(stateful=recipe is EVERYTHING)
    run = TrainingRun(
        model=model,
        training=faces(24, seed=1),
        validation=faces(12, seed=2),
        card=make_card(model, NAMES, name=folder.name),
        validation_split="validation",
        recipe=recipe,
        seed=0,
        folder=folder,
    )
    return replace(run, **changes)


def interrupt(
    monkeypatch: pytest.MonkeyPatch, name: str, *, call: int, run: TrainingRun, resume: bool
) -> None:
    """Train until the function `name` is called for the n-th time, which ends it like Ctrl-C."""
    place = training if hasattr(training, name) else state
    original: Callable[..., Any] = getattr(place, name)
    calls = 0

    def interrupted(*arguments: Any, **keywords: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call:
            raise KeyboardInterrupt
        return original(*arguments, **keywords)

    with monkeypatch.context() as patch:
        patch.setattr(place, name, interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(run, resume=resume, verbose=0)
