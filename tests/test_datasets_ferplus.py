import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from minixception.datasets import FaceDataset, load_ferplus, read_ferplus_votes, votes_as_targets
from minixception.datasets.face_dataset import split_names
from minixception.datasets.registry import load_dataset
from minixception.labels import EMOTIONS_8, EMOTIONS_FER2013, FERPLUS_COLUMNS

USAGES = ("Training", "Training", "Training", "Training", "PublicTest", "PrivateTest")
# What FERPLUS_COLUMNS call the classes of FER2013, in the order of its labels.
MEANINGS = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
# neutral, happiness, surprise, sadness, anger, disgust, fear, contempt, unknown, NF
VOTES = (
    (0, 9, 1, 0, 0, 0, 0, 0, 0, 0),  # happiness
    (4, 0, 0, 4, 0, 0, 0, 0, 2, 0),  # a tie
    (0, 0, 0, 1, 1, 0, 0, 0, 8, 0),  # unknown
    (0, 0, 0, 0, 0, 0, 0, 0, 0, 10),  # not a face
    (4, 1, 1, 1, 1, 1, 0, 0, 1, 0),  # neutral once single votes are gone
    (2, 0, 0, 0, 0, 0, 0, 8, 0, 0),  # contempt
)


def write_faces(path: Path, labels: Sequence[int], usages: Sequence[str]) -> Path:
    """Write a FER2013 file whose first pixels are the numbers of the rows."""
    rows = [
        f"{label},{row % 256} {' '.join(['7'] * 2303)},{usage}\n"
        for row, (label, usage) in enumerate(zip(labels, usages, strict=True))
    ]
    path.write_text("emotion,pixels,Usage\n" + "".join(rows))
    return path


def write_votes(
    path: Path,
    *,
    votes: Sequence[Sequence[object]] = VOTES,
    usages: Sequence[str] = USAGES,
    columns: Sequence[str] = FERPLUS_COLUMNS,
) -> Path:
    header = ",".join(["Usage", "Image name", *columns])
    rows = [
        ",".join([usage, "", *map(str, row)]) for usage, row in zip(usages, votes, strict=False)
    ]
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


@pytest.fixture
def paths(tmp_path: Path) -> tuple[Path, Path]:
    """Return a table of faces, which are all angry there, and one of votes on them."""
    faces = write_faces(tmp_path / "fer2013.csv", [0] * 6, USAGES)
    return faces, write_votes(tmp_path / "fer2013new.csv")


def names_of(dataset: FaceDataset) -> list[str]:
    return [dataset.class_names[label] for label in dataset.labels]


def test_majority(paths: tuple[Path, Path]) -> None:
    dataset = load_ferplus(*paths)
    assert dataset.class_names == EMOTIONS_8
    assert names_of(dataset) == ["happiness", "neutral", "contempt"]
    assert dataset.images[:, 0, 0, 0].tolist() == [0, 4, 5]
    reasons = ("no majority", "majority unknown", "majority not a face")
    assert dataset.dropped == dict.fromkeys(reasons, 1)
    assert dataset.targets is None
    digest = hashlib.md5(paths[1].read_bytes()).hexdigest()
    assert dataset.checksum.endswith(f" + md5:{digest}")
    assert names_of(dataset.split("PrivateTest")) == ["contempt"]


def test_distribution(paths: tuple[Path, Path]) -> None:
    dataset = load_ferplus(*paths, labels="distribution")
    # Of two emotions with equal votes the first in class order is the label.
    assert names_of(dataset) == ["happiness", "neutral", "neutral", "contempt"]
    assert dataset.targets is not None
    assert dict(zip(EMOTIONS_8, dataset.targets[1], strict=True)) == {
        name: 0.5 if name in ("neutral", "sadness") else 0.0 for name in EMOTIONS_8
    }
    assert dataset.dropped == {"most votes unknown or not a face": 2}


