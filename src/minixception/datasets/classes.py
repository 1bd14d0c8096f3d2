"""A data set in other classes: reordered, renamed, or fewer of them."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from minixception.datasets.face_dataset import FaceDataset
from minixception.labels import canonical_name, check_class_names, lacking


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
    left_out = {
        f"class {name}": count
        for (name, count), label in zip(dataset.class_counts().items(), new_labels, strict=True)
        if label < 0 and count
    }
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
