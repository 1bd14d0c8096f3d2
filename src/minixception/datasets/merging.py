"""A data set in other classes, or several as one with the origin of every face kept."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from minixception.datasets.face_dataset import FaceDataset, contents_of
from minixception.datasets.pictures import PictureForm
from minixception.datasets.splits import DRAWN_RULE
from minixception.labels import canonical_name, check_class_names, lacking

COMMON_SPLITS = {"Training": "train", "PublicTest": "validation", "PrivateTest": "test"}
"""Names of the FER2013 splits -> what all other sets call them."""


def with_classes(dataset: FaceDataset, class_names: Sequence[str]) -> FaceDataset:
    """Label the faces with other class names, matched by meaning ("Happiness" to "happy").

    Args:
        dataset: Any data set.
        class_names: The classes in the order wanted; some may have no faces.

    Returns:
        The rows whose class means one of `class_names`, in their order; `dropped` counts the others
        by class, as "class disgust". Vote distributions lose the columns of other classes and are
        rescaled to sum to 1.

    Raises:
        ValueError: `check_class_names` refuses `class_names`, or none is a class of the data set.
    """
    check_class_names(class_names)
    positions = {canonical_name(name): place for place, name in enumerate(class_names)}
    new_labels = np.array(
        [positions.get(canonical_name(name), -1) for name in dataset.class_names], dtype=np.int64
    )
    if not (new_labels >= 0).any():
        raise ValueError(
            f"`class_names` must share a class with {dataset.name} "
            f"({', '.join(dataset.class_names)}). Received: {', '.join(class_names)}"
        )
    kept = dataset.select(new_labels[dataset.labels] >= 0)
    labels = new_labels[kept.labels]
    counts, others = dataset.class_counts(), lacking(dataset.class_names, class_names)
    left_out = {f"class {name}": counts[name] for name in others if counts[name]}
    return replace(
        kept,
        labels=labels,
        class_names=tuple(class_names),
        targets=_targets(kept.targets, new_labels, labels, len(class_names)),
        dropped={**dataset.dropped, **left_out},
    )


def select_classes(dataset: FaceDataset, class_names: Sequence[str]) -> FaceDataset:
    """Restrict a data set to some of its classes, such as the poster's six without disgust.

    As `with_classes`, but each name must mean a class of the data set.

    Raises:
        ValueError: A name means no class of the data set, or two mean the same.
    """
    unknown = lacking(class_names, dataset.class_names)
    if unknown or not class_names:
        raise ValueError(
            f"`class_names` must be classes of {dataset.name}: {', '.join(dataset.class_names)}. "
            f"Received: {', '.join(unknown) or 'none'}"
        )
    return with_classes(dataset, class_names)


def _targets(
    targets: np.ndarray | None, new_labels: np.ndarray, labels: np.ndarray, class_count: int
) -> np.ndarray | None:
    """Move the columns of vote distributions; a row without votes left gets 1 for its label."""
    if targets is None:
        return None
    moved = np.zeros((len(targets), class_count), dtype=np.float64)
    has_place = new_labels >= 0
    moved[:, new_labels[has_place]] = targets[:, has_place]
    empty = np.flatnonzero(moved.sum(axis=1) == 0)
    moved[empty, labels[empty]] = 1.0
    return (moved / moved.sum(axis=1, keepdims=True)).astype(np.float32)


def merge_datasets(
    datasets: Mapping[str, FaceDataset],
    *,
    classes: Sequence[str] | None = None,
    image_size: tuple[int, int] | None = None,
    channels: int | None = None,
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
        name: Name of the result; None joins the source names by "+".

    Returns:
        All rows, each once, in order; `attributes` hold "source", the name of the set, "source_row"
        int64, the row in that set, and what all sets have. `splits`, by the names of
        `COMMON_SPLITS`, is None when no set has any, and so is `targets`; a set without these gets
        probability 1 for its labels. `dropped` counts as "source: reason".

    Raises:
        ValueError: There is nothing to merge, some sets have splits and others not, a set shares no
            class with `classes`, or an option is not allowed.
    """
    if not datasets:
        raise ValueError("`datasets` must name at least one. Received: none")
    first, *others = datasets.values()
    if any((part.splits is None) != (first.splits is None) for part in others):
        raise ValueError(
            "`datasets` must all have splits, or none of them: `draw_splits` draws them"
        )
    form = PictureForm(
        first.images.shape[1:3] if image_size is None else image_size,
        min(part.images.shape[3] for part in datasets.values()) if channels is None else channels,
    )
    class_names = _all_classes(datasets.values()) if classes is None else tuple(classes)
    parts = {
        source: with_classes(_with_origin(part, source), class_names)
        for source, part in datasets.items()
    }
    return _concatenate(parts, form, class_names, "+".join(datasets) if name is None else name)


def _all_classes(parts: Iterable[FaceDataset]) -> tuple[str, ...]:
    """Return every class once, in its first spelling."""
    found: dict[str, str] = {}
    for class_name in (name for part in parts for name in part.class_names):
        found.setdefault(canonical_name(class_name), class_name)
    return tuple(found.values())


def _with_origin(part: FaceDataset, source: str) -> FaceDataset:
    """Return a set with its splits renamed, and attributes that say where each row comes from."""

    def common(splits: Iterable[str]) -> list[str]:
        return [COMMON_SPLITS.get(split, split) for split in splits]

    origin = {
        "content": contents_of(part),
        "source": np.full(len(part), source),
        "source_row": np.arange(len(part), dtype=np.int64),
    }
    return replace(
        part,
        splits=None if part.splits is None else np.array(common(part.splits.tolist()), dtype=str),
        drawn_splits=tuple(common(part.drawn_splits)),
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
