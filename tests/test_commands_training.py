"""Training and evaluation by their commands, on a small FER2013-like file."""

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import Run, eagerly
from made_up_data import fer2013_csv, write_ck_plus, write_noise
from minixception.checkpoints.card import read_card
from minixception.checkpoints.shipped import DEFAULT_EMOTION_MODEL, DEFAULT_GENDER_MODEL
from minixception.commands import run_command
from minixception.labels import EMOTIONS_FER2013
from minixception.training.origins import choose_origin
from minixception.training.recipe_book import RECIPES
from own_process import CHATTER, run_python

COUNTS = {"Training": 35, "PublicTest": 14, "PrivateTest": 7}
EPOCHS = 3


# Exports, then trains and ends without any cleaning up, between the history and the state of its
# second epoch.
DYING = """
import os, sys
from minixception.commands import main
assert main({export}) == 0
import tensorflow
from minixception.training import state
tensorflow.config.run_functions_eagerly(True)
write, calls = state.write_state, []
def write_once(*arguments):
    calls.append(write(*arguments) if not calls else os._exit(9))
state.write_state = write_once
main(sys.argv[1:])
"""


@pytest.fixture(scope="module")
def csv_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first PrivateTest face is also the first Training face."""
    path = tmp_path_factory.mktemp("data") / "fer2013.csv"
    path.write_text(fer2013_csv(COUNTS, twins=["PrivateTest"]))
    return path


def training_options(csv_file: Path, folder: Path) -> list[str]:
    return [
        *[f"--data={csv_file}", f"--output={folder}", "--network=lenet5_rgb", "--channels=3"],
        *["--recipe=paper", "--image-size=16", f"--epochs={EPOCHS}", "--batch-size=18", "--seed=3"],
    ]


def finished_epochs(folder: Path) -> int:
    return len((folder / "history.csv").read_text().splitlines()) - 1


@pytest.fixture(scope="module")
def trained(
    csv_file: Path, checkpoints: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A run that died after some epochs and was resumed to its end, from another folder.

    Nobody but the package has said anything meanwhile, not even on the way to an 8-bit file.
    """
    folder = tmp_path_factory.mktemp("runs") / "example"
    options = training_options(Path(csv_file.name), folder)
    export = ["export", str(checkpoints["emotion"]), f"--data={csv_file}", "--format=litert-int8"]
    export.append(f"--output={folder.with_name('small.tflite')}")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(csv_file.parent)
        died = run_python("-c", DYING.format(export=export), "train-emotion", *options)
    assert died.returncode == 9, died.stderr
    assert not re.search(CHATTER, died.stdout + died.stderr)
    for line in died.stderr.splitlines():
        assert "fer2013.csv does not have the rows of FER2013" in line
    assert finished_epochs(folder) == 2
    with eagerly():
        assert run_command("train-emotion", ["--resume", str(folder)]) == 0
    return folder


@pytest.mark.usefixtures("short_training")
def test_a_killed_run_gives_what_an_uninterrupted_one_gives(
    csv_file: Path, trained: Path, run: Run, tmp_path: Path
) -> None:
    folder = tmp_path / "example"
    run("train-emotion", *training_options(csv_file, folder))
    assert (folder / "history.csv").read_text() == (trained / "history.csv").read_text()
    assert read_card(folder).metrics == read_card(trained).metrics
    options = ["--resume", "--output", folder, "--quiet", "--epochs", EPOCHS + 1]
    assert run("train-emotion", *options).stdout == ""
    assert finished_epochs(folder) == EPOCHS + 1


