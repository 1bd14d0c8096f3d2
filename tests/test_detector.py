import os
import shutil
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest

from conftest import PICTURES
from minixception.boxes import Box, intersection_over_union
from minixception.detection.haar import HaarDetector, load_cascade
from minixception.detection.network_detector import (
    CLOSE_THRESHOLD,
    SCORE_THRESHOLD,
    MiniXceptionDetector,
)
from minixception.detection.search import FaceDetector
from minixception.detection.yunet import YuNetDetector
from minixception.images import read_image, resize_image, to_grey
from systems import needs_any_name

# Where the faces of images/portraits.jpg are, measured by hand from brow to chin.
PORTRAITS = [Box(91, 107, 120, 120), Box(368, 108, 125, 125), Box(649, 73, 116, 116)]


@pytest.fixture(scope="module")
def three_faces(portraits: Path) -> np.ndarray:
    return read_image(portraits)


@pytest.fixture(scope="module")
def haar() -> HaarDetector:
    return HaarDetector()


@pytest.fixture(scope="module")
def mini_xception() -> MiniXceptionDetector:
    return MiniXceptionDetector()


@pytest.fixture(scope="module")
def yunet(real_data: Callable[[str], Path]) -> YuNetDetector:
    return YuNetDetector(real_data("models/face_detection_yunet.onnx"))


def assert_same_faces(found: list[Box], expected: list[Box], overlap: float = 0.7) -> None:
    assert len(found) == len(expected)
    for box, other in zip(found, expected, strict=True):
        assert intersection_over_union(box, other) > overlap


def test_haar_finds_the_portraits_from_left_to_right(
    haar: FaceDetector, three_faces: np.ndarray
) -> None:
    before = three_faces.copy()
    found = haar.detect(three_faces)
    assert_same_faces(found, PORTRAITS)
    assert found == sorted(found)
    assert all(type(value) is int for box in found for value in box)
    np.testing.assert_array_equal(three_faces, before)
    grey = to_grey(three_faces)
    expected = haar.detect(grey)
    assert_same_faces(expected, PORTRAITS)
    assert haar.detect(grey[:, :, 0]) == haar.detect(grey / 255.0) == expected


def test_a_scale_factor_gives_the_published_call(three_faces: np.ndarray) -> None:
    detector, large = HaarDetector(scale_factor=1.3), resize_image(three_faces, (696, 1704))
    published = load_cascade().detectMultiScale(to_grey(large), 1.3, 5)
    assert detector.detect(large) == sorted(Box(*row) for row in published.tolist())
    assert detector.detect(three_faces[107:227, 91:211]) == []


@pytest.mark.parametrize("side", [12, 24, 48, 200, 1000])
def test_face_that_fills_the_picture_is_found(
    haar: HaarDetector, three_faces: np.ndarray, side: int
) -> None:
    close = three_faces[107:227, 91:211]
    whole = Box(0, 0, side, side)
    assert_same_faces(haar.detect(resize_image(close, (side, side))), [whole], overlap=0.6)


def test_a_face_that_fills_the_picture_needs_less() -> None:
    close = read_image(PICTURES / "astronaut.jpg")[84:142, 195:253]
    (face,) = MiniXceptionDetector().find(close)
    assert face.box == Box(0, 0, 58, 58)
    assert CLOSE_THRESHOLD <= face.score < SCORE_THRESHOLD
    assert MiniXceptionDetector(score_threshold=SCORE_THRESHOLD).find(close) == []


