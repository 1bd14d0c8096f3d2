"""`export` in one process, since each start of TensorFlow takes seconds."""

import json
import re
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import onnxruntime
import pytest
from ai_edge_litert.interpreter import Interpreter
from keras import layers

from conftest import Run
from made_up_data import fer2013_csv
from minixception import Preprocessor, make_checkpoint
from minixception.checkpoints.card import read_card, write_card
from minixception.checkpoints.engines import LiteRTEngine, load_engine
from minixception.datasets import load_fer2013
from minixception.labels import EMOTIONS_FER2013
from stored_files import contents

pytestmark = pytest.mark.usefixtures("eager")


@pytest.fixture(scope="module")
def emotion(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of a few layers, with which the converters are quick; one is for training only."""
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((48, 48, 1)),
            layers.RandomFlip(),
            layers.SeparableConv2D(64, 5, strides=2, activation="relu", use_bias=False),
            layers.BatchNormalization(),
            layers.Conv2D(64, 3, strides=2, activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(7, activation="softmax", kernel_initializer="random_normal"),
        ]
    )
    folder = tmp_path_factory.mktemp("models") / "emotion"
    card = make_checkpoint(folder, model, class_names=EMOTIONS_FER2013, value_range=(-1, 1))
    write_card(folder, replace(card, temperature=0.9))
    return folder


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """Return a folder that does not exist yet."""
    return tmp_path / "exported"


def faces(number: int) -> np.ndarray:
    return np.random.default_rng(1).uniform(-1, 1, (number, 48, 48, 1)).astype(np.float32)


def load_onnx(path: Path) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def test_litert_gives_what_keras_gives(run: Run, emotion: Path, output: Path) -> None:
    before, path = contents(emotion), output / "emotion.tflite"
    said = run("export", emotion, "--format", "litert", "--output", path).stdout
    assert float(re.search(r"from the Keras model: (\S+)", said).group(1)) <= 1e-4  # type: ignore[union-attr]
    assert f"written to {path}" in said
    assert "float32 (B, 48, 48, 1), pixels scaled to [-1, 1]" in said
    assert ", ".join(EMOTIONS_FER2013) in said
    expected = load_engine(emotion, engine="keras")[1].predict(faces(9))
    found = LiteRTEngine(path, num_classes=7).predict(faces(9))
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert contents(emotion) == before
    assert list(contents(output)) == ["emotion.tflite"]


def test_int8_runs_in_the_engine_and_tells_its_accuracy(
    run: Run, emotion: Path, output: Path, tmp_path: Path
) -> None:
    path, csv_file = output / "small.tflite", tmp_path / "fer2013.csv"
    csv_file.write_text(fer2013_csv({"Training": 35, "PublicTest": 28, "PrivateTest": 7}))
    options = ("--format", "litert-int8", "--output", path, "--data", csv_file)
    said = run("export", emotion, *options).stdout
    start = "accuracy on fer2013 PublicTest, 28 faces: "
    line = re.search(rf"{start}float32 ([\d.]+), int8 ([\d.]+), loss (-?[\d.]+) points", said)
    assert line is not None, said
    before, after, loss = map(float, line.groups())
    assert loss == pytest.approx(100 * (before - after), abs=0.02)

    card, exact = load_engine(emotion, engine="keras")
    small = LiteRTEngine(path, num_classes=7)
    validation = load_fer2013(csv_file).split("PublicTest")
    inputs = card.preprocessor(validation.images)
    for engine, accuracy in ((exact, before), (small, after)):
        found = (engine.predict(inputs).argmax(axis=1) == validation.labels).mean()
        assert found == pytest.approx(accuracy, abs=1e-4)
    assert path.stat().st_size < (emotion / "model.tflite").stat().st_size / 1.5
    assert np.abs(small.predict(inputs) - exact.predict(inputs)).mean() < 0.1


def test_onnx_gives_what_the_others_give_and_tells_how_to_use_it(
    run: Run, emotion: Path, output: Path
) -> None:
    path = output / "emotion.onnx"
    said = run("export", emotion, "--format", "onnx", "--output", path).stdout
    assert "largest difference" in said
    assert "before the temperature 0.9" in said
    assert list(contents(output)) == ["emotion.onnx"]
    session = load_onnx(path)
    engines = [load_engine(emotion, engine=name)[1] for name in ("litert", "keras")]
    for number in (1, 9, 70):
        found = session.run(["probabilities"], {"faces": faces(number)})[0]
        for engine in engines:
            np.testing.assert_allclose(found, engine.predict(faces(number)), atol=1e-5)
    described = [(value.name, value.shape, value.type) for value in session.get_inputs()]
    assert described == [("faces", ["batch", 48, 48, 1], "tensor(float)")]
    described = [(value.name, value.shape, value.type) for value in session.get_outputs()]
    assert described == [("probabilities", ["batch", 7], "tensor(float)")]
    card = read_card(emotion)
    stored = session.get_modelmeta().custom_metadata_map
    entries = {name: json.loads(text) for name, text in stored.items()}
    assert Preprocessor.from_json(entries["preprocessor"]) == card.preprocessor
    assert tuple(entries["class_names"]) == card.class_names
    assert entries["crop_margin"] == card.crop_margin
    assert entries["temperature"] == card.temperature
    assert entries["task"] == "emotion"


def test_a_fixed_number_of_faces(run: Run, emotion: Path, output: Path) -> None:
    size = 6
    expected = load_engine(emotion)[1].predict(faces(13))
    litert, onnx = output / "fixed.tflite", output / "fixed.ONNX"
    for path in (litert, onnx):  # whose names tell the format
        run("export", emotion, "--output", path, "--batch-size", size)
    given = Interpreter(str(litert)).get_input_details()[0]
    assert given["shape_signature"].tolist() == [size, 48, 48, 1]
    for number in (1, size, 13):  # the engine runs as many batches as it takes
        found = LiteRTEngine(litert, num_classes=7).predict(faces(number))
        np.testing.assert_allclose(found, expected[:number], atol=1e-5)
    session = load_onnx(onnx)
    assert session.get_inputs()[0].shape == [size, 48, 48, 1]
    assert session.get_outputs()[0].shape == [size, 7]
    found = session.run(None, {"faces": faces(13)[:size]})[0]
    np.testing.assert_allclose(found, expected[:size], atol=1e-5)


def test_a_model_that_differs_is_not_written(
    run: Run, emotion: Path, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("minixception.checkpoints.export.largest_difference", lambda *_: 1.0)
    refused = run("export", emotion, "--output", output / "emotion.tflite", code=1)
    assert "differs from the Keras model by" in refused.stderr
    assert not output.exists() or not contents(output)
