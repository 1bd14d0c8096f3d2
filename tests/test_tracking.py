import math
import random
from collections.abc import Iterator

import numpy as np
import pytest

from minixception.boxes import Box
from minixception.commands.video_report import Tracks, format_summary
from minixception.images import resize_image
from minixception.inference.predictions import FacePrediction
from minixception.video.cameras import Frame
from minixception.video.finding import FaceFinder, follow_boxes
from minixception.video.tracking import FaceTracker, match_boxes

NAMES = ("angry", "happy", "neutral")
RATE = 25.0


def make_face(x: float, y: float = 50, *, side: int = 60, happy: float = 0.5) -> FacePrediction:
    emotion = dict(zip(NAMES, ((1 - happy) / 2, happy, (1 - happy) / 2), strict=True))
    gender, glasses = {"woman": 0.75, "man": 0.25}, {"glasses": happy, "none": 1 - happy}
    scores = {"emotion": emotion, "gender": gender, "glasses": glasses, "age": {}}
    return FacePrediction(Box(round(x), round(y), side, side), scores)


def follow(
    tracker: FaceTracker, frames: list[list[FacePrediction]]
) -> list[dict[int, FacePrediction]]:
    return [tracker.update(faces, number / RATE) for number, faces in enumerate(frames)]


def test_a_face_keeps_its_number() -> None:
    seen = follow(FaceTracker(), [[make_face(20), make_face(200 + 4 * i)] for i in range(50)])
    assert {tuple(faces) for faces in seen} == {(1, 2)}
    trembling = np.random.default_rng(0).normal(0, 2.5, size=(200, 2))
    seen = follow(FaceTracker(), [[make_face(100 + x, 80 + y)] for x, y in trembling])
    assert {number for faces in seen for number in faces} == {1}
    # Missed for a while; in frames that are seconds apart; moving, and still when found again.
    tracker = FaceTracker(lost_after_seconds=1.0)
    seen = follow(tracker, [[make_face(50)] if i < 10 or i > 30 else [] for i in range(40)])
    assert {number for faces in seen for number in faces} == {1}
    tracker = FaceTracker(lost_after_seconds=0.0)
    assert [[*tracker.update([make_face(50)], 5.0 * i)] for i in range(4)] == [[1]] * 4
    tracker = FaceTracker()
    follow(tracker, [[make_face(20 + 6 * i)] for i in range(30)])
    assert [*tracker.update([make_face(20 + 6 * 29)], 29 / RATE + 0.4)] == [1]


def test_boxes_and_order_of_the_input_are_kept() -> None:
    faces = [make_face(300), make_face(20), make_face(150)]
    tracked = FaceTracker().update(faces, 0.0)
    assert [face.box for face in tracked.values()] == [face.box for face in faces]
    assert list(tracked) == [3, 1, 2]  # numbered from left to right
    frames = [
        [make_face(20 + 2 * i), make_face(120 - i, 60), make_face(240, 50 + i)] for i in range(40)
    ]
    shuffler = random.Random(0)
    shuffled = [shuffler.sample(faces, len(faces)) for faces in frames]
    for ordered, mixed in zip(
        follow(FaceTracker(), frames), follow(FaceTracker(), shuffled), strict=True
    ):
        assert ordered == mixed


@pytest.mark.parametrize("hidden", [0, 3, 8])
def test_two_faces_that_cross_keep_their_numbers(hidden: int) -> None:
    # They meet at frame 40; around it one hides the other for `hidden` frames.
    tracker = FaceTracker()
    for i in range(81):
        left, right = make_face(20 + 4 * i), make_face(340 - 4 * i)
        faces = [left] if abs(2 * (i - 40)) < hidden else [left, right]
        tracked = {face.box.x: n for n, face in tracker.update(faces, i / RATE).items()}
        if i in (0, 80):
            assert tracked == ({20: 1, 340: 2} if i == 0 else {340: 1, 20: 2})


