"""Faces without labels: which are taken, and that teachers alone label them."""

import shutil
import tracemalloc
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minixception
from made_up_data import make_card, pack
from made_up_detection import write_labelled_pictures
from minixception import models
from minixception.checkpoints.keras_model import save_checkpoint
from minixception.datasets import FaceDataset, load_unlabelled
from minixception.datasets.pictures import picture_names
from minixception.datasets.unlabelled import gather_unlabelled
from minixception.training.teaching import Teacher, taught, taught_once
from pattern_runs import SMALL, divided_faces, faces


@pytest.fixture
def album(tmp_path: Path, portraits: Path) -> Path:
    """A folder with a picture of three faces."""
    (tmp_path / "album").mkdir()
    shutil.copy(portraits, tmp_path / "album")
    return tmp_path / "album"


def test_the_faces_of_a_detection_set_are_framed_by_its_table(tmp_path: Path) -> None:
    write_labelled_pictures(tmp_path, photographs=5)
    found = load_unlabelled(tmp_path, leave_out={"photographs_3_0001.jpg"})
    assert found.images.shape == (4, 48, 48, 1)
    assert found.dropped["left out by name"] == 1
    assert "photographs_3_0001.jpg" not in found.attributes["file"]
    # Eyes and mouth are inside the square, the ground of the picture is beside the face.
    assert all(np.ptp(image) > 100 for image in found.images)
    again = load_unlabelled(tmp_path, channels=3)
    assert again.images.shape == (5, 48, 48, 3)


def test_names_are_left_out_whatever_the_archive_is_called(tmp_path: Path, album: Path) -> None:
    for name in ("a.tar", "a.tar.gz", "a.tgz"):
        place = tmp_path / name.replace(".", "_")
        (place / "below").mkdir(parents=True)
        pack(album, place / "below" / name)
        assert picture_names(place) == {name, "portraits.jpg"}


@pytest.mark.parametrize("is_packed", [False, True])
def test_photographs_are_read_one_by_one_and_the_largest_face_of_each_is_taken(
    is_packed: bool, tmp_path: Path, album: Path
) -> None:
    for number in range(40):
        (album / f"{number}.jpg").write_bytes(bytes(1 << 20))
    (album / "notes.txt").write_text("no picture")
    packed = tmp_path / "packed"
    packed.mkdir()
    pack(album, packed / "album.tar")
    tracemalloc.start()
    try:
        found = load_unlabelled(packed if is_packed else album, use_cache=False)
        assert tracemalloc.get_traced_memory()[1] < 20 << 20
    finally:
        tracemalloc.stop()
    assert found.images.shape == (1, 48, 48, 1)
    assert found.attributes["file"].tolist() == ["portraits.jpg"]
    assert found.dropped["unreadable picture"] == 40


def test_a_place_without_a_picture_is_told(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no picture")
    with pytest.raises(ValueError, match=r"must hold pictures of faces\. Received: 0 pictures"):
        load_unlabelled(tmp_path)
    with pytest.raises(FileNotFoundError, match="nothing at"):
        load_unlabelled(tmp_path / "nowhere")


def sure_teacher(asked: list[int]) -> Teacher:
    """Return a teacher that is sure of the second of three classes, and notes what it is shown."""

    def predict(images: np.ndarray) -> np.ndarray:
        asked.append(len(images))
        return np.eye(3, dtype=np.float32)[np.full(len(images), 1)]

    return Teacher(predict, (8, 8), (0, 1, 2), flip=False, description={"weights": "none"})


def test_a_face_without_a_label_is_the_teachers_alone_or_that_of_others() -> None:
    images = np.zeros((3, 8, 8, 1), np.float32)
    # The last is mixed with such a face.
    targets = np.array([[1, 0, 0], [0, 0, 0], [0.5, 0, 0]], np.float32)
    third = replace(sure_teacher([]), columns=(0, 2, 1))
    cases: list[tuple[list[Teacher], Any]] = [
        ([], [[0.4, 0.6, 0], [0, 1, 0], [0.2, 0.8, 0]]),
        ([third], [[0.4, 0.6, 0], [0, 0, 1], [0.2, 0.3, 0.5]]),
    ]
    for others, expected in cases:
        given = [(images, targets)]
        (batch,) = taught(given, [sure_teacher([])], share=0.6, unlabelled_teachers=others)
        np.testing.assert_allclose(batch[1], expected, atol=1e-6)


def test_teachers_are_asked_once_and_again_about_other_faces(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    some = faces(6, seed=0)
    asked: list[int] = []

    def ask(images: np.ndarray) -> np.ndarray:
        return taught_once(
            images,
            some.distributions,
            [sure_teacher(asked)],
            preprocessor=minixception.Preprocessor((8, 8)),
            share=1.0,
            file=tmp_path / "opinions.npz",
        )

    np.testing.assert_array_equal(ask(some.images), [[0, 1, 0]] * 6)
    np.testing.assert_array_equal(ask(some.images), [[0, 1, 0]] * 6)
    assert asked == [6]
    ask(255 - some.images)
    (tmp_path / "opinions.npz").write_bytes(b"PK")
    ask(255 - some.images)
    assert asked == [6, 6, 6]
    assert "opinions.npz is damaged" in caplog.text


@pytest.mark.usefixtures("short_training")
def test_a_student_learns_from_faces_without_labels(here: Path) -> None:
    patterns = divided_faces()
    write_labelled_pictures(Path("more"), photographs=6)
    model = models.build("lenet5_rgb", (16, 16, 3), 3)
    save_checkpoint(Path("teacher"), model, make_card(model, patterns.class_names))

    def train(**changes: Any) -> Any:
        options: dict[str, Any] = {
            "teachers": ["teacher"],
            "unlabelled": ["more"],
            "teach_once": True,
        }
        options |= {"output": "student", "verbose": 0, **SMALL, **changes}
        return minixception.train(patterns, **options)

    run = train(epochs=1, unlabelled_teachers=["teacher"])
    assert run.card.data["unlabelled"]["faces"] == 6
    assert run.card.data["unlabelled_teachers"][0]["name"] == "card"
    assert run.card.data["sizes"]["train"] == 24
    with pytest.raises(ValueError, match="unlabelled was"):
        train(epochs=1, resume=True, unlabelled=[])
    for useless in ({"unlabelled_teachers": ["teacher"]}, {"leave_out": "more"}):
        with pytest.raises(ValueError, match="need `unlabelled`"):
            train(unlabelled=[], output="other", **useless)
    for unlabelled in (["more"], []):  # which `teach_once` needs as well
        with pytest.raises(ValueError, match="name one as `teachers`"):
            train(teachers=[], unlabelled=unlabelled, output="none")


def test_a_place_is_read_once_and_known_by_what_is_in_it(here: Path) -> None:
    write_labelled_pictures(Path("more"), photographs=5)
    gather = partial(gather_unlabelled, dataset=divided_faces(), unseen=["test"])
    alone, twice = gather([Path("more")]), gather([here / "more", Path("more/../more")])
    assert isinstance(alone, FaceDataset)
    assert isinstance(twice, FaceDataset)
    assert (alone.checksum, len(alone)) == (twice.checksum, 5)
    Path("scored").mkdir()
    for name in alone.attributes["file"]:
        Path("scored", name).touch()
    with pytest.raises(ValueError, match=r"must hold faces that are not left out.* by name: 5"):
        gather([Path("more")], leave_out=Path("scored"))
