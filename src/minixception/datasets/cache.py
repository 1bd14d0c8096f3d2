"""Data sets kept on disk as arrays, so that each is parsed once.

A cache file is an uncompressed `.npz`. It is used only if its fingerprint (source path and content,
loader version, options) matches and its arrays have their checksums; a damaged one is rebuilt with
a warning. A cache that cannot be written costs a warning, never a result.
"""

import hashlib
import json
import logging
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from minixception.bounds import most_unpacked, too_much
from minixception.datasets.face_dataset import FaceDataset
from minixception.files import (
    atomic_path,
    cache_folder,
    content_checksum,
    file_checksum,
    files_below,
)

_LOGGER = logging.getLogger(__name__)

Arrays = dict[str, np.ndarray]

_FACTS = "facts"
_ATTRIBUTE = "attribute "
_DESCRIPTION = ("class_names", "name", "licence", "checksum", "dropped")
# Everything that `numpy.load` and `zipfile` raise on damaged bytes.
_DAMAGE = (
    *(OSError, ValueError, LookupError, EOFError, RuntimeError, SyntaxError, TypeError),
    *(MemoryError, struct.error, zipfile.BadZipFile, zlib.error),  # RuntimeError: an unknown method
    AttributeError,  # a single array in place of an archive, with Python 3.10
)


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any]) -> None:
    """Write arrays and plain facts about them, whole or not at all."""
    # With the names of the arrays, since a damaged zip directory may end early.
    text = json.dumps({**facts, "arrays": list(arrays)})
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        np.savez(stream, **{_FACTS: np.array(text)}, **arrays)  # type: ignore[arg-type]


def read_arrays(path: Path) -> tuple[Arrays, dict[str, Any]]:
    """Read what `write_arrays` wrote: the arrays in their order, and the facts.

    Raises:
        ValueError: if the file is damaged, wherever that is.
        OSError: if it cannot be opened.
    """
    with path.open("rb") as stream:
        try:
            if not zipfile.is_zipfile(stream):  # NumPy would advise to read it as a pickle
                raise zipfile.BadZipFile("it is not a complete .npz file")
            stream.seek(0)
            with np.load(stream, allow_pickle=False) as archive:
                sizes = [member.file_size for member in archive.zip.infolist()]
                if sum(sizes) > most_unpacked(path.stat().st_size):
                    raise too_much("it")
                facts = json.loads(str(archive[_FACTS]))
                # A state of an earlier version does not name its arrays.
                names = facts.pop("arrays", [name for name in archive.files if name != _FACTS])
                return {name: archive[name] for name in names}, facts
        except _DAMAGE as error:
            raise ValueError(f"{path} is damaged ({error})") from error


def cached_dataset(
    path: Path,
    make: Callable[[], FaceDataset],
    *,
    loader: str,
    version: int,
    options: Mapping[str, object] | None = None,
    use_cache: bool = True,
) -> FaceDataset:
    """Read a data set from the cache; make and store it if it is not there.

    `path` is an existing file or folder, which `make` reads; splits are drawn later. A loader
    raises its `version` when what it returns changes; `options`, plain data, change the faces.
    """
    if not use_cache:
        return make()
    try:
        folder = cache_folder()
    except FileNotFoundError as error:
        _LOGGER.warning("Nothing is cached. %s", error)
        return make()
    # The file is named by these, so that a newer version replaces an older one.
    stable = {"path": str(path.resolve()), "loader": loader, "options": dict(options or {})}
    digest = hashlib.sha256(json.dumps(stable, sort_keys=True).encode()).hexdigest()
    if path.is_dir():
        files = files_below(path)
        source = content_checksum((name, file_checksum(path / name).encode()) for name in files)
    else:
        source = file_checksum(path)
    facts = {
        "fingerprint": json.dumps({**stable, "version": version, "source": source}, sort_keys=True)
    }
    file = folder / f"{loader}-{digest[:16]}.npz"
    try:
        if file.is_file():
            arrays, stored = read_arrays(file)
            if stored == facts:
                return _from_arrays(arrays)
    except (OSError, ValueError) as error:
        _LOGGER.warning("The cache cannot be read, and is rebuilt: %s", error)
    dataset = make()
    try:
        write_arrays(file, _to_arrays(dataset), facts)
    except OSError as error:
        _LOGGER.warning("The cache cannot be written: %s", error)
    return dataset


def _to_arrays(dataset: FaceDataset) -> Arrays:
    description = {name: getattr(dataset, name) for name in _DESCRIPTION}
    arrays = {"images": dataset.images, "labels": dataset.labels}
    arrays |= {} if dataset.splits is None else {"splits": dataset.splits}
    arrays |= {} if dataset.targets is None else {"targets": dataset.targets}
    attributes = {_ATTRIBUTE + name: values for name, values in dataset.attributes.items()}
    return {"description": np.array(json.dumps(description)), **arrays, **attributes}


def _from_arrays(arrays: Arrays) -> FaceDataset:
    fields: dict[str, Any] = json.loads(str(arrays.pop("description")))
    fields["class_names"] = tuple(fields["class_names"])
    attributes = {
        name.removeprefix(_ATTRIBUTE): arrays.pop(name)
        for name in list(arrays)
        if name.startswith(_ATTRIBUTE)
    }
    return FaceDataset(**(fields | arrays), attributes=attributes)
