"""The training engine: a built model, a recipe, two sets of faces, a folder to write to.

After every epoch the folder holds the best checkpoint so far (`model.keras`, `card.json`,
`history.csv`), the curves, and one file with everything that the next epoch depends on. A killed
run resumes from there, and gives the same history as one that was not killed.
"""

import logging
import math
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from minixception.checkpoints.card import Card, read_card
from minixception.checkpoints.engines import run_keras
from minixception.checkpoints.keras_model import save_keras_file, write_checkpoint
from minixception.datasets.face_dataset import FaceDataset
from minixception.evaluation import Scores, cross_entropy, score
from minixception.files import content_checksum
from minixception.locks import own_folder
from minixception.messages import unfiltered
from minixception.training.acceleration import accelerated
from minixception.training.batches import Batch, training_batches
from minixception.training.learned_faces import numbers_of, write_learned
from minixception.training.optimization import (
    averaged_weights,
    compile_model,
    plateau_callback,
    remove_regularizers,
)
from minixception.training.outliers import with_outliers
from minixception.training.recipes import PROLONGING, REMARKS, Recipe
from minixception.training.runs import best_epoch
from minixception.training.state import (
    History,
    TrainingState,
    first_columns,
    record_epoch,
    require_finite,
    restore,
    state_to_go_on_from,
)
from minixception.training.teaching import Teacher, taught, taught_once

IMPROVEMENTS_FOLDER = "improvements"
OPINIONS_FILE = "opinions.npz"