@pytest.mark.usefixtures("short_training")
def test_a_third_task_is_trained_by_a_command(run: Run, tmp_path: Path) -> None:
    for split, count in (("train", 6), ("validation", 2), ("test", 2)):
        for number in range(count):
            for name in ("glasses", "bare"):
                write_noise(tmp_path / "data" / split / name / f"{number}.png", number)
    folder = tmp_path / "glasses"
    options = ["--dataset", tmp_path / "data", "--network", "lenet5_rgb", "--channels", 3]
    options += ["--epochs", 1, "--replicas", 1, "--output", folder]
    assert "`task` must be a word" in run("train", *options, code=1).stderr
    run("train", "--task", "glasses", *options)
    card = read_card(folder)
    assert (card.task, card.class_names) == ("glasses", ("bare", "glasses"))
    assert card.recipe["name"] == "emotion"
    run("train", "--resume", folder)
    run("train", "--task", "glasses", *options, "--resume")
    for unnamed in (("evaluate", "--model", folder), ("train", "--task", "glasses")):
        assert "must be a folder of class folders" in run(*unnamed, code=1).stderr
    assert "become one of hat" in run("train", "--task", "hat", "--resume", folder, code=1).stderr
    refused = run("train-emotion", "--resume", folder, code=1)
    assert "is a run of train: minixception train --resume" in refused.stderr
    (folder / "training_state.npz").unlink()  # as if it was killed in its first epoch
    for command in ("train", "train-emotion"):
        said = run(command, "--resume", folder, code=1).stderr
        assert "is started again by the command in its card.json, and --resume" in said
    assert read_card(folder).task == "glasses"


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
    assert card.command.startswith("minixception train-emotion --data=")
    assert {"python", "keras", "numpy"} <= set(card.versions)
    assert set(card.metrics) == {"PublicTest"}


def test_a_used_folder_needs_resume_and_the_same_settings(
    csv_file: Path, trained: Path, run: Run
) -> None:
    resume, smoothing = ("--resume", trained), ("--label-smoothing", 0.3)
    for command, options, said in (
        ("train-emotion", training_options(csv_file, trained), "already holds a training run"),
        ("train-emotion", (*resume, *smoothing), "recipe.label_smoothing was 0.0, now 0.3"),
        ("train-gender", resume, "a run of train-emotion: minixception train-emotion"),
        ("train-emotion", ("--resume", csv_file.parent), "holds no training run to continue"),
    ):
        assert said in run(command, *options, code=1).stderr


def test_few_faces_begin_with_shipped_weights() -> None:
    for recipe, task, asked, faces, origin in (
        ("emotion", "emotion", None, 192, Path(DEFAULT_EMOTION_MODEL)),
        ("emotion", "glasses", None, 192, Path(DEFAULT_EMOTION_MODEL)),
        ("gender", "gender", None, 192, Path(DEFAULT_GENDER_MODEL)),
        ("emotion", "emotion", None, 2000, None),
        ("emotion", "emotion", Path("none"), 192, None),
        ("emotion", "emotion", Path("a"), 9000, Path("a")),
        ("paper", "emotion", None, 192, None),
        ("face-teacher", "emotion", None, 192, None),  # another network
    ):
        given: Any = {"task": task, "faces": faces, "refuse": print, "say": print}
        assert choose_origin(asked, RECIPES[recipe], **given) == origin


@pytest.mark.usefixtures("short_training")
def test_the_card_says_who_taught_and_where_the_weights_began(
    csv_file: Path, trained: Path, run: Run, tmp_path: Path
) -> None:
    folder, origin = tmp_path / "student", read_card(trained)
    teachers = ["--teacher", trained, "--teacher", trained]
    options = ["--epochs", 1, *teachers, "--initial-weights", trained]
    run("train-emotion", *training_options(csv_file, folder), *options)
    card = read_card(folder)
    assert card.data["initial_weights"] == str(trained)
    teacher, again = card.data["teachers"]
    assert teacher == again
    assert teacher.pop("weights").startswith("md5:")
    assert teacher == {
        "name": "example",
        "architecture": "lenet5_rgb",
        "image_size": [16, 16],
        "command": origin.command,
        "commit": origin.versions.get("commit"),
    }
    assert card.recipe["teacher_share"] == RECIPES["paper"].teacher_share
    run("train-emotion", "--resume", folder, *teachers)


