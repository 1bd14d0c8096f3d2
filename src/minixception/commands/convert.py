r"""Turn a published .hdf5 weight file into a checkpoint folder.

    python src/convert_published_weights.py fer2013_mini_XCEPTION.102-0.66.hdf5 \
        --task emotion --output runs/published_mini_xception

The network is recognized by its weight tensors. Both models must return the same outputs for random
images, up to rounding, or nothing is written.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from minixception.labels import EMOTIONS_FER2013, GENDERS, check_class_names

if TYPE_CHECKING:
    import keras

    from minixception.boxes import CropMargin
    from minixception.checkpoints.card import Card

# Two builds of the same network with the same weights differ by rounding at most: not at all where
# they sum in the same order, else by 1e-6.
TOLERANCE = 1e-5

# The faces of FER2013 are framed as the cascade's box. For gender the authors enlarge that box:
# their video demo by 30 pixels to the left and right and 60 above and below, 0.2 and 0.4 of a face
# 150 pixels wide. With 0.3 on all sides their weights are right for 95 % of a set of studio
# portraits, with 0.2 for 93 %, with 0 for 56 % (faces found by YuNet).
CROP_MARGINS = {"emotion": 0.0, "gender": 0.3}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("file", type=Path, metavar="FILE.hdf5", help="the authors' weight file")
    parser.add_argument("--task", choices=("emotion", "gender"), required=True)
    parser.add_argument("--output", type=Path, required=True, metavar="FOLDER")
    parser.add_argument(
        "--class-names",
        nargs="+",
        metavar="NAME",
        help="in the order of the outputs (default: FER2013's seven emotions; woman, man)",
    )
    parser.add_argument(
        "--crop-margin",
        type=float,
        metavar="FRACTION",
        help="how far crops reach beyond the box of a detected face, as a fraction of it (default: "
        "0 for emotion; 0.3 for gender, since the authors enlarge the box); stored with the model",
    )


def run(arguments: argparse.Namespace) -> int:
    """Convert and return the exit code."""
    from minixception.boxes import CropMargin
    from minixception.checkpoints.card import CARD_FILE
    from minixception.checkpoints.export import export_litert
    from minixception.checkpoints.keras_model import load_keras_file, save_checkpoint
    from minixception.commands.outputs import check_folder
    from minixception.files import atomic_folder, sole_writer

    check_folder(arguments.output, "--output")
    if (arguments.output / CARD_FILE).exists():
        raise FileExistsError(f"{arguments.output} already holds a checkpoint. Give another one.")
    margin = arguments.crop_margin
    margin = CropMargin.from_json(CROP_MARGINS[arguments.task] if margin is None else margin)
    published = load_keras_file(arguments.file)
    model = rebuild(published, arguments.file)
    card = _make_card(arguments, model, margin)
    shape = (64, *card.preprocessor.input_shape)
    images = np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)
    difference = _require_equal(published, model, images, arguments.file)
    # Both models, or nothing.
    with sole_writer(arguments.output), atomic_folder(arguments.output) as folder:
        save_checkpoint(folder, model, card)
        export_litert(folder, images=images)
    print(
        f"{arguments.file.name} is {model.name} with {card.parameters:,} parameters; largest "
        f"difference of an output {difference:.1e}.\nCrops reach {card.crop_margin.to_json():g} of "
        "a face's box beyond it; --crop-margin changes that.\n"
        f"Written to {arguments.output}"
    )
    return 0


def _make_card(arguments: argparse.Namespace, model: "keras.Model", margin: "CropMargin") -> "Card":
    """Return what the authors' file does not tell."""
    from minixception.checkpoints.card import Card
    from minixception.datasets.registry import AS_PUBLISHED
    from minixception.preprocessor import Preprocessor

    height, width, channels = model.input_shape[1:]
    if None in (height, width):
        raise ValueError(
            f"{arguments.file} takes images of any size; a checkpoint needs a fixed size. "
            f"Received: input shape {model.input_shape[1:]}"
        )
    return Card(
        name=arguments.output.resolve().name,
        task=arguments.task,
        architecture=model.name,
        parameters=model.count_params(),
        class_names=_class_names(arguments, model.output_shape[-1]),
        preprocessor=Preprocessor((height, width), channels),
        crop_margin=margin,
        data={"name": AS_PUBLISHED, "source": arguments.file.name},
    )


def _require_equal(
    published: "keras.Model", model: "keras.Model", images: NDArray[np.float32], file: Path
) -> float:
    """Return the largest difference of an output between both models."""
    from minixception.checkpoints.export import largest_difference

    difference = largest_difference(published.predict_on_batch, model, images)
    if not difference <= TOLERANCE:  # NaN fails too
        raise ValueError(
            f"{file}: the rebuilt {model.name} differs by {difference:.1e} from the published "
            f"model, more than {TOLERANCE:.0e}. Nothing was written."
        )
    return difference


def _class_names(arguments: argparse.Namespace, count: int) -> tuple[str, ...]:
    """Return the names that were given, else those of the task."""
    names = arguments.class_names
    names = tuple(names or (EMOTIONS_FER2013 if arguments.task == "emotion" else GENDERS))
    check_class_names(names)
    if len(names) != count:
        raise ValueError(
            f"{arguments.file} has {count} outputs: give --class-names with {count} names in their "
            f"order, or the other --task. Received: --task {arguments.task}, {', '.join(names)}"
        )
    return names


def rebuild(published: "keras.Model", path: Path) -> "keras.Model":
    """Build the network of this package that has the same weight tensors, and copy them.

    Raises:
        ValueError: if there is none.
    """
    from minixception import models

    shapes = [weight.shape for weight in published.weights]
    for name in models.network_names():
        try:
            model = models.build(name, published.input_shape[1:], published.output_shape[-1])
        except (TypeError, ValueError):
            continue  # a network that cannot take this input, or several outputs, is not the one
        if [weight.shape for weight in model.weights] == shapes:
            model.set_weights(published.get_weights())
            return model
    raise ValueError(
        f"{path} has {published.count_params():,} parameters in {len(shapes)} tensors; none of "
        f"{', '.join(models.network_names())} looks like that."
    )
