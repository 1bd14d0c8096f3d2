"""A folder of class folders, such as `train/happy/0001.png`, as a data set."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from minixception.datasets.face_dataset import FaceDataset
from minixception.datasets.pictures import ListedPicture, PictureForm, count_dropped, read_listed
from minixception.files import PICTURE_SUFFIXES
from minixception.labels import check_class_names

SPLIT_FOLDERS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
"""Name of a folder of class folders in lower case -> the name of the split in the data set."""


def load_class_folders(
    path: str | Path,
    *,
    name: str | None = None,
    licence: str = "unknown",
    **form: Any,
) -> FaceDataset:
    """Load pictures whose folder names their class, with split folders above or without.

    Args:
        path: A folder of class folders, or of train, validation and test folders that hold them.
        name: Name of the data set; None takes that of the folder.
        licence: Terms of the pictures.
        **form: Fields of `PictureForm`, as `image_size` and `crop_faces`.

    Returns:
        Images uint8 (N, height, width, channels), sorted by path; the classes are the sorted folder
        names (`with_classes` gives them others). `attributes` hold "file", the path below `path`,
        and "content", the hash of the whole picture. `dropped` counts stray entries (files that are
        not pictures, folders within class folders), unreadable pictures and, with `crop_faces`,
        pictures without a face. All are logged, and so are folders without a picture, which make no
        class.

    Raises:
        FileNotFoundError: There is no folder at `path`.
        ValueError: No picture can be read, class folders must be renamed, or an option is not
            allowed.
    """
    picture_form = PictureForm(**form)
    path = Path(path)
    if not path.is_dir():
        raise FileNotFoundError(
            f"`path` must be a folder of class folders. Received: {path}, "
            f"{'a file' if path.exists() else 'which does not exist'}. Name yours with `data`"
        )
    strays: list[Path] = []
    empty: list[Path] = []
    pictures = list(_list_pictures(path, strays, empty))
    count_dropped({"class folder without a picture": empty})
    class_names = sorted({file.parent.name for file, _ in pictures})
    check_found_names(class_names, f"{path} has class folders to rename:")
    labels = {name: label for label, name in enumerate(class_names)}
    return read_listed(
        path,
        [
            ListedPicture(file.relative_to(path).as_posix(), labels[file.parent.name], split)
            for file, split in pictures
        ],
        picture_form,
        class_names=class_names,
        name=name,
        licence=licence,
        left_out={"stray entry": strays},
        wanted=f"class folders with pictures ({', '.join(PICTURE_SUFFIXES)}), alone or in folders "
        "train, validation and test",
        summed=_contents(path, [file for file, _ in pictures]),
    )


def _contents(path: Path, files: Iterable[Path]) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of the files that can be read."""
    for file in files:
        try:
            content = file.read_bytes()
        except PermissionError:  # left out when pictures were read
            continue
        yield file.relative_to(path).as_posix(), content


def _list_pictures(path: Path, strays: list[Path], empty: list[Path]) -> Iterator[tuple[Path, str]]:
    """Yield each picture with the name of its split, "" where there are none, sorted by path."""
    folders = _take(path, Path.is_dir, strays)
    named = [folder for folder in folders if folder.name.lower() in SPLIT_FOLDERS]
    # Beside "invalid", "valid" is a class; where all are called like splits, none is.
    splits = named if named == folders else [each for each in named if not _is_class(each)]
    strays.extend(folder for folder in folders if splits and folder not in splits)
    for parent in splits or [path]:
        for folder in _take(parent, Path.is_dir, strays) if splits else folders:
            pictures = _take(folder, is_picture, strays)
            empty.extend([] if pictures else [folder])
            split = SPLIT_FOLDERS[parent.name.lower()] if splits else ""
            yield from ((picture, split) for picture in pictures)


def _is_class(folder: Path) -> bool:
    """Return whether a folder holds pictures, and no class folders as a split does."""
    entries = list(folder.iterdir())
    return any(map(is_picture, entries)) and not any(map(Path.is_dir, entries))


def is_picture(entry: Path) -> bool:
    """Return whether an entry of a folder is a file with the suffix of a picture."""
    return entry.suffix.lower() in PICTURE_SUFFIXES and entry.is_file()


def _take(path: Path, is_wanted: Callable[[Path], bool], strays: list[Path]) -> list[Path]:
    """Return what is wanted in a folder, sorted; anything else and hidden entries are strays."""
    taken: list[Path] = []
    for entry in sorted(path.iterdir(), key=lambda entry: entry.name):  # on any system
        is_taken = is_wanted(entry) and not entry.name.startswith(".")
        (taken if is_taken else strays).append(entry)
    return taken


def check_found_names(names: Sequence[str], what: str) -> None:
    """Refuse names on disk that can be no classes, with a message that begins with `what`."""
    try:
        check_class_names(names)
    except ValueError as error:
        raise ValueError(f"{what} {error}") from error
