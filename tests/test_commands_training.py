"""Training and evaluation by their commands, on a small FER2013-like file."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from conftest import eagerly
from made_up_data import fer2013_csv, write_noise
from minixception.checkpoints.card import read_card
from minixception.checkpoints.shipped import DEFAULT_EMOTION_MODEL, DEFAULT_GENDER_MODEL
from minixception.commands import run_command
from minixception.labels import EMOTIONS_FER2013
from minixception.training.origins import choose_origin
from minixception.training.recipe_book import RECIPES
from own_process import MAIN, run_python

COUNTS = {"Training": 35, "PublicTest": 14, "PrivateTest": 7}
EPOCHS = 3


# Ends without any cleaning up, between the history and the state of its second epoch.
DYING = """
import os, sys, tensorflow
from minixception.training import state
tensorflow.config.run_functions_eagerly(True)
write, calls = state.write_state, []
def write_once(*arguments):
    calls.append(write(*arguments) if not calls else os._exit(9))
state.write_state = write_once
"""


@pytest.fixture(scope="module")
def csv_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first PrivateTest face is also the first Training face."""
    path = tmp_path_factory.mktemp("data") / "fer2013.csv"
    path.write_text(fer2013_csv(COUNTS, twins=["PrivateTest"]))
    return path


def training_options(csv_file: Path, folder: Path) -> list[str]:
    numbers = {"--image-size": 16, "--epochs": EPOCHS, "--batch-size": 18, "--seed": 3}
    return [
        *["--data", str(csv_file), "--output", str(folder), "--network", "lenet5_rgb"],
        *["--channels", "3", "--recipe", "paper"],
        *[str(part) for option in numbers.items() for part in option],
    ]


def finished_epochs(folder: Path) -> int:
    return len((folder / "history.csv").read_text().splitlines()) - 1


