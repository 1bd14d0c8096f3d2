"""Writing files so that a reader never sees half of one."""

import errno
import glob
import os
import re
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TypeVar

_Result = TypeVar("_Result")

# Too many open files, memory, and what a network share or a disk says that is going away.
_PASSING = {
    number
    for name in ("EMFILE", "ENFILE", "ENOMEM", "ENOBUFS", "ENOTCONN", "ESTALE", "EIO", "ENODEV")
    + ("ENXIO", "EREMOTEIO", "ESHUTDOWN", "ETIMEDOUT", "EHOSTDOWN", "EHOSTUNREACH", "ENETDOWN")
    if (number := getattr(errno, name, None)) is not None
}
PAUSES = (0.2, 1.0, 3.0)
"""Seconds to wait before each further attempt to read a file."""

# Where names stand for devices and open files of a process, whatever they seem to be.
_SYSTEM_FOLDERS = (Path("/dev"), Path("/proc"))


def is_passing(error: BaseException) -> bool:
    """Tell whether an error says something of the machine at this moment, nothing of a file.

    Such are too many open files, too little memory, and a disk or a share that has gone away, with
    or without the folder of the file.
    """
    if isinstance(error, FileNotFoundError) and error.filename is not None:
        return not Path(os.fsdecode(error.filename)).parent.exists()
    is_system = isinstance(error, OSError) and error.errno in _PASSING
    return is_system or isinstance(error, MemoryError)


def read_patiently(read: Callable[[], _Result]) -> _Result:
    """Return what `read` returns, after up to three pauses where it meets a passing error.

    Raises:
        Exception: whatever `read` raises: another error at once, a passing one at the last attempt.
    """
    for pause in PAUSES:
        try:
            return read()
        except (OSError, MemoryError) as error:
            if not is_passing(error):
                raise
        time.sleep(pause)
    return read()


def refuse_special_file(path: str | Path) -> None:
    """Refuse what is no name for a file to write: a new file would take the place of a device.

    Raises:
        ValueError: if `path` is a pipe or device, as /dev/null is, or a name such as /dev/stdout.
    """
    path = Path(path)
    folder = Path(os.path.realpath(path.parent))
    is_special = path.exists() and not (path.is_file() or path.is_dir())
    if is_special or folder in _SYSTEM_FOLDERS or _SYSTEM_FOLDERS[1] in folder.parents:
        raise ValueError(
            f"What is written must be a file; give the name of one. Received: {path}, a pipe or "
            "device"
        )


def refuse_link(path: str | Path) -> None:
    """Refuse a hidden file that somebody may have put there, so that another one is overwritten.

    Raises:
        ValueError: if `path` is a link, has a second name, or is no file; see
            `refuse_special_file`.
    """
    path = Path(path)
    refuse_special_file(path)
    if path.is_symlink() or (path.is_file() and path.stat().st_nlink > 1):
        raise ValueError(
            f"{path} is a link to another file, which would be overwritten: delete the link"
        )


def open_grown(path: Path) -> IO[bytes]:
    """Open a hidden file to read and grow it, made if need be; a link is not followed.

    Raises:
        OSError: if it cannot be opened, or has become a link since `refuse_link`.
    """
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    return os.fdopen(os.open(path, flags, 0o666), "r+b", buffering=0)


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
        ValueError: if `path` is a pipe or device.
    """
    path = Path(path)
    refuse_special_file(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # A number of its own: threads, and runs on several machines, may write the same file.
    number = secrets.randbelow(10**12)
    temporary = path.with_name(f".{path.stem[:40]}.{number}{path.suffix[:20]}")
    try:
        yield temporary
        temporary.replace(path)
    except OSError as error:
        if error.filename == str(temporary) and error.filename2 is None:
            error.filename = str(path)  # the name that the user has given
        raise
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """Give an empty temporary folder; when all went well its files appear in `path`.

    A folder that does not exist yet appears whole, in one step. In one that exists, each file is
    replaced in one step, in reverse order of their names, so that a `card.json` comes after its
    model; files that were not written stay.

    Yields:
        A temporary folder: beside `path`, or in it if it exists, since it may be a file system of
        its own, between which files cannot be renamed.

    Raises:
        OSError: where the folder, or its parent, cannot be written to.
    """
    path = Path(path)
    place = path if path.is_dir() else path.parent
    place.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place, prefix=f".{path.name[:40]}.") as temporary:
        contents = Path(temporary) / "contents"
        contents.mkdir()
        yield contents
        if not path.exists():
            contents.replace(path)
            return
        for file in sorted(contents.iterdir(), reverse=True):
            file.replace(path / file.name)


def remove_unfinished_pictures(folder: str | Path) -> None:
    """Remove the folders that `images.write_image` leaves in a folder when it is killed.

    Only to be called by whoever may write the folder: a writer at work would lose its picture.
    """
    for unfinished in Path(folder).glob(".writing-????????"):
        if unfinished.is_dir() and not unfinished.is_symlink():
            shutil.rmtree(unfinished)


def remove_leftovers(folder: str | Path) -> None:
    """Remove what a killed writer of this folder has left unfinished, in it and beside it.

    Only to be called by whoever may write the folder: a writer at work would lose its file.
    """
    folder = Path(folder)
    for file in folder.glob(".*"):
        if file.is_file() and re.search(r"\.\d+\.\w+$", file.name):  # see `atomic_path`
            file.unlink()
    remove_unfinished_pictures(folder)
    for place in (folder, folder.parent):
        for unfinished in place.glob(f".{glob.escape(folder.name[:40])}.????????"):
            if (unfinished / "contents").is_dir():  # see `atomic_folder`
                shutil.rmtree(unfinished)
