"""From faces of any size and colour to the network's input."""

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from minixception.preprocessor import Preprocessor


def random_image(height: int, width: int, channels: int, *, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return generator.integers(0, 256, (height, width, channels), dtype=np.uint8)


@given(
    sizes=st.lists(st.tuples(st.integers(1, 90), st.integers(1, 90)), min_size=1, max_size=4),
    channels=st.sampled_from([1, 3]),
    size=st.tuples(st.integers(1, 64), st.integers(1, 64)),
    network_channels=st.sampled_from([1, 3]),
)
def test_any_size_and_colour_gives_the_network_s_input(
    sizes: list[tuple[int, int]], channels: int, size: tuple[int, int], network_channels: int
) -> None:
    images = [random_image(*of, channels, seed=row) for row, of in enumerate(sizes)]
    before = [image.copy() for image in images]
    preprocess = Preprocessor(size, network_channels)
    batch = preprocess(images)
    assert batch.shape == (len(images), *preprocess.input_shape)
    assert batch.dtype == np.float32
    assert batch.min() >= -1
    assert batch.max() <= 1
    assert all(np.array_equal(a, b) for a, b in zip(images, before, strict=True))


@pytest.mark.parametrize("value_range", [(0.0, 1.0), (-1.0, 1.0), (0.0, 255.0)])
def test_black_to_white_spans_the_range(value_range: tuple[float, float]) -> None:
    pixels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    batch = Preprocessor((16, 16), value_range=value_range)(pixels)
    low, high = value_range
    np.testing.assert_allclose(batch, low + pixels / 255 * (high - low), rtol=1e-6, atol=1e-6)
    assert (batch.min(), batch.max()) == value_range
    if value_range == (-1, 1):  # that of the publication, and the default
        np.testing.assert_array_equal(Preprocessor((16, 16))(pixels), batch)


def test_grey_from_rgb_has_the_usual_weights() -> None:
    image = random_image(8, 8, 3)
    expected = image @ np.array([0.299, 0.587, 0.114])
    preprocess = Preprocessor((8, 8), value_range=(0, 255))
    grey = preprocess([image])[0, :, :, 0]
    np.testing.assert_array_equal(preprocess([Image.fromarray(image)])[0, :, :, 0], grey)  # type: ignore[list-item]
    assert np.abs(grey - expected).max() <= 0.51  # rounded to whole numbers


def test_centring_takes_the_mean_pixel_of_what_the_network_sees() -> None:
    images = [random_image(8, 8, 3), random_image(8, 8, 3, seed=1)]
    mean = (120.0, 100.5, 30.0)
    batch = Preprocessor((8, 8), 3, mean=mean)(images[:1])
    np.testing.assert_allclose(batch[0], (images[0] - np.array(mean)) / 255 * 2, atol=1e-6)
    centred = Preprocessor((8, 8), 3, value_range=(0, 255)).centred_on(images)
    assert centred.mean == pytest.approx(np.mean(images, axis=(0, 1, 2)))
    for each in (centred, Preprocessor((4, 4)).centred_on(images)):
        np.testing.assert_allclose(each(images).mean(axis=(0, 1, 2)), 0, atol=1e-4)


@pytest.mark.parametrize("channels", [1, 3])
def test_an_image_comes_out_the_same_alone_and_in_a_batch(channels: int) -> None:
    images = np.stack([random_image(48, 48, channels, seed=seed) for seed in range(5)])
    preprocess = Preprocessor((64, 64))
    batch = preprocess(images)
    assert np.array_equal(batch, preprocess(list(images)))
    for row, image in enumerate(images):
        assert np.array_equal(preprocess(image[np.newaxis])[0], batch[row])
    nothing: list[Any] = [[], images[:0]]
    for none, size, network in product(nothing, (48, 64), (1, 3)):
        empty = Preprocessor((size, size), network)(none)
        assert (empty.shape, empty.dtype) == ((0, size, size, network), np.float32)


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((2, 48, 48, 1), np.float32),
        *(np.zeros(shape, np.uint8) for shape in ((2, 48, 48), (2, 48, 48, 2), (48, 48, 1))),
        "photo.jpg",
        ["photo.jpg"],
        [Image.new("P", (48, 48))],
    ],
)
def test_what_is_no_batch_of_uint8_images_is_refused(images: Any) -> None:
    with pytest.raises(ValueError, match=r"sequence of uint8 arrays.*`read_image` makes one"):
        Preprocessor((48, 48))(images)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"image_size": (0, 64)}, "image_size"),
        ({"image_size": (64,)}, "image_size"),
        ({"channels": 2}, "channels"),
        ({"value_range": (1.0, 1.0)}, "value_range"),
        ({"mean": (1.0, 2.0)}, "mean"),
    ],
)
def test_impossible_fields_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"`{message}` must .*Received: {message}="):
        Preprocessor(**{"image_size": (64, 64), **fields})
