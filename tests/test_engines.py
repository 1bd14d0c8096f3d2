import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest

from minixception.checkpoints.engines import (
    FACES_PER_RUN,
    FEW_FACES,
    LARGEST_BATCH,
    KerasEngine,
    LiteRTEngine,
)
from systems import needs_any_name, needs_proc


@pytest.fixture(scope="module")
def litert(checkpoints: dict[str, Path]) -> LiteRTEngine:
    return LiteRTEngine(checkpoints["emotion"] / "model.tflite", num_classes=7)


@pytest.fixture(scope="module")
def keras_engine(checkpoints: dict[str, Path]) -> KerasEngine:
    return KerasEngine(checkpoints["emotion"])


def faces(number: int, *, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (number, 48, 48, 1)).astype(np.float32)


@pytest.mark.parametrize(
    "number", [0, 1, FEW_FACES, FEW_FACES + 1, 3 * FACES_PER_RUN, LARGEST_BATCH + 1, 130]
)
def test_engines_agree_on_every_batch_size(
    litert: LiteRTEngine, keras_engine: KerasEngine, number: int
) -> None:
    images = faces(number)
    probabilities = litert.predict(images)
    assert probabilities.shape == (number, 7)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities, keras_engine.predict(images), atol=1e-5)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    assert number < 2 or np.ptp(probabilities, axis=0).max() > 0.001  # the faces tell apart
    # Results are the caller's own; each face's is what it is alone.
    kept = probabilities.copy()
    for row in range(min(number, 9)):
        alone = litert.predict(images[row : row + 1])
        np.testing.assert_allclose(alone[0], probabilities[row], atol=1e-5)
    np.testing.assert_array_equal(probabilities, kept)
    np.testing.assert_array_equal(images, faces(number))


def test_threads_share_a_keras_model(keras_engine: KerasEngine) -> None:
    batches = [faces(1 + seed % 5, seed=seed) for seed in range(12)]
    expected = [keras_engine.predict(batch) for batch in batches]
    with ThreadPoolExecutor(4) as pool:
        for found, wanted in zip(pool.map(keras_engine.predict, batches), expected, strict=True):
            np.testing.assert_allclose(found, wanted, atol=1e-5)


@pytest.mark.parametrize("num_workers", [1, 2, 16])
def test_callers_share_the_workers_whose_number_changes_nothing(
    checkpoints: dict[str, Path], litert: LiteRTEngine, num_workers: int
) -> None:
    path = checkpoints["emotion"] / "model.tflite"
    engine = LiteRTEngine(path, num_classes=7, num_workers=num_workers)
    before = set(threading.enumerate())
    assert engine.predict(faces(FEW_FACES)).shape == (FEW_FACES, 7)
    assert set(threading.enumerate()) <= before  # a single face wakes nobody
    batches = [faces(1 + seed * FACES_PER_RUN // 3, seed=seed) for seed in range(12)]
    with ThreadPoolExecutor(4, "caller") as pool:
        found = list(pool.map(engine.predict, batches))
        started = set(threading.enumerate()) - before
    workers = [thread for thread in started if thread.name.startswith("litert")]
    assert 0 < len(workers) <= num_workers
    for probabilities, images in zip(found, batches, strict=True):
        np.testing.assert_allclose(probabilities, litert.predict(images), atol=1e-5)


@needs_proc
def test_memory_stays_flat_whatever_the_batch_sizes(litert: LiteRTEngine) -> None:
    sizes = np.random.default_rng(0).choice([1, 2, 3, 4, 5, 9, 17, 30], 500)
    pages = []
    for size in sizes:
        litert.predict(faces(int(size)))
        pages.append(int(Path("/proc/self/statm").read_text().split()[1]))
    assert pages[-1] - pages[200] < 1000  # of 4 kB; a leak of one batch per call would be 2000


def test_images_need_not_be_contiguous_but_fit(litert: LiteRTEngine) -> None:
    images = faces(6)[::2, :, ::-1]
    np.testing.assert_array_equal(litert.predict(images), litert.predict(images.copy()))
    unfit: list[Any] = [faces(1).astype(float), faces(1).astype(np.uint8)]
    unfit += [np.zeros(shape, np.float32) for shape in ((1, 40, 48, 1), (1, 48, 48, 3), (48, 48))]
    for each in unfit:
        with pytest.raises(ValueError, match=r"must be float32 \(B, 48, 48, 1\)\. Received: "):
            litert.predict(each)
    assert litert.predict(faces(2)).shape == (2, 7)


@needs_any_name
def test_a_name_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.tflite"))
    path.touch()
    with pytest.raises(ValueError, match="must be UTF-8"):
        LiteRTEngine(path, num_classes=7)


@pytest.mark.parametrize("number", [1, FEW_FACES + 3])
def test_outputs_that_are_no_probabilities_are_refused(
    checkpoints: dict[str, Path], number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = LiteRTEngine(checkpoints["emotion"] / "model.tflite", num_classes=7)
    sound = engine.predict(faces(number))
    for row in ([np.nan] * 7, [2, -1, 0, 0, 0, 0, 0], [0.5] + [0] * 6, [0.2] * 7):
        damaged = sound.copy()
        damaged[-1] = row
        monkeypatch.setattr(engine, "run", lambda images, rows=damaged: rows[-len(images) :])
        with pytest.raises(ValueError, match=r"emotion.model\.tflite does not return prob"):
            engine.predict(faces(number))


def test_a_file_that_cannot_be_run_is_named(
    checkpoints: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    failure = RuntimeError("node 3 failed to invoke")
    engine = LiteRTEngine(checkpoints["emotion"] / "model.tflite", num_classes=7)
    monkeypatch.setattr("ai_edge_litert.interpreter.Interpreter.invoke", Mock(side_effect=failure))
    for number in (1, FEW_FACES + 1):
        with pytest.raises(ValueError, match=r"emotion.model\.tflite cannot be run.*node 3 failed"):
            engine.predict(faces(number))
