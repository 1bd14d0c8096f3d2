import io
import json
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

import minixception
from made_up_data import make_dataset
from minixception import FaceAnalyzer, FaceClassifier, FacePrediction, draw_predictions, to_frame
from minixception.boxes import Box
from minixception.checkpoints.engines import available_cores
from minixception.checkpoints.shipped import DEFAULT_DETECTOR
from minixception.commands.image import draw_result
from minixception.images import read_image, write_image
from minixception.inference.analyzer import PICTURES_PER_BATCH
from minixception.inference.classifier import FACES_AT_A_TIME
from minixception.inference.picture_files import analyze_file
from minixception.inference.predictions import to_rows
from minixception.inference.sources import Picture
from minixception.inference.workers import LOOK_AHEAD, in_order
from minixception.labels import EMOTIONS_FER2013, GENDERS
from minixception.video.tracking import FaceTracker
from own_process import run_python


@dataclass
class FakeDetector:
    """Finds what it is told to."""

    boxes: Sequence[Box]

    def detect(self, image: np.ndarray) -> list[Box]:
        return list(self.boxes)


@dataclass
class Brightness:
    """Gives class 0 the mean of the first columns of an image, and remembers what it was given."""

    columns: int | None = None
    batches: list[np.ndarray] = field(default_factory=list)

    def predict(self, images: np.ndarray) -> np.ndarray:
        self.batches.append(images)
        brightness = (images[:, :, : self.columns].mean(axis=(1, 2, 3)) + 1) / 2
        return np.stack([brightness, 1 - brightness], axis=1).astype(np.float32)


@pytest.fixture(scope="module")
def analyzer(checkpoints: dict[str, Path]) -> FaceAnalyzer:
    return FaceAnalyzer.from_pretrained(checkpoints["emotion"], checkpoints["gender"])


@pytest.fixture(scope="module")
def faces(analyzer: FaceAnalyzer, portraits: Path) -> list[FacePrediction]:
    return analyzer.analyze(portraits)


@pytest.fixture
def brightness(analyzer: FaceAnalyzer) -> tuple[FaceClassifier, Brightness]:
    """Return a gender classifier that only looks at brightness, and its engine."""
    assert analyzer.gender is not None
    engine = Brightness()
    return FaceClassifier(analyzer.gender.card, engine), engine


def assert_same(found: Sequence[FacePrediction], expected: Sequence[FacePrediction]) -> None:
    for face, other in zip(found, expected, strict=True):
        assert (face.box, face.emotion) == (other.box, other.emotion)
        for task, scores in other.scores.items():
            assert face.scores[task] == pytest.approx(scores, abs=1e-5)


def test_three_faces_from_left_to_right(faces: list[FacePrediction]) -> None:
    assert len(faces) == 3
    assert [face.box.x for face in faces] == sorted(face.box.x for face in faces)
    for face in faces:
        assert tuple(face.emotion_scores) == EMOTIONS_FER2013
        assert tuple(face.gender_scores) == GENDERS
        assert sum(face.emotion_scores.values()) == pytest.approx(1, abs=1e-5)
        assert face.emotion == max(face.emotion_scores, key=lambda name: face.emotion_scores[name])
        assert face.gender in GENDERS
    assert len({tuple(face.emotion_scores.values()) for face in faces}) == 3


class LargeFaces(FakeDetector):
    """Needs no more than half of each side."""

    def reduction(self, height: int, width: int, face_pixels: int) -> int:
        return 2

    def smallest_face(self, height: int, width: int) -> int:
        return min(height, width)


