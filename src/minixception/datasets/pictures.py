"""Picture files read into one array of one form, and what is left out of them counted."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from minixception.bounds import LARGEST_MEMBER, tar_contents
from minixception.datasets.face_dataset import FaceDataset, picture_digest
from minixception.files import content_checksum, files_below, is_passing, read_patiently
from minixception.images import crop, decode_image, read_image, resize_image, to_grey
from minixception.messages import with_reports

if TYPE_CHECKING:
    from minixception.detection.search import FaceDetector

_LOGGER = logging.getLogger(__name__)

_NAMES_SHOWN = 5

NamedReader = tuple[str, Callable[[], np.ndarray]]
"""What to call a picture, and how to get it: RGB uint8 (H, W, 3), OSError or ValueError."""


@dataclass(frozen=True)
class PictureForm:
    """What becomes of a picture.

    Attributes:
        image_size: (height, width) of the result.
        channels: 1 for grey, 3 for RGB.
        crop_faces: Cut out the largest face; else the whole picture is resized.
        detector: Finds the faces; None takes `HaarDetector()`.

    Raises:
        ValueError: `image_size` is not two numbers of at least 1, or `channels` is not 1 or 3.
    """

    image_size: tuple[int, int] = (48, 48)
    channels: int = 1
    crop_faces: bool = False
    detector: FaceDetector | None = None

    def __post_init__(self) -> None:
        if len(self.image_size) != 2 or min(self.image_size) < 1:
            raise ValueError(
                "`image_size` must be (height, width), at least 1. "
                f"Received: image_size={self.image_size}"
            )
        if self.channels not in (1, 3):
            raise ValueError(
                f"`channels` must be 1 (grey) or 3 (RGB). Received: channels={self.channels!r}"
            )

    def resize(self, image: np.ndarray) -> np.ndarray:
        """Bring an image uint8 (H, W, 1 or 3) to (height, width, channels), without a crop."""
        resized = resize_image(image, self.image_size)
        return to_grey(resized) if self.channels == 1 else resized


@dataclass(frozen=True)
class ReadPictures:
    """What came of N pictures.

    Attributes:
        images: uint8 (M, height, width, channels), the M that could be used, in order.
        is_kept: bool (N,), True for these.
        contents: str (M,), the hash of each as it was decoded; see `picture_digest`.
        dropped: Reason -> number of the others, which a logged warning names.
    """

    images: np.ndarray
    is_kept: np.ndarray
    contents: np.ndarray
    dropped: dict[str, int]


def read_pictures(pictures: Sequence[Path | NamedReader], form: PictureForm) -> ReadPictures:
    """Read picture files, or names with readers, into one form.

    Raises:
        OSError: A file cannot be read for a reason that may pass, see `is_passing`, not even after
            some seconds: a set without it would be another one.
    """
    readers = [
        (str(picture), partial(read_image, picture)) if isinstance(picture, Path) else picture
        for picture in pictures
    ]
    cut = _face_cutter(form.detector) if form.crop_faces else None
    images = np.empty((len(readers), *form.image_size, form.channels), dtype=np.uint8)
    is_kept = np.zeros(len(readers), dtype=bool)
    contents: list[str] = []
    left_out: dict[str, list[str]] = {"unreadable picture": [], **({"no face": []} if cut else {})}
    for position, (name, read) in enumerate(with_reports(readers, "read")):
        try:
            image = read_patiently(read)
        except (OSError, ValueError) as error:
            if is_passing(error):
                raise
            left_out["unreadable picture"].append(f"{name}: {error}")
            continue
        part = image if cut is None else cut(image)
        if part is None:
            left_out["no face"].append(name)
            continue
        images[len(contents)] = form.resize(part)
        is_kept[position] = True
        contents.append(picture_digest(image))
    return ReadPictures(
        images=images[: len(contents)],
        is_kept=is_kept,
        contents=np.array(contents, dtype="<U32"),
        dropped=count_dropped(left_out),
    )


def _face_cutter(detector: FaceDetector | None) -> Callable[[np.ndarray], np.ndarray | None]:
    """Return a function from a picture to the part inside the largest box, None without a face."""
    from minixception.detection.registry import load_detector

    finder = load_detector(detector)

    def cut(image: np.ndarray) -> np.ndarray | None:
        boxes = finder.detect(image)
        return crop(image, max(boxes, key=lambda box: box.area)) if boxes else None

    return cut


def count_dropped(left_out: Mapping[str, Sequence[str]], what: str = "pictures") -> dict[str, int]:
    """Count what is left out by reason, and log a warning per reason that shows the first names."""
    for reason, names in left_out.items():
        if names:
            more = len(names) - _NAMES_SHOWN
            shown = "; ".join([*names[:_NAMES_SHOWN], *([f"and {more} more"] if more > 0 else [])])
            _LOGGER.warning("Left out %d %s (%s): %s", len(names), what, reason, shown)
    return {reason: len(names) for reason, names in left_out.items()}


def describe_dropped(dropped: Mapping[str, int]) -> str:
    """Return the counts above zero for a message, as "no face: 3, stray file: 1"."""
    return ", ".join(f"{reason}: {count}" for reason, count in dropped.items() if count)


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
    received: str = "",
    dropped: Mapping[str, int],
    contents: Mapping[str, bytes] | None = None,
    summed: Iterable[tuple[str, bytes]] | None = None,
) -> FaceDataset:
    """Read listed pictures into a data set, with the attributes "file", "content" and their facts.

    They are files in the folder `place`, or `contents` by name that come from there. `dropped` is
    what has been left out of the list; `name` None takes that of the place, and `summed`, names and
    contents for the checksum, None takes the files that could be used.

    Raises:
        ValueError: No picture can be used; the message says what is `wanted` and what `received`.
    """
    pictures = read_pictures(
        [
            place / row.file
            if contents is None
            else (row.file, partial(decode_image, contents[row.file], row.file))
            for row in listed
        ],
        form,
    )
    dropped = {**dropped, **pictures.dropped}
    if not len(pictures.images):
        received = received or (
            f"{len(listed)} pictures, none of them readable{' with a face' * form.crop_faces}"
        )
        raise ValueError(
            f"{place} must hold {wanted}. Received: {received} "
            f"({describe_dropped(dropped) or 'no file at all'})"
        )
    kept = [row for row, is_kept in zip(listed, pictures.is_kept, strict=True) if is_kept]
    if summed is None:
        summed = ((row.file, (place / row.file).read_bytes()) for row in kept)
    return FaceDataset(
        images=pictures.images,
        labels=np.array([row.label for row in kept], dtype=np.int64),
        class_names=tuple(class_names),
        name=place.resolve().name if name is None else name,
        licence=licence,
        checksum=content_checksum(summed),
        splits=np.array([row.split for row in kept]) if any(row.split for row in listed) else None,
        attributes={
            "file": np.array([row.file for row in kept]),
            "content": pictures.contents,
            **{key: np.array([row.facts[key] for row in kept]) for key in kept[0].facts},
        },
        dropped=dropped,
    )


def named_contents(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the path inside a folder or tar archive, joined by "/", and the content of each file.

    An archive (also a compressed one) is read without unpacking, so that nothing in it can land
    outside a folder, and links in it lead nowhere. What is larger than
    `LARGEST_MEMBER` comes as b"".

    Raises:
        ValueError: `path` is neither a folder nor a whole tar archive, or one that holds too much.
        OSError: A file cannot be read.
    """
    if not path.is_dir():
        yield from tar_contents(path)
        return
    for file in files_below(path):
        is_small = file.stat().st_size <= LARGEST_MEMBER
        yield file.relative_to(path).as_posix(), file.read_bytes() if is_small else b""


def picture_names(path: Path) -> frozenset[str]:
    """Return the plain names of the files in a tar archive, or in a folder and its archives."""
    names = frozenset(Path(name).name for name, _ in named_contents(path))
    archives = path.rglob("*.tar") if path.is_dir() else ()
    return names.union(*map(picture_names, archives))
