"""The detector's network: loss, training, export, and its work on pictures."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from conftest import Run, eagerly
from minixception.boxes import Box, clip, intersections_over_unions
from minixception.checkpoints.engines import LiteRTEngine
from minixception.checkpoints.shipped import ROLL_MODEL
from minixception.detection.card import DetectorCard, read_detector_card
from minixception.detection.cells import assign_faces, cell_places, prepare_images
from minixception.detection.checker import FaceChecker, Look
from minixception.detection.columns import FACE_COLUMNS, SIDE, squares_of
from minixception.detection.labelled_pictures import read_sources
from minixception.detection.network_detector import MiniXceptionDetector
from minixception.detector_training import trainer as training
from minixception.detector_training.export import (
    evaluate_on_held_out,
    finish_detector,
    load_detector_model,
)
from minixception.detector_training.losses import compare_squares, detection_loss
from minixception.detector_training.trainer import DetectorRecipe, DetectorRun, train_detector
from minixception.models.detector import OUTPUTS, STRIDES, build_detector

QUICK = DetectorRecipe(
    epochs=2,
    steps=1,
    sizes=(64,),
    pixels=4 * 64 * 64,
    replicas=1,
    validation_scenes=6,
    validation_size=64,
)


def make_run(folder: Path, detection_set: Path) -> DetectorRun:
    keras.utils.set_random_seed(1)
    model = build_detector(stem=(4, 4), levels=((8,), (8,), (8,)), head=8)
    training_part, held_out = (read_sources(detection_set, held_out=each) for each in (False, True))
    parameters = model.count_params()
    card = DetectorCard(folder.name, model.name, parameters, STRIDES, score_threshold=0.5)
    return DetectorRun(model, training_part, held_out, QUICK, seed=5, folder=folder, card=card)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, detection_set: Path) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "trained"
    run = make_run(folder, detection_set)
    with eagerly():
        train_detector(run)
    finish_detector(folder, run.validation, scenes=6)
    return folder


def test_the_network_is_small_and_takes_any_size() -> None:
    model = build_detector()
    assert model.name == "mini_xception_detector"
    assert model.count_params() == 133_666
    assert OUTPUTS == FACE_COLUMNS
    for height, width in ((32, 32), (64, 160)):
        cells = len(cell_places(height, width, STRIDES)[0])
        outputs = model(np.zeros((2, height, width, 1), np.float32))
        assert outputs.shape == (2, cells, OUTPUTS)
    score = 1 / (1 + np.exp(-np.asarray(outputs)[..., 0]))
    assert score == pytest.approx(0.01, abs=0.005)


def test_the_loss_knows_a_right_answer_from_a_wrong_one() -> None:
    middles, lengths = cell_places(64, 64, STRIDES)
    row = [1, 30, 34, 20, 26, 30, 34, 30, 30, 34, 27, 39, 33, 39]
    targets = assign_faces(np.array([row], np.float32), middles, lengths)[None]
    right = targets.copy()
    right[..., 0] = np.where(targets[..., 0] > 0, 12, -12)
    wrong_place, wrong_score = right.copy(), right.copy()
    wrong_place[..., 1] += 1
    wrong_score[..., 0] *= -1
    least = float(detection_loss(targets, right))
    assert least == pytest.approx(0, abs=1e-4)
    assert float(detection_loss(targets, wrong_place)) > least + 0.5
    assert float(detection_loss(targets, wrong_score)) > least + 5
    undecided = right.copy()
    undecided[targets[..., 0] == -1, 0] = 12
    assert float(detection_loss(targets, undecided)) == pytest.approx(least, abs=1e-6)


def test_the_overlap_of_the_loss_is_that_of_the_boxes() -> None:
    generator = np.random.default_rng(0)
    cells = generator.uniform(-1, 1, (2, 50, FACE_COLUMNS)).astype(np.float32)
    overlap, loss = (np.asarray(value) for value in compare_squares(cells[:1], cells[1:]))
    cells[..., SIDE] = np.exp(cells[..., SIDE])
    expected = np.diag(intersections_over_unions(*map(squares_of, cells)))
    np.testing.assert_allclose(overlap[0], expected, atol=1e-5)
    assert (loss >= 1 - overlap - 1e-6).all()


@pytest.mark.usefixtures("eager")
def test_a_killed_run_goes_on_like_one_that_was_not(
    tmp_path: Path, detection_set: Path, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = training.record_epoch

    def record_and_die(*arguments: Any, **facts: Any) -> None:
        record(*arguments, **facts)
        raise KeyboardInterrupt

    folder = tmp_path / "killed"
    run = make_run(folder, detection_set)
    with monkeypatch.context() as patch:
        patch.setattr(training, "record_epoch", record_and_die)
        with pytest.raises(KeyboardInterrupt):
            train_detector(run)
    with pytest.raises(FileExistsError):
        train_detector(run)
    with pytest.raises(ValueError, match=r"recipe\.steps was 1, now 2"):
        train_detector(replace(run, recipe=replace(QUICK, steps=2)), resume=True)
    with pytest.raises(ValueError, match=r"training was md5:.*, now md5:"):  # as many others
        train_detector(replace(run, training=run.validation), resume=True)
    history = train_detector(make_run(folder, detection_set), resume=True)
    whole = train_detector(replace(run, folder=trained), resume=True)  # complete: as it was
    assert len(whole) == len(history) == 2
    for row, other in zip(whole, history, strict=True):
        del row["seconds"], other["seconds"]
        assert row == other
    assert (folder / "curves.png").is_file()


def test_the_exported_network_is_the_trained_one(trained: Path) -> None:
    model, card = load_detector_model(trained), read_detector_card(trained)
    engine = LiteRTEngine(trained / "model.tflite", num_classes=FACE_COLUMNS)
    generator = np.random.default_rng(0)
    for size in (64, 256, 32):
        batch = prepare_images(generator.integers(0, 256, (1, 64, size), dtype=np.uint8))
        expected = np.asarray(model(batch, training=False))
        np.testing.assert_allclose(engine.run(batch), expected, rtol=1e-3, atol=1e-4)
    assert model.count_params() == card.parameters
    assert {"validation", "held-out scenes"} <= card.metrics.keys()


@pytest.mark.parametrize("shape", [(1, 1, 3), (2, 300, 3), (31, 33, 3), (90, 120), (64, 64, 4)])
def test_pictures_of_all_forms_can_be_searched(trained: Path, shape: tuple[int, ...]) -> None:
    image = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    detector = MiniXceptionDetector(trained, score_threshold=0)
    faces = detector.find(image)
    boxes = [face.box for face in faces]
    assert boxes == detector.detect(image) == sorted(boxes)
    for face in faces:
        assert clip(face.box, *shape[:2]) == face.box
        assert len(face.landmarks) == 5
        assert 0 <= face.score <= 1
    assert MiniXceptionDetector(trained, score_threshold=1).detect(image) == []


def test_the_second_look_raises_and_lowers_scores(
    trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = np.random.default_rng(1).integers(0, 256, (90, 120), dtype=np.uint8)
    one_look, two_looks = (
        MiniXceptionDetector(trained, score_threshold=0, checker=checker)
        for checker in (None, ROLL_MODEL)
    )

    def best_score(share: float) -> float:
        def look(_: FaceChecker, __: Any, boxes: list[Box], *, likely: list[bool]) -> list[Look]:
            return [Look(box, share, roll=0.0) for box in boxes]

        monkeypatch.setattr(FaceChecker, "best_frames", look)
        return max(face.score for face in two_looks.find(image))

    alone = max(face.score for face in one_look.find(image))
    assert best_score(0.5) == pytest.approx(alone)  # it cannot tell
    assert best_score(0.01) < best_score(0.2) < alone < best_score(0.8) < best_score(0.99)
    assert best_score(0.0) == best_score(0.01)
    assert best_score(1.0) == best_score(0.99)


def test_faces_below_the_smallest_of_interest_are_left_out(trained: Path) -> None:
    image = np.random.default_rng(2).integers(0, 256, (120, 160), dtype=np.uint8)
    every = MiniXceptionDetector(trained, score_threshold=0)
    assert any(max(box.width, box.height) < 20 for box in every.detect(image))
    some = MiniXceptionDetector(trained, score_threshold=0, min_face=60)
    for x, y, width, height in some.detect(image):
        # A face at the border is clipped: its longer side may be cut as well.
        is_whole = x and y and x + width < 160 and y + height < 120
        assert max(width, height) >= 59 or not is_whole


def test_what_is_no_detector_is_refused(
    tmp_path: Path, trained: Path, checkpoints: dict[str, Path]
) -> None:
    for folder, options, error, message in (
        (tmp_path, {}, FileNotFoundError, r"no card\.json"),
        (checkpoints["emotion"], {}, ValueError, "not a detector's card"),
        ("another", {}, FileNotFoundError, "shipped detector model"),
        (trained, {"score_threshold": 1.5}, ValueError, "score_threshold"),
        (trained, {"min_face": 0}, ValueError, "min_face"),
    ):
        with pytest.raises(error, match=message):
            MiniXceptionDetector(folder, **options)


def test_a_detector_is_evaluated_by_the_command(
    trained: Path, detection_set: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluate_on_held_out, "__kwdefaults__", {"scenes": 6})  # of 400
    output = tmp_path / "scores.json"
    arguments = ["evaluate", "--model", trained, "--data", detection_set]
    assert "recall by side in pixels" in run(*arguments, "--output", output).stdout
    assert '"average_precision"' in output.read_text()
    assert "--flip is for classifiers" in run(*arguments, "--flip", code=1).stderr


def test_the_command_refuses_before_it_works(
    tmp_path: Path, detection_set: Path, trained: Path, run: Run
) -> None:
    output, table = tmp_path / "run", detection_set / "photographs.csv"
    for options, message in (
        (["--output", trained], "`resume`"),
        (["--output", output, "--leave-out", table], "folder or a whole tar archive"),
        (["--output", output, "--epochs", "0"], "epochs"),
    ):
        assert message in run("train-detector", "--data", detection_set, *options, code=1).stderr
    assert not output.exists()