@pytest.fixture(scope="module")
def trained(csv_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that died after some epochs and was resumed to its end, from another folder."""
    folder = tmp_path_factory.mktemp("runs") / "example"
    options = training_options(Path(csv_file.name), folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(csv_file.parent)
        assert run_python("-c", DYING + MAIN, "train-emotion", *options).returncode == 9
    assert finished_epochs(folder) == 2
    with eagerly():
        assert run_command("train-emotion", ["--resume", str(folder)]) == 0
    return folder


@pytest.mark.usefixtures("short_training")
def test_a_killed_run_gives_what_an_uninterrupted_one_gives(
    csv_file: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "example"
    assert run_command("train-emotion", training_options(csv_file, folder)) == 0
    assert (folder / "history.csv").read_text() == (trained / "history.csv").read_text()
    assert read_card(folder).metrics == read_card(trained).metrics
    capsys.readouterr()
    options = ["--resume", "--output", str(folder), "--quiet", "--epochs", str(EPOCHS + 1)]
    assert run_command("train-emotion", options) == 0
    assert finished_epochs(folder) == EPOCHS + 1
    assert capsys.readouterr().out == ""


@pytest.mark.usefixtures("short_training")
def test_a_third_task_is_trained_by_a_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for split, count in (("train", 6), ("validation", 2), ("test", 2)):
        for number in range(count):
            for name in ("glasses", "bare"):
                write_noise(tmp_path / "data" / split / name / f"{number}.png", number)
    folder = tmp_path / "glasses"
    options = ["--dataset", str(tmp_path / "data"), "--network", "tiny_xception"]
    options += ["--image-size", "24", "--epochs", "1", "--replicas", "1", "--output", str(folder)]
    assert run_command("train", options) == 1
    assert "--task is missing" in capsys.readouterr().err
    assert run_command("train", ["--task", "glasses", *options]) == 0
    card = read_card(folder)
    assert (card.task, card.class_names, card.recipe["name"]) == (
        "glasses",
        ("bare", "glasses"),
        "emotion",
    )
    assert run_command("train", ["--resume", str(folder)]) == 0
    assert run_command("train-emotion", ["--resume", str(folder)]) == 1
    assert "is a run of train: minixception train --resume" in capsys.readouterr().err


def test_a_trained_folder_is_complete(csv_file: Path, trained: Path) -> None:
    names = {path.name for path in trained.iterdir()}
    expected = {"model.keras", "model.tflite", "card.json", "history.csv", "curves.png"}
    assert expected | {"training_state.npz", "learned_faces.npz"} == names
    card = read_card(trained)
    assert (card.name, card.task, card.architecture) == ("example", "emotion", "lenet5_rgb")
    assert card.class_names == EMOTIONS_FER2013
    assert card.preprocessor.input_shape == (16, 16, 3)
    assert card.data["sizes"] == {"Training": 35, "PublicTest": 14}
    assert card.data["class_counts"] == dict.fromkeys(EMOTIONS_FER2013, 5)
    assert card.data["checksum"].startswith("md5:")
    assert (card.seed, card.recipe["epochs"], card.recipe["name"]) == (3, EPOCHS, "paper")
    assert card.command.startswith("minixception train-emotion --data")
    assert {"python", "keras", "numpy"} <= set(card.versions)
    assert set(card.metrics) == {"PublicTest"}


def test_a_used_folder_needs_resume_and_the_same_settings(
    csv_file: Path, trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = training_options(csv_file, trained)
    assert run_command("train-emotion", options) == 1
    assert "already holds a training run" in capsys.readouterr().err
    resume = ["--resume", str(trained)]
    assert run_command("train-emotion", [*resume, "--label-smoothing", "0.3"]) == 1
    assert "recipe.label_smoothing was 0.0, now 0.3" in capsys.readouterr().err
    assert run_command("train-gender", resume) == 1
    assert "a run of train-emotion: minixception train-emotion" in capsys.readouterr().err
    assert run_command("train-emotion", ["--resume", str(csv_file.parent)]) == 1
    assert "holds no training run to continue" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("recipe", "task", "asked", "faces", "origin"),
    [
        ("emotion", "emotion", None, 192, DEFAULT_EMOTION_MODEL),
        ("emotion", "glasses", None, 192, DEFAULT_EMOTION_MODEL),
        ("gender", "gender", None, 192, DEFAULT_GENDER_MODEL),
        ("emotion", "emotion", None, 2000, None),
        ("emotion", "emotion", "none", 192, None),
        ("emotion", "emotion", "a", 9000, "a"),
        ("paper", "emotion", None, 192, None),
        ("teacher", "emotion", None, 192, None),  # another network
    ],
)
def test_few_faces_begin_with_shipped_weights(
    recipe: str, task: str, asked: str | None, faces: int, origin: str | None
) -> None:
    given = Path(asked) if asked else None
    chosen = choose_origin(given, RECIPES[recipe], task=task, faces=faces)
    assert chosen == (Path(origin) if origin else None)


@pytest.mark.usefixtures("short_training")
def test_the_card_says_who_taught_and_where_the_weights_began(
    csv_file: Path, trained: Path, tmp_path: Path
) -> None:
    folder, origin = tmp_path / "student", read_card(trained)
    options = ["--epochs", "1", "--teacher", str(trained), "--initial-weights", str(trained)]
    assert run_command("train-emotion", [*training_options(csv_file, folder), *options]) == 0
    card = read_card(folder)
    assert card.data["initial_weights"] == str(trained)
    (teacher,) = card.data["teachers"]
    assert teacher.pop("weights").startswith("md5:")
    assert teacher == {
        "name": "example",
        "architecture": "lenet5_rgb",
        "image_size": [16, 16],
        "command": origin.command,
        "commit": origin.versions.get("commit"),
    }
    assert card.recipe["teacher_share"] == RECIPES["paper"].teacher_share


def test_evaluate_matches_a_data_set_with_other_classes(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for subject in range(10):
        for sequence, emotion in enumerate(("anger", "contempt", "happy")):
            name = f"{emotion}/S{subject:03d}_{sequence:03d}_00000012.png"
            write_noise(tmp_path / "CK+48" / name, seed=10 * sequence + subject)
    output = tmp_path / "scores.json"
    options = ["--dataset", "ck_plus", "--data", str(tmp_path), "--split", "train"]
    options += ["--model", str(trained), "--output", str(output)]
    assert run_command("evaluate", options) == 0
    told = capsys.readouterr().out
    totals = {
        name: row["total"] for name, row in json.loads(output.read_text())["per_class"].items()
    }
    count = totals["angry"]
    assert totals == {**dict.fromkeys(EMOTIONS_FER2013, 0), "angry": count, "happy": count}
    assert count > 0
    assert f"left out: {count} faces of contempt, which the model does not know" in told
    assert "ck_plus has no neutral" in told


def test_evaluate_writes_scores_and_picture(
    csv_file: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "new" / "scores.json"
    options = ["--model", str(trained), "--data", str(csv_file), "--split", "PrivateTest"]
    options += ["--engine", "litert", "--flip", "--without-twins", "--output", str(output)]
    assert run_command("evaluate", options) == 0
    assert "left out: 1 faces" in capsys.readouterr().out
    data = json.loads(output.read_text())
    assert {"accuracy", "macro_f1", "per_class", "confusion_matrix", "n"} <= set(data)
    assert (data["n"], data["split"]) == (6, "PrivateTest")
    assert data["flip"] is data["without_twins"] is True
    assert list(data["per_class"]) == list(EMOTIONS_FER2013)
    assert data["per_class"]["angry"]["total"] == 0
    assert np.sum(data["confusion_matrix"]) == 6
    assert output.with_suffix(".png").read_bytes().startswith(b"\x89PNG")


def test_evaluate_gives_what_training_measured_and_records(
    csv_file: Path, trained: Path, tmp_path: Path
) -> None:
    before = read_card(trained)
    for engine in ("keras", "litert"):
        output = tmp_path / f"{engine}.json"
        options = ["--model", str(trained), "--data", str(csv_file), "--engine", engine]
        assert run_command("evaluate", [*options, "--output", str(output)]) == 0
        scores = json.loads(output.read_text())
        measured = before.metrics["PublicTest"]
        error = pytest.approx(measured["calibration_error"], abs=1e-6)
        assert {name: scores[name] for name in measured} == {**measured, "calibration_error": error}
    assert read_card(trained) == before

    options = ["--model", str(trained), "--data", str(csv_file), "--engine", "litert"]
    assert run_command("evaluate", [*options, "--split", "PrivateTest", "--record"]) == 0
    assert run_command("evaluate", [*options, "--flip", "--without-twins", "--record"]) == 0
    recorded = read_card(trained)
    assert set(recorded.metrics) == {"PublicTest", "PrivateTest", "PublicTest flip without twins"}
    assert recorded.with_metrics("PublicTest", before.metrics["PublicTest"]).data == before.data


def test_recipe_list_prints_every_recipe(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command("train-emotion", ["--recipe", "list"]) == 0
    printed = capsys.readouterr().out
    for recipe in RECIPES.values():
        assert f"{recipe.name}: {recipe.summary}" in printed
        for words in (recipe.source, recipe.data, recipe.cost, recipe.expected):
            assert words in printed


def test_a_script_says_in_one_line_what_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    """The other messages are those of its command: see `test_bad_input.py`."""
    assert run_command("train-emotion", ["--recipe", "fast"], program="train.py") == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("train.py: error: `recipe` must be one of ")
    assert all(name in line for name in [*RECIPES, "recipe='fast'"])


def test_a_number_out_of_range_is_refused_without_keras(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "minixception.models", None)  # importing it fails
    assert run_command("train-emotion", ["--seed", "-1"]) == 1
    assert "--seed must be from 0" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        run_command("train-emotion", ["--classes", "angry,,sad"])
    assert "argument --classes: names with commas" in capsys.readouterr().err


@pytest.mark.parametrize(("recipe", "channels"), [("paper", 3), ("gender", 1)])
def test_faces_keep_their_colours_until_these_have_been_changed(
    recipe: str, channels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def note_channels(*_: object, channels: int, **__: object) -> None:
        asked.append(channels)
        raise ValueError("far enough")

    monkeypatch.setattr("minixception.datasets.requests.load_dataset", note_channels)
    assert run_command("train-gender", ["--recipe", recipe]) == 1
    assert run_command("train-gender", ["--recipe", recipe, "--no-augmentation"]) == 1
    assert asked == [channels, 1]
