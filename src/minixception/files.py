"""Files: written whole or not at all, read patiently, identified by checksums, found by name.

In a checkout, data sets and shipped models are folders beside `src/`; an installed package contains
the shipped models.
"""

import contextlib
import errno
import functools
import hashlib
import logging
import os
import secrets
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TypeVar

from minixception.messages import counted

_Result = TypeVar("_Result")

_LOGGER = logging.getLogger(__name__)

# Too many open files, too little memory, and the errors of a disk or share that goes away.
_PASSING = {
    number
    for name in ("EMFILE", "ENFILE", "ENOMEM", "ENOBUFS", "ENOTCONN", "ESTALE", "EIO", "ENODEV")
    + ("ENXIO", "EREMOTEIO", "ESHUTDOWN", "ETIMEDOUT", "EHOSTDOWN", "EHOSTUNREACH", "ENETDOWN")
    if (number := getattr(errno, name, None)) is not None
}
_OPENCV_NO_MEMORY = -4  # `code` of a cv2.error
# Errors of writing to an open file, which do not name it.
_FULL = (errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC))
LOCK_NAME = ".lock"
_WORKSHOP = ".writing-"
PAUSES = (0.2, 1.0, 3.0)
"""Seconds to wait before each further attempt to read a file."""

# Names in these folders are devices and open files of processes, whatever they look like.
_SYSTEM_FOLDERS = (Path("/dev"), Path("/proc"))


def is_passing(error: BaseException) -> bool:
    """Return whether an error is about the state of the machine rather than about a file.

    Such are too many open files, too little memory, and a disk or share that has gone away, with or
    without the folder of the file.
    """
    if isinstance(error, FileNotFoundError) and error.filename is not None:
        return not Path(os.fsdecode(error.filename)).parent.exists()
    is_system = isinstance(error, OSError) and error.errno in _PASSING
    is_full = isinstance(error, MemoryError) or getattr(error, "code", None) == _OPENCV_NO_MEMORY
    return is_system or is_full


def read_patiently(read: Callable[[], _Result]) -> _Result:
    """Return what `read` returns or raise what it raises, a passing error only in the end."""
    for pause in PAUSES:
        try:
            return read()
        except Exception as error:
            if not is_passing(error):
                raise
        time.sleep(pause)
    return read()


def walk_files(
    folder: Path,
    links: list[Path],
    fail: Callable[[OSError], None],
    *,
    skips: Callable[[str], bool] | None = None,
) -> Iterator[Path]:
    """Yield the paths below a folder that are not folders.

    Links to folders are not followed but appended to `links`; `fail` is called if a folder cannot
    be listed; folders with names for which `skips` is true are left out.
    """
    for place, folders, names in os.walk(folder, onerror=fail):
        folders[:] = [name for name in folders if skips is None or not skips(name)]
        links += [each for each in map(Path(place).joinpath, folders) if each.is_symlink()]
        yield from map(Path(place).joinpath, names)


def files_below(folder: Path) -> list[str]:
    """Return the paths of all files in a folder, sorted; links to folders are only logged.

    Raises:
        OSError: if a folder cannot be listed.
    """

    def fail(error: OSError) -> None:
        raise error

    links: list[Path] = []
    files = sorted(walk_files(folder, links, fail), key=lambda file: file.parts)  # on any system
    if links:
        _LOGGER.warning("Left out %s to folders, such as %s", counted(len(links), "link"), links[0])
    return [file.relative_to(folder).as_posix() for file in files if file.is_file()]


def is_special_file(path: str | Path) -> bool:
    """Return whether a path is a pipe or device, or in a folder of the system's own."""
    path = Path(path)
    places = Path(os.path.realpath(path.parent)), Path(os.path.realpath(path)).parent
    is_special = path.exists() and not (path.is_file() or path.is_dir())
    return is_special or any(
        folder in _SYSTEM_FOLDERS or _SYSTEM_FOLDERS[1] in folder.parents for folder in places
    )


def refuse_special_file(path: str | Path) -> None:
    """Raise ValueError for a pipe or device, such as /dev/null: a new file would take its place."""
    if is_special_file(path):
        raise ValueError(
            f"What is written must be a file; give the name of one. Received: {path}, a pipe or "
            "device"
        )


def refuse_link(path: str | Path) -> None:
    """Raise ValueError for a symbolic or hard link, by which another file would be overwritten.

    Somebody may have put it in place of a hidden file. Pipes and devices are refused too.
    """
    path = Path(path)
    refuse_special_file(path)
    if path.is_symlink() or (path.is_file() and path.stat().st_nlink > 1):
        raise ValueError(
            f"{path} is a link to another file, which would be overwritten: delete the link"
        )


def open_grown(path: Path) -> IO[bytes]:
    """Open a hidden file to read and append to, made if need be.

    Raises:
        OSError: if it cannot be opened, or has become a link since `refuse_link`.
    """
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    return os.fdopen(os.open(path, flags, 0o666), "r+b", buffering=0)


def make_folder(folder: Path) -> None:
    """Make a folder with its parents; raise ValueError for one named ~, which is not the home."""
    if folder.parts[:1] == ("~",) and not Path("~").exists():
        raise ValueError(f"{folder} is not in the home folder: give its `Path.expanduser()`")
    folder.mkdir(parents=True, exist_ok=True)


