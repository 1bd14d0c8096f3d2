"""Several data sets as one, with the origin of every face kept."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from minixception.datasets.classes import with_classes
from minixception.datasets.face_dataset import FaceDataset, split_names
from minixception.datasets.pictures import PictureForm
from minixception.datasets.splits import DRAWN_RULE
from minixception.labels import canonical_name

COMMON_SPLITS = {"Training": "train", "PublicTest": "validation", "PrivateTest": "test"}
"""Names of the FER2013 splits -> what all other sets call them."""


def merge_datasets(
    datasets: Mapping[str, FaceDataset],
    *,
    classes: Sequence[str] | None = None,
    image_size: tuple[int, int] | None = None,
    channels: int | None = None,
    splits: Mapping[str, str] = COMMON_SPLITS,
    name: str | None = None,
) -> FaceDataset:
    """Put data sets one after the other, all in the same classes and the same image form.

    The faces of one set: `merged.select(merged.attributes["source"] == "jaffe")`. Sets with
    pictures in common should not be merged: nothing here looks for them (see `twins_of`).

    Args:
        datasets: Source name -> data set; at least one.
        classes: The classes wanted, in order, matched by meaning; faces of other classes are left
            out and counted. None takes all classes, those of the first set first.
        image_size: (height, width); None takes that of the first set.
        channels: 1 or 3; None takes 3 when every set is in colour, else 1.
        splits: Split name -> its name in the result; names that it lacks stay as they are.
        name: Name of the result; None joins the source names by "+".

    Returns:
        All rows, each once, in order; `attributes` hold "source", the name of the set, "source_row"
        int64, the row in that set, and what all sets have. `splits` is None when no set has any,
        `targets` when no set has any; a set without gets probability 1 for its labels. `dropped`
        counts as "source: reason".

    Raises:
        ValueError: There is nothing to merge, some sets have splits and others not, a set shares no
            class with `classes`, or an option is not allowed.
    """
    if not datasets:
        raise ValueError("`datasets` must hold at least one data set. Received: none")
    parts = list(datasets.values())
    _check_splits(datasets)
    size = parts[0].images.shape[1:3] if image_size is None else image_size
    depth = min(part.images.shape[3] for part in parts) if channels is None else channels
    form = PictureForm(size, depth)
    class_names = _all_classes(parts) if classes is None else tuple(classes)
    numbered = [_with_row_numbers(part, source) for source, part in datasets.items()]
    parts = [with_classes(part, class_names) for part in numbered]
    return FaceDataset(
        images=_joined_images(parts, form),
        labels=np.concatenate([part.labels for part in parts]),
        class_names=class_names,
        name="+".join(datasets) if name is None else name,
        licence=_joined(datasets, [part.licence for part in parts], "; "),
        checksum=_joined(datasets, [part.checksum for part in parts], " + "),
        splits=_joined_splits(parts, splits),
        drawn_splits=_joined_drawn_splits(parts, splits),
        split_rule=_joined_split_rule(parts),
        targets=_joined_targets(parts),
        attributes=_joined_attributes(parts),
        dropped={
            f"{source}: {reason}": count
            for source, part in zip(datasets, parts, strict=True)
            for reason, count in part.dropped.items()
        },
    )


def _check_splits(datasets: Mapping[str, FaceDataset]) -> None:
    without = [source for source, part in datasets.items() if part.splits is None]
    if 0 < len(without) < len(datasets):
        raise ValueError(
            "`datasets` must all have splits, or none of them; give the others some with "
            f"`stratified_split`. Received: no splits in {', '.join(without)}"
        )


def _all_classes(parts: Sequence[FaceDataset]) -> tuple[str, ...]:
    """Return every class once, spelled as where it comes first."""
    found: dict[str, str] = {}
    for part in parts:
        for class_name in part.class_names:
            found.setdefault(canonical_name(class_name), class_name)
    return tuple(found.values())


def _with_row_numbers(part: FaceDataset, source: str) -> FaceDataset:
    origin = {
        "source": np.full(len(part), source),
        "source_row": np.arange(len(part), dtype=np.int64),
    }
    return replace(part, attributes={**part.attributes, **origin})


def _joined_images(parts: Sequence[FaceDataset], form: PictureForm) -> np.ndarray:
    """Return uint8 (N, height, width, channels) of all parts."""
    shape = (sum(map(len, parts)), *form.image_size, form.channels)
    joined = np.empty(shape, dtype=np.uint8)
    for row, image in enumerate(image for part in parts for image in part.images):
        joined[row] = form.resize(image)  # grey goes into three equal channels by broadcasting
    return joined


def _joined_splits(parts: Sequence[FaceDataset], names: Mapping[str, str]) -> np.ndarray | None:
    columns = []
    for part in parts:
        if part.splits is None:
            return None
        new_names = {split: names.get(split, split) for split in split_names(part)}
        columns.append(np.array([new_names[str(split)] for split in part.splits], dtype=str))
    return np.concatenate(columns)


def _joined_drawn_splits(parts: Sequence[FaceDataset], names: Mapping[str, str]) -> tuple[str, ...]:
    drawn = [names.get(split, split) for part in parts for split in part.drawn_splits]
    return tuple(dict.fromkeys(drawn))


def _joined_split_rule(parts: Sequence[FaceDataset]) -> str:
    """Return the rule of the parts whose splits are drawn, the weaker one where they differ."""
    rules = {part.split_rule for part in parts if part.drawn_splits}
    return rules.pop() if len(rules) == 1 else DRAWN_RULE


def _joined_targets(parts: Sequence[FaceDataset]) -> np.ndarray | None:
    if all(part.targets is None for part in parts):
        return None
    certain = np.eye(len(parts[0].class_names), dtype=np.float32)
    return np.concatenate(
        [certain[part.labels] if part.targets is None else part.targets for part in parts]
    )


def _joined_attributes(parts: Sequence[FaceDataset]) -> dict[str, np.ndarray]:
    shared = [key for key in parts[0].attributes if all(key in part.attributes for part in parts)]
    return {key: np.concatenate([part.attributes[key] for part in parts]) for key in shared}


def _joined(sources: Mapping[str, FaceDataset], texts: Sequence[str], separator: str) -> str:
    return separator.join(f"{source} {text}" for source, text in zip(sources, texts, strict=True))
