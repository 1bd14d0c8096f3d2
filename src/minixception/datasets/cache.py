"""Data sets kept on disk as arrays, so that each is parsed once.

A cache file is an uncompressed `.npz`. It is trusted only when its fingerprint (source path, size,
modification time, loader version, options) matches and the checksums of its arrays hold; any other
file is rebuilt with a warning. A cache that cannot be written costs a warning, never a result.
"""

import hashlib
import json
import logging
import os
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from minixception.datasets.face_dataset import FaceDataset
from minixception.files import atomic_path, cache_folder

_LOGGER = logging.getLogger(__name__)

Arrays = dict[str, np.ndarray]

_FINGERPRINT = "fingerprint"
_ATTRIBUTE = "attribute "
# Everything that `numpy.load` and `zipfile` raise on damaged bytes.
_DAMAGE = (
    *(OSError, ValueError, LookupError, EOFError, RuntimeError, SyntaxError, TypeError),
    *(MemoryError, struct.error, zipfile.BadZipFile, zlib.error),
)


def cached_dataset(
    path: Path,
    make: Callable[[], FaceDataset],
    *,
    loader: str,
    version: int,
    options: Mapping[str, object] | None = None,
    use_cache: bool = True,
) -> FaceDataset:
    """Read a data set from the cache; make and store it where the cache has none.

    Args:
        path: An existing source, a file or a folder.
        make: Reads the source; splits that are drawn come later.
        loader: Name of the loader; cache files of different loaders never meet.
        version: Version of the loader, raised when what it returns changes.
        options: Options that change the faces, JSON-serialisable.
        use_cache: False always makes the data set and stores nothing.
    """
    if not use_cache:
        return make()
    fingerprint = source_fingerprint(path, loader=loader, version=version, options=options)
    arrays = load_arrays(fingerprint)
    if arrays is not None:
        return _from_arrays(arrays)
    dataset = make()
    store_arrays(fingerprint, _to_arrays(dataset))
    return dataset


_FACTS = ("class_names", "name", "licence", "checksum", "dropped")


def _to_arrays(dataset: FaceDataset) -> Arrays:
    facts = {name: getattr(dataset, name) for name in _FACTS}
    arrays = {"images": dataset.images, "labels": dataset.labels}
    arrays |= {} if dataset.splits is None else {"splits": dataset.splits}
    attributes = {_ATTRIBUTE + name: values for name, values in dataset.attributes.items()}
    return {"facts": np.array(json.dumps(facts)), **arrays, **attributes}


def _from_arrays(arrays: Arrays) -> FaceDataset:
    fields = json.loads(str(arrays["facts"]))
    fields["class_names"] = tuple(fields["class_names"])
    attributes = {
        name.removeprefix(_ATTRIBUTE): values
        for name, values in arrays.items()
        if name.startswith(_ATTRIBUTE)
    }
    fields |= {name: arrays[name] for name in ("images", "labels", "splits") if name in arrays}
    return FaceDataset(**fields, attributes=attributes)


def source_fingerprint(
    path: Path, *, loader: str, version: int, options: Mapping[str, object] | None = None
) -> str:
    """Describe the source and the way it is read as a JSON text; any change makes a new one."""
    description = {
        "path": str(path.resolve()),
        "loader": loader,
        "options": dict(options or {}),
        "version": version,
        "source": _folder_state(path) if path.is_dir() else _file_state(path),
    }
    return json.dumps(description, sort_keys=True)


def _file_state(path: Path) -> str:
    status = path.stat()
    return f"{status.st_size} bytes, modified at {status.st_mtime_ns} ns"


def _folder_state(path: Path) -> str:
    """Condense the names and states of all files below a folder."""
    digest = hashlib.sha256()
    for file in sorted(path.rglob("*")):
        if file.is_file():
            name = os.fsencode(file.relative_to(path))  # which need not be UTF-8
            digest.update(b"%b\0%b\0" % (name, _file_state(file).encode()))
    return digest.hexdigest()


def load_arrays(fingerprint: str) -> Arrays | None:
    """Read the arrays stored under `fingerprint`.

    Returns:
        The arrays by name, or None when there are none, they are out of date or they are damaged
        (the last with a logged warning).
    """
    file = _cache_file(fingerprint)
    try:
        if not file.is_file():
            return None
        with np.load(file, allow_pickle=False) as archive:
            # The names too: damage to the zip directory can make it end early.
            stored, *names = archive[_FINGERPRINT].tolist()
            return {name: archive[name] for name in names} if stored == fingerprint else None
    except _DAMAGE as error:
        _LOGGER.warning("Cache file %s cannot be read and is rebuilt: %s", file, error)
        return None


def store_arrays(fingerprint: str, arrays: Arrays) -> None:
    """Write `arrays` under `fingerprint`, whole or not at all; a failure is logged as a warning."""
    file = _cache_file(fingerprint)
    named_arrays = {_FINGERPRINT: np.array([fingerprint, *arrays]), **arrays}
    try:
        with atomic_path(file) as temporary, temporary.open("wb") as stream:
            np.savez(stream, **named_arrays)  # type: ignore[arg-type]
    except OSError as error:
        _LOGGER.warning("Cache file %s cannot be written: %s", file, error)


def _cache_file(fingerprint: str) -> Path:
    """Name the file by source, loader and options, so that a newer version replaces an older."""
    description = json.loads(fingerprint)
    stable = {key: description[key] for key in ("path", "loader", "options")}
    digest = hashlib.sha256(json.dumps(stable, sort_keys=True).encode()).hexdigest()
    return cache_folder() / f"{description['loader']}-{digest[:16]}.npz"
