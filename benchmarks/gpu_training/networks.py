"""Networks as pure functions of their weights, the files of these, and their scores."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np

from benchmarks.gpu_training.settings import HEADS
from benchmarks.gpu_training.views import sample
from minixception.models import build


class Network:
    """A network without its softmax, as a pure function of its weights."""

    def __init__(self, name: str, size: int, heads: Sequence[str], seed: int) -> None:
        keras.utils.set_random_seed(seed)
        count = sum(HEADS[head].stop - HEADS[head].start for head in heads)
        whole = build(name, (size, size, 1), count)
        self.model = keras.Model(whole.input, whole.layers[-2].output, name=name)
        self.size, self.heads = size, tuple(heads)
        self.decayed = [
            variable.name not in ("bias", "gamma", "beta")
            for variable in self.model.trainable_variables
        ]

    def start(self) -> tuple[list[Any], list[Any]]:
        """Return the values of the trained weights, and of the others."""
        return (
            [np.asarray(each.value) for each in self.model.trainable_variables],
            [np.asarray(each.value) for each in self.model.non_trainable_variables],
        )

    def __call__(
        self, weights: Any, others: Any, pixels: Any, *, training: bool
    ) -> tuple[Any, Any]:
        """Return head -> logits (B, K), and the other weights after it.

        `pixels` are 0 to 255, (B, size, size).
        """
        logits, others = self.model.stateless_call(
            weights, others, (pixels / 127.5 - 1)[..., None], training=training
        )
        logits, parts, first = logits.astype("float32"), {}, 0
        for head in self.heads:
            count = HEADS[head].stop - HEADS[head].start
            parts[head] = logits[:, first : first + count]
            first += count
        return parts, others

    def assigned(self, weights: Any, others: Any) -> list[Any]:
        """Return the weights in the order of `keras.Model.get_weights`."""
        variables = [*self.model.trainable_variables, *self.model.non_trainable_variables]
        for variable, value in zip(variables, [*weights, *others], strict=True):
            variable.assign(value)
        return self.model.get_weights()


class Scorer:
    """Scores networks on the validation faces of each head, PublicTest."""

    BATCH = 400

    def __init__(self, faces: dict[str, Any]) -> None:
        self.faces = {head: (faces[f"{head}_images"], faces[f"{head}_labels"]) for head in HEADS}
        self.functions: dict[Network, Any] = {}

    def probabilities(self, network: Network, weights: Any, others: Any) -> dict[str, Any]:
        """Return head -> probabilities (N, K)."""
        answer = self.functions.setdefault(network, _answering(network))
        found = {}
        for head in network.heads:
            images, _ = self.faces[head]
            count = -(-len(images) // self.BATCH)
            batches = np.resize(images, (count, self.BATCH, *images.shape[1:]))
            answers = answer(weights, others, batches)[head]
            found[head] = np.concatenate(answers)[: len(images)]
        return found

    def accuracies(self, probabilities: dict[str, Any]) -> dict[str, float]:
        """Return head -> accuracy."""
        return {
            head: float((values.argmax(axis=1) == self.faces[head][1]).mean())
            for head, values in probabilities.items()
        }


def _answering(network: Network) -> Any:
    """Return a function from weights and batches of faces to head -> batches of probabilities."""

    # The fusion of products with slices that this switches off breaks off in XLA of jax 0.11.
    @partial(jax.jit, compiler_options={"xla_gpu_enable_triton_gemm": False})
    def answer(weights: Any, others: Any, batches: Any) -> Any:
        def answer_one(images: Any) -> Any:
            straight = jnp.tile(jnp.eye(2, 3), (len(images), 1, 1))
            soft = jnp.zeros(len(images))  # as the preprocessor enlarges a face
            pixels = sample(images.astype(jnp.float32), straight, network.size, soft)
            logits, _ = network(weights, others, pixels, training=False)
            return {head: jax.nn.softmax(value) for head, value in logits.items()}

        return jax.lax.map(answer_one, batches)

    return answer
