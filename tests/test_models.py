"""The networks against the numbers and plans of the publications."""

from collections.abc import Callable

import keras
import numpy as np
import pytest

from minixception import models
from minixception.models import mobilenet
from minixception.training.acceleration import accelerated
from minixception.training.optimization import compile_model
from minixception.training.recipes import Recipe


@pytest.fixture(scope="module")
def published() -> dict[str, keras.Model]:
    """Every network with seven classes at the size of its publication."""
    return {
        name: models.build(name, network.input_shape, 7)
        for name, network in models.NETWORKS.items()
    }


def layers_of(model: keras.Model, kind: type) -> list[keras.layers.Layer]:
    return [layer for layer in model.layers if isinstance(layer, kind)]


# With seven classes.
PARAMETERS = {
    "mini_xception": 58_423,
    "tiny_xception": 18_314,
    "big_xception": 208_871,
    "mini_xception_48": 58_168,
    "mini_xception_wide": 191_655,
    "simple_cnn": 642_935,
    "simpler_cnn": 559_671,
    "lenet5_rgb": 169_271,
    "easynet": 2_365_479,
    "emonet": 41_600_823,
    "facenet": 36_182_919,
    "facenet_mobilenet": 3_236_039,
}


def test_parameters_of_every_network(published: dict[str, keras.Model]) -> None:
    assert {name: model.count_params() for name, model in published.items()} == PARAMETERS
    trainable = published["mini_xception"].trainable_variables
    assert sum(int(np.prod(variable.shape)) for variable in trainable) == 56_951


def test_sizes_of_the_feature_maps(published: dict[str, keras.Model]) -> None:
    model = published["mini_xception"]
    stem, sums = layers_of(model, keras.layers.Conv2D)[:2], layers_of(model, keras.layers.Add)
    assert [layer.output.shape[1] for layer in stem + sums] == [62, 60, 30, 15, 8, 4]
    # The last module of the 48-pixel network keeps its size.
    sums = layers_of(published["mini_xception_48"], keras.layers.Add)
    assert [addition.output.shape[1] for addition in sums] == [22, 11, 6, 6]
    # Where the last stride meets 7, keras.applications would leave 3 positions, not 4.
    layer_of = published["facenet_mobilenet"].get_layer
    sizes = [layer_of(f"conv_pw_{block}").output.shape[1] for block in (1, 2, 4, 6, 12)]
    assert sizes == [56, 28, 14, 7, 4]


@pytest.mark.parametrize("name", ["mini_xception", "tiny_xception", "mini_xception_48"])
def test_only_the_two_stem_convolutions_are_penalized(
    published: dict[str, keras.Model], name: str
) -> None:
    model = published[name]
    kernels = [np.asarray(layer.kernel) for layer in layers_of(model, keras.layers.Conv2D)[:2]]
    assert [kernel.shape[:2] for kernel in kernels] == [(3, 3)] * 2
    losses = [float(loss) for loss in model.losses]
    assert losses == pytest.approx(
        [0.01 * float((kernel**2).sum()) for kernel in kernels], rel=1e-5
    )


def test_no_relu_follows_a_sum(published: dict[str, keras.Model]) -> None:
    """But in big Xception, whose second module begins with one on its main path."""
    for name in ("mini_xception", "tiny_xception", "mini_xception_48", "big_xception"):
        sums = layers_of(published[name], keras.layers.Add)
        followers = [type(node.operation) for each in sums for node in each._outbound_nodes]
        assert followers.count(keras.layers.Activation) == (name == "big_xception")


def plan_of(model: keras.Model) -> list[str]:
    """Return convolutions, poolings and fully connected layers in the words of the sources."""
    words = []
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D):
            words.append(f"Conv {layer.filters} {layer.kernel_size[0]}/{layer.strides[0]}")
        elif isinstance(layer, keras.layers.MaxPooling2D):
            words.append(f"MaxPool {layer.pool_size[0]}/{layer.strides[0]}")
        elif isinstance(layer, keras.layers.Dense):
            words.append(f"FC {layer.units}")
    return words


