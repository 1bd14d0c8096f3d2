"""How much a file may ask for: the contents of packed files, the scans of a picture."""

import bz2
import gzip
import io
import lzma
import math
import re
import struct
import tarfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any

LARGEST_MEMBER = 64 << 20
"""Bytes of a picture or a table, at most."""

ALLOWED_ANYWAY = 64 << 20  # bytes, of what any packed file holds

LARGEST_PICTURE = 178_956_970  # pixels: Pillow's own bound
MOST_SCANNED = 16 * LARGEST_PICTURE  # pixels times scans: some ten seconds
LARGEST_READ_WHOLE = 4 * LARGEST_PICTURE  # bytes: more than its pixels take

LARGEST_LAYER = 1 << 28
"""Numbers that a layer of a network may take or give for one face: 1 GB of them."""

_JPEG_MARKER = re.compile(rb"\xff[\xc0-\xcf\xd9-\xfe]")  # those with a length, and the end
_PACKED_VARIABLE = 15  # miCOMPRESSED, in a MATLAB file of version 5
_OPENERS: dict[bytes, Callable[..., Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\0": lzma.open,
}
_DAMAGE = (EOFError, zlib.error, gzip.BadGzipFile, lzma.LZMAError, tarfile.TarError)


def most_unpacked(size: int) -> int:
    """Return how many bytes a packed file of this size may hold in all.

    Pictures and weights hardly compress, tables of pixels to a quarter. A small file may be all
    zeros, so 64 MB are allowed in any case.
    """
    return ALLOWED_ANYWAY + 8 * size


def check_shape(what: str, shape: Iterable[int | None]) -> None:
    """Raise ValueError for a tensor of more than `LARGEST_LAYER` numbers; None is any size."""
    sizes = [None if size is None else int(size) for size in shape]
    if math.prod(1 if size is None else size for size in sizes) > LARGEST_LAYER:
        raise ValueError(
            f"{what} has the shape {sizes}, more than {LARGEST_LAYER} numbers for a face"
        )


def too_much(name: str) -> ValueError:
    """Return the error for a packed file that holds, or claims to hold, more than it may."""
    return ValueError(
        f"{name} would unpack to more than 8 times its size and 64 MB: it is not read"
    )


class _Bounded(io.RawIOBase):
    """Reads from a stream up to a bound."""

    def __init__(self, stream: IO[bytes], most: int, name: str) -> None:
        self._stream, self._left, self._name = stream, most, name

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "bytearray") -> int:  # type: ignore[override]
        data = self._stream.read(len(buffer))
        self._left -= len(data)
        if self._left < 0:
            raise too_much(self._name)
        buffer[: len(data)] = data
        return len(data)


@contextmanager
def open_unpacked(path: Path) -> Iterator[IO[bytes]]:
    """Open a file to read, through gzip, bzip2 or xz if its first bytes say so.

    Raises:
        ValueError: if a packed file is damaged, or holds more than `most_unpacked`.
        OSError: if it cannot be read.
    """
    with path.open("rb") as stream:
        head = stream.read(6)
        stream.seek(0)
        opener = next((each for magic, each in _OPENERS.items() if head.startswith(magic)), None)
        if opener is None:
            yield stream
            return
        most = most_unpacked(path.stat().st_size)
        with opener(stream, "rb") as unpacked:
            try:
                yield io.BufferedReader(_Bounded(unpacked, most, str(path)))  # type: ignore[type-var]
            except (*_DAMAGE, OSError) as error:
                if isinstance(error, OSError) and error.errno is not None:
                    raise  # from the system; errors of the unpackers have no number
                raise ValueError(
                    f"{path} is a truncated or damaged gzip, bzip2 or xz file; get it again. "
                    f"Received: {error}"
                ) from error


def tar_contents(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of each file in a tar archive, compressed or not.

    Nothing is unpacked to disk, so the names can do no harm; links are skipped.

    Yields:
        The path in the archive, parts joined by "/", and the content, or b"" if that is larger than
        `LARGEST_MEMBER`.

    Raises:
        ValueError: if it is no whole tar archive, or its members, with their headers, would unpack
            to more than `most_unpacked`.
        OSError: if it cannot be read.
    """
    try:
        with open_unpacked(path) as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
            left = most_unpacked(path.stat().st_size)
            for member in archive:
                # Skipping it takes time by the size it claims; a sparse one has holes of any size.
                left -= member.size
                if left < 0:
                    raise too_much(str(path))
                if member.isreg():
                    # It may claim any size and hold nothing.
                    is_small = member.size <= LARGEST_MEMBER
                    content = archive.extractfile(member) if is_small else None
                    name = PurePosixPath(member.name).as_posix()
                    yield name, b"" if content is None else content.read()
                archive.members.clear()  # type: ignore[attr-defined]
    except tarfile.TarError as error:
        raise ValueError(f"{path} must be a folder or a whole tar archive. {error}") from error


def check_mat_size(path: Path) -> None:
    """Raise ValueError for a MATLAB 5 file that would unpack to more than `most_unpacked`."""
    left = most_unpacked(path.stat().st_size)
    with path.open("rb") as file:
        order = ">" if file.read(128)[126:] == b"MI" else "<"
        while len(tag := file.read(8)) == 8:
            kind, size = struct.unpack(f"{order}II", tag)
            if kind != _PACKED_VARIABLE:
                file.seek(size, io.SEEK_CUR)
                continue
            unpacker, packed = zlib.decompressobj(), file.read(size)
            try:
                while packed and left > 0:
                    left -= len(unpacker.decompress(packed, 1 << 20))
                    packed = unpacker.unconsumed_tail
            except zlib.error:
                return  # the reader will say so
            if left <= 0:
                raise too_much(str(path))


def check_read_whole(size: int, name: str) -> None:
    """Raise ValueError for a huge picture file of a kind that Pillow reads at once."""
    if size > LARGEST_READ_WHOLE:
        raise ValueError(
            f"{name} must be at most {LARGEST_READ_WHOLE} bytes in a format that is read at once. "
            f"Received: {size} bytes"
        )


def check_scans(file: IO[bytes], pixels: int) -> None:
    """Raise ValueError for a JPEG with a thousand scans; a usual one has 1 to 14.

    Each scan takes the time of a picture. Pillow has no bound; libtiff's is 100.
    """
    place = file.tell()
    file.seek(0)
    scans, most = 0, min(100, MOST_SCANNED // max(pixels, 1))
    for marker in _jpeg_markers(file):
        scans += marker == b"\xff\xda"
        if scans > most:
            raise ValueError(f"it has more than {most} scans")
    file.seek(place)


def _jpeg_markers(file: IO[bytes]) -> Iterator[bytes]:
    """Yield the markers up to the end of the picture: a film of any size may follow it."""
    content, end = b"", 0
    while block := file.read(1 << 20):
        content, end = content[end:] + block, max(end - len(content), 0)
        while marker := _JPEG_MARKER.search(content, end):
            end = marker.start()
            if marker[0] == b"\xff\xd9":
                return
            if len(content) < marker.end() + 2:  # its length is in the next block
                break
            end = marker.end() + int.from_bytes(content[marker.end() : marker.end() + 2], "big")
            yield marker[0]
        else:
            end = max(end, len(content) - 1)
