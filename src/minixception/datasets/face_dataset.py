"""The form in which every loader returns its faces, and ways to divide it."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

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
        images, labels, targets = self.images, self.labels, self.targets
        count, classes = len(images), len(self.class_names)
        is_right = images.dtype == np.uint8 and images.ndim == 4 and images.shape[3] in (1, 3)
        require(is_right, "images", images, "uint8 (N, height, width, channels), 1 or 3 channels")
        is_right = labels.dtype == np.int64 and labels.shape == (count,)
        require(is_right, "labels", labels, f"int64 ({count},)")
        is_right = bool(((labels >= 0) & (labels < classes)).all())
        require(is_right, "labels", labels, f"in 0..{classes - 1}")
        columns = {f"attributes[{name!r}]": values for name, values in self.attributes.items()}
        columns |= {} if self.splits is None else {"splits": self.splits}
        for name, values in columns.items():
            # A list has no rows to select.
            is_right = isinstance(values, np.ndarray) and len(values) == count
            require(is_right, name, values, f"an array with one entry per image ({count})")
        if targets is not None:
            is_right = targets.dtype == np.float32 and targets.shape == (count, classes)
            require(is_right, "targets", targets, f"float32 ({count}, {classes})")
            sums_to_one = np.abs(targets.sum(axis=1) - 1.0) <= _ROW_SUM_TOLERANCE  # False for NaN
            is_right = bool((targets >= 0).all() and sums_to_one.all())
            require(is_right, "targets", targets, "at least 0, and 1 in the sum of each row")

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
            IndexError: `rows` is neither, or an index is outside the data set.
        """
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
        ValueError: `fractions` are not shares of 1.
    """
    labels = np.asarray(labels)
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
    is_alike = dataset.images.shape[1:] == reference.images.shape[1:]
    require(is_alike, "reference", reference.images, f"of the form {dataset.images.shape[1:]}")
    known = set(map(picture_digest, reference.images))
    return np.array([picture_digest(image) in known for image in dataset.images], dtype=bool)


def require(is_right: bool, name: str, values: Any, rule: str) -> None:
    """Raise ValueError for an array that is not what it must be."""
    if not is_right:
        is_array = isinstance(values, np.ndarray)
        found = f"{values.dtype} {values.shape}" if is_array else type(values).__name__
        raise ValueError(f"`{name}` must be {rule}. Received: {found}")
