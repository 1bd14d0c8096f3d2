"""Scores by group of faces, by class, and by strength of a perturbation, as tables."""

import itertools
import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from minixception.checkpoints.card import Card
from minixception.datasets import FaceDataset, load_utkface, twins_of
from minixception.datasets.registry import DATASETS, load_dataset, refuse_unknown
from minixception.datasets.utkface import ETHNICITIES
from minixception.evaluation import Scores, score, wilson_interval
from minixception.files import find_data
from minixception.inference.analyzer import FaceClassifier
from minixception.limits.perturbations import PERTURBATIONS, perturb
from minixception.messages import with_reports

if TYPE_CHECKING:
    import pandas

TASKS = ("emotion", "gender")
# The size of UTKFace's stored frames, from which faces are made smaller.
FRAME = (200, 200)
# First ages of the bands: the youngest adults of UTKFace, then decades.
_BAND_STARTS = (0, 16, 20, 30, 40, 50, 60, 70)
# A class with fewer faces than this has an interval wider than 20 points at a recall of 90 %.
SMALLEST_CLASS = 30
EVERYBODY = "all"
# A drop of accuracy that users of a model will notice.
NOTICEABLE_DROP = 0.05

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class Subject:
    """A model, the held-out faces of a split that it was tried on, and its scores on them."""

    card: Card
    faces: FaceDataset
    split: str
    scores: Scores

    @property
    def width(self) -> int:
        """Width of the faces in pixels."""
        return int(self.faces.images.shape[2])


@dataclass(frozen=True)
class Limits:
    """What the page, its tables and its pictures are made of.

    `twins` counts the faces of `emotion` with a pixel-identical twin among the training faces.
    `groups` has a row per kind of group ("age", "ethnicity code"), group and split, see
    `score_groups`; `levels` one per perturbation, level and task, see `score_levels`.
    """

    emotion: Subject
    gender: Subject
    twins: int
    groups: "pandas.DataFrame"
    levels: "pandas.DataFrame"
    seed: int


def measure_limits(
    emotion: FaceClassifier,
    gender: FaceClassifier,
    *,
    emotion_data: Path | None,
    gender_data: Path | None,
    split: str,
    seed: int,
) -> Limits:
    """Score two models on held-out faces: by group, by class, and made harder to read.

    `emotion` is scored on a split of FER2013, "PublicTest" or "PrivateTest"; `gender` was trained
    on UTKFace. `emotion_data` and `gender_data` are their paths; None looks in `datasets/`. `seed`
    decides noise and the direction of turns. Each level is logged, and the time that remains.

    Raises:
        FileNotFoundError: a data set is missing.
        ValueError: the emotion model has other classes than FER2013, or the gender model was
            trained on other splits of UTKFace, see `refuse_unknown`.
    """
    import pandas

    fer2013 = load_dataset("fer2013", emotion_data)
    faces, training = fer2013.split(split), fer2013.split(DATASETS["fer2013"].training_split)
    held_out = _held_out_faces(gender_data, gender.card)
    test = held_out.split("test")
    levels = score_levels((emotion, faces), (gender, test), seed=seed)
    return Limits(
        emotion=_subject(emotion, faces, split),
        gender=_subject(gender, test, "test"),
        twins=int(twins_of(faces, training).sum()),
        groups=score_groups(gender, held_out),
        levels=pandas.DataFrame(levels),
        seed=seed,
    )


def _held_out_faces(path: Path | None, card: Card) -> FaceDataset:
    """Return the validation and test faces of UTKFace at their full size."""
    path = path or find_data(*DATASETS["utkface"].default_paths)
    # A cache of the whole frames would take 0.7 GB, more than reading them again is worth.
    dataset = load_utkface(path, image_size=FRAME, use_cache=False)
    splits = ("validation", "test")
    refuse_unknown("utkface", dataset, splits=splits, model=card.name, trained_on=card.data)
    assert dataset.splits is not None  # the loader draws them
    return dataset.select(np.flatnonzero(dataset.splits != "train"))