def test_faces_of_a_large_jpeg_are_found_in_a_smaller_copy(
    checkpoints: dict[str, Path], portraits: Path, tmp_path: Path
) -> None:
    detector = LargeFaces([Box(45, 54, 60, 60), Box(184, 54, 62, 62)])
    analyzer = FaceAnalyzer(emotion=checkpoints["emotion"], gender=None, detector=detector)
    image = np.pad(read_image(portraits), [(0, 1), (0, 1), (0, 0)], mode="edge")
    path, drawn = tmp_path / "large.jpg", tmp_path / "drawn.png"
    write_image(path, image)
    faces = analyzer.analyze(path)
    whole = analyzer.classify(image, [(90, 108, 120, 120), (368, 108, 124, 124)])
    for face, other in zip(faces, whole, strict=True):
        assert face.box == other.box
        assert face.emotion_scores == pytest.approx(other.emotion_scores, abs=0.1)
    assert_same(analyzer.analyze(path.read_bytes()), faces)
    with path.open("rb") as file:
        assert_same(analyzer.analyze(file), faces)
    nobody = FaceAnalyzer(emotion=None, gender=None, detector=LargeFaces([]))
    for read in (None, lambda _: io.BytesIO(path.read_bytes())):
        found, whole_image = analyze_file(nobody, path, read=read)
        assert (found.error, found.smallest_face, whole_image) == (None, min(image.shape[:2]), None)
    write_image(tmp_path / "large.png", image)  # no JPEG, and so searched whole
    assert [face.box for face in analyzer.analyze(tmp_path / "large.png")] == detector.boxes
    result, whole_image = analyze_file(analyzer, tmp_path / "large.png")
    assert [face.box for face in result.faces] == detector.boxes
    assert whole_image is not None
    result = draw_result(*analyze_file(analyzer, path), drawn, bars=False)
    assert_same(result.faces, faces)
    assert read_image(drawn).shape == image.shape


def test_all_faces_go_through_in_one_batch(
    analyzer: FaceAnalyzer,
    faces: list[FacePrediction],
    portraits: Path,
    brightness: tuple[FaceClassifier, Brightness],
) -> None:
    classifier, engine = brightness
    image = read_image(portraits)
    before = image.copy()
    assert_same(analyzer.analyze(image), faces)
    boxes = [face.box for face in faces]
    FaceAnalyzer(emotion=None, gender=classifier).classify(image, boxes)
    assert [batch.shape for batch in engine.batches] == [(3, 48, 48, 1)]
    one_by_one = [analyzer.classify(image, [box])[0] for box in boxes]
    assert_same(analyzer.classify(image, boxes), one_by_one)
    np.testing.assert_array_equal(image, before)


def test_boxes_at_borders_and_corners(analyzer: FaceAnalyzer, portraits: Path) -> None:
    boxes = [Box(822, -30, 60, 60), Box(851, 347, 60, 60), Box(0, 100, 852, 1)]
    boxes.append(Box(-(10**6), -(10**6), 2 * 10**6, 2 * 10**6))
    assert analyzer.emotion is not None
    emotion = replace(analyzer.emotion, card=replace(analyzer.emotion.card, crop_margin=0.4))
    found = FaceAnalyzer(emotion=emotion, gender=None, detector=FakeDetector(boxes))
    faces = found.analyze(portraits)
    assert [face.box for face in faces] == boxes
    assert {face.emotion for face in faces} <= set(EMOTIONS_FER2013)


def test_the_crop_is_the_box_with_the_margin_of_the_card(
    brightness: tuple[FaceClassifier, Brightness],
) -> None:
    classifier, engine = brightness
    image = np.zeros((100, 200, 3), np.uint8)
    image[40:60, 80:120] = 255
    for margin, expected in [(0.0, 1.0), (0.5, 0.25), (-0.2, 1.0)]:
        card = replace(classifier.card, crop_margin=margin)
        (scores,) = FaceClassifier(card, engine).classify(image, [Box(80, 40, 40, 20)])
        assert scores["woman"] == pytest.approx(expected, abs=0.03)


def test_faces_of_a_data_set_are_told_in_its_class_order(
    brightness: tuple[FaceClassifier, Brightness],
) -> None:
    card = brightness[0].card
    assert card.class_names == ("woman", "man")
    classifier = FaceClassifier(card, Brightness(columns=24))
    image = np.zeros((1, 48, 48, 1), np.uint8)
    image[:, :, :24] = 255
    faces = make_dataset(("man", "woman"), [0], images=image)
    assert classifier.predict_faces(faces).tolist() == [[0, 1]]
    assert classifier.predict_faces(faces, flip=True).tolist() == [[0.5, 0.5]]
    for count in (0, FACES_AT_A_TIME + 1):
        several = faces.select(np.zeros(count, np.int64))
        assert classifier.predict_faces(several).tolist() == [[0, 1]] * count


