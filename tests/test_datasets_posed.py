"""CK+48, JAFFE and KDEF, on small synthetic copies of their folders."""

from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest
from PIL import Image

from made_up_data import BrightFinder, pack, require_same, write_ck_plus, write_picture
from minixception.checkpoints.shipped import DEFAULT_DETECTOR
from minixception.datasets import (
    EMOTIONS_CK_PLUS,
    EMOTIONS_JAFFE,
    EMOTIONS_KDEF,
    FaceDataset,
    load_ck_plus,
    load_jaffe,
    load_kdef,
)
from minixception.datasets.registry import load_dataset
from minixception.detection.registry import DETECTORS, load_detector
from minixception.images import crop, read_image, resize_image, write_image

CODES = ("AN", "DI", "FE", "HA", "NE", "SA", "SU")
JAFFE_SUBJECTS = ("KA", "KL", "KM", "KR", "MK", "NA", "NM", "TM", "UY", "YM")
Loader = Callable[..., FaceDataset]


@pytest.fixture
def ck_plus(tmp_path: Path) -> Path:
    """Ten subjects, each with three frames of every emotion."""
    write_ck_plus(tmp_path / "archive" / "CK+48", EMOTIONS_CK_PLUS, frames=3)
    return tmp_path / "archive" / "CK+48"


@pytest.fixture
def jaffe(tmp_path: Path) -> Path:
    """Ten subjects, every third picture in three channels as in the original."""
    folder = tmp_path / "jaffe"
    for number, (subject, code) in enumerate(product(JAFFE_SUBJECTS, CODES), 1):
        colour = number if number % 3 else (number, number, number)
        write_picture(folder / f"{subject}.{code}1.{number}.tiff", colour)
    return folder


@pytest.fixture
def kdef(tmp_path: Path) -> Path:
    """Four actors in two sessions, three poses, in a folder each; some of them in each split."""
    folder = tmp_path / "KDEF_and_AKDEF" / "KDEF"
    codes, poses = ("AF", *(code for code in CODES if code != "FE")), ("S", "HL", "FR")
    for session, (value, actor) in product("AB", enumerate(("F01", "F02", "F03", "M01"))):
        for code, pose in product(codes, poses):
            name = f"{session}{actor}/{session}{actor}{code}{pose}.JPG"
            write_picture(folder / name, 50 * value)
    return folder


KR_80 = {"subject": "KR", "repetition": 3, "number": 80}


@pytest.mark.parametrize(
    ("load", "name", "emotion", "facts"),
    [
        (
            *(load_ck_plus, "Sad/s010_004_00000017.PNG", "sadness"),
            {"subject": "S010", "sequence": "004", "frame": 17},
        ),
        (
            *(load_kdef, "AF01/BM07AFS.JPG", "fear"),
            {"subject": "M07", "session": "B", "sex": "M", "pose": "S"},
        ),
        *(
            (load_jaffe, name, "surprise", KR_80)
            for name in (
                *("KR.SU3.80.tiff", "KR.SU3.80 .tiff", "kr.su3.80.TIFF", "KR.SU3.80.tiff.bmp"),
                *("KR-SU3-80.png", " KR.SU3 .80.tif", "jaffedbase/jaffe/KR.SU3.80.jpg"),
            )
        ),
    ],
)
def test_names_tell_everything(
    load: Loader, name: str, emotion: str, facts: dict[str, Any], tmp_path: Path
) -> None:
    write_picture(tmp_path / "x" / name)
    dataset = load(tmp_path)
    assert [dataset.class_names[label] for label in dataset.labels] == [emotion]
    found = {key: values[0] for key, values in dataset.attributes.items()}
    assert PurePosixPath(found.pop("file")) == PurePosixPath("x", name)
    del found["content"]
    assert found == facts


@pytest.mark.parametrize(
    ("load", "name", "classes", "count"),
    [
        (load_ck_plus, "ck_plus", EMOTIONS_CK_PLUS, 30),
        (load_jaffe, "jaffe", EMOTIONS_JAFFE, 10),
        (load_kdef, "kdef", EMOTIONS_KDEF, 8),
    ],
)
def test_subjects_are_apart(
    load: Loader, name: str, classes: Sequence[str], count: int, request: pytest.FixtureRequest
) -> None:
    dataset = load(request.getfixturevalue(name))
    assert dataset.images.shape == (count * len(classes), 48, 48, 1)
    assert dataset.class_counts() == dict.fromkeys(classes, count)
    assert dataset.splits is not None
    sides = set(zip(dataset.attributes["subject"], dataset.splits, strict=True))
    assert len({subject for subject, _ in sides}) == len(sides)
    assert {split for _, split in sides} == {"train", "validation", "test"}


