import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from made_up_data import BrightFinder, pack, require_same, write_picture
from minixception.datasets import load_facial_expressions
from minixception.labels import EMOTIONS_8

LEGEND = """user.id,image,emotion
ann,Ada_Byron_0001.jpg,happiness
ann,Ada_Byron_0002.jpg,SADNESS
bob,Karl_0001.jpg,Anger
bob,Karl_0001.jpg,anger
bob,Twice_0001.jpg,fear
bob,Twice_0001.jpg,SURPRISE

bob,dark_0001.jpg,neutral
bob,gone_0001.jpg,neutral
bob,../secret.jpg,neutral
bob,broken_0001.jpg,neutral
bob,odd_0001.jpg,boredom
bob
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "facial_expressions"
    (root / "data").mkdir(parents=True)
    (root / "data" / "legend.csv").write_text(LEGEND)
    names = ("Ada_Byron_0001", "Ada_Byron_0002", "Karl_0001", "Twice_0001", "dark_0001")
    for name in (*names, "odd_0001"):
        value = 0 if name.startswith("dark") else 90 + 3 * len(name)
        write_picture(root / "images" / f"{name}.jpg", value, size=(30, 40))
    (root / "images" / "broken_0001.jpg").write_bytes(b"no picture")
    write_picture(tmp_path / "secret.jpg", 99)
    return root


def test_rows_are_read_by_name_and_counted(folder: Path) -> None:
    dataset = load_facial_expressions(folder, detector=BrightFinder(), image_size=(20, 16))
    assert dataset.images.shape == (3, 20, 16, 1)
    assert dataset.class_names == EMOTIONS_8
    assert [EMOTIONS_8[label] for label in dataset.labels] == ["happiness", "sadness", "anger"]
    assert dataset.attributes["subject"].tolist() == ["Ada_Byron", "Ada_Byron", "Karl"]
    assert dataset.dropped == {
        "repeated row": 1,
        "contradictory emotion": 2,
        "no face": 1,
        "missing picture": 2,
        "unreadable picture": 1,
        "unknown emotion": 1,
        "malformed row": 1,
    }
    assert dataset.splits is not None
    assert dataset.splits[0] == dataset.splits[1]


def test_archive_and_folder_give_the_same(folder: Path, tmp_path: Path) -> None:
    expected = load_facial_expressions(folder, detector=BrightFinder())
    for name in ("faces.tar", "faces.tar.gz"):
        dataset = load_facial_expressions(pack(folder, tmp_path / name), detector=BrightFinder())
        require_same(dataset, expected)  # the link in the archive leads nowhere


def test_a_wrong_place(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="muxspace"):
        load_facial_expressions(tmp_path / "none")
    with pytest.raises(ValueError, match=r"must hold the file legend\.csv"):
        load_facial_expressions(folder / "images")
    (folder / "data" / "legend.csv").write_text("user.id,picture,emotion\n")
    with pytest.raises(ValueError, match="Missing: image"):
        load_facial_expressions(folder)
    (folder / "data" / "legend.csv").write_text("user.id,image,emotion\nann,x.jpg,fear\n")
    with pytest.raises(ValueError, match=r"0 pictures \(missing picture: 1\)"):
        load_facial_expressions(folder)


def test_part_of_the_real_archive(real_data: Callable[[str], Path], tmp_path: Path) -> None:
    source = real_data("facial_expressions/facial_expressions_subset.tar")
    with tarfile.open(source) as full, tarfile.open(tmp_path / "part.tar", "w") as part:
        members = [member for member in full if member.isreg()]
        legend = [member for member in members if member.name.endswith("legend.csv")]
        for member in legend + [m for m in members if "George_W_Bush_000" in m.name]:
            part.addfile(member, full.extractfile(member))
    dataset = load_facial_expressions(tmp_path / "part.tar")
    assert len(dataset) + sum(dataset.dropped.values()) == 1856
    assert set(dataset.attributes["subject"]) == {"George_W_Bush"}
    assert len(dataset) > dataset.dropped["no face"]
