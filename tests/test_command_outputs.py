"""What may be written is known before the work."""

import math
import os
import shutil
from pathlib import Path

import pytest

from conftest import Run
from minixception.commands.outputs import check_file, check_folder
from minixception.commands.run_control import Progress
from systems import needs_links


def test_a_tilde_is_the_home_folder_also_after_an_equals_sign(
    here: Path, run: Run, portraits: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(variable, str(here / "home"))
    run("image", portraits, "--no-draw", "--csv=~/faces.csv", "--json", "~/faces.json")
    assert {file.name for file in (here / "home").iterdir()} == {"faces.csv", "faces.json"}
    assert [folder.name for folder in here.iterdir()] == ["home"]


def test_progress_tells_the_time_that_is_left(capsys: pytest.CaptureFixture[str]) -> None:
    class SteadyProgress(Progress):
        def rate(self) -> float:
            return 2.0

    progress = SteadyProgress(1000, shown=True, item="picture")
    progress._told_at = -math.inf
    progress.update(100)
    assert "picture 100 of 1000, 2.0 pictures per second, 0:07:30 left" in capsys.readouterr().err


@needs_links
def test_what_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "file")
    read = {"--data": tmp_path / "file"}
    with pytest.raises(ValueError, match=r"another file than --data\. Received: .*link"):
        check_file(tmp_path / "link", "--output", apart_from=read)
    with pytest.raises(NotADirectoryError, match="named like a file has to be there"):
        check_folder(tmp_path / "out.pdf", "--output")
    check_folder(tmp_path / "rate_0.5", "--output")
    for check in (check_file, check_folder):
        with pytest.raises(FileExistsError, match=r"File exists: '.*file'"):
            check(tmp_path / "file" / "below", "--output")


def test_the_same_name_in_another_case_is_refused_where_it_is_the_same_file(
    here: Path, run: Run, portraits: Path
) -> None:
    """A hard link stands for a file system that disregards case."""
    shutil.copy(portraits, "a.jpg")
    if not Path("A.jpg").exists():
        run("image", "a.jpg", "--output", "A.jpg")
        Path("A.jpg").unlink()
        os.link("a.jpg", "A.jpg")
    assert "a picture to read" in run("image", "a.jpg", "--output", "A.jpg", code=1).stderr
    assert Path("a.jpg").read_bytes() == portraits.read_bytes()


def test_what_is_in_the_way_of_scores_or_an_8_bit_model_is_noticed(
    run: Run, tmp_path: Path, checkpoints: dict[str, Path]
) -> None:
    (tmp_path / "s_PublicTest.png").mkdir()
    (tmp_path / "face.png").write_text("of a user")
    folder, splits = checkpoints["emotion"], ("--split", "Training", "PublicTest")
    for command, output, said in (
        (("evaluate", "--model", folder), folder / "card.json", "another file than the model's"),
        (("evaluate", "--model", folder), folder / "curves.json", "another file than the model's"),
        (("evaluate", "--model", folder, *splits), tmp_path / "s.json", "s_PublicTest.png"),
        (("evaluate", "--model", folder), tmp_path / "face.json", "face.png, which the confusion"),
        (("export", folder, "--format", "litert-int8"), folder / "model.tflite", "the float32"),
    ):
        assert said in run(*command, "--output", output, code=1).stderr
    assert not list(tmp_path.glob("*.json"))
