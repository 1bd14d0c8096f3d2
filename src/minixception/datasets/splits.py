"""Splits that depend on what each picture shows, not on what else is read.

By the rule "content" a hash of the decoded pixels, or of the subject's name, decides the split of a
picture: in every folder, under every name, beside all pictures or a few of them, whole or cut to
the face. So the shares of a class are approximate, and a class of few pictures may be missing from
a split, which a warning says.

The rule "drawn" stands for any other, as that of earlier versions. There, a picture may get another
split when other pictures are read.
"""

import hashlib
import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from minixception.datasets.face_dataset import (
    DEFAULT_FRACTIONS,
    FaceDataset,
    contents_of,
    require,
    shares_of,
    split_names,
)

_LOGGER = logging.getLogger(__name__)

CONTENT_RULE = "content"
DRAWN_RULE = "drawn"


def content_split(
    contents: Sequence[str] | np.ndarray,
    *,
    fractions: Mapping[str, float] = DEFAULT_FRACTIONS,
    seed: int = 0,
    subjects: Sequence[str] | np.ndarray | None = None,
    roster: Collection[str] = (),
) -> np.ndarray:
    """Assign each picture to a split by a hash, whatever the other pictures are.

    Args:
        contents: N hashes of pictures, see `picture_digest`. Equal ones get the same split.
        fractions: Split name -> its share; shares are positive and sum to 1.
        seed: The same seed gives the same split.
        subjects: N names of persons, whose hashes then decide, so their pictures stay together.
            Persons who share a picture count as one.
        roster: All subjects of the whole set, who are divided in exact shares.

    Returns:
        str (N,), the split of each picture.

    Raises:
        ValueError: `subjects` has another length, or `fractions` are not shares of 1.

    >>> content_split(["a0", "b1", "a0", "c2"], fractions={"train": 0.5, "test": 0.5}).tolist()
    ['train', 'train', 'train', 'test']
    """
    names = np.asarray(contents, dtype=str) if subjects is None else np.asarray(subjects, dtype=str)
    is_right = len(names) == len(contents)
    require(is_right, "subjects", names, f"names for each of {len(contents)} pictures")
    ends = np.cumsum(shares_of(fractions))[:-1]
    positions = _positions(names, seed, roster)
    if subjects is not None:
        positions = _joined_positions(positions, names, np.asarray(contents, dtype=str))
    return np.array(list(fractions))[np.searchsorted(ends, positions, side="right")]


def _positions(names: np.ndarray, seed: int, roster: Collection[str]) -> np.ndarray:
    """Return float64 (N,) in [0, 1), evenly spread; exactly so for the roster."""
    in_order = sorted(roster, key=lambda name: _hash(name, seed))
    ranks = {name: rank for rank, name in enumerate(in_order)}
    every, row = np.unique(names, return_inverse=True)
    places = [
        (ranks[name] + 0.5) / len(ranks) if name in ranks else _hash(name, seed)
        for name in every.tolist()
    ]
    return np.array(places, dtype=np.float64)[row]


def _hash(name: str, seed: int) -> float:
    text = f"{seed}/{name}".encode(errors="surrogateescape")
    number = int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")
    return (number >> 11) / (1 << 53)  # as many bits as a float has, so never rounded up to 1


def _joined_positions(positions: np.ndarray, *keys: np.ndarray) -> np.ndarray:
    """Give rows that are linked by equal keys, directly or through others, their least position."""
    rows = [np.unique(key, return_inverse=True)[1] for key in keys]
    while True:
        joined = positions
        for row in rows:
            least = np.full(len(positions), np.inf)
            np.minimum.at(least, row, joined)
            joined = least[row]
        if np.array_equal(joined, positions):
            return positions
        positions = joined


def draw_splits(
    dataset: FaceDataset,
    *,
    fractions: Mapping[str, float] = DEFAULT_FRACTIONS,
    seed: int = 0,
    roster: Collection[str] = (),
) -> FaceDataset:
    """Return the data set with splits, by subject where its attributes name one.

    The pictures are known by `contents_of`; for the other arguments see `content_split`.

    Raises:
        ValueError: `fractions` are not shares of 1.
    """
    splits = _choose_splits(dataset, fractions=fractions, seed=seed, roster=roster)
    return _divided(dataset, splits, tuple(fractions))


def draw_validation(dataset: FaceDataset) -> FaceDataset:
    """Return the data set with a tenth of `train` as the split `validation`, drawn with seed 0."""
    splits = np.asarray(dataset.splits).astype("<U10")
    training = splits == "train"
    shares = {"train": 0.9, "validation": 0.1}
    splits[training] = _choose_splits(dataset.select(training), fractions=shares)
    return _divided(dataset, splits, tuple(dict.fromkeys((*dataset.drawn_splits, *shares))))


def _choose_splits(dataset: FaceDataset, **options: Any) -> np.ndarray:
    subjects = dataset.attributes.get("subject")
    return content_split(contents_of(dataset), subjects=subjects, **options)


def _divided(dataset: FaceDataset, splits: np.ndarray, drawn: tuple[str, ...]) -> FaceDataset:
    """Return the data set with splits; warn of each class that has no picture in some of them."""
    divided = replace(dataset, splits=splits, drawn_splits=drawn, split_rule=CONTENT_RULE)
    names = dict.fromkeys((*drawn, *split_names(divided)))
    absent = []
    for label, class_name in enumerate(dataset.class_names):
        found = splits[dataset.labels == label]
        counts = {name: int((found == name).sum()) for name in names}
        if len(found) and not all(counts.values()):
            shown = ", ".join(f"{name} {count}" for name, count in counts.items())
            absent.append(f"{class_name} ({shown})")
    if absent:
        _LOGGER.warning(
            "%s: a split has no picture of %s. Add pictures, or make the splits by hand: folders "
            "train, validation and test, or a text index.",
            *(dataset.name, "; ".join(absent)),
        )
    return divided
