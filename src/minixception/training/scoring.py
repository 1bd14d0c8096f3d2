"""Scoring a checkpoint on splits of a data set, in one call."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minixception.checkpoints.card import LEARNED_FILE, Card, read_card, write_card
from minixception.checkpoints.shipped import find_model
from minixception.datasets.face_dataset import FaceDataset
from minixception.datasets.merging import with_classes
from minixception.datasets.registry import (
    FOLDER_READINGS,
    DatasetEntry,
    default_dataset,
    folder_reading,
    is_trained_on,
)
from minixception.datasets.requests import load_requested, name_and_place
from minixception.evaluation import (
    Scores,
    expected_calibration_error,
    fit_temperature,
    score,
    with_temperature,
)
from minixception.inference.classifier import FaceClassifier
from minixception.labels import lacking
from minixception.messages import counted
from minixception.training.learned_faces import numbers_of, read_learned, refuse_seen

# On fewer faces a fitted temperature is chance.
LEAST_TO_CALIBRATE = 200

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SplitScores:
    """Scores on one split, and what they were made from.

    Attributes:
        scores: on all of its faces.
        by_source: of several sets as one, those on the faces of each; else empty.
        facts: plain data: model, data set, checksum, split and how it was scored.
        recorded: their name on the card: the split alone is that of the model's own data set.
    """

    scores: Scores
    by_source: Mapping[str, Scores]
    facts: Mapping[str, Any]
    recorded: str

    def to_json(self) -> dict[str, Any]:
        """Return the scores as plain data."""
        parts = {source: part.to_json() for source, part in self.by_source.items()}
        return self.scores.to_json() | ({"by_source": parts} if parts else {})

    def record(self, folder: Path) -> None:
        """Add the scores to a card, under a name that says what they were made from."""
        name = self.recorded + " flip" * self.facts["flip"]
        name += " without twins" * self.facts["without_twins"]
        write_card(folder, read_card(folder).with_metrics(name, self.to_json()))


def evaluate(
    model: str | PathLike[str],
    dataset: str | Path | FaceDataset | None = None,
    *,
    split: str | None = None,
    data: str | Path | None = None,
    flip: bool = False,
    without_twins: bool = False,
    engine: str = "keras",
) -> Scores:
    """Score a model on one split of a data set.

        scores = minixception.evaluate("runs/pictures", "pictures", split="test")
        scores.accuracy, scores.macro_f1

    Faces of classes that the model does not know are left out, which is printed.

    Args:
        model: name of a shipped model, or a checkpoint folder.
        dataset: the name of a data set, or several as in "fer2013+jaffe"; a folder with a folder of
            pictures per class, in which faces are found first if the model was trained on
            "folder_faces"; or a `FaceDataset`. None for the named one that the model was trained
            on.
        split: a part of it, such as "test"; None for the validation split.
        data: file or folder of a named data set; None for its place in `datasets/`.
        flip: average with the prediction on the mirror image.
        without_twins: leave out faces with a pixel-identical twin in the training split.
        engine: what runs the model, "keras" or "litert".

    Returns:
        Accuracy, macro-F1 and more, also by class; `evaluation.format_table` lays them out.

    Raises:
        ValueError: the split or a name is unknown, there is no face of the model's classes, or the
            split may hold faces that the model has learned from.
        FileNotFoundError: model or data are missing.
        ModuleNotFoundError: without the packages of the extra `train`.
    """
    splits = [] if split is None else [split]
    options: dict[str, Any] = {"flip": flip, "without_twins": without_twins, "engine": engine}
    (found,) = score_splits(model, dataset, splits=splits, data=data, **options).values()
    return found.scores


def score_splits(
    model: str | PathLike[str],
    dataset: str | Path | FaceDataset | None = None,
    *,
    splits: Sequence[str] = (),
    data: str | Path | None = None,
    flip: bool = False,
    without_twins: bool = False,
    engine: str = "keras",
    calibrated: bool = False,
) -> dict[str, SplitScores]:
    """Score a model on several splits, as `evaluate` does on one; return them by their names.

    With `calibrated` the model's temperature is fitted first, see `calibrate`; the only split must
    then be the validation split.
    """
    folder = find_model(model)
    card = read_card(folder)
    name, entry, faces = load_for(card, dataset, data)
    splits = splits or [entry.validation_split]
    learned = np.zeros(0, np.uint64)
    if without_twins:
        training = numbers_of(faces)[faces.splits == entry.training_split]
        learned = np.union1d(read_learned([folder]), training)
    parts = {split: _faces_to_score(faces, split, card, learned) for split in splits}
    if not without_twins or not (folder / LEARNED_FILE).is_file():
        advice = "; `without_twins` leaves them out"
        refuse_seen(folder, name, faces, entry, splits, advice=advice)
    prefix = "" if is_trained_on(name, faces, card.data) else f"{faces.name} "
    if calibrated:
        split = entry.validation_split
        if list(parts) != [split] or len(parts[split]) < LEAST_TO_CALIBRATE:
            raise ValueError(
                f"Calibration needs the validation split alone, {split}, with at least "
                f"{LEAST_TO_CALIBRATE} faces. Received: "
                + ", ".join(f"{name} with {len(part)}" for name, part in parts.items())
            )
        calibrate(folder, parts[split], split=prefix + split, engine=engine)
    classifier = FaceClassifier.load(folder, engine=engine)
    how = {"flip": flip, "without_twins": without_twins, "engine": engine}
    return {split: _score(classifier, parts[split], split, how, prefix) for split in parts}


def load_for(
    card: Card, dataset: str | Path | FaceDataset | None, data: str | Path | None
) -> tuple[str, DatasetEntry, FaceDataset]:
    """Return the name of a data set, its entry, and its faces in the form that a model takes.

    The arguments are those of `evaluate`. Class folders given by their path are read as those were
    that the model learned from: whole, or searched for faces.
    """
    default = "" if dataset is not None else default_dataset(card.task, card.data)
    reading = folder_reading(card.data)
    name, place = name_and_place(dataset, data, default=default, reading=reading or "folder")
    if reading and name in FOLDER_READINGS and name != reading:
        log.warning(
            "%s was trained on %s, whose pictures are %s: scores on %s, whose pictures are %s, may "
            "mean little.",
            *(card.name, reading, FOLDER_READINGS[reading], name, FOLDER_READINGS[name]),
        )
    entry, faces = load_requested(
        dataset,
        name,
        place,
        image_size=card.preprocessor.image_size,
        channels=card.preprocessor.channels,
        crop_margin=card.crop_margin,
    )
    return name, entry, faces


def calibrate(folder: Path, faces: FaceDataset, *, split: str, engine: str = "keras") -> None:
    """Fit the temperature of a model on faces that it was not trained on, and write it to its card.

    The card also gets the calibration error with and without it, under the name of the split. Fewer
    than `LEAST_TO_CALIBRATE` faces change nothing.
    """
    if len(faces) < LEAST_TO_CALIBRATE:
        return
    plain = FaceClassifier.load(folder, engine=engine)
    plain = replace(plain, card=replace(plain.card, temperature=1.0))
    probabilities = plain.predict_faces(faces)
    temperature = fit_temperature(faces.distributions, probabilities)
    both = {
        "calibration_error": with_temperature(probabilities, temperature),
        "calibration_error_without_temperature": probabilities,
    }
    scores = {name: expected_calibration_error(faces.labels, each) for name, each in both.items()}
    card = plain.card.with_metrics(split, scores)
    write_card(folder, replace(card, temperature=temperature))


def _faces_to_score(
    dataset: FaceDataset, split: str, card: Card, learned: NDArray[np.uint64]
) -> FaceDataset:
    """Return the faces of a split in the model's classes, without those that are `learned`."""
    faces = _in_known_classes(dataset.split(split), card.class_names)
    if len(learned):
        twins = np.isin(numbers_of(faces), learned)
        print(f"left out: {counted(twins.sum(), 'face')} with a twin in the training split")
        faces = faces.select(~twins)
    if len(faces) == 0:
        raise ValueError(
            f"{dataset.name} {split} has no face left to score, of the model's classes "
            f"({', '.join(card.class_names)})."
        )
    return faces