VALIDATION_BATCH = 256

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingRun:
    """What is trained, on what, how, and where to.

    Attributes:
        model: freshly built, not compiled.
        training: faces to learn from.
        validation: faces that choose the best epoch.
        card: to store with the model; the scores are added, under the name `validation_split`.
        recipe: the settings.
        seed: of order and augmentation.
        folder: for checkpoint, history, curves and state.
        teachers: networks whose opinion goes into the targets.
        unlabelled: further faces, of the form of `training`, that `unlabelled_teachers` alone
            label, or else `teachers`.
        origin: plain data: what the weights began with, and what else the card says that a recipe
            does not.
        start: plain data that the state keeps for a later resume: how the run was started.
        earlier: what the models that it begins with, or learns from, have learned from; see
            `learned_faces`.
        devices: number of those that share the replicas, see `acceleration.choose_devices`.
    """

    model: keras.Model
    training: FaceDataset
    validation: FaceDataset
    card: Card
    validation_split: str
    recipe: Recipe
    seed: int
    folder: Path
    teachers: Sequence[Teacher] = ()
    unlabelled: FaceDataset | None = None
    unlabelled_teachers: Sequence[Teacher] = ()
    origin: Mapping[str, Any] = field(default_factory=dict)
    start: Mapping[str, Any] = field(default_factory=dict)
    earlier: NDArray[np.uint64] = field(default_factory=lambda: np.zeros(0, np.uint64))
    devices: int = 1

    def __post_init__(self) -> None:
        """Refuse weights for other classes than there are."""
        weights, names = self.recipe.class_weights, self.training.class_names
        if weights and len(weights) != len(names):
            raise ValueError(
                f"`class_weights` must be a number for each of {', '.join(names)}. "
                f"Received: {weights}"
            )

    @property
    def steps(self) -> int:
        """Batches in an epoch."""
        count = len(self.training) + len(self.unlabelled or ())
        return math.ceil(count / self.recipe.batch_size)

    def faces_and_targets(self) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Return what is learned from; the target of a face without a label is zero."""
        images, targets = self.training.images, self.training.distributions
        if self.unlabelled is not None:
            images = np.concatenate([images, self.unlabelled.images])
            targets = np.pad(targets, ((0, len(self.unlabelled)), (0, 0)))
        return images, targets

    def identity(self) -> dict[str, Any]:
        """Return what must not change between the parts of an interrupted run."""
        targets = self.training.targets
        votes = [] if targets is None else [("targets", targets.tobytes())]
        return {
            "model": self.model.name,
            "parameters": self.model.count_params(),
            "recipe": self.recipe.to_json(),
            "seed": self.seed,
            "training": [self.training.checksum, len(self.training)],
            "split rule": self.training.split_rule if self.training.drawn_splits else None,
            "targets": content_checksum(votes) if votes else None,
            "teachers": _weights_of(self.teachers),
            "unlabelled": self.unlabelled and [self.unlabelled.checksum, len(self.unlabelled)],
            "teachers of the unlabelled": _weights_of(self.unlabelled_teachers),
            "validation": [self.validation.checksum, len(self.validation)],
            "preprocessor": self.card.preprocessor.to_json(),
            **self.origin,
        }


def _weights_of(teachers: Sequence[Teacher]) -> list[str] | None:
    return [teacher.description["weights"] for teacher in teachers] or None


def train(run: TrainingRun, *, resume: bool = False, verbose: int | str = "auto") -> History:
    """Train until the recipe's last epoch or its early stopping.

    With `resume` it goes on from the state in the run's folder, if there is one. With the constant
    schedule that may be for more epochs, or with more patience of its early stopping; the one-cycle
    schedule sets every rate by the number of epochs. For `verbose` see `keras.Model.fit`.

    Returns:
        A row per epoch: epoch (from 0), learning_rate, loss, accuracy, val_loss, val_accuracy,
        val_macro_f1. The same rows stand in `history.csv`.

    Raises:
        ValueError: the loss is no finite number any more; see also `state_to_go_on_from`.
    """
    free = (*REMARKS, *(PROLONGING if run.recipe.schedule == "constant" else ()))
    but = [f"recipe.{name}" for name in free]
    with own_folder(run.folder):
        state = state_to_go_on_from(run.folder, run.identity(), resume=resume, but=but)
        if state is None:
            return _fit(run, None, verbose)
        if (begun := read_card(run.folder).task) != run.card.task:
            raise ValueError(
                f"{run.folder} holds a run of the task {begun}, which cannot become one of "
                f"{run.card.task}. Give the same `task` to continue it, or another `output`."
            )
        if _is_over(state.history, run.recipe):
            log.warning("%s is complete: nothing to do.", run.folder)
            return state.history
        log.info("Continuing after epoch %d.", len(state.history))
        return _fit(run, state, verbose)


def _is_over(history: History, recipe: Recipe) -> bool:
    waited = len(history) - 1 - best_epoch(history, recipe.monitor)
    patience = recipe.early_stopping_patience
    is_stopped = patience is not None and waited >= max(patience, 1)
    return is_stopped or len(history) >= recipe.epochs


def _fit(run: TrainingRun, state: TrainingState | None, verbose: int | str) -> History:
    recipe = run.recipe
    epochs = _Epochs(run, state)
    first_epoch = len(epochs.history)
    (images, targets), teachers = run.faces_and_targets(), run.teachers
    if teachers and recipe.teach_once:
        targets = taught_once(
            images,
            targets,
            teachers,
            preprocessor=run.card.preprocessor,
            share=recipe.teacher_share,
            file=run.folder / OPINIONS_FILE,
            unlabelled_teachers=run.unlabelled_teachers,
        )
        teachers = ()
    batches = training_batches(
        images,
        targets,
        preprocessor=run.card.preprocessor,
        augmentation=recipe.augmentation,
        batch_size=recipe.batch_size,
        seed=run.seed,
        mixup=recipe.mixup,
        first_epoch=first_epoch,
    )
    batches = taught(
        batches, teachers, share=recipe.teacher_share, unlabelled_teachers=run.unlabelled_teachers
    )
    if recipe.class_weights:
        weights = np.asarray(recipe.class_weights, np.float32)
        batches = ((inputs, shares * weights) for inputs, shares in batches)
    batches = with_outliers(
        batches, recipe.outliers, seed=run.seed, first_step=first_epoch * run.steps
    )
    weighted = _with_sample_weights(batches) if recipe.class_weights else batches
    model = accelerated(
        run.model, precision=recipe.precision, replicas=recipe.replicas, devices=run.devices
    )
    if not recipe.regularizers:
        remove_regularizers(model)
    compile_model(model, recipe, steps=run.steps)
    with redirect_stdout(unfiltered(sys.stdout)):  # where Keras draws a bar
        model.fit(
            weighted,
            steps_per_epoch=run.steps,
            epochs=recipe.epochs,
            initial_epoch=first_epoch,
            callbacks=[epochs],
            shuffle=False,  # the batches come shuffled
            verbose=verbose,
        )
    return epochs.history


def _with_sample_weights(batches: Iterable[Batch]) -> Iterator[tuple[Any, ...]]:
    """Make targets that sum to one of weighted ones; their sums weigh the images."""
    for images, targets in batches:
        sums = targets.sum(axis=1, keepdims=True)
        yield images, targets / sums, sums[:, 0]


class _Epochs(keras.callbacks.Callback):
    """Scores every epoch on the validation faces, keeps the best model, and writes the state.

    What a plateau callback remembers is not stored: it is shown the history again.
    """

    def __init__(self, run: TrainingRun, state: TrainingState | None) -> None:
        super().__init__()
        self.run = run
        self.state = state
        self.history: History = list(state.history) if state else []
        self.plateau = plateau_callback(run.recipe)
        self.images = run.card.preprocessor(run.validation.images)
        self.targets = run.validation.distributions
        parts = [run.training, *([run.unlabelled] if run.unlabelled else [])]
        self.learned = np.concatenate([*map(numbers_of, parts), run.earlier])

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        self.plateau.set_model(self.model)
        self.plateau.on_train_begin()
        for row in self.history:
            self.plateau.on_epoch_end(int(row["epoch"]), dict(row))
        if self.state is not None:
            restore(self.model, self.state)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        assert logs is not None
        row = first_columns(self.model, epoch, logs["loss"])
        row["accuracy"] = logs["accuracy"]
        with averaged_weights(self.model):
            # The model that would be kept is scored, not its faster copy.
            self.run.model.set_weights(self.model.get_weights())
            scores, row["val_loss"] = self._score()
            row |= {"val_accuracy": scores.accuracy, "val_macro_f1": scores.macro_f1}
            self.history.append(row)
            if best_epoch(self.history, self.run.recipe.monitor) == epoch:
                self._keep(row, scores)
        logs.update(row)
        del logs["epoch"]
        self.plateau.on_epoch_end(epoch, logs)
        self.model.stop_training = _is_over(self.history, self.run.recipe)
        facts = {"identity": self.run.identity(), "start": dict(self.run.start)}
        record_epoch(self.run.folder, self.model, self.history, **facts)

    def _score(self) -> tuple[Scores, float]:
        """Return the scores and, as in Keras, a loss that has the penalties on the weights."""
        validation = self.run.validation
        probabilities = run_keras(self.run.model, self.images, VALIDATION_BATCH)
        penalties = float(sum(ops.convert_to_numpy(loss) for loss in self.model.losses))
        loss = cross_entropy(self.targets, probabilities) + penalties
        # The last step of an epoch shows in its answers, and not yet in its training loss.
        require_finite(loss, "validation loss", len(self.history))
        return score(validation.labels, probabilities, validation.class_names), loss

    def _keep(self, row: dict[str, float], scores: Scores) -> None:
        model = self.run.model
        card = self.run.card.with_metrics(self.run.validation_split, scores.to_json())
        write_checkpoint(self.run.folder, model, card, self.history)
        write_learned(self.run.folder, self.learned)
        if self.run.recipe.keep_improvements:
            name = f"epoch-{row['epoch'] + 1:04d}_accuracy-{row['val_accuracy']:.4f}.keras"
            save_keras_file(model, self.run.folder / IMPROVEMENTS_FOLDER / name)
