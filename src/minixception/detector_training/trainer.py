"""Training the detector: scenes, a schedule, and a folder from which a killed run is resumed."""

import logging
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from minixception.checkpoints.keras_model import write_checkpoint
from minixception.detection.card import DetectorCard
from minixception.detection.cells import decode_faces, prepare_images
from minixception.detection.columns import SCORE, clipped_boxes
from minixception.detection.evaluation import (
    FALSE_PER_IMAGE,
    Scenes,
    average_precision,
    held_out_scenes,
    match_faces,
    recall,
    threshold_for,
)
from minixception.detection.labelled_pictures import SceneSources
from minixception.detector_training.losses import detection_loss
from minixception.detector_training.scene_batches import scene_batches
from minixception.files import content_checksum
from minixception.locks import own_folder
from minixception.training.acceleration import accelerated
from minixception.training.optimization import averaged_weights, make_optimizer
from minixception.training.recipes import Recipe, check_fields, documented, setting
from minixception.training.runs import best_epoch
from minixception.training.state import (
    History,
    TrainingState,
    first_columns,
    record_epoch,
    restore,
    state_to_go_on_from,
)

VALIDATION_BATCH = 16
LEAST_SCORE = 0.05  # of boxes that average precision looks at
MONITOR = "val_average_precision"  # decides which epoch is kept

log = logging.getLogger(__name__)


@documented
@dataclass(frozen=True)
class DetectorRecipe:
    """How to train the detector.

    Raises:
        ValueError: for a number outside its range.
    """

    epochs: int = setting(
        90, "number of parts after which the run is validated and stored", "[1, inf)"
    )
    steps: int = setting(250, "batches in an epoch", "[1, inf)")
    sizes: tuple[int, ...] = setting((192, 256, 320), "of scenes in pixels; each batch draws one")
    pixels: int = setting(12 * 192 * 192, "of a batch")
    learning_rate: float = setting(3e-3, "the peak of a one-cycle schedule", "(0, inf)")
    warmup: float = setting(0.08, "share of the steps in which the rate rises")
    weight_decay: float = setting(0.01, "of AdamW, on kernels")
    ema_momentum: float = setting(0.998, "of the average of the weights, which is kept")
    replicas: int = setting(2, "see `Recipe`", "[1, inf)")
    validation_scenes: int = setting(200, "number of held-out scenes")
    validation_size: int = setting(256, "their height and width in pixels")

    def __post_init__(self) -> None:
        check_fields(self)

    def optimizer(self) -> keras.optimizers.Optimizer:
        """Build AdamW with its schedule, as for a classifier with these settings."""
        shared = ("epochs", "learning_rate", "warmup", "weight_decay", "ema_momentum")
        settings = {name: getattr(self, name) for name in shared}
        return make_optimizer(Recipe(name="detector", summary="", **settings), steps=self.steps)


@dataclass(frozen=True)
class DetectorRun:
    """What is trained, on what, how, and where to.

    Training scenes are composed of `training`; scenes composed of `validation` choose the best
    epoch. `seed` is that of the scenes. The scores are added to `card`. For `devices` see
    `acceleration.choose_devices`.
    """

    model: keras.Model
    training: SceneSources
    validation: SceneSources
    recipe: DetectorRecipe
    seed: int
    folder: Path
    card: DetectorCard
    devices: int = 1

    def identity(self) -> dict[str, Any]:
        """Return what must not change between the parts of an interrupted run."""
        return {
            "model": self.model.name,
            "parameters": self.model.count_params(),
            "recipe": asdict(self.recipe),
            "seed": self.seed,
            "training": _checksum(self.training),
            "validation": _checksum(self.validation),
        }


def _checksum(sources: SceneSources) -> str:
    return content_checksum(
        (picture.name, picture.image.tobytes() + picture.faces.tobytes())
        for picture in (*sources.photographs, *sources.backgrounds)
    )


def train_detector(run: DetectorRun, *, resume: bool = False) -> History:
    """Train to the recipe's last epoch.

    After every epoch the folder holds the best model so far (`model.keras`), `history.csv`, the
    curves, and the state from which `resume` continues.

    Returns:
        A row per epoch: epoch (from 0), learning_rate, loss, val_average_precision, val_recall
        (at a false box in ten scenes), seconds.

    Raises:
        BlockingIOError: if another run is writing the folder.
        FileExistsError, FileNotFoundError, ValueError: see `state_to_go_on_from`; or the loss is no
            finite number any more.
    """
    identity = run.identity()
    with own_folder(run.folder):
        state = state_to_go_on_from(run.folder, identity, resume=resume)
        if state is not None:
            if len(state.history) == run.recipe.epochs:
                log.warning("%s is complete: nothing to do.", run.folder)
                return state.history
            log.info("Continuing after epoch %d.", len(state.history))
        return _fit(run, state, identity)


def _fit(run: DetectorRun, state: TrainingState | None, identity: dict[str, Any]) -> History:
    recipe = run.recipe
    history: History = list(state.history) if state else []
    model = accelerated(run.model, replicas=recipe.replicas, devices=run.devices)
    model.compile(optimizer=recipe.optimizer(), loss=detection_loss, jit_compile=False)
    if state is not None:
        model.build((None, None, None, 1))
        restore(model, state)
    scenes = held_out_scenes(
        run.validation, count=recipe.validation_scenes, size=recipe.validation_size
    )
    batches = scene_batches(
        run.training,
        sizes=recipe.sizes,
        pixels=recipe.pixels,
        strides=run.card.strides,
        seed=run.seed,
        first_step=len(history) * recipe.steps,
    )
    for epoch in range(len(history), recipe.epochs):
        start = time.time()
        model.reset_metrics()
        for _ in range(recipe.steps):
            loss = float(model.train_on_batch(*next(batches)))
        row = first_columns(model, epoch, loss)
        with averaged_weights(model):
            run.model.set_weights(model.get_weights())
            row |= _validate(run, scenes)
            row["seconds"] = time.time() - start
            history.append(row)
            if best_epoch(history, MONITOR) == epoch:
                scores = {name: row[name] for name in row if name.startswith("val_")}
                card = run.card.with_metrics("validation", scores)
                write_checkpoint(run.folder, run.model, card, history)
        log.info(" ".join(f"{name}={value:.5g}" for name, value in row.items()))
        record_epoch(run.folder, model, history, identity=identity)
    return history


def _validate(run: DetectorRun, scenes: Scenes) -> dict[str, float]:
    found = []
    for start in range(0, len(scenes), VALIDATION_BATCH):
        images = np.stack([image for image, _ in scenes[start : start + VALIDATION_BATCH]])
        size = images.shape[1:3]
        for cells in np.asarray(run.model.predict_on_batch(prepare_images(images))):
            faces = decode_faces(cells, size, run.card.strides, least_score=LEAST_SCORE)
            found.append(np.column_stack([faces[:, SCORE], clipped_boxes(faces, size)]))
    matches = match_faces(found, [faces for _, faces in scenes], size)
    return {
        MONITOR: average_precision(matches),
        "val_recall": recall(matches, threshold_for(matches, FALSE_PER_IMAGE)),
    }
