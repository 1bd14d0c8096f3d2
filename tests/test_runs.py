"""Comparing runs: what is read, how they are told apart, table and picture."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conftest import Run
from minixception.checkpoints.card import Card, write_card
from minixception.drawing.plots import plot_runs
from minixception.preprocessor import Preprocessor
from minixception.training.recipe_book import get_recipe
from minixception.training.runs import describe_differences, format_runs, read_run
from stored_files import change_card

HEADER = "epoch,learning_rate,loss,accuracy,val_loss,val_accuracy,val_macro_f1"


def write_run(folder: Path, *, rows: int = 3, seed: int = 0, **changes: Any) -> Path:
    """A run whose validation loss is least in its second epoch."""
    recipe = replace(get_recipe("report-000"), **changes)
    card = Card(
        name=folder.name,
        task="emotion",
        architecture="mini_xception",
        parameters=58_423,
        class_names=("angry", "happy"),
        preprocessor=Preprocessor((64, 64)),
        data={"name": "ferplus"},
        recipe=recipe.to_json(),
        seed=seed,
    )
    folder.mkdir()
    write_card(folder, card)
    lines = [
        f"{n},0.001,{1 / (n + 1)},{0.3 + n / 10},{1 + (n - 1) ** 2},{0.2 + n / 10},0.1"
        for n in range(rows)
    ]
    (folder / "history.csv").write_text("\n".join([HEADER, *lines]) + "\n")
    return folder


def test_runs_are_told_apart_by_what_differs(tmp_path: Path) -> None:
    runs = [read_run(write_run(tmp_path / f"b{size}", batch_size=size)) for size in (16, 32)]
    assert describe_differences(runs) == ["batch size 16", "batch size 32"]
    runs.append(read_run(write_run(tmp_path / "again", batch_size=32)))
    third = f"batch size 32, {tmp_path / 'again'}"
    assert describe_differences(runs)[2] == third
    runs[2] = read_run(write_run(tmp_path / "seed", batch_size=16, seed=1, image_size=(48, 48)))
    assert describe_differences(runs)[2] == "seed 1, image size 48x48, batch size 16"
    assert describe_differences(runs[:1]) == [str(tmp_path / "b16")]


def test_nested_settings_and_remarks(tmp_path: Path) -> None:
    first, second = write_run(tmp_path / "one"), write_run(tmp_path / "two")

    def labels_with(recipe: dict[str, Any]) -> list[str]:
        change_card(second, recipe=recipe)
        return describe_differences([read_run(first), read_run(second)])

    recipe = json.loads((second / "card.json").read_text())["recipe"]
    turned = {**recipe["augmentation"], "rotation": 10.0}
    changed = {**recipe, "augmentation": turned, "summary": "in other words"}
    assert labels_with(changed) == ["rotation 0", "rotation 10"]
    assert labels_with({**recipe, "classes": ["angry", "happy"]}) == [
        "classes all",
        "classes angry happy",
    ]
    # Runs of different recipes are named by recipe and folder.
    assert labels_with(get_recipe("emotion").to_json()) == [
        f"recipe report-000, {first}",
        f"recipe emotion, {second}",
    ]


def test_the_table_has_the_kept_epoch(tmp_path: Path) -> None:
    run = read_run(write_run(tmp_path / "run"))
    assert run.best == 1  # by the recipe's monitor, the validation loss
    header, row = format_runs([run], ["x"]).splitlines()
    assert header.split()[:4] == ["run", "epochs", "kept", "loss"]
    assert row.split() == ["x", "3", "2", "0.5000", "0.4000", "1.0000", "0.3000", "0.1000"]
    run = read_run(write_run(tmp_path / "other", monitor="val_accuracy"))
    assert run.best == 2


def test_the_command_draws_and_prints(tmp_path: Path, run: Run) -> None:
    folders = [write_run(tmp_path / f"b{size}", batch_size=size) for size in (16, 32, 64)]
    folders.append(write_run(tmp_path / "one", rows=1, batch_size=128))
    picture = tmp_path / "new" / "runs.png"
    printed = run("compare", *folders, "--output", picture).stdout
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert [path.name for path in picture.parent.iterdir()] == ["runs.png"]
    for told in (*(f"batch size {size}" for size in (16, 32, 64, 128)), str(picture)):
        assert told in printed


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("history.csv", None, "not a training run: it has no history.csv"),
        ("history.csv", "", "a number per column and epoch"),
        ("history.csv", HEADER, "column loss and at least one epoch"),
        ("history.csv", f"{HEADER}\n0,1,2", "a number per column and epoch"),
        ("history.csv", f"{HEADER}\n0,1,two,3,4,5,6", "'two'"),
        ("history.csv", f"{HEADER}\n0,1,nan,3,4,5,6", "finite"),
        ("history.csv", "epoch,accuracy\n0,1", "column loss"),
        ("card.json", "{", "card.json cannot be used"),
    ],
)
def test_a_folder_that_is_no_run_is_refused(
    tmp_path: Path, run: Run, name: str, content: str | None, message: str
) -> None:
    folder, picture = write_run(tmp_path / "run"), tmp_path / "runs.png"
    if content is None:
        (folder / name).unlink()
    else:
        (folder / name).write_text(content)
    error = run("compare", folder, "--output", picture, code=1).stderr
    assert message in error
    assert str(folder) in error
    assert not picture.exists()


def test_names_are_shown_as_they_are(tmp_path: Path) -> None:
    history = {"loss": [1.0, 0.5], "accuracy": [0.1, 0.2], "val_accuracy": [0.1, 0.2]}
    pictures = []
    for number, name in enumerate(("a_b", "_b", "lr$1_vs_$^", "")):
        path = tmp_path / f"{number}.png"
        plot_runs({name: history}, path)
        pictures.append(path.read_bytes())
    assert len({*pictures}) == 4
