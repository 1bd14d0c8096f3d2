"""Distillation: a student's targets are its teachers' answers to the same augmented picture.

Source: Hinton, Vinyals, Dean 2015 (arXiv 1503.02531). That teacher and student look at the same
augmented picture is from Beyer et al. 2022 (arXiv 2106.05237).
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from minixception.checkpoints.card import LITERT_FILE, Card
from minixception.checkpoints.engines import load_engine, require_probabilities
from minixception.checkpoints.keras_model import load_checkpoint
from minixception.checkpoints.shipped import find_model
from minixception.datasets.cache import read_arrays, write_arrays
from minixception.files import content_checksum
from minixception.labels import index_of, lacking
from minixception.messages import with_reports
from minixception.preprocessor import Preprocessor
from minixception.training.acceleration import accelerated
from minixception.training.batches import Batch

log = logging.getLogger(__name__)

_BATCH = 256
_ROUNDING = 1e-5  # what a sum of float32 shares may miss


@dataclass(frozen=True)
class Teacher:
    """A trained network that gives its opinion on the pictures that a student is shown.

    Attributes:
        predict: from float32 (B, height, width, channels) to (B, K), the classes in its own order.
        image_size: (height, width) that it takes.
        columns: for each class of the student, the teacher's output; what it says of further
            classes is left out, and the rest sums to one again.
        flip: whether its opinion is the mean of those on the picture and on its mirror image.
        description: name, network, size of its input and checksum of the weights, for the
            student's card.
    """

    predict: Callable[[NDArray[np.float32]], Any]
    image_size: tuple[int, int]
    columns: tuple[int, ...]
    flip: bool
    description: Mapping[str, Any]

    def opinion(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return probabilities (B, K) of the student's classes for its own inputs (B, H, W, C)."""
        if images.shape[1:3] != self.image_size:
            images = ops.convert_to_numpy(ops.image.resize(images, self.image_size))
        views = [images, images[:, :, ::-1]] if self.flip else [images]
        # Batches of fresh memory: the mirror image is a view that runs backwards through its base.
        opinions = [np.asarray(self.predict(np.ascontiguousarray(view))) for view in views]
        source = self.description.get("name", "The teacher")
        for each in opinions:
            require_probabilities(each, (len(images), each.shape[-1]), source=source)
        probabilities = np.mean(opinions, axis=0)[:, self.columns]
        # A teacher that is sure of a class that the student does not learn leaves nothing to share.
        total = np.maximum(probabilities.sum(axis=1, keepdims=True), np.finfo(np.float32).tiny)
        return np.asarray(probabilities / total, np.float32)


def load_teachers(folders: Sequence[Path], student: Card) -> list[Teacher]:
    """Load the teachers of a student; its card has its classes and its preprocessor.

    LiteRT runs those that have a `model.tflite`: on a processor it takes 40 % of the time of Keras.

    Raises:
        ValueError: a teacher does not fit the student.
    """
    teachers = []
    for folder in map(find_model, folders):
        checkpoint = load_checkpoint(folder)
        is_exported = (folder / LITERT_FILE).exists()
        predict = load_engine(folder)[1].predict if is_exported else None
        teachers.append(
            make_teacher(checkpoint.model, checkpoint.card, student=student, predict=predict)
        )
    return teachers


