"""Looking into a Keras file before Keras does: no code, no other files, no more than it holds.

Keras' safe mode refuses a lambda. This refuses, in one place and for both formats, whatever could
run code, read another file or fill the memory: a `.keras` archive or `.hdf5` file holds plain
layers of Keras and the numbers that belong to them, or it is not loaded.
"""

import io
import json
import math
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from minixception.bounds import check_shape, most_unpacked

if TYPE_CHECKING:
    import h5py

METADATA_MEMBER = "metadata.json"
CONFIG_MEMBER = "config.json"
WEIGHTS_MEMBER = "model.weights.h5"
MEMBERS = (METADATA_MEMBER, CONFIG_MEMBER, WEIGHTS_MEMBER)

# The configuration of ResNet-50, the largest of the networks here, has 0.4 million characters.
LARGEST_CONFIG = 16 << 20
# ResNet-152 has 500 layers; each costs milliseconds and some kilobytes, whatever its size.
MOST_LAYERS = 5000
MOST_CALLS = 4 * MOST_LAYERS
HDF5 = b"\x89HDF\r\n\x1a\n"
LITERT = b"TFL3"  # behind four other bytes

# Layers that run code from elsewhere, or read a file that the configuration names.
REFUSED_LAYERS = frozenset(
    {
        *("Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer"),
        *("StringLookup", "IntegerLookup", "TextVectorization", "IndexLookup", "Hashing"),
    }
)
_PARTS = ("layers", "initializers", "regularizers", "constraints")
# Module -> names allowed; None allows the public names of the module. Where no module is named, as
# in .hdf5 files, the name must be one of these modules' too: see `_is_public`.
_MODULES: dict[str, frozenset[str] | None] = {
    **{f"keras.{part}": None for part in _PARTS},
    "keras": frozenset({"DTypePolicy", "Model", "Functional", "Sequential"}),
    "keras.models": frozenset({"Model", "Functional", "Sequential"}),
    "keras.src.models.functional": frozenset({"Functional"}),
    "keras.src.models.sequential": frozenset({"Sequential"}),
}
# What h5py raises on damaged bytes, and `json` for what is nested too deeply.
_DAMAGE = (OSError, LookupError, RuntimeError, TypeError, OverflowError)
_DATA = frozenset({"__keras_tensor__", "__tuple__"})
_MODELS = frozenset({"Model", "Functional", "Sequential", "DTypePolicy"})


def check_model_file(content: bytes) -> tuple[str, int]:
    """Refuse the content of a `.keras` or `.hdf5` file with more than layers and weights.

    These very bytes are to be loaded: the file may be another one by then.

    Returns:
        The suffix by which Keras knows its format, and how many numbers its weights hold.

    Raises:
        ValueError: if it holds another layer than Keras' own, code, a member that does not belong
            there, a link to another file, or unpacks to far more than its size; if it could be
            taken for a file of two kinds; or is damaged.
    """
    try:
        kind = require_kind(content, ".keras", ".hdf5")
        return kind, _check_archive(content) if kind == ".keras" else _check_hdf5(content)
    except (*_DAMAGE, zipfile.BadZipFile) as error:
        raise ValueError(f"it is damaged ({error})") from error


@contextmanager
def private_copy(content: bytes, name: str) -> Iterator[Path]:
    """Give a file with this content and name that nobody else can change, for readers by path."""
    with TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_bytes(content)
        yield path


def require_kind(content: bytes, *kinds: str) -> str:
    """Return which of the kinds, among ".keras", ".hdf5" and ".tflite", a model file is.

    Raises:
        ValueError: if it is none, or begins or ends as something else. A ZIP is found from its end
            and HDF5 behind a block of any size: two readers can find two models in one file, and
            then what was checked is not what runs.
    """
    # HDF5 may begin behind nothing, or a block of 512, 1024, 2048 ...
    places = (0, *(512 << power for power in range(40)))
    hdf5_at = [place for place in places if content.startswith(HDF5, place)]
    is_archive, is_litert = zipfile.is_zipfile(io.BytesIO(content)), content[4:8] == LITERT
    facts = {".keras": is_archive, ".hdf5": hdf5_at, ".tflite": is_litert}
    found = [kind for kind, fact in facts.items() if fact]
    if len(found) > 1:
        both = " and ".join(found)
        raise ValueError(f"it is a file of two kinds, {both}; save it again as one of them")
    if not set(found) & set(kinds):
        if ".tflite" in kinds:
            raise ValueError("it is not a LiteRT model")
        raise ValueError("it is neither a .keras archive nor an HDF5 file")
    if (is_archive and not content.startswith(b"PK\3\4")) or (hdf5_at and hdf5_at[0] > 0):
        raise ValueError("there is something before its beginning")
    return found[0]


