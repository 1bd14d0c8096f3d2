"""Picture files read into one array, and those that are left out counted."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from minixception.bounds import LARGEST_MEMBER, tar_contents
from minixception.boxes import as_margin
from minixception.datasets.face_dataset import FaceDataset, picture_digest
from minixception.detection.registry import load_detector
from minixception.files import (
    PICTURE_SUFFIXES,
    content_checksum,
    files_below,
    is_passing,
    read_patiently,
)
from minixception.images import as_rgb, cut_face, decode_image, read_image, resize_image, to_grey
from minixception.messages import counted, with_reports
from minixception.preprocessor import Preprocessor

if TYPE_CHECKING:
    from minixception.detection.search import FaceDetector

_LOGGER = logging.getLogger(__name__)

_NAMES_SHOWN = 5


@dataclass(frozen=True)
class PictureForm:
    """What is made of a picture.

    Attributes:
        image_size: (height, width) of the result.
        channels: 1 for grey, 3 for RGB.
        crop_faces: Cut out the largest face; else the whole picture is resized.
        crop_margin: How far a face that is cut out reaches beyond its box, see `boxes.as_margin`.
        detector: Finds the faces; None takes the default, so that a model learns the frames that it
            is shown later.

    Raises:
        ValueError: `Preprocessor` refuses `image_size` or `channels`, or `crop_margin` is none.
    """

    image_size: tuple[int, int] = (48, 48)
    channels: int = 1
    crop_faces: bool = False
    crop_margin: float = 0.0
    detector: FaceDetector | None = None

    def __post_init__(self) -> None:
        as_margin(self.crop_margin)
        Preprocessor(self.image_size, self.channels)

    def to_json(self) -> dict[str, Any]:
        """Return the size and channels as plain data, for the cache."""
        return {"image_size": list(self.image_size), "channels": self.channels}

    def resize(self, image: np.ndarray) -> np.ndarray:
        """Return an image uint8 (H, W, 1 or 3) as (height, width, channels), without a crop."""
        resized = resize_image(image, self.image_size)
        return to_grey(resized) if self.channels == 1 else as_rgb(resized)


def count_dropped(left_out: Mapping[str, Sequence[object]]) -> dict[str, int]:
    """Count what is left out by reason, and log a warning per reason with the first names."""
    for reason, names in left_out.items():
        if names:
            _LOGGER.warning("Left out %d (%s): %s", len(names), reason, _first_of(names))
    return {reason: len(names) for reason, names in left_out.items()}


def _first_of(names: Sequence[object]) -> str:
    more = [f"and {len(names) - _NAMES_SHOWN} more"] if len(names) > _NAMES_SHOWN else []
    return "; ".join([*map(str, names[:_NAMES_SHOWN]), *more])


@dataclass(frozen=True)
class ListedPicture:
    """A picture before it is read.

    Attributes:
        file: Its path in the folder or archive of the set, parts joined by "/".
        label: Its class.
        split: The name of its split, "" in a set without any.
        facts: Further attributes, the same keys for every picture.
    """

    file: str
    label: int
    split: str = ""
    facts: Mapping[str, str | int] = field(default_factory=dict)


def read_listed(
    place: Path,
    listed: Sequence[ListedPicture],
    form: PictureForm,
    *,
    class_names: Sequence[str],
    name: str | None,
    licence: str,
    wanted: str,
    left_out: Mapping[str, Sequence[object]] | None = None,
    content_of: Callable[[str], bytes] | None = None,
    summed: Iterable[tuple[str, bytes]] | None = None,
) -> FaceDataset:
    """Read listed pictures into a data set, with the attributes "file", "content" and their facts.

    They are files in the folder `place`, or `content_of` gives what comes from there, by name and
    in their order. `left_out` is what the list lacks already: reason -> names. `name` None takes
    that of the place, and `summed`, names and contents for the checksum, None takes the pictures
    that could be used.

    Raises:
        ValueError: No picture can be used; the message says what is `wanted`.
        OSError: A file still cannot be read after some seconds, for a reason that may be temporary
            (see `is_passing`): without it this would be another set.
    """
    images = np.empty((len(listed), *form.image_size, form.channels), dtype=np.uint8)
    reasons = ["unreadable picture", *["no face"] * form.crop_faces]
    unusable: dict[str, list[str]] = {reason: [] for reason in reasons}
    kept: list[ListedPicture] = []
    for row, image in _read_pictures(place, listed, form, content_of, unusable):
        images[len(kept)] = image
        kept.append(row)
    _warn_of_contradictions(kept)
    dropped = count_dropped({**(left_out or {}), **unusable})
    if not kept:
        told = ", ".join(f"{reason}: {count}" for reason, count in dropped.items() if count)
        raise ValueError(
            f"{place} must hold {wanted}. Received: {counted(len(listed), 'picture')} "
            f"({told or 'no file at all'})"
        )
    if summed is None:
        summed = (
            (row.file, content_of(row.file) if content_of else (place / row.file).read_bytes())
            for row in kept
        )
    return FaceDataset(
        images=images[: len(kept)],
        labels=np.array([row.label for row in kept], dtype=np.int64),
        class_names=tuple(class_names),
        name=place.resolve().name if name is None else name,
        licence=licence,
        checksum=content_checksum(summed),
        splits=np.array([row.split for row in kept]) if any(row.split for row in listed) else None,
        attributes={
            "file": np.array([row.file for row in kept]),
            **{key: np.array([row.facts[key] for row in kept]) for key in kept[0].facts},
        },
        dropped=dropped,
    )


def _warn_of_contradictions(listed: Sequence[ListedPicture]) -> None:
    """Log a warning of pictures that are in two classes."""
    first: dict[object, ListedPicture] = {}
    pairs = [(first.setdefault(row.facts["content"], row), row) for row in listed]
    found = [f"{one.file} and {other.file}" for one, other in pairs if one.label != other.label]
    if found:
        count = f"{counted(len(found), 'picture')} {'is' if len(found) == 1 else 'are'}"
        _LOGGER.warning("%s in two classes: %s", count, _first_of(found))


def _read_pictures(
    place: Path,
    listed: Sequence[ListedPicture],
    form: PictureForm,
    content_of: Callable[[str], bytes] | None,
    left_out: Mapping[str, list[str]],
) -> Iterator[tuple[ListedPicture, np.ndarray]]:
    """Yield the pictures that can be used, with the hash of each as decoded, and in their form."""
    finder = load_detector(form.detector) if form.crop_faces else None
    for row in with_reports(listed, "read"):
        if content_of is None:
            name = str(place / row.file)
            read = partial(read_image, name)
        else:
            name = row.file
            read = partial(decode_image, content_of(name), name)
        try:
            image = read_patiently(read)
        except (OSError, ValueError) as error:
            if is_passing(error):
                raise
            left_out["unreadable picture"].append(f"{name}: {error}")
            continue
        face = image
        if finder is not None:
            boxes = finder.detect(image)
            if not boxes:
                left_out["no face"].append(name)
                continue
            face = cut_face(image, max(boxes, key=lambda box: box.area), form.crop_margin)
        facts = {"content": picture_digest(image), **row.facts}
        yield replace(row, facts=facts), form.resize(face)


def named_contents(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the path inside a folder or tar archive, joined by "/", and the content of each file.

    For archives see `tar_contents`. Files above `LARGEST_MEMBER` come as b"".

    Raises:
        ValueError: `path` is neither a folder nor a whole tar archive, or one that holds too much.
        OSError: A file cannot be read.
    """
    if not path.is_dir():
        yield from tar_contents(path)
        return
    for name in files_below(path):
        is_small = (path / name).stat().st_size <= LARGEST_MEMBER
        yield name, (path / name).read_bytes() if is_small else b""


