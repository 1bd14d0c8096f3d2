r"""Measure where the models fail, and write a page about it, with tables and pictures.

    python src/report_limits.py --emotion-data datasets/fer2013/fer2013.csv \
        --gender-data datasets/utkface/crop_part1 --example images/astronaut.jpg \
        --output docs/limits.md

Gender by age band and ethnicity code, on faces that the model was not trained on; emotions by
class, and what is taken for what; both on faces made small, blurred, dark and turned. Tables and
pictures go into the folder beside the page that has its name (docs/limits/).
"""

import argparse
import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from minixception.labels import EMOTIONS_FER2013, canonical_name
from minixception.locks import sole_writer
from minixception.paths import DEFAULT_EMOTION_MODEL, DEFAULT_GENDER_MODEL, find_data, find_model

if TYPE_CHECKING:
    from minixception.classifier import FaceClassifier
    from minixception.commands.limits_report import LimitsReport, Subject
    from minixception.datasets import FaceDataset
    from minixception.limits import GroupScores, LevelScores

# The frames of UTKFace as they are stored: a size to start from, for faces made smaller.
FRAME = (200, 200)
EMOTION_SPLITS = ("PublicTest", "PrivateTest")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    for task, default in (("emotion", DEFAULT_EMOTION_MODEL), ("gender", DEFAULT_GENDER_MODEL)):
        parser.add_argument(
            f"--{task}-model",
            default=default,
            metavar="NAME_OR_FOLDER",
            help="shipped model or folder",
        )
    parser.add_argument(
        "--emotion-data", type=Path, help="the FER2013 file (default: in datasets/)"
    )
    parser.add_argument(
        "--gender-data",
        type=Path,
        help="UTKFace, the folder or archive that the model was trained on (default: in datasets/)",
    )
    parser.add_argument(
        "--split",
        choices=EMOTION_SPLITS,
        default=EMOTION_SPLITS[0],
        help="part of FER2013; PrivateTest is looked at once, with a finished model",
    )
    parser.add_argument(
        "--example", type=Path, metavar="PICTURE", help="show its largest face at each level"
    )
    parser.add_argument("--seed", type=int, default=0, help="of noise and direction of turns")
    parser.add_argument(
        "--output", type=Path, default=Path("docs/limits.md"), metavar="PAGE.md", help="the page"
    )


def run(arguments: argparse.Namespace) -> int:
    """Load, measure, write; return the exit code."""
    from minixception.commands.training_options import checkout_commit

    _check_arguments(arguments)
    commit = checkout_commit()  # of the code that runs, whatever is changed meanwhile
    example = None if arguments.example is None else _largest_face(arguments.example)
    with sole_writer(arguments.output):
        report = _measure(arguments, commit=commit)
        _write(report, example, arguments.output)
    return 0


def _measure(arguments: argparse.Namespace, *, commit: str | None) -> "LimitsReport":
    from minixception.commands.limits_report import LimitsReport

    emotion_model = _load_model(arguments.emotion_model, "emotion")
    _require_fer2013_classes(emotion_model)
    gender_model = _load_model(arguments.gender_model, "gender")
    emotion_faces, twins = _emotion_faces(arguments)
    gender_faces = _gender_faces(arguments.gender_data, gender_model)
    test = gender_faces.split("test")
    groups = _score_groups(gender_model, gender_faces)
    levels = [
        *_score_levels(emotion_model, emotion_faces, seed=arguments.seed),
        *_score_levels(gender_model, test, seed=arguments.seed),
    ]
    return LimitsReport(
        command=shlex.join(arguments.command_line),
        commit=commit,
        seed=arguments.seed,
        emotion=_subject(emotion_model, emotion_faces, arguments.split, levels),
        gender=_subject(gender_model, test, "test", levels),
        twins=twins,
        groups=groups,
        levels=levels,
        has_example=arguments.example is not None,
    )


def _write(report: "LimitsReport", example: "NDArray[np.uint8] | None", page: Path) -> None:
    """Write tables and pictures, and last the page that shows them."""
    from minixception.commands import limits_page, limits_report
    from minixception.limits import choose_rows
    from minixception.storage import atomic_path

    chosen = {kind: choose_rows(*splits) for kind, splits in report.groups.items()}
    folder = page.with_suffix("")
    limits_report.write_tables(report, folder)
    limits_report.write_pictures(report, folder, groups=chosen)
    if example is not None:
        limits_report.write_example(example, folder, seed=report.seed)
    text = limits_page.format_page(report, chosen, folder=quote(folder.name))
    with atomic_path(page) as path:
        path.write_text(text, encoding="utf-8")
    print(f"written to {page} and {folder}")


def _check_arguments(arguments: argparse.Namespace) -> None:
    """Find out before the work what could not be done after it."""
    from minixception.commands.outputs import check_file, check_folder

    check_file(arguments.output, "--output", suffixes=(".md",))
    folder = arguments.output.with_suffix("")
    if folder.is_file():
        raise ValueError(
            f"The tables and pictures of {arguments.output} belong into the folder {folder}, but a "
            "file has that name. Choose another --output."
        )
    check_folder(folder, "--output without .md")
    if arguments.seed < 0:
        raise ValueError(f"--seed must not be negative. Received: {arguments.seed}")


