"""Batches of training: order, resuming, augmentation."""

import math
from itertools import islice
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minixception.preprocessor import Preprocessor
from minixception.training.batches import Batch, augment, mix_images, training_batches
from minixception.training.recipe_book import RECIPES
from minixception.training.recipes import Augmentation

SHIFTS = ("width_shift", "height_shift", "zoom")
ALL_CHANGES = Augmentation(15, 0.1, 0.2, 0.1, True, 0.4, 0.4, 0.5, 0.3, 0.2)


def random_images(count: int = 8, size: int = 12, channels: int = 1) -> np.ndarray:
    generator = np.random.default_rng(3)
    return generator.integers(0, 256, (count, size, size, channels), dtype=np.uint8)


def batches(
    images: np.ndarray, count: int, *, size: tuple[int, int] | None = None, **changes: Any
) -> list[Batch]:
    preprocessor = Preprocessor(size or images.shape[1:3], value_range=(0, 255))
    options = {"preprocessor": preprocessor, "augmentation": ALL_CHANGES, "batch_size": 4}
    targets = np.eye(len(images), dtype=np.float32)
    stream = training_batches(images, targets, **{**options, "seed": 0, **changes})
    return list(islice(stream, count))


def equal(left: list[Batch], right: list[Batch]) -> bool:
    return len(left) == len(right) and all(
        np.array_equal(a[0], b[0]) and np.array_equal(a[1], b[1])
        for a, b in zip(left, right, strict=True)
    )


def changed(images: np.ndarray, *, seed: int = 0, **strengths: Any) -> np.ndarray:
    return augment(images, Augmentation(**strengths), generator=np.random.default_rng(seed))


@given(
    first_epoch=st.integers(0, 2), batch_size=st.integers(1, 12), mixup=st.sampled_from([0.0, 0.4])
)
@settings(max_examples=20)  # of four epochs each
def test_a_resumed_stream_is_the_tail_of_the_whole_one(
    first_epoch: int, batch_size: int, mixup: float
) -> None:
    images = random_images(9)
    changes: dict[str, Any] = {"batch_size": batch_size, "mixup": mixup}
    steps = math.ceil(len(images) / batch_size)
    whole = batches(images, 4 * steps, **changes)
    resumed = batches(images, (4 - first_epoch) * steps, first_epoch=first_epoch, **changes)
    assert equal(whole[first_epoch * steps :], resumed)
    assert not equal(whole[:3], batches(images, 3, seed=1, **changes))


def test_an_epoch_shows_every_image_once_with_its_own_target() -> None:
    images = np.repeat(np.arange(10, dtype=np.uint8), 36).reshape(10, 6, 6, 1)
    stream = batches(images, 9, augmentation=Augmentation())
    assert [len(batch) for batch, _ in stream] == [4, 4, 2] * 3
    for first in (0, 3, 6):
        shown = stream[first : first + 3]
        numbers = np.concatenate([batch[:, 0, 0, 0] for batch, _ in shown])
        targets = np.concatenate([target.argmax(axis=1) for _, target in shown])
        assert sorted(numbers) == list(range(10))
        assert np.array_equal(numbers, targets)
        assert not np.array_equal(numbers, np.arange(10))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [11, 12])
def test_flip_alone_gives_an_image_or_its_mirror_exactly(channels: int, size: int) -> None:
    images = random_images(40, size, channels)
    flipped = changed(images, horizontal_flip=True)
    kept = [np.array_equal(a, b) for a, b in zip(flipped, images, strict=True)]
    mirrored = [np.array_equal(a, b[:, ::-1]) for a, b in zip(flipped, images, strict=True)]
    assert all(a != b for a, b in zip(kept, mirrored, strict=True))
    assert 10 <= sum(mirrored) <= 30
    plain = changed(images)
    assert np.array_equal(plain, images)
    assert not np.shares_memory(plain, images)