def test_a_frame_and_json_have_an_entry_per_face(
    analyzer: FaceAnalyzer, faces: list[FacePrediction]
) -> None:
    for count in (1, 3):
        frame = to_frame(faces[:count])
        assert (len(frame), list(frame.columns)) == (count, analyzer.columns)
    assert list(frame.columns[6:8]) == ["emotion_angry", "emotion_disgust"]
    assert frame["gender_woman"][0] == faces[0].gender_scores["woman"]
    assert to_rows(faces)[0]["x"] == faces[0].box.x
    nothing = to_frame([])
    assert (len(nothing), list(nothing)) == (0, [*Box._fields, "emotion", "gender"])
    content = json.loads(json.dumps([face.to_json() for face in faces]))
    assert list(content[0]) == ["box", "emotion", "emotion_scores", "gender", "gender_scores"]
    assert content[0]["box"] == list(faces[0].box)
    assert content[0]["emotion_scores"] == faces[0].emotion_scores
    box = Box(*np.array([1, 2, 3, 4]))  # as a detector of the user's own may give it
    assert json.loads(json.dumps(FacePrediction(box).to_json()))["box"] == [1, 2, 3, 4]


def test_a_task_may_be_left_out(
    checkpoints: dict[str, Path], portraits: Path, faces: list[FacePrediction]
) -> None:
    only_gender = FaceAnalyzer.from_pretrained(None, checkpoints["gender"]).analyze(portraits)
    assert [face.gender_scores for face in only_gender] == [face.gender_scores for face in faces]
    assert {(face.emotion, len(face.emotion_scores)) for face in only_gender} == {(None, 0)}
    only_boxes = FaceAnalyzer.from_pretrained(None, None)
    assert [face.gender for face in only_boxes.analyze(portraits)] == [None] * 3
    assert only_boxes.columns == ["x", "y", "width", "height", "emotion", "gender"]
    assert draw_predictions(read_image(portraits), only_boxes.analyze(portraits)).any()


def test_models_and_detectors_are_taken_in_every_form(
    checkpoints: dict[str, Path], portraits: Path, faces: list[FacePrediction]
) -> None:
    emotion = FaceClassifier.load(checkpoints["emotion"])
    analyzer = FaceAnalyzer(
        emotion=emotion, gender=str(checkpoints["gender"]), detector=DEFAULT_DETECTOR
    )
    assert_same(analyzer.analyze(portraits), faces)
    with pytest.raises(TypeError, match=r"`emotion` must be the name .*\. Received: int"):
        FaceAnalyzer(emotion=3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="`min_face`, as the model of a task, must be the name"):
        FaceAnalyzer(min_face=40)  # type: ignore[arg-type]
    for detector, known, error in (("mtcnn", "haar, yunet", ValueError), (3, "a name", TypeError)):
        with pytest.raises(error, match=f"must be {known}.* Received: .*{detector!r}"):
            FaceAnalyzer(detector=detector)  # type: ignore[arg-type]


def test_boxes_are_taken_as_detectors_give_them(
    analyzer: FaceAnalyzer, portraits: Path, faces: list[FacePrediction]
) -> None:
    boxes = [tuple(face.box) for face in faces]  # for other forms see `test_boxes.py`
    assert_same(analyzer.classify(portraits, np.array(boxes, np.float32)), faces)
    assert_same(analyzer.classify(portraits, boxes[0]), faces[:1])
    assert analyzer.classify(portraits, ()) == []  # as OpenCV gives where it finds none
    assert analyzer.classify(portraits, np.zeros((0, 4))) == []
    with pytest.raises(ValueError, match=r"share at least one pixel.*box=\(900, 20, 5, 5\)"):
        analyzer.classify(portraits, [boxes[0], (900, 20, 5, 5)])


def test_a_prediction_is_made_of_a_box_in_every_form() -> None:
    face = FacePrediction([10.2, 19.9, 60, 60], {"emotion": {"happy": 1.0}})  # type: ignore[arg-type]
    assert face == FacePrediction(Box(10, 20, 60, 60), {"emotion": {"happy": 1.0}})
    assert draw_predictions(np.zeros((100, 100), np.uint8), [face]).any()
    assert FaceTracker().update(iter([face]), 0.0) == {1: face}
    with pytest.raises(ValueError, match="A box must be four numbers"):
        FacePrediction((10, 20, 60), {})  # type: ignore[arg-type]


def test_a_whole_picture_is_one_face(analyzer: FaceAnalyzer, portraits: Path) -> None:
    image = read_image(portraits)
    (face,) = analyzer.analyze(image, whole_picture=True)
    assert face.box == Box(0, 0, 852, 348)
    assert analyzer.emotion is not None
    scores = list(face.emotion_scores.values())
    np.testing.assert_allclose(scores, analyzer.emotion.predict(image)[0], atol=1e-6)
    bgr = np.ascontiguousarray(image[:, :, ::-1])
    assert analyzer.analyze(bgr, bgr=True, whole_picture=True) == [face]


