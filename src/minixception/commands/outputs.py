"""Outputs that could not be written after the work are refused before it begins."""

import errno
import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from minixception.files import refuse_special_file

STANDARD_OUTPUT = Path("-")

# Form of a table, which is also the option's name -> how the names of such files end.
TABLE_SUFFIXES = {
    "json": (".json",),
    "csv": (".csv",),
    "jsonl": (".jsonl", ".ndjson"),
    "parquet": (".parquet",),
}


def identity(path: str | Path) -> str:
    """Return one path for a file, however its own is written; its case counts where it matters."""
    place = Path(os.path.realpath(path))
    with suppress(OSError, ValueError):  # there is none
        folded = place.with_name(place.name.casefold())
        return str(folded if place.samefile(folded) else place)
    return str(place)


def check_file(
    path: Path,
    option: str,
    *,
    suffixes: Sequence[str] = (),
    apart_from: Mapping[str, Path | None] | None = None,
) -> None:
    """Refuse a path that could not be written as a file; nothing is created.

    It must end in one of the suffixes, if any, in upper or lower case. `apart_from` says what each
    other file is -> that file, which must not be overwritten.
    """
    if path.is_dir():
        raise ValueError(f"{option} must name a file. Received: the folder {path}")
    refuse_special_file(path)
    if suffixes and path.suffix.lower() not in suffixes:
        raise ValueError(
            f"{option} must be a file ending in {' or '.join(suffixes)}. Received: {path}"
        )
    for other, taken in (apart_from or {}).items():
        if taken is not None and identity(path) == identity(taken):
            raise ValueError(f"{option} must be another file than {other}. Received: {path}")
    _check_place(path.parent, path)


def check_folder(path: Path, option: str) -> None:
    """Refuse a path that could not be written as a folder, or is named like a file: `.pdf`, `-`.

    Nothing is created. A name such as `rate_0.5` is fine.
    """
    is_file_name = path == STANDARD_OUTPUT or re.fullmatch(r"\.[A-Za-z]\w*", path.suffix)
    if not path.is_dir() and (path.exists() or is_file_name):
        raise NotADirectoryError(
            f"{option} must be a folder; one named like a file has to be there already. "
            f"Received: {path}"
        )
    _check_place(path, path)


def _check_place(folder: Path, named: Path) -> None:
    """Refuse a folder that cannot be written to, or cannot be created."""
    places = (folder.absolute(), *folder.absolute().parents)
    existing = next(place for place in places if place.exists())
    if not existing.is_dir():
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(existing))
    if not os.access(existing, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(named))
