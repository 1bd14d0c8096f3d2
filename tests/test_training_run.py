"""`train` and `evaluate` on a set that is loaded already; other tests have the other ways."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

import minixception
from minixception.checkpoints.shipped import DEFAULT_MODELS
from minixception.datasets.registry import get_entry
from minixception.datasets.requests import parts_to_learn_from
from minixception.models import NETWORKS, Network
from minixception.training.learned_faces import numbers_of, read_learned, write_learned
from minixception.training.runs import RunRecord
from pattern_runs import SMALL, divided_faces, faces


@pytest.mark.usefixtures("short_training")
def test_a_loaded_set_is_trained_on_and_scored(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    patterns = divided_faces()

    def train(**changes: Any) -> RunRecord:
        options = {"output": "run", "seed": np.int64(4), "verbose": 0, **SMALL, **changes}
        return minixception.train(patterns, **options)

    run = train(epochs=2)
    assert (run.folder, run.card.seed, run.card.recipe["name"]) == (Path("run"), 4, "emotion")
    assert (run.card.data["dataset"], run.card.data["sizes"]["train"]) == ("patterns", 24)
    assert len(run.history["val_accuracy"]) == 2
    learned = np.unique(numbers_of(patterns.split("train")))
    assert np.array_equal(read_learned([run.folder]), learned)
    scores = minixception.evaluate(run, patterns)
    assert scores.to_json() == run.card.metrics["validation"]
    assert minixception.evaluate("run", patterns, split="test").n == 6
    with pytest.raises(ValueError, match=r"`split` must be one of train.*Received: split=\['test"):
        minixception.evaluate("run", patterns, split=["test", "train"])  # type: ignore[arg-type]
    assert train(epochs=2, resume=True).history == run.history
    assert capsys.readouterr().out == ""


@pytest.mark.usefixtures("short_training")
def test_a_run_in_the_default_folder_goes_on_like_any_other(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options: dict[str, Any] = {"schedule": "constant", "verbose": 0, **SMALL}
    options["initial_weights"] = minixception.train(
        divided_faces(), output="a", epochs=1, **options
    )
    begun = minixception.train(divided_faces(), epochs=1, resume=True, **options)
    assert begun.folder.parent == Path("runs")
    exported = begun.folder / "model.tflite"
    exported.write_bytes(b"of the first epoch")
    with pytest.raises(FileExistsError, match="already holds a training run"):
        minixception.train(divided_faces(), epochs=2, **options)
    with pytest.raises(ValueError, match="run of the task emotion, which cannot become one of"):
        minixception.train(divided_faces(), epochs=2, resume=True, task="glasses", **options)
    monkeypatch.setattr("minixception.training.run.begin_with", None)  # it has its own weights
    run = minixception.train(divided_faces(), epochs=2, resume=True, **options)
    assert (run.folder, len(run.history["loss"])) == (begun.folder, 2)
    assert exported.exists() == (run.best == 0)  # it goes with the weights that it was made of


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"output": ""}, "`output` must be a path. Received: ''"),
        ({"output": "file"}, "`output` must be a folder. Received: the file file"),
        ({"teachers": [5]}, "`teachers` must be a path. Received: 5"),
        ({"resume": "run"}, "`resume` must be True or False"),
        ({"task": "Emotion"}, "`task` must be emotion, or another word. Received: Emotion"),
        ({"task": None}, "`task` must be a word such as"),
        ({"dataset": np.zeros((3, 48, 48, 1))}, "`dataset` must be one of .* Received: ndarray"),
        ({"dataset": ""}, "`dataset` must be one of "),
        ({"dataset": faces(6, seed=1)}, "patterns has no splits"),
        ({"seed": "1"}, "`seed` must be a whole number from 0"),
        ({"devices": "2"}, "`devices` must be a whole number"),
        ({"epohs": 5}, "no argument or field of a recipe `epohs`. The fields are .*epochs"),
        ({"image_size": ("a", "b")}, r"`image_size` must be of type tuple\[int, int\]"),
        ({"epochs": True}, "`epochs` must be a whole number"),
    ],
)
def test_what_cannot_be_followed_is_refused(
    arguments: dict[str, Any], message: str, here: Path
) -> None:
    Path("file").touch()
    with pytest.raises((TypeError, ValueError, NotADirectoryError), match=message):
        minixception.train(**{"dataset": "fer2013", **arguments})
    assert [path.name for path in here.iterdir()] == ["file"]


@pytest.mark.usefixtures("short_training")
def test_weights_that_know_the_validation_faces_are_not_begun_with(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    patterns = replace(divided_faces(), drawn_splits=("validation", "test"))
    small = {"epochs": 1, "verbose": 2, **SMALL}
    known = minixception.train(patterns, output="known", **small).folder
    monkeypatch.setitem(DEFAULT_MODELS, "emotion", str(known))
    assert minixception.train(patterns, output="a", **small).card.data["initial_weights"]
    write_learned(known, numbers_of(patterns))
    assert "initial_weights" not in minixception.train(patterns, output="b", **small).card.data
    said = capsys.readouterr().out
    assert "Training starts from random weights: " in said
    assert "without_twins" not in said  # which training has not


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (layers.Lambda(lambda inputs: inputs), r"mine cannot be stored: .*keras\.layers\.Lambda"),
        (layers.Activation(lambda inputs: inputs), "mine cannot be stored, since it could not be"),
        (layers.Resizing(20, 20, "lanczos3"), "to LiteRT: LiteRT has no ScaleAndTranslate"),
    ],
)
def test_a_network_that_could_not_be_kept_is_not_trained(
    layer: layers.Layer, message: str, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def build(*, input_shape: tuple[int, int, int], num_classes: int, name: str) -> keras.Model:
        inputs = keras.Input(input_shape)
        outputs = layers.Dense(num_classes, "softmax", name="predictions")
        pooled = layers.GlobalAveragePooling2D()(layer(inputs))
        return keras.Model(inputs, outputs(pooled), name=name)

    monkeypatch.setitem(NETWORKS, "mine", Network(build, input_shape=(16, 16, 1)))
    with pytest.raises(ValueError, match=message):
        minixception.train(divided_faces(), **{**SMALL, "network": "mine"}, output="run", verbose=0)
    assert not list(here.iterdir())


def test_classes_and_splits_that_cannot_be_learned_or_scored_are_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    patterns, entry = divided_faces(), get_entry("folder")
    training, validation = parts_to_learn_from(patterns, entry)
    assert (len(training), len(validation), caplog.text) == (24, 6, "")
    splits = np.asarray(patterns.splits)
    known = patterns.select((patterns.labels != 1) | (splits == "validation"))
    parts_to_learn_from(known, entry)
    assert "patterns: train has no face of light, so it cannot be learned" in caplog.text
    images = patterns.images.copy()
    images[np.flatnonzero(splits == "validation")[:2]] = training.images[:2]
    parts_to_learn_from(replace(patterns, images=images), entry)
    assert "2 of 6 faces of validation are in train too" in caplog.text
    with pytest.raises(ValueError, match=r"best epoch on, validation.* Received: train 24, test 6"):
        parts_to_learn_from(patterns.select(splits != "validation"), entry)
