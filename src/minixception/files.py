"""Files: written whole or not at all, locked, read patiently, told by checksums, found by name.

In a checkout data sets and shipped models are top-level folders beside `src/`; in an installed
package the shipped models lie inside it.
"""

import contextlib
import errno
import glob
import hashlib
import logging
import os
import re
import secrets
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
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
# What writing to an open file says, without its name.
_FULL = (errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC))
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


def is_special_file(path: str | Path) -> bool:
    """Tell whether a name stands for a pipe or device, or for what the system puts in its place."""
    path = Path(path)
    places = Path(os.path.realpath(path.parent)), Path(os.path.realpath(path)).parent
    is_special = path.exists() and not (path.is_file() or path.is_dir())
    return is_special or any(
        folder in _SYSTEM_FOLDERS or _SYSTEM_FOLDERS[1] in folder.parents for folder in places
    )


def refuse_special_file(path: str | Path) -> None:
    """Refuse what is no name for a file to write: a new file would take the place of a device.

    Raises:
        ValueError: if `path` is a pipe or device, as /dev/null is, or a name such as /dev/stdout.
    """
    if is_special_file(path):
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
        is_unnamed = error.filename is None and error.errno in _FULL
        if is_unnamed or (error.filename == str(temporary) and error.filename2 is None):
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


def remove_unfinished(path: str | Path) -> None:
    """Remove what killed writers have left of one file, see `atomic_path`; for its sole writer."""
    path = Path(path)
    name = f".{glob.escape(path.stem[:40])}.*{glob.escape(path.suffix[:20])}"
    for file in path.parent.glob(name):
        if re.search(r"\.\d+$", file.name.removesuffix(path.suffix[:20])):
            file.unlink()


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


_LOGGER = logging.getLogger(__name__)


LOCK_NAME = ".lock"


# Some network file systems have no locks.
_IMPOSSIBLE = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL)


@contextmanager
def sole_writer(*paths: str | Path) -> Iterator[None]:
    """Keep every other run away from these files and folders inside the block.

    A folder is locked by a file `.lock` in it, a file by `.NAME.HASH.lock` beside it; parent
    folders are made. The locks go away at the end, and so do folders that this has made and that
    are still empty. A file system without locks costs a warning.

    Args:
        paths: what will be written. A path given twice is locked once.

    Raises:
        BlockingIOError: if another run has one of them.
        ValueError: if somebody has put a link where the file to lock belongs.
        OSError: if a folder cannot be written to.
    """
    locks = {lock_file(path): Path(path) for path in paths}
    with ExitStack() as stack:
        for lock, path in sorted(locks.items()):
            stack.enter_context(_held(lock, path))
        yield


@contextmanager
def own_folder(folder: str | Path) -> Iterator[None]:
    """Make a folder and keep every other run away from it inside the block.

    Folders that this has made and that are still empty at the end go away again.

    Raises:
        BlockingIOError: if another run has it.
        OSError: if it cannot be made or written to.
    """
    with _made(Path(folder)), sole_writer(folder):
        yield


def lock_file(path: str | Path) -> Path:
    """Return the file that is locked for a file or folder; the same for all ways to write it."""
    path = Path(os.path.realpath(path))
    if path.is_dir():
        return path / LOCK_NAME
    digest = hashlib.blake2b(os.fsencode(path.name), digest_size=4).hexdigest()
    return path.with_name(f".{path.name[:40]}.{digest}{LOCK_NAME}")


@contextmanager
def _made(folder: Path) -> Iterator[None]:
    """Make a folder with its parents; those of them that are empty at the end go away again."""
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    finally:
        for place in missing:
            with contextlib.suppress(OSError):  # not empty, or gone
                place.rmdir()


@contextmanager
def _held(lock: Path, path: Path) -> Iterator[None]:
    from filelock import FileLock, Timeout

    refuse_link(lock)
    file_lock = FileLock(lock, blocking=False)
    with _made(lock.parent):
        try:
            file_lock.acquire()
        except Timeout as error:
            raise BlockingIOError(
                f"{path} is being written by another run. Wait for it, or give another output."
            ) from error
        except OSError as error:
            if error.errno not in _IMPOSSIBLE:
                raise
            _LOGGER.warning("%s is not locked against other runs: %s", path, error.strerror)
        try:
            yield
        finally:
            # First the name, then the lock: a run that comes between sees that its file is gone.
            with contextlib.suppress(OSError):  # Windows keeps open files; the folder may be gone
                lock.unlink()
            file_lock.release()


def cache_folder() -> Path:
    """Return the cache folder, which need not exist.

    It is $MINIXCEPTION_CACHE, else $XDG_CACHE_HOME/minixception, else ~/.cache/minixception.
    """
    chosen = os.environ.get("MINIXCEPTION_CACHE")
    if chosen:
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "minixception"


_BLOCK_BYTES = 1 << 20


def file_checksum(path: str | Path) -> str:
    """Return "md5:..." of the content of a file, read in blocks."""
    digest = hashlib.md5(usedforsecurity=False)
    with Path(path).open("rb") as stream:
        while block := stream.read(_BLOCK_BYTES):
            digest.update(block)
    return f"md5:{digest.hexdigest()}"


def content_checksum(named_contents: Iterable[tuple[str, bytes]]) -> str:
    """Return "md5:..." over the names and contents of many files, in the order given."""
    digest = hashlib.md5(usedforsecurity=False)
    for name, content in named_contents:
        digest.update(f"{name}\0{len(content)}\0".encode(errors="surrogateescape"))
        digest.update(content)
    return f"md5:{digest.hexdigest()}"


_PACKAGE = Path(__file__).resolve().parent


_CHECKOUT = _PACKAGE.parents[1]


PICTURE_SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".bmp", ".dib", ".gif"),
    *(".ppm", ".pgm", ".pbm", ".pnm", ".tif", ".tiff", ".webp", ".avif", ".heic", ".heif"),
)
"""Names of files that count as pictures where a folder is searched, in lower case: those of the
formats that `images.read_image` reads, or says what it needs for."""


def count_suffixes(files: Iterable[Path]) -> str:
    """Return how many files end in what, the most frequent first: ".txt 2, no suffix 1"."""
    counts = Counter(file.suffix.lower() or "no suffix" for file in files)
    return ", ".join(f"{suffix} {count}" for suffix, count in counts.most_common())


def find_data(*candidates: str) -> Path:
    """Return the first candidate that exists in `datasets/` here or in the checkout.

    Where none exists it returns the first, so that the loader's message names it.
    """
    folders = (Path("datasets"), _CHECKOUT / "datasets")
    for folder in folders:
        for candidate in candidates:
            if (folder / candidate).exists():
                return folder / candidate
    return folders[0] / candidates[0]


def checkout_root() -> Path | None:
    """Return the root of the checkout that this package is imported from, or None."""
    return _CHECKOUT if (_CHECKOUT / "setup.py").is_file() else None


def require_utf8(path: str | Path) -> None:
    """Refuse a name that OpenCV and LiteRT, which take it for UTF-8, cannot open, or crash on.

    Raises:
        ValueError: if it, or that of a folder above, is not UTF-8.
    """
    try:
        str(Path(path).absolute()).encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{path}: the names of videos, models and their folders must be UTF-8; rename it"
        ) from error
