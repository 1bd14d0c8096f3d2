"""A picture is in the same split wherever, and with whatever else, it is read."""

import logging
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import Run
from made_up_data import write_noise
from minixception import evaluate, train
from minixception.boxes import Box
from minixception.checkpoints.shipped import DEFAULT_DETECTOR
from minixception.datasets import (
    FaceDataset,
    content_split,
    draw_splits,
    load_utkface,
    merge_datasets,
)
from minixception.datasets.face_dataset import picture_digest
from minixception.datasets.registry import get_entry, load_dataset, refuse_unknown
from minixception.detection.registry import DETECTORS
from minixception.images import read_image, write_image
from minixception.training.learned_faces import numbers_of, refuse_seen, write_learned
from pattern_runs import SMALL
from stored_files import change_card

PICTURES = 100
THIRDS = {"train": 0.4, "validation": 0.3, "test": 0.3}


class Finder:
    """A detector that finds a face in three of four pictures."""

    def detect(self, image: np.ndarray) -> list[Box]:
        height, width = image.shape[:2]
        return [Box(width // 4, height // 4, width // 2, height // 2)] * bool(image.sum() % 4)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two classes of pictures, no two of them alike, a quarter without a face."""
    monkeypatch.setitem(DETECTORS, DEFAULT_DETECTOR, Finder)
    for number in range(PICTURES):
        path = tmp_path / "faces" / ("woman", "man")[number % 2] / f"{number:03}.png"
        write_noise(path, 800 + number, size=(10, 8))
    return tmp_path / "faces"


def sides(dataset: FaceDataset) -> dict[str, str]:
    assert dataset.splits is not None
    return dict(zip(dataset.attributes["content"].tolist(), dataset.splits.tolist(), strict=True))


def test_a_picture_keeps_its_side(folder: Path) -> None:
    """Half of the pictures, under other names, in another container, some in another class."""
    expected = sides(load_dataset("folder", folder))
    assert len(expected) == PICTURES
    counts = [list(expected.values()).count(split) for split in ("train", "validation", "test")]
    assert counts == pytest.approx([80, 10, 10], abs=9)
    for number, path in enumerate(sorted(folder.rglob("*.png"))[::2]):
        name = path.parent.name if number % 3 else "happy"
        other = folder.parent / "again" / name / f"{PICTURES - number}.tiff"
        write_image(other, read_image(path))
    for name in ("folder", "folder_faces"):
        found = sides(load_dataset(name, folder.parent / "again"))
        assert PICTURES / 4 < len(found) <= PICTURES / 2
        assert found.items() <= expected.items()


def test_duplicates_are_together_in_whatever_class_and_set(folder: Path) -> None:
    for path in sorted(folder.glob("man/*")):
        shutil.copy(path, folder / "woman" / f"copy of {path.name}")
    dataset = load_dataset("folder", folder)
    assert len(dataset) == PICTURES * 3 // 2
    assert dataset.splits is not None
    pairs = set(zip(dataset.attributes["content"], dataset.splits, strict=True))
    assert len(pairs) == len(sides(dataset)) == PICTURES
    faces = load_dataset("folder_faces", folder)
    merged = merge_datasets({"whole": dataset, "faces": faces})
    assert sides(merged) == sides(dataset)
    assert (merged.split_rule, merged.drawn_splits) == ("content", dataset.drawn_splits)
    weaker = merge_datasets({"whole": dataset, "faces": replace(faces, split_rule="drawn")})
    assert weaker.split_rule == "drawn"


def test_utkface_has_the_sides_of_its_pictures_in_folders(tmp_path: Path) -> None:
    for number in range(60):
        write_noise(tmp_path / "set" / f"30_{number % 2}_0_{number:017}.jpg", number)
        write_noise(tmp_path / "folder" / ("man", "woman")[number % 2] / f"{number}.jpg", number)
    first = load_utkface(tmp_path / "set")
    assert sides(first) == sides(load_dataset("folder", tmp_path / "folder"))
    assert sides(load_utkface(tmp_path / "set", seed=1)) != sides(first)


def test_only_pixels_count_for_a_digest() -> None:
    grey = np.random.default_rng(0).integers(0, 256, (6, 4, 1), dtype=np.uint8)
    digest = picture_digest(grey)
    assert digest == picture_digest(np.repeat(grey, 3, axis=2))
    assert digest == picture_digest(np.asfortranarray(grey))
    assert digest != picture_digest(grey.reshape(4, 6, 1))
    changed = grey.copy()
    changed[0, 0] ^= 1
    assert digest != picture_digest(changed)


def test_subjects_who_share_a_picture_are_one() -> None:
    subjects = np.array([f"person {number // 5}" for number in range(500)])
    contents = np.array([f"{number:032x}" for number in range(500)])
    split = partial(content_split, fractions=THIRDS, seed=3, subjects=subjects)
    splits = split(contents)
    # Person 2 shares a picture with person 1, that one with person 0.
    contents[[5, 10]] = contents[[0, 6]]
    linked = split(contents)
    assert len(set(splits[:15])) > len(set(linked[:15])) == 1
    assert np.array_equal(linked[15:], splits[15:])


@given(st.lists(st.integers(0, 30), min_size=1, max_size=200), st.integers(0, 2**32 - 1))
def test_no_subject_is_on_both_sides_whatever_else_is_read(numbers: list[int], seed: int) -> None:
    subjects, contents = np.array(numbers), np.arange(len(numbers))
    splits = content_split(contents, subjects=subjects, seed=seed)
    assert len(set(zip(numbers, splits, strict=True))) == len(set(numbers))
    some = np.random.default_rng(0).permutation(len(numbers))[: 1 + len(numbers) // 2]
    again = content_split(contents[some], subjects=subjects[some], seed=seed)
    assert np.array_equal(again, splits[some])


def test_a_known_roster_is_divided_exactly_however_few_are_read() -> None:
    roster = [f"S{number}" for number in range(20)]
    splits = content_split(roster, subjects=roster, roster=roster)
    assert [int((splits == name).sum()) for name in ("train", "validation", "test")] == [16, 2, 2]
    for row in range(20):
        alone = content_split(["content"], subjects=[roster[row]], roster=roster)
        assert alone.tolist() == [splits[row]]


def test_a_class_without_a_picture_in_a_split_is_told(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for path in sorted(folder.glob("man/*"))[3:]:
        path.unlink()
    with caplog.at_level(logging.WARNING):
        dataset = load_dataset("folder", folder)
    names = ("train", "validation", "test")
    counts = [((dataset.splits == name) & (dataset.labels == 0)).sum() for name in names]
    shown = ", ".join(f"{name} {count}" for name, count in zip(names, counts, strict=True))
    assert f"faces: a split has no picture of man ({shown})" in caplog.text
    assert "woman" not in caplog.text


def test_what_cannot_be_split() -> None:
    with pytest.raises(ValueError, match="`subjects` must be names for each"):
        content_split(["a"], subjects=["b", "c"])
    for fractions in ({}, {"train": 0.5}, {"train": 1.5, "test": -0.5}):
        with pytest.raises(ValueError, match="`fractions` must be positive and sum to 1"):
            content_split(["a"], fractions=fractions)


def old_card_data(name: str, dataset: FaceDataset) -> dict[str, Any]:
    """Return what a card of an earlier version says of a training."""
    return {"dataset": name, "name": dataset.name, "checksum": dataset.checksum}


@pytest.fixture
def old_model(folder: Path, here: Path, checkpoints: dict[str, Path]) -> Path:
    """Return the folder of a model that an earlier version has trained on these pictures."""
    old = shutil.copytree(checkpoints["gender"], here / "old")
    change_card(old, data=old_card_data("folder", load_dataset("folder", folder)))
    return Path(old)


@pytest.mark.parametrize("scored", ["folder", "folder_faces"])
def test_models_without_hashes_are_only_scored_where_training_faces_cannot_be(
    folder: Path, scored: str
) -> None:
    def check(dataset: FaceDataset, data: dict[str, Any]) -> None:
        refuse_unknown(scored, dataset, splits=["test"], model="m", trained_on=data)

    copy = Path(shutil.copytree(folder, folder.parent / "other name"))
    next(copy.glob("man/*")).unlink()
    dataset = load_dataset("folder", folder)
    old = old_card_data("folder", dataset)
    now = {**old, "split_rule": "content", "drawn_splits": list(dataset.drawn_splits)}
    check(load_dataset(scored, copy), now)
    # Nobody knows any more how an earlier version, or somebody else, divided these pictures.
    source = {**now, "split_rule": "source", "drawn_splits": []}
    for data in (old, {**old, "split_rule": "drawn"}, source):
        for files in (folder, copy):
            with pytest.raises(ValueError, match=r"m was trained on faces in splits that are not"):
                check(load_dataset(scored, files), data)
    # Folders that say what is for testing are taken at their word.
    folder.rename(folder.parent / "test")
    check(load_dataset(scored, folder.parent), old)


def test_a_model_without_hashes_is_scored_on_other_sets(folder: Path) -> None:
    dataset, old = load_dataset("folder", folder), {"dataset": "utkface", "name": "utkface"}
    refuse = partial(refuse_unknown, splits=["test"], model="m", trained_on=old)
    for name in ("folder", "imdb"):
        refuse(name, replace(dataset, name=name))
    for name in ("utkface", "imdb+utkface"):
        with pytest.raises(ValueError, match="m was trained on utkface in splits that are not"):
            refuse(name, replace(dataset, name=name))
    # A set with splits of its own may teach several sets, but not the one that is a part of it.
    fer2013 = {"dataset": "fer2013", "name": "fer2013", "drawn_splits": []}
    refuse("fer2013+folder", replace(dataset, name="fer2013+folder"), trained_on=fer2013)
    part = {"dataset": "ferplus_public", "name": "ferplus_public"}
    ferplus = replace(dataset, name="ferplus")
    refuse("ferplus", ferplus, splits=["PrivateTest"], trained_on=part)
    with pytest.raises(ValueError, match="m was trained on ferplus_public in splits that are not"):
        refuse("ferplus", ferplus, splits=["PublicTest"], trained_on=part)


def test_learned_faces_are_known_again_however_a_set_is_read(
    folder: Path, checkpoints: dict[str, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    dataset = load_dataset("folder", folder)
    model = Path(shutil.copytree(checkpoints["gender"], tmp_path / "model"))
    write_learned(model, numbers_of(dataset.split("train")))
    splits, advice = ["train", "test"], "; leave them out"
    refuse = partial(
        refuse_seen, model, "a", entry=get_entry("folder"), splits=splits, advice=advice
    )
    pictures = np.stack([read_image(path) for path in sorted(folder.rglob("*.png"))])
    table = replace(dataset, attributes={}, images=pictures)
    for unchanged in (dataset, table, merge_datasets({"a": dataset})):
        refuse(unchanged)
    subjects = np.array([f"person {row // 3}" for row in range(PICTURES)])
    by_subject = replace(dataset, attributes={**dataset.attributes, "subject": subjects})
    for other in (draw_splits(table, seed=1), draw_splits(by_subject)):
        with pytest.raises(ValueError, match=r"from .* faces? of faces test, which .*; leave them"):
            refuse(other)
        assert advice not in caplog.text
        refuse(replace(other, drawn_splits=()))  # the splits of a source are only told of
        assert advice in caplog.text
        caplog.clear()
    (model / "learned_faces.npz").write_bytes(b"PK")
    with pytest.raises(ValueError, match=r"learned_faces\.npz is damaged .* train again"):
        refuse(dataset)


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("evaluate", "--split=test --engine=litert --model"),
        ("evaluate", "--split=test --engine=litert --without-twins --model"),
        ("train-gender", "--output=new --image-size=48 --initial-weights"),
        ("train-gender", "--output=new --image-size=48 --teacher"),
        (
            "train-gender",
            "--output=new --image-size=48 --teacher=utkface_mini_xception --unlabelled=faces "
            "--unlabelled-teacher",
        ),
        ("export", "--output=new.tflite --format=litert-int8"),
    ],
)
def test_a_model_of_an_earlier_version_is_refused_where_it_may_have_seen_test_faces(
    folder: Path, here: Path, old_model: Path, run: Run, command: str, options: Any
) -> None:
    refused = run(
        command, *options.split(), old_model, "--dataset=folder", "--data", folder, code=1
    )
    assert "gender was trained on faces in splits that are not those drawn now" in refused.stderr
    assert not list(here.glob("new*"))


@pytest.mark.usefixtures("short_training")
def test_faces_in_folders_are_cut_as_they_are_for_prediction(
    folder: Path, here: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # The box is the middle half, so that with this margin a face is its whole picture.
    changes = {**SMALL, "crop_margin": 0.5, "epochs": 1, "output": "run", "verbose": 0}
    card = train("folder_faces", "emotion", task="gender", data=folder, **changes).card
    whole = load_dataset("folder", folder, image_size=SMALL["image_size"], channels=3)
    contents = load_dataset("folder_faces", folder).attributes["content"]
    found = whole.select(np.isin(whole.attributes["content"], contents))
    assert evaluate("run", found).to_json() == card.metrics["validation"]
    assert evaluate("run", data=folder).to_json() == card.metrics["validation"]
    assert evaluate("run", folder).to_json() == card.metrics["validation"]
    assert "taken whole" not in caplog.text
    assert evaluate("run", "folder", data=folder).n > card.metrics["validation"]["n"]
    assert (
        "are cut to the largest face: scores on folder, whose pictures are taken whole"
        in caplog.text
    )
