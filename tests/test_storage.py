"""Files appear whole or not at all, and what a killed writer left behind goes away."""

import os
from pathlib import Path
from typing import Any

import pytest

from minixception.files import (
    atomic_folder,
    atomic_path,
    files_below,
    refuse_special_file,
    remove_leftovers,
)
from minixception.locks import own_folder
from stored_files import contents
from systems import needs_links, needs_pipes


@pytest.mark.parametrize("name", ["/dev/null", "/dev/stdout", "/proc/self/fd/1", "pipe"])
@needs_pipes
@pytest.mark.usefixtures("here")
def test_a_device_is_refused(name: str) -> None:
    os.mkfifo("pipe")
    with pytest.raises(ValueError, match=f"the name of one. Received: {name}"):
        refuse_special_file(name)
    with pytest.raises(ValueError, match="a pipe or device"), atomic_path("pipe"):
        pass
    assert Path("pipe").is_fifo()


def test_no_folder_is_made_that_is_named_like_home(here: Path) -> None:
    for make in (atomic_path, atomic_folder, own_folder):
        with pytest.raises(ValueError, match=r"is not in the home folder: give its"), make("~/a/b"):
            pass
    assert list(here.iterdir()) == []
    Path("~").mkdir()
    with atomic_path("~/b") as temporary:
        temporary.touch()
    assert Path("~/b").exists()


def test_atomic_path_replaces_at_the_end_only(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file.txt"
    with atomic_path(path) as temporary:
        temporary.write_text("first")
        assert not path.exists()
        assert temporary.suffix == ".txt"
    for error in (KeyboardInterrupt, ZeroDivisionError):
        with pytest.raises(error), atomic_path(path) as temporary:  # noqa: PT012
            temporary.write_text("half")
            raise error
    assert contents(path.parent) == {"file.txt": b"first"}


def test_a_folder_appears_whole_and_keeps_its_other_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "checkpoint"
    with atomic_folder(folder) as temporary:
        (temporary / "a").write_text("1")
        assert not folder.exists()
    (folder / "b").write_text("mine")
    monkeypatch.chdir(folder)
    with atomic_folder(".") as temporary:
        (temporary / "a").write_text("2")
    assert contents(folder) == {"a": b"2", "b": b"mine"}
    assert list(tmp_path.iterdir()) == [folder]


def test_leftovers_of_a_killed_writer_are_removed(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    for place in (folder / ".writing-ab12cd34", tmp_path / ".writing-12ab34cd"):
        (place / "contents").mkdir(parents=True)
        (place / ".lock").touch()
    empty = folder / ".writing-0a1b2c3d"  # of one that was killed before it had a lock
    empty.mkdir()
    os.utime(empty, (0, 0))
    strangers = [folder / "history.csv", folder / ".writing-like-me", tmp_path / ".run.settings"]
    for place in strangers:
        place.mkdir()
    with atomic_path(folder / "a.csv") as at_work:  # who writes to a folder clears it
        assert {*folder.iterdir()} == {*strangers[:2], at_work.parent}
        at_work.touch()
        remove_leftovers(folder, tmp_path)
        assert at_work.exists()
    assert {*folder.iterdir(), *tmp_path.iterdir()} == {*strangers, folder, folder / "a.csv"}


@pytest.mark.skipif(os.name != "posix", reason="a folder has no such mode there")
def test_only_the_owner_enters_where_a_file_is_written_and_others_read_the_file(
    tmp_path: Path,
) -> None:
    before = os.umask(0o002)
    try:
        with atomic_path(tmp_path / "a.csv") as at_work:
            at_work.touch()
            assert at_work.parent.stat().st_mode & 0o777 == 0o700
    finally:
        os.umask(before)
    assert (tmp_path / "a.csv").stat().st_mode & 0o777 == 0o664


@needs_links
def test_a_link_to_a_folder_is_no_leftover(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / ".lock").touch()
    (tmp_path / ".writing-ab12cd34").symlink_to(precious)
    hard = tmp_path / ".writing-12ab34cd"
    hard.mkdir()
    (hard / ".lock").hardlink_to(precious / ".lock")
    remove_leftovers(tmp_path)
    assert (precious / ".lock").exists()
    assert hard.exists()


def test_a_folder_that_cannot_be_listed_is_no_empty_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("a", "shut"):
        (tmp_path / "set" / name).mkdir(parents=True)
        (tmp_path / "set" / name / "1.jpg").touch()
    (tmp_path / "set" / "link").symlink_to(tmp_path / "set" / "a")
    assert files_below(tmp_path / "set") == ["a/1.jpg", "shut/1.jpg"]
    assert "Left out 1 link to folders, such as" in caplog.text
    scandir = os.scandir

    def refuse(path: str) -> Any:
        if Path(path).name == "shut":
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(PermissionError, match="shut"):
        files_below(tmp_path / "set")