def _check_archive(content: bytes) -> int:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = archive.infolist()
        if sorted(member.filename for member in members) != sorted(MEMBERS):
            names = ", ".join(member.filename for member in members)
            raise ValueError(f"it must hold {', '.join(MEMBERS)}. Received: {names[:200]}")
        if min(member.header_offset for member in members) > 0:
            raise ValueError("there is something before its beginning")
        limit = most_unpacked(len(content))
        for member in members:
            most = limit if member.filename == WEIGHTS_MEMBER else LARGEST_CONFIG
            if member.file_size > most:
                raise ValueError(
                    f"{member.filename} in it would unpack to {member.file_size} bytes, more than "
                    f"{most}"
                )
        check_config(json.loads(archive.read(CONFIG_MEMBER)))
        return check_tensors(archive.read(WEIGHTS_MEMBER), limit)


def _check_hdf5(content: bytes) -> int:
    import h5py

    count = check_tensors(content, most_unpacked(len(content)))
    with h5py.File(io.BytesIO(content), "r") as file:
        if "model_config" not in file.attrs:
            raise ValueError("it has weights but no network (`model_config`)")
        check_config(json.loads(file.attrs["model_config"]))
    return count


def check_config(config: Any) -> None:
    """Refuse the configuration of a model that names anything but plain parts of Keras.

    Raises:
        ValueError: naming the first part that is refused, or because there are too many.
    """
    if isinstance(config, dict):
        config = {**config, "compile_config": None}  # not used: models load uncompiled
    layers = 0
    for part in _parts(config):
        name, module = part["class_name"], part.get("module")
        if isinstance(module, str | None) and isinstance(name, str) and _is_plain(part):
            layers += _is_public("layers", name)
            if layers > MOST_LAYERS:
                raise ValueError(f"it has more than {MOST_LAYERS} layers")
            continue
        shown = name if module is None else f"{module}.{name}"
        raise ValueError(
            f"it would need {str(shown)[:100]}; only plain layers of Keras are loaded, since "
            "others may run code or read files"
        )


def _parts(config: Any) -> Iterator[dict[str, Any]]:
    """Yield every object, at any depth, that names a class."""
    waiting = [config]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            if "class_name" in value:
                yield value
            for key, entry in value.items():
                if "shape" in key:
                    _check_shape(entry)
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)


def _check_shape(entry: Any) -> None:
    """Refuse the shape of a tensor that no memory holds: a layer may be built by it alone."""
    if isinstance(entry, list) and all(isinstance(size, int | None) for size in entry):
        check_shape("a layer of it", entry)


def _is_plain(part: dict[str, Any]) -> bool:
    name, module = part["class_name"], part.get("module")
    if name in REFUSED_LAYERS or part.get("registered_name") not in (None, name):
        return False
    if module is None:
        return name in _DATA or name in _MODELS or any(_is_public(each, name) for each in _PARTS)
    if module not in _MODULES:
        return False
    allowed = _MODULES[module]
    return _is_public(module.split(".")[1], name) if allowed is None else name in allowed


def _is_public(part: str, name: str) -> bool:
    """Return whether `keras.PART.NAME` is a class."""
    import keras

    return isinstance(getattr(getattr(keras, part), name, None), type)


def check_tensors(content: bytes, limit: int) -> int:
    """Refuse links and data outside an HDF5 file, and tensors of more than `limit` bytes in all.

    Returns:
        How many numbers they hold.

    Raises:
        ValueError: naming what is refused, or because the file is damaged.
    """
    import h5py

    total = count = 0
    try:
        with h5py.File(io.BytesIO(content), "r") as file:
            for name, link, found in _entries(file):
                if not isinstance(link, h5py.HardLink):
                    raise ValueError(f"{name} in it is a link to elsewhere")
                if isinstance(found, h5py.Dataset):
                    if found.external or found.is_virtual:
                        raise ValueError(f"{name} in it lies in another file")
                    count += found.size
                    # A chunk, which may be larger than what is in it, is unpacked as a whole.
                    numbers = max(found.size, math.prod(found.chunks or ()))
                    total += numbers * found.dtype.itemsize
                if total > limit:
                    raise ValueError(f"its tensors would take {total} bytes, more than {limit}")
    except _DAMAGE as error:
        raise ValueError(f"it is damaged ({error})") from error
    return count


def _entries(group: "h5py.Group") -> Iterator[tuple[str, Any, Any]]:
    """Yield name, link and object of everything in the file, each object once; follow no link."""
    import h5py

    seen, waiting = set(), [group]
    while waiting:
        current = waiting.pop()
        for key in current:
            link = current.get(key, getlink=True)
            name = f"{current.name.rstrip('/')}/{key}"
            found = current.get(key) if isinstance(link, h5py.HardLink) else None
            yield name, link, found
            if isinstance(found, h5py.Group) and found.id not in seen:
                seen.add(found.id)
                waiting.append(found)
