"""Looking into a Keras file before Keras does: no code, no other files, no more than it holds.

Keras' safe mode refuses a lambda. This refuses, in one place and for both formats, whatever could
run code, read another file or fill the memory: a `.keras` archive or `.hdf5` file holds plain
layers of Keras and the numbers that belong to them, or it is not loaded.
"""

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    import h5py

CONFIG_MEMBER = "config.json"
WEIGHTS_MEMBER = "model.weights.h5"
MEMBERS = ("metadata.json", CONFIG_MEMBER, WEIGHTS_MEMBER)

# The configuration of ResNet-50, the largest of the networks here, has 0.4 million characters.
LARGEST_CONFIG = 16 << 20
# Weights hardly compress; a small file may be all zeros.
LARGEST_EXPANSION = 8
ALWAYS_ALLOWED = 64 << 20

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
_DATA = frozenset({"__keras_tensor__", "__tuple__"})
_MODELS = frozenset({"Model", "Functional", "Sequential", "DTypePolicy"})


def check_model_file(path: str | Path) -> None:
    """Refuse a `.keras` or `.hdf5` file that holds more than layers and weights.

    Args:
        path: an existing file.

    Raises:
        ValueError: if it holds another layer than Keras' own, code, a member that does not belong
            there, a link to another file, or unpacks to far more than its size; or is damaged.
    """
    path = Path(path)
    try:
        if zipfile.is_zipfile(path):
            _check_archive(path)
        else:
            _check_hdf5(path)
    except (OSError, KeyError, RuntimeError, zipfile.BadZipFile) as error:
        raise ValueError(f"it is damaged, or no such file ({error})") from error


def _check_archive(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if sorted(member.filename for member in members) != sorted(MEMBERS):
            names = ", ".join(member.filename for member in members)
            raise ValueError(f"it must hold {', '.join(MEMBERS)}. Received: {names[:200]}")
        limit = _limit(path)
        for member in members:
            most = limit if member.filename == WEIGHTS_MEMBER else LARGEST_CONFIG
            if member.file_size > most:
                raise ValueError(
                    f"{member.filename} in it would unpack to {member.file_size} bytes, more than "
                    f"{most}"
                )
        config = _parsed(archive.read(CONFIG_MEMBER))
        if isinstance(config, dict):
            config = {**config, "compile_config": None}  # not used: models load uncompiled
        check_config(config)
        _check_tensors(io.BytesIO(archive.read(WEIGHTS_MEMBER)), limit)


def _check_hdf5(path: Path) -> None:
    import h5py

    with path.open("rb") as file:
        if file.read(8) != b"\x89HDF\r\n\x1a\n":
            raise ValueError("it is neither a .keras archive nor an HDF5 file")
        _check_tensors(file, _limit(path))
        with h5py.File(file, "r") as content:
            if "model_config" not in content.attrs:
                raise ValueError("it has weights but no network (`model_config`)")
            text = content.attrs["model_config"]
    check_config(_parsed(text if isinstance(text, bytes) else str(text).encode()))


def _limit(path: Path) -> int:
    return ALWAYS_ALLOWED + LARGEST_EXPANSION * path.stat().st_size


def _parsed(text: bytes) -> Any:
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("its configuration is nested too deeply") from None


def check_config(config: Any) -> None:
    """Refuse the configuration of a model that names anything but plain parts of Keras.

    Args:
        config: what `keras.Model.get_config` or `to_json` gave, as plain data.

    Raises:
        ValueError: naming the first part that is refused.
    """
    for part in _parts(config):
        name, module = part["class_name"], part.get("module")
        if isinstance(module, str | None) and isinstance(name, str) and _is_plain(part):
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
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)


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
    """Tell whether `keras.PART.NAME` is a class."""
    import keras

    return isinstance(getattr(getattr(keras, part), name, None), type)


def _check_tensors(file: IO[bytes], limit: int) -> None:
    """Refuse links and data outside the file, and more numbers than such a file holds."""
    import h5py

    with h5py.File(file, "r") as content:
        total = 0
        for name, link, found in _entries(content):
            if not isinstance(link, h5py.HardLink):
                raise ValueError(f"{name} in it is a link to elsewhere")
            if isinstance(found, h5py.Dataset):
                if found.external or found.is_virtual:
                    raise ValueError(f"{name} in it lies in another file")
                total += found.size * found.dtype.itemsize
        if total > limit:
            raise ValueError(f"its tensors would take {total} bytes, more than {limit}")


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
