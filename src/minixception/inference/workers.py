"""Threads that share the work on many pictures or frames, and the memory for it."""

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from math import prod
from os import PathLike
from typing import Any, TypeVar

from minixception.bounds import LARGEST_PICTURE
from minixception.images import picture_size

Item = TypeVar("Item")

Result = TypeVar("Result")

# Pictures per worker that are done ahead of the next result. A picture may take a hundred times as
# long as its neighbours; more would only keep more results in memory.
LOOK_AHEAD = 8


class Room:
    """Room in memory for the pictures that threads work on: as much in all as the largest takes.

    A picture of 22 kB may take gigabytes, in each worker.
    """

    def __init__(self) -> None:
        self._left = LARGEST_PICTURE
        self._changed = threading.Condition()

    @contextmanager
    def keep(self, picture: Any) -> Iterator[None]:
        """Wait for the room to read a picture, and keep it inside the block."""
        is_file = isinstance(picture, str | PathLike | bytes)
        pixels = min(prod(picture_size(picture)), LARGEST_PICTURE) if is_file else 0
        with self._changed:
            self._changed.wait_for(lambda: pixels <= self._left)
            self._left -= pixels
        try:
            yield
        finally:
            with self._changed:
                self._left += pixels
                self._changed.notify_all()


def in_order(
    work: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    workers: int,
    look_ahead: int | None = None,
) -> Generator[Result, None, None]:
    """Apply `work` to the items in `workers` threads and yield the results in the items' order.

    At most `look_ahead` items per worker are begun before their turn, by default `LOOK_AHEAD`, and
    none where the only worker is the caller's thread. If the caller stops early, those that are
    begun are finished.
    """
    if workers == 1 and look_ahead is None:
        yield from map(work, items)
        return
    most = (look_ahead or LOOK_AHEAD) * workers
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) >= most:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