def make_teacher(
    model: keras.Model,
    card: Card,
    *,
    student: Card,
    predict: Callable[[NDArray[np.float32]], Any] | None = None,
) -> Teacher:
    """Check that a model can teach a student, and return it as a teacher.

    A student that is trained on mirror images is given the mean opinion on both: such a mean is
    right more often, by up to two points. `predict` runs the same model faster than Keras does.

    Raises:
        ValueError: the model lacks a class of the student, or takes pixels of another range, mean
            or number of channels; only its image size may differ from the student's.
    """
    if missing := lacking(student.class_names, card.class_names):
        raise ValueError(
            f"A teacher must know all classes that the student learns. The teacher {card.name} "
            f"knows {', '.join(card.class_names)}; missing: {', '.join(missing)}."
        )
    theirs, ours = card.preprocessor.to_json(), student.preprocessor.to_json()
    different = [key for key in ours if key != "image_size" and theirs[key] != ours[key]]
    if different:
        raise ValueError(
            f"The teacher {card.name} must take the same pixels as the student. Different: "
            + "; ".join(f"{key} is {theirs[key]} and {ours[key]}" for key in different)
        )
    # `model.variables` would have the random state of dropout too, new in every process.
    weights = [
        (variable.path, ops.convert_to_numpy(variable).tobytes()) for variable in model.weights
    ]
    if predict is None:
        faster = accelerated(model, precision=card.recipe.get("precision", "float32"))
        predict = faster.predict_on_batch
    return Teacher(
        predict=predict,
        image_size=card.preprocessor.image_size,
        columns=tuple(index_of(name, card.class_names) for name in student.class_names),
        flip=bool(student.recipe.get("augmentation", {}).get("horizontal_flip")),
        description={
            "name": card.name,
            "architecture": card.architecture,
            "image_size": list(card.preprocessor.image_size),
            "weights": content_checksum(weights),
            "command": card.command,
            "commit": card.versions.get("commit"),
        },
    )


def taught(
    batches: Iterable[Batch],
    teachers: Sequence[Teacher],
    *,
    share: float,
    unlabelled_teachers: Sequence[Teacher] = (),
) -> Iterator[Batch]:
    """Mix the mean opinion of the teachers into the targets of batches from `training_batches`.

    `share`, from 0 to 1, is the part of the target that is theirs; without teachers batches stay as
    they are. What a target lacks to a sum of one, all of it where a face has no label, is that of
    `unlabelled_teachers`, or else theirs as well.
    """
    for images, targets in batches:
        if teachers:
            opinion = _mean_opinion(teachers, images)
            lacking = 1 - targets.sum(axis=1, keepdims=True)
            lacking[np.abs(lacking) < _ROUNDING] = 0
            asked = unlabelled_teachers and lacking.any()
            missing = _mean_opinion(unlabelled_teachers, images) if asked else opinion
            theirs = share * (1 - lacking) * opinion + lacking * missing
            targets = (theirs + (1 - share) * targets).astype(np.float32)
        yield images, targets


def _mean_opinion(teachers: Sequence[Teacher], images: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.mean([teacher.opinion(images) for teacher in teachers], axis=0)


def taught_once(
    images: NDArray[np.uint8],
    targets: NDArray[np.float32],
    teachers: Sequence[Teacher],
    *,
    preprocessor: Preprocessor,
    share: float,
    file: Path,
    unlabelled_teachers: Sequence[Teacher] = (),
) -> NDArray[np.float32]:
    """Return targets (N, K) with the opinion of the teachers on each face as it is; see `taught`.

    They are kept in `file` and read from there when the same teachers are asked about the same
    faces again. A damaged one costs a warning.
    """
    question = {
        "teachers": [dict(teacher.description) for teacher in teachers],
        "unlabelled_teachers": [dict(teacher.description) for teacher in unlabelled_teachers],
        "share": share,
        "faces": content_checksum([("images", images.tobytes()), ("targets", targets.tobytes())]),
    }
    try:
        arrays, facts = read_arrays(file) if file.exists() else ({}, {})
        if facts == question:
            return arrays["targets"]
    except ValueError as error:
        log.warning("%s: the teachers are asked again", error)
    starts = with_reports(range(0, len(images), _BATCH), "batches of faces seen by the teachers")
    batches = (
        (preprocessor(images[start : start + _BATCH]), targets[start : start + _BATCH])
        for start in starts
    )
    answers = taught(batches, teachers, share=share, unlabelled_teachers=unlabelled_teachers)
    result = np.concatenate([answer for _, answer in answers])
    write_arrays(file, {"targets": result}, question)
    return result
