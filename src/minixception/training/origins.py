"""What a network starts from instead of fresh weights: another model, or a file."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from minixception.bounds import most_unpacked
from minixception.checkpoints.card import read_card
from minixception.checkpoints.model_files import check_tensors, private_copy
from minixception.checkpoints.shipped import DEFAULT_EMOTION_MODEL, DEFAULT_MODELS, find_model
from minixception.files import file_checksum
from minixception.labels import canonical_name
from minixception.messages import counted

if TYPE_CHECKING:
    import keras

    from minixception.preprocessor import Preprocessor
    from minixception.training.recipes import Recipe

# With fewer, a network with fresh weights learns little: on 4 classes of 48 pictures from
# facial_expressions, 30 epochs of the recipe `emotion` reached 73 % of the validation faces (after
# 16) from the shipped weights, and 25 % (after 12) from scratch (commit 52df818).
FEW_FACES = 2000
NOTHING = Path("none")

# Faces on which a backbone's batch normalization is measured.
STATISTICS_FACES = 256


def choose_origin(
    origin: Path | None,
    recipe: "Recipe",
    *,
    task: str,
    faces: int,
    refuse: Callable[[Path], None],
    say: Callable[[str], None],
) -> Path | None:
    """Return the model whose weights training starts from, None for fresh ones.

    `origin` is what was asked for: None leaves the choice to this function, "none" means fresh
    weights. Recipes of publications start as published. `faces` is how many there are to learn
    from. `refuse` raises ValueError for a model that must not be chosen; `say` prints a choice.
    """
    if origin is not None or faces >= FEW_FACES or recipe.source != "this project":
        return None if origin == NOTHING else origin
    name = DEFAULT_MODELS.get(task, DEFAULT_EMOTION_MODEL)
    card = read_card(find_model(name))
    pixels = replace(card.preprocessor, image_size=recipe.image_size)
    if recipe.fit_mean or (recipe.network, recipe.preprocessor()) != (card.architecture, pixels):
        return None
    try:
        refuse(Path(name))
    except ValueError as error:
        say(f"Training starts from random weights: {error}")
        return None
    say(
        f"With only {counted(faces, 'face')}, training starts from the weights of {name}; "
        "`initial_weights` none starts from random weights"
    )
    return Path(name)


def begin_with(
    model: "keras.Model", origin: Path, class_names: tuple[str, ...], preprocessor: "Preprocessor"
) -> None:
    """Copy the weights of another model of the same network into a fresh one.

    If the classes differ in number, meaning or order, tensors with one entry per class keep their
    fresh values. Image size and mean may differ.

    Raises:
        FileNotFoundError: the other model is missing.
        ValueError: it is another network, or learned from pixels of another range.
    """
    from minixception.checkpoints.keras_model import load_checkpoint

    checkpoint = load_checkpoint(find_model(origin))
    card, theirs, ours = checkpoint.card, checkpoint.model.get_weights(), model.get_weights()
    theirs_in_order = map(canonical_name, card.class_names)
    same_classes = list(theirs_in_order) == list(map(canonical_name, class_names))
    # If the classes differ, the tensors at the end with an entry per class are not copied.
    fresh = itertools.takewhile(lambda tensor: tensor.shape[-1] == len(class_names), ours[::-1])
    count = len(ours) if same_classes else len(ours) - len(list(fresh))
    pairs = [(old.shape, new.shape) for old, new in zip(theirs[:count], ours, strict=False)]
    is_alike = len(theirs) == len(ours) and all(old == new for old, new in pairs)
    taken = _described(card.architecture, card.preprocessor)
    wanted = _described(model.name, preprocessor)
    if not is_alike or taken != wanted:
        raise ValueError(
            f"`initial_weights` must be {wanted}, with the layers that it has here. "
            f"Received: {origin}, {taken}"
        )
    model.set_weights([*theirs[:count], *ours[count:]])


def _described(network: str, preprocessor: "Preprocessor") -> str:
    less = "" if preprocessor.mean is None else " minus their mean"
    return f"a {network} for pixels in the range {preprocessor.value_range}{less}"


def check_backbone(network: str, path: Path | None) -> None:
    """Refuse weights for the pre-trained part of a network without one, and a missing file."""
    from minixception import models

    having = [name for name, entry in models.NETWORKS.items() if entry.load_backbone]
    if path is not None and network not in having:
        raise ValueError(
            f"`backbone_weights` goes with `network` {' or '.join(having)}. Received: {network}"
        )
    if path is not None and not path.is_file():
        raise FileNotFoundError(f"`backbone_weights` must be a file. Received: {path}")


def load_backbone(
    model: "keras.Model",
    path: Path | None,
    faces: NDArray[np.float32],
    *,
    say: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Put the weights of a file into the network's pre-trained part; return what the card says.

    `faces` are some hundred of the model's inputs, float32 (N, height, width, channels).
    """
    from minixception import models

    load = models.NETWORKS[model.name].load_backbone
    if load is None:
        return {}
    if path is None:
        say(f"The frozen layers of {model.name} are random: give `backbone_weights`, a file .h5")
        return {"backbone_weights": None}
    content = path.read_bytes()
    # Keras has two readers of HDF5, and chooses by the name.
    name = "copy.weights.h5" if path.name.endswith(".weights.h5") else "copy.h5"
    with private_copy(content, name) as copy:  # what is read are the bytes that were checked
        try:
            check_tensors(content, most_unpacked(len(content)))
            naming, checksum = load(model, copy, faces), file_checksum(copy)
        except (ValueError, OSError, RuntimeError, KeyError) as error:  # h5py raises all of them
            reason = str(error).replace(str(copy), path.name)
            raise ValueError(f"{path} cannot be used: {reason}") from error
    say(f"{path}: weights of {model.name}'s backbone, layers named as in {naming}")
    return {"backbone_weights": {"file": path.name, "checksum": checksum, "naming": naming}}