def test_a_face_missed_for_too_long_gets_a_new_number_and_none_comes_twice() -> None:
    tracker = FaceTracker(lost_after_seconds=0.5)
    seen = follow(tracker, [[make_face(50)] if i % 40 < 10 else [] for i in range(120)])
    tracks = [number for faces in seen for number in faces]
    assert tracks == [1] * 10 + [2] * 10 + [3] * 10


def test_smoothed_scores_are_a_mix_that_sums_to_one() -> None:
    happy = np.random.default_rng(0).random(100)
    seen = follow(FaceTracker(smoothing_seconds=0.3), [[make_face(50, happy=h)] for h in happy])
    for number, face in enumerate(faces[1] for faces in seen):
        assert sum(face.emotion_scores.values()) == pytest.approx(1)
        assert sum(face.gender_scores.values()) == pytest.approx(1)
        so_far = happy[: number + 1]
        assert so_far.min() - 1e-9 <= face.emotion_scores["happy"] <= so_far.max() + 1e-9
        assert face.emotion == max(NAMES, key=lambda name: face.emotion_scores[name])
        assert list(face.emotion_scores) == list(NAMES)
    smoothed = np.array([faces[1].emotion_scores["happy"] for faces in seen])
    assert np.diff(smoothed).std() < 0.3 * np.diff(happy).std()


@pytest.mark.parametrize("rate", [5, 25, 100])
def test_smoothing_counts_seconds_not_frames(rate: int) -> None:
    tracker = FaceTracker(smoothing_seconds=0.5)
    tracker.update([make_face(50, happy=0.0)], 0.0)
    for i in range(1, rate + 1):
        faces = tracker.update([make_face(50, happy=1.0)], i / rate)
    smoothed = pytest.approx(1 - math.exp(-1 / 0.5))
    assert faces[1].emotion_scores["happy"] == faces[1].scores["glasses"]["glasses"] == smoothed


def test_scores_are_of_their_face_alone() -> None:
    frames = [[make_face(20, happy=0.0), make_face(200, happy=1.0)] for _ in range(20)]
    for faces in follow(FaceTracker(smoothing_seconds=5), frames):
        assert [face.emotion_scores["happy"] for face in faces.values()] == [0, 1]
    plain = [[make_face(50, happy=happy)] for happy in (0.1, 0.9, 0.3)]
    tracked = follow(FaceTracker(smoothing_seconds=0), plain)
    assert [[*faces.values()] for faces in tracked] == plain
    given = make_face(50, happy=0.2)
    before = given.to_json()
    follow(FaceTracker(), [[make_face(50, happy=0.9)], [given]])
    assert given.to_json() == before
    bare = [[FacePrediction(Box(5, 5, 40, 40))]] * 3
    assert follow(FaceTracker(), bare)[-1] == {1: bare[0][0]}
    assert follow(FaceTracker(), [[FacePrediction(given.box)], [given]])[-1] == {1: given}


def test_time_must_grow() -> None:
    tracker = FaceTracker()
    tracker.update([], 1.0)
    for time_seconds in (1.0, 0.5, math.nan):
        with pytest.raises(ValueError, match="must grow"):
            tracker.update([], time_seconds)
    for value in (-1.0, math.nan, math.inf):
        for option in ("smoothing_seconds", "lost_after_seconds"):
            with pytest.raises(ValueError, match=option):
                FaceTracker(**{option: value})


@pytest.mark.parametrize("scale", [1, 4])
def test_boxes_follow_what_is_in_them(scale: int) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8)
    before = resize_image(noise, (300 * scale, 400 * scale))
    after = np.roll(before, (5 * scale, -8 * scale), axis=(0, 1))
    boxes = [Box(*(scale * side for side in box)) for box in ((50, 40, 60, 70), (3, 200, 60, 60))]
    middle, left = follow_boxes(before, after, boxes)
    for found, expected in zip((*middle, *left), (42, 45, 60, 70, 0, 205, 55, 60), strict=True):
        assert abs(found - scale * expected) <= scale
    assert follow_boxes(before, after, [Box(0, 90, 7 * scale, 99)]) == []
    assert follow_boxes(before, after, []) == []


