"""Compare training paces in images per second, on the real FER2013 file, in one run.

Usage: python benchmarks/bench_training.py fer2013.csv [--rounds 3] [--steps 60]

- published: 64 px, batch 32, Keras's own layers, the generator of the original that changes one
  image at a time in Python;
- plain, not augmented: 48 px, batch 64, Keras's own layers;
- ours, not augmented: the same with the accelerated step;
- ours: the same with augmentation, which is what `train_emotion_classifier.py` does.

The ways take turns; of each the median round counts. Besides the time on the clock the processor
time is printed, which a busy machine disturbs less.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

import keras

from minixception import models
from minixception.acceleration import SubsampledConv2D, accelerated, is_strided_pointwise
from minixception.datasets import FaceDataset, load_fer2013
from minixception.input_pipeline import training_batches
from minixception.optimization import compile_model
from minixception.preprocessor import Preprocessor
from minixception.recipe_book import get_recipe
from minixception.recipes import Augmentation, Recipe
from minixception.training import one_hot_targets


@dataclass(frozen=True)
class Contestant:
    """A model ready to train, and the stream of its batches."""

    name: str
    model: keras.Model
    batches: Iterator[Any]
    batch_size: int


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
    return iter(generator.flow(inputs, one_hot_targets(faces), batch_size=recipe.batch_size))


def our_batches(faces: FaceDataset, recipe: Recipe) -> Iterator[Any]:
    """Yield the batches of the training engine."""
    return training_batches(
        faces.images,
        one_hot_targets(faces),
        preprocessor=Preprocessor(recipe.image_size),
        augmentation=recipe.augmentation,
        batch_size=recipe.batch_size,
        seed=0,
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


def make_contestants(faces: FaceDataset) -> list[Contestant]:
    """Build and compile a model for each way."""
    paper, ours = get_recipe("paper"), get_recipe("emotion")
    still = replace(ours, augmentation=Augmentation())
    ways = [
        ("published", paper, published_batches(faces, paper), False),
        ("plain, not augmented", still, our_batches(faces, still), False),
        ("ours, not augmented", still, our_batches(faces, still), True),
        ("ours", ours, our_batches(faces, ours), True),
    ]
    contestants = []
    for name, recipe, batches, fast in ways:
        model = models.build("mini_xception", (*recipe.image_size, 1), len(faces.class_names))
        model = accelerated(model) if fast else with_own_layers(model)
        compile_model(model, recipe, steps=len(faces) // recipe.batch_size)
        contestants.append(Contestant(name, model, batches, recipe.batch_size))
    return contestants


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


def measure(contestant: Contestant, *, steps: int) -> tuple[float, float]:
    """Train for some steps; return images per second and processor milliseconds per image."""
    clock = Clock()
    contestant.model.fit(
        contestant.batches, steps_per_epoch=steps, verbose=0, shuffle=False, callbacks=[clock]
    )
    (first, first_cpu), (last, last_cpu) = clock.readings[0], clock.readings[-1]
    images = (steps - 1) * contestant.batch_size
    return images / (last - first), 1000 * (last_cpu - first_cpu) / images


def main() -> None:
    """Run the race and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", help="fer2013.csv or fer2013.csv.gz")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=60)
    arguments = parser.parse_args()

    contestants = make_contestants(load_fer2013(arguments.data, split="Training"))
    for contestant in contestants:
        measure(contestant, steps=3)  # traces the graph
    rounds = [
        [measure(contestant, steps=arguments.steps) for contestant in contestants]
        for _ in range(arguments.rounds)
    ]
    paces = [statistics.median(r[i][0] for r in rounds) for i in range(len(contestants))]
    costs = [statistics.median(r[i][1] for r in rounds) for i in range(len(contestants))]
    print(f"{'way':<22}{'images/s':>10}{'ratio':>8}{'CPU ms/image':>14}")
    for contestant, pace, cost in zip(contestants, paces, costs, strict=True):
        print(f"{contestant.name:<22}{pace:10.0f}{pace / paces[0]:8.2f}{cost:14.2f}")
    print(f"augmentation keeps {paces[3] / paces[2]:.1%} of the pace without it")
    print(f"images per second of all rounds: {np.round([[p for p, _ in r] for r in rounds])}")


if __name__ == "__main__":
    main()