def test_evaluate_matches_a_data_set_with_other_classes(
    trained: Path, run: Run, tmp_path: Path
) -> None:
    write_ck_plus(tmp_path / "CK+48", ("anger", "contempt", "happy"))
    output = tmp_path / "scores.json"
    options = ["--dataset", "ck_plus", "--data", tmp_path, "--split", "train"]
    told = run("evaluate", *options, "--model", trained, "--output", output).stdout
    rows = json.loads(output.read_text())["per_class"].items()
    totals = {name: row["total"] for name, row in rows}
    count = totals["angry"]
    assert totals == {**dict.fromkeys(EMOTIONS_FER2013, 0), "angry": count, "happy": count}
    assert count > 0
    assert f"left out: {count} faces of contempt, which the model does not know" in told
    assert "ck_plus has no neutral" in told


def test_evaluate_writes_scores_and_picture(
    csv_file: Path, trained: Path, run: Run, tmp_path: Path
) -> None:
    output = tmp_path / "new" / "scores.json"
    options = ["--model", trained, "--data", csv_file, "--split", "PrivateTest"]
    options += ["--engine", "litert", "--flip", "--without-twins", "--output", output]
    assert "left out: 1 face with" in run("evaluate", *options).stdout
    run("evaluate", *options[:6], "--split", "PublicTest", "--output", tmp_path / "both.json")
    both = json.loads((tmp_path / "both.json").read_text())["splits"]
    assert list(both) == ["PrivateTest", "PublicTest"]
    data = json.loads(output.read_text())
    measures = {"accuracy", "accuracy_interval", "balanced_accuracy", "macro_f1"}
    assert measures | {"n", "calibration_error", "per_class", "confusion_matrix"} <= set(data)
    assert (data["n"], data["split"]) == (6, "PrivateTest")
    assert data["flip"] is data["without_twins"] is True
    assert list(data["per_class"]) == list(EMOTIONS_FER2013)
    assert data["per_class"]["angry"]["total"] == 0
    assert np.sum(data["confusion_matrix"]) == 6
    assert output.with_suffix(".png").read_bytes().startswith(b"\x89PNG")


def test_evaluate_gives_what_training_measured_and_records(
    csv_file: Path, trained: Path, run: Run, tmp_path: Path
) -> None:
    before, options = read_card(trained), ["--model", trained, "--data", csv_file]
    for engine in ("keras", "litert"):
        output = tmp_path / f"{engine}.json"
        run("evaluate", *options, "--engine", engine, "--output", output)
        scores = json.loads(output.read_text())
        measured = before.metrics["PublicTest"]
        error = pytest.approx(measured["calibration_error"], abs=1e-6)
        assert {name: scores[name] for name in measured} == {**measured, "calibration_error": error}
    assert read_card(trained) == before
    options += ["--engine", "litert", "--record"]
    run("evaluate", *options, "--split", "PrivateTest")
    run("evaluate", *options, "--flip", "--without-twins")
    recorded = read_card(trained)
    assert set(recorded.metrics) == {"PublicTest", "PrivateTest", "PublicTest flip without twins"}
    assert recorded.with_metrics("PublicTest", before.metrics["PublicTest"]).data == before.data


@pytest.mark.parametrize("option", ["--record", "--calibrate"])
def test_scores_that_cannot_be_stored_are_not_worked_for(
    option: str, trained: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    options = ["--model", trained, "--data", tmp_path / "not looked for", option]
    assert f"{trained}: Permission denied" in run("evaluate", *options, code=1).stderr


def test_recipe_list_prints_every_recipe(run: Run) -> None:
    printed = run("train-emotion", "--recipe", "list").stdout
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
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "minixception.models", None)  # importing it fails
    assert "`seed` must be a whole number" in run("train-emotion", "--seed", -1, code=1).stderr
    refused = run("train-emotion", "--classes", "angry,,sad", code=2)
    assert "argument --classes: invalid names value: 'angry,,sad'" in refused.stderr


@pytest.mark.parametrize(("recipe", "channels"), [("paper", 3), ("gender", 1)])
def test_faces_keep_their_colours_until_these_have_been_changed(
    recipe: str, channels: int, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def note_channels(*_: object, channels: int, **__: object) -> None:
        asked.append(channels)
        raise ValueError("far enough")

    monkeypatch.setattr("minixception.datasets.requests.load_dataset", note_channels)
    run("train-gender", "--recipe", recipe, code=1)
    run("train-gender", "--recipe", recipe, "--no-augmentation", code=1)
    assert asked == [channels, 1]