@pytest.mark.parametrize("is_broken", [False, True])
@pytest.mark.parametrize("ahead", [0, 4])
def test_frames_are_searched_ahead_as_they_are_in_turn(ahead: int, is_broken: bool) -> None:
    """Whether the search fails, or there are no more frames, in its turn and not before."""
    noise = np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8)
    frames = [Frame(n, n / 10, np.roll(noise, n, axis=1)) for n in range(12)]
    taken: list[Frame] = []

    def give() -> Iterator[Frame]:
        for frame in frames:
            taken.append(frame)
            yield frame
        raise OSError("no more")

    class Detector:
        def detect(self, image: np.ndarray) -> list[Box]:
            if is_broken and image is frames[10].image:
                raise OSError("no more")
            return [Box(20 + int(image[0, 0, 0]) % 7, 20, 20, 20)]

    in_turn, finder = FaceFinder(Detector(), every=2), FaceFinder(Detector(), every=2)
    found = finder.find_in(give(), ahead=ahead)
    last = 10 if is_broken else 12
    for number in range(last):
        frame, boxes = next(found)
        assert (frame, boxes) == (frames[number], in_turn.find(frame))
        assert len(taken) == min(number + 1 + ahead, 12)
    with pytest.raises(OSError, match="no more"):
        next(found)


def test_match_boxes_prefers_the_largest_overlap() -> None:
    here, near, far = Box(0, 0, 10, 10), Box(3, 0, 10, 10), Box(50, 0, 10, 10)
    assert match_boxes([near, here], {7: here}) == {1: 7}
    assert match_boxes([here, near], {7: near, 8: here}) == {0: 8, 1: 7}
    assert match_boxes([here], {7: far}) == {}
    assert match_boxes([here, near], {7: far, 8: near}, {7: here, 8: here}) == {1: 8, 0: 7}
    assert match_boxes([], {7: here}) == match_boxes([here], {}) == {}
    crowd = [Box(15 * (number % 80), 15 * (number // 80), 12, 12) for number in range(4000)]
    assert match_boxes(crowd[:100], dict(enumerate(crowd))) == {n: n for n in range(100)}


def test_histories_hold_times_and_scores() -> None:
    tracks = Tracks(FaceTracker(smoothing_seconds=0))
    for i in range(5):
        faces = [make_face(20, happy=i / 10)] + ([make_face(200)] if i == 2 else [])
        tracks.add(faces, i, i / RATE)
    histories = tracks.histories
    assert {number: len(history) for number, history in histories.items()} == {1: 5, 2: 1}
    np.testing.assert_allclose(histories[1].times, np.arange(5) / RATE)
    np.testing.assert_allclose(histories[1].scores("emotion")[:, 1], np.arange(5) / 10, rtol=1e-6)
    assert histories[1].class_names["emotion"] == NAMES
    assert histories[2].scores("gender").shape == (1, 2)
    assert histories[2].scores("age").shape == (1, 0)


def test_a_summary_weighs_frames_by_the_time_that_they_stand() -> None:
    tracks = Tracks(FaceTracker(smoothing_seconds=0))
    for number, (time_seconds, happy) in enumerate([(0, 0.0), (0.1, 1.0), (0.9, 0.5)]):
        tracks.add([make_face(20, happy=happy)], number, time_seconds)
    assert "happy 85 %" in format_summary(tracks, 0.1)  # of 1 s, 0.8 s and half of 0.1 s
    assert "happy 77 %" in format_summary(tracks, 0.4)
    assert format_summary(Tracks(FaceTracker()), 0.0) == "no face found"
