r"""Score a checkpoint on one split of a data set.

    python src/evaluate_classifier.py --model fer2013_mini_xception --dataset fer2013 \
        --data datasets/fer2013/fer2013.csv --split PrivateTest --output out.json

It prints and writes accuracy, macro-F1, a row per class and the confusion matrix (also as PNG).
Faces of classes that the model does not know are left out and counted. Several splits, as in
`--split train test`, are also shown side by side: total, correct and accuracy of each class. So are
the parts of joined sets, as in `--dataset fer2013+jaffe`.

    python src/evaluate_classifier.py --model mini_xception_detector --data datasets/detection

A detector is scored on scenes composed from the held-out part of the data that it was trained on:
average precision, and recall by size, rotation and brightness of the faces.
"""

import argparse
import json
import shlex
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from minixception.commands.outputs import check_file, check_folder
from minixception.files import atomic_path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add = parser.add_argument
    add("--model", required=True, metavar="NAME_OR_FOLDER", help="shipped model or folder")
    add(
        "--dataset",
        help="data set, several as in fer2013+jaffe, or a folder with a folder of pictures per "
        "class (default: the one that the model was trained on)",
    )
    add("--data", type=Path, help="its file or folder (default: in datasets/)")
    splits = "one or more splits to score on (default: the validation split)"
    add("--split", action="extend", nargs="+", metavar="SPLIT", help=splits)
    add("--output", type=Path, metavar="FILE.json", help="file to write")
    for name, text in (
        ("flip", "average with the prediction on the mirror image"),
        ("without-twins", "leave out faces with a pixel-identical twin in the training split"),
        ("record", "also write the scores into the model's card.json"),
        ("calibrate", "first fit the model's temperature on the split, into card.json"),
    ):
        add(f"--{name}", action="store_true", help=text)
    add("--engine", choices=("keras", "litert"), help="what runs the model (default: keras)")


def run(arguments: argparse.Namespace) -> int:
    """Score, print, write; return the exit code."""
    from minixception.checkpoints.shipped import CLASSIFIER_TASKS, find_model
    from minixception.checkpoints.versions import checkout_commit
    from minixception.detection.card import TASK as DETECTOR_TASK
    from minixception.detection.card import is_detector
    from minixception.drawing.plots import plot_confusion_matrix

    folder = find_model(arguments.model, tasks=(*CLASSIFIER_TASKS, DETECTOR_TASK))
    pictures = _check_output(arguments, folder)
    if arguments.record or arguments.calibrate:
        check_folder(folder, "--model")
    origin = {"command": shlex.join(arguments.command_line), "commit": checkout_commit()}
    if is_detector(folder):
        content, lines = _score_detector(folder, arguments, origin)
    else:
        content, lines = _score_classifier(folder, arguments, origin)
    if arguments.output is not None:
        with atomic_path(arguments.output) as path:
            path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        parts = content.get("splits", {"": content}).values()
        for facts, picture in zip(parts, pictures, strict=False):
            names = list(facts["per_class"])
            plot_confusion_matrix(facts["confusion_matrix"], names, picture, title=_title(facts))
        lines.append(f"written to {', '.join(map(str, [arguments.output, *pictures]))}")
    print("\n".join(lines))
    return 0


def _score_classifier(
    folder: Path, arguments: argparse.Namespace, origin: Mapping[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    """Return the facts of one split, or of several by name, and lines that show them as tables."""
    from minixception.evaluation import format_splits, format_table
    from minixception.training.scoring import score_splits

    found = score_splits(
        folder,
        arguments.dataset,
        splits=arguments.split or (),
        data=arguments.data,
        flip=arguments.flip,
        without_twins=arguments.without_twins,
        engine=arguments.engine or "keras",
        calibrated=arguments.calibrate,
    )
    lines = []
    for one in found.values():
        if arguments.record:
            one.record(folder)
        lines += [_title(one.facts), format_table(one.scores)]
        lines += [format_splits(one.by_source)] if one.by_source else []
    facts = {split: {**one.facts, **origin, **one.to_json()} for split, one in found.items()}
    if len(found) == 1:
        return next(iter(facts.values())), lines
    return {"splits": facts}, [*lines, format_splits({name: found[name].scores for name in found})]


def _score_detector(
    folder: Path, arguments: argparse.Namespace, origin: Mapping[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    """Return the same for a detector, scored on scenes."""
    from minixception.detection.evaluation import format_scores
    from minixception.detection.labelled_pictures import read_sources
    from minixception.detector_training.export import evaluate_on_held_out

    names = ("dataset", "split", "flip", "without_twins", "record", "calibrate", "engine")
    if given := [name for name in names if getattr(arguments, name)]:
        raise ValueError(f"--{given[0].replace('_', '-')} is for classifiers: leave it out")
    if arguments.data is None:
        raise ValueError("A detector needs --data, the folder of the pictures to compose scenes of")
    scores = evaluate_on_held_out(folder, read_sources(arguments.data, held_out=True))
    return {**origin, **asdict(scores)}, [format_scores(scores)]


def _title(facts: Mapping[str, Any]) -> str:
    return f"{facts['model']} on {facts['dataset']} {facts['split']}"


def _check_output(arguments: argparse.Namespace, folder: Path) -> list[Path]:
    """Refuse what could not be written; return the picture of each split's confusion matrix."""
    from minixception.checkpoints.card import CHECKPOINT_FILES
    from minixception.detection.card import is_detector

    output = arguments.output
    if output is None:
        return []
    splits = [] if is_detector(folder) else list(dict.fromkeys(arguments.split or [""]))
    endings = [f"_{split}" if len(splits) > 1 else "" for split in splits]
    pictures = [output.with_name(f"{output.stem}{end}.png") for end in endings]
    inputs = {"--data": arguments.data}
    inputs |= {f"the model's {name}": folder / name for name in CHECKPOINT_FILES}
    check_file(output, "--output", suffixes=(".json",), apart_from=inputs)
    for picture in pictures:
        check_file(picture, "--output", apart_from=inputs)
        if picture.exists() and not output.exists():  # so it is not of an earlier evaluation
            raise FileExistsError(
                f"{picture}, which the confusion matrix would be written to, is there already: "
                "give another --output"
            )
    return pictures
