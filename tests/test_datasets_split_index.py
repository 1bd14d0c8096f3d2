from pathlib import Path

import numpy as np
import pytest

from made_up_data import write_picture
from minixception.datasets import (
    FaceDataset,
    load_class_folders,
    read_split_index,
    split_per_class,
    write_split_index,
)
from minixception.datasets.registry import load_dataset


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Ten pictures of each of three classes, with blanks and letters beyond ASCII in names."""
    folder = tmp_path / "my faces"
    for place, name in enumerate(("Happiness", "fear", "very sad")):
        for number in range(10):
            write_picture(folder / name / f"Zoë {number} .png", 20 * place + number)
    return folder


@pytest.fixture
def divided(root: Path) -> FaceDataset:
    return split_per_class(load_class_folders(root), seed=4)


def test_another_program_reads_the_index(root: Path, divided: FaceDataset) -> None:
    (root / "validation.txt").write_text("of earlier splits")
    files = write_split_index(root, divided)
    assert sorted(file.name for file in files) == ["classes.txt", "test.txt", "train.txt"]
    assert sorted(root.glob("*.txt")) == sorted(files)
    classes = (root / "classes.txt").read_text(encoding="utf-8").split("\n")
    for split, count in (("train", 8), ("test", 2)):  # of each class
        assert set(divided.split(split).class_counts().values()) == {count}
        lines = (root / f"{split}.txt").read_text(encoding="utf-8").splitlines()
        assert len(lines) == 3 * count
        for line in lines:
            path, label = line.rsplit(" ", 1)
            assert (root / path).is_file()
            assert path.split("/")[0] == classes[int(label)]


def test_what_is_written_is_read(root: Path, divided: FaceDataset, tmp_path: Path) -> None:
    write_split_index(tmp_path / "index", divided)
    dataset = read_split_index(tmp_path / "index", root=root, image_size=(8, 8))
    assert dataset.class_names == divided.class_names
    assert len(dataset) == 30
    for split in ("train", "test"):
        ours, theirs = dataset.split(split), divided.split(split)
        files = ours.attributes["file"].tolist()
        assert files == theirs.attributes["file"].tolist()
        assert np.array_equal(ours.labels, theirs.labels)
        numbers = np.array([int(file.split()[-2]) for file in files])
        assert np.array_equal(ours.images[:, 0, 0, 0], 20 * ours.labels + numbers)


def test_the_command_line_follows_an_index(root: Path, divided: FaceDataset) -> None:
    write_split_index(root, divided)
    (root / "classes.txt").write_text("Happiness\r\nfear\r\nSad\r\n")
    dataset = load_dataset("folder", root)
    assert dataset.class_names == ("Happiness", "fear", "Sad")
    test = dataset.split("test").attributes["file"]
    assert set(test) == set(divided.split("test").attributes["file"])
    assert len(dataset.split("train")) + len(dataset.split("validation")) == 24
    # Other files would change who is validated on, and not who is tested.
    assert set(dataset.drawn_splits) == {"train", "validation"}
    (root / "test.txt").rename(root / "Val.txt")  # as a folder of that split may be called
    dataset = load_dataset("folder", root)
    assert dataset.drawn_splits == ()
    assert len(dataset.split("validation")) == 6


@pytest.mark.parametrize("missing", ["classes.txt", "train.txt"])
def test_a_part_of_an_index_is_not_passed_over(
    root: Path, divided: FaceDataset, missing: str
) -> None:
    write_split_index(root, divided)
    (root / missing).unlink()
    with pytest.raises(ValueError, match="holds only part of a text index"):
        load_dataset("folder", root)


def test_missing_and_unreadable_pictures_are_counted(
    root: Path, divided: FaceDataset, caplog: pytest.LogCaptureFixture
) -> None:
    write_split_index(root, divided)
    write_picture(root / "surprise" / "new.png", 0)
    (root / "fear" / "Zoë 0 .png").unlink()
    (root / "fear" / "Zoë 1 .png").write_bytes(b"no picture")
    dataset = read_split_index(root)
    assert len(dataset) == 28
    dropped = {"missing picture": 1, "not in the index": 1, "unreadable picture": 1}
    assert dataset.dropped == dropped
    assert "Left out 1 (missing picture)" in caplog.text
    assert "Zoë 0 .png" in caplog.text


def test_malformed_and_repeated_lines(root: Path, divided: FaceDataset) -> None:
    write_split_index(root, divided)
    whole = (root / "test.txt").read_text(encoding="utf-8")
    twice = (root / "train.txt").read_text(encoding="utf-8").splitlines()[0]
    bad = ("fear/a.png", "fear/a.png 3", "fear/a.png -1", "/etc/a.png 1", "../a.png 1", " 1", "")
    again = (twice, f"./{twice}", twice.replace("/", "//"))
    for line in (*bad, *again):
        (root / "test.txt").write_text(f"{whole}{line}\n", encoding="utf-8")
        said = "also in .*train.txt, line 1" if line in again else "a path inside the root"
        with pytest.raises(ValueError, match=rf"test\.txt, line 7: .*{said}"):
            read_split_index(root)


def test_nothing_to_read_or_write(root: Path, divided: FaceDataset, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="There is no index"):
        read_split_index(root)
    others = split_per_class(divided, fractions={"mine": 0.5, "yours": 0.5})
    for dataset in (load_class_folders(root), others):
        with pytest.raises(ValueError, match="must have splits among train, validation, test"):
            write_split_index(root, dataset)
    write_split_index(root, divided)
    with pytest.raises(ValueError, match=r"index.* names, 30 pictures.*missing picture: 30"):
        read_split_index(root, root=tmp_path)
    (root / "classes.txt").write_text("fear\nfear\n")
    with pytest.raises(ValueError, match=r"classes\.txt must hold a different class name"):
        read_split_index(root)
