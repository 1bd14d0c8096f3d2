"""Several things at a time; the whole command is in test_command_image_folders.py."""

import threading
import time

import pytest

from minixception.checkpoints.engines import available_cores
from minixception.inference.workers import LOOK_AHEAD, in_order


@pytest.mark.parametrize("workers", [1, 4])
def test_results_come_in_order_and_memory_stays_flat(workers: int) -> None:
    begun: list[int] = []
    delivered = 0
    lock = threading.Lock()

    def work(number: int) -> int:
        with lock:
            begun.append(number)
            assert len(begun) - delivered <= LOOK_AHEAD * workers + 1
        time.sleep(0.002 * (number % 3))
        return number

    for expected, result in enumerate(in_order(work, range(200), workers=workers)):
        assert result == expected
        with lock:
            delivered += 1
    assert sorted(begun) == list(range(200))


def test_stopping_early_leaves_the_rest() -> None:
    begun: list[int] = []
    results = in_order(lambda number: begun.append(number), iter(range(1000)), workers=2)
    next(results)
    results.close()
    assert len(begun) <= 2 * LOOK_AHEAD


def test_available_cores() -> None:
    assert available_cores() >= 1
