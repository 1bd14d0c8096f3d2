"""A folder of class folders, as in `train/happy/0001.png`, as a data set."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from minixception.datasets.face_dataset import FaceDataset
from minixception.datasets.pictures import PictureForm, check_image_form, log_dropped, read_in_form
from minixception.files import PICTURE_SUFFIXES, content_checksum
from minixception.labels import check_class_names, index_of

if TYPE_CHECKING:
    from minixception.detection.search import FaceDetector

_LOGGER = logging.getLogger(__name__)

SPLIT_FOLDERS = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "test": "test",
    "testing": "test",
}
"""Folder name in lower case -> the name of the split in the data set."""


@dataclass(frozen=True)
class _Listing:
    """Picture files, the split ("" when there are none) and class folder of each, stray entries."""

    files: list[Path]
    splits: list[str]
    class_folders: list[str]
    strays: list[str]


def load_class_folders(
    path: str | Path,
    *,
    split: str | None = None,
    image_size: tuple[int, int] = (48, 48),
    channels: int = 1,
    class_names: Sequence[str] | None = None,
    name: str | None = None,
    licence: str = "unknown",
    crop_faces: bool = False,
    detector: FaceDetector | None = None,
) -> FaceDataset:
    """Load pictures whose folder names their class, with split folders above or without.

    Args:
        path: A folder of class folders, or of train, validation and test folders that hold them.
        split: "train", "validation" or "test"; None gives all.
        image_size: (height, width) to which each picture is resized.
        channels: 1 for grey, 3 for RGB.
        class_names: The classes in the order wanted; folders are matched to them by meaning
            ("Happiness" to "happy"). None takes the sorted folder names.
        name: Name of the data set; None takes that of the folder.
        licence: Terms of the pictures.
        crop_faces: Cut the largest face out of each picture; else the whole picture is resized.
        detector: Finds the faces; None takes the Haar cascade.

    Returns:
        A data set of images uint8 (N, height, width, channels), sorted by path; `attributes` hold
        "file", the path below `path`, and "content", the hash of the whole picture. `dropped`
        counts stray entries (files that are no pictures, folders within class folders), unreadable
        pictures and, with `crop_faces`, pictures without a face; they are also logged.

    Raises:
        FileNotFoundError: There is no folder at `path`.
        ValueError: No picture can be read, a folder matches no class, or an option is not allowed.
    """
    path = Path(path)
    check_image_form(image_size, channels)
    listing = _list_pictures(path)
    log_dropped(_LOGGER, "stray entries", listing.strays)
    names = tuple(sorted(set(listing.class_folders)) if class_names is None else class_names)
    if class_names is None:
        _check_folder_names(path, names)
    labels = _labels_of(path, listing.class_folders, names)
    form = PictureForm(image_size, channels, crop_faces, detector)
    pictures = read_in_form(listing.files, form)
    if not len(pictures.images):
        raise ValueError(
            f"{path} must hold class folders with pictures ({', '.join(PICTURE_SUFFIXES)}). "
            f"Received: {len(listing.files)} pictures, none of them "
            f"{'readable with a face' if crop_faces else 'readable'}"
        )
    files = np.array([file.relative_to(path).as_posix() for file in listing.files])
    dataset = FaceDataset(
        images=pictures.images,
        labels=labels[pictures.is_kept],
        class_names=names,
        name=path.resolve().name if name is None else name,
        licence=licence,
        checksum=_checksum(path, listing.files),
        splits=np.array(listing.splits)[pictures.is_kept] if any(listing.splits) else None,
        attributes={"file": files[pictures.is_kept], "content": pictures.contents},
        dropped={"stray entry": len(listing.strays), **pictures.dropped},
    )
    return dataset if split is None else dataset.split(split)


def _list_pictures(path: Path) -> _Listing:
    if not path.is_dir():
        raise FileNotFoundError(f"`path` must be a folder of class folders. Received: {path}")
    listing = _Listing([], [], [], [])
    folders = _folders_of(path, listing.strays)
    split_folders = [folder for folder in folders if folder.name.lower() in SPLIT_FOLDERS]
    if not split_folders:
        _add_classes(folders, "", listing)
        return listing
    listing.strays.extend(str(folder) for folder in folders if folder not in split_folders)
    for folder in split_folders:
        classes = _folders_of(folder, listing.strays)
        _add_classes(classes, SPLIT_FOLDERS[folder.name.lower()], listing)
    return listing


def _folders_of(path: Path, strays: list[str]) -> list[Path]:
    """Return the folders in `path`, sorted; anything else and hidden folders are strays."""
    entries = sorted(path.iterdir())
    folders = [entry for entry in entries if entry.is_dir() and not entry.name.startswith(".")]
    strays.extend(str(entry) for entry in entries if entry not in folders)
    return folders


def _add_classes(class_folders: list[Path], split: str, listing: _Listing) -> None:
    """Add the pictures of each class folder to the listing, sorted by name."""
    for folder in class_folders:
        for entry in sorted(folder.iterdir()):
            is_picture = entry.suffix.lower() in PICTURE_SUFFIXES and entry.is_file()
            if is_picture and not entry.name.startswith("."):
                listing.files.append(entry)
                listing.splits.append(split)
                listing.class_folders.append(folder.name)
            else:
                listing.strays.append(str(entry))


def _check_folder_names(path: Path, names: Sequence[str]) -> None:
    try:
        check_class_names(names)
    except ValueError as error:
        raise ValueError(f"{path} has class folders to rename: {error}") from error


def _labels_of(path: Path, class_folders: list[str], class_names: Sequence[str]) -> np.ndarray:
    """Return int64 (N,), the class that each folder name means."""
    try:
        labels = {folder: index_of(folder, class_names) for folder in set(class_folders)}
    except ValueError as error:
        raise ValueError(f"{path} has a class folder that is no class: {error}") from error
    return np.array([labels[folder] for folder in class_folders], dtype=np.int64)


def _checksum(path: Path, files: list[Path]) -> str:
    return content_checksum(
        (file.relative_to(path).as_posix(), file.read_bytes()) for file in files
    )
