"""Turned faces: their data, the network that reads their roll, and the way back upright."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from conftest import PICTURES
from made_up_data import require_same
from made_up_detection import write_labelled_pictures
from minixception import FaceAnalyzer, MiniXceptionDetector, read_image
from minixception.boxes import Box
from minixception.checkpoints.engines import LiteRTEngine
from minixception.checkpoints.shipped import find_model
from minixception.datasets import candidates
from minixception.datasets.candidates import face_roll, load_candidates
from minixception.detection.checker import FaceChecker
from minixception.detection.columns import FACE_COLUMNS, LANDMARKS, SIDE
from minixception.detection.scene_pixels import put_on_sunglasses, write_word
from minixception.images import (
    as_rgb,
    crop,
    crop_turned,
    cut_face,
    map_in_place,
    resize_image,
    to_grey,
)
from minixception.labels import NO_FACE, ROLLS


def turned_picture(image: np.ndarray, degrees: float) -> np.ndarray:
    """A picture turned clockwise, on a canvas that holds all of it."""
    height, width = image.shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), -degrees, 1)
    cosine, sine = np.abs(matrix[0, :2])
    size = round(height * sine + width * cosine), round(height * cosine + width * sine)
    matrix[:, 2] += [(size[0] - width) / 2, (size[1] - height) / 2]
    return cv2.warpAffine(image, matrix, size)


@pytest.fixture(scope="module")
def checker() -> FaceChecker:
    return FaceChecker.load()


@pytest.fixture(scope="module")
def portrait(portraits: Path) -> np.ndarray:
    """The first face of the portraits with room about it."""
    return np.ascontiguousarray(read_image(portraits)[:330, :310])


@pytest.mark.parametrize("quarters", range(4))
def test_a_quarter_turn_moves_pixels_and_changes_none(quarters: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (12, 12, 3), dtype=np.uint8)
    for picture in (image, image[:, :, 0]):
        turned = crop_turned(picture, (0, 0, 12, 12), 90 * quarters, (6.0, 6.0))
        np.testing.assert_array_equal(turned, np.rot90(picture, quarters))


def test_a_crop_beyond_the_border_repeats_it() -> None:
    image = np.full((20, 20, 3), 7, np.uint8)
    crop = cut_face(image, Box(-5, -5, 20, 20), margin=0.5, angle=30)
    assert crop.shape == (30, 30, 3)
    assert (crop == 7).all()


def test_box_and_margin_turn_with_a_lying_face() -> None:
    upright = np.random.default_rng(0).integers(0, 256, (80, 80, 3), dtype=np.uint8)
    expected = cut_face(upright, Box(20, 10, 30, 50), margin=-0.1)
    lying = np.ascontiguousarray(np.rot90(upright, -1))
    found = cut_face(lying, Box(20, 20, 50, 30), margin=-0.1, angle=90)
    np.testing.assert_array_equal(found, expected)


def test_a_face_is_turned_in_a_picture_longer_than_opencv_takes() -> None:
    part = np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8)
    picture = np.zeros((60, 40_000, 3), np.uint8)
    picture[:, -90:] = part
    expected = cut_face(part, Box(40, 10, 40, 40), margin=0.0, angle=30)
    far = cut_face(picture, Box(39_950, 10, 40, 40), margin=0.0, angle=30)
    np.testing.assert_allclose(far.astype(int), expected, atol=1)


@pytest.mark.parametrize("box", [Box(50, 60, 80, 80), Box(-20, 90, 90, 70)])
@pytest.mark.parametrize("angle", [45, -30, 100, 0])
def test_a_map_lies_over_what_it_explains(box: Box, angle: float) -> None:
    """A crop taken for its own map gives the picture back."""
    down, across = np.mgrid[:200, :180]
    picture = (60 + 0.4 * across + 0.6 * down).astype(np.uint8)
    margin = 0.1
    one = cut_face(picture, box, margin, angle=angle).astype(np.float32)
    part, placed = map_in_place(one, box, margin, picture.shape, angle=angle)
    truth = resize_image(crop(picture, part).astype(np.float32), one.shape)
    covered = placed > 50  # the crop does not reach all corners; there it is 0
    assert covered.mean() > 0.4
    assert np.percentile(np.abs(placed - truth)[covered], 90) < 4


def test_only_models_of_rolls_are_checkers() -> None:
    folder = find_model("fer2013_mini_xception")
    with pytest.raises(ValueError, match="Received: fer2013_mini_xception, with angry"):
        FaceAnalyzer(upright=folder)
    with pytest.raises(FileNotFoundError, match="nowhere is neither"):
        MiniXceptionDetector(checker="nowhere")


def test_turning_needs_no_keras_model() -> None:
    """An installed package has none of this network."""
    analyzer = FaceAnalyzer(emotion=None, gender=None, engine="keras")
    assert analyzer.checker is not None
    assert isinstance(analyzer.checker.engine, LiteRTEngine)


@pytest.mark.parametrize("degrees", [0, 25, -60, 179])
def test_the_roll_of_landmarks(degrees: float) -> None:
    upright = np.array([30 + 32j, 50 + 32j, 40 + 44j, 32 + 54j, 48 + 54j])
    turned = upright * np.exp(1j * np.deg2rad(degrees))
    landmarks = np.column_stack([turned.real, turned.imag]).ravel()
    assert face_roll(landmarks.astype(np.float32)) == pytest.approx(degrees, abs=0.1)


def test_candidates_are_turned_faces_and_mistakes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_labelled_pictures(tmp_path / "set")
    scored = tmp_path / "scored"
    scored.mkdir()
    cv2.imwrite(str(scored / "photographs_3_0001.jpg"), np.zeros((9, 9), np.uint8))
    monkeypatch.setattr(candidates, "SCENES", {"train": 6, "validation": 2})
    load: dict[str, Any] = {"scored": scored, "image_size": (24, 24)}
    dataset = load_candidates(tmp_path / "set", **load)
    assert dataset.class_names == (*ROLLS, NO_FACE)
    assert dataset.images.shape[1:] == (24, 24, 1)
    rolls, is_test = dataset.attributes["roll"], dataset.splits == "test"
    assert np.sum(is_test) == candidates.TURNS
    assert np.isfinite(rolls[is_test]).all()
    np.testing.assert_allclose(dataset.distributions.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(np.isnan(rolls), dataset.labels == len(ROLLS))
    require_same(load_candidates(tmp_path / "set", use_cache=False, **load), dataset)
    monkeypatch.setattr(candidates, "SCENES", {"train": 1, "validation": 1})
    coloured = load_candidates(tmp_path / "set", channels=3, **load)
    assert coloured.images.shape[1:] == (24, 24, 3)


def test_noise_is_no_face(checker: FaceChecker) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (90, 90, 3), dtype=np.uint8)
    plain = np.full((90, 90, 3), 128, np.uint8)
    for image in (noise, plain):
        assert checker.check(image, [Box(10, 10, 60, 60)])[0].share < 0.5
        assert checker.turns(image, [Box(10, 10, 60, 60)]) == [0.0]
    assert checker.turns(noise, []) == []


def test_what_only_looks_like_a_face_at_first_is_left_out() -> None:
    """Without a second look there is a face on the uniform, in a copy of this size."""
    image = read_image(PICTURES / "grace_hopper.jpg")
    assert len(MiniXceptionDetector(checker=None, working_size=320).detect(image)) == 2
    (face,) = MiniXceptionDetector(working_size=320).find(image)
    assert abs(face.roll) < 10


@pytest.mark.parametrize(
    ("name", "faces"), [("portraits", 3), ("grace_hopper", 1), ("astronaut", 1)]
)
def test_sunglasses_hide_no_face(name: str, faces: int) -> None:
    image = read_image(PICTURES / f"{name}.jpg")
    detector, grey = MiniXceptionDetector(), to_grey(image)[:, :, 0].copy()
    for index, face in enumerate(detector.find(image)):
        row = np.zeros(FACE_COLUMNS, np.float32)
        row[SIDE], row[LANDMARKS] = face.box.width, np.ravel(face.landmarks)
        put_on_sunglasses(grey, row, np.random.default_rng(index))
    assert len(detector.detect(as_rgb(grey[:, :, None]))) == faces


def test_words_are_no_faces() -> None:
    detector = MiniXceptionDetector()
    for index in range(20):
        generator = np.random.default_rng(index)
        image = cv2.GaussianBlur(generator.integers(0, 256, (400, 400), dtype=np.uint8), (0, 0), 9)
        for _ in range(3):
            write_word(image, generator)
        assert detector.detect(as_rgb(image[:, :, None])) == []


@pytest.mark.parametrize("degrees", [20, 30, -30, -45, 90, -90, -150, 180])
def test_a_turned_face_gets_the_label_of_the_upright_one(
    portrait: np.ndarray, degrees: float
) -> None:
    analyzer = FaceAnalyzer()
    (upright,) = analyzer.analyze(portrait)
    (turned,) = analyzer.analyze(turned_picture(portrait, degrees))
    assert (turned.emotion, turned.gender) == (upright.emotion, upright.gender)
    assert upright.angle == 0
    assert (turned.angle - degrees + 180) % 360 - 180 == pytest.approx(0, abs=12)
    (as_it_is,) = FaceAnalyzer(upright=False).analyze(turned_picture(portrait, degrees))
    assert as_it_is.box == turned.box
    assert as_it_is.angle == 0
    assert as_it_is.emotion_scores != turned.emotion_scores