def _largest_face(path: Path) -> NDArray[np.uint8]:
    """Return the largest face in a picture as the data sets show faces, `FRAME` in size."""
    from minixception.detector import HaarDetector
    from minixception.images import crop, read_image, resize_image

    image = read_image(path)
    boxes = HaarDetector().detect(image)
    if not boxes:
        raise ValueError(f"--example must show a face. No face was found in {path}.")
    return resize_image(crop(image, max(boxes, key=lambda box: box.area)), FRAME)


def _load_model(name: str, task: str) -> "FaceClassifier":
    from minixception.classifier import FaceClassifier

    classifier = FaceClassifier.load(find_model(name, tasks=(task,)))
    if classifier.card.task != task:
        raise ValueError(
            f"--{task}-model must be a model of the task {task}. Received: "
            f"{classifier.card.name}, whose card says {classifier.card.task}."
        )
    return classifier


def _require_fer2013_classes(classifier: "FaceClassifier") -> None:
    names = classifier.card.class_names
    if {canonical_name(name) for name in names} != set(map(canonical_name, EMOTIONS_FER2013)):
        raise ValueError(
            "--emotion-model must tell the emotions of FER2013, which the page is measured on: "
            f"{', '.join(EMOTIONS_FER2013)}. Received: {classifier.card.name}, which tells "
            f"{', '.join(names)}"
        )


def _emotion_faces(arguments: argparse.Namespace) -> tuple["FaceDataset", int]:
    """Return the faces of the split, and how many of them have a twin among the training faces."""
    from minixception.datasets import twins_of
    from minixception.datasets.registry import DATASETS, load_dataset

    dataset = load_dataset("fer2013", arguments.emotion_data)
    faces = dataset.split(arguments.split)
    training = dataset.split(DATASETS["fer2013"].training_split)
    return faces, int(twins_of(faces, training).sum())


def _gender_faces(path: Path | None, classifier: "FaceClassifier") -> "FaceDataset":
    """Return the validation and test faces of UTKFace at their full size.

    Raises:
        ValueError: if the model was trained on other files of the set; see `require_same_files`.
    """
    from minixception.datasets import load_utkface
    from minixception.datasets.registry import DATASETS, require_same_files

    path = path or find_data(*DATASETS["utkface"].default_paths)
    # A cache of the whole frames would take 0.7 GB, more than reading them again is worth.
    dataset = load_utkface(path, image_size=FRAME, use_cache=False)
    card = classifier.card
    splits = ("validation", "test")
    require_same_files("utkface", dataset, splits=splits, model=card.name, trained_on=card.data)
    assert dataset.splits is not None  # the loader draws them
    return dataset.select(np.flatnonzero(dataset.splits != "train"))


def _score_groups(
    classifier: "FaceClassifier", faces: "FaceDataset"
) -> "dict[str, tuple[list[GroupScores], list[GroupScores]]]":
    """Score each group on the test split, then on test and validation together."""
    from minixception.datasets.utkface import ETHNICITIES
    from minixception.limits import age_bands, score_groups

    probabilities = classifier.predict_faces(faces)
    codes = [f"{code} {name}" for code, name in enumerate(ETHNICITIES)]
    kinds = {
        "age": age_bands(faces.attributes["age"]),
        "ethnicity code": np.array(codes)[faces.attributes["ethnicity"]],
    }

    def scored(
        groups: NDArray[np.str_], rows: NDArray[np.bool_], split: str
    ) -> "list[GroupScores]":
        return score_groups(
            faces.labels[rows], probabilities[rows], faces.class_names, groups[rows], split=split
        )

    test, everything = np.asarray(faces.splits == "test"), np.ones(len(faces), bool)
    return {
        kind: (scored(groups, test, "test"), scored(groups, everything, "test + validation"))
        for kind, groups in kinds.items()
    }


def _score_levels(
    classifier: "FaceClassifier", faces: "FaceDataset", *, seed: int
) -> "Iterator[LevelScores]":
    """Score the faces at each level of each perturbation, and tell of it."""
    from minixception.limits import score_level
    from minixception.perturbations import PERTURBATIONS, perturb

    untouched = classifier.predict_faces(faces)
    for perturbation in PERTURBATIONS:
        for level in perturbation.levels_for(faces.images.shape[2]):
            images = perturb(faces.images, perturbation, level, seed=seed)
            changed = images is not faces.images
            result = score_level(
                faces.labels,
                classifier.predict_faces(replace(faces, images=images)) if changed else untouched,
                faces.class_names,
                perturbation=perturbation.name,
                level=level,
                task=classifier.card.task,
            )
            accuracy = f"accuracy {result.scores.accuracy:.4f}"
            print(f"{result.task}, {perturbation.name} {level:g}: {accuracy}", flush=True)
            yield result


def _subject(
    classifier: "FaceClassifier",
    faces: "FaceDataset",
    split: str,
    levels: "list[LevelScores]",
) -> "Subject":
    from minixception.commands.limits_report import Subject

    # The first level changes nothing.
    scores = next(row.scores for row in levels if row.task == classifier.card.task)
    return Subject(
        card=classifier.card,
        dataset=faces.name,
        checksum=faces.checksum,
        split=split,
        width=faces.images.shape[2],
        scores=scores,
    )