def archive_names(archive: Path) -> list[str]:
    """Return the paths of the files in a tar archive, each once."""
    return list(dict.fromkeys(name for name, _ in tar_contents(archive)))


def contents_in_turn(archive: Path) -> Callable[[str], bytes]:
    """Return a function that gives a file of a tar archive; see `archive_names` for their order.

    So there is one at a time in memory. One that is not there any more is b"".
    """
    files = tar_contents(archive)
    return lambda name: next((content for each, content in files if each == name), b"")


def sole_archive(path: Path) -> Path:
    """Return the tar archive in a folder that has one and no picture or folder; else the path."""
    entries = list(path.glob("[!.]*")) if path.is_dir() else []
    archives = [entry for entry in entries if _is_archive(entry)]
    is_unpacked = any(
        entry.is_dir() or entry.suffix.lower() in PICTURE_SUFFIXES for entry in entries
    )
    return archives[0] if len(archives) == 1 and not is_unpacked else path


def picture_names(path: Path) -> frozenset[str]:
    """Return the plain names of the files in a tar archive, or in a folder and its archives."""
    if not path.is_dir():
        return frozenset(Path(name).name for name in archive_names(path))
    names = frozenset(Path(name).name for name in files_below(path))
    return names.union(*map(picture_names, filter(_is_archive, path.rglob("*"))))


def _is_archive(path: Path) -> bool:
    return (".tar" in path.suffixes or path.suffix == ".tgz") and path.is_file()
