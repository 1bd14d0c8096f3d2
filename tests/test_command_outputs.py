"""What may be written is known before the work."""

import math
from pathlib import Path

import pytest

from minixception.commands import run_command
from minixception.commands.outputs import check_file, check_folder
from minixception.commands.run_control import Progress
from systems import needs_links


def test_what_can_be_written_is_not_made(tmp_path: Path) -> None:
    check_file(tmp_path / "new" / "deep" / "a.PNG", "--output", suffixes=(".png", ".jpg"))
    check_file(tmp_path / "b", "--output", apart_from={"--data": tmp_path / "c", "--x": None})
    check_folder(tmp_path / "new" / "deep", "--output")
    check_folder(tmp_path, "--output")
    assert list(tmp_path.iterdir()) == []


def test_progress_tells_the_time_that_is_left(capsys: pytest.CaptureFixture[str]) -> None:
    class SteadyProgress(Progress):
        def rate(self) -> float:
            return 2.0

    progress = SteadyProgress(1000, shown=True, item="picture")
    progress._told_at = -math.inf
    progress.update(100)
    assert "picture 100 of 1000, 2.0 pictures per second, 8 min left" in capsys.readouterr().err


@needs_links
def test_what_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "file")
    read = {"--data": tmp_path / "file"}
    with pytest.raises(ValueError, match=r"another file than --data\. Received: .*link"):
        check_file(tmp_path / "link", "--output", apart_from=read)
    with pytest.raises(NotADirectoryError, match=r"whose name ends in \.pdf has to be there"):
        check_folder(tmp_path / "out.pdf", "--output")
    check_folder(tmp_path / "rate_0.5", "--output")
    for check in (check_file, check_folder):
        with pytest.raises(FileExistsError, match=r"File exists: '.*file'"):
            check(tmp_path / "file" / "below", "--output")


@pytest.mark.parametrize("name", ["card.json", "curves.json"])
def test_scores_do_not_take_the_place_of_the_model(
    checkpoints: dict[str, Path], capsys: pytest.CaptureFixture[str], name: str
) -> None:
    folder = checkpoints["emotion"]
    output = str(folder / name)
    assert run_command("evaluate", ["--model", str(folder), "--output", output]) == 1
    assert "must be another file than the model's" in capsys.readouterr().err


def test_a_picture_of_any_split_that_is_in_the_way_is_noticed(
    tmp_path: Path, checkpoints: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "s_PublicTest.png").mkdir()
    arguments = ["--model", str(checkpoints["emotion"]), "--split", "Training", "PublicTest"]
    assert run_command("evaluate", [*arguments, "--output", str(tmp_path / "s.json")]) == 1
    assert "s_PublicTest.png" in capsys.readouterr().err
    assert not (tmp_path / "s.json").exists()


def test_an_8_bit_model_does_not_replace_that_of_the_checkpoint(
    checkpoints: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = checkpoints["emotion"]
    output = str(folder / "model.tflite")
    arguments = [str(folder), "--format", "litert-int8", "--output", output]
    assert run_command("export", arguments) == 1
    assert "another file than the float32 model" in capsys.readouterr().err
