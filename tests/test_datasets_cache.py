import logging
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from made_up_data import make_dataset, require_same
from minixception.datasets import FaceDataset
from minixception.datasets.cache import cached_dataset, read_arrays, write_arrays
from minixception.files import cache_folder

ARRAYS: dict[str, Any] = {
    "images": np.random.default_rng(0).integers(0, 256, (20, 9, 9, 1), dtype=np.uint8),
    "splits": np.array(["train", "test"] * 10),
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache" / "deeper"
    monkeypatch.setenv("MINIXCEPTION_CACHE", str(folder))
    return folder


def is_cached(source: Path, *, version: int = 1, side: int = 9) -> bool:
    """Load a data set that comes back as it was, and tell whether it came from the cache."""
    made = make_dataset(
        "ab",
        [0, 1] * 10,
        attributes={"age": np.arange(20), "file": np.array(list("abcdefghijklmnopqrst"))},
        dropped={"no face": 3},
        targets=np.tile(np.array([[0.9, 0.1], [0.2, 0.8]], np.float32), (10, 1)),
        **ARRAYS,
    )
    calls = []

    def make() -> FaceDataset:
        calls.append(made)
        return made

    options = {"image_size": [side, side]}
    found = cached_dataset(source, make, loader="made_up", version=version, options=options)
    require_same(found, made)
    return not calls


def test_the_folder_is_chosen_by_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("MINIXCEPTION_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_folder() == tmp_path / ".cache" / "minixception"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "minixception"


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_changed_source_version_or_option_is_another_entry(
    folder: Path, tmp_path: Path, kind: str
) -> None:
    source = file = tmp_path / "source.csv"
    if kind == "folder":
        source, file = tmp_path / "source", tmp_path / "source" / "a" / "b.csv"
        file.parent.mkdir(parents=True)
    file.write_text("content")
    assert not is_cached(source)
    assert is_cached(source)
    assert not is_cached(source, version=2)
    status = file.stat()
    file.write_text("CONTENT")  # of the same size, and then of the same time
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert not is_cached(source, version=2)
    assert len(list(folder.iterdir())) == 1
    assert not is_cached(source, version=2, side=10)
    assert len(list(folder.iterdir())) == 2


def test_a_damaged_cache_is_rebuilt(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    assert not is_cached(source)
    (file,) = folder.iterdir()
    file.write_bytes(file.read_bytes()[:-9])
    with caplog.at_level(logging.WARNING):
        assert not is_cached(source)
    assert "is rebuilt" in caplog.text
    assert is_cached(source)


def test_a_cache_folder_that_cannot_be_made_costs_a_warning(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "source").mkdir()
    folder.parent.touch()
    for _ in range(2):
        assert not is_cached(tmp_path / "source")
    assert "The cache cannot be written" in caplog.text


def test_a_file_that_ends_early_or_holds_objects_is_damaged(tmp_path: Path) -> None:
    """Changed bytes are in `test_hostile_files`."""
    file = tmp_path / "arrays.npz"
    write_arrays(file, ARRAYS, {"a": 1})
    content = file.read_bytes()
    first_entry = content.index(b"PK\x01\x02")
    # Its comment is 4,096 bytes long and takes in the others: the directory ends early.
    early = content[: first_entry + 33] + b"\x10" + content[first_entry + 34 :]
    for damaged in (
        early,
        b"no archive",
        *(content[:length] for length in range(0, len(content), 197)),
    ):
        file.write_bytes(damaged)
        with pytest.raises(ValueError, match="is damaged") as caught:
            read_arrays(file)
        assert "allow_pickle" not in str(caught.value)
    # Nor is a file of objects trusted.
    write_arrays(file, {"images": np.array([object()], dtype=object)}, {})
    with pytest.raises(ValueError, match="is damaged"):
        read_arrays(file)
