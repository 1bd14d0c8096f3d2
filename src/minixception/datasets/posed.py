"""Sets of posed faces whose file names tell emotion and subject: CK+48, JAFFE, KDEF."""

import logging
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np

from minixception.datasets.face_dataset import FaceDataset
from minixception.datasets.pictures import PictureForm, check_image_form, log_dropped, read_in_form
from minixception.datasets.splits import draw_splits
from minixception.files import PICTURE_SUFFIXES, content_checksum
from minixception.labels import index_of

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class PictureName:
    """What the name of a picture says.

    Attributes:
        shot: the same for two copies of one photograph.
        emotion: a class of the set, in any spelling.
        subject: who is on the picture.
        facts: further attributes of the data set, the same keys for every picture.
    """

    shot: str
    emotion: str
    subject: str
    facts: Mapping[str, str | int] = field(default_factory=dict)


@dataclass(frozen=True)
class NamedSet:
    """A set of posed faces.

    Attributes:
        name: of the data set.
        title: its name in messages.
        source: where to get it.
        licence: its terms in a few words.
        class_names: in label order.
        example: the name of a picture, for messages.
        subjects: everybody whom the whole set shows, where that is known.
        parse: from the path below the folder to what it says, or to the reason to leave it out.
    """

    name: str
    title: str
    source: str
    licence: str
    class_names: tuple[str, ...]
    example: str
    parse: Callable[[PurePosixPath], PictureName | str]
    subjects: tuple[str, ...] = ()


def load_named_pictures(
    path: str | Path,
    named_set: NamedSet,
    form: PictureForm,
    *,
    split: str | None,
    seed: int,
    split_rule: str,
) -> FaceDataset:
    """Load a folder of pictures, searched with its sub-folders, by their names.

    Args:
        path: The folder.
        named_set: How to understand the names.
        form: How to bring the pictures to one form.
        split: "train", "validation" or "test"; None gives all.
        seed: Seed of the split by subject.
        split_rule: "content", or "drawn" for models of earlier versions.

    Returns:
        Images sorted by path, split by subject 80 : 10 : 10; `attributes` hold "subject", "file"
        (the path below `path`), "content" (the hash of the whole picture) and the facts of the
        names. `dropped` counts by reason.

    Raises:
        FileNotFoundError: There is no folder at `path`.
        ValueError: It holds no picture of the set, or an option is not allowed.
    """
    path = Path(path)
    check_image_form(form.image_size, form.channels)
    if not path.is_dir():
        raise FileNotFoundError(
            f"There is no folder {path}. Get {named_set.title} from {named_set.source}; "
            "datasets/README.md says where it goes."
        )
    names, dropped = _list_names(path, named_set)
    pictures = read_in_form([path / file for file in names], form)
    dropped = {**dropped, **pictures.dropped}
    if not len(pictures.images):
        raise ValueError(
            f"{path} must hold pictures of {named_set.title} with names such as "
            f"{named_set.example}. Received: {_summary(dropped)}"
        )
    rows = zip(names.items(), pictures.is_kept, strict=True)
    kept = {file: name for (file, name), is_kept in rows if is_kept}
    labels = np.array(
        [index_of(name.emotion, named_set.class_names) for name in kept.values()], dtype=np.int64
    )
    dataset = FaceDataset(
        images=pictures.images,
        labels=labels,
        class_names=named_set.class_names,
        name=named_set.name,
        licence=named_set.licence,
        checksum=content_checksum((file.as_posix(), (path / file).read_bytes()) for file in kept),
        attributes={**_attributes(kept), "content": pictures.contents},
        dropped=dropped,
    )
    dataset = draw_splits(dataset, seed=seed, split_rule=split_rule, roster=named_set.subjects)
    return dataset if split is None else dataset.split(split)


def _attributes(names: Mapping[PurePosixPath, PictureName]) -> dict[str, np.ndarray]:
    """Return subject, file and facts as columns."""
    facts = [name.facts for name in names.values()]
    return {
        "subject": np.array([name.subject for name in names.values()]),
        "file": np.array([file.as_posix() for file in names]),
        **{key: np.array([fact[key] for fact in facts]) for key in facts[0]},
    }


def _list_names(
    path: Path, named_set: NamedSet
) -> tuple[dict[PurePosixPath, PictureName], dict[str, int]]:
    """Return the pictures to read, sorted by path, and how many files were left out and why."""
    names: dict[PurePosixPath, PictureName] = {}
    left_out: dict[str, list[str]] = defaultdict(list)
    shots = set()
    for entry in sorted(path.rglob("*")):
        if not entry.is_file():
            continue
        file = PurePosixPath(entry.relative_to(path).as_posix())
        # The name of the folder tells the class in CK+48, also when it is that folder itself.
        parsed = named_set.parse(PurePosixPath(path.resolve().name) / file)
        is_hidden = any(part.startswith(".") for part in file.parts)
        if is_hidden or entry.suffix.strip().lower() not in PICTURE_SUFFIXES:
            left_out["stray file"].append(str(entry))
        elif isinstance(parsed, str):
            left_out[parsed].append(str(entry))
        elif (parsed.shot, parsed.emotion) in shots:
            left_out["duplicate"].append(str(entry))
        else:
            shots.add((parsed.shot, parsed.emotion))
            names[file] = parsed
    for reason, files in left_out.items():
        log_dropped(_LOGGER, f"files ({reason})", files)
    return names, {reason: len(files) for reason, files in left_out.items()}


def _summary(dropped: Mapping[str, int]) -> str:
    counts = [f"{reason}: {count}" for reason, count in dropped.items() if count]
    return f"no usable picture ({', '.join(counts) or 'no file at all'})"
