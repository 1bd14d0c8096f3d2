"""Train the emotion models on one GPU: teachers that know faces, then all students at once.

    python benchmarks/train_on_gpu.py pack
    KERAS_BACKEND=jax python benchmarks/train_on_gpu.py teachers
    KERAS_BACKEND=jax python benchmarks/train_on_gpu.py students

Each teacher has two heads, the labels of FER2013 and the votes of FER+ on the same faces. The
students learn from the mean answer of the teachers to just the picture that they see themselves,
augmented and mixed (Beyer et al. 2022, arXiv 2106.05237); all of them in one loop, so that the
teachers are asked once. `minixception train-emotion` asks them once per face instead, since the
processors it is made for take a hundred times as long.

`pack` needs the project's own packages and data sets (datasets/README.md); the other two need
`pip install keras jax[cuda13]` and `faces.npz`, which `pack` writes. All write to `runs/gpu`.
"""

import argparse
import csv
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "src"))

FER2013 = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
FERPLUS = ("anger", "contempt", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")
# The column of FER+ that each emotion of FER2013 is.
SAME = (0, 2, 3, 4, 6, 7, 5)
HEADS = {"fer2013": slice(0, 7), "ferplus": slice(7, 15)}
# Contempt, of which there are few faces, counts three times.
FERPLUS_WEIGHTS = (1.0, 3.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0)

TRAINING, VALIDATION, UNLABELLED = range(3)
SPOILT = 2500
STORED = 48


@dataclass(frozen=True)
class Settings:
    """How one loop trains; the names are those of the project's recipes."""

    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    ema_momentum: float
    mixup: float
    warmup: float = 0.1
    label_smoothing: float = 0.0
    rotation: float = 12.0
    shift: float = 0.1
    zoom: float = 0.12
    light: float = 0.0
    blur: float = 0.0
    erasing: float = 0.0
    outliers: float = 0.0
    teacher_share: float = 0.0


TEACHER = Settings(
    epochs=24, batch_size=128, learning_rate=1e-3, weight_decay=0.03, ema_momentum=0.997,
    mixup=0.3, label_smoothing=0.1, shift=0.08, zoom=0.13, light=0.2, blur=0.01, erasing=0.2,
)  # fmt: skip
STUDENT = Settings(
    epochs=100, batch_size=256, learning_rate=8e-3, weight_decay=0.02, ema_momentum=0.997,
    mixup=0.4, light=0.2, blur=0.02, outliers=0.05, teacher_share=0.8,
)  # fmt: skip
TEACHERS = 4
TEACHER_SIZE = 128
TEACHERS_A_STEP = 2
STUDENTS = ("mini_xception:64:fer2013", "mini_xception_wide:64:fer2013", "mini_xception:64:ferplus")


# ---------------------------------------------------------------------------------------- faces


def pack(data: Path, output: Path) -> None:
    """Write all that the GPU needs into one file: faces, labels, votes, and weights to begin with."""
    from minixception.datasets.fer2013 import load_fer2013
    from minixception.datasets.ferplus import read_ferplus_votes, votes_as_targets
    from minixception.datasets.unlabelled import gather_unlabelled
    from minixception.models import build
    from minixception.models.mobilenet import load_mobilenet_weights
    from minixception.training.outliers import spoil

    faces = load_fer2013(data / "fer2013" / "fer2013.csv.gz")
    votes = read_ferplus_votes(data / "fer2013" / "fer2013new.csv", splits=faces.splits)
    shares, has_votes = votes_as_targets(votes, FERPLUS)
    # As the recipe `ferplus`: no other answer has more votes than the best emotion.
    has_votes &= votes[:, : len(FERPLUS)].max(axis=1) >= votes.max(axis=1)
    unlabelled = gather_unlabelled(
        [data / "detection"],
        faces,
        unseen=("PublicTest", "PrivateTest"),
        leave_out=data / "facial_expressions" / "facial_expressions_subset.tar",
    )
    assert unlabelled is not None
    seen = faces.splits != "PrivateTest"
    training = faces.images[faces.splits == "Training"]
    generator = np.random.default_rng(0)
    chosen = generator.choice(len(training), SPOILT, replace=False)

    model = build("facenet_mobilenet", (TEACHER_SIZE, TEACHER_SIZE, 1), len(FER2013 + FERPLUS))
    sample = np.stack([resized(image, TEACHER_SIZE) for image in training[chosen[:256], :, :, 0]])
    load_mobilenet_weights(
        model,
        data / "models" / "vggface2_mobilenet.weights.h5",
        (sample / 127.5 - 1).astype(np.float32)[..., None],
    )
    output.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        output / "faces.npz",
        images=np.concatenate([faces.images[seen], unlabelled.images])[..., 0],
        labels=np.concatenate([faces.labels[seen], np.full(len(unlabelled), -1)]).astype(np.int8),
        votes=np.concatenate(
            [(shares * has_votes[:, None])[seen], np.zeros((len(unlabelled), len(FERPLUS)))]
        ).astype(np.float32),
        splits=np.concatenate(
            [
                np.where(faces.splits[seen] == "Training", TRAINING, VALIDATION),
                np.full(len(unlabelled), UNLABELLED),
            ]
        ).astype(np.int8),
        spoilt=np.stack([spoil(image, generator) for image in training[chosen]])[..., 0],
        **{f"backbone_{k}": weight for k, weight in enumerate(model.get_weights())},
    )


