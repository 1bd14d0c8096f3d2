import gzip
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from made_up_data import fer2013_csv
from minixception.datasets import fer2013 as fer2013_module
from minixception.datasets import load_fer2013, twins_of
from minixception.datasets.fer2013 import FER2013_MD5, FER2013_SPLIT_COUNTS
from minixception.labels import EMOTIONS_FER2013

USAGES = ("Training", "PublicTest", "PrivateTest")
HEADER, *LINES = fer2013_csv(dict.fromkeys(USAGES, 3)).splitlines()
IMAGES = np.array([line.split(",")[1].split() for line in LINES]).astype(np.uint8)


def write(path: Path, lines: Sequence[str], *, header: str = HEADER, end: str = "\n") -> Path:
    path.write_bytes("".join(line + end for line in [header, *lines]).encode())
    return path


def test_pixels_labels_and_splits_come_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write(tmp_path / "fer2013.csv", LINES)
    dataset = load_fer2013(path, use_cache=False)
    assert "fer2013.csv does not have the rows of FER2013" in caplog.text
    assert dataset.images.shape == (9, 48, 48, 1)
    assert np.array_equal(dataset.images.reshape(9, -1), IMAGES)
    assert dataset.labels.tolist() == [0, 1, 2] * 3
    assert dataset.class_names == EMOTIONS_FER2013
    assert dataset.splits is not None
    assert dataset.splits.tolist() == [usage for usage in USAGES for _ in range(3)]
    assert dataset.checksum == f"md5:{hashlib.md5(path.read_bytes()).hexdigest()}"
    assert np.array_equal(dataset.split("PrivateTest").images.reshape(3, -1), IMAGES[6:])
    packed = tmp_path / "fer2013.csv.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    unpacked = load_fer2013(packed, use_cache=False)
    assert unpacked.checksum == dataset.checksum
    assert np.array_equal(unpacked.images, dataset.images)
    with pytest.raises(FileNotFoundError, match=r"Kaggle.*datasets/fer2013"):
        load_fer2013(tmp_path / "none.csv")


def test_other_forms_of_the_table(tmp_path: Path) -> None:
    swapped = [",".join(line.split(",")[index] for index in (0, 2, 1)) for line in LINES]
    quoted = [",".join(f'"{field}"' for field in line.split(",")) for line in LINES]
    paths = [
        write(tmp_path / "swapped.csv", swapped, header="emotion, Usage, pixels"),
        write(tmp_path / "quoted.csv", quoted, header=f"\ufeff{HEADER}", end="\r\n"),
        write(tmp_path / "empty lines.csv", ["", *LINES, "", ""], end="\r\n"),
    ]
    paths[1].write_bytes(paths[1].read_bytes().rstrip(b"\r\n"))
    for path in paths:
        assert np.array_equal(load_fer2013(path, use_cache=False).images.reshape(9, -1), IMAGES)


@given(st.text("0129 x-+\r", max_size=12))
def test_pixels_are_read_as_int_reads_them_or_refused(text: str) -> None:
    field = f"{'7 ' * (48 * 48 - 2)}{text}"
    words = text.split()
    if len(words) == 2 and all(word.isdigit() and int(word) < 256 for word in words):
        assert fer2013_module._parse_pixels("row 1", field)[-2:].tolist() == [
            int(word) for word in words
        ]
    else:
        with pytest.raises(ValueError, match="row 1: `pixels`"):
            fer2013_module._parse_pixels("row 1", field)


def test_the_real_file(real_data: Callable[[str], Path]) -> None:
    fer2013 = load_fer2013(real_data("fer2013/fer2013.csv.gz"))
    assert fer2013.checksum == f"md5:{FER2013_MD5}"
    sizes = np.repeat(list(FER2013_SPLIT_COUNTS), list(FER2013_SPLIT_COUNTS.values()))
    assert fer2013.splits is not None
    assert np.array_equal(fer2013.splits, sizes)
    assert {name: list(fer2013.split(name).class_counts().values()) for name in USAGES} == {
        "Training": [3995, 436, 4097, 7215, 4830, 3171, 4965],
        "PublicTest": [467, 56, 496, 895, 653, 415, 607],
        "PrivateTest": [491, 55, 528, 879, 594, 416, 626],
    }
    assert fer2013.images[0, 0, :3, 0].tolist() == [70, 80, 82]  # as the file begins
    training = fer2013.split("Training")
    assert twins_of(fer2013.split("PrivateTest"), training).sum() == 288
    assert twins_of(fer2013.split("PublicTest"), training).sum() == 280
    assert (np.ptp(fer2013.images, axis=(1, 2, 3)) == 0).sum() == 12  # blank
