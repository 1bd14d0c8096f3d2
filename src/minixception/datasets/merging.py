"""Several data sets as one, with the origin of every face kept."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from minixception.datasets.classes import with_classes
from minixception.datasets.face_dataset import FaceDataset, contents_of
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

    The faces of one set are `merged.select(merged.attributes["source"] == "jaffe")`. Do not merge
    sets with pictures in common: nothing here looks for them (see `twins_of`).

    Args:
        datasets: Source name -> data set; at least one.
        classes: The classes wanted, see `with_classes`; None takes all, those of the first set
            first.
        image_size: (height, width); None takes that of the first set.
        channels: 1 or 3; None takes 3 when every set is in colour, else 1.
        splits: Split name -> its name in the result; others stay as they are.
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
    without = [source for source, part in datasets.items() if part.splits is None]
    if 0 < len(without) < len(datasets):
        raise ValueError(
            "`datasets` must all have splits, or none of them; give the others some with "
            f"`stratified_split`. Received: no splits in {', '.join(without)}"
        )
    first = next(iter(datasets.values()))
    form = PictureForm(
        first.images.shape[1:3] if image_size is None else image_size,
        min(part.images.shape[3] for part in datasets.values()) if channels is None else channels,
    )
    class_names = _all_classes(datasets.values()) if classes is None else tuple(classes)
    parts = {
        source: with_classes(_with_origin(part, source, splits), class_names)
        for source, part in datasets.items()
    }
    return _concatenate(parts, form, class_names, "+".join(datasets) if name is None else name)


def _all_classes(parts: Iterable[FaceDataset]) -> tuple[str, ...]:
    """Return every class once, in its first spelling."""
    found: dict[str, str] = {}
    for class_name in (name for part in parts for name in part.class_names):
        found.setdefault(canonical_name(class_name), class_name)
    return tuple(found.values())


def _with_origin(part: FaceDataset, source: str, names: Mapping[str, str]) -> FaceDataset:
    """Return a set with its splits renamed, and attributes that say where each row comes from."""
    origin = {
        "content": contents_of(part),
        "source": np.full(len(part), source),
        "source_row": np.arange(len(part), dtype=np.int64),
    }
    splits = None
    if part.splits is not None:
        splits = np.array([names.get(split, split) for split in part.splits.tolist()], dtype=str)
    return replace(
        part,
        splits=splits,
        drawn_splits=tuple(names.get(split, split) for split in part.drawn_splits),
        attributes={**part.attributes, **origin},
    )


def _concatenate(
    sources: Mapping[str, FaceDataset], form: PictureForm, class_names: tuple[str, ...], name: str
) -> FaceDataset:
    """Put sets of the same classes one after the other."""
    parts = list(sources.values())
    images = np.empty((sum(map(len, parts)), *form.image_size, form.channels), dtype=np.uint8)
    for row, image in enumerate(image for part in parts for image in part.images):
        images[row] = form.resize(image)  # grey goes into three equal channels by broadcasting
    rules = {part.split_rule for part in parts if part.drawn_splits}
    splits = [part.splits for part in parts if part.splits is not None]
    shared = [key for key in parts[0].attributes if all(key in part.attributes for part in parts)]
    return FaceDataset(
        images=images,
        labels=np.concatenate([part.labels for part in parts]),
        class_names=class_names,
        name=name,
        licence="; ".join(f"{source} {part.licence}" for source, part in sources.items()),
        checksum=" + ".join(f"{source} {part.checksum}" for source, part in sources.items()),
        splits=np.concatenate(splits) if splits else None,
        drawn_splits=tuple(dict.fromkeys(name for part in parts for name in part.drawn_splits)),
        split_rule=rules.pop() if len(rules) == 1 else DRAWN_RULE,  # the weaker where they differ
        targets=None
        if all(part.targets is None for part in parts)
        else np.concatenate([part.distributions for part in parts]),
        attributes={
            key: np.concatenate([part.attributes[key] for part in parts]) for key in shared
        },
        dropped={
            f"{source}: {reason}": count
            for source, part in sources.items()
            for reason, count in part.dropped.items()
        },
    )
