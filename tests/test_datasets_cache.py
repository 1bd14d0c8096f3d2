import logging
import os
from pathlib import Path

import numpy as np
import pytest

from minixception.datasets.cache import Arrays, load_arrays, source_fingerprint, store_arrays
from minixception.files import cache_folder

ARRAYS = {
    "images": np.random.default_rng(0).integers(0, 256, (20, 9, 9, 1), dtype=np.uint8),
    "splits": np.array(["train", "test"] * 10),
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache" / "deeper"
    monkeypatch.setenv("MINIXCEPTION_CACHE", str(folder))
    return folder


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source.csv"
    path.write_text("content")
    return path


@pytest.fixture
def fingerprint(source: Path) -> str:
    return source_fingerprint(source, loader="made_up", version=1)


def is_whole(arrays: Arrays | None) -> bool:
    return (
        arrays is not None
        and arrays.keys() == ARRAYS.keys()
        and all(np.array_equal(arrays[name], ARRAYS[name]) for name in ARRAYS)
    )


def test_the_folder_is_chosen_by_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("MINIXCEPTION_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_folder() == tmp_path / ".cache" / "minixception"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "minixception"


def test_what_is_stored_comes_back(folder: Path, fingerprint: str) -> None:
    assert load_arrays(fingerprint) is None
    assert not folder.exists()
    store_arrays(fingerprint, ARRAYS)
    assert is_whole(load_arrays(fingerprint))
    assert len(list(folder.iterdir())) == 1


def test_a_changed_source_version_or_option_is_another_entry(
    folder: Path, source: Path, fingerprint: str
) -> None:
    store_arrays(fingerprint, ARRAYS)
    newer = source_fingerprint(source, loader="made_up", version=2)
    assert load_arrays(newer) is None
    resized = source_fingerprint(source, loader="made_up", version=1, options={"size": [9, 9]})
    assert load_arrays(resized) is None
    status = source.stat()
    source.write_text("CONTENT")  # of the same size, and then of the same time
    os.utime(source, ns=(status.st_atime_ns, status.st_mtime_ns))
    changed = source_fingerprint(source, loader="made_up", version=1)
    assert load_arrays(changed) is None
    store_arrays(changed, ARRAYS)
    assert len(list(folder.iterdir())) == 1


def test_damage_is_noticed_wherever_it_is(
    folder: Path, fingerprint: str, caplog: pytest.LogCaptureFixture
) -> None:
    store_arrays(fingerprint, ARRAYS)
    (file,) = folder.iterdir()
    content = file.read_bytes()
    generator = np.random.default_rng(0)
    with caplog.at_level(logging.WARNING):
        for position in generator.permutation(len(content))[:300]:
            damaged = bytearray(content)
            damaged[position] ^= 1 << int(generator.integers(8))
            file.write_bytes(damaged)
            arrays = load_arrays(fingerprint)
            assert arrays is None or is_whole(arrays)
        for length in range(0, len(content), 197):
            file.write_bytes(content[:length])
            assert load_arrays(fingerprint) is None
    assert "is rebuilt" in caplog.text
    store_arrays(fingerprint, ARRAYS)
    assert is_whole(load_arrays(fingerprint))


def test_a_directory_that_ends_early_is_noticed(folder: Path, fingerprint: str) -> None:
    store_arrays(fingerprint, ARRAYS)
    (file,) = folder.iterdir()
    content = bytearray(file.read_bytes())
    first_entry = content.index(b"PK\x01\x02")
    content[first_entry + 33] = 0x10  # its comment is 4,096 bytes long and takes in the others
    file.write_bytes(content)
    assert load_arrays(fingerprint) is None
    # Nor is a file of objects trusted.
    store_arrays(fingerprint, {"images": np.array([object()], dtype=object)})
    assert len(list(folder.iterdir())) == 1
    assert load_arrays(fingerprint) is None
