"""A model of somebody's own `fit`, from the shapes that Keras users give it to the analyzer."""

import shutil
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from minixception import FaceAnalyzer, FaceClassifier, Preprocessor, make_checkpoint, read_image
from minixception.checkpoints.keras_model import load_checkpoint, save_checkpoint
from stored_files import contents

NAMES = ("happy", "sad", "surprise")

pytestmark = pytest.mark.usefixtures("eager")


@pytest.fixture(scope="module")
def own_model() -> keras.Model:
    """Return a model that has its own scaling, is compiled, and takes colours."""
    keras.utils.set_random_seed(3)
    model = keras.Sequential(
        [
            keras.Input((32, 40, 3)),
            layers.Rescaling(1 / 255),
            layers.RandomFlip(),
            layers.Conv2D(8, 3, strides=2, activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dropout(0.3),
            layers.Dense(3, activation="softmax", kernel_initializer="random_normal"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


@pytest.fixture(scope="module")
def checkpoint(own_model: keras.Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own") / "runs" / "mine"
    make_checkpoint(folder, own_model, class_names=NAMES, value_range=(0, 255), crop_margin=0.1)
    return folder


def test_one_call_makes_a_checkpoint(
    own_model: keras.Model, checkpoint: Path, portraits: Path
) -> None:
    written = {path.name for path in checkpoint.iterdir()}
    assert {"card.json", "model.keras", "model.tflite"} <= written
    card = load_checkpoint(checkpoint).card
    assert (card.name, card.task, card.class_names) == ("mine", "emotion", NAMES)
    assert card.preprocessor == Preprocessor((32, 40), channels=3, value_range=(0, 255))
    image = read_image(portraits)[:32, :40]
    expected = own_model.predict(image[None].astype("float32"), verbose=0)
    for engine in ("litert", "keras"):
        found = FaceClassifier.load(checkpoint, engine=engine).predict(image)
        np.testing.assert_allclose(found, expected, atol=1e-5)
    (face, *_) = FaceAnalyzer(emotion=checkpoint).analyze(portraits)
    assert face.emotion in NAMES


@pytest.mark.usefixtures("no_export")
@pytest.mark.parametrize("suffix", [".keras", ".h5", ".tflite"])
def test_a_file_does_as_well(
    own_model: keras.Model, checkpoint: Path, tmp_path: Path, suffix: str
) -> None:
    file, engine = tmp_path / f"model{suffix}", "litert" if suffix == ".tflite" else "keras"
    if engine == "litert":
        file.write_bytes((checkpoint / "model.tflite").read_bytes())
    else:
        own_model.save(file)
    card = make_checkpoint(tmp_path / "new", file, class_names=NAMES, value_range=(0, 255))
    assert card.preprocessor.input_shape == (32, 40, 3)
    image = np.full((50, 50, 3), 77, np.uint8)
    expected = FaceClassifier.load(checkpoint).predict(image)
    found = FaceClassifier.load(tmp_path / "new", engine=engine).predict(image)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_what_was_trained_in_16_bits_answers_in_32(tmp_path: Path) -> None:
    half = {"dtype": "mixed_float16"}
    model = network(
        layers.Dense(8, activation="relu", **half), layers.Dense(3, activation="softmax", **half)
    )
    make_checkpoint(tmp_path, model, class_names=NAMES, value_range=(0, 1))
    image = np.full((8, 8), 77, np.uint8)
    expected = np.asarray(model.predict_on_batch(np.full((1, 8, 8, 1), 77 / 255, np.float32)))
    for engine in ("litert", "keras"):
        found = FaceClassifier.load(tmp_path, engine=engine).predict(image)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, atol=1e-2)


def test_nothing_of_an_earlier_model_stays_beside_a_new_one(
    own_model: keras.Model, checkpoint: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(checkpoint, tmp_path / "mine"))
    for name in ("learned_faces.npz", "curves.png", "notes.txt"):
        (folder / name).touch()
    names: dict[str, Any] = {"class_names": NAMES, "value_range": (0, 255)}
    make_checkpoint(folder, checkpoint / "model.tflite", **names)
    assert {path.name for path in folder.iterdir()} == {"card.json", "model.tflite", "notes.txt"}
    save_checkpoint(folder, own_model, load_checkpoint(checkpoint).card)
    assert not (folder / "model.tflite").exists()
    (folder / "training_state.npz").touch()
    before = contents(folder)
    with pytest.raises(FileExistsError, match="holds a training run"):
        make_checkpoint(folder, own_model, **names)
    with pytest.raises(FileExistsError, match="holds a training run"):
        save_checkpoint(folder, own_model, load_checkpoint(checkpoint).card)
    assert contents(folder) == before


def network(
    *outputs: Any, shape: tuple[Any, ...] = (8, 8, 1), batch: int | None = None
) -> keras.Model:
    model = keras.Sequential([keras.Input(shape, batch), layers.GlobalAveragePooling2D(), *outputs])
    model.name = "odd"
    return model


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (network(layers.Dense(3)), "odd does not return probabilities.*not end in a softmax"),
        (network(layers.Dense(1, activation="sigmoid")), "an output for each of happy, sad, surp"),
        (network(layers.Dense(3), shape=(8, 8, 5)), "with 1 or 3 channels. Received: odd"),
        (network(layers.Softmax(), shape=(None, None, 3)), "images of one size"),
        (network(layers.Dense(3, activation="softmax"), batch=2), "any number of images"),
        (keras.Sequential([layers.Dense(3)], name="odd"), "must be built"),
        (b"PK", "must be a Keras model, or the path of a file. Received: b'PK'"),
    ],
)
def test_what_does_not_fit_is_told_and_writes_nothing(
    model: Any, message: str, tmp_path: Path
) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        make_checkpoint(tmp_path / "new", model, class_names=NAMES, value_range=(0, 1))
    assert list(tmp_path.iterdir()) == []
