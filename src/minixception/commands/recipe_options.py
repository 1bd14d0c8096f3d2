"""What a recipe says about network, faces and input, and the options that change it."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minixception.training.recipe_book import RECIPES
from minixception.training.recipes import Recipe

if TYPE_CHECKING:
    import keras
    import numpy as np
    from numpy.typing import NDArray

    from minixception.datasets import FaceDataset
    from minixception.preprocessor import Preprocessor


def add_recipe_arguments(
    parser: argparse.ArgumentParser, *, recipe: str, dataset: str, paper: str
) -> None:
    """Declare the options; see `training_options.add_training_arguments`."""
    parser.add_argument(
        "--recipe",
        default=recipe,
        type=lambda name: paper if name == "paper" else name,
        help="settings to start from; `list` prints all of them",
    )
    parser.add_argument(
        "--dataset",
        help="data set, or several as in fer2013+jaffe; an unknown name lists the known ones "
        f"(default: the recipe's, or {dataset} where that has no such labels)",
    )
    parser.add_argument("--data", type=Path, help="its file or folder (default: in datasets/)")
    parser.add_argument(
        "--classes",
        type=_names,
        metavar="NAME,NAME,...",
        help="classes to keep, in the order of the outputs (default: the recipe's)",
    )
    parser.add_argument(
        "--model", help="network; an unknown name lists the known ones (default: the recipe's)"
    )
    parser.add_argument(
        "--backbone-weights",
        type=Path,
        metavar="FILE.h5",
        help="weights trained on VGGFace2: of a ResNet-50 for facenet, of a MobileNet for "
        "facenet_mobilenet; nothing is downloaded",
    )
    parser.add_argument(
        "--frozen-blocks",
        type=int,
        metavar="N",
        help="lowest blocks of facenet_mobilenet that are not trained, 0 to 13 (default: 4)",
    )
    parser.add_argument(
        "--channels", type=int, choices=(1, 3), help="grey or RGB (default: the recipe's)"
    )
    parser.set_defaults(task_dataset=dataset)


def print_recipes() -> None:
    """Print every recipe: what it is, source, data, cost, expected result, main numbers."""
    for recipe in RECIPES.values():
        print(f"{recipe.name}: {recipe.summary}")
        print(f"    source: {recipe.source}")
        print(f"    data: {recipe.data}")
        print(f"    cost: {recipe.cost}")
        print(f"    expected: {recipe.expected}")
        print(
            f"    {recipe.network}, {recipe.image_size[0]}x{recipe.image_size[1]} px "
            f"{'RGB' if recipe.channels == 3 else 'grey'}, batch {recipe.batch_size}, "
            f"{recipe.optimizer} {recipe.learning_rate:g} {recipe.schedule}, "
            f"up to {recipe.epochs} epochs"
        )


def dataset_of(arguments: argparse.Namespace, recipe: Recipe, *, task: str) -> str:
    """Return the name of the data set that is asked for, by the options or the recipe.

    Raises:
        ValueError: its labels are none of the task.
    """
    from minixception.datasets.registry import dataset_names

    known = dataset_names(task)
    if arguments.dataset is None:
        fits = set(recipe.dataset.split("+")) <= set(known)
        return recipe.dataset if fits else str(arguments.task_dataset)
    if not set(arguments.dataset.split("+")) <= set(known):
        raise ValueError(
            f"--dataset must be one of {', '.join(known)} to train on {task}, or some joined by +"
            f"{'; files and folders go to --data' if Path(arguments.dataset).exists() else ''}. "
            f"Received: {arguments.dataset}"
        )
    return str(arguments.dataset)


def preprocessor_of(recipe: Recipe, training: "FaceDataset") -> "Preprocessor":
    """Return the recipe's way from faces to the network's input; a mean may be fitted on them."""
    from minixception.preprocessor import Preprocessor

    preprocessor = Preprocessor(
        image_size=recipe.image_size,
        channels=recipe.channels,
        value_range=recipe.value_range,
        mean=recipe.mean,
    )
    return preprocessor.centred_on(training.images) if recipe.fit_mean else preprocessor


def check_backbone(network: str, path: Path | None, frozen_blocks: int | None = None) -> None:
    """Refuse options on the pre-trained part of a network without one, and a missing file.

    Raises:
        ValueError: the network has no such part, or no choice of what is frozen.
        FileNotFoundError: there is no such file.
    """
    from minixception import models

    choosing = [name for name, entry in models.NETWORKS.items() if entry.freeze_blocks]
    if frozen_blocks is not None and network not in choosing:
        raise ValueError(
            f"--frozen-blocks goes with --model {' or '.join(choosing)}. Received: {network}"
        )
    if path is None:
        return
    having = [name for name, entry in models.NETWORKS.items() if entry.load_backbone]
    if network not in having:
        raise ValueError(
            f"--backbone-weights goes with --model {' or '.join(having)}. Received: {network}"
        )
    if not path.is_file():
        raise FileNotFoundError(f"--backbone-weights must be a file. Received: {path}")


def load_backbone(
    model: "keras.Model", path: Path | None, faces: "NDArray[np.float32]"
) -> dict[str, Any]:
    """Put the weights of a file into the network's pre-trained part; return what the card says.

    Args:
        model: freshly built.
        path: None where there is no file.
        faces: float32 (N, height, width, channels), some hundred of the model's inputs.

    Raises:
        ValueError: the file does not fit.
        FileNotFoundError: the file is missing.
    """
    from minixception import models
    from minixception.files import file_checksum

    load = models.NETWORKS[model.name].load_backbone
    if load is None:
        return {}
    if path is None:
        print(f"The frozen layers of {model.name} are random: give --backbone-weights FILE.h5")
        return {"backbone_weights": None}
    naming = load(model, path, faces)
    print(f"{path}: weights of {model.name}'s backbone, layers named as in {naming}")
    facts = {"file": path.name, "checksum": file_checksum(path), "naming": naming}
    return {"backbone_weights": facts}


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(","))
    if "" in names:
        raise argparse.ArgumentTypeError(f"names with commas between them. Received: {text!r}")
    return names