@contextmanager
def naming(file: object) -> Iterator[None]:
    """Name an open file in errors of writing to it, which do not."""
    try:
        yield
    except OSError as error:
        error.filename = str(file)
        raise


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Give a temporary path to write to; it replaces `path` unless there is an exception.

    It has the same name, since many writers choose the format by it. Missing parent folders are
    made.

    Raises:
        OSError: if the folder cannot be written to.
        ValueError: if `path` is a pipe or device.
    """
    path = Path(path)
    refuse_special_file(path)
    make_folder(path.parent)
    with _workshop(path.parent, path) as folder:
        temporary = folder / path.name
        yield temporary
        temporary.replace(path)


@contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """Give an empty temporary folder; unless there is an exception, its files appear in `path`.

    A new folder appears whole, in one step. In an existing one each file is replaced in one step,
    in reverse order of their names, so a `card.json` comes after its model; other files stay.

    Raises:
        OSError: if the folder, or its parent, cannot be written to.
    """
    path = Path(path)
    # A folder may be a file system of its own, between which files cannot be renamed.
    place = path if path.is_dir() else path.parent
    make_folder(place)
    with _workshop(place, path) as folder:
        contents = folder / "contents"
        contents.mkdir()
        yield contents
        if not path.exists():
            contents.replace(path)
            return
        for file in sorted(contents.iterdir(), reverse=True):
            file.replace(path / file.name)


@contextmanager
def _workshop(place: Path, path: Path) -> Iterator[Path]:
    """Give a new hidden folder in which to write what becomes `path`.

    It is locked while the writer lives; see `remove_leftovers`.
    """
    from filelock import FileLock

    _remove_leftovers_once(os.path.realpath(place), os.getpid())
    try:
        folder = place / (_WORKSHOP + secrets.token_hex(4))
        # Its owner's alone; on Windows what is moved out of such a folder would stay so.
        folder.mkdir(0o777 if os.name == "nt" else 0o700)
        lock = FileLock(folder / LOCK_NAME, blocking=False)
        try:
            with contextlib.suppress(OSError):  # a file system without locks
                lock.acquire()
            yield folder
        finally:
            lock.release()
            shutil.rmtree(folder)
    except OSError as error:
        is_unnamed = error.filename is None and error.errno in _FULL
        if is_unnamed or (_WORKSHOP in str(error.filename) and error.filename2 is None):
            error.filename = str(path)  # the name that the user knows
        raise


def remove_leftovers(*folders: str | Path) -> None:
    """Remove what killed writers left unfinished in these folders.

    What another writer is working on is locked and stays; so does what cannot be removed.
    """
    from filelock import FileLock, Timeout

    for unfinished in (each for folder in folders for each in Path(folder).glob(_WORKSHOP + "*")):
        lock = unfinished / LOCK_NAME
        with contextlib.suppress(OSError, ValueError, Timeout):
            refuse_link(unfinished)
            refuse_link(lock)
            if lock.is_file():
                with FileLock(lock, blocking=False):
                    pass  # Windows removes no file that is open
                shutil.rmtree(unfinished)
            elif time.time() - unfinished.stat().st_mtime > 2:  # none takes longer to lock
                unfinished.rmdir()


@functools.lru_cache(maxsize=1000)
def _remove_leftovers_once(folder: str, process: int) -> None:
    """Clear a folder when a process first writes to it; looking each time would take too long."""
    remove_leftovers(folder)


def cache_folder() -> Path:
    """Return the cache folder, which need not exist.

    It is $MINIXCEPTION_CACHE, else $XDG_CACHE_HOME/minixception, else ~/.cache/minixception.

    Raises:
        FileNotFoundError: if neither variable is set and the user has no home.
    """
    if chosen := os.environ.get("MINIXCEPTION_CACHE"):
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(base) if base else Path.home() / ".cache") / "minixception"
    except RuntimeError as error:  # no HOME, and a user unknown to the system
        raise FileNotFoundError(
            "There is no home folder for a cache: name a folder in MINIXCEPTION_CACHE"
        ) from error


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
"""Suffixes of files that count as pictures in a folder, in lower case: those of the formats that
`images.read_image` reads, some with an extra."""


def count_suffixes(files: Iterable[Path]) -> str:
    """Return the number of files per suffix, the most frequent first: ".txt 2, no suffix 1"."""
    counts = Counter(file.suffix.lower() or "no suffix" for file in files)
    return ", ".join(f"{suffix} {count}" for suffix, count in counts.most_common())


def find_data(*candidates: str) -> Path:
    """Return the first candidate that exists in `datasets/` here or in the checkout.

    If there is none, return the first, so that the loader's message names it.
    """
    folders = (Path("datasets"), _CHECKOUT / "datasets")
    places = [folder / candidate for folder in folders for candidate in candidates]
    return next((place for place in places if place.exists()), places[0])


def checkout_root() -> Path | None:
    """Return the root of the checkout that this package is imported from, or None."""
    return _CHECKOUT if (_CHECKOUT / "setup.py").is_file() else None


def require_utf8(path: str | Path) -> None:
    """Raise ValueError for a path that is not UTF-8: OpenCV and LiteRT cannot open it, or crash."""
    try:
        str(Path(path).absolute()).encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{path}: the names of videos, models and their folders must be UTF-8; rename it"
        ) from error
