"""Checksums that name the content of a data set, in the form "md5:...".

MD5 is what the sources publish; here it names a content and guards no secret.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path

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
