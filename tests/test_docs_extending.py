"""`docs/extending.md`, followed to the letter."""

import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conftest import Run
from made_up_data import write_noise, write_picture
from minixception import models
from minixception.checkpoints.card import read_card
from minixception.checkpoints.shipped import DEFAULT_EMOTION_MODEL
from minixception.datasets.registry import DATASETS
from minixception.training.recipe_book import RECIPES

PAGE = Path(__file__).parents[1] / "docs" / "extending.md"
LONGEST = 30


def blocks(section: str) -> list[str]:
    """The Python blocks of a section of the page."""
    text = PAGE.read_text(encoding="utf-8").split(f"\n## {section}\n")[1].split("\n## ")[0]
    return re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)


def follow(*code: str, **names: Any) -> dict[str, Any]:
    """Run blocks one after the other; return what they have made."""
    for block in code:
        exec(compile(block, str(PAGE), "exec"), names)
    return names


@pytest.fixture
def pictures(here: Path) -> Path:
    """Class folders of noise, which is lighter in one of them."""
    for number in range(20):
        for name, seed, least in (("dark", number, 0), ("light", 100 + number, 120)):
            path = here / "pictures" / name / f"{number}.png"
            write_noise(path, seed, size=(48, 48), least=least)
    return here / "pictures"


@pytest.mark.usefixtures("eager")
def test_a_folder_is_trained_on_scored_and_used(pictures: Path, portraits: Path) -> None:
    shutil.copy(portraits, "photo.jpg")
    names = follow(blocks("A data set")[0].replace("epochs=12", "epochs=1"))
    run = names["run"]
    assert run.folder == Path("runs/pictures")
    assert run.card.class_names == ("dark", "light")
    assert run.card.data["initial_weights"] == DEFAULT_EMOTION_MODEL
    assert run.card == read_card(run.folder)
    assert len(run.history["val_accuracy"]) == 1
    assert names["scores"].n > 0
    assert {face.emotion for face in names["faces"]} <= {"dark", "light"}


@pytest.mark.usefixtures("short_training", "pictures")
def test_a_network_of_one_s_own() -> None:
    code = blocks("A network")
    assert sum(len(block.splitlines()) for block in code) < LONGEST
    try:
        names = follow(*code)
    finally:
        models.NETWORKS.pop("three_blocks", None)  # other tests count the networks
    card = read_card("runs/three_blocks")
    assert (card.architecture, card.class_names) == ("three_blocks", ("dark", "light"))
    assert names["scores"].n > 0


@pytest.mark.usefixtures("eager")
def test_a_model_of_one_s_own(here: Path, portraits: Path) -> None:
    (code,) = blocks("A model from your own `fit`")
    names = follow(code, model=models.build("tiny_xception", (32, 32, 3), 2))
    assert {face.emotion for face in names["analyzer"].analyze(portraits)} <= {"happy", "sad"}
    assert names["classifier"].features(portraits).shape == (1, 64)


@pytest.mark.usefixtures("eager")
def test_a_third_task(pictures: Path, portraits: Path, run: Run) -> None:
    shutil.copy(portraits, "photo.jpg")
    for old, new in (("dark", "glasses"), ("light", "none")):
        (pictures / old).rename(pictures / new)
    (code,) = blocks("A third task")
    small = 'epochs=1, network="lenet5_rgb", channels=3, image_size=(16, 16)'
    names = follow(code.replace("epochs=12", small))
    card = names["run"].card
    assert (card.task, card.recipe["name"]) == ("glasses", "emotion")
    assert {"glasses", "glasses_glasses", "glasses_none"} <= set(names["table"])
    assert {label for *_, label in names["labels"]} <= {"glasses", "none"}
    assert Path("drawn.jpg").is_file()
    options = ["--model", "runs/glasses", "--dataset", "folder", "--data", "pictures"]
    assert "glasses on pictures validation" in run("evaluate", *options).stdout


@pytest.fixture
def my_faces(tmp_path: Path) -> Path:
    folder, lines = tmp_path / "my_faces", ["file,person,feeling"]
    for person in range(10):
        for feeling, value in (("Happiness", 200), ("sad", 60)):
            write_picture(folder / f"{person}_{feeling}.png", value + person, size=(40, 40))
            lines.append(f"{person}_{feeling}.png,person{person},{feeling}")
    (folder / "faces.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.mark.usefixtures("short_training")
def test_a_data_set_of_one_s_own(
    my_faces: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(my_faces.parent)
    small = replace(RECIPES["emotion"], image_size=(16, 16))
    monkeypatch.setitem(RECIPES, "emotion", small)
    monkeypatch.setitem(DATASETS, "my_faces", DATASETS["folder"])  # removed after the test
    _, loader, *rest = blocks("A data set")
    assert sum(map(bool, loader.splitlines()[11:])) < LONGEST
    names = follow(loader, *rest)
    printed = capsys.readouterr().out
    assert "12 faces to train on, 6 to validate on" in printed
    assert "2 faces" in printed
    assert read_card("runs/my_faces").data["name"] == "my_faces"
    assert len(names["merged"]) == 40
    assert len(names["only_mine"]) == len(names["happy"]) == 20