def _subject(classifier: FaceClassifier, faces: FaceDataset, split: str) -> Subject:
    scores = score(faces.labels, classifier.predict_faces(faces), faces.class_names)
    return Subject(classifier.card, faces, split, scores)


def age_bands(ages: NDArray[np.int64]) -> NDArray[np.str_]:
    """Return the age band of each age in years, at least 0; the names sort like the ages.

    >>> age_bands(np.array([7, 16, 19, 20, 69, 101])).tolist()
    [' 0 to 15', '16 to 19', '16 to 19', '20 to 29', '60 to 69', '70 and older']
    """
    names = [f"{start:2d} to {end - 1}" for start, end in itertools.pairwise(_BAND_STARTS)]
    names.append(f"{_BAND_STARTS[-1]} and older")
    return np.array(names)[np.searchsorted(_BAND_STARTS, ages, side="right") - 1]


def score_groups(classifier: FaceClassifier, faces: FaceDataset) -> "pandas.DataFrame":
    """Score age bands and ethnicity codes, on the test faces and on all.

    Returns:
        A row per `kind` of group, `split` ("test", "test + validation") and `group` that occurs,
        last everybody: `faces`, for each class its number of faces (NAME) and of those recognized
        (NAME_correct), `balanced_accuracy` with the bounds of its 95 % interval (`low`, `high`),
        `accuracy`.
    """
    import pandas

    probabilities = classifier.predict_faces(faces)
    codes = [f"{code} {name}" for code, name in enumerate(ETHNICITIES)]
    kinds = {
        "age": age_bands(faces.attributes["age"]),
        "ethnicity code": np.array(codes)[faces.attributes["ethnicity"]],
    }
    is_test = np.asarray(faces.splits == "test")
    splits = {"test": is_test, "test + validation": np.ones_like(is_test)}
    rows = []
    for (kind, groups), (split, chosen) in itertools.product(kinds.items(), splits.items()):
        for name in [*np.unique(groups[chosen]), EVERYBODY]:
            these = chosen & ((groups == name) | (name == EVERYBODY))
            scores = score(faces.labels[these], probabilities[these], faces.class_names)
            counts: dict[str, int] = {"faces": scores.n}
            for one in scores.per_class:
                counts |= {one.name: one.total, f"{one.name}_correct": one.correct}
            low, high = balanced_interval(scores)
            rows.append(
                {"kind": kind, "group": str(name).strip(), "split": split, **counts}
                | {"balanced_accuracy": scores.balanced_accuracy, "low": low, "high": high}
                | {"accuracy": scores.accuracy}
            )
    return pandas.DataFrame(rows)


def balanced_interval(scores: Scores) -> tuple[float, float]:
    """Return the 95 % interval of a balanced accuracy, the mean recall of the classes that occur.

    The Wilson intervals of the recalls are combined by their squares (the method of variance
    estimates recovery: Newcombe 1998, method 10; Zou and Donner 2008).
    """
    recalls = [(row.correct, row.total) for row in scores.per_class if row.total]
    bounds = np.array([wilson_interval(correct, total) for correct, total in recalls])
    shares = np.array([correct / total for correct, total in recalls])
    below, above = np.linalg.norm(shares[:, np.newaxis] - bounds, axis=0) / len(recalls)
    return float(shares.mean() - below), float(shares.mean() + above)


def choose_rows(groups: "pandas.DataFrame", class_names: Sequence[str]) -> "pandas.DataFrame":
    """Take each group from the test split, or with more faces where a class has too few there.

    `groups` have `kind`, `group`, `split` ("test" or another one with more faces) and the columns
    of `score_groups`; a group may occur outside "test" alone. Rows that are small, even so, have
    `is_small` and a `label` with an asterisk.
    """
    import pandas

    key = ["kind", "group"]
    small = groups[list(class_names)].min(axis=1) < SMALLEST_CLASS
    groups = groups.assign(is_small=small, label=groups.group + small.map({True: " *", False: ""}))
    is_test = groups.split == "test"
    enough, more = groups[is_test & ~small], groups[~is_test]
    chosen = pandas.concat([enough, more]).drop_duplicates(key).set_index(key)
    return chosen.loc[more.set_index(key).index].reset_index()


