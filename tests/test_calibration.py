"""Probabilities that are as high as they are right: temperatures, and outliers in training."""

import itertools
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.special import softmax

from conftest import Run
from made_up_data import fer2013_csv, make_dataset
from minixception.checkpoints.card import read_card
from minixception.evaluation import expected_calibration_error, fit_temperature, with_temperature
from minixception.inference.classifier import FaceClassifier
from minixception.training.outliers import spoil, with_outliers
from minixception.training.scoring import calibrate


def test_the_temperature_of_known_logits() -> None:
    generator = np.random.default_rng(0)
    logits = generator.normal(0, 2, (20_000, 4)).astype(np.float32)
    right, too_sure = (softmax(scale * logits, axis=1) for scale in (1, 2.5))
    labels = (right.cumsum(axis=1) > generator.random((len(logits), 1))).argmax(axis=1)
    assert fit_temperature(np.eye(4, dtype=np.float32)[labels], too_sure) == pytest.approx(2.5, 0.1)
    np.testing.assert_allclose(with_temperature(too_sure, 2.5), right, atol=1e-5)
    assert expected_calibration_error(labels, too_sure) > 0.1
    assert expected_calibration_error(labels, right) < 0.02


def test_certain_answers_stay_finite() -> None:
    certain = np.array([[1.0, 0.0, 0.0]], np.float32)
    assert np.array_equal(with_temperature(certain, 0.2), certain)
    assert np.isfinite(with_temperature(np.array([[1.0, 1e-38]], np.float32), 5.0)).all()


def test_impossible_temperatures_are_refused(checkpoints: dict[str, Path]) -> None:
    card = read_card(checkpoints["emotion"])
    for temperature in (0.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="`temperature` must be above 0"):
            replace(card, temperature=temperature)


def test_spoilt_images_have_uniform_targets_and_others_stay() -> None:
    images = np.random.default_rng(1).uniform(-1, 1, (64, 24, 24, 1)).astype(np.float32)
    targets = np.eye(4, dtype=np.float32)[np.arange(64) % 4]
    batches = list(with_outliers(itertools.repeat((images, targets), 3), 0.25, seed=5))
    for changed, aims in batches:
        spoilt = (aims == 0.25).all(axis=1)
        assert 4 < spoilt.sum() < 32
        assert np.array_equal(changed[~spoilt], images[~spoilt])
        assert np.array_equal(aims[~spoilt], targets[~spoilt])
        assert not any(np.array_equal(changed[row], images[row]) for row in np.flatnonzero(spoilt))
        assert np.abs(changed).max() <= 1.001
    # A batch depends on the seed and its number alone: a resumed run shows the same ones.
    resumed = with_outliers(itertools.repeat((images, targets), 1), 0.25, seed=5, first_step=2)
    assert np.array_equal(next(iter(resumed))[0], batches[2][0])
    generator = np.random.default_rng(2)
    for shape in ((48, 48, 1), (7, 30, 3), (112, 96, 3)):
        image = generator.normal(0, 60, shape).astype(np.float32)
        for _ in range(30):
            spoilt = spoil(image, generator)
            assert spoilt.shape == shape
            assert np.isfinite(spoilt).all()


def test_a_model_is_calibrated_on_its_validation_faces(
    checkpoints: dict[str, Path], here: Path
) -> None:
    folder = shutil.copytree(checkpoints["emotion"], here / "model")
    generator = np.random.default_rng(3)
    labels = generator.integers(0, 7, 300)
    images = generator.integers(0, 256, (300, 48, 48, 1), dtype=np.uint8)
    faces = make_dataset(read_card(folder).class_names, labels, images=images)
    calibrate(folder, faces.select(np.arange(9)), split="validation", engine="litert")
    assert not read_card(folder).metrics
    for _ in range(2):  # the second fit is not on top of the first
        calibrate(folder, faces, split="validation", engine="litert")
        card = read_card(folder)
        classifier = FaceClassifier.load(folder)
        found = expected_calibration_error(faces.labels, classifier.predict_faces(faces))
        assert card.metrics["validation"]["calibration_error"] == pytest.approx(found, abs=1e-4)
    assert card.temperature > 1
    scored = card.with_metrics("validation", {"accuracy": 0.5, "calibration_error": 0.1}).metrics
    assert {"accuracy", "calibration_error_without_temperature"} <= scored["validation"].keys()


def test_the_command_calibrates_on_validation_faces_only_and_names_them(
    checkpoints: dict[str, Path], run: Run, here: Path
) -> None:
    folder = shutil.copytree(checkpoints["emotion"], here / "model")
    for count, data in ((1, "one.csv"), (200, "many.csv")):
        counts = {"Training": 1, "PublicTest": count, "PrivateTest": 1}
        Path(data).write_text(fer2013_csv(counts))
    options = ["--model", folder, "--engine", "litert", "--dataset", "fer2013", "--calibrate"]
    options.append("--data")
    for split in ("PrivateTest", "PublicTest"):
        refused = run("evaluate", *options, "one.csv", "--split", split, code=1).stderr
        assert f"PublicTest, with at least 200 faces. Received: {split} with 1" in refused
    run("evaluate", *options, "many.csv")
    assert "fer2013 PublicTest" in read_card(folder).metrics
