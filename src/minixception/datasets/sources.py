"""Files of a folder or of a tar archive, under the names that they have inside it."""

import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from minixception.storage import is_passing

LARGEST_FILE = 64 << 20
"""Bytes of a picture or a table, at most."""


def named_contents(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of each file in a folder or a tar archive.

    An archive (also a compressed one) is read without unpacking, so that nothing in it can land
    outside a folder, and links in it lead nowhere.

    Args:
        path: An existing folder or archive.

    Yields:
        The path inside the folder or archive, parts joined by "/", and the content; no content
        (b"") where there is more than `LARGEST_FILE`.

    Raises:
        ValueError: `path` is neither a folder nor a whole tar archive.
        OSError: A file cannot be read.
    """
    if path.is_dir():
        for file in sorted(path.rglob("*")):
            if file.is_file():
                is_small = file.stat().st_size <= LARGEST_FILE
                yield file.relative_to(path).as_posix(), file.read_bytes() if is_small else b""
        return
    try:
        with tarfile.open(path, "r:*") as archive:
            for member in archive:
                if not member.isreg():
                    continue
                # An archive may claim a member of any size, and hold none of it.
                content = archive.extractfile(member) if member.size <= LARGEST_FILE else None
                name = PurePosixPath(member.name).as_posix()
                yield name, b"" if content is None else content.read()
    except (tarfile.TarError, EOFError, OSError) as error:
        if is_passing(error):
            raise
        raise ValueError(f"{path} must be a folder or a whole tar archive. {error}") from error
