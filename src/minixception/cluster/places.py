"""Files and folders by path or URL, on every file system that Arrow or fsspec reaches.

Only the scheme and the host of a URL are parsed; the rest is a name, taken literally, with blanks
and percent signs.
"""

import errno
import math
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from minixception.bounds import LARGEST_PICTURE
from minixception.files import atomic_path, remove_leftovers
from minixception.messages import explain

# The largest picture, uncompressed, with four channels of 16 bits: files are read whole.
_MOST_BYTES = 8 * LARGEST_PICTURE
_UNFINISHED = re.compile(r"\..+\.[0-9a-f]{32}\.part")


def is_url(name: str) -> bool:
    """Tell a URL from a path."""
    return "://" in name


def locate(url: str) -> tuple[Any, str]:
    """Return the file system of a URL, as a `pyarrow.fs.FileSystem`, and the path on it.

    Raises:
        ImportError: if fsspec needs a package for it.
        ValueError: if the scheme is unknown.
    """
    scheme, _, rest = url.partition("://")
    host, _, path = rest.partition("/")
    if "::" in host:
        raise ValueError(f"a URL must name one place, without ::. Received: {url}")
    system, base = _file_system(f"{scheme}://{host}/")
    return system, f"{base}/{path}".rstrip("/")


@lru_cache
def _file_system(root: str) -> tuple[Any, str]:
    import pyarrow
    from pyarrow.fs import FileSystem, FSSpecHandler, PyFileSystem

    # Google's client would try again for many minutes.
    limit = "?retry_limit_seconds=4" * root.startswith(("gs://", "gcs://"))
    try:
        system, base = FileSystem.from_uri(root + limit)
    except (pyarrow.ArrowInvalid, pyarrow.ArrowNotImplementedError, ValueError):
        from fsspec.core import url_to_fs

        try:
            found, base = url_to_fs(root)
        except ValueError as error:
            raise ValueError(f"{root} cannot be read: {explain(error)}") from error
        system = PyFileSystem(FSSpecHandler(found))
    return system, str(base).rstrip("/")


def list_files(url: str) -> tuple[str, list[str]] | None:
    """Return the URL of a folder, and the names of the files below it, unsorted; None for a file.

    A pattern, where ** stands for any folders, names the files that match it below the folder that
    it begins with. An OSError says what cannot be listed.
    """
    import glob

    from pyarrow.fs import FileSelector, FileType

    parts = url.split("/")
    plain = next((i for i, part in enumerate(parts) if glob.has_magic(part)), len(parts))
    if plain < len(parts) and _info(url).type != FileType.NotFound:
        plain = len(parts)  # a name with a bracket
    start = "/".join(parts[:plain]).rstrip("/")
    with _connection(start) as (system, path):
        if plain < len(parts):
            from fsspec.implementations.arrow import ArrowFSWrapper

            pattern = "/".join([path, *parts[plain:]])
            found = ArrowFSWrapper(system).glob(pattern, detail=True)
            files = [name for name, info in found.items() if info["type"] == "file"]
        elif system.get_file_info(path).type != FileType.Directory:
            return None
        else:
            infos = system.get_file_info(FileSelector(path, recursive=True))
            files = [info.path for info in infos if info.type != FileType.Directory]
    return start, [file[len(path) :].lstrip("/") for file in files]


def _info(url: str) -> Any:
    """Return what Arrow knows of a file or folder, which need not exist."""
    with _connection(url) as (system, path):
        return system.get_file_info(path)


@contextmanager
def _connection(url: str) -> Iterator[tuple[Any, str]]:
    """Give what `locate` returns; whatever a library raises becomes an OSError of the URL."""
    system, path = locate(url)
    try:
        yield system, path
    except Exception as error:
        raise OSError(errno.EIO, explain(error), url) from error


def read_bytes(url: str, *, most: float | None = None) -> bytes:
    """Return the content of a file of at most so many bytes, by default those of a picture.

    Raises:
        ValueError: if it is larger.
        OSError: if there is no file to read, or none that can be read now; see `files.is_passing`.
    """
    most = _MOST_BYTES if most is None else most
    system, path = locate(url)
    try:
        with system.open_input_file(path) as file:
            size = file.size()
            content = file.read() if size <= most else b""
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{url}: No such file or directory") from error
    except PermissionError as error:
        raise PermissionError(f"{url}: Permission denied") from error
    except IsADirectoryError as error:
        raise IsADirectoryError(f"{url}: Is a directory") from error
    except Exception as error:  # whatever a library raises when a connection fails
        raise OSError(errno.EIO, explain(error), url) from error
    if size > most:
        raise ValueError(f"{url} must be a file of at most {most} bytes. Received: {size}")
    return content


@dataclass(frozen=True)
class Folder:
    """A folder that all machines see, by path or URL; files appear in it whole, or not at all.

    Its methods raise an OSError for what fails.
    """

    name: str

    def names(self) -> list[str]:
        """Return the names of the files in it, sorted; none if it does not exist."""
        if not is_url(self.name):
            folder = Path(self.name)
            return sorted(file.name for file in folder.iterdir()) if folder.is_dir() else []
        from pyarrow.fs import FileSelector

        with _connection(self.name) as (system, path):
            infos = system.get_file_info(FileSelector(path, allow_not_found=True))
        return sorted(info.base_name for info in infos)

    def make(self) -> None:
        """Make the folder of a URL if need be; `write` makes that of a path."""
        if is_url(self.name):
            with _connection(self.name) as (system, path):
                system.create_dir(path, recursive=True)

    def holds(self, name: str) -> bool:
        """Tell whether there is a file of this name in it."""
        if is_url(self.name):
            return bool(_info(self._url(name)).is_file)
        return Path(self.name, name).is_file()

    def read(self, name: str) -> bytes:
        """Return the content of a file in it."""
        if is_url(self.name):
            return read_bytes(self._url(name), most=math.inf)
        return Path(self.name, name).read_bytes()

    def write(self, name: str, content: bytes) -> None:
        """Write or replace a file in one step; it has a hidden name until it is whole."""
        if not is_url(self.name):
            with atomic_path(Path(self.name, name)) as temporary:
                temporary.write_bytes(content)
            return
        with _connection(self._url(name)) as (system, path):
            folder, _, _ = path.rpartition("/")
            hidden = f"{folder}/.{name}.{uuid.uuid4().hex}.part"
            try:
                with system.open_output_stream(hidden) as stream:
                    stream.write(content)
                system.move(hidden, path)
            except BaseException:
                with suppress(Exception):  # it may not be there
                    system.delete_file(hidden)
                raise

    def clear(self) -> None:
        """Remove what killed writers left unfinished; what cannot be removed stays."""
        if not is_url(self.name):
            remove_leftovers(self.name)
            return
        with suppress(OSError), _connection(self.name) as (system, path):
            for name in filter(_UNFINISHED.fullmatch, self.names()):
                system.delete_file(f"{path}/{name}")

    def _url(self, name: str) -> str:
        return self.name + "/" * (not self.name.endswith("/")) + name
