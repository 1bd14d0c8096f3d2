"""A split of class folders kept as text, one line per picture: path, blank, label.

The index of a set is a folder of UTF-8 text files: `classes.txt`, `train.txt`, `test.txt` and
perhaps `validation.txt`, which may be called as folders of splits are, `val.txt`. A line of a split
is `happy/0001.png 3`: the path below the root of the pictures, joined by "/", one blank, and the
label, which is the number of a line in `classes.txt`, counted from 0. The last blank divides the
line, since paths may hold blanks, too. Caffe's image lists have this form.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from minixception.datasets.face_dataset import FaceDataset, split_names, stratified_split
from minixception.datasets.folders import SPLIT_FOLDERS, check_found_names, is_picture
from minixception.datasets.pictures import ListedPicture, PictureForm, read_listed
from minixception.datasets.splits import DRAWN_RULE
from minixception.files import atomic_path
from minixception.messages import counted

INDEX_FRACTIONS = {"train": 0.8, "test": 0.2}
"""Shares of each class in report 003."""

CLASSES_FILE = "classes.txt"
INDEX_SPLITS = ("train", "validation", "test")
_ENCODING = {"encoding": "utf-8", "errors": "surrogateescape"}  # any file name survives


def split_per_class(
    dataset: FaceDataset, *, fractions: Mapping[str, float] = INDEX_FRACTIONS, seed: int = 0
) -> FaceDataset:
    """Return the data set with new splits, each with its share of every class."""
    splits = stratified_split(dataset.labels, fractions=fractions, seed=seed)
    return replace(dataset, splits=splits, drawn_splits=tuple(fractions), split_rule=DRAWN_RULE)


def write_split_index(folder: str | Path, dataset: FaceDataset) -> list[Path]:
    """Write which picture of a data set is in which split.

    Args:
        folder: Where the text files go; it is made if need be. Commands find the index if this is
            the root of the pictures.
        dataset: With splits and the attribute "file", as from `load_class_folders` and
            `split_per_class`.

    Returns:
        The files: `classes.txt`, and `SPLIT.txt` for each split. That of a split which the data set
        lacks is removed.

    Raises:
        ValueError: There are no splits or others than `INDEX_SPLITS`, no files, or a name with a
            line break.
        OSError: A file cannot be written.
    """
    splits = split_names(dataset)
    if not splits or not set(splits) <= set(INDEX_SPLITS) or "file" not in dataset.attributes:
        raise ValueError(
            f"`dataset` must have splits among {', '.join(INDEX_SPLITS)} and the attribute 'file', "
            "as from split_per_class(load_class_folders(...)). "
            f"Received: {dataset!r}, {', '.join(splits) or 'no splits'}"
        )
    texts = {CLASSES_FILE: list(dataset.class_names)}
    for split in splits:
        part = dataset.split(split)
        pairs = zip(part.attributes["file"], part.labels, strict=True)
        texts[f"{split}.txt"] = [f"{file} {label}" for file, label in pairs]
    broken = [line for lines in texts.values() for line in lines if "\n" in line or "\r" in line]
    if broken:
        raise ValueError(
            "Names of pictures and classes must not hold a line break; rename the file. "
            f"Received: {broken[0]!r}"
        )
    for name, lines in texts.items():
        with atomic_path(Path(folder) / name) as temporary:
            temporary.write_text("".join(f"{line}\n" for line in lines), newline="\n", **_ENCODING)
    for split in set(INDEX_SPLITS) - set(splits):
        Path(folder, f"{split}.txt").unlink(missing_ok=True)  # of an earlier index
    return [Path(folder) / name for name in texts]


def has_split_index(folder: str | Path) -> bool:
    """Return whether a folder holds an index: `classes.txt` and `train.txt`.

    Raises:
        ValueError: There is only a part of one; its pictures must not be split in another way.
    """
    splits = _split_files(Path(folder))
    has_classes = (Path(folder) / CLASSES_FILE).is_file()
    is_whole = has_classes and "train" in splits.values()
    found = [file.name for file in splits] + [CLASSES_FILE] * has_classes
    if found and not is_whole:
        raise ValueError(
            f"{folder} holds only part of a text index: {CLASSES_FILE}, with a label name per "
            "line, and train.txt must be there. Add what is missing, or move the files away. "
            f"Received: {', '.join(found)}"
        )
    return is_whole


def read_split_index(
    folder: str | Path,
    *,
    root: str | Path | None = None,
    name: str | None = None,
    licence: str = "unknown",
    **form: Any,
) -> FaceDataset:
    """Load the pictures that the index in `folder` names, in the splits that it gives them.

    Paths start from `root`, or without one from `folder`; the other arguments are those of
    `load_class_folders`.

    Returns:
        Rows are in the order of the lines, classes in that of `classes.txt`, and `dropped` also
        counts pictures that are missing, and those in `folder` that the index does not name.

    Raises:
        FileNotFoundError: There is no index.
        ValueError: A line is malformed, leaves the root, names an unknown label or a picture for
            the second time; names in `classes.txt` must be changed; or no picture is left.
    """
    picture_form = PictureForm(**form)
    folder = Path(folder)
    root = folder if root is None else Path(root)
    if not has_split_index(folder):
        raise FileNotFoundError(f"There is no index in {folder}: `write_split_index` writes one.")
    index = folder / CLASSES_FILE
    class_names = _text_lines(index) or [""]
    check_found_names(class_names, f"{index} must hold a different class name in each line.")
    pictures = list(_read_lines(folder, len(class_names)))
    present = [row for row in pictures if (root / row.file).is_file()]
    named, there = ({root / row.file for row in rows} for rows in (pictures, present))
    found = set(filter(is_picture, folder.rglob("*"))) if root == folder else set()
    left_out = {"missing picture": named - there, "not in the index": found - named}
    return read_listed(
        root,
        present,
        picture_form,
        class_names=class_names,
        name=name,
        licence=licence,
        left_out={reason: sorted(files) for reason, files in left_out.items()},
        wanted=f"what the index in {folder} names, {counted(len(pictures), 'picture')}",
    )


def _split_files(folder: Path) -> dict[Path, str]:
    """Return the text file of each split that there is -> its split, in the order of these."""
    files = filter(Path.is_file, sorted(folder.glob("*.txt")))
    splits = {file: SPLIT_FOLDERS.get(file.stem.lower(), "") for file in files}
    return {
        file: split for wanted in INDEX_SPLITS for file, split in splits.items() if split == wanted
    }


def _read_lines(folder: Path, class_count: int) -> Iterator[ListedPicture]:
    """Yield the lines of all splits that there are, in the order of `INDEX_SPLITS`."""
    seen: dict[str, str] = {}
    for index, split in _split_files(folder).items():
        for number, text in enumerate(_text_lines(index), start=1):
            where = f"{index}, line {number}"
            file, _, label = text.rpartition(" ")
            path = Path(file)  # which on Windows may begin with a drive, or have backslashes
            is_label = label.isascii() and label.isdigit() and len(label) < 10
            is_label = is_label and int(label) < class_count
            if not file or path.anchor or ".." in path.parts or not is_label:
                raise ValueError(
                    f"{where}: a path inside the root, one blank and a label from 0 to "
                    f"{class_count - 1} expected. Received: {text[:120]!r}"
                )
            if seen.setdefault(path.as_posix(), where) != where:
                raise ValueError(f"{where}: {file!r} is also in {seen[path.as_posix()]}")
            yield ListedPicture(path.as_posix(), int(label), split)


def _text_lines(file: Path) -> list[str]:
    """Return the lines without their ends, also those of Windows, and without an empty last one."""
    text = file.read_bytes().decode(**_ENCODING).removeprefix("\ufeff")
    return [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")] if text else []
