"""Two runs with the same output do not mix, and a killed one leaves nothing locked."""

import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from conftest import Run
from minixception.locks import lock_file, own_folder, sole_writer
from own_process import SOURCE, started

HOLD = """
import sys
from minixception.locks import own_folder
with own_folder(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[Any]:
    """Another process that has the folder `run`."""
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    place = tmp_path / "run"
    with started("-c", HOLD, place, stdin=subprocess.PIPE, env=environment) as process:
        assert process.stdout.readline() == "held\n"
        yield process


@pytest.mark.parametrize("is_killed", [False, True])
def test_a_second_run_is_refused_until_the_first_ends(
    holder: Any, tmp_path: Path, is_killed: bool
) -> None:
    with pytest.raises(BlockingIOError, match=r"run is being written by another run"):
        own_folder(tmp_path / "run").__enter__()
    if is_killed:
        holder.kill()
    holder.communicate("")
    assert lock_file(tmp_path / "run").exists() == (tmp_path / "run").exists() == is_killed
    with own_folder(tmp_path / "run"):
        (tmp_path / "run" / "file").touch()
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["file"]


def test_folders_that_stay_empty_go_away_again(tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    with pytest.raises(KeyError), sole_writer(tmp_path / "new" / "deep" / "er" / "file"):
        raise KeyError
    assert list(tmp_path.rglob("*")) == [tmp_path / "new"]
    with sole_writer(tmp_path / "new" / "deep" / "file"):
        (tmp_path / "new" / "deep" / "file").touch()
    assert (tmp_path / "new" / "deep" / "file").exists()


def test_locks_of_killed_runs_with_other_names_go_too(tmp_path: Path) -> None:
    killed, running, new = (lock_file(tmp_path / name) for name in ("a.csv", "b.csv", "c.csv"))
    stranger = tmp_path / ".a.lock"
    for lock in (killed, stranger):
        lock.touch()
    with sole_writer(tmp_path / "b.csv"):
        for lock in tmp_path.iterdir():
            os.utime(lock, (0, 0))
        with sole_writer(tmp_path / "c.csv"):
            assert {*tmp_path.iterdir()} == {stranger, running, new}


def test_one_process_has_a_file_once_and_others_beside_it(tmp_path: Path) -> None:
    table = tmp_path / "new" / "faces.csv"
    with sole_writer(table, table.parent / "." / "faces.csv"):
        with pytest.raises(BlockingIOError, match="another run"), sole_writer(table):
            pass
        with sole_writer(table.with_name("other.csv"), table.parent):
            pass
    assert not table.parent.exists()


def test_a_file_system_without_locks_costs_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    no_locks = OSError(errno.ENOLCK, "No locks available")
    monkeypatch.setattr(pytest.importorskip("fcntl"), "flock", Mock(side_effect=no_locks))
    with sole_writer(tmp_path):
        pass
    assert "is not locked against other runs: No locks available" in caplog.text
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_removed_meanwhile(tmp_path: Path) -> None:
    with own_folder(tmp_path / "run"):
        lock_file(tmp_path / "run").unlink()
        (tmp_path / "run").rmdir()
    assert list(tmp_path.iterdir()) == []


def test_a_job_is_refused_while_another_run_writes_there(
    portraits: Path, tmp_path: Path, run: Run
) -> None:
    drawn, table = tmp_path / "drawn", tmp_path / "faces.csv"
    drawn.mkdir()
    for target, options in {drawn: ["--output"], table: ["--no-draw", "--csv"]}.items():
        with sole_writer(target):
            refused = run("image", portraits, *options, target, code=1)
        assert f"{target} is being written by another run" in refused.stderr
    assert list(tmp_path.iterdir()) == [drawn]
    assert list(drawn.iterdir()) == []


def test_a_new_folder_is_locked_from_the_start(
    portraits: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look(*_: object) -> int:
        with pytest.raises(BlockingIOError), sole_writer(tmp_path / "new"):
            pass
        looked.append(1)
        return 0

    looked: list[int] = []
    monkeypatch.setattr("minixception.commands.image.run_job", look)
    run("image", portraits, "--output", tmp_path / "new")
    assert looked
    assert list(tmp_path.iterdir()) == []
