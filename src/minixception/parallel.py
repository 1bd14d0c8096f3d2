"""Working through many things: several at a time, results in the order of the things."""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

# Pictures per worker that are done ahead of the one to be given next. A picture may take a
# hundred times as long as its neighbours; more would only keep more results in memory.
LOOK_AHEAD = 8


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def in_order(
    work: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    workers: int,
    look_ahead: int = LOOK_AHEAD,
) -> Generator[Result, None, None]:
    """Apply `work` to the items in `workers` threads and yield the results in the items' order.

    At most `look_ahead` items per worker are begun before their turn. When the caller stops early,
    items that are not begun are left, and those at hand are finished.
    """
    if workers == 1:
        yield from map(work, items)
        return
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) >= look_ahead * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
