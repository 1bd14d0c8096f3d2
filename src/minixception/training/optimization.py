"""From a recipe to the optimizer, its schedule, its loss, and the average of the weights."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
from keras import ops

from minixception.training.recipes import Recipe


def compile_model(model: keras.Model, recipe: Recipe, *, steps: int) -> None:
    """Give the model the recipe's optimizer and loss; `steps` are the batches of an epoch."""
    model.compile(
        optimizer=make_optimizer(recipe, steps=steps),
        loss=keras.losses.CategoricalCrossentropy(label_smoothing=recipe.label_smoothing),
        metrics=["accuracy"],
        # XLA makes this network's training step ten times slower on a CPU.
        jit_compile="auto" if keras.backend.backend() == "jax" else False,
    )


def make_optimizer(recipe: Recipe, *, steps: int) -> keras.optimizers.Optimizer:
    """Build the recipe's optimizer; `steps` are the batches of an epoch."""
    rate: float | keras.optimizers.schedules.LearningRateSchedule = recipe.learning_rate
    if recipe.schedule == "one-cycle":
        rising = int(recipe.warmup * recipe.epochs * steps)
        rate = keras.optimizers.schedules.CosineDecay(
            initial_learning_rate=0.0 if rising else recipe.learning_rate,
            decay_steps=max(recipe.epochs * steps - rising, 1),
            warmup_target=recipe.learning_rate if rising else None,
            warmup_steps=rising,
        )
    options: dict[str, Any] = {"learning_rate": rate}
    if recipe.ema_momentum is not None:
        momentum = min(recipe.ema_momentum, 1 - 1 / max(recipe.epochs * steps / 10, 1))
        options |= {"use_ema": True, "ema_momentum": momentum}
    if recipe.optimizer == "sgd":
        nesterov = recipe.momentum > 0
        return keras.optimizers.SGD(momentum=recipe.momentum, nesterov=nesterov, **options)
    if recipe.optimizer == "adam":
        return keras.optimizers.Adam(**options)
    optimizer = keras.optimizers.AdamW(weight_decay=recipe.weight_decay, **options)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


def remove_regularizers(model: keras.Model) -> None:
    """Take the penalties on its weights out of a model's loss; its configuration keeps them."""
    for variable in model.trainable_variables:
        variable.regularizer = None


@contextmanager
def averaged_weights(model: keras.Model) -> Iterator[None]:
    """Put the optimizer's average of the weights in place, then the weights themselves again."""
    current = [ops.convert_to_numpy(variable) for variable in model.trainable_variables]
    model.optimizer.finalize_variable_values(model.trainable_variables)
    try:
        yield
    finally:
        for variable, value in zip(model.trainable_variables, current, strict=True):
            variable.assign(value)


def plateau_callback(recipe: Recipe) -> keras.callbacks.Callback:
    """Return what lowers the rate after epochs without improvement, if the recipe asks for it."""
    if recipe.plateau_patience is None:
        return keras.callbacks.Callback()
    return keras.callbacks.ReduceLROnPlateau(
        recipe.monitor,
        factor=recipe.plateau_factor,
        patience=recipe.plateau_patience,
        # Keras cannot guess it before the first step, when a resumed run replays its history.
        mode="min" if recipe.monitor.endswith("loss") else "max",
    )