def resized(image: Any, size: int) -> Any:
    """Enlarge a grey face (H, W) as the preprocessor does."""
    import cv2

    return cv2.resize(image, (size, size), interpolation=cv2.INTER_CUBIC)


# ------------------------------------------------------------------------------- faces on the GPU


def sample(images: Any, matrices: Any, size: int, sharpness: Any) -> Any:
    """Read float32 (B, H, H) into (B, size, size); borders are repeated.

    `matrices` (B, 2, 3) lead from a place in the result to one in the image; both reach from -0.5
    to 0.5. `sharpness` (B,) leads from bilinear, 0, to bicubic interpolation, 1.
    """
    import jax.numpy as jnp

    count, side = images.shape[:2]
    grid = (jnp.arange(size) + 0.5) / size - 0.5
    place = jnp.stack([*jnp.meshgrid(grid, grid), jnp.ones((size, size))], axis=-1)
    x, y = jnp.moveaxis(jnp.einsum("hwk,bak->bahw", place, matrices), 1, 0)
    x, y = (x + 0.5) * side - 0.5, (y + 0.5) * side - 0.5
    left, top = jnp.floor(x), jnp.floor(y)
    flat = images.reshape(count, side * side)
    total = 0.0
    share = jnp.asarray(sharpness)[:, None, None]
    for row, weight_y in enumerate(_weights(y - top, share), start=-1):
        for column, weight_x in enumerate(_weights(x - left, share), start=-1):
            rows = jnp.clip(top + row, 0, side - 1).astype(jnp.int32)
            columns = jnp.clip(left + column, 0, side - 1).astype(jnp.int32)
            index = (rows * side + columns).reshape(count, -1)
            pixels = jnp.take_along_axis(flat, index, axis=1).reshape(x.shape)
            total = total + weight_y * weight_x * pixels
    return jnp.clip(total, 0, 255)


def _weights(t: Any, share: Any) -> list[Any]:
    """Return the weights of the four nearest pixels; bicubic with the slope -0.75 of OpenCV."""
    slope = -0.75
    near = lambda s: ((slope + 2) * s - (slope + 3)) * s * s + 1  # noqa: E731
    far = lambda s: ((slope * s - 5 * slope) * s + 8 * slope) * s - 4 * slope  # noqa: E731
    cubic = [far(t + 1), near(t), near(1 - t), far(2 - t)]
    linear = [0.0, 1 - t, t, 0.0]
    return [line + share * (curve - line) for curve, line in zip(cubic, linear, strict=True)]


def draw_matrices(key: Any, count: int, settings: Settings) -> Any:
    """Draw rotation, shift, zoom and flip for `count` faces, float32 (count, 2, 3)."""
    import jax
    import jax.numpy as jnp

    draws = jax.random.uniform(key, (6, count), minval=-1.0, maxval=1.0)
    angle = jnp.deg2rad(draws[0] * settings.rotation)
    zoom_x = (1 + draws[1] * settings.zoom) * jnp.where(draws[5] < 0, -1.0, 1.0)
    zoom_y = 1 + draws[2] * settings.zoom
    cosine, sine = jnp.cos(angle), jnp.sin(angle)
    rows = [
        jnp.stack([cosine * zoom_x, -sine * zoom_y, draws[3] * settings.shift], axis=-1),
        jnp.stack([sine * zoom_x, cosine * zoom_y, draws[4] * settings.shift], axis=-1),
    ]
    return jnp.stack(rows, axis=1)


