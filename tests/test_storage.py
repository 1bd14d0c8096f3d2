"""Files appear whole or not at all, and what a killed writer left behind goes away."""

import os
import threading
from pathlib import Path

import pytest

from minixception.files import atomic_folder, atomic_path, refuse_special_file, remove_leftovers
from stored_files import contents


def test_a_failed_writer_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "new" / "table.csv"
    with atomic_path(path) as temporary:
        temporary.write_text("old")
    with pytest.raises(ZeroDivisionError), atomic_path(path) as temporary:
        temporary.write_text(f"half of the n{1 / 0}")
    assert path.read_text() == "old"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("name", ["/dev/null", "/dev/stdout", "/proc/self/fd/1", "pipe"])
def test_a_device_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    with pytest.raises(ValueError, match=f"the name of one. Received: {name}"):
        refuse_special_file(name)


def test_a_pipe_is_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="a pipe or device"), atomic_path(tmp_path / "pipe"):
        pass
    assert (tmp_path / "pipe").is_fifo()


def test_atomic_path_replaces_at_the_end_only(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file.txt"
    with atomic_path(path) as temporary:
        temporary.write_text("first")
        assert not path.exists()
        assert temporary.suffix == ".txt"
    with pytest.raises(KeyboardInterrupt), atomic_path(path) as temporary:  # noqa: PT012
        temporary.write_text("half")
        raise KeyboardInterrupt
    assert contents(path.parent) == {"file.txt": b"first"}


def test_atomic_folder_may_be_the_current_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = tmp_path / "run"
    inside.mkdir()
    monkeypatch.chdir(inside)
    with atomic_folder(".") as temporary:
        (temporary / "file.txt").write_text("first")
    assert contents(inside) == {"file.txt": b"first"}


def test_a_folder_appears_whole_and_keeps_its_other_files(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint"
    with atomic_folder(folder) as temporary:
        (temporary / "a").write_text("1")
        assert not folder.exists()
    (folder / "b").write_text("mine")
    with atomic_folder(folder) as temporary:
        (temporary / "a").write_text("2")
    assert contents(folder) == {"a": b"2", "b": b"mine"}
    assert list(tmp_path.iterdir()) == [folder]


def test_leftovers_of_a_killed_writer_are_removed(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    for name in ("history.csv", ".hidden", ".history.4711.csv", ".training_state.12.npz"):
        (folder / name).touch()
    (tmp_path / ".run.ab12cd34" / "contents").mkdir(parents=True)
    (tmp_path / ".run.settings").mkdir()
    (folder / ".writing-ab12cd34").mkdir()
    remove_leftovers(folder)
    assert {file.name for file in folder.iterdir()} == {"history.csv", ".hidden"}
    assert {file.name for file in tmp_path.iterdir()} == {"run", ".run.settings"}


def test_threads_that_write_one_file_leave_one_of_their_contents(tmp_path: Path) -> None:
    path, texts = tmp_path / "file.txt", [str(i) * 2000 for i in range(8)]

    def write(text: str) -> None:
        for _ in range(20):
            with atomic_path(path) as temporary:
                temporary.write_text(text, encoding="utf-8")

    threads = [threading.Thread(target=write, args=(text,)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_text(encoding="utf-8") in texts
    assert list(tmp_path.iterdir()) == [path]
