"""Choosing classes, splitting by subject and merging data sets."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from made_up_data import make_dataset
from minixception.datasets import (
    FaceDataset,
    merge_datasets,
    select_classes,
    with_classes,
)
from minixception.labels import EMOTIONS_8, EMOTIONS_FER2013, canonical_name

POSTER_CLASSES = ("angry", "fear", "happy", "sad", "surprise", "neutral")


@pytest.fixture
def fer2013() -> FaceDataset:
    splits = np.array(["Training"] * 5 + ["PublicTest", "PrivateTest"])
    return make_dataset(EMOTIONS_FER2013, [0, 1, 2, 3, 4, 5, 6], name="fer2013", splits=splits)


@pytest.fixture
def ck_plus() -> FaceDataset:
    return make_dataset(
        ("anger", "contempt", "disgust", "happy"),
        [0, 1, 2, 3, 3],
        name="ck_plus",
        shape=(12, 8, 3),
        splits=np.array(["train", "train", "validation", "test", "train"]),
        attributes={"subject": np.array(["a", "a", "b", "c", "a"])},
        dropped={"stray file": 2},
    )


def test_vote_distributions_follow_their_classes() -> None:
    targets = np.zeros((2, 8), dtype=np.float32)
    targets[0, [0, 1]] = 0.25, 0.75  # anger, contempt
    targets[1, [0, 4]] = 0.5, 0.5
    dataset = make_dataset(EMOTIONS_8, [0, 4], targets=targets)
    chosen = with_classes(dataset, EMOTIONS_FER2013)
    assert chosen.targets is not None
    assert chosen.targets[0].tolist() == [1, 0, 0, 0, 0, 0, 0]
    assert chosen.targets[1].tolist() == [0.5, 0, 0, 0.5, 0, 0, 0]


def test_a_merge_takes_the_form_of_the_first_set_and_names_both(
    fer2013: FaceDataset, ck_plus: FaceDataset
) -> None:
    merged = merge_datasets({"fer2013": fer2013, "ck_plus": ck_plus})
    assert merged.images.shape == (12, 6, 4, 1)
    assert merged.class_names == (*EMOTIONS_FER2013, "contempt")
    assert merged.splits is not None
    assert merged.splits[4:9].tolist() == ["train", "validation", "test", "train", "train"]
    assert merged.name == "fer2013+ck_plus"
    assert "fer2013 md5:fer2013" in merged.checksum
    assert "ck_plus terms of ck_plus" in merged.licence
    assert merged.dropped == {"ck_plus: stray file": 2}


def test_a_merge_in_chosen_classes_and_form(fer2013: FaceDataset, ck_plus: FaceDataset) -> None:
    merged = merge_datasets(
        {"a": fer2013, "b": ck_plus},
        classes=POSTER_CLASSES,
        image_size=(9, 9),
        channels=3,
        name="poster",
    )
    assert merged.images.shape == (9, 9, 9, 3)
    assert merged.class_counts() == {
        "angry": 2, "fear": 1, "happy": 3, "sad": 1, "surprise": 1, "neutral": 1,
    }  # fmt: skip
    assert merged.dropped == {
        "a: class disgust": 1,
        "b: stray file": 2,
        "b: class contempt": 1,
        "b: class disgust": 1,
    }
    assert len(merged.split("test")) == 2
    assert merged.name == "poster"
    assert merged.attributes["source_row"].tolist() == [0, 2, 3, 4, 5, 6, 0, 3, 4]


def test_a_merge_of_labels_and_votes() -> None:
    targets = np.full((1, 8), 0.125, dtype=np.float32)
    votes = make_dataset(EMOTIONS_8, [0], targets=targets)
    merged = merge_datasets({"votes": votes, "labels": make_dataset(EMOTIONS_8, [2])})
    assert merged.targets is not None
    assert merged.targets[1].tolist() == [0, 0, 1, 0, 0, 0, 0, 0]
    assert merged.splits is None


names = st.permutations(EMOTIONS_8).map(lambda order: tuple(order[:4]))
labels = st.lists(st.integers(0, 3), min_size=1, max_size=12)


@given(st.lists(st.tuples(names, labels), min_size=1, max_size=4))
def test_no_row_is_lost_and_none_is_there_twice(parts: list[tuple[tuple[str, ...], list]]) -> None:
    datasets = {f"set{n}": make_dataset(*part) for n, part in enumerate(parts)}
    merged = merge_datasets(datasets)
    origin = list(zip(merged.attributes["source"], merged.attributes["source_row"], strict=True))
    assert len(set(origin)) == len(merged) == sum(map(len, datasets.values()))
    for row, (source, source_row) in enumerate(origin):
        part = datasets[str(source)]
        assert merged.images[row, 0, 0, 0] == part.images[source_row, 0, 0, 0]
        name, own_name = merged.class_names[merged.labels[row]], part.class_names
        assert canonical_name(name) == canonical_name(own_name[part.labels[source_row]])
    chosen = parts[0][0][:2]
    some = merge_datasets({"set0": datasets["set0"]}, classes=chosen)
    assert len(some) + sum(some.dropped.values()) == len(datasets["set0"])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda fer: select_classes(fer, ("angry", "hapy")), "must be classes of fer2013.*: hapy"),
        (lambda fer: select_classes(fer, ("angry", "anger")), "must mean different things"),
        (lambda fer: select_classes(fer, ()), "Received: none"),
        (lambda fer: with_classes(fer, ("woman", "man")), "must share a class with fer2013"),
        (lambda _: merge_datasets({}), "`datasets` must name at least one"),
        (lambda fer: merge_datasets({"fer": fer, "b": make_dataset("ab", [0])}), "or none of them"),
    ],
)
def test_what_is_not_allowed(
    fer2013: FaceDataset, call: Callable[[FaceDataset], object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        call(fer2013)