def test_many_pictures_come_in_order_and_as_they_are_asked_for(
    analyzer: FaceAnalyzer, portraits: Path, faces: list[FacePrediction]
) -> None:
    taken: list[int] = []

    def pictures() -> Iterator[Picture]:
        for number in range(1000):
            taken.append(number)
            with portraits.open("rb") as file:
                forms: list[Picture] = [np.zeros((40, 40), np.uint8), portraits, file]
                yield forms[min(number % 5, 2)]

    results = analyzer.analyze_many(pictures())
    assert taken == []
    for number, found in enumerate(islice(results, 7)):
        assert_same(found, faces if number % 5 else [])
        early = len(taken) - number
        assert early < 1 + (LOOK_AHEAD + PICTURES_PER_BATCH) * available_cores()
    assert list(analyzer.analyze_many([])) == []
    (alone,) = analyzer.analyze_many(portraits)  # type: ignore[call-overload]
    assert_same(alone, faces)
    stack = np.zeros((6, 30, 40, 3), np.uint8)
    assert [len(found) for found in analyzer.analyze_many(stack, whole_picture=True)] == [1] * 6


@pytest.mark.parametrize("workers", [1, 4])
def test_workers_keep_the_order_and_stop_early(workers: int) -> None:
    numbers = list(range(200))
    assert list(in_order(lambda number: number, numbers, workers=workers)) == numbers
    begun: list[int] = []
    results = in_order(begun.append, iter(range(1000)), workers=workers)
    next(results)
    results.close()
    assert len(begun) <= workers * LOOK_AHEAD


def test_broken_pictures_among_many(
    analyzer: FaceAnalyzer, portraits: Path, faces: list[FacePrediction]
) -> None:
    pictures: list[Picture] = [portraits, "missing.jpg", b"", portraits]
    results = analyzer.analyze_many(pictures)
    assert_same(next(results), faces)
    with pytest.raises(FileNotFoundError, match=r"missing\.jpg"):
        next(results)
    with portraits.open("rb") as closed:
        pass
    first, missing, broken, last, unreadable = analyzer.analyze_many(
        [*pictures, closed], return_exceptions=True
    )
    assert (first, last) == (faces, faces)
    assert isinstance(missing, FileNotFoundError)
    assert isinstance(broken, ValueError)
    assert "closed file" in str(unreadable)


def test_an_error_among_many_keeps_no_picture(analyzer: FaceAnalyzer) -> None:
    picture = np.zeros((8, 8, 3), np.int32)
    kept = weakref.ref(picture)
    (error,) = analyzer.analyze_many([picture], return_exceptions=True)
    del picture
    assert isinstance(error, TypeError)
    assert kept() is None


def test_importing_is_quick_and_analyzing_needs_no_training_framework(
    checkpoints: dict[str, Path], portraits: Path
) -> None:
    code = f"""
import sys, time
start = time.process_time()  # which does not grow when the machine is busy
import minixception
print(time.process_time() - start)
print({{"numpy", "cv2", "PIL", "keras", "tensorflow"}} & set(sys.modules))
from minixception import FaceAnalyzer, draw_predictions, to_frame
analyzer = FaceAnalyzer.from_pretrained(*{[str(folder) for folder in checkpoints.values()]!r})
print(len(analyzer.analyze({str(portraits)!r})))
print({{"tensorflow", "keras", "torch", "jax", "sklearn", "matplotlib"}} & set(sys.modules))
"""
    seconds, *told = run_python("-c", code).stdout.split()
    assert float(seconds) < 0.3
    assert told == ["set()", "3", "set()"]


def test_exported_names() -> None:
    assert minixception.__all__ == [
        *("Box", "Explainer", "FaceAnalyzer", "FaceClassifier", "FacePrediction", "HaarDetector"),
        *("MiniXceptionDetector", "Preprocessor", "YuNetDetector", "build", "draw_predictions"),
        *("evaluate", "hush", "load_checkpoint", "make_checkpoint", "read_image"),
        *("save_checkpoint", "to_frame", "train", "write_image"),
    ]
    for name in minixception.__all__:
        assert getattr(minixception, name).__name__ == name
        assert name in dir(minixception)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        minixception.nothing  # noqa: B018
