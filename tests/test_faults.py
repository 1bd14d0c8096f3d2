"""A full disk, and folders that are removed meanwhile: one message, and no half files."""

import os
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest

from conftest import Run
from made_up_data import fer2013_csv
from minixception.commands import image, run_command
from minixception.datasets import load_fer2013
from minixception.files import atomic_folder
from minixception.images import read_image, write_image
from stored_files import contents, file_size_limit, read_rows

NO_MODELS = ("--emotion-model=none", "--gender-model=none")


@pytest.fixture
def album(tmp_path: Path) -> Path:
    for number in range(30):
        picture = np.full((60, 60, 3), 8 * number, np.uint8)
        write_image(tmp_path / "album" / f"{number:02d}.png", picture)
    return tmp_path / "album"


def test_a_table_on_a_full_disk_is_gone_on_with(album: Path, tmp_path: Path, run: Run) -> None:
    table = tmp_path / "faces.csv"
    options = ["image", album, "--no-draw", "--csv", table, *NO_MODELS]
    run(*options)
    expected = table.read_bytes()
    table.unlink()
    with file_size_limit(len(expected) // 2):
        assert "File too large" in run(*options, code=1).stderr.strip().splitlines()[-1]
    assert not table.exists()
    run(*options, "--resume")
    assert table.read_bytes() == expected


def test_an_output_folder_that_is_removed_meanwhile(
    album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    """The drawn pictures that follow appear in a new folder; the table is elsewhere, and whole."""
    original, calls = image.draw_result, []

    def remove_first(*arguments: object, **options: object) -> object:
        calls.append(1)
        if len(calls) == 5:
            shutil.rmtree(tmp_path / "drawn")
        return original(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr("minixception.commands.image.draw_result", remove_first)
    table = tmp_path / "faces.csv"
    options = [f"--output={tmp_path / 'drawn'}", f"--csv={table}", "--workers=1", *NO_MODELS]
    assert "written to" in run("image", album, *options).stdout
    assert len(read_rows(table)) == 30
    drawn = list((tmp_path / "drawn").iterdir())
    assert len(drawn) == 26  # all but the first four
    for picture in drawn:
        assert read_image(picture).shape == (60, 60, 3)


def test_a_folder_that_is_removed_while_it_is_written(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="run"), atomic_folder(tmp_path / "run") as temporary:
        shutil.rmtree(temporary)
    (tmp_path / "run").mkdir()
    with pytest.raises(OSError, match="run"), atomic_folder(tmp_path / "run") as temporary:  # noqa: PT012
        shutil.rmtree(tmp_path / "run")
        (temporary / "card.json").write_text("{}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="only root may mount a file system"
)
def test_a_file_system_of_its_own_that_is_full(tmp_path: Path) -> None:
    """A folder that is a mount point takes a checkpoint, and keeps the old one when it is full."""
    folder = tmp_path / "mounted"
    folder.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if subprocess.run(mounting, capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        with atomic_folder(folder) as temporary:
            (temporary / "model").write_bytes(b"old")
        with pytest.raises(OSError, match="No space left"), atomic_folder(folder) as temporary:
            (temporary / "model").write_bytes(bytes(1 << 20))
        assert contents(folder) == {"model": b"old"}
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.usefixtures("eager")
def test_training_on_a_full_disk_leaves_no_part_of_a_checkpoint(here: Path, run: Run) -> None:
    Path("faces.csv").write_text(fer2013_csv({"Training": 14, "PublicTest": 7}))
    options = ["--network", "lenet5_rgb", "--channels", "3", "--image-size", "16", "--epochs", "1"]
    options += ["--data", "faces.csv", "--output", "run"]
    with file_size_limit(100_000):
        message = run("train-emotion", *options, code=1).stderr.strip().splitlines()[-1]
    assert "error: " in message
    assert "File too large" in message
    assert [path.name for path in here.iterdir()] == ["faces.csv"]


@pytest.mark.parametrize("closed", [("stdout",), ("stdin", "stdout", "stderr")])
def test_a_closed_stream_costs_nothing(
    closed: tuple[str, ...], tmp_path: Path, portraits: Path
) -> None:
    numbers = {"stdin": "0<&-", "stdout": "1>&-", "stderr": "2>&-"}
    command = f"{sys.executable} -m minixception image {portraits} --no-draw --csv"
    streams = " ".join(numbers[name] for name in closed)
    done = subprocess.run(f"{command} faces.csv {streams}", shell=True, check=False, cwd=tmp_path)
    assert done.returncode == 0
    assert len((tmp_path / "faces.csv").read_text().splitlines()) == 4
    if closed == ("stdout",):
        done = subprocess.run(f"{command} - {streams}", shell=True, check=False, cwd=tmp_path)
        assert done.returncode == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize("stream", ["full", "a pipe without a reader"])
def test_a_standard_output_that_takes_nothing_ends_no_job(
    stream: str,
    portraits: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    if stream == "full":
        os.dup2(os.open("/dev/full", os.O_WRONLY), writer)
    pictures = [str(shutil.copy(portraits, tmp_path / f"{name}.jpg")) for name in "ab"]
    table, drawn = tmp_path / "faces.csv", tmp_path / "drawn"
    options = ["--csv", str(table), "--output", str(drawn), *NO_MODELS]
    with suppress(OSError), os.fdopen(writer, "w", buffering=1) as output:
        monkeypatch.setattr("sys.stdout", output)
        assert run_command("image", [*pictures, *options]) == 1
    error = "minixception image: error: standard output: No space left on device\n"
    assert capsys.readouterr().err == (error if stream == "full" else "")
    assert len(table.read_text().splitlines()) == 7
    assert len(list(drawn.iterdir())) == 2


def test_without_a_home_nothing_is_cached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("HOME", "XDG_CACHE_HOME", "MINIXCEPTION_CACHE"):
        monkeypatch.delenv(name, raising=False)
    # As for a user unknown to the system.
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    monkeypatch.setattr(Path, "home", Mock(side_effect=RuntimeError("no home directory")))
    (tmp_path / "fer2013.csv").write_text(fer2013_csv({"Training": 2, "PublicTest": 2}))
    assert len(load_fer2013(tmp_path / "fer2013.csv")) == 4
    assert "name a folder in MINIXCEPTION_CACHE" in caplog.text
    # Keras would make a folder called "~" in the current one.
    monkeypatch.setenv("KERAS_HOME", "restored after the test")
    monkeypatch.delenv("KERAS_HOME")
    assert run_command("image", [str(tmp_path / "none.png")]) == 1
    assert os.environ["KERAS_HOME"] == os.devnull
