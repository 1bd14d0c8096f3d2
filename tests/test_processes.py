"""Analyzers in other processes: pickled, sent to new ones, and after a fork."""

import multiprocessing
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minixception import FaceAnalyzer, HaarDetector, YuNetDetector, read_image
from minixception.checkpoints.engines import FEW_FACES
from minixception.detection.search import FaceDetector
from systems import needs_fork

SECONDS = 60


@pytest.fixture(scope="module")
def crowd(portraits: Path) -> np.ndarray:
    """Return a picture of so many faces that the engine's workers share them."""
    return np.tile(read_image(portraits), (2, 1, 1))


def in_forked_child(work: Callable[[], bool]) -> bool:
    """Return what `work` returns in a forked process, False if it fails or takes too long."""
    fork: Any = multiprocessing.get_context("fork")
    child = fork.Process(target=lambda: os._exit(0 if work() else 1))
    child.start()
    child.join(SECONDS)
    child.kill()
    return bool(child.exitcode == 0)


@pytest.fixture(scope="module", params=["haar", "yunet"])
def analyzer(
    checkpoints: dict[str, Path], real_data: Callable[[str], Path], request: pytest.FixtureRequest
) -> FaceAnalyzer:
    detector: FaceDetector = HaarDetector()
    if request.param == "yunet":
        detector = YuNetDetector(real_data("models/face_detection_yunet.onnx"))
    return FaceAnalyzer(
        emotion=checkpoints["emotion"], gender=checkpoints["gender"], detector=detector
    )


@needs_fork
def test_a_forked_process_goes_on(analyzer: FaceAnalyzer, crowd: np.ndarray) -> None:
    expected = analyzer.analyze(crowd)
    assert len(expected) > FEW_FACES
    assert in_forked_child(lambda: analyzer.analyze(crowd) == expected)
    assert in_forked_child(lambda: list(analyzer.analyze_many([crowd] * 2)) == [expected] * 2)
    assert analyzer.analyze(crowd) == expected


def test_a_pickled_model_needs_no_file(checkpoints: dict[str, Path], tmp_path: Path) -> None:
    """As on another machine."""
    folder = shutil.copytree(checkpoints["emotion"], tmp_path / "emotion")
    analyzer = FaceAnalyzer(emotion=folder, gender=None)
    stored, face = pickle.dumps(analyzer), np.zeros((48, 48), np.uint8)
    shutil.rmtree(folder)
    copy = pickle.loads(stored)
    assert copy.analyze(face, whole_picture=True) == analyzer.analyze(face, whole_picture=True)


def test_new_processes_take_an_analyzer(analyzer: FaceAnalyzer, crowd: np.ndarray) -> None:
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        found = pool.apply_async(analyzer.analyze, [crowd]).get(timeout=SECONDS)
    assert found == analyzer.analyze(crowd)


@needs_fork
def test_keras_says_that_it_does_not_survive_a_fork(checkpoints: dict[str, Path]) -> None:
    analyzer = FaceAnalyzer(emotion=checkpoints["emotion"], gender=None, engine="keras")
    face = np.zeros((48, 48), np.uint8)
    copy = pickle.loads(pickle.dumps(analyzer))
    assert copy.analyze(face, whole_picture=True) == analyzer.analyze(face, whole_picture=True)

    def is_refused() -> bool:
        with pytest.raises(RuntimeError, match="does not survive a fork"):
            analyzer.analyze(face, whole_picture=True)
        return True

    assert in_forked_child(is_refused)
