"""Which pictures a model has learned from, kept beside it, since sets can be read in many ways.

The rules of `datasets.splits` keep a picture in its split as long as one loader reads it. Another
loader may split by subject, a table may hold the pictures of a folder, and seeds differ. The hash
of its pixels, `picture_digest`, identifies a picture in all of them, unless it was encoded again.
"""

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from minixception.checkpoints.card import LEARNED_FILE, read_card
from minixception.checkpoints.shipped import find_model
from minixception.datasets.cache import read_arrays, write_arrays
from minixception.datasets.face_dataset import FaceDataset, contents_of
from minixception.datasets.registry import DatasetEntry, may_share, refuse_unknown
from minixception.messages import counted

_PICTURES = "pictures"

log = logging.getLogger(__name__)


def numbers_of(dataset: FaceDataset) -> NDArray[np.uint64]:
    """Return the first 64 bits of the hash of each picture, uint64 (N,)."""
    return np.array([int(content[:16], 16) for content in contents_of(dataset)], np.uint64)


def write_learned(folder: Path, numbers: NDArray[np.uint64]) -> None:
    """Write which pictures the model of a folder has learned from."""
    write_arrays(folder / LEARNED_FILE, {_PICTURES: np.unique(numbers)}, {})


def read_learned(folders: Iterable[Path]) -> NDArray[np.uint64]:
    """Return what `write_learned` wrote; nothing for a model of an earlier version or elsewhere."""
    found = [np.zeros(0, np.uint64)]
    for file in (folder / LEARNED_FILE for folder in folders):
        try:
            numbers = read_arrays(file)[0].get(_PICTURES) if file.is_file() else found[0]
            if numbers is None or numbers.dtype != np.uint64:
                raise ValueError(f"{file} is damaged (it holds no hashes of pictures)")
        except ValueError as error:
            raise ValueError(f"{error}. Get the folder again, or train again.") from error
        found.append(numbers)
    return np.unique(np.concatenate(found))


def refuse_seen(
    model: str | Path,
    name: str,
    dataset: FaceDataset,
    entry: DatasetEntry,
    splits: Sequence[str] = (),
    advice: str = "",
) -> None:
    """Refuse to score a model on splits with pictures that it has learned from.

    A warning is enough where the split comes from the source, since some have pictures twice,
    FER2013 among them, or where the pictures are also in the training split. `name` is what loaded
    the set, `entry` tells its splits; without `splits`, those to validate and to test on are meant.
    What a model without hashes has learned from is told by its card alone. `advice` ends a message:
    how the caller's user leaves such pictures out.

    Raises:
        ValueError: there are other such pictures in a split that was drawn, or there may be; see
            `refuse_unknown`.
    """
    folder, training_split = find_model(model), entry.training_split
    splits = splits or (entry.validation_split, entry.test_split)
    card, learned = read_card(folder), read_learned([folder])
    if not len(learned):
        refuse_unknown(name, dataset, splits=splits, model=card.name, trained_on=card.data)
    if not len(learned) or dataset.splits is None:
        return
    numbers = numbers_of(dataset)
    has_twin = np.isin(numbers, numbers[dataset.splits == training_split])
    for split in splits:
        rows = dataset.splits == split
        seen = rows & np.isin(numbers, learned)
        if split == training_split or not seen.any():
            continue
        told = (
            f"{card.name} has learned from {seen.sum()} of {counted(rows.sum(), 'face')} of "
            f"{dataset.name} {split}"
        )
        is_drawn = split in dataset.drawn_splits or may_share(name, dataset, [split], card.data)
        if is_drawn and (seen & ~has_twin).any():
            raise ValueError(
                f"{told}, which were read or divided differently; give the data set that it was "
                f"trained on{advice}"
            )
        log.warning("%s%s", told, advice)
