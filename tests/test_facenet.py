"""FaceNet: a backbone's weights from files of both namings."""

import shutil
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from minixception import models
from minixception.models.facenet import load_backbone_weights, vggface_name
from minixception.training.origins import load_backbone

SIZE = (40, 40, 3)  # the smallest work for tests: weights do not depend on it


@pytest.fixture(scope="module")
def facenet() -> keras.Model:
    """FaceNet with fresh weights, for seven classes."""
    keras.utils.set_random_seed(0)
    return models.build("facenet", SIZE, 7)


def with_weights(model: keras.Model) -> list[keras.layers.Layer]:
    """The layers of the backbone that have weights: 53 convolutions, 53 normalizations."""
    return [layer for layer in model.layers if layer.weights and layer.name.startswith("conv")]


@pytest.fixture(scope="module")
def file(facenet: keras.Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backbone with the names and shapes of Keras-VGGFace, as `save_weights` there would write.

    Most tensors are a fill value of their own, so that the file stays small; some are random.
    """
    path = tmp_path_factory.mktemp("backbone") / "vggface.h5"
    generator, number = np.random.default_rng(1), 0
    with h5py.File(path, "w") as file:
        for layer in with_weights(facenet):
            for variable in layer.weights:
                if variable.name == "bias":
                    continue  # its convolutions have none
                number += 1
                tensor = file.create_dataset(
                    place_of(layer, variable), variable.shape, chunks=True, fillvalue=number / 1024
                )
                if layer.name.startswith(("conv1", "conv4_block2")):
                    tensor[...] = generator.random(variable.shape, dtype=np.float32)
    return path


def place_of(layer: keras.layers.Layer, variable: keras.Variable) -> str:
    name = vggface_name(layer.name)
    return f"{name}/{name}/{variable.name}:0"


def test_every_tensor_of_a_file_arrives_and_the_card_says_which_file_it_was(
    facenet: keras.Model, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    none, top = np.zeros((0, *SIZE), np.float32), facenet.layers[-2].get_weights()
    assert load_backbone(facenet, None, none) == {"backbone_weights": None}
    assert "frozen layers of facenet are random" in capsys.readouterr().out
    facts = load_backbone(facenet, file, none)["backbone_weights"]
    assert (facts["file"], facts["naming"]) == ("vggface.h5", "Keras-VGGFace")
    assert facts["checksum"].startswith("md5:")
    with h5py.File(file) as stored:
        for layer in with_weights(facenet):
            for variable in layer.weights:
                if variable.name == "bias":
                    assert not np.asarray(variable).any()
                    continue
                expected = stored[place_of(layer, variable)][()]
                if layer.name == "conv1_conv":
                    expected = expected[:, :, ::-1]  # the file is for BGR
                np.testing.assert_array_equal(variable, expected, variable.path)
            if isinstance(layer, keras.layers.BatchNormalization):
                assert layer.epsilon == 1e-3
    np.testing.assert_equal(facenet.layers[-2].get_weights(), top)


def test_a_keras_model_of_its_own_gives_the_same_features(
    facenet: keras.Model, tmp_path: Path
) -> None:
    """A file that keras.applications wrote, on a picture in its order of colours."""
    keras.utils.set_random_seed(4)
    backbone = keras.applications.ResNet50(
        include_top=False, weights=None, input_shape=SIZE, pooling="avg"
    )
    generator = np.random.default_rng(5)
    for layer in backbone.layers:  # fresh ones have no biases, and statistics that change nothing
        layer.set_weights(
            [
                weight + generator.uniform(0, 0.1, weight.shape) if weight.ndim == 1 else weight
                for weight in layer.get_weights()
            ]
        )
    path = tmp_path / "resnet50.h5"
    backbone.save(path)
    assert load_backbone_weights(facenet, path) == "keras.applications"
    assert facenet.get_layer("conv1_bn").epsilon == 1.001e-5
    rgb = np.random.default_rng(0).uniform(-100, 100, (1, *SIZE)).astype(np.float32)
    features = keras.Model(facenet.input, facenet.get_layer("avg_pool").output)
    expected = np.asarray(backbone(np.ascontiguousarray(rgb[..., ::-1])))
    np.testing.assert_allclose(np.asarray(features(rgb)), expected, rtol=1e-3, atol=1e-5)


# A tensor of the file -> what takes its place, and what is said of that.
DAMAGES: dict[str, tuple[np.ndarray | None, str]] = {
    "conv4_2_3x3/conv4_2_3x3": (None, r"kernel of layer conv4_2_3x3 must .*Received: none"),
    "conv2_1_3x3/conv2_1_3x3/kernel:0": (
        np.zeros((3, 3, 64, 32), np.float32),
        r"conv2_1_3x3 .*shape \(3, 3, 64, 64\)\. Received: \(3, 3, 64, 32\)",
    ),
    "conv2_1_1x1_down/conv2_1_1x1_down/kernel:0": (
        np.zeros((1, 1, 256, 16), np.float32),
        "no layer conv2_1_1x1_down",
    ),
    "conv3_2_3x3/bn/conv3_2_3x3/bn/beta:0": (
        np.full(128, np.nan, np.float32),
        "beta of layer conv3_2_3x3/bn is not finite",
    ),
}


def test_a_file_that_does_not_fit_is_refused_and_changes_nothing(
    facenet: keras.Model, file: Path, tmp_path: Path
) -> None:
    before = facenet.get_layer("conv1_conv").get_weights()[0]
    for name, (tensor, message) in DAMAGES.items():
        path = Path(shutil.copy(file, tmp_path / "changed.h5"))
        with h5py.File(path, "a") as changed:
            if name in changed:
                del changed[name]
            if tensor is not None:
                changed[name] = tensor
        with pytest.raises(ValueError, match=message) as caught:
            load_backbone_weights(facenet, path)
        assert str(path) in str(caught.value)
    with h5py.File(path, "w") as changed:
        changed["layers/conv2d/vars/0"] = np.zeros(3)
    with pytest.raises(ValueError, match=r"named as in Keras-VGGFace .*layers/conv2d/vars/0"):
        load_backbone_weights(facenet, path)
    with h5py.File(path, "w") as changed:
        values = np.ones((7, 7, 3, 64), np.float32)
        kernel = changed.create_dataset("conv1/7x7_s2/kernel:0", data=values, fletcher32=True)
        place = kernel.id.get_chunk_info(0).byte_offset
    damaged = bytearray(path.read_bytes())
    damaged[place] ^= 1
    for content in (damaged, b"\x89HDF\r\n\x1a\n and no more"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"changed\.h5 cannot be used: "):
            load_backbone(facenet, path, np.zeros((0, *SIZE), np.float32))
    assert np.array_equal(before, facenet.get_layer("conv1_conv").get_weights()[0])
