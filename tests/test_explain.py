import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers, ops

from minixception import models
from minixception.explain import Explainer, Explanation
from minixception.inference.classifier import FaceClassifier
from minixception.models import NETWORKS, mobilenet
from minixception.models.dissection import dissect, feature_extractor
from minixception.models.gradients import gradient_of
from minixception.models.xception import residual_module
from minixception.preprocessor import Preprocessor
from stored_files import change_card

MAPS = ("grad_cam", "hires_cam", "guided_backpropagation", "guided_grad_cam")
BARS = ("upright", "level")


def random_faces(count: int, size: int = 48, channels: int = 1) -> np.ndarray:
    shape = (count, size, size, channels)
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def require_sound(explanation: Explanation, count: int, size: int) -> None:
    np.testing.assert_allclose(explanation.scores.sum(axis=1), 1, atol=1e-5)
    for name in MAPS:
        maps = getattr(explanation, name)
        assert (maps.shape, maps.dtype) == ((count, size, size), np.float32)
        assert np.isfinite(maps).all()
        assert maps.min(initial=0) >= 0
        assert maps.max(initial=0) <= 1


@pytest.fixture(scope="module")
def folder(checkpoints: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that has a temperature."""
    folder = tmp_path_factory.mktemp("models") / "emotion"
    shutil.copytree(checkpoints["emotion"], folder)
    change_card(folder, temperature=3.0)
    return folder


@pytest.fixture(scope="module")
def emotion(folder: Path) -> Explainer:
    return Explainer.load(folder)


# One of each kind.
@pytest.mark.parametrize("name", ["big_xception", "easynet", "facenet_mobilenet"])
def test_networks_of_all_kinds_can_be_explained_and_stay_as_they_are(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mobilenet, "BLOCKS", mobilenet.BLOCKS[:5])  # the others are like them
    height, _, channels = NETWORKS[name].input_shape
    size = max(min(height, 32), NETWORKS[name].smallest)
    model = models.build(name, (size, size, channels), 3)
    weights, config, output = model.get_weights(), model.get_config(), model.layers[5].output
    assert feature_extractor(model, model.input_shape[1:]).output_shape[1] > 2
    explainer = Explainer(model, Preprocessor((size, size), channels=channels), ("a", "b", "c"))
    faces = random_faces(2, size, channels)
    explanation = explainer.explain(faces)
    require_sound(explanation, 2, size)
    expected = ops.convert_to_numpy(model(explainer.preprocessor(faces), training=False))
    np.testing.assert_allclose(explanation.scores, expected, atol=1e-5)
    # The most probable class; an untrained network may find two nearly equal.
    chosen = expected[np.arange(2), explanation.classes]
    np.testing.assert_allclose(chosen, expected.max(axis=1), atol=1e-5)
    assert explanation.hires_cam.max() == explanation.guided_backpropagation.max() == 1
    assert model.get_config() == config
    assert model.layers[5].output is output
    np.testing.assert_equal(model.get_weights(), weights)
    model.set_weights([weight * 0 for weight in weights])
    np.testing.assert_array_equal(explainer.explain(faces).scores, explanation.scores)


def bar_network(size: int = 24) -> keras.Model:
    """Tell upright from level bars by one filter for each, so that the deciding part is known."""
    inputs = keras.Input((size, size, 1))
    x = layers.Conv2D(2, 3, padding="same", use_bias=False, activation="relu")(inputs)
    outputs = layers.Activation("softmax")(layers.GlobalAveragePooling2D()(x))
    model = keras.Model(inputs, outputs)
    upright = np.array([[-1, 2, -1]] * 3, np.float32)
    model.set_weights([np.stack([upright, upright.T], axis=-1)[:, :, None]])
    return model


def bar_face() -> np.ndarray:
    """Return a strong upright bar above left, a weaker one below right, a level one below left."""
    face = np.full((24, 24, 1), 60, np.uint8)
    face[3:10, 5] = 250
    face[14:21, 18] = 160
    face[17, 3:10] = 220
    return face


def peak(maps: np.ndarray) -> tuple[int, int]:
    row, column = np.unravel_index(maps[0].argmax(), maps[0].shape)
    return int(row), int(column)


def test_the_maps_move_when_the_deciding_part_is_covered() -> None:
    explainer = Explainer(bar_network(), Preprocessor((24, 24)), BARS)
    face = bar_face()
    upright, level = (explainer.explain([face], name) for name in BARS)
    face[:12, :12] = 60
    covered = explainer.explain([face], "upright")
    for name in ("grad_cam", "hires_cam", "guided_grad_cam"):
        row, column = peak(getattr(upright, name))
        assert (3 <= row < 10, abs(column - 5) <= 1) == (True, True)
        row, column = peak(getattr(level, name))
        assert (abs(row - 17) <= 1, 3 <= column < 10) == (True, True)
        row, column = peak(getattr(covered, name))
        assert (14 <= row < 21, abs(column - 18) <= 1) == (True, True)


def test_grad_cam_is_the_one_of_numerical_gradients() -> None:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6, 6, 1))
    features = layers.Conv2D(4, 3, padding="same", activation="tanh", name="features")(inputs)
    x = layers.Dense(5, activation="tanh")(layers.Flatten()(features))
    model = keras.Model(inputs, layers.Dense(3, activation="softmax")(x))
    explainer = Explainer(model, Preprocessor((6, 6)), ("a", "b", "c"))
    face = random_faces(1, 6)
    found = explainer.explain(face, "c")

    dense, last = model.layers[-2:]
    maps = keras.Model(inputs, features)(explainer.preprocessor(face)).numpy()

    def contrasts(maps: np.ndarray) -> np.ndarray:
        hidden = dense(maps.reshape(len(maps), -1)).numpy()
        scores = hidden @ last.kernel.numpy() + last.bias.numpy()
        return scores[:, 2] - scores.mean(axis=1)

    changes = 1e-2 * np.eye(maps[0].size, dtype=np.float32).reshape(-1, *maps.shape[1:])
    gradient = (contrasts(maps + changes) - contrasts(maps - changes)).reshape(maps.shape) / 2e-2
    for name, weights in (("grad_cam", gradient.mean(axis=(1, 2))), ("hires_cam", gradient)):
        expected = np.maximum((weights * maps).sum(axis=-1), 0)
        np.testing.assert_allclose(getattr(found, name), expected / expected.max(), atol=2e-3)


def test_guided_backpropagation_by_hand() -> None:
    inputs = keras.Input((3, 3, 1))
    x = layers.ReLU()(layers.Conv2D(2, 1, use_bias=False)(inputs))
    x = layers.Activation("relu")(layers.Conv2D(2, 1, use_bias=False)(x))
    outputs = layers.Softmax()(layers.GlobalAveragePooling2D()(x))
    model = keras.Model(inputs, outputs)
    first, second = np.array([[1.0, -1.0]]), np.array([[2.0, -1.0], [1.0, 3.0]])
    model.set_weights([first[None, None], second[None, None]])
    explainer = Explainer(model, Preprocessor((3, 3)), ("a", "b"))
    face = np.array([[200, 100, 0]] * 3, np.uint8)[..., None]
    found = explainer.explain([face], "a")
    expected = []
    for value in explainer.preprocessor([face]).ravel():
        hidden = np.maximum(value * first[0], 0)
        upstream = np.array([0.5, -0.5])  # a less the mean of both
        upstream = np.maximum(upstream, 0) * (hidden @ second > 0)
        upstream = np.maximum(second @ upstream, 0) * (hidden > 0)
        expected.append(abs(first[0] @ upstream))
    expected = np.reshape(expected, (3, 3)) / max(expected)
    np.testing.assert_allclose(found.guided_backpropagation[0], expected, atol=1e-6)
    assert len(np.unique(expected)) > 1


def test_a_face_of_one_value_has_plain_maps(emotion: Explainer) -> None:
    faces = random_faces(4)
    for row, value in enumerate((0, 128, 255)):
        faces[row] = value
    with np.errstate(all="raise"):
        explanation = emotion.explain(faces, "fear")
    require_sound(explanation, 4, 48)
    for name in MAPS:
        assert getattr(explanation, name)[:3].max() == 0
    assert explanation.hires_cam[3].max() == 1


def test_a_batch_gives_what_single_faces_give(
    emotion: Explainer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("minixception.explain.LARGEST_BATCH", 2)
    faces = random_faces(5)
    together = emotion.explain(faces)
    expected = FaceClassifier.load(folder).predict(faces)
    np.testing.assert_allclose(together.scores, expected, atol=1e-5)
    for index, face in enumerate(faces):
        alone = emotion.explain([face])
        for name in MAPS:
            found = getattr(alone, name)[0]
            np.testing.assert_allclose(found, getattr(together, name)[index], atol=1e-4)
    ramp = np.arange(20, dtype=np.uint8)[:, None] * 9
    crops = [np.broadcast_to(ramp, (30 + number, 20, 3)) for number in range(5)]
    for count in (0, 1, 5):
        explanation = emotion.explain(crops[:count])
        require_sound(explanation, count, 48)
        assert len(explanation) == len(explanation.explained) == count


def test_the_class_asked_for(emotion: Explainer) -> None:
    faces = random_faces(2)
    happy, sad = emotion.explain(faces, "Happiness"), emotion.explain(faces, "sad")
    assert happy.explained == ("happy", "happy")
    mixed = emotion.explain(faces, ["sad", "happy"])
    assert mixed.explained == ("sad", "happy")
    np.testing.assert_allclose(mixed.hires_cam[0], sad.hires_cam[0], atol=1e-5)
    assert np.abs(happy.hires_cam - sad.hires_cam).max() > 0.1
    with pytest.raises(ValueError, match=r"one of angry, disgust.*Received: name='bored'"):
        emotion.explain(faces, "bored")
    with pytest.raises(ValueError, match=r"one name or 2, one per face\. Received: 1 name"):
        emotion.explain(faces, ["sad"])


def test_models_inside_models_and_sequential_ones() -> None:
    keras.utils.set_random_seed(0)
    inner_inputs = keras.Input((None, None, 4))
    x = layers.Conv2D(4, 3, padding="same", activation="relu", name="convolution")(inner_inputs)
    inner = keras.Model(inner_inputs, layers.Add()([x, inner_inputs]))
    sequence = keras.Sequential([layers.ReLU(), layers.MaxPooling2D(2)])
    inputs = keras.Input((12, 12, 3))
    twice = layers.Conv2D(3, 3, padding="same", activation="relu")
    x = layers.Conv2D(4, 3, padding="same", name="convolution")(twice(twice(inputs)) * 2)
    x = layers.GlobalAveragePooling2D()(sequence(inner(x)))
    nested = keras.Model(inputs, layers.Dense(2, activation="softmax")(x))
    flat = keras.Sequential([inputs, layers.Conv2D(4, 3), layers.ReLU(6)])
    for layer in (layers.Flatten(), layers.Dense(2), layers.Softmax()):
        flat.add(layer)
    for model in (nested, flat):
        explainer = Explainer(model, Preprocessor((12, 12), channels=3), ("a", "b"))
        faces = random_faces(2, 12, 3)
        explanation = explainer.explain(faces)
        require_sound(explanation, 2, 12)
        expected = ops.convert_to_numpy(model(explainer.preprocessor(faces), training=False))
        np.testing.assert_allclose(explanation.scores, expected, atol=1e-5)
        assert feature_extractor(model, (12, 12, 3)).output_shape[1] > 2


@pytest.mark.parametrize("policy", ["mixed_float16", "bfloat16"])
def test_a_network_that_computes_with_16_bits(policy: str) -> None:
    half = keras.Sequential([keras.Input((12, 12, 1)), layers.Conv2D(4, 3, dtype=policy)])
    half.add(layers.GlobalAveragePooling2D(dtype=policy))
    half.add(layers.Dense(2, activation="softmax", dtype=policy))
    explanation = Explainer(half, Preprocessor((12, 12)), ("a", "b")).explain(random_faces(2, 12))
    require_sound(explanation, 2, 12)
    assert explanation.hires_cam.max() == 1


def test_feature_maps_are_the_last_that_everything_goes_through() -> None:
    inputs = keras.Input((10, 10, 1))
    x = residual_module(layers.Conv2D(3, 3)(inputs), 5, strides=2)
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(2, 3, padding="same")(x))
    parts = dissect(keras.Model(inputs, layers.Softmax()(x)), (10, 10, 1))
    shapes = [tuple(output.shape[1:]) for output in parts.image_to_maps.outputs]
    assert shapes == [(4, 4, 2), (8, 8, 3)]
    inputs = keras.Input((3, 3, 1))
    x = layers.Conv2D(2, 2)(inputs)
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(2, 2)(x))
    tiny = dissect(keras.Model(inputs, layers.Softmax()(x)), (3, 3, 1))
    assert [tuple(output.shape[1:3]) for output in tiny.image_to_maps.outputs] == [(2, 2), (2, 2)]


def test_models_that_cannot_be_explained() -> None:
    inputs = keras.Input((8, 8, 1))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(2, 3)(inputs))
    no_map = layers.Dense(2, activation="softmax")(layers.Flatten()(inputs))
    for outputs, names, said in (
        (layers.Softmax()(x), "abc", r"must have 2 names.*Received: a, b, c"),
        (layers.Dense(2, "sigmoid", name="last")(x), "ab", r"must end in a softmax.*ends in last"),
        (no_map, "ab", "must have a feature map"),
    ):
        with pytest.raises(ValueError, match=said):
            Explainer(keras.Model(inputs, outputs), Preprocessor((8, 8)), tuple(names))


def test_gradients_of_nothing_and_of_another_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    found = gradient_of(lambda x: ops.ones((3,)), np.ones((2, 2), np.float32))
    np.testing.assert_array_equal(ops.convert_to_numpy(found), np.zeros((2, 2)))
    monkeypatch.setattr(keras.backend, "backend", lambda: "numpy")
    with pytest.raises(ValueError, match=r"tensorflow, jax, torch for gradients.*Received: numpy"):
        gradient_of(lambda x: x, np.ones(2, np.float32))
