"""The training engine: what a run writes, which epoch it keeps."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from minixception.checkpoints.keras_model import HISTORY_FILE, load_checkpoint, load_keras_file
from minixception.evaluation import cross_entropy
from minixception.training import trainer as training
from minixception.training.runs import best_epoch
from minixception.training.state import CURVES_FILE, STATE_FILE, read_state
from minixception.training.trainer import (
    IMPROVEMENTS_FOLDER,
    is_improvement,
    train,
)
from pattern_runs import PREPROCESSOR, STANDSTILL, faces, make_run

COLUMNS = "epoch,learning_rate,loss,accuracy,val_loss,val_accuracy,val_macro_f1"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, training.History]:
    """Folder and history of a run that nothing interrupted."""
    folder = tmp_path_factory.mktemp("runs") / "finished"
    return folder, train(make_run(folder), verbose=0)


def test_history_and_its_file(finished: tuple[Path, training.History]) -> None:
    folder, history = finished
    with (folder / HISTORY_FILE).open() as file:
        rows = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
    assert rows == history
    assert (folder / HISTORY_FILE).read_text().splitlines()[0] == COLUMNS
    assert [row["epoch"] for row in history] == [0, 1, 2, 3, 4]
    assert all(0 <= row["val_accuracy"] <= 1 for row in history)


def test_files_of_a_run(finished: tuple[Path, training.History]) -> None:
    folder, _ = finished
    assert {path.name for path in folder.iterdir()} == {
        *{"model.keras", "card.json", HISTORY_FILE, CURVES_FILE, STATE_FILE},
        IMPROVEMENTS_FOLDER,
    }
    assert (folder / CURVES_FILE).read_bytes().startswith(b"\x89PNG")


def test_the_best_epoch_is_kept_with_its_averaged_weights(
    finished: tuple[Path, training.History],
) -> None:
    folder, history = finished
    checkpoint, state = load_checkpoint(folder), read_state(folder / STATE_FILE)
    best = history[best_epoch([row["val_accuracy"] for row in history], "val_accuracy")]
    validation = faces(12, seed=2)
    probabilities = np.asarray(checkpoint.model(PREPROCESSOR(validation.images)))
    assert (probabilities.argmax(axis=1) == validation.labels).mean() == best["val_accuracy"]
    penalty = 0.01 * float((checkpoint.model.get_weights()[0] ** 2).sum())
    loss = cross_entropy(validation.distributions, probabilities) + penalty
    assert loss == pytest.approx(best["val_loss"], rel=1e-5)
    assert checkpoint.card.metrics["validation"]["accuracy"] == best["val_accuracy"]
    # What training goes on from are the weights themselves.
    assert not any(
        np.array_equal(checkpoint.model.get_weights()[0], array) for array in state.model
    )


def test_a_recipe_can_leave_the_penalties_out(tmp_path: Path) -> None:
    losses = {}
    for regularizers in (True, False):
        recipe = replace(STANDSTILL, epochs=1, regularizers=regularizers)
        run = make_run(tmp_path / str(regularizers), recipe)
        row = train(run, verbose=0)[0]
        losses[regularizers] = (row["loss"], row["val_loss"])
    penalty = 0.01 * float((run.model.get_weights()[0] ** 2).sum())
    assert np.subtract(losses[True], losses[False]) == pytest.approx([penalty] * 2, rel=1e-3)


def test_each_improvement_has_a_file_named_by_epoch_and_accuracy(
    finished: tuple[Path, training.History],
) -> None:
    folder, history = finished
    improvements = [
        row
        for number, row in enumerate(history)
        if is_improvement(history[:number], row, "val_accuracy")
    ]
    files = sorted((folder / IMPROVEMENTS_FOLDER).iterdir())
    assert [path.name for path in files] == [
        f"epoch-{row['epoch'] + 1:04.0f}_accuracy-{row['val_accuracy']:.4f}.keras"
        for row in improvements
    ]
    kept = load_keras_file(files[-1]).get_weights()
    best = load_checkpoint(folder).model.get_weights()
    assert all(np.array_equal(a, b) for a, b in zip(kept, best, strict=True))


@pytest.mark.parametrize(
    ("column", "values", "improvements", "best"),
    [
        ("val_loss", [2.0, 3.0, 2.0, 1.0, 1.0], [0, 3], 3),
        ("val_accuracy", [0.2, 0.1, 0.2, 0.5, 0.5], [0, 3], 3),
    ],
)
def test_only_strictly_better_is_an_improvement(
    column: str, values: list[float], improvements: list[int], best: int
) -> None:
    history = [{"epoch": epoch, column: value} for epoch, value in enumerate(values)]
    found = [n for n, row in enumerate(history) if is_improvement(history[:n], row, column)]
    assert found == improvements
    assert best_epoch(values, column) == best


def test_a_set_smaller_than_the_batch_is_trained_on(tmp_path: Path) -> None:
    recipe = replace(STANDSTILL, batch_size=32, epochs=1, keep_improvements=False)
    run = make_run(tmp_path / "run", recipe, training=faces(6, seed=1))
    assert run.steps == 1
    assert len(train(run, verbose=0)) == 1
    assert not (run.folder / IMPROVEMENTS_FOLDER).exists()


def test_a_loss_that_is_no_number_ends_the_run(tmp_path: Path) -> None:
    recipe = replace(STANDSTILL, learning_rate=1e38, epochs=3)
    with pytest.raises(ValueError, match=r"loss became .* lower --learning-rate"):
        train(make_run(tmp_path / "run", recipe), verbose=0)


def test_votes_are_the_targets_where_a_set_has_them() -> None:
    dataset = faces(3, seed=0)
    assert np.array_equal(dataset.distributions, np.eye(3, dtype=np.float32))
    votes = np.array([[0.5, 0.5, 0], [0, 1, 0], [0.1, 0.2, 0.7]], np.float32)
    assert replace(dataset, targets=votes).distributions is votes