def recall_table(scores: Scores) -> "pandas.DataFrame":
    """Return how many faces of each emotion are recognized, with the 95 % interval."""
    import pandas

    table = pandas.DataFrame(map(asdict, scores.per_class))
    counts = zip(table.correct, table.total, strict=True)
    table[["low", "high"]] = [wilson_interval(*each) if each[1] else (0.0, 1.0) for each in counts]
    table = table.rename(columns={"name": "emotion", "total": "faces"})
    return table[["emotion", "faces", "correct", "recall", "low", "high", "precision"]]


def confusion_table(scores: Scores) -> "pandas.DataFrame":
    """Return how often each class (`true`) is taken for each other one (`predicted`).

    `share` is of the faces of the true class. Within a class the most faces come first.
    """
    import pandas

    names = [row.name for row in scores.per_class]
    return pandas.DataFrame(
        {"true": name, "predicted": other, "count": n, "share": n / max(sum(counts), 1)}
        for name, counts in zip(names, scores.confusion_matrix, strict=True)
        for other, n in sorted(zip(names, counts, strict=True), key=lambda each: -each[1])
        if other != name
    )


def levels_of(levels: "pandas.DataFrame", perturbation: str, task: str) -> "pandas.DataFrame":
    """Return the rows of one perturbation and task, the mildest level first."""
    return levels[(levels.perturbation == perturbation) & (levels.task == task)]


def score_levels(
    *subjects: tuple[FaceClassifier, FaceDataset], seed: int
) -> Iterator[dict[str, Any]]:
    """Score models, each on its own faces, at each level of each perturbation.

    Yields:
        A row per level: `perturbation`, `level`, `task`, `faces`, `accuracy` with the bounds of its
        95 % interval (`low`, `high`), `balanced_accuracy`, `most_frequent_answer` with `its_share`
        of the faces, and `mean_probability`, which the model gives to its answers.
    """
    steps = [
        (*subject, perturbation, level)
        for subject in subjects
        for perturbation in PERTURBATIONS
        for level in perturbation.levels_for(subject[1].images.shape[2])
    ]
    for classifier, faces, perturbation, level in with_reports(steps, "levels measured"):
        images = perturb(faces.images, perturbation, level, seed=seed)
        probabilities = classifier.predict_faces(replace(faces, images=images))
        scores = score(faces.labels, probabilities, faces.class_names)
        answers = np.sum(scores.confusion_matrix, axis=0)
        low, high = scores.accuracy_interval
        task, name = classifier.card.task, perturbation.name
        _LOGGER.info("%s, %s %g: accuracy %.4f", task, name, level, scores.accuracy)
        yield {
            "perturbation": name,
            "level": level,
            "task": task,
            "faces": scores.n,
            "accuracy": scores.accuracy,
            "low": low,
            "high": high,
            "balanced_accuracy": scores.balanced_accuracy,
            "most_frequent_answer": faces.class_names[int(answers.argmax())],
            "its_share": float(answers.max() / scores.n),
            "mean_probability": float(probabilities.max(axis=1).mean()),
        }


def first_noticeable(accuracies: Sequence[float]) -> int | None:
    """Return the first level from which on accuracy is lower by `NOTICEABLE_DROP` or more.

    The first accuracy is that of unchanged faces.

    >>> first_noticeable([0.9, 0.8, 0.89, 0.7])
    3
    """
    is_dropped = accuracies[0] - np.array(accuracies) >= NOTICEABLE_DROP
    kept = np.flatnonzero(~is_dropped)[-1]  # the first level is always kept
    return None if kept == len(accuracies) - 1 else int(kept) + 1
