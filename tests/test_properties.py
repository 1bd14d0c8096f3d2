"""Properties that hold for all input: cropping, labels, augmentation, splits, written files."""

import threading
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from minixception.boxes import Box, CropMargin, crop_box
from minixception.datasets.face_dataset import stratified_split
from minixception.files import atomic_path
from minixception.images import crop
from minixception.labels import SYNONYMS, canonical_name, index_of
from minixception.preprocessor import Preprocessor
from minixception.training.batches import augment
from minixception.training.recipes import Augmentation

SIZES = st.integers(1, 70)
MARGINS = st.floats(-0.49, 10)
SHARES = st.floats(0, 0.9)


@given(st.data(), SIZES, SIZES, st.builds(CropMargin, MARGINS, MARGINS, MARGINS, MARGINS))
def test_what_is_cropped_is_in_the_image_and_prepared_to_one_shape(
    data: Any, height: int, width: int, margin: CropMargin
) -> None:
    x, y = data.draw(st.integers(-9, width - 1)), data.draw(st.integers(-9, height - 1))
    sides = (data.draw(st.integers(1 - min(start, 0), 99)) for start in (x, y))
    box = Box(x, y, *sides)
    pixels = np.arange(height * width * 3, dtype=np.uint32).astype(np.uint8)
    image = pixels.reshape(height, width, 3)
    part = crop(image, crop_box(box, margin, height, width))
    assert part.size > 0
    prepared = Preprocessor(image_size=(9, 7))([part, part[:, :, :1]])
    assert prepared.shape == (2, 9, 7, 1)
    assert prepared.dtype == np.float32
    assert np.abs(prepared).max() <= 1


@given(st.sampled_from(sorted(SYNONYMS)), st.data())
def test_a_label_crosses_between_conventions_by_name(canonical: str, data: Any) -> None:
    names = data.draw(st.permutations(sorted(SYNONYMS)))
    spelling = data.draw(st.sampled_from(SYNONYMS[canonical]))
    written = data.draw(st.sampled_from([str.upper, str.title, str.lower]))(f" {spelling}\t")
    translated = [data.draw(st.sampled_from(SYNONYMS[name])) for name in names]
    assert canonical_name(written) == canonical
    assert index_of(written, translated) == names.index(canonical)


@settings(max_examples=60)
@given(
    st.builds(
        Augmentation,
        rotation=st.floats(0, 360),
        width_shift=SHARES,
        height_shift=SHARES,
        zoom=SHARES,
        horizontal_flip=st.booleans(),
        brightness=SHARES,
        contrast=SHARES,
        saturation=SHARES,
        lighting=st.floats(0, 2),
        erasing=SHARES,
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


@given(
    st.lists(st.integers(0, 5), max_size=80),
    st.lists(st.floats(0.01, 1), min_size=1, max_size=4),
    st.integers(0, 9),
)
def test_a_split_has_every_row_once_and_each_class_in_its_shares(
    labels: list[int], weights: list[float], seed: int
) -> None:
    fractions = {f"part {i}": weight / sum(weights) for i, weight in enumerate(weights)}
    classes = np.array(labels, dtype=np.int64)
    splits = stratified_split(classes, fractions=fractions, seed=seed)
    assert splits.shape == classes.shape
    assert set(splits) <= set(fractions)
    for label in set(labels):
        for name, share in fractions.items():
            found = ((classes == label) & (splits == name)).sum()
            assert abs(found - share * labels.count(label)) <= 1
    again = stratified_split(classes, fractions=fractions, seed=seed)
    np.testing.assert_array_equal(splits, again)


def test_threads_that_write_one_file_leave_one_of_their_contents(tmp_path: Path) -> None:
    path, contents = tmp_path / "file.txt", [str(i) * 2000 for i in range(8)]

    def write(content: str) -> None:
        for _ in range(20):
            with atomic_path(path) as temporary:
                temporary.write_text(content, encoding="utf-8")

    threads = [threading.Thread(target=write, args=(content,)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_text(encoding="utf-8") in contents
    assert list(tmp_path.iterdir()) == [path]