def test_train_on_votes(paths: tuple[Path, Path]) -> None:
    """The tie is something to learn from, but nothing to be scored on."""
    dataset = load_ferplus(*paths, labels="train-on-votes")
    training = dataset.split("Training")
    assert names_of(training) == ["happiness", "neutral"]
    assert training.targets is not None
    np.testing.assert_allclose(training.targets[1].max(), 0.5)
    scored = load_ferplus(*paths, labels="majority")
    for split in ("PublicTest", "PrivateTest"):
        np.testing.assert_array_equal(dataset.split(split).labels, scored.split(split).labels)
    assert dataset.dropped["most votes unknown or not a face"] == 2
    assert dataset.dropped["no majority"] == 0


def test_columns_are_found_by_name(tmp_path: Path) -> None:
    votes, columns = [row[::-1] for row in VOTES], FERPLUS_COLUMNS[::-1]
    reordered = write_votes(tmp_path / "reordered.csv", votes=votes, columns=columns)
    assert np.array_equal(read_ferplus_votes(reordered, splits=None), VOTES)


def test_votes_of_other_rows_and_unknown_rules(paths: tuple[Path, Path], tmp_path: Path) -> None:
    """Broken files are in `bad_input`."""
    for changes in ({"votes": VOTES[:5]}, {"usages": USAGES[::-1]}):
        wrong = write_votes(tmp_path / "wrong.csv", **changes)
        with pytest.raises(ValueError, match=r"wrong\.csv must have one row per FER2013 row"):
            load_ferplus(paths[0], wrong)
    with pytest.raises(FileNotFoundError, match="microsoft/FERPlus"):
        load_ferplus(paths[0], tmp_path / "none.csv")
    with pytest.raises(ValueError, match=r"distribution, train-on-votes. Received: labels='soft'"):
        load_ferplus(*paths, labels="soft")


def test_seven_class_targets_leave_out_contempt() -> None:
    targets, has_votes = votes_as_targets(np.array(VOTES), EMOTIONS_FER2013)
    assert targets.dtype == np.float32
    assert targets.sum(axis=1) == pytest.approx(1.0)
    assert has_votes.tolist() == [True, True, True, False, True, True]
    assert targets[3] == pytest.approx(1 / 7)
    assert targets[5].tolist() == [0, 0, 0, 0, 0, 0, 1]
    assert targets[0, EMOTIONS_FER2013.index("happy")] == pytest.approx(0.9)
    for votes, names in ((np.zeros((2, 8)), EMOTIONS_8), (np.zeros((2, 10)), ["woman"])):
        with pytest.raises(ValueError, match="must"):
            votes_as_targets(votes, names)


def test_the_real_rows(real_data: Callable[[str], Path]) -> None:
    faces, votes = real_data("fer2013/fer2013.csv.gz"), real_data("fer2013/fer2013new.csv")
    dataset = load_ferplus(faces, votes)
    public = dataset.split("PublicTest")
    assert list(public.class_counts().values()) == [287, 13, 24, 62, 865, 1182, 351, 415]
    assert sum(dataset.dropped.values()) == 35887 - len(dataset)
    stand_in = load_dataset("ferplus_public", faces)  # for report 000
    counts = {split: len(stand_in.split(split)) for split in split_names(stand_in)}
    assert counts == {"train": 2300, "validation": 266, "test": 633}


@pytest.mark.parametrize("order", ["original", "part sorted", "shifted"])
def test_votes_of_other_faces_are_refused(
    tmp_path: Path, order: str, caplog: pytest.LogCaptureFixture
) -> None:
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 7, 500)
    said = np.where(generator.random(500) < 0.65, labels, generator.integers(0, 7, 500))
    columns = [FERPLUS_COLUMNS.index(name) for name in MEANINGS]
    votes = [[10 * (place == columns[one]) for place in range(10)] for one in said]
    usages = ["Training"] * 500
    votes_path = write_votes(tmp_path / "fer2013new.csv", votes=votes, usages=usages)
    labels = {
        "original": labels,
        "part sorted": np.concatenate([labels[:250], np.sort(labels[250:])]),
        "shifted": np.roll(labels, 1),
    }[order]
    path = write_faces(tmp_path / "fer2013.csv", labels.tolist(), usages)
    if order == "original":
        assert len(load_ferplus(path, votes_path, use_cache=False)) == 500
        assert "are not the original files" in caplog.text
    else:
        with pytest.raises(ValueError, match=r"fer2013\.csv must have its rows in the order of"):
            load_ferplus(path, votes_path, use_cache=False)