def group_picture(name: str, side: int, height: int, width: int) -> tuple[np.ndarray, list[Box]]:
    """Tile the face of a picture, `side` pixels wide, over a grey picture of this size."""
    image = read_image(PICTURES / name)
    (face,) = HaarDetector().detect(image)
    scale = side / face.width
    tile = resize_image(image, tuple(round(length * scale) for length in image.shape[:2]))
    across, down = round(face.x * scale), round(face.y * scale)
    picture, boxes = np.full((height, width, 3), 90, np.uint8), []
    for top in range(0, height - tile.shape[0], height // 6):
        for left in range(0, width - tile.shape[1], width // 8):
            picture[top : top + tile.shape[0], left : left + tile.shape[1]] = tile
            boxes.append(Box(left + across, top + down, side, side))
    return picture, boxes


def count_seen(faces: list[Box], boxes: list[Box]) -> int:
    return sum(any(intersection_over_union(box, face) > 0.4 for box in boxes) for face in faces)


def test_faces_of_a_group_are_found(haar: HaarDetector) -> None:
    picture, expected = group_picture("astronaut.jpg", 50, 1980, 2640)
    assert count_seen(expected, haar.detect(picture)) >= 0.95 * len(expected)


def test_the_network_enlarges_small_pictures() -> None:
    """At its own size the picture shows the network faces of some two cells each."""
    picture, expected = group_picture("grace_hopper.jpg", 16, 240, 320)
    found = MiniXceptionDetector().detect(picture)
    assert len(found) == count_seen(expected, found) == len(expected)
    assert MiniXceptionDetector(working_size=320).detect(picture) == []


def test_min_face_leaves_out_smaller_ones_and_finds_tinier(three_faces: np.ndarray) -> None:
    picture, expected = group_picture("grace_hopper.jpg", 42, 1200, 1600)
    assert len(HaarDetector(min_face=30).detect(picture)) >= len(expected)
    assert HaarDetector(min_face=100).detect(picture) == []
    # Numbers beyond those of OpenCV find nothing.
    assert HaarDetector(min_face=10**12).detect(three_faces) == []
    assert HaarDetector(min_neighbors=10**12).detect(three_faces) == []


def test_the_smallest_face_is_told_and_bounds_the_reduction() -> None:
    for detector, size, smallest, reduction in (
        (HaarDetector(), (1920, 9000), None, 1),
        (HaarDetector(), (4000, 3000), 75, 1),
        (HaarDetector(), (5200, 9000), 130, 2),
        (HaarDetector(min_face=300), (12000, 14000), 300, 1),
        (HaarDetector(scale_factor=1.3), (12000, 14000), None, 1),
        (MiniXceptionDetector(), (12000, 14000), 300, 4),
    ):
        assert detector.smallest_face(*size) == smallest
        assert detector.reduction(*size, 64) == reduction


@pytest.mark.parametrize("name", ["haar", "yunet", "mini_xception"])
def test_four_threads_see_what_one_sees(
    request: pytest.FixtureRequest, three_faces: np.ndarray, name: str
) -> None:
    detect = request.getfixturevalue(name).detect
    variants = [three_faces[:, shift : shift + 700] for shift in range(0, 120, 20)]
    expected = list(map(detect, variants))
    assert any(expected)
    with ThreadPoolExecutor(max_workers=4) as threads:
        assert list(threads.map(detect, variants)) == expected


@pytest.mark.parametrize("shape", [(1, 1), (1, 20000), (23, 23), (24, 24, 4), (2000, 40, 3)])
@pytest.mark.parametrize("name", ["haar", "yunet", "mini_xception"])
def test_nothing_is_found_in_plain_images(
    request: pytest.FixtureRequest, name: str, shape: tuple[int, ...]
) -> None:
    detector = request.getfixturevalue(name)
    for value in (0, 128, 255) * 2:  # again and again: see YUNET_SMALLEST_INPUT
        assert detector.detect(np.full(shape, value, np.uint8)) == []


@needs_any_name
def test_the_cascade_is_found_in_a_folder_of_any_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, three_faces: np.ndarray
) -> None:
    folder = tmp_path / os.fsdecode(b"not UTF-8 \xff")
    shutil.copytree(cv2.data.haarcascades, folder)  # type: ignore[attr-defined]
    monkeypatch.setattr("cv2.data.haarcascades", str(folder))
    assert len(HaarDetector().detect(three_faces)) == 3


def test_opencv_without_cascades_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("cv2.data.haarcascades", str(tmp_path))
    with pytest.raises(ImportError, match="haarcascade_frontalface_default"):
        HaarDetector()
    monkeypatch.delattr(cv2, "CascadeClassifier")
    monkeypatch.delattr(cv2, "data")
    with pytest.raises(ImportError, match=r"opencv-python>=4\.9,<5"):
        HaarDetector()


def test_yunet_without_its_file_says_where_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"not a network")
    for path, options, error, message in (
        (tmp_path / "missing.onnx", {}, FileNotFoundError, "opencv_zoo"),
        (broken, {"trust": True}, ValueError, r"broken\.onnx"),
        (broken, {}, ValueError, r"broken\.onnx is not OpenCV Zoo's.*trust"),
        (broken, {"score_threshold": 80}, ValueError, "`score_threshold` must lie between"),
    ):
        with pytest.raises(error, match=message):
            YuNetDetector(path, **options)

    class AnotherNetwork:
        """OpenCV loads any ONNX file, and fails at the first image."""

        def detect(self, image: np.ndarray) -> None:
            raise cv2.error("layer 'cls_8' not found")

    monkeypatch.setattr("cv2.FaceDetectorYN.create", lambda *arguments: AnotherNetwork())
    with pytest.raises(ValueError, match=r"must be a YuNet ONNX file.*broken\.onnx"):
        YuNetDetector(broken, trust=True)


def test_yunet_frames_faces_as_the_cascade_does(
    yunet: FaceDetector, haar: HaarDetector, three_faces: np.ndarray
) -> None:
    # The drawing apart: a network trained on photographs frames it a little differently.
    found = yunet.detect(three_faces)
    assert_same_faces(found, PORTRAITS, overlap=0.6)
    assert all(abs(box.width - box.height) <= 1 for box in found)


def test_yunet_copies_a_picture_once(yunet: YuNetDetector) -> None:
    image = np.zeros((700, 640, 3), np.uint8)
    yunet.look(image)
    tracemalloc.start()
    yunet.look(image)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 1.5 * image.nbytes


def test_yunet_finds_one_more_than_the_cascade(
    real_data: Callable[[str], Path], yunet: YuNetDetector
) -> None:
    group = read_image(real_data("media/multi_face.jpg"))
    boxes = yunet.detect(group)
    assert len(boxes) == 5
    assert len(HaarDetector().detect(group)) == 4
    large = yunet.detect(resize_image(group, (667 * 3, 1000 * 3)))
    assert_same_faces(large, [Box(*(3 * value for value in box)) for box in boxes])


def test_beside_a_close_face_those_behind_are_found_too(
    mini_xception: MiniXceptionDetector, three_faces: np.ndarray
) -> None:
    close = resize_image(three_faces[50:300, 30:280], (750, 750))
    picture = np.full((750, 1100, 3), 90, np.uint8)
    picture[:, :750] = close
    behind = [resize_image(three_faces[20:270, 540:790], (side, side)) for side in (250, 75)]
    picture[60:310, 800:1050], picture[500:575, 900:975] = behind
    first, second = mini_xception.detect(picture)
    assert first.width > 300
    assert second.width > 90
    assert len(MiniXceptionDetector(min_face=20).detect(picture)) == 3  # a tenth of the first
