"""Options that let a network begin with, or learn from, what others have learned."""

import argparse
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from minixception.checkpoints.shipped import DEFAULT_EMOTION_MODEL, DEFAULT_GENDER_MODEL, find_model
from minixception.labels import canonical_name

if TYPE_CHECKING:
    import keras

    from minixception.checkpoints.card import Card
    from minixception.checkpoints.keras_model import Checkpoint
    from minixception.datasets import FaceDataset
    from minixception.preprocessor import Preprocessor
    from minixception.training.recipes import Recipe
    from minixception.training.teaching import Teacher

# Below, a network that begins with nothing learns little: with 4 classes of 48 pictures, of
# facial_expressions, 30 epochs of the recipe `emotion` had 73 % of the validation faces right after
# 16 when they began with the shipped weights, and 25 % after 12 from scratch (commit 52df818).
FEW_FACES = 2000
NOTHING = Path("none")

# The norm of a filter, as a share of that of the greatest of its convolution.
_VANISHED = 1e-5

log = logging.getLogger(__name__)


def add_teaching_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--initial-weights",
        type=Path,
        metavar="MODEL",
        help="begin with the weights of this model of the same network, for fine-tuning; with "
        "other classes its last layer begins anew (default: none; the shipped model where there "
        f"are fewer than {FEW_FACES} faces to learn from and the recipe is not a publication's)",
    )
    parser.add_argument(
        "--teacher",
        type=Path,
        nargs="+",
        default=(),
        metavar="MODEL",
        help="models that know the classes, whose opinion goes into the targets (distillation)",
    )
    parser.add_argument(
        "--teacher-share",
        type=float,
        help="share of the target that comes from them (default: the recipe's)",
    )


def check_teaching(arguments: argparse.Namespace, *, needs_teacher: bool) -> None:
    """Refuse before anything is loaded what would fail after it.

    Raises:
        ValueError: the options contradict each other, or the recipe lacks its teacher.
        FileNotFoundError: a model that is named is missing.
    """
    if needs_teacher and not arguments.teacher:
        raise ValueError(
            f"The recipe {arguments.recipe} learns from a model that is there already: name one "
            "with --teacher, such as fer2013_mini_xception_wide."
        )
    if arguments.teacher_share is not None and not arguments.teacher:
        raise ValueError("--teacher-share is a share of --teacher: give one.")
    for teacher in arguments.teacher:
        find_model(teacher)
    if arguments.initial_weights not in (None, NOTHING) and not arguments.goes_on:
        find_model(arguments.initial_weights)


def check_origins(
    arguments: argparse.Namespace, name: str, dataset: "FaceDataset", *, splits: Sequence[str]
) -> None:
    """Refuse models that learned from faces which the new one is to be scored on.

    Raises:
        ValueError: as `require_same_files`.
    """
    from minixception.checkpoints.card import read_card
    from minixception.datasets.registry import require_same_files

    begins_anew = arguments.initial_weights in (None, NOTHING)
    origins = arguments.teacher if begins_anew else (*arguments.teacher, arguments.initial_weights)
    for origin in origins:
        card = read_card(find_model(origin))
        require_same_files(name, dataset, splits=splits, model=card.name, trained_on=card.data)


def load_teachers(folders: tuple[Path, ...], student: "Card") -> list["Teacher"]:
    """Load the teachers of a student whose card says what it learns, and from which pixels.

    LiteRT runs those that have a `model.tflite`: on a processor it takes 40 % of the time of Keras.

    Raises:
        FileNotFoundError: a teacher is missing.
        ValueError: a teacher does not fit the student, or its two model files differ.
    """
    from minixception.checkpoints.keras_model import load_checkpoint
    from minixception.training.teaching import make_teacher

    teachers = []
    for folder in map(find_model, folders):
        checkpoint = load_checkpoint(folder)
        predict = _litert_prediction(folder, checkpoint)
        teachers.append(
            make_teacher(checkpoint.model, checkpoint.card, student=student, predict=predict)
        )
    return teachers


def _litert_prediction(folder: Path, checkpoint: "Checkpoint") -> Callable[[Any], Any] | None:
    from minixception.checkpoints.card import KERAS_FILE, LITERT_FILE
    from minixception.checkpoints.engines import load_engine
    from minixception.checkpoints.export import EXPORT_TOLERANCE, largest_difference

    if not (folder / LITERT_FILE).exists():
        return None
    _, engine = load_engine(folder)
    shape = (8, *checkpoint.card.preprocessor.input_shape)
    noise = np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)
    difference = largest_difference(engine.predict, checkpoint.model, noise)
    if not difference <= EXPORT_TOLERANCE:
        raise ValueError(
            f"{folder / LITERT_FILE} and {KERAS_FILE} beside it are not the same model: their "
            f"probabilities differ by {difference:.2e}. Remove it; Keras then runs the teacher."
        )
    return engine.predict


