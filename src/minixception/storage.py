"""Writing files so that a reader never sees half of one."""

import glob
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside `path` to write to; rename it to `path` when all went well.

    The temporary name keeps the suffix, since many writers choose the format by it. Missing parent
    folders are made. After an exception the temporary file is gone and `path` is as it was.

    Args:
        path: the file that shall appear, or be replaced, in one step.

    Yields:
        A path in the same folder, where no file exists yet.

    Raises:
        OSError: where the folder cannot be written to.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem[:40]}.{os.getpid()}{path.suffix}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """Give an empty temporary folder; when all went well its files appear in `path`.

    A folder that does not exist yet appears whole, in one step. In one that exists, each file is
    replaced in one step, in reverse order of their names, so that a `card.json` comes after its
    model; files that were not written stay.

    Yields:
        A temporary folder beside `path`.

    Raises:
        OSError: where the parent folder cannot be written to.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name[:40]}.") as temporary:
        contents = Path(temporary) / "contents"
        contents.mkdir()
        yield contents
        if not path.exists():
            contents.replace(path)
            return
        for file in sorted(contents.iterdir(), reverse=True):
            file.replace(path / file.name)


def remove_leftovers(folder: str | Path) -> None:
    """Remove what a killed writer of this folder has left unfinished, in it and beside it.

    Only to be called by whoever may write the folder: a writer at work would lose its file.
    """
    folder = Path(folder)
    for file in folder.glob(".*"):
        if file.is_file() and re.search(r"\.\d+\.\w+$", file.name):  # see `atomic_path`
            file.unlink()
    for unfinished in folder.glob(".writing-????????"):  # see `images.write_image`
        shutil.rmtree(unfinished)
    for unfinished in folder.parent.glob(f".{glob.escape(folder.name[:40])}.????????"):
        if (unfinished / "contents").is_dir():  # see `atomic_folder`
            shutil.rmtree(unfinished)