@pytest.mark.parametrize("stored", [(9, 12), (12, 12), (30, 40), (9, 40)])
def test_faces_from_their_stored_size_are_those_that_are_resized(stored: tuple[int, int]) -> None:
    generator = np.random.default_rng(0)
    faces = cv2.GaussianBlur(generator.integers(0, 256, (*stored, 5), dtype=np.uint8), (5, 5), 1)
    images = np.asarray(faces, np.uint8).transpose(2, 0, 1)[..., np.newaxis]
    preprocessor = Preprocessor((12, 16), value_range=(0, 255))
    unchanged = Augmentation(from_stored_size=True)
    ((found, targets),) = batches(images, 1, size=(12, 16), augmentation=unchanged, batch_size=5)
    expected = preprocessor.normalize(preprocessor.resize(images))[targets.argmax(axis=1)]
    assert np.abs(found - expected).max() <= 3  # a warp counts in parts of a pixel, a 32nd


def test_one_interpolation_is_sharper_than_two_and_a_cubic_one_sharper_still() -> None:
    turns: dict[str, Any] = {"rotation": 15, "width_shift": 0.1, "height_shift": 0.1}
    twice, once, cubic = (
        batches(random_images(), 1, size=(16, 16), augmentation=Augmentation(**turns, **more))
        for more in ({}, {"from_stored_size": True}, {"from_stored_size": True, "cubic": True})
    )
    assert once[0][0].std() > 1.05 * twice[0][0].std()
    assert cubic[0][0].std() > 1.05 * once[0][0].std()


@given(value=st.integers(0, 255), seed=st.integers(0, 1000))
def test_pixels_shifted_in_repeat_the_border(value: int, seed: int) -> None:
    """A plain image stays plain, whatever the geometry."""
    images = np.full((3, 16, 16, 1), value, np.uint8)
    geometry: dict[str, Any] = dict.fromkeys(SHIFTS, 0.3)
    moved = changed(images, seed=seed, rotation=30, horizontal_flip=True, **geometry)
    assert np.array_equal(moved, images)


def test_a_shift_stays_within_its_limit() -> None:
    images = np.zeros((200, 20, 20, 1), np.uint8)
    images[:, 10, 10] = 255
    weights = changed(images, width_shift=0.1)[:, :, :, 0].astype(float)
    assert np.array_equal(weights.sum(axis=(1, 2)), weights[:, 10].sum(axis=1))  # its row only
    columns = (weights[:, 10] * np.arange(20)).sum(axis=1) / weights[:, 10].sum(axis=1)
    assert 7.9 <= columns.min() < 8.5
    assert 11.5 < columns.max() <= 12.1


def test_a_crop_is_a_window_inside_the_image() -> None:
    """On a ramp, where a pixel's value is its column and its row, from 0 to 200."""
    ramp = np.linspace(0, 200, 41)
    images = np.empty((300, 41, 41, 3), np.uint8)
    images[..., 0], images[..., 1] = ramp, ramp[:, np.newaxis]
    windows = changed(images, random_crop=0.4)
    first, last = windows[:, 0, 0].astype(int), windows[:, -1, -1].astype(int)
    shares = (last - first) / 200  # of the width and of the height that is seen
    assert abs(shares[:, 0] - shares[:, 1]).max() < 0.02  # the proportions stay
    assert 0.59 < shares[:, 0].min() < 0.65
    assert 0.95 < shares[:, 0].max() <= 1
    # All of the image is seen by one window or another.
    assert first[:, :2].min() <= 2
    assert last[:, :2].max() >= 198
    # A window lies anywhere, whatever its size.
    room = 1 - shares[:, 0]
    small = room > 0.2
    positions = first[small, 0] / 200 / room[small]
    assert positions.min() < 0.1
    assert positions.max() > 0.9


