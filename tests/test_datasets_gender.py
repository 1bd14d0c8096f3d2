from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

from made_up_data import pack, require_same, write_noise
from minixception.datasets import load_imdb, load_utkface
from minixception.datasets.registry import default_dataset, is_trained_on
from minixception.labels import GENDERS

NAMES = (
    "20_0_1_20170101000000001.jpg.chip.jpg",  # a man of 20
    "35_1_0_20170101000000002.jpg.chip.jpg",  # a woman of 35
    "40_1_4_20170101000000003.jpg.chip.jpg",
)
MALFORMED = ("61_1_20170109142408075.jpg.chip.jpg", "61_3_20170109150557335.jpg.chip.jpg")


@pytest.fixture
def utkface_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "crop_part1"
    for seed, name in enumerate(NAMES + MALFORMED):
        write_noise(folder / name, seed)
    # A copy of the first face, under the name of another.
    copy = folder / "21_0_1_20180101000000004.jpg.chip.jpg"
    copy.write_bytes((folder / NAMES[0]).read_bytes())
    (folder / "36_1_0_20180101000000005.jpg.chip.jpg").write_bytes(b"no picture")
    return folder


def test_utkface_names_are_read(utkface_folder: Path) -> None:
    dataset = load_utkface(utkface_folder, image_size=(10, 12))
    assert dataset.images.shape == (3, 10, 12, 3)
    assert dataset.class_names == GENDERS
    assert [GENDERS[label] for label in dataset.labels] == ["man", "woman", "woman"]
    assert dataset.attributes["age"].tolist() == [20, 35, 40]
    assert dataset.attributes["ethnicity"].tolist() == [1, 0, 4]
    dropped = {"malformed name": 2, "unreadable picture": 1, "duplicate": 1}
    assert dataset.dropped == {**dropped, "contradictory gender": 0}
    twin = utkface_folder / "40_0_4_20180101000000006.jpg.chip.jpg"
    twin.write_bytes((utkface_folder / NAMES[2]).read_bytes())
    dataset = load_utkface(utkface_folder)
    assert dataset.attributes["age"].tolist() == [20, 35]
    assert dataset.dropped == {**dropped, "contradictory gender": 2}
    for load, message in ((load_utkface, r"susanqq.github.io"), (load_imdb, r"imdb_crop.tar")):
        with pytest.raises(FileNotFoundError, match=message):
            load(utkface_folder / "none")


def test_utkface_archive_and_folder_give_the_same(utkface_folder: Path, tmp_path: Path) -> None:
    expected = load_utkface(tmp_path)  # in which the folder lies, as in the archive
    for name in ("faces.tar", "faces.tar.gz"):
        require_same(load_utkface(pack(utkface_folder, tmp_path / name)), expected)


def test_a_folder_with_the_name_of_a_set_is_not_that_set(utkface_folder: Path) -> None:
    named = replace(load_utkface(utkface_folder), name="fer2013")
    trained_on = {"dataset": "folder", "name": "fer2013"}
    assert not is_trained_on("fer2013", named, trained_on)
    assert is_trained_on("folder_faces", named, trained_on)  # which reads the same pictures


def test_a_model_is_scored_on_its_own_set_by_default() -> None:
    assert default_dataset("emotion", {"name": "ferplus"}) == "ferplus"
    assert default_dataset("emotion", {"dataset": "folder_faces", "name": "x"}) == "folder_faces"
    assert default_dataset("emotion", {"dataset": "folder", "name": "fer2013"}) == "folder"
    assert default_dataset("emotion", {"dataset": "jaffe+kdef", "name": "x"}) == "jaffe+kdef"
    assert default_dataset("gender", {"name": "as published"}) == "utkface"
    with pytest.raises(ValueError, match=r"trained on my_faces.*Name one with `dataset`: fer2013"):
        default_dataset("emotion", {"name": "my_faces"})
    with pytest.raises(ValueError, match=r"fer2013.*not a data set with labels of gender"):
        default_dataset("gender", {"name": "fer2013"})


def test_the_real_utkface_part(real_data: Callable[[str], Path]) -> None:
    path = real_data("utkface/crop_part1_adults.tar")
    dataset = load_utkface(path, image_size=(64, 64))
    assert sum(dataset.dropped.values()) + len(dataset) == 6127
    assert dataset.dropped["malformed name"] == 2
    assert dataset.class_counts() == {"woman": 3411, "man": 2638}
    assert dataset.attributes["age"].min() >= 16
    shares = {name: len(dataset.split(name)) for name in ("train", "validation", "test")}
    # Another decoder of JPEG may round otherwise: other hashes.
    assert list(shares.values()) == pytest.approx([4839, 605, 605], abs=100)


IMDB_ROWS = (
    # path, gender, face score, second face score
    ("01/man.jpg", 1.0, 4.0, np.nan),
    ("01/woman.jpg", 0.0, 3.5, np.nan),
    ("01/score_at_the_limit.jpg", 0.0, 3.0, np.nan),
    ("01/two_faces.jpg", 0.0, 4.0, 2.0),
    ("01/unknown_gender.jpg", np.nan, 4.0, np.nan),
    ("01/missing.jpg", 1.0, 4.0, np.nan),
    ("01/broken.jpg", 1.0, 4.0, np.nan),
)
IMDB_FIELDS = ("full_path", "gender", "face_score", "second_face_score")


def write_imdb(folder: Path, rows: Any) -> None:
    columns = dict(zip(IMDB_FIELDS, zip(*rows, strict=True), strict=True))
    struct = {field: np.array(columns[field]) for field in IMDB_FIELDS[1:]}
    struct["full_path"] = np.array(columns["full_path"], dtype=object)
    savemat(folder / "imdb.mat", {"imdb": struct})


def test_imdb_is_filtered_as_in_the_paper(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_imdb(tmp_path, IMDB_ROWS)
    for seed, row in enumerate(IMDB_ROWS[:5]):
        write_noise(tmp_path / row[0], seed)
    (tmp_path / "01" / "broken.jpg").write_bytes(b"no picture")
    dataset = load_imdb(tmp_path)
    assert dataset.images.shape == (2, 64, 64, 1)
    assert [GENDERS[label] for label in dataset.labels] == ["man", "woman"]
    assert dataset.dropped == {
        "low face score": 1,
        "second face": 1,
        "unknown gender": 1,
        "missing picture": 1,
        "unreadable picture": 1,
    }
    assert all(name in caplog.text for name in ("missing.jpg", "broken.jpg", "two_faces.jpg"))


def test_nobody_of_imdb_is_on_two_sides(tmp_path: Path) -> None:
    rows = [
        (f"{person}/nm{person:07}_rm{picture}_1980-1-1_2010.jpg", float(person % 2), *others)
        for person, others in enumerate([IMDB_ROWS[0][2:]] * 10)
        for picture in range(4)
    ]
    write_imdb(tmp_path, rows)
    for seed, row in enumerate(rows):
        write_noise(tmp_path / row[0], seed)
    dataset = load_imdb(tmp_path / "imdb.mat", image_size=(8, 8), channels=3)
    assert dataset.images.shape == (40, 8, 8, 3)
    assert dataset.splits is not None
    sides = set(zip(dataset.attributes["subject"], dataset.splits, strict=True))
    assert len(sides) == 10
    (tmp_path / rows[0][0]).unlink()
    assert load_imdb(tmp_path).checksum != dataset.checksum