@pytest.mark.parametrize(
    ("name", "plan", "sizes"),
    [
        (
            "lenet5_rgb",
            "Conv 6 5/1, MaxPool 2/2, Conv 16 5/1, MaxPool 2/2, FC 120, FC 84, FC 7",
            [44, 22, 18, 9],
        ),
        (
            "easynet",
            "Conv 32 5/1, MaxPool 3/2, Conv 96 5/1, MaxPool 3/2, Conv 192 4/1, FC 128, FC 7",
            [60, 29, 25, 12, 9],
        ),
        (
            "emonet",
            "Conv 96 7/2, MaxPool 3/2, Conv 256 5/1, MaxPool 2/2, Conv 512 3/1, Conv 512 3/1, "
            "Conv 512 3/1, MaxPool 3/3, FC 4048, FC 4048, FC 7",
            [32, 16, 16, 8, 8, 8, 8, 3],
        ),
    ],
)
def test_plans_of_the_student_systems(
    published: dict[str, keras.Model], name: str, plan: str, sizes: list[int]
) -> None:
    model = published[name]
    assert ", ".join(plan_of(model)) == plan
    kinds = (keras.layers.Conv2D, keras.layers.MaxPooling2D)
    assert [layer.output.shape[1] for layer in model.layers if isinstance(layer, kinds)] == sizes


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize(
    ("name", "size", "first"),
    [("easynet", 32, ""), ("facenet_mobilenet", 96, "conv_dw_5")],
)
def test_a_step_moves_what_is_not_frozen_and_nothing_else(
    name: str, size: int, first: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dropout included; frozen batch normalization keeps its statistics, in the fused layer too."""
    monkeypatch.setattr(mobilenet, "BLOCKS", mobilenet.BLOCKS[:5])  # the others are like them
    keras.utils.set_random_seed(0)
    channels = models.NETWORKS[name].input_shape[2]
    model = accelerated(models.build(name, (size, size, channels), 3))
    recipe = Recipe(name="sgd", summary="", optimizer="sgd", schedule="constant")
    compile_model(model, recipe, steps=1)
    images = np.random.default_rng(0).uniform(-1, 1, (6, size, size, channels)).astype(np.float32)
    before = {variable.path: np.asarray(variable) for variable in model.variables}
    assert np.isfinite(model.train_on_batch(images, np.eye(3)[[0, 1, 2] * 2])).all()
    is_frozen = bool(first)
    for layer in model.layers:
        is_frozen = is_frozen and layer.name != first
        for variable in layer.weights:
            moved = not np.array_equal(before[variable.path], variable)
            assert moved != is_frozen, variable.path


def test_facenet_is_frozen_up_to_the_third_block_of_stage_4(
    published: dict[str, keras.Model],
) -> None:
    trained = [layer.name for layer in published["facenet"].layers if layer.trainable_weights]
    assert trained[0] == "conv4_block3_1_conv"
    assert len(trained) == 47  # and so is all that follows


@pytest.mark.parametrize("input_shape", [(5, 9, 3), (None, None, 1)])
def test_any_size_that_the_plan_allows(input_shape: tuple[int | None, int | None, int]) -> None:
    model = models.build("tiny_xception", input_shape, 3)
    height, width, channels = (size or 33 for size in input_shape)
    outputs = keras.ops.convert_to_numpy(model(np.zeros((2, height, width, channels), np.float32)))
    assert outputs.shape == (2, 3)
    assert np.isfinite(outputs).all()


@pytest.mark.parametrize(
    ("name", "input_shape", "reason"),
    [
        ("big_xception", (64, 6, 1), "at least 7 pixels"),
        ("simpler_cnn", (65, 64, 1), "1 to 64 pixels"),
        ("easynet", (None, 64, 1), "at least 31 pixels"),
        ("emonet", (None, None, 1), "at least 1 pixels"),
        ("facenet", (31, 224, 3), "at least 32 pixels"),
        ("mini_xception", (64, 64, 2), "1 or 3 channels"),
        ("mini_xception", (64, 64), "height, width, channels"),
    ],
)
def test_an_impossible_size_is_refused(
    name: str, input_shape: tuple[int, int, int], reason: str
) -> None:
    with pytest.raises(ValueError, match=reason) as caught:
        models.build(name, input_shape, 7)
    assert f"Received: input_shape={input_shape}" in str(caught.value)


def logits(*, input_shape: tuple[int, int, int], num_classes: int, name: str) -> keras.Model:
    inputs = keras.Input(input_shape)
    pooled = keras.layers.GlobalAveragePooling2D()(inputs)
    outputs = keras.layers.Dense(num_classes, name="predictions")(pooled)
    return keras.Model(inputs, outputs, name=name)


@pytest.mark.parametrize(
    "builder", [logits, lambda **_: None, lambda **_: keras.Sequential([keras.layers.Flatten()])]
)
def test_what_a_builder_gets_wrong_is_told(
    builder: Callable[..., keras.Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(models.NETWORKS, "mine", models.Network(builder, (32, 32, 1)))
    with pytest.raises(ValueError, match=r"The builder of `mine` must return a Keras model"):
        models.build("mine", (32, 32, 1), 2)