def _in_known_classes(faces: FaceDataset, known: tuple[str, ...]) -> FaceDataset:
    """Label the faces in the model's classes where the data set has more, or fewer, or others."""
    unknown, absent = lacking(faces.class_names, known), lacking(known, faces.class_names)
    if not (unknown or absent) or len(unknown) == len(faces.class_names):
        return faces  # nothing to do, or nothing that can be done: see `predict_faces`
    fitted = with_classes(faces, known)
    if unknown:
        count = counted(len(faces) - len(fitted), "face")
        print(f"left out: {count} of {', '.join(unknown)}, which the model does not know")
    if absent:
        print(f"{faces.name} has no {', '.join(absent)}; they count as 0 in macro-F1")
    return fitted


def _score(
    classifier: FaceClassifier, faces: FaceDataset, split: str, how: Mapping[str, Any], prefix: str
) -> SplitScores:
    probabilities = classifier.predict_faces(faces, flip=how["flip"])
    origin = faces.attributes.get("source", np.zeros(0, str))
    return SplitScores(
        scores=score(faces.labels, probabilities, faces.class_names),
        by_source={
            str(source): score(
                faces.labels[origin == source], probabilities[origin == source], faces.class_names
            )
            for source in np.unique(origin)
        },
        facts={
            "model": classifier.card.name,
            "dataset": faces.name,
            "checksum": faces.checksum,
            "split": split,
            "split_rule": faces.split_rule if split in faces.drawn_splits else "source",
            **how,
        },
        recorded=prefix + split,
    )
