import logging
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from made_up_data import write_picture
from minixception.datasets import load_class_folders, with_classes
from minixception.labels import EMOTIONS_FER2013
from systems import needs_any_name


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "faces"
    write_picture(root / "sad" / "b.png", 20)
    write_picture(root / "sad" / "a.png", 10)
    write_picture(root / "Happiness" / "c.PNG", (255, 0, 0))
    return root


def test_folders_name_the_classes_in_sorted_order(folder: Path) -> None:
    dataset = load_class_folders(folder, image_size=(6, 5), channels=3)
    assert dataset.images.shape == (3, 6, 5, 3)
    assert dataset.class_names == ("Happiness", "sad")
    assert dataset.labels.tolist() == [0, 1, 1]
    assert dataset.images[:, 0, 0].tolist() == [[255, 0, 0], [10] * 3, [20] * 3]
    assert (dataset.splits, dataset.name) == (None, "faces")
    assert load_class_folders(folder).images.shape == (3, 48, 48, 1)
    by_meaning = with_classes(dataset, EMOTIONS_FER2013)
    assert by_meaning.class_names == EMOTIONS_FER2013
    assert by_meaning.labels.tolist() == [3, 4, 4]


def test_split_folders(tmp_path: Path) -> None:
    write_picture(tmp_path / "Test" / "sad" / "1.png", 1)
    write_picture(tmp_path / "train" / "happy" / "2.png", 2)
    write_picture(tmp_path / "train" / "sad" / "3.png", 3)
    dataset = load_class_folders(tmp_path)
    assert dataset.class_names == ("happy", "sad")
    assert dataset.splits is not None
    assert dataset.splits.tolist() == ["test", "train", "train"]
    assert dataset.labels.tolist() == [1, 0, 1]
    with pytest.raises(ValueError, match="one of test, train"):
        dataset.split("validation")


def test_a_class_may_be_called_like_a_split(tmp_path: Path) -> None:
    for name in ("valid", "invalid"):
        write_picture(tmp_path / "classes" / name / "1.png", 1)
        write_picture(tmp_path / "splits" / "train" / name / "1.png", 1)
    for name in ("train", "test"):
        write_picture(tmp_path / "no classes" / name / "1.png", 1)
    for folder, splits in (("classes", None), ("splits", ["train"] * 2)):
        dataset = load_class_folders(tmp_path / folder)
        assert dataset.class_names == ("invalid", "valid")
        assert splits == (None if dataset.splits is None else dataset.splits.tolist())
    with pytest.raises(ValueError, match=r"must hold class folders.* alone or in folders train"):
        load_class_folders(tmp_path / "no classes")


def test_stray_and_unreadable_files_are_counted_and_logged(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "readme.txt").write_text("stray")
    (folder / "sad" / ".DS_Store").write_text("stray")
    (folder / ".git").mkdir()
    (folder / "fear").mkdir()
    (folder / "sad" / "broken.jpg").write_bytes(b"no picture")
    with caplog.at_level(logging.WARNING):
        dataset = load_class_folders(folder)
    assert (len(dataset), dataset.class_names) == (3, ("Happiness", "sad"))
    assert dataset.dropped == {"stray entry": 3, "unreadable picture": 1}
    assert "broken.jpg" in caplog.text
    assert "readme.txt" in caplog.text
    assert "Left out 3 (stray entry)" in caplog.text
    assert "Left out 1 (class folder without a picture)" in caplog.text


def test_a_picture_that_may_not_be_read_is_left_out(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def open_others(path: Path, *arguments: Any, **options: Any) -> Any:
        if path.name == "secret.png":
            raise PermissionError(13, "Permission denied", str(path))
        return really_open(path, *arguments, **options)

    write_picture(folder / "sad" / "secret.png", 11)
    really_open = Path.open
    monkeypatch.setattr(Path, "open", open_others)
    assert load_class_folders(folder).dropped["unreadable picture"] == 1


def test_a_picture_in_two_classes_is_told(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    before = load_class_folders(folder)
    (picture,) = (folder / "Happiness").iterdir()
    shutil.copy(picture, folder / "sad" / "again.png")
    dataset = load_class_folders(folder)
    assert len(dataset) == 4
    assert dataset.checksum != before.checksum
    told = f"1 picture is in two classes: Happiness/{picture.name} and sad/again.png"
    assert told in caplog.text


@needs_any_name
def test_a_picture_whose_name_is_not_utf8(folder: Path) -> None:
    write_picture(Path(os.fsdecode(os.fsencode(folder) + b"/sad/\xff.png")), 30)
    assert len(load_class_folders(folder)) == 4
