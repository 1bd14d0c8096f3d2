r"""Measure where the models fail, and write a page about it, with tables and pictures.

    python src/report_limits.py --emotion-data datasets/fer2013/fer2013.csv \
        --gender-data datasets/utkface/crop_part1 --example images/astronaut.jpg \
        --output docs/limits.md

It measures gender by age band and ethnicity code, on faces that the model was not trained on;
emotions by class, and their confusions; and both on faces made small, blurred, dark and rotated.
Tables and pictures go into a folder beside the page, with the same name (docs/limits/).
"""

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from minixception.checkpoints.shipped import DEFAULT_MODELS
from minixception.commands.outputs import check_file, check_folder
from minixception.locks import sole_writer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from minixception.detection.search import FaceDetector

EMOTION_SPLITS = ("PublicTest", "PrivateTest")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add = parser.add_argument
    for task, default in DEFAULT_MODELS.items():
        add(
            f"--{task}-model",
            default=default,
            metavar="NAME_OR_FOLDER",
            help="shipped model or folder",
        )
    add("--emotion-data", type=Path, help="the FER2013 file (default: in datasets/)")
    add(
        "--gender-data",
        type=Path,
        help="UTKFace, the folder or archive that the model was trained on (default: in datasets/)",
    )
    add(
        "--split",
        choices=EMOTION_SPLITS,
        default=EMOTION_SPLITS[0],
        help="part of FER2013; PrivateTest is looked at once, with a finished model",
    )
    add("--example", type=Path, metavar="PICTURE", help="show its largest face at each level")
    add("--seed", type=int, default=0, help="seed of noise and rotation")
    add("--output", type=Path, default=Path("docs/limits.md"), metavar="PAGE.md", help="the page")


def run(arguments: argparse.Namespace) -> int:
    """Load, measure, write; return the exit code."""
    from minixception.checkpoints.versions import checkout_commit
    from minixception.inference.analyzer import FaceAnalyzer
    from minixception.limits.measurements import measure_limits
    from minixception.limits.page import write_page

    # Find out before the work what could not be done after it.
    check_file(arguments.output, "--output", suffixes=(".md",))
    check_folder(arguments.output.with_suffix(""), "--output without .md")
    if arguments.seed < 0:
        raise ValueError(f"--seed must not be negative. Received: {arguments.seed}")
    commit = checkout_commit()  # of the code that runs, whatever is changed meanwhile
    analyzer = FaceAnalyzer(emotion=arguments.emotion_model, gender=arguments.gender_model)
    example = None
    if arguments.example is not None:
        example = _largest_face(arguments.example, analyzer.detector)
    with sole_writer(arguments.output):
        limits = measure_limits(
            analyzer.classifiers["emotion"],
            analyzer.classifiers["gender"],
            emotion_data=arguments.emotion_data,
            gender_data=arguments.gender_data,
            split=arguments.split,
            seed=arguments.seed,
        )
        command = shlex.join(arguments.command_line)
        write_page(limits, arguments.output, command=command, commit=commit, example=example)
    print(f"written to {arguments.output} and {arguments.output.with_suffix('')}")
    return 0


def _largest_face(path: Path, detector: "FaceDetector") -> "NDArray[np.uint8]":
    """Return the largest face in a picture, in the size that the page makes faces smaller from."""
    from minixception.images import crop, read_image, resize_image
    from minixception.limits.measurements import FRAME

    image = read_image(path)
    boxes = detector.detect(image)
    if not boxes:
        raise ValueError(f"--example must show a face. No face was found in {path}.")
    return resize_image(crop(image, max(boxes, key=lambda box: box.area)), FRAME)
