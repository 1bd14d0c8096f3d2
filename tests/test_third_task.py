"""A task beside emotion and gender: glasses, classified by a model of the user's own."""

import json
import re
import shutil
import textwrap
from pathlib import Path

import pytest

from conftest import Run
from made_up_data import write_film
from minixception import FaceAnalyzer, draw_predictions, make_checkpoint, to_frame, video
from minixception.boxes import Box
from minixception.checkpoints.card import read_card
from minixception.datasets.registry import dataset_names, get_entry
from minixception.images import read_image
from minixception.inference.predictions import to_rows
from minixception.labels import TAKEN_NAMES
from minixception.video.reader import VideoReader
from stored_files import change_card, read_rows

NAMES = ("glasses", "none")
COLUMNS = [f"glasses_{name}" for name in NAMES]


@pytest.fixture(scope="module")
def glasses(checkpoints: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("third") / "glasses"
    model = checkpoints["gender"] / "model.tflite"
    make_checkpoint(folder, model, class_names=NAMES, value_range=(-1, 1), task="glasses")
    return folder


@pytest.fixture
def options(model_options: list[str], glasses: Path) -> list[str]:
    return [*model_options, f"--classifier={glasses}"]


def test_from_analyzer_to_drawing(
    checkpoints: dict[str, Path], glasses: Path, portraits: Path
) -> None:
    two = FaceAnalyzer(**checkpoints)  # type: ignore[arg-type]
    three = FaceAnalyzer.from_pretrained(*checkpoints.values(), glasses=glasses)
    assert list(three.classifiers) == ["emotion", "gender", "glasses"]
    faces = three.analyze(portraits)
    assert {face.label("glasses") for face in faces} <= set(NAMES)
    assert faces[0].label("age") is None
    for face, other in zip(faces, two.analyze(portraits), strict=True):
        assert tuple(face.scores["glasses"]) == NAMES
        assert {**face.scores, "glasses": None} == {**other.scores, "glasses": None}
        assert list(face.to_json())[5:] == ["glasses", "glasses_scores"]
    labels = [*Box._fields, "emotion", "gender", "glasses"]
    assert list(to_rows(faces)[0]) == list(to_frame(faces)) == three.columns
    assert three.columns == [*labels, *two.columns[6:], *COLUMNS]
    image = read_image(portraits)
    drawn = [draw_predictions(image, each, bars=True) for each in (faces, two.analyze(image))]
    assert (drawn[0] != drawn[1]).any()


def test_pictures_and_films(options: list[str], here: Path, portraits: Path, run: Run) -> None:
    done = run("image", portraits, *options, "--csv", "faces.csv", "--json", "faces.json")
    assert "gender            glasses" in done.stdout
    rows = read_rows(here / "faces.csv")
    assert list(rows[0])[-2:] == COLUMNS
    (faces,) = json.loads((here / "faces.json").read_text(encoding="utf-8")).values()
    for row, face in zip(rows, faces, strict=True):
        assert face["glasses"] == row["glasses"]
        scores = [str(score) for score in face["glasses_scores"].values()]
        assert scores == [row[name] for name in COLUMNS]
    image = read_image(portraits)
    write_film(here / "film.mp4", [image] * 3)
    done = run("video", "film.mp4", *options, "--csv", "film.csv", "--output", "drawn.mp4")
    assert "gender            glasses" in done.stdout
    rows = read_rows(here / "film.csv")
    assert len(rows) == 9
    assert all(row["glasses"] in NAMES for row in rows)
    _, example, _ = re.split(r"\n\n(?=    import)|\n\n(?=Reader)", str(video.__doc__))
    exec(textwrap.dedent(example), {})
    with VideoReader("copy.mp4") as copy:
        assert len(list(copy)) == 3


def test_what_is_no_third_task(
    options: list[str], glasses: Path, here: Path, portraits: Path, run: Run
) -> None:
    change_card(Path(shutil.copytree(glasses, "clash")), task="gender_woman")
    emotion = options[0].split("=")[1]
    for more, message in (
        (emotion, "emotion has a model"),
        ("clash", "The columns of two tasks must have different names"),
        ("nowhere", "neither a checkpoint folder"),
    ):
        assert message in run("image", portraits, *options, "--classifier", more, code=1).stderr
    model = next(glasses.glob("*.tflite"))
    for name in (*TAKEN_NAMES, "emotion_scores", "two words", ""):
        with pytest.raises(ValueError, match="`task` must be a word such as"):
            make_checkpoint("no", model, class_names=NAMES, value_range=(0, 1), task=name)
    for value in (None, "nowhere"):
        with pytest.raises((TypeError, FileNotFoundError), match="glases"):
            FaceAnalyzer(glases=value)
    assert set(Box._fields) < set(TAKEN_NAMES)


def test_class_folders_are_of_any_task(glasses: Path) -> None:
    assert read_card(glasses).task == "glasses"
    assert dataset_names("glasses") == ("folder", "folder_faces")
    assert get_entry("folder+ck_plus").tasks == ("emotion",)
    assert get_entry("utkface+ck_plus").tasks == ()
