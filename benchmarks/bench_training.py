"""Compare training paces in images per second, on the real FER2013 file, in one run.

Usage: python benchmarks/bench_training.py fer2013.csv [--rounds 3] [--steps 60]

- published: 64 px, batch 32, Keras's own layers, the generator of the original that changes one
  image at a time in Python;
- plain, not augmented: 48 px, batch 64, Keras's own layers;
- ours, not augmented: the step of the recipe `emotion`: 48 px, two replicas of 64 images, the
  accelerated layers;
- ours: the same with augmentation and mixup, which is what `train_emotion_classifier.py` does.

Each way has a process of its own, since TensorFlow's threads are set per process, and the ways
take turns; of each the median round counts. Besides the time on the clock the processor time is
printed, which a busy machine disturbs less.
"""

import argparse
import multiprocessing
import statistics
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

import keras

from minixception import models
from minixception.datasets import FaceDataset, load_fer2013
from minixception.preprocessor import Preprocessor
from minixception.training.acceleration import (
    SubsampledConv2D,
    accelerated,
    divide_cores,
    is_strided_pointwise,
)
from minixception.training.batches import training_batches
from minixception.training.optimization import compile_model, remove_regularizers
from minixception.training.recipe_book import get_recipe
from minixception.training.recipes import Augmentation, Recipe

_OURS = get_recipe("emotion")
_NOT_AUGMENTED = replace(_OURS, augmentation=Augmentation(), mixup=0.0)
RECIPES = {
    "published": get_recipe("paper"),
    "plain, not augmented": replace(_NOT_AUGMENTED, batch_size=64, replicas=1, regularizers=True),
    "ours, not augmented": _NOT_AUGMENTED,
    "ours": _OURS,
}


def published_batches(faces: FaceDataset, recipe: Recipe) -> Iterator[Any]:
    """Yield batches as the original does: resized beforehand, changed one by one by Keras 2."""
    from tensorflow.keras.preprocessing.image import ImageDataGenerator

    generator = ImageDataGenerator(
        rotation_range=10,
        width_shift_range=0.1,
        height_shift_range=0.1,
        zoom_range=0.1,
        horizontal_flip=True,
    )
    inputs = Preprocessor(recipe.image_size)(faces.images)
    return iter(generator.flow(inputs, faces.distributions, batch_size=recipe.batch_size))


def our_batches(faces: FaceDataset, recipe: Recipe) -> Iterator[Any]:
    """Yield the batches of the training engine."""
    return training_batches(
        faces.images,
        faces.distributions,
        preprocessor=Preprocessor(recipe.image_size),
        augmentation=recipe.augmentation,
        batch_size=recipe.batch_size,
        seed=0,
        mixup=recipe.mixup,
    )


def with_own_layers(model: keras.Model) -> keras.Model:
    """Return the model with Keras's own layers, but for a shortcut that would crash.

    TensorFlow's gradient of a strided 1x1 convolution with fewer than 16 input channels writes
    beyond its memory, at 64 px and batch 32 up to a segmentation fault.
    """

    def rewrite(layer: keras.Layer) -> keras.Layer:
        crashes = is_strided_pointwise(layer) and layer.input.shape[-1] < 16
        layer_class = SubsampledConv2D if crashes else type(layer)
        return layer_class.from_config(layer.get_config())

    return keras.models.clone_model(model, clone_function=rewrite)


class Contestant:
    """A model ready to train, and the stream of its batches."""

    def __init__(self, name: str, data: str) -> None:
        recipe, faces = RECIPES[name], load_fer2013(data).split("Training")
        divide_cores(recipe.replicas)
        model = models.build("mini_xception", (*recipe.image_size, 1), len(faces.class_names))
        if name.startswith("ours"):
            model = accelerated(model, replicas=recipe.replicas)
        else:
            model = with_own_layers(model)
        if not recipe.regularizers:
            remove_regularizers(model)
        compile_model(model, recipe, steps=len(faces) // recipe.batch_size)
        make_batches = published_batches if name == "published" else our_batches
        self.model, self.batches = model, make_batches(faces, recipe)
        self.batch_size = recipe.batch_size

    def measure(self, steps: int) -> tuple[float, float]:
        """Train for some steps; return images per second and processor milliseconds per image."""
        clock = Clock()
        self.model.fit(
            self.batches, steps_per_epoch=steps, verbose=0, shuffle=False, callbacks=[clock]
        )
        (first, first_cpu), (last, last_cpu) = clock.readings[0], clock.readings[-1]
        images = (steps - 1) * self.batch_size
        return images / (last - first), 1000 * (last_cpu - first_cpu) / images


class Clock(keras.callbacks.Callback):
    """Notes the time after each batch.

    The time of the whole call would also count how long TensorFlow takes to tear down its data
    pipeline, once per call of `fit`: anything from nothing to as long again as the training.
    """

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        """Begin a new list."""
        self.readings: list[tuple[float, float]] = []

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Note the time on the clock and of the processor."""
        self.readings.append((time.perf_counter(), time.process_time()))


@cache
def contestant(name: str, data: str) -> Contestant:
    """Return the contestant of this process, its graph traced."""
    newcomer = Contestant(name, data)
    newcomer.measure(3)
    return newcomer


def take_turn(name: str, data: str, steps: int) -> tuple[float, float]:
    """Measure the contestant of this process."""
    return contestant(name, data).measure(steps)


def main() -> None:
    """Run the race and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", help="fer2013.csv or fer2013.csv.gz")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=60)
    arguments = parser.parse_args()

    with ExitStack() as stack:
        spawn = multiprocessing.get_context("spawn")
        pools = {name: stack.enter_context(ProcessPoolExecutor(1, spawn)) for name in RECIPES}

        def measure(name: str, steps: int) -> tuple[float, float]:
            return pools[name].submit(take_turn, name, arguments.data, steps).result()

        for name in RECIPES:
            measure(name, 3)  # when all are prepared, the race begins
        rounds = [
            [measure(name, arguments.steps) for name in RECIPES] for _ in range(arguments.rounds)
        ]
    paces = [statistics.median(r[i][0] for r in rounds) for i in range(len(RECIPES))]
    costs = [statistics.median(r[i][1] for r in rounds) for i in range(len(RECIPES))]
    print(f"{'way':<22}{'images/s':>10}{'ratio':>8}{'CPU ms/image':>14}")
    for name, pace, cost in zip(RECIPES, paces, costs, strict=True):
        print(f"{name:<22}{pace:10.0f}{pace / paces[0]:8.2f}{cost:14.2f}")
    print(f"augmentation keeps {paces[3] / paces[2]:.1%} of the pace without it")
    print(f"images per second of all rounds: {np.round([[p for p, _ in r] for r in rounds])}")


if __name__ == "__main__":
    main()
