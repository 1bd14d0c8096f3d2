r"""Score a checkpoint on one split of a data set.

    python src/evaluate_classifier.py --model fer2013_mini_xception --dataset fer2013 \
        --data datasets/fer2013/fer2013.csv --split PrivateTest --output out.json

It prints and writes accuracy, macro-F1, a row per class and the confusion matrix (also as PNG).
Faces of classes that the model does not know are left out and counted. Several splits, as in
`--split train test`, are also shown side by side: total, correct and accuracy of each class. So are
the sources of several sets as one, as in `--dataset fer2013+jaffe`.
"""

import argparse
import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from minixception.checkpoints.card import Card
    from minixception.datasets import FaceDataset
    from minixception.evaluation import Scores
    from minixception.inference.classifier import FaceClassifier


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--model", required=True, metavar="NAME_OR_FOLDER", help="shipped model or folder"
    )
    parser.add_argument(
        "--dataset", help="name of the data set (default: the one that the model was trained on)"
    )
    parser.add_argument("--data", type=Path, help="its file or folder (default: in datasets/)")
    parser.add_argument(
        "--split",
        nargs="+",
        metavar="SPLIT",
        help="its part to score on, or several (default: the validation split)",
    )
    parser.add_argument("--output", type=Path, metavar="FILE.json", help="where the scores go")
    parser.add_argument(
        "--flip", action="store_true", help="average with the prediction on the mirror image"
    )
    parser.add_argument(
        "--without-twins",
        action="store_true",
        help="leave out faces with a pixel-identical twin in the training split",
    )
    parser.add_argument(
        "--record", action="store_true", help="also write the scores into the model's card.json"
    )
    parser.add_argument(
        "--engine", choices=("keras", "litert"), default="keras", help="what runs the model"
    )


def run(arguments: argparse.Namespace) -> int:
    """Load, predict, score, write; return the exit code."""
    from minixception.checkpoints.card import read_card
    from minixception.checkpoints.shipped import find_model
    from minixception.datasets.registry import default_dataset, get_entry, is_trained_on
    from minixception.evaluation import format_splits
    from minixception.inference.classifier import FaceClassifier

    folder = find_model(arguments.model)
    card = read_card(folder)
    name = arguments.dataset or default_dataset(card.task, card.data)
    splits = arguments.split or [get_entry(name).validation_split]
    pictures = _check_output(arguments, splits, folder)
    faces = _load_faces(arguments, name, splits, card)
    classifier = FaceClassifier.load(folder, engine=arguments.engine)
    scores, records = {}, {}
    for split in faces:
        scores[split], parts = _score(classifier, faces[split], split, arguments)
        by_source = {source: part.to_json() for source, part in parts.items()}
        records[split] = scores[split].to_json() | ({"by_source": by_source} if parts else {})
    if len(scores) > 1:
        print(format_splits(scores))
    facts = {
        split: _facts(classifier.card, faces[split], split, arguments) | records[split]
        for split in faces
    }
    if arguments.output is not None:
        _write(arguments.output, facts, pictures)
    if arguments.record:
        for split in facts:
            own = is_trained_on(name, faces[split], card.data)
            _record(folder, facts[split], records[split], own=own)
    return 0


def _load_faces(
    arguments: argparse.Namespace, name: str, splits: list[str], card: "Card"
) -> dict[str, "FaceDataset"]:
    """Return the faces of each split, of the model's classes in its order."""
    from minixception.commands.hints import data_hints
    from minixception.datasets.registry import (
        get_entry,
        load_dataset,
        require_same_files,
        split_rule_for,
    )

    form, entry = card.preprocessor, get_entry(name)
    is_default = arguments.dataset is None
    with data_hints(name, arguments.data, task=card.task, is_default=is_default):
        dataset = load_dataset(
            name,
            arguments.data,
            image_size=form.image_size,
            channels=form.channels,
            split_rule=split_rule_for(name, card.data),
        )
    require_same_files(name, dataset, splits=splits, model=card.name, trained_on=card.data)
    found = {}
    for split in splits:
        every = dataset.split(split)
        faces = _in_known_classes(every, card.class_names)
        if len(faces) == 0:
            raise ValueError(
                f"{dataset.name} {split} has no face of the model's classes "
                f"({', '.join(card.class_names)})."
            )
        if arguments.without_twins:
            faces = _without_twins(faces, dataset.split(entry.training_split))
            if len(faces) == 0:
                raise ValueError(f"Every face of {dataset.name} {split} has a twin in training.")
        found[split] = faces
    return found


