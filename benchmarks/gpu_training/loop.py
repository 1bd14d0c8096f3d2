"""The loop: networks side by side, all of them on the same view of the same faces."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.gpu_training.networks import Network
from benchmarks.gpu_training.settings import FERPLUS_WEIGHTS, SAME, TEACHERS_A_STEP, Settings
from benchmarks.gpu_training.views import change_light, draw_matrices, sample


def adamw(weights: Any, gradients: Any, moments: Any, *, step: Any, rate: Any, decay: Any) -> Any:
    """Take a step of AdamW, with the constants of Keras; `decay` is a number for each weight."""
    new, first, second = [], [], []
    for weight, gradient, one, two, share in zip(weights, gradients, *moments, decay, strict=True):
        one = 0.9 * one + 0.1 * gradient
        two = 0.999 * two + 0.001 * gradient**2
        scale = jnp.sqrt(1 - 0.999 ** (step + 1)) / (1 - 0.9 ** (step + 1))
        new.append(weight * (1 - rate * share) - rate * scale * one / (jnp.sqrt(two) + 1e-7))
        first.append(one)
        second.append(two)
    return new, (first, second)


def one_cycle(step: Any, total: Any, settings: Settings) -> Any:
    """Return the learning rate of a step: it rises, then falls to zero as a cosine does."""
    rising = settings.warmup * total
    falling = (1 + jnp.cos(jnp.pi * (step - rising) / (total - rising))) / 2
    return settings.learning_rate * jnp.where(step < rising, step / rising, falling)


class Loop:
    """Trains networks side by side, each step on the same view of the same faces."""

    def __init__(
        self,
        networks: Sequence[Network],
        settings: Settings,
        arrays: dict[str, Any],
        *,
        teacher: Network | None = None,
        taught_by: Any = None,
    ) -> None:
        self.networks, self.settings, self.teacher = networks, settings, teacher
        self.arrays = {**arrays, "teachers": taught_by}
        self.epoch = jax.jit(self._epoch, donate_argnums=0)
        self.outliers = round(settings.batch_size * settings.outliers)
        self.steps = len(arrays["images"]) // (settings.batch_size - self.outliers)

    def _targets(self, images: Any, labels: Any, votes: Any, step: Any, teachers: Any) -> Any:
        """Return head -> targets (B, K), whose sums are the weights of the faces."""
        smoothing, share = self.settings.label_smoothing, self.settings.teacher_share
        targets = {"fer2013": labels, "ferplus": votes}
        known = {head: target.sum(-1, keepdims=True) for head, target in targets.items()}
        targets["fer2013"] = (
            labels * (1 - smoothing) + known["fer2013"] * smoothing / labels.shape[1]
        )
        teacher = self.teacher
        if teacher is None:
            return targets
        count = len(jax.tree.leaves(teachers)[0])

        def ask(index: Any) -> Any:
            weights, others = jax.tree.map(lambda each: each[index], teachers)
            answer, _ = teacher(weights, others, images, training=False)
            return {head: jax.nn.softmax(logits) for head, logits in answer.items()}

        asked = (step * TEACHERS_A_STEP + jnp.arange(TEACHERS_A_STEP)) % count
        answers = jax.tree.map(lambda a: a.mean(0), jax.lax.map(ask, asked))
        # A face without a label is answered as FER+ would, which fits photographs better.
        same = answers["ferplus"][:, jnp.array(SAME)]
        other = {"fer2013": same / same.sum(-1, keepdims=True), "ferplus": answers["ferplus"]}
        return {
            head: share * known[head] * answers[head]
            + (1 - share) * target
            + (1 - known[head]) * other[head]
            for head, target in targets.items()
        }

    def _step(self, state: Any, step: Any, key: Any, rows: Any, total: Any, arrays: Any) -> Any:
        """Train all networks on one batch."""
        settings = self.settings
        keys = jax.random.split(jax.random.fold_in(key, step), 6)
        images = arrays["images"][rows].astype(jnp.float32)
        images = change_light(keys[0], images, settings)
        drawn = jax.random.randint(keys[1], (self.outliers,), 0, len(arrays["spoilt"]))
        spoilt = arrays["spoilt"][drawn].astype(jnp.float32)
        matrices = draw_matrices(keys[2], settings.batch_size, settings)
        # Each face stays the greater part of itself.
        other = jax.random.permutation(keys[3], len(rows))
        mixed = jax.random.beta(keys[4], settings.mixup, settings.mixup, (len(rows),))
        mixed = jnp.minimum(mixed, 1 - mixed)[:, None]

        def mix(values: Any) -> Any:
            part = mixed.reshape(-1, *([1] * (values.ndim - 1)))
            return values + part * (values[other] - values)

        sharpness = jax.random.uniform(keys[5], (settings.batch_size,))

        def view(size: int) -> tuple[Any, Any]:
            both = sample(jnp.concatenate([images, spoilt]), matrices, size, sharpness)
            return mix(both[: len(rows)]), both[len(rows) :]

        sizes = {network.size for network in self.networks}
        views = {size: view(size) for size in sizes}
        seen = view(self.teacher.size)[0] if self.teacher else None
        labels, votes = mix(arrays["labels"][rows]), mix(arrays["votes"][rows])
        targets = self._targets(seen, labels, votes, step, arrays["teachers"])
        if self.teacher:
            targets["ferplus"] *= jnp.array(FERPLUS_WEIGHTS)
        if self.outliers:
            targets = {
                head: jnp.concatenate([t, jnp.full((self.outliers, t.shape[1]), 1 / t.shape[1])])
                for head, t in targets.items()
            }
        views = {size: jnp.concatenate(parts) for size, parts in views.items()}

        rate = one_cycle(step, total, settings)
        after, losses = [], []
        for network, (weights, others, moments, average) in zip(self.networks, state, strict=True):

            def loss(weights: Any, network: Network = network, others: Any = others) -> Any:
                answers, changed = network(weights, others, views[network.size], training=True)
                parts = [
                    -(targets[head] * jax.nn.log_softmax(logits)).sum(-1).mean()
                    for head, logits in answers.items()
                ]
                return sum(parts), changed

            (value, others), gradients = jax.value_and_grad(loss, has_aux=True)(weights)
            decay = [settings.weight_decay * each for each in network.decayed]
            weights, moments = adamw(weights, gradients, moments, step=step, rate=rate, decay=decay)
            keep = jnp.minimum(settings.ema_momentum, 1 - 1 / (step / 10 + 1))
            average = [keep * a + (1 - keep) * w for a, w in zip(average, weights, strict=True)]
            after.append((weights, others, moments, average))
            losses.append(value)
        return after, jnp.stack(losses)

    def run(
        self, starts: Sequence[Any], key: Any, report: Callable[..., None], *, seconds: float
    ) -> Any:
        """Train, and return the states of the networks.

        After each epoch comes `report(epoch, epochs, losses, [(averaged weights, others), ...])`.
        Epochs become fewer where `seconds` do not suffice.
        """
        state = [_with_optimizer(weights, others) for weights, others in starts]
        began = time.monotonic()
        epochs, number = self.settings.epochs, 0
        while number < epochs:
            total = jnp.float32(epochs * self.steps)
            start = time.monotonic()
            state, losses = self.epoch(state, jnp.int32(number), total, key, self.arrays)
            losses = np.asarray(losses).mean(axis=0)
            averages = [(average, others) for _, others, _, average in state]
            report(number, epochs, losses, averages)
            if number == 1:  # the first compiles as well
                pace = time.monotonic() - start
                left = seconds - (time.monotonic() - began)
                epochs = min(epochs, 2 + max(int(left / pace), 0))
                print(f"{pace:.2f} s an epoch: {epochs} epochs, {epochs * pace:.0f} s", flush=True)
            number += 1
        return state

    def _epoch(self, state: Any, number: Any, total: Any, key: Any, arrays: Any) -> Any:
        faces = self.settings.batch_size - self.outliers
        order = jax.random.permutation(jax.random.fold_in(key, number), len(arrays["images"]))
        batches = order[: self.steps * faces].reshape(self.steps, faces)

        def step(state: Any, inputs: Any) -> Any:
            return self._step(state, inputs[0], key, inputs[1], total, arrays)

        steps = number * self.steps + jnp.arange(self.steps)
        return jax.lax.scan(step, state, (steps, batches))


def _with_optimizer(weights: Any, others: Any) -> Any:
    """Return the state of a network: its weights, moments of their gradients, averaged weights."""
    return (
        [jnp.array(each) for each in weights],
        [jnp.array(each) for each in others],
        tuple([jnp.zeros_like(each) for each in weights] for _ in range(2)),
        [jnp.array(each) for each in weights],
    )
