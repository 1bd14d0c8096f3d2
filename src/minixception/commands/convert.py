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

from minixception.commands.outputs import check_folder
from minixception.labels import EMOTIONS_FER2013, GENDERS
from minixception.locks import own_folder

if TYPE_CHECKING:
    import keras

# Two builds of the same network with the same weights differ by rounding at most: not at all where
# they sum in the same order, else by 1e-6.
TOLERANCE = 1e-5

# The faces of FER2013 are framed as the cascade's box. For gender the authors enlarge that box:
# their video demo by 30 pixels to the left and right and 60 above and below, 0.2 and 0.4 of a face
# 150 pixels wide. With 0.3 on all sides their weights are right for 95 % of a set of studio
# portraits, with 0.2 for 93 %, with 0 for 56 % (faces found by YuNet).
CROP_MARGINS = {"emotion": 0.0, "gender": 0.3}
CLASS_NAMES = {"emotion": EMOTIONS_FER2013, "gender": GENDERS}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add = parser.add_argument
    add("file", type=Path, metavar="FILE.hdf5", help="the authors' weight file")
    add("--task", choices=CROP_MARGINS, required=True, help="what the model classifies")
    add("--output", type=Path, required=True, metavar="FOLDER", help="the checkpoint to write")
    names = "in the order of the outputs (default: FER2013's seven emotions; woman, man)"
    add("--class-names", action="extend", nargs="+", metavar="NAME", help=names)
    margin = (
        "how far crops reach beyond the box of a detected face, as a fraction of it (default: 0 "
        "for emotion; 0.3 for gender, since the authors enlarge the box); stored with the model"
    )
    add("--crop-margin", type=float, metavar="FRACTION", help=margin)


def run(arguments: argparse.Namespace) -> int:
    """Convert and return the exit code."""
    from minixception.boxes import as_margin
    from minixception.checkpoints.card import CARD_FILE
    from minixception.checkpoints.export import largest_difference, require_equal
    from minixception.checkpoints.keras_model import load_keras_file
    from minixception.checkpoints.own_models import make_checkpoint
    from minixception.datasets.registry import AS_PUBLISHED

    file, output, task = arguments.file, arguments.output, arguments.task
    check_folder(output, "--output")
    if (output / CARD_FILE).exists():
        raise FileExistsError(f"{output} already holds a checkpoint: give another --output")
    margin = arguments.crop_margin
    margin = as_margin(CROP_MARGINS[task] if margin is None else margin)
    published = load_keras_file(file)
    model = rebuild(published, file)
    shape = (64, *(side or 64 for side in model.input_shape[1:]))
    images = np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)
    difference = largest_difference(published.predict_on_batch, model, images)
    what = f"{file}: the rebuilt {model.name}"
    require_equal(difference, what=what, output=output, tolerance=TOLERANCE)
    with own_folder(output):
        card = make_checkpoint(
            output,
            model,
            class_names=arguments.class_names or CLASS_NAMES[task],
            value_range=(-1.0, 1.0),
            task=task,
            crop_margin=margin,
            data={"name": AS_PUBLISHED, "source": file.name},
        )
    print(
        f"{file.name} is {model.name} with {card.parameters:,} parameters; largest difference of "
        f"an output {difference:.1e}.\nThe crop margin is {margin:g} of a face's box; "
        f"--crop-margin changes that.\nWritten to {output}"
    )
    return 0


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
            continue  # it cannot be built for this input or these outputs
        if [weight.shape for weight in model.weights] == shapes:
            model.set_weights(published.get_weights())
            return model
    raise ValueError(
        f"{path} has {published.count_params():,} parameters in {len(shapes)} tensors; none of "
        f"{', '.join(models.network_names())} looks like that. For a network of another kind: "
        "`minixception.make_checkpoint`"
    )
