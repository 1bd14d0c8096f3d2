"""The training engine: what a run writes, which epoch it keeps, how an interrupted one goes on."""

import csv
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minixception.checkpoints.card import LEARNED_FILE
from minixception.checkpoints.keras_model import (
    HISTORY_FILE,
    KERAS_FILE,
    load_checkpoint,
    load_keras_file,
)
from minixception.evaluation import cross_entropy
from minixception.training import trainer as training
from minixception.training.runs import best_epoch
from minixception.training.state import CURVES_FILE, STATE_FILE, read_state
from minixception.training.teaching import Teacher
from minixception.training.trainer import IMPROVEMENTS_FOLDER, train
from pattern_runs import (
    EVERYTHING,
    PREPROCESSOR,
    STANDSTILL,
    build_network,
    faces,
    interrupt,
    make_run,
)

Finished = tuple[Path, training.History]
COLUMNS = "epoch,learning_rate,loss,accuracy,val_loss,val_accuracy,val_macro_f1"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """Folder and history of a run that nothing interrupted."""
    folder = tmp_path_factory.mktemp("runs") / "finished"
    return folder, train(make_run(folder), verbose=0)


@pytest.fixture(autouse=True)
def no_curves(finished: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the pictures of other runs, which take longer to draw than these to train."""
    monkeypatch.setattr("minixception.training.state.plot_history", lambda *_: None)


def test_files_of_a_run(finished: Finished) -> None:
    folder, history = finished
    assert {path.name for path in folder.iterdir()} == {
        *{"model.keras", "card.json", HISTORY_FILE, CURVES_FILE, STATE_FILE, LEARNED_FILE},
        IMPROVEMENTS_FOLDER,
    }
    assert (folder / CURVES_FILE).read_bytes().startswith(b"\x89PNG")
    with (folder / HISTORY_FILE).open() as file:
        rows = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
    assert rows == history
    assert ",".join(rows[0]) == COLUMNS
    assert [row["epoch"] for row in history] == [0, 1, 2, 3, 4]
    assert all(0 <= row["val_accuracy"] <= 1 for row in history)


def test_the_best_epoch_is_kept_with_its_averaged_weights(finished: Finished) -> None:
    folder, history = finished
    checkpoint, state = load_checkpoint(folder), read_state(folder / STATE_FILE)
    best = max(history, key=lambda row: (row["val_accuracy"], -row["val_loss"]))
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


@pytest.mark.usefixtures("eager")
def test_a_class_is_answered_as_often_as_its_weight_says(tmp_path: Path) -> None:
    """On faces that are all alike, with each class equally often."""
    alike = replace(faces(12, seed=1), images=np.full((12, 8, 8, 1), 90, np.uint8))
    recipe = replace(
        STANDSTILL,
        optimizer="adam",
        learning_rate=0.03,
        batch_size=12,
        class_weights=(1.0, 3.0, 1.0),
    )
    recipe = replace(recipe, schedule="one-cycle", epochs=30, monitor="val_accuracy")
    run = make_run(tmp_path / "run", recipe, training=alike, validation=alike)
    train(run, verbose=0)
    (shares,) = run.model.predict(PREPROCESSOR(alike.images[:1]), verbose=0)
    assert shares == pytest.approx([0.2, 0.6, 0.2], abs=0.03)
    with pytest.raises(ValueError, match="a number for each of dark, light, striped"):
        replace(run, recipe=replace(recipe, class_weights=(1.0, 3.0)))


@pytest.mark.usefixtures("eager")
def test_a_recipe_can_leave_the_penalties_out(tmp_path: Path) -> None:
    """On a set smaller than the batch, and with no file per improvement."""
    few = replace(STANDSTILL, batch_size=32, epochs=1, keep_improvements=False)
    losses = {}
    for regularizers in (True, False):
        recipe = replace(few, regularizers=regularizers)
        run = make_run(tmp_path / str(regularizers), recipe, training=faces(6, seed=1))
        assert run.steps == 1
        (row,) = train(run, verbose=0)
        losses[regularizers] = (row["loss"], row["val_loss"])
        assert not (run.folder / IMPROVEMENTS_FOLDER).exists()
    penalty = 0.01 * float((run.model.get_weights()[0] ** 2).sum())
    assert np.subtract(losses[True], losses[False]) == pytest.approx([penalty] * 2, rel=1e-3)


def test_each_improvement_has_a_file_named_by_epoch_and_accuracy(finished: Finished) -> None:
    folder, history = finished
    files = sorted((folder / IMPROVEMENTS_FOLDER).iterdir())
    assert [path.name for path in files] == [
        f"epoch-{number + 1:04d}_accuracy-{row['val_accuracy']:.4f}.keras"
        for number, row in enumerate(history)
        if (row["val_accuracy"], -row["val_loss"])
        > max(((past["val_accuracy"], -past["val_loss"]) for past in history[:number]), default=())
    ]
    kept = load_keras_file(files[-1]).get_weights()
    best = load_checkpoint(folder).model.get_weights()
    np.testing.assert_equal(kept, best)


def test_of_equal_epochs_the_one_with_the_lowest_loss_or_the_first_is_the_best() -> None:
    losses, accuracies = (2.0, 3.0, 2.0, 1.0, 1.0), (0.2, 0.1, 0.5, 0.5, 0.5)
    rows = [{"val_loss": loss} for loss in losses]
    assert best_epoch(rows, "val_loss") == 3
    rows = [{"val_accuracy": accuracy} for accuracy in accuracies]
    assert best_epoch(rows, "val_accuracy") == 2
    rows = [dict(row, val_loss=loss) for row, loss in zip(rows, losses, strict=True)]
    assert best_epoch(rows, "val_accuracy") == 3


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize(("batch_size", "what"), [(8, "training"), (100, "validation")])
def test_a_loss_that_is_no_number_ends_the_run(tmp_path: Path, batch_size: int, what: str) -> None:
    recipe = replace(STANDSTILL, learning_rate=1e38, batch_size=batch_size, epochs=3)
    with pytest.raises(ValueError, match=rf"{what} loss became .* lower `learning_rate`"):
        train(make_run(tmp_path / "run", recipe), verbose=0)


# Going on


def test_an_interrupted_run_goes_on_exactly(
    tmp_path: Path, finished: Finished, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, history = finished
    other = tmp_path / "finished"
    # Between the history and the state of the second epoch; then inside the fourth's validation.
    interrupt(monkeypatch, "plot_history", call=2, run=make_run(other), resume=False)
    assert len(read_state(other / STATE_FILE).history) == 1
    interrupt(monkeypatch, "score", call=3, run=make_run(other), resume=True)
    assert len(read_state(other / STATE_FILE).history) == 3
    assert train(make_run(other), resume=True, verbose=0) == history

    assert (other / HISTORY_FILE).read_text() == (folder / HISTORY_FILE).read_text()
    assert (other / "card.json").read_text() == (folder / "card.json").read_text()
    expected, found = load_checkpoint(folder).model, load_checkpoint(other).model
    np.testing.assert_equal(found.get_weights(), expected.get_weights())
    improvements = [
        sorted(path.name for path in (each / IMPROVEMENTS_FOLDER).iterdir())
        for each in (folder, other)
    ]
    assert improvements[0] == improvements[1]


@pytest.mark.usefixtures("eager")
def test_a_taught_run_on_mixed_images_goes_on_exactly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = replace(EVERYTHING, epochs=2, mixup=0.2, teacher_share=0.5, precision="mixed_bfloat16")
    predict = build_network().predict_on_batch
    teacher = Teacher(predict, (8, 8), (2, 0, 1), flip=True, description={"weights": "x"})
    whole, cut = (make_run(tmp_path / name, recipe, teachers=[teacher]) for name in ("a", "b"))
    history = train(whole, verbose=0)
    interrupt(monkeypatch, "write_state", call=2, run=cut, resume=False)
    cut = make_run(cut.folder, recipe, teachers=[teacher])
    assert train(cut, resume=True, verbose=0) == history
    np.testing.assert_equal(cut.model.get_weights(), whole.model.get_weights())
    assert train(make_run(tmp_path / "untaught", recipe), verbose=0)[0] != history[0]
    with pytest.raises(ValueError, match=r"other settings.*teachers was \['x'\], now None"):
        train(replace(whole, teachers=()), resume=True, verbose=0)


def test_a_finished_run_is_left_alone(finished: Finished, caplog: pytest.LogCaptureFixture) -> None:
    folder, history = finished
    before = (folder / STATE_FILE).read_bytes()
    in_other_words = replace(EVERYTHING, name="all", summary="what can be kept", cost="a minute")
    run = make_run(folder)
    assert train(replace(run, recipe=in_other_words), resume=True, verbose=0) == history
    assert "nothing to do" in caplog.text
    assert (folder / STATE_FILE).read_bytes() == before


@pytest.mark.usefixtures("eager")
def test_a_constant_rate_can_be_prolonged(tmp_path: Path) -> None:
    recipe = replace(EVERYTHING, schedule="constant", ema_momentum=None, epochs=1)
    longer = replace(recipe, epochs=2)
    whole = train(make_run(tmp_path / "whole", longer), verbose=0)
    assert len(train(make_run(tmp_path / "part", recipe), verbose=0)) == 1
    assert train(make_run(tmp_path / "part", longer), resume=True, verbose=0) == whole


@pytest.mark.usefixtures("eager")
def test_early_stopping_ends_a_run_until_it_has_more_patience(tmp_path: Path) -> None:
    lengths = []
    for epochs, patience in ((9, 2), (12, 2), (12, 4), (6, 9)):
        recipe = replace(STANDSTILL, epochs=epochs, early_stopping_patience=patience)
        lengths.append(len(train(make_run(tmp_path / "run", recipe), resume=True, verbose=0)))
    assert lengths == [3, 3, 5, 6]


def test_a_model_without_its_state_is_not_trained_over(finished: Finished, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(finished[0], tmp_path / "model"))
    (folder / STATE_FILE).unlink()
    before = (folder / KERAS_FILE).read_bytes()
    with pytest.raises(FileNotFoundError, match=r"a model but no training_state\.npz.*`output`"):
        train(make_run(folder), resume=True, verbose=0)
    assert (folder / KERAS_FILE).read_bytes() == before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 5}, "seed was 0, now 5"),
        (
            {"recipe": replace(EVERYTHING, learning_rate=0.5)},
            r"recipe\.learning_rate was 0.03, now 0.5\. Give",
        ),
        ({"recipe": replace(EVERYTHING, epochs=6)}, r"recipe\.epochs was 5, now 6"),  # one cycle
        ({"training": faces(24, seed=9)}, r"training was \['seed:1', 24\], now \['seed:9', 24\]"),
        ({"validation": faces(6, seed=2)}, r"validation was .*12\], now .*6\]"),
        ({"origin": {"initial weights": "a"}}, "initial weights was None, now a"),
    ],
)
def test_a_run_with_other_settings_is_not_resumed(
    finished: Finished, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=f"other settings.*{message}"):
        train(replace(make_run(finished[0]), **changes), resume=True, verbose=0)


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("monitor", ["val_loss", "val_accuracy"])
def test_both_patiences_survive_an_interruption(
    tmp_path: Path, monitor: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = replace(STANDSTILL, monitor=monitor, plateau_patience=2, early_stopping_patience=5)
    run = make_run(tmp_path / "run", recipe)
    interrupt(monkeypatch, "write_state", call=4, run=run, resume=False)
    history = train(make_run(tmp_path / "run", recipe), resume=True, verbose=0)
    assert len(history) == 6  # the best and five without improvement
    rates = [row["learning_rate"] for row in history]
    assert rates == pytest.approx([1e-12, 1e-12, 1e-12, 1e-13, 1e-13, 1e-14], rel=1e-4)
    assert [path.name[:10] for path in (run.folder / IMPROVEMENTS_FOLDER).iterdir()] == [
        "epoch-0001"
    ]