def test_each_change_of_light_does_what_it_says_to_every_image() -> None:
    images = random_images(30, 16) // 4 + 80
    bright = changed(images, brightness=0.4)
    ratios = (bright / images).mean(axis=(1, 2, 3))
    assert 0.59 < ratios.min() < 0.75
    assert 1.25 < ratios.max() < 1.41
    flat = changed(images, contrast=0.4)
    np.testing.assert_allclose(flat.mean(axis=(1, 2, 3)), images.mean(axis=(1, 2, 3)), atol=0.5)
    spreads = flat.std(axis=(1, 2, 3)) / images.std(axis=(1, 2, 3))
    assert 0.58 < spreads.min() < 0.75
    assert 1.25 < spreads.max() < 1.42
    for grey in (images, np.repeat(images, 3, axis=3)):
        assert np.array_equal(changed(grey, saturation=0.5), grey)
    coloured = random_images(30, 16, channels=3)
    for name in ("saturation", "lighting"):
        strength: dict[str, Any] = {name: 0.5}
        differences = np.abs(changed(coloured, **strength).astype(int) - coloured)
        assert (differences.max(axis=(1, 2, 3)) > 0).all()


def test_the_augmentation_of_every_recipe_changes_images_mildly() -> None:
    ramp = np.tile(np.linspace(60, 190, 32).astype(np.uint8)[:, np.newaxis], (1, 32))
    images = np.repeat(ramp[np.newaxis, :, :, np.newaxis], 20, axis=0)  # dark above, light below
    for recipe in RECIPES.values():
        found = augment(images, recipe.augmentation, generator=np.random.default_rng(0))
        assert not np.array_equal(found, images)
        top, bottom = found[:, :8].mean(axis=(1, 2, 3)), found[:, -8:].mean(axis=(1, 2, 3))
        assert (top < bottom).all()


def test_erasing_covers_a_rectangle_of_every_second_image_at_most() -> None:
    images = np.full((200, 32, 32, 1), 128, np.uint8)
    differs = changed(images, erasing=0.3)[..., 0] != 128
    shares = differs.mean(axis=(1, 2))
    assert 0.35 < (shares > 0).mean() < 0.6
    assert shares.max() <= 0.3
    for mask in differs[shares > 0.02]:
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        inside = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        assert inside.mean() > 0.9  # noise may be 128 by chance


def test_every_second_image_is_blurred_more_or_less() -> None:
    images = np.random.default_rng(0).integers(0, 256, (200, 32, 32, 1), dtype=np.uint8)
    contrasts = changed(images, blur=0.03)[:, 1:-1, 1:-1].std(axis=(1, 2, 3))
    sharp = np.isclose(contrasts, images[:, 1:-1, 1:-1].std(axis=(1, 2, 3)))
    assert 0.5 < sharp.mean() < 0.75  # the least blur changes nothing
    assert 20 < contrasts[~sharp].min() < 40  # that of noise with 1 px is 74 * 0.28


def test_mixup_mixes_images_and_targets_by_the_same_shares() -> None:
    values = np.arange(32, dtype=np.float32)
    images = np.tile(values[:, None, None, None], (1, 4, 4, 1))
    targets = np.eye(32, dtype=np.float32)
    mixed, shares = mix_images((images, targets), 0.4, generator=np.random.default_rng(0))
    assert (mixed.dtype, shares.dtype) == (np.float32, np.float32)
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(shares @ values, mixed[:, 0, 0, 0], rtol=1e-4, atol=1e-4)
    assert (shares.argmax(axis=1) == np.arange(32)).all()
    assert 0.1 < (shares.max(axis=1) < 0.9).mean() < 0.9


SHARE = st.floats(0, 0.9)


@given(
    st.builds(
        Augmentation,
        rotation=st.floats(0, 360),
        horizontal_flip=st.booleans(),
        lighting=st.floats(0, 2),
        **dict.fromkeys(
            (*SHIFTS, "brightness", "contrast", "saturation", "blur", "erasing"), SHARE
        ),
    ),
    st.sampled_from([(1, 1, 1), (5, 9, 1), (16, 16, 3), (2, 7, 3)]),
    st.integers(0, 5),
    st.integers(0, 2**32 - 1),
)
def test_augmentation_keeps_shape_and_range_and_follows_its_seed(
    augmentation: Augmentation, shape: tuple[int, int, int], count: int, seed: int
) -> None:
    images = np.random.default_rng(seed).integers(0, 256, (count, *shape), dtype=np.uint8)
    before = images.copy()
    first, second = (
        augment(images, augmentation, generator=np.random.default_rng(seed)) for _ in range(2)
    )
    assert first.shape == images.shape
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(images, before)
