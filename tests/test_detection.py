"""The detector's parts that need no Keras: labels, scenes, cells, decoding, scores, card."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from made_up_detection import write_labelled_pictures
from minixception.detection.card import DetectorCard, read_detector_card
from minixception.detection.cells import assign_faces, cell_places, decode_faces, keep_best
from minixception.detection.columns import FACE_COLUMNS, LANDMARKS, MIDDLE, SIDE, SURE
from minixception.detection.evaluation import average_precision, match_faces, recall, threshold_for
from minixception.detection.labelled_pictures import SceneSources, is_held_out, read_sources
from minixception.detection.scene_pixels import put_on_sunglasses
from minixception.detection.scenes import compose_scene
from minixception.detector_training.scene_batches import scene_batches

STRIDES = (8, 16, 32)


@pytest.fixture(scope="module")
def sources(detection_set: Path) -> SceneSources:
    return read_sources(detection_set, held_out=False)


def face(x: float, y: float, side: float, *, sure: bool = True) -> np.ndarray:
    """Return a row with its landmarks at the usual places."""
    places = np.array([[-0.2, -0.15], [0.2, -0.15], [0, 0.05], [-0.15, 0.25], [0.15, 0.25]])
    landmarks = (places * side + (x, y)).ravel()
    return np.array([float(sure), x, y, side, *landmarks], np.float32)


def test_a_label_is_the_square_of_the_cascade(sources: SceneSources) -> None:
    for picture in sources.photographs:
        (row,) = picture.faces
        assert row[SURE] == 1
        assert row[SIDE] == pytest.approx(1.074 * (48 * 64) ** 0.5)
        assert row[MIDDLE] == pytest.approx([40, 8 + (0.5 - 0.022) * 64], abs=1e-3)
        assert row[LANDMARKS] == pytest.approx([30, 32, 50, 32, 40, 44, 32, 56, 48, 56])
    assert all(len(picture.faces) == 0 for picture in sources.backgrounds)


def test_held_out_pictures_are_no_training_pictures_and_a_person_stays_together(
    detection_set: Path,
) -> None:
    training, held_out = (read_sources(detection_set, held_out=each) for each in (False, True))
    for kind, count in (("photographs", 30), ("backgrounds", 20)):
        names = [{p.name for p in getattr(part, kind)} for part in (training, held_out)]
        assert not names[0] & names[1]
        assert len(names[0]) + len(names[1]) == count
    everybody = [picture.name for picture in training.photographs]
    with pytest.raises(ValueError, match=r"training photographs .* Received: 0 and 1\d"):
        read_sources(detection_set, held_out=False, leave_out=everybody)
    first, other = (
        [is_held_out(f"Person_{number}_{photograph:04d}.jpg", 0.1) for number in range(200)]
        for photograph in (1, 7)
    )
    assert first == other
    assert 5 < sum(first) < 40


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: [row[:-1] for row in rows], "lacks the columns left_mouth_y"),
        (lambda rows: [["\xff"]], "line 1: it lacks the columns"),
        (lambda rows: [*rows[:3], rows[3][:-1]], "line 4: `left_mouth_y` must .* Received: None"),
        (lambda rows: [*rows[:3], [*rows[3][:-1], "nan"]], "line 4: .* finite .* Received: 'nan'"),
        (lambda rows: [*rows[:3], ['"', "x" * 200_000]], "field larger than field limit"),
        (lambda rows: [*rows, ["99999.jpg", *rows[-1][1:]]], "lacks 1 picture of its table"),
    ],
)
def test_a_table_that_is_wrong_is_named(
    tmp_path: Path, change: Callable[[list[list[str]]], list[list[str]]], message: str
) -> None:
    write_labelled_pictures(tmp_path)
    table = tmp_path / "photographs.csv"
    rows = [line.split(",") for line in table.read_text().splitlines()]
    lines = "".join(",".join(row) + "\n" for row in change(rows))
    table.write_text(lines, encoding="latin-1")
    with pytest.raises(ValueError, match=f"{re.escape(str(tmp_path))}.*{message}"):
        read_sources(tmp_path, held_out=False)


def test_a_scene_depends_on_its_seed_alone(sources: SceneSources) -> None:
    settings: dict[str, Any] = {"sizes": (64, 96), "pixels": 20_000, "strides": STRIDES, "seed": 3}
    batches = scene_batches(sources, **settings)
    first = [next(batches) for _ in range(4)]
    later = scene_batches(sources, **settings, first_step=2)
    for (images, targets), (same_images, same_targets) in zip(first[2:], later, strict=False):
        np.testing.assert_array_equal(images, same_images)
        np.testing.assert_array_equal(targets, same_targets)
        assert images.dtype == targets.dtype == np.float32
        assert images.min() >= -1
        assert images.max() <= 1
    assert not np.array_equal(first[0][0], first[1][0])


def test_sunglasses_cover_the_eyes_and_nothing_else() -> None:
    face = np.zeros(FACE_COLUMNS, np.float32)
    face[SIDE], face[LANDMARKS] = 60, [70, 80, 100, 85, 85, 100, 73, 115, 97, 118]
    for seed in range(20):
        image = np.full((160, 160), 200, np.uint8)
        put_on_sunglasses(image, face, np.random.default_rng(seed))
        assert max(image[80, 70], image[85, 100]) < 100
        assert min(image[115, 73], image[118, 97], image[20, 20]) == 200


def test_labels_of_a_scene_lie_on_its_faces(sources: SceneSources) -> None:
    """Eyes and mouth of the made-up faces are dark on a light disc, also when turned or mirrored.

    Light, noise and what is erased change single faces: the mean over many shows the place.
    """
    contrasts, sides, turned = [], [], 0
    for seed in range(60):
        image, faces = compose_scene(sources, 160, np.random.default_rng(seed))
        assert (image.shape, image.dtype) == ((160, 160), np.uint8)
        for row in faces[faces[:, SURE] > 0]:
            places = np.round(row[LANDMARKS]).astype(int).reshape(5, 2)
            right_eye, left_eye, nose, right_mouth, left_mouth = places
            # The person's right is the left of the picture, up to turns of 45 degrees.
            assert right_eye[0] < left_eye[0]
            assert right_mouth[0] < left_mouth[0]
            assert right_eye[1] + left_eye[1] < right_mouth[1] + left_mouth[1]
            turned += abs(int(right_eye[1]) - int(left_eye[1])) > 0.2 * row[SIDE]
            sides.append(row[SIDE])
            if row[SIDE] > 24 and (places >= 0).all() and (places < 160).all():
                eyes = [image[y, x] for x, y in (right_eye, left_eye)]
                contrasts.append(float(image[nose[1], nose[0]]) - np.mean(eyes))
    assert np.median(contrasts) > 40
    assert 8 <= min(sides) < 14
    assert max(sides) > 120
    assert turned > 5


def test_cells_say_what_decoding_reads() -> None:
    middles, lengths = cell_places(320, 448, STRIDES)
    assert len(middles) == 40 * 56 + 20 * 28 + 10 * 14
    for side in (9, 12, 16, 20, 33, 47, 64, 90, 150, 300):
        faces = np.stack([face(101.5, 77.25, side), face(345, 237, side)])
        targets = assign_faces(faces, middles, lengths)
        assert (targets[:, 0] > 0).sum() >= 2
        outputs = targets.copy()
        outputs[:, 0] = np.where(targets[:, 0] > 0, 8.0, -8.0)
        found = decode_faces(outputs, (320, 448), STRIDES, least_score=0.5)
        found = found[np.argsort(found[:, 1])]
        np.testing.assert_allclose(found[:, 1:], faces[:, 1:], rtol=1e-4, atol=1e-2)
        assert found[:, 0] == pytest.approx(1 / (1 + np.exp(-8)))
        nothing = decode_faces(outputs, (320, 448), STRIDES, least_score=0.9999)
        assert len(nothing) == 0


def test_cells_on_a_face_that_is_not_sure_count_neither_way() -> None:
    middles, lengths = cell_places(128, 128, STRIDES)
    targets = assign_faces(face(40, 40, 30, sure=False)[None], middles, lengths)
    inside = np.abs(middles - 40).max(axis=1) <= 15
    assert (targets[inside, 0] == -1).all()
    assert (targets[~inside, 0] == 0).all()
    assert not assign_faces(np.zeros((0, FACE_COLUMNS), np.float32), middles, lengths).any()


def test_scores_of_a_detector() -> None:
    """Two images with three sure faces; by hand: found at .9 and .6, false at .8, .3 and .2."""
    faces = [
        np.stack([face(50, 50, 40), face(150, 50, 40), face(50, 150, 40, sure=False)]),
        face(100, 100, 60)[None],
    ]
    boxes = [
        (0.9, 30, 30, 40, 40),
        (0.7, 30, 130, 40, 40),  # on the face that is not sure
        (0.3, 32, 32, 40, 40),  # the first face again
        (0.8, 180, 180, 20, 20),
    ]
    found = [np.array(boxes), np.array([(0.6, 75, 75, 60, 60), (0.2, 0, 0, 30, 30)])]
    matches = match_faces(found, faces, (200, 200))
    assert matches.scores.tolist() == [0.9, 0.8, 0.6, 0.3, 0.2]
    assert matches.correct.tolist() == [True, False, True, False, False]
    assert matches.found_at.tolist() == [0.9, -1, 0.6]
    assert average_precision(matches) == pytest.approx((1 + 2 / 3) / 3)
    assert recall(matches, 0.7) == pytest.approx(1 / 3)
    assert recall(matches, threshold_for(matches, 0.5)) == pytest.approx(2 / 3)
    assert threshold_for(matches, 0.0) > 0.8
    nothing = match_faces([np.zeros((0, 5))], [face(50, 50, 40)[None]], (100, 100))
    assert (average_precision(nothing), recall(nothing, 0.5)) == (0, 0)
    assert np.isnan(average_precision(match_faces([], [], (100, 100))))


CARD = DetectorCard(
    name="trial",
    architecture="made up",
    parameters=10,
    strides=STRIDES,
    score_threshold=0.4,
)


@pytest.mark.parametrize(
    "change",
    [
        {"task": "emotion"},
        {"strides": [8, 24]},
        {"strides": 8},
        {"score_threshold": float("nan")},
    ],
)
def test_a_card_that_is_wrong_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    path = tmp_path / "card.json"
    path.write_text(json.dumps(CARD.to_json() | change))
    with pytest.raises(ValueError, match=f"{re.escape(str(path))} cannot be used"):
        read_detector_card(tmp_path)


def test_parts_of_a_face_are_no_faces() -> None:
    """Of overlapping squares the best is kept; a face beside a large one is, one inside is not."""
    faces = np.stack([face(100, 100, 80), face(104, 98, 76), face(80, 85, 20), face(160, 100, 30)])
    faces[:, 0] = 0.9, 0.8, 0.7, 0.6
    assert keep_best(faces).tolist() == [0, 3]
    faces[:, 0] = 0.6, 0.8, 0.9, 0.7  # a small one that is better stays
    assert keep_best(faces).tolist() == [2, 1, 3]
    assert keep_best(faces[:0]).tolist() == []
