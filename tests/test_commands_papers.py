"""The commands with the recipes, classes and splits of the reports and posters, on small data."""

import json
from pathlib import Path

import numpy as np
import pytest

from conftest import Run, eagerly
from made_up_data import fer2013_csv, write_ck_plus, write_noise
from minixception.checkpoints.card import read_card
from minixception.commands import run_command
from minixception.datasets import select_classes
from minixception.datasets.registry import get_entry, load_dataset
from minixception.training.recipe_book import get_recipe

CLASSES = ("angry", "disgust", "happy")
MERGED = "fer2013+ck_plus"

pytestmark = pytest.mark.usefixtures("short_training")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Class folders in which each class has a brightness; 8 to train on, 2 to test on."""
    root = tmp_path_factory.mktemp("pictures")
    for split, count in (("train", 8), ("test", 2)):
        for place, name in enumerate(CLASSES):
            for number in range(count):
                path = root / split / name / f"{number}.png"
                write_noise(path, seed=100 * place + number + count, least=100 * place)
    return root


def data_options(folder: Path) -> list[str]:
    return ["--dataset", "folder", "--data", str(folder)]


@pytest.fixture
def sets(here: Path) -> Path:
    """Both sets where `datasets/README.md` wants them, 35 faces and 30 of ten subjects."""
    (here / "datasets/fer2013").mkdir(parents=True)
    counts = {"Training": 21, "PublicTest": 7, "PrivateTest": 7}
    (here / "datasets/fer2013/fer2013.csv").write_text(fer2013_csv(counts), encoding="utf-8")
    write_ck_plus(here / "datasets/ck_plus/CK+48", ("anger", "contempt", "happy"))
    return here


@pytest.fixture(scope="module")
def report_003(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of its recipe of one epoch."""
    output = tmp_path_factory.mktemp("runs") / "report_003"
    with pytest.MonkeyPatch.context() as patch, eagerly():
        patch.setattr("minixception.checkpoints.export.export_litert", lambda *_, **__: 0.0)
        options = ["--recipe=report-003", "--epochs=1", "--batch-size=8", f"--output={output}"]
        assert run_command("train-emotion", [*data_options(folder), *options]) == 0
    return output


def test_report_003_takes_colour_and_stores_the_mean_of_its_training_faces(
    folder: Path, report_003: Path
) -> None:
    card = read_card(report_003)
    assert card.data["split_rule"] == "content"
    assert card.data["drawn_splits"] == ["train", "validation"]
    assert (card.architecture, card.class_names) == ("lenet5_rgb", CLASSES)
    assert (card.recipe["network"], card.recipe["dataset"]) == ("lenet5_rgb", "folder")
    assert card.preprocessor.input_shape == (48, 48, 3)
    assert card.preprocessor.value_range == (0, 255)
    training = load_dataset("folder", folder, image_size=(48, 48), channels=3).split("train")
    assert training.images.shape == (card.data["sizes"]["train"], 48, 48, 3)
    expected = training.images.astype(np.float64).mean(axis=(0, 1, 2))
    assert card.preprocessor.mean == pytest.approx(expected, rel=1e-6)
    prepared = card.preprocessor(training.images)
    np.testing.assert_allclose(prepared.mean(axis=(0, 1, 2)), 0, atol=2e-2)


def test_training_and_test_part_are_scored_side_by_side(
    folder: Path, report_003: Path, run: Run, tmp_path: Path
) -> None:
    output = tmp_path / "scores.json"
    options = ["--split", "train", "test", "--output", output, *data_options(folder)]
    said = run("evaluate", "--model", report_003, *options).stdout
    facts = json.loads(output.read_text())["splits"]
    sizes = {"train": read_card(report_003).data["sizes"]["train"], "test": 6}
    assert {split: scores["n"] for split, scores in facts.items()} == sizes
    for split in facts:
        assert (tmp_path / f"scores_{split}.png").read_bytes().startswith(b"\x89PNG")
    # For the form of the table, see `test_evaluation.py`.
    assert ["train", "test"] in [line.split() for line in said.splitlines()]


def test_classes_are_chosen_by_name_and_their_order_is_stored(
    folder: Path, run: Run, tmp_path: Path
) -> None:
    two, data = tmp_path / "two", data_options(folder)
    options = ["--classes", "Happiness, anger", "--model", "easynet", "--image-size", 32]
    run("train-emotion", *data, *options, "--epochs", 1, "--batch-size", 8, "--output", two)
    card = read_card(two)
    assert card.class_names == ("Happiness", "anger")
    assert set(card.data["class_counts"]) == {"Happiness", "anger"}
    assert card.data["dropped"]["class disgust"] == 10
    done = run("evaluate", "--model", two, *data, "--record", "--split", "test")
    assert "left out: 2 faces of disgust" in done.stdout
    scores = read_card(two).metrics["test"]
    assert [scores["per_class"][name]["total"] for name in ("Happiness", "anger")] == [2, 2]


def test_several_sets_are_one(sets: Path) -> None:
    recipe = get_recipe("poster-easynet")
    merged = load_dataset(MERGED, image_size=recipe.image_size, channels=recipe.channels)
    assert merged.images.shape == (65, 64, 64, 1)
    dataset = select_classes(merged, recipe.classes)
    assert dataset.class_names == recipe.classes
    assert (dataset.dropped["class disgust"], dataset.dropped["class contempt"]) == (5, 10)
    entry = get_entry(MERGED)
    splits = (entry.training_split, entry.validation_split, entry.test_split)
    assert sum(len(dataset.split(split)) for split in splits) == len(dataset) == 50
    for source, split, count in (("fer2013", "test", 6), ("fer2013", "train", 18)):
        assert (dataset.split(split).attributes["source"] == source).sum() == count
    with pytest.raises(ValueError, match="leave the path out"):
        load_dataset(MERGED, sets)


def test_scores_of_several_sets_are_told_apart(
    checkpoints: dict[str, Path], sets: Path, run: Run
) -> None:
    options = ["--model", checkpoints["emotion"], "--dataset", MERGED, "--engine", "litert"]
    said = run("evaluate", *options, "--output", "scores.json").stdout
    facts = json.loads(Path("scores.json").read_text())
    parts = facts["by_source"]
    assert (parts["fer2013"]["n"], parts["ck_plus"]["n"]) == (7, facts["n"] - 7)
    for name, row in facts["per_class"].items():
        assert row["correct"] == sum(part["per_class"][name]["correct"] for part in parts.values())
    table = [line.split() for line in said.splitlines()]
    assert ["ck_plus", "fer2013"] in table