def change_light(key: Any, images: Any, settings: Settings) -> Any:
    """Change brightness and contrast, blur every second face, erase a rectangle of every second."""
    import jax
    import jax.numpy as jnp

    count, side = images.shape[:2]
    draws = jax.random.uniform(key, (9, count, 1, 1))
    gains = 1 + settings.light * (2 * draws[:2] - 1)
    images = jnp.clip(gains[0] * images, 0, 255)
    images = jnp.clip(
        gains[1] * images + (1 - gains[1]) * images.mean((1, 2), keepdims=True), 0, 255
    )
    if settings.blur:
        sigma = jnp.where(draws[2] < 0.5, 0.0, draws[3] * settings.blur * side) + 1e-3
        taps = [jnp.exp(-((k / sigma) ** 2) / 2) for k in range(-3, 4)]
        total = sum(taps)
        for axis in (1, 2):
            width = [(3, 3) if other == axis else (0, 0) for other in range(3)]
            padded = jnp.pad(images, width, mode="edge")
            parts = [jax.lax.slice_in_dim(padded, k, k + side, axis=axis) for k in range(7)]
            images = sum(tap * part for tap, part in zip(taps, parts, strict=True)) / total
    if settings.erasing:
        area = draws[4] * settings.erasing * jnp.where(draws[5] < 0.5, 0.0, 1.0)
        stretch = jnp.sqrt(3.0 ** (2 * draws[6] - 1))
        height, width = jnp.sqrt(area) / stretch, jnp.sqrt(area) * stretch
        rows = (jnp.arange(side) / side)[None, :, None] - draws[7] * (1 - height)
        columns = (jnp.arange(side) / side)[None, None, :] - draws[8] * (1 - width)
        inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
        noise = jax.random.uniform(jax.random.fold_in(key, 1), images.shape, maxval=255.0)
        images = jnp.where(inside, noise, images)
    return images


# ------------------------------------------------------------------------------------- networks


