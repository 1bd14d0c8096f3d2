"""Locks that keep two runs from writing one file or folder."""

import contextlib
import errno
import hashlib
import logging
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from minixception.files import LOCK_NAME, make_folder, refuse_link

_LOGGER = logging.getLogger(__name__)

# Some network file systems have no locks.
_IMPOSSIBLE = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL)


@contextmanager
def sole_writer(*paths: str | Path) -> Iterator[None]:
    """Keep every other run away from these files and folders inside the block.

    A folder is locked by a file `.lock` in it, a file by `.NAME.HASH.lock` beside it; parent
    folders are made. At the end the locks are removed, and so are the new folders that are empty.
    Locks of killed runs that lie beside them go at the start. On a file system without locks there
    is a warning instead.

    Raises:
        BlockingIOError: if another run has one of them.
        ValueError: if there is a link in place of a lock file.
        OSError: if a folder cannot be written to.
    """
    locks = {lock_file(path): Path(path) for path in paths}
    with ExitStack() as stack:
        for lock, path in sorted(locks.items()):
            stack.enter_context(_held(lock, path))
        for folder in {lock.parent for lock in locks}:
            _remove_leftovers(folder)
        yield


@contextmanager
def own_folder(folder: str | Path) -> Iterator[None]:
    """Make a folder and be its `sole_writer`; at the end, new folders that are empty go."""
    with made(Path(folder)), sole_writer(folder):
        yield


def lock_file(path: str | Path) -> Path:
    """Return the file that is locked for a file or folder, however its path is written."""
    path = Path(os.path.realpath(path))
    if path.is_dir():
        return path / LOCK_NAME
    digest = hashlib.blake2b(os.fsencode(path.name), digest_size=4).hexdigest()
    return path.with_name(f".{path.name[:40]}.{digest}{LOCK_NAME}")


@contextmanager
def made(folder: Path) -> Iterator[None]:
    """Make a folder with its parents; at the end, remove those of them that are empty."""
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    make_folder(folder)
    try:
        yield
    finally:
        for place in missing:
            with contextlib.suppress(OSError):  # not empty, or gone
                place.rmdir()


def _remove_leftovers(folder: Path) -> None:
    """Remove the locks of killed runs, whatever they were writing."""
    from filelock import FileLock, Timeout

    for lock in folder.glob(f".?*.{'[0-9a-f]' * 8}{LOCK_NAME}"):
        with contextlib.suppress(OSError, ValueError, Timeout):
            refuse_link(lock)
            facts = lock.stat()
            # A new one may belong to a run that is about to lock it.
            if not facts.st_size and time.time() - facts.st_mtime > 2:
                with FileLock(lock, blocking=False):
                    lock.unlink()


@contextmanager
def _held(lock: Path, path: Path) -> Iterator[None]:
    from filelock import FileLock, Timeout

    refuse_link(lock)
    file_lock = FileLock(lock, blocking=False)
    with made(lock.parent):
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
            # The name before the lock: a run that locks in between finds its file gone.
            with contextlib.suppress(OSError):  # Windows keeps open files; the folder may be gone
                lock.unlink()
            file_lock.release()
