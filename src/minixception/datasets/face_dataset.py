"""The form in which every loader returns its faces, and ways to divide it."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from minixception.messages import counted

# A vote distribution in float32 adds up to 1 within a few units of rounding (1.2e-7 each).
_ROW_SUM_TOLERANCE = 1e-4

DEFAULT_FRACTIONS = {"train": 0.8, "validation": 0.1, "test": 0.1}
"""Shares of the splits of a set that comes without any."""


@dataclass(frozen=True, eq=False)
class FaceDataset:
    """Labelled face pictures of one size, with where they came from.

    Attributes:
        images: uint8 (N, height, width, channels) in 0..255; 1 channel is grey, 3 are RGB.
        labels: int64 (N,), each an index into `class_names`.
        class_names: Names of the classes in label order.
        name: Name of the data set.
        licence: Terms of the data in a few words.
        checksum: "algorithm:hexadecimal" of the source content.
        splits: str (N,), the name of the split of each row, or None when there are none.
        drawn_splits: The splits that were drawn here; the others come from the source.
        split_rule: How they were drawn: "content", by `draw_splits`, so a picture is in the same
            split whatever else is read; or "drawn" in another way, so it may depend on the others.
        targets: float32 (N, classes), a probability per class whose rows sum to 1, or None.
        attributes: Further facts by name, each an array with one entry per row (age, ...).
        dropped: Reason -> number of source rows left out for it.

    Raises:
        ValueError: The fields disagree in shape, type or range.
    """

    images: np.ndarray
    labels: np.ndarray
    class_names: tuple[str, ...]
    name: str
    licence: str
    checksum: str
    splits: np.ndarray | None = None
    drawn_splits: tuple[str, ...] = ()
    split_rule: str = "drawn"
    targets: np.ndarray | None = None
    attributes: Mapping[str, np.ndarray] = field(default_factory=dict)
    dropped: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_images(self.images)
        _check_labels(self.labels, len(self.images), len(self.class_names))
        columns = {f"attributes[{name!r}]": values for name, values in self.attributes.items()}
        if self.splits is not None:
            columns["splits"] = self.splits
        for name, values in columns.items():
            if not isinstance(values, np.ndarray):  # a list has no rows to select
                raise ValueError(f"`{name}` must be an array. Received: {type(values).__name__}")
            check_row_count(name, values, len(self.images))
        if self.targets is not None:
            _check_targets(self.targets, len(self.images), len(self.class_names))

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        return f"FaceDataset(name={self.name!r}, images={self.images.shape}, {self.class_counts()})"

    def split(self, name: str) -> "FaceDataset":
        """Return the rows of one split, in their order.

        Raises:
            ValueError: There are no splits, or none of this name.
        """
        if self.splits is None:
            raise ValueError(
                f"{self.name} has no splits: `draw_splits` draws them. Received: split={name!r}"
            )
        existing = split_names(self)
        if name not in existing:
            raise ValueError(
                f"`split` must be one of {', '.join(existing)}. Received: split={name!r}"
            )
        return self.select(self.splits == name)

    def select(self, rows: np.ndarray) -> "FaceDataset":
        """Return the rows named by an integer index array or a bool mask (N,), in that order.

        Raises:
            ValueError: `rows` is neither, or a mask of another length.
            IndexError: An index is outside the data set.
        """
        rows = np.asarray(rows)
        if rows.ndim != 1 or not (rows.dtype == np.bool_ or np.issubdtype(rows.dtype, np.integer)):
            raise ValueError(
                "`rows` must be a one-dimensional integer or bool array. "
                f"Received: dtype={rows.dtype}, shape={rows.shape}"
            )
        if rows.dtype == np.bool_:
            check_row_count("rows", rows, len(self))
        return replace(
            self,
            images=self.images[rows],
            labels=self.labels[rows],
            splits=None if self.splits is None else self.splits[rows],
            targets=None if self.targets is None else self.targets[rows],
            attributes={key: values[rows] for key, values in self.attributes.items()},
        )

    @property
    def distributions(self) -> np.ndarray:
        """The targets, float32 (N, classes); where there are none, the labels as one-hot rows."""
        if self.targets is not None:
            return self.targets
        return np.eye(len(self.class_names), dtype=np.float32)[self.labels]

    def class_counts(self) -> dict[str, int]:
        """Return the number of rows of each class, in class order."""
        counts = np.bincount(self.labels, minlength=len(self.class_names))
        return {name: int(count) for name, count in zip(self.class_names, counts, strict=True)}


def split_names(dataset: FaceDataset) -> tuple[str, ...]:
    """Return the names of the splits of `dataset` in order of first appearance."""
    if dataset.splits is None:
        return ()
    names, first_rows = np.unique(dataset.splits, return_index=True)
    return tuple(str(name) for name in names[np.argsort(first_rows)])


def stratified_split(
    labels: np.ndarray, *, fractions: Mapping[str, float], seed: int
) -> np.ndarray:
    """Deal rows with labels (N,) to splits so that each class is divided in the same proportions.

    `fractions` map the name of a split to its share; shares are positive and sum to 1.

    Returns:
        str (N,), the split of each row. Within a class, each split is within one row of its share.

    Raises:
        ValueError: `labels` is not one-dimensional, or `fractions` are not shares of 1.
    """
    labels = np.asarray(labels)
    if labels.ndim != 1:
        raise ValueError(f"`labels` must have shape (N,). Received: shape={labels.shape}")
    shares = shares_of(fractions)
    generator = np.random.default_rng(seed)
    names = np.array(list(fractions))
    splits = np.empty(len(labels), dtype=names.dtype)
    for label in np.unique(labels):
        rows = generator.permutation(np.flatnonzero(labels == label))
        ends = np.round(np.cumsum(shares) * len(rows)).astype(int)
        for name, part in zip(names, np.split(rows, ends[:-1]), strict=True):
            splits[part] = name
    return splits


def shares_of(fractions: Mapping[str, float]) -> np.ndarray:
    """Return the shares in order, float64; refuse any that are not positive or do not sum to 1."""
    shares = np.array(list(fractions.values()), dtype=np.float64)
    if len(shares) == 0 or (shares <= 0).any() or not np.isclose(shares.sum(), 1.0):
        raise ValueError(
            f"`fractions` must be positive and sum to 1. Received: fractions={dict(fractions)}"
        )
    return shares


def picture_digest(image: np.ndarray) -> str:
    """Return a hash of the pixels of a picture, 32 hexadecimal digits.

    `image` is uint8 (height, width, 3) as decoded, before any crop or resizing; or (height, width,
    1), which has the hash of the same picture with three equal channels.
    """
    colour = np.broadcast_to(image, (*image.shape[:2], 3))
    digest = hashlib.blake2b(f"{image.shape[0]}x{image.shape[1]}".encode(), digest_size=16)
    digest.update(colour.tobytes())
    return digest.hexdigest()


def contents_of(dataset: FaceDataset) -> np.ndarray:
    """Return the hash of each picture as it came, str (N,): the attribute "content".

    Without that, the images count as the pictures.
    """
    if "content" in dataset.attributes:
        return dataset.attributes["content"]
    return np.array([picture_digest(image) for image in dataset.images], dtype="<U32")


def twins_of(dataset: FaceDataset, reference: FaceDataset) -> np.ndarray:
    """Find the rows of `dataset` whose pixels also occur in `reference`.

    A score without these rows shows what a model owes to pictures that it was trained on.

    Returns:
        bool (N,), True where `reference` holds an identical image.

    Raises:
        ValueError: The images of the two sets differ in height, width or channels.
    """
    if dataset.images.shape[1:] != reference.images.shape[1:]:
        raise ValueError(
            "`dataset` and `reference` must have images of one shape. "
            f"Received: {dataset.images.shape[1:]} and {reference.images.shape[1:]}"
        )
    known = set(map(picture_digest, reference.images))
    return np.array([picture_digest(image) in known for image in dataset.images], dtype=bool)


def _check_images(images: np.ndarray) -> None:
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] not in (1, 3):
        raise ValueError(
            "`images` must be uint8 (N, height, width, channels) with 1 or 3 channels. "
            f"Received: dtype={images.dtype}, shape={images.shape}"
        )


def _check_labels(labels: np.ndarray, row_count: int, class_count: int) -> None:
    if labels.dtype != np.int64 or labels.ndim != 1:
        raise ValueError(
            f"`labels` must be int64 (N,). Received: dtype={labels.dtype}, shape={labels.shape}"
        )
    check_row_count("labels", labels, row_count)
    if len(labels) and not (labels.min() >= 0 and labels.max() < class_count):
        raise ValueError(
            f"`labels` must be in 0..{class_count - 1}. Received: {labels.min()}..{labels.max()}"
        )


def check_row_count(field_name: str, values: np.ndarray, row_count: int) -> None:
    """Raise ValueError unless there is one entry per row."""
    if len(values) != row_count:
        raise ValueError(
            f"`{field_name}` must have one entry per image ({row_count}). "
            f"Received: {counted(len(values), 'entry')}"
        )


def _check_targets(targets: np.ndarray, row_count: int, class_count: int) -> None:
    if targets.dtype != np.float32 or targets.shape != (row_count, class_count):
        raise ValueError(
            f"`targets` must be float32 ({row_count}, {class_count}). "
            f"Received: dtype={targets.dtype}, shape={targets.shape}"
        )
    sums_to_one = np.abs(targets.sum(axis=1) - 1.0) <= _ROW_SUM_TOLERANCE  # False for NaN
    if not ((targets >= 0).all() and sums_to_one.all()):
        raise ValueError("`targets` must be at least 0 and each row must sum to 1.")