def use_plain_kernels() -> None:
    """Let Keras write depthwise and 1x1 convolutions and small poolings as sums and products.

    XLA fuses these with what stands around them; as convolutions of cuDNN, or as
    `select_and_scatter`, they take most of the time of networks like these.
    """
    import jax.numpy as jnp
    from keras.src.backend.jax import nn
    from keras.src.backend.jax import layer as _  # noqa: F401

    convolve, pool, average = nn.conv, nn.max_pool, nn.average_pool

    def taps(x: Any, size: int, stride: int, padding: str, fill: float) -> list[Any]:
        sides = x.shape[1:3]
        if padding == "same":
            wanted = [max((-(-n // stride) - 1) * stride + size - n, 0) for n in sides]
            margin = [(0, 0), *((w // 2, w - w // 2) for w in wanted), (0, 0)]
            x = jnp.pad(x, margin, constant_values=fill)
        height, width = ((n - size) // stride + 1 for n in x.shape[1:3])
        return [
            x[
                :,
                r : r + (height - 1) * stride + 1 : stride,
                c : c + (width - 1) * stride + 1 : stride,
            ]
            for r in range(size)
            for c in range(size)
        ]

    def first(value: Any) -> int:
        return value if isinstance(value, int) else value[0]

    def conv(
        inputs: Any,
        kernel: Any,
        strides: Any = 1,
        padding: str = "valid",
        *args: Any,
        **options: Any,
    ) -> Any:
        kernel = nn.convert_to_tensor(kernel)
        if kernel.shape[:2] == (1, 1) and first(strides) == 1:
            return jnp.einsum("bhwc,cd->bhwd", inputs.astype(kernel.dtype), kernel[0, 0])
        if kernel.shape[2] == 1 and inputs.shape[-1] == 1:
            parts = taps(inputs, kernel.shape[0], first(strides), padding, 0.0)
            weights = kernel.reshape(-1, kernel.shape[3]).astype(jnp.float32)
            total = sum(
                part.astype(jnp.float32) * w for part, w in zip(parts, weights, strict=True)
            )
            return total.astype(kernel.dtype)
        return convolve(inputs, kernel, strides, padding, *args, **options)

    def depthwise_conv(
        inputs: Any,
        kernel: Any,
        strides: Any = 1,
        padding: str = "valid",
        *args: Any,
        **options: Any,
    ) -> Any:
        kernel = nn.convert_to_tensor(kernel).astype(jnp.float32)
        size, channels = kernel.shape[0], kernel.shape[2]
        kernel = kernel.reshape(size * size, channels)
        parts = taps(inputs, size, first(strides), padding, 0.0)
        total = sum(
            part.astype(jnp.float32) * weight for part, weight in zip(parts, kernel, strict=True)
        )
        return total.astype(inputs.dtype)

    def max_pool(
        inputs: Any,
        pool_size: Any,
        strides: Any = None,
        padding: str = "valid",
        *args: Any,
        **options: Any,
    ) -> Any:
        parts = taps(inputs, first(pool_size), first(strides or pool_size), padding, -jnp.inf)
        total = parts[0]
        for part in parts[1:]:
            total = jnp.maximum(total, part)
        return total

    def average_pool(
        inputs: Any,
        pool_size: Any,
        strides: Any = None,
        padding: str = "valid",
        *args: Any,
        **options: Any,
    ) -> Any:
        if first(pool_size) == 1:
            return inputs[:, :: first(strides), :: first(strides)]
        return average(inputs, pool_size, strides, padding, *args, **options)

    nn.conv, nn.depthwise_conv = conv, depthwise_conv
    nn.max_pool, nn.average_pool = max_pool, average_pool


class Network:
    """A network without its softmax, as a pure function of its weights."""

    def __init__(self, name: str, size: int, heads: Sequence[str], seed: int) -> None:
        import keras

        from minixception.models import build

        keras.utils.set_random_seed(seed)
        count = sum(HEADS[head].stop - HEADS[head].start for head in heads)
        whole = build(name, (size, size, 1), count)
        self.model = keras.Model(whole.input, whole.layers[-2].output)
        self.size, self.heads = size, tuple(heads)
        self.decayed = [
            variable.name not in ("bias", "gamma", "beta")
            for variable in self.model.trainable_variables
        ]

    def start(self) -> tuple[list[Any], list[Any]]:
        """Return the values of the trained weights, and of the others."""
        parts = self.model.trainable_variables, self.model.non_trainable_variables
        return tuple([np.asarray(each.value) for each in part] for part in parts)  # type: ignore[return-value]

    def __call__(
        self, weights: Any, others: Any, pixels: Any, *, training: bool
    ) -> tuple[Any, Any]:
        """Return head -> logits, of pixels 0 to 255 (B, size, size), and the other weights after it."""
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
        for part, values in (
            (self.model.trainable_variables, weights),
            (self.model.non_trainable_variables, others),
        ):
            for variable, value in zip(part, values, strict=True):
                variable.assign(value)
        return self.model.get_weights()


# ------------------------------------------------------------------------------------- training


def adamw(weights: Any, gradients: Any, moments: Any, *, step: Any, rate: Any, decay: Any) -> Any:
    """Take a step of AdamW, with the constants of Keras; `decay` is a number for each weight."""
    import jax.numpy as jnp

    new, first, second = [], [], []
    for weight, gradient, one, two, share in zip(weights, gradients, *moments, decay, strict=True):
        one = 0.9 * one + 0.1 * gradient
        two = 0.999 * two + 0.001 * gradient**2
        scale = jnp.sqrt(1 - 0.999 ** (step + 1)) / (1 - 0.9 ** (step + 1))
        new.append(weight * (1 - rate * share) - rate * scale * one / (jnp.sqrt(two) + 1e-7))
        first.append(one)
        second.append(two)
    return new, (first, second)


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
        self.outliers = round(settings.batch_size * settings.outliers)
        self.steps = len(arrays["images"]) // (settings.batch_size - self.outliers)
        self.compiled: Any = None

    def targets(self, images: Any, labels: Any, votes: Any, step: Any, teachers: Any) -> Any:
        """Return head -> targets (B, K), whose sums are the weights of the faces."""
        import jax
        import jax.numpy as jnp

        smoothing, share = self.settings.label_smoothing, self.settings.teacher_share
        targets = {"fer2013": labels, "ferplus": votes}
        known = {head: target.sum(-1, keepdims=True) for head, target in targets.items()}
        targets["fer2013"] = (
            labels * (1 - smoothing) + known["fer2013"] * smoothing / labels.shape[1]
        )
        if self.teacher is None:
            return targets
        count = len(jax.tree.leaves(teachers)[0])

        def ask(index: Any) -> Any:
            answer, _ = self.teacher(
                *jax.tree.map(lambda w: w[index], teachers), images, training=False
            )
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

    def step(self, state: Any, step: Any, key: Any, rows: Any, total: Any, arrays: Any) -> Any:
        """Train all networks on one batch."""
        import jax
        import jax.numpy as jnp

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
        targets = self.targets(seen, labels, votes, step, arrays["teachers"])
        if self.outliers:
            targets = {
                head: jnp.concatenate([t, jnp.full((self.outliers, t.shape[1]), 1 / t.shape[1])])
                for head, t in targets.items()
            }
        views = {size: jnp.concatenate(parts) for size, parts in views.items()}
        if self.teacher:
            targets["ferplus"] *= jnp.array(FERPLUS_WEIGHTS)

        rising = settings.warmup * total
        rate = settings.learning_rate * jnp.where(
            step < rising,
            step / rising,
            (1 + jnp.cos(jnp.pi * jnp.clip((step - rising) / (total - rising), 0, 1))) / 2,
        )
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
        """Train; after each epoch `report(epoch, losses, [(averaged weights, others), ...])`.

        Epochs become fewer where `seconds` do not suffice.
        """
        import jax
        import jax.numpy as jnp

        faces = self.settings.batch_size - self.outliers

        @partial(jax.jit, donate_argnums=0)
        def epoch(state: Any, number: Any, total: Any, key: Any, arrays: Any) -> Any:
            order = jax.random.permutation(jax.random.fold_in(key, number), len(arrays["images"]))
            batches = order[: self.steps * faces].reshape(self.steps, faces)

            def body(state: Any, inputs: Any) -> Any:
                return self.step(state, inputs[0], key, inputs[1], total, arrays)

            steps = number * self.steps + jnp.arange(self.steps)
            return jax.lax.scan(body, state, (steps, batches))

        state = [
            (list(map(jnp.asarray, weights)), list(map(jnp.asarray, others)),
             tuple([jnp.zeros_like(w) for w in weights] for _ in range(2)),
             [jnp.array(w) for w in weights])
            for weights, others in starts
        ]  # fmt: skip
        began = time.monotonic()
        arguments = (state, jnp.int32(0), jnp.float32(1), key, self.arrays)
        if self.compiled is None:
            self.compiled = epoch.lower(*arguments).compile()
            print(f"compiled in {time.monotonic() - began:.0f} s, {self.steps} steps", flush=True)
        epochs, number = self.settings.epochs, 0
        while number < epochs:
            total = jnp.float32(epochs * self.steps)
            start = time.monotonic()
            state, losses = self.compiled(state, jnp.int32(number), total, key, self.arrays)
            losses = np.asarray(losses).mean(axis=0)
            pace = time.monotonic() - start
            report(number, losses, [(average, others) for _, others, _, average in state])
            if number == 1:  # the first epoch has other things to do
                whole = time.monotonic() - start
                left = seconds - (time.monotonic() - began)
                epochs = min(epochs, 2 + max(int(left / whole), 0))
                print(
                    f"{pace:.2f} s an epoch, {whole:.2f} with scores: {epochs} epochs", flush=True
                )
            number += 1
        return state


class Scorer:
    """Probabilities of networks on the validation faces."""

    def __init__(self, faces: dict[str, Any]) -> None:
        validation = faces["splits"] == VALIDATION
        self.images = faces["images"][validation]
        self.labels = {"fer2013": faces["labels"][validation].astype(int)}
        votes = faces["votes"][validation]
        # More than half of the votes: the rule of FER+'s authors, without their outliers.
        self.labels["ferplus"] = np.where(votes.max(1) > 0.5, votes.argmax(1), -1)
        self.functions: dict[int, Any] = {}

    def __call__(self, network: Network, weights: Any, others: Any) -> dict[str, np.ndarray]:
        """Return head -> probabilities (N, K)."""
        import jax
        import jax.numpy as jnp

        if id(network) not in self.functions:

            @partial(jax.jit, compiler_options={"xla_gpu_enable_triton_gemm": False})
            def answer(weights: Any, others: Any, images: Any) -> Any:
                def one(images: Any) -> Any:
                    straight = jnp.tile(jnp.eye(2, 3), (len(images), 1, 1))
                    plain = jnp.zeros(len(images))  # as the preprocessor enlarges a face
                    pixels = sample(images.astype(jnp.float32), straight, network.size, plain)
                    logits, _ = network(weights, others, pixels, training=False)
                    return {head: jax.nn.softmax(value) for head, value in logits.items()}

                return jax.lax.map(one, images)

            self.functions[id(network)] = answer
        count = -(-len(self.images) // 400)
        padded = np.resize(self.images, (count * 400, *self.images.shape[1:]))
        answers = self.functions[id(network)](
            weights, others, padded.reshape(count, 400, *self.images.shape[1:])
        )
        return {
            head: np.asarray(value).reshape(count * 400, -1)[: len(self.images)]
            for head, value in answers.items()
        }

    def accuracy(self, probabilities: dict[str, np.ndarray]) -> dict[str, float]:
        """Return head -> accuracy."""
        scores = {}
        for head, values in probabilities.items():
            known = self.labels[head] >= 0
            scores[head] = float((values.argmax(1) == self.labels[head])[known].mean())
        return scores


def prepared(faces: dict[str, Any], *, unlabelled: bool) -> dict[str, Any]:
    """Return the arrays that a loop trains on."""
    chosen = (faces["splits"] == TRAINING) | (unlabelled & (faces["splits"] == UNLABELLED))
    labels = faces["labels"][chosen]
    return {
        "images": faces["images"][chosen],
        "labels": np.eye(len(FER2013), dtype=np.float32)[labels] * (labels >= 0)[:, None],
        "votes": faces["votes"][chosen],
        "spoilt": faces["spoilt"],
    }


def write_weights(path: Path, weights: Sequence[Any], dtype: Any = np.float32) -> None:
    """Write weights in the order of Keras; statistics, which float16 cannot hold, as they are."""
    kernels = [w.astype(dtype if w.ndim > 1 else np.float32) for w in map(np.asarray, weights)]
    np.savez(path, **{f"w{k}": kernel for k, kernel in enumerate(kernels)})


def read_weights(path: Path) -> list[np.ndarray]:
    """Read what `write_weights` wrote."""
    with np.load(path) as file:
        return [np.asarray(file[f"w{k}"], np.float32) for k in range(len(file.files))]


def train_teachers(output: Path, data: Path, *, seconds: float, count: int, epochs: int) -> None:
    """Train teachers one after the other, each with a seed of its own."""
    import jax

    faces = dict(np.load(data / "faces.npz"))
    scorer, arrays, means = Scorer(faces), prepared(faces, unlabelled=False), []
    backbone = [faces[f"backbone_{k}"] for k in range(sum("backbone" in k for k in faces))]
    settings = TEACHER if not epochs else Settings(**{**vars(TEACHER), "epochs": epochs})
    network = Network("facenet_mobilenet", TEACHER_SIZE, tuple(HEADS), seed=0)
    loop = Loop([network], settings, arrays)
    began = time.monotonic()
    for seed in range(count):
        top = np.random.default_rng(seed).normal(0, 0.01, backbone[-2].shape).astype(np.float32)
        network.model.set_weights([*backbone[:-2], top, backbone[-1] * 0])
        rows: list[dict[str, Any]] = []

        def report(epoch: int, losses: Any, averages: Any) -> None:
            nonlocal answers
            answers = scorer(network, *averages[0])
            row = {"epoch": epoch, "loss": float(losses[0]), **scorer.accuracy(answers)}
            rows.append(row)
            print({k: round(v, 4) for k, v in row.items()}, flush=True)

        answers: dict[str, np.ndarray] = {}
        share = (seconds - (time.monotonic() - began)) / (count - seed)
        state = loop.run([network.start()], jax.random.key(seed), report, seconds=share)
        _, others, _, average = state[0]
        write_weights(output / f"teacher_{seed}.npz", network.assigned(average, others), np.float16)
        write_history(output / f"teacher_{seed}.csv", rows)
        means.append(answers)
        together = {head: np.mean([m[head] for m in means], axis=0) for head in answers}
        print(f"{seed + 1} teachers together: {scorer.accuracy(together)}", flush=True)


def train_students(
    output: Path, data: Path, *, seconds: float, names: Sequence[str], epochs: int
) -> None:
    """Train all students at once."""
    import jax
    import jax.numpy as jnp

    faces = dict(np.load(data / "faces.npz"))
    scorer, arrays = Scorer(faces), prepared(faces, unlabelled=True)
    settings = STUDENT if not epochs else Settings(**{**vars(STUDENT), "epochs": epochs})
    teacher = Network("facenet_mobilenet", TEACHER_SIZE, tuple(HEADS), seed=0)
    weights = []
    for path in sorted(data.glob("teacher_*.npz")):
        teacher.model.set_weights(read_weights(path))
        weights.append(teacher.start())
    taught_by = jax.tree.map(lambda *parts: jnp.stack(parts), *weights)
    parts = [name.split(":") for name in names]
    students = [Network(name, int(size), (head,), seed=0) for name, size, head in parts]
    rows: list[dict[str, Any]] = []
    best = [0.0] * len(students)

    def report(epoch: int, losses: Any, averages: Any) -> None:
        row: dict[str, Any] = {"epoch": epoch}
        for k, (network, average) in enumerate(zip(students, averages, strict=True)):
            score = scorer.accuracy(scorer(network, *average))[network.heads[0]]
            row |= {f"{names[k]} loss": float(losses[k]), f"{names[k]} accuracy": score}
            if epoch >= 0.5 * settings.epochs and score > best[k] or score > best[k] + 0.002:
                best[k] = score
                write_weights(output / f"best_{k}.npz", network.assigned(*average))
            if epoch % 5 == 4:
                write_weights(output / f"last_{k}.npz", network.assigned(*average))
        rows.append(row)
        write_history(output / "students.csv", rows)
        print([epoch, *(round(v, 4) for v in list(row.values())[1:])], flush=True)

    loop = Loop(students, settings, arrays, teacher=teacher, taught_by=taught_by)
    state = loop.run([s.start() for s in students], jax.random.key(0), report, seconds=seconds)
    for k, (network, (_, others, _, average)) in enumerate(zip(students, state, strict=True)):
        write_weights(output / f"last_{k}.npz", network.assigned(average, others))


def write_history(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write a row for each epoch."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def main() -> int:
    """Run one of the three parts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("part", choices=("pack", "teachers", "students"))
    parser.add_argument("--data", type=Path, default=ROOT / "datasets")
    parser.add_argument("--input", type=Path, default=ROOT / "runs" / "gpu")
    parser.add_argument("--output", type=Path, default=ROOT / "runs" / "gpu")
    parser.add_argument("--seconds", type=float, default=1e6, help="what the part may take")
    parser.add_argument("--epochs", type=int, default=0, help="other epochs than in the settings")
    parser.add_argument("--teachers", type=int, default=TEACHERS)
    parser.add_argument("--students", nargs="+", default=STUDENTS)
    options = parser.parse_args()
    if options.part == "pack":
        pack(options.data, options.output)
        return 0
    os.environ["KERAS_BACKEND"] = "jax"
    import keras

    use_plain_kernels()
    keras.config.set_dtype_policy("mixed_bfloat16")
    options.output.mkdir(parents=True, exist_ok=True)
    common = {"seconds": options.seconds, "epochs": options.epochs}
    if options.part == "teachers":
        train_teachers(options.output, options.input, count=options.teachers, **common)
    else:
        train_students(options.output, options.input, names=options.students, **common)
    return 0


if __name__ == "__main__":
    sys.exit(main())