def test_ck_plus_in_the_wild(ck_plus: Path) -> None:
    plain = load_ck_plus(ck_plus)
    (ck_plus / "happy").rename(ck_plus / "Happiness")
    (ck_plus / "sadness").rename(ck_plus / "Sad")
    (ck_plus / "Thumbs.db").write_bytes(b"stray")
    (ck_plus / "anger" / ".DS_Store").write_bytes(b"stray")
    write_picture(ck_plus.parent / "__MACOSX" / "anger" / "._S000_000_00000012.png")
    write_picture(ck_plus / "anger" / "montage.png")
    write_picture(ck_plus / "neutral" / "S001_009_00000001.png")
    write_picture(ck_plus / "CK+48" / "anger" / "S000_000_00000012.png")
    upper = ck_plus / "fear" / "S003_003_00000012.png"
    upper.rename(upper.with_name("s003_003_00000012.PNG"))
    (ck_plus / "fear" / "S003_003_00000013.png").write_bytes(b"cut off")
    for path in (ck_plus, ck_plus.parent):
        dataset = load_ck_plus(path)
        assert len(dataset) == 209
        assert {reason: count for reason, count in dataset.dropped.items() if count} == {
            "duplicate": 1,
            "malformed name": 1,
            "stray file": 2 + (path == ck_plus.parent),
            "unknown class folder": 1,
            "unreadable picture": 1,
        }
        counts = {**plain.class_counts(), "fear": 29}
        assert dataset.class_counts() == counts
        assert set(dataset.attributes["subject"]) == set(plain.attributes["subject"])


def test_kdef_is_frontal_unless_asked(kdef: Path) -> None:
    write_picture(kdef / "AF01" / "AM31V.JPG")
    write_picture(kdef / "AF01" / "AF01XXS.JPG")
    dataset = load_kdef(kdef, channels=3, image_size=(32, 40))
    assert dataset.images.shape[1:] == (32, 40, 3)
    assert dataset.dropped["unknown code"] == 2
    assert dataset.dropped["other pose"] == 112
    assert set(dataset.attributes["pose"]) == {"S"}
    half = load_kdef(kdef.parent, poses=("S", "HL"))
    assert len(half) == 112
    assert set(half.attributes["pose"]) == {"S", "HL"}
    for poses in ((), ("frontal",), "S"):
        with pytest.raises(ValueError, match="`poses` must be a sequence of S, HL, HR, FL, FR"):
            load_kdef(kdef, poses=poses)


def test_faces_are_cut_out_and_pictures_without_one_counted(
    portraits: Path, tmp_path: Path
) -> None:
    frame = np.full((60, 60, 3), 60, dtype=np.uint8)
    frame[24:36, 24:36] = 200
    folder = tmp_path / "jaffe"
    write_picture(folder / "KA.AN2.40.tiff", 10)
    Image.fromarray(frame).save(folder / "KA.AN1.39.tiff")
    dataset = load_jaffe(folder, crop_faces=True, detector=BrightFinder(), image_size=(10, 10))
    assert dataset.images.shape == (1, 10, 10, 1)
    # A quarter of the bordered picture, 24 of 60 pixels, around the bright square of 12.
    assert dataset.images[0, 5, 5, 0] == 200
    assert dataset.images[0, 0, 0, 0] == 60
    assert dataset.dropped["no face"] == 1
    # A face that fills its picture is found.
    image = read_image(portraits)
    face = crop(image, load_detector().detect(image)[0])
    write_image(tmp_path / "cut" / "KA.HA1.29.png", resize_image(face, (60, 60)))
    assert len(load_jaffe(tmp_path / "cut", crop_faces=True)) == 1


@pytest.mark.parametrize("name", ["ck_plus", "jaffe", "kdef"])
def test_an_archive_alone_in_its_folder_is_read_as_it_would_be_unpacked(
    name: str, here: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(DETECTORS, DEFAULT_DETECTOR, BrightFinder)
    folder: Path = request.getfixturevalue(name)
    write_picture(folder / "__MACOSX" / f"._{next(folder.rglob('*.*')).name}")
    expected = load_dataset(name, folder.parent)
    place = here / "datasets" / name
    place.mkdir(parents=True)
    (place / ".DS_Store").touch()
    for path in (pack(folder, place / "half.tar.gz"), place, None):
        require_same(load_dataset(name, path), expected)
    write_picture(place / folder.relative_to(folder.parent) / "no name.png")
    with pytest.raises(ValueError, match=r"must hold pictures of .* 0 pictures"):  # unpacked
        load_dataset(name)


@pytest.mark.parametrize(
    ("load", "archive", "pictures", "subjects"),
    [(load_ck_plus, "ck_plus", 495, 59), (load_jaffe, "jaffe", 107, 5)],
)
def test_the_real_archives(
    load: Loader, archive: str, pictures: int, subjects: int, real_data: Callable[[str], Path]
) -> None:
    dataset = load(real_data(f"{archive}/{archive}_half.tar"))
    assert (len(dataset), len(set(dataset.attributes["subject"]))) == (pictures, subjects)
    assert sum(dataset.dropped.values()) == 0


@pytest.mark.parametrize("load", [load_ck_plus, load_jaffe, load_kdef])
def test_a_wrong_place(load: Loader, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"There is nothing at .*none.* Get "):
        load(tmp_path / "none")
    with pytest.raises(ValueError, match=r"0 pictures.*no file at all"):
        load(tmp_path)
    write_picture(tmp_path / "portraits" / "anna.png")
    (tmp_path / "notes.txt").write_text("stray")
    with pytest.raises(ValueError, match=r"such as .*Received: 0 pictures.*stray file: 1"):
        load(tmp_path)
    with pytest.raises(ValueError, match="`channels` must be 1"):
        load(tmp_path, channels=2)