def _score(
    classifier: "FaceClassifier",
    faces: "FaceDataset",
    split: str,
    arguments: argparse.Namespace,
) -> tuple["Scores", dict[str, "Scores"]]:
    """Return and print the scores on all faces and, of several sets as one, those on each set."""
    from minixception.evaluation import format_splits, format_table, score

    probabilities = classifier.predict_faces(faces, flip=arguments.flip)
    scores = score(faces.labels, probabilities, faces.class_names)
    print(f"{_title(classifier.card.name, faces.name, split)}\n{format_table(scores)}")
    origin = faces.attributes.get("source", np.zeros(0, str))
    parts = {
        str(source): score(
            faces.labels[origin == source], probabilities[origin == source], faces.class_names
        )
        for source in np.unique(origin)
    }
    if parts:
        print(format_splits(parts))
    return scores, parts


def _title(model: str, dataset: str, split: str) -> str:
    return f"{model} on {dataset} {split}"


def _facts(
    card: "Card", faces: "FaceDataset", split: str, arguments: argparse.Namespace
) -> dict[str, Any]:
    from minixception.commands.training_options import checkout_commit

    return {
        "model": card.name,
        "dataset": faces.name,
        "checksum": faces.checksum,
        "split": split,
        "split_rule": faces.split_rule if split in faces.drawn_splits else "source",
        "flip": arguments.flip,
        "without_twins": arguments.without_twins,
        "engine": arguments.engine,
        "command": shlex.join(arguments.command_line),
        "commit": checkout_commit(),
    }


def _check_output(
    arguments: argparse.Namespace, splits: list[str], folder: Path
) -> dict[str, Path]:
    """Find out before the work what could not be written after it.

    Returns:
        Split -> the picture of its confusion matrix; none where nothing is to be written.

    Raises:
        ValueError: if a file is none to write, the data, or a part of the model.
        OSError: if their folder cannot be made or written to.
    """
    from minixception.checkpoints.card import CHECKPOINT_FILES
    from minixception.commands.outputs import check_file

    output = arguments.output
    if output is None:
        return {}
    endings = {split: f"_{split}" if len(splits) > 1 else "" for split in splits}
    pictures = {
        split: output.with_name(f"{output.stem}{end}.png") for split, end in endings.items()
    }
    inputs = {"--data": arguments.data}
    inputs |= {f"the model's {name}": folder / name for name in CHECKPOINT_FILES}
    check_file(output, "--output", suffixes=(".json",), apart_from=inputs)
    for picture in pictures.values():
        check_file(picture, "--output", apart_from=inputs)
    return pictures


def _in_known_classes(faces: "FaceDataset", known: tuple[str, ...]) -> "FaceDataset":
    """Label the faces in the model's classes where the data set has more, or fewer, or others."""
    from minixception.datasets import with_classes
    from minixception.labels import canonical_name

    own_meanings = {canonical_name(name) for name in faces.class_names}
    known_meanings = {canonical_name(name) for name in known}
    if own_meanings == known_meanings or not own_meanings & known_meanings:
        return faces  # nothing to do, or nothing that can be done: see `predict_faces`
    fitted = with_classes(faces, known)
    unknown = [name for name in faces.class_names if canonical_name(name) not in known_meanings]
    absent = [name for name in known if canonical_name(name) not in own_meanings]
    if unknown:
        count = len(faces) - len(fitted)
        print(f"left out: {count} faces of {', '.join(unknown)}, which the model does not know")
    if absent:
        print(f"{faces.name} has no {', '.join(absent)}; they count as 0 in macro-F1")
    return fitted


def _record(folder: Path, facts: dict[str, Any], scores: dict[str, Any], *, own: bool) -> None:
    """Add the scores to the card, under a name that says what they were made from.

    The split alone names the set that the model was trained on, its `own`.
    """
    from minixception.checkpoints.card import read_card, write_card

    card = read_card(folder)
    name = facts["split"] if own else f"{facts['dataset']} {facts['split']}"
    name += " flip" if facts["flip"] else ""
    name += " without twins" if facts["without_twins"] else ""
    write_card(folder, card.with_metrics(name, scores))


def _without_twins(faces: "FaceDataset", training: "FaceDataset") -> "FaceDataset":
    from minixception.datasets import twins_of

    twins = twins_of(faces, training)
    print(f"left out: {int(twins.sum())} faces with a twin in the training split")
    return faces.select(~twins)


def _write(path: Path, facts: dict[str, dict[str, Any]], pictures: dict[str, Path]) -> None:
    """Write the facts of one split, or those of several under their names, and a picture each."""
    from minixception.drawing.plots import plot_confusion_matrix
    from minixception.files import atomic_path

    content = {"splits": facts} if len(facts) > 1 else next(iter(facts.values()))
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    for split, one in facts.items():
        plot_confusion_matrix(
            np.array(one["confusion_matrix"]),
            list(one["per_class"]),
            pictures[split],
            title=_title(one["model"], one["dataset"], split),
        )
    print(f"written to {path} and {', '.join(map(str, pictures.values()))}")