def choose_origin(origin: Path | None, recipe: "Recipe", *, task: str, faces: int) -> Path | None:
    """Return the model whose weights a training begins with, None for fresh ones.

    Args:
        origin: what is asked for; None leaves it to this function, and "none" asks for nothing.
        recipe: one of a publication begins as published.
        task: "emotion" or "gender".
        faces: to learn from.
    """
    from minixception.checkpoints.card import read_card

    if origin is not None or faces >= FEW_FACES or recipe.source != "this project":
        return None if origin == NOTHING else origin
    name = DEFAULT_EMOTION_MODEL if task == "emotion" else DEFAULT_GENDER_MODEL
    card = read_card(find_model(name))
    ours = (
        recipe.network,
        recipe.channels,
        tuple(recipe.value_range),
        recipe.mean,
        recipe.fit_mean,
    )
    pixels = card.preprocessor
    theirs = (card.architecture, pixels.channels, pixels.value_range, pixels.mean, False)
    if ours != theirs:
        return None
    print(
        f"{faces} faces are few: training begins with the weights of {name}, "
        "--initial-weights none with fresh ones"
    )
    return Path(name)


def begin_with(
    model: "keras.Model",
    origin: Path | None,
    class_names: tuple[str, ...],
    preprocessor: "Preprocessor",
) -> None:
    """Copy the weights of another model of the same network into a fresh one.

    Where the classes are others, in number, meaning or order, the tensors that hold one entry per
    class keep their fresh values, and so do filters of a convolution that have vanished.

    Args:
        model: fresh.
        origin: the other model, None to leave the model as it is.
        class_names: that the model is to tell.
        preprocessor: of the model; it may take another size and another mean than the origin's.

    Raises:
        FileNotFoundError: the other model is missing.
        ValueError: it is another network, or learned from pixels of another range.
    """
    from minixception.checkpoints.keras_model import load_checkpoint

    if origin is None:
        return
    checkpoint = load_checkpoint(find_model(origin))
    theirs, ours = checkpoint.model.get_weights(), model.get_weights()
    if checkpoint.card.architecture != model.name or len(theirs) != len(ours):
        raise ValueError(
            f"--initial-weights must be a {model.name}. "
            f"Received: {origin}, a {checkpoint.card.architecture}"
        )
    _check_pixels(checkpoint.card.preprocessor, preprocessor, origin)
    same_classes = _meanings(checkpoint.card.class_names) == _meanings(class_names)
    count = len(ours) if same_classes else len(ours) - _tensors_per_class(ours, len(class_names))
    different = [index for index in range(count) if theirs[index].shape != ours[index].shape]
    if different:
        raise ValueError(
            f"--initial-weights must fit a {model.name} of the input chosen here. Received: "
            f"{origin}, whose tensor {different[0]} is {theirs[different[0]].shape}, here "
            f"{ours[different[0]].shape}"
        )
    model.set_weights(renew_vanished_filters([*theirs[:count], *ours[count:]], ours))


def _check_pixels(theirs: "Preprocessor", ours: "Preprocessor", origin: Path) -> None:
    if theirs.value_range != ours.value_range or (theirs.mean is None) != (ours.mean is None):
        raise ValueError(
            "--initial-weights must have learned from pixels of the range that the recipe has, "
            f"{ours.value_range}, {'as they are' if ours.mean is None else 'less their mean'}. "
            f"Received: {origin}, which takes {theirs.value_range}, "
            f"{'as they are' if theirs.mean is None else 'less their mean'}"
        )


def _meanings(class_names: tuple[str, ...]) -> list[str]:
    return [canonical_name(name) for name in class_names]


def renew_vanished_filters(weights: list[Any], fresh: list[Any]) -> list[Any]:
    """Return the weights with the fresh values of filters that can learn nothing any more.

    A penalty may shrink a filter until it answers nothing, whatever it is shown; then ReLU lets no
    gradient through either. What it shares with its batch normalization, the next tensors with one
    number per filter, begins anew with it.

    Args:
        weights: of a model, as from `get_weights`; kernels are (height, width, inputs, filters).
        fresh: of the same model before it has learned anything.
    """
    renewed, vanished = list(weights), np.zeros(0, np.bool_)
    for index, tensor in enumerate(weights):
        if tensor.ndim != 1:  # another layer begins
            vanished = _vanished_filters(tensor)
        if vanished.any() and tensor.shape[-1:] == vanished.shape:
            renewed[index] = np.where(vanished, fresh[index], tensor)
    return renewed


def _vanished_filters(kernel: Any) -> Any:
    """Return bool (filters,) for the kernel of a convolution, none for that of another layer."""
    if kernel.ndim != 4:
        return np.zeros(0, np.bool_)
    norms = np.sqrt((kernel.astype(np.float64) ** 2).sum(axis=(0, 1, 2)))
    vanished = norms < _VANISHED * norms.max(initial=0.0)
    if vanished.any():
        log.info("%d of %d filters had vanished: they begin anew.", vanished.sum(), len(norms))
    return vanished


def describe_teaching(arguments: argparse.Namespace, teachers: list["Teacher"]) -> dict[str, Any]:
    """Return what the student's card says about the models that it comes from."""
    facts: dict[str, Any] = {}
    if arguments.initial_weights is not None:
        facts["initial_weights"] = str(arguments.initial_weights)
    if teachers:
        facts["teachers"] = [teacher.description for teacher in teachers]
    return facts


def _tensors_per_class(weights: list[Any], num_classes: int) -> int:
    """Count the last tensors whose last dimension is the number of classes."""
    count = 0
    for tensor in reversed(weights):
        if tensor.shape[-1] != num_classes:
            break
        count += 1
    return count
