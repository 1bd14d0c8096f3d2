"""Work that is spread over a cluster: items go to workers, results come back as they are ready.

Ray Data hands out the items, starts workers again that have died, and gives what they had in hand
to others. A worker may therefore do an item twice; what it writes must be the same both times.
"""

import os
import pickle
import queue
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from minixception.cluster.sessions import answers
from minixception.messages import explain

Item = TypeVar("Item")
Result = TypeVar("Result")

# An item at which a worker dies again and again is at fault itself, not a machine.
MOST_ATTEMPTS = 4
# The head is given up after so many seconds without an answer; Ray would end the process after 60.
_PATIENCE = 20.0
_PAUSE = 1.0  # seconds between two looks at the head, and at `stop`


def work_through(
    make_worker: Callable[[], Callable[[Item], Result]],
    items: Sequence[Item],
    *,
    stop: Callable[[], object] = bool,
) -> Iterator[Result]:
    """Yield what workers make of the items, in the order in which they are done.

    There is a worker for each core of the cluster, in a process of its own.

    Args:
        make_worker: called once in each process; gives what is called with each item. It is
            pickled, as are items and results.
        items: what to work on, each large enough to be worth 20 ms of Ray's time.
        stop: asked once a second; where it says yes, no more results come.

    Raises:
        OSError: with the message of a worker's OSError or MemoryError: the item cannot be done
            now. Items that are done are not affected.
        ConnectionError: if the head of the cluster is lost.
        RuntimeError: if a worker dies at an item `MOST_ATTEMPTS` times, or cannot be started.
    """
    results: queue.SimpleQueue[Any] = queue.SimpleQueue()
    ended = threading.Event()

    def collect() -> None:
        left, attempts = dict(enumerate(items)), 0
        while left and not ended.is_set():
            before = len(left)
            try:
                for row in _dataset(make_worker, list(left.items())).iter_rows():
                    number, result = pickle.loads(row["result"])
                    if left.pop(number, _END) is not _END:
                        results.put(result)
                    if ended.is_set():
                        return
            except Exception as error:  # raised where the results are waited for
                # Calls to a machine that has just gone fail faster than Ray finds that out.
                attempts = attempts + 1 if len(left) == before else 0
                if attempts == 2:
                    failure = RuntimeError(f"the cluster gave up: {_last_line(error)}")
                    failure.__cause__ = error
                    results.put(failure)
                    return
        results.put(_END)

    threading.Thread(target=collect, daemon=True).start()
    head = _Head()
    try:
        while not stop():
            head.check()
            try:
                result = results.get(timeout=_PAUSE)
            except queue.Empty:
                continue
            if result is _END:
                return
            if isinstance(result, Exception):
                raise result
            yield result
    finally:
        ended.set()


_END = object()


def _last_line(error: Exception) -> str:
    """Return what an error of Ray says below the traceback of a worker."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


class _Worker:
    """What Ray Data makes in each process, and calls with each item."""

    def __init__(self, make_worker: Callable[[], Callable[[Any], Any]]) -> None:
        self._work = make_worker()

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        number, item = pickle.loads(row["item"])
        try:
            result = self._work(item)
        except (OSError, MemoryError) as error:
            result = OSError(explain(error))  # errors of libraries may not be picklable
        return {"result": pickle.dumps((number, result))}


class _Head:
    """The head of the cluster, which is asked now and then whether it is there."""

    def __init__(self) -> None:
        import ray

        self._address = ray.get_runtime_context().gcs_address
        self._seen = self._asked = time.monotonic()

    def check(self) -> None:
        """Raise a ConnectionError if the head has not answered for some time."""
        now = time.monotonic()
        if now - self._asked < _PAUSE:
            return
        try:
            answers(self._address)
            self._seen = now
        except OSError as error:
            if now - self._seen > _PATIENCE:
                raise ConnectionError(
                    f"the head of the cluster, {self._address}, has been lost"
                ) from error
        self._asked = time.monotonic()


def _dataset(make_worker: Callable[[], Callable[[Any], Any]], items: Sequence[Any]) -> Any:
    """Return the Ray dataset of results; each item is a block, which is done and retried alone."""
    import pyarrow
    import ray

    # Ray would give up after half an hour, which a worker may need for an item.
    ray.data.DataContext.get_current().execution_no_progress_timeout_s = -1
    tables = [pyarrow.table({"item": [pickle.dumps(item)]}) for item in items]
    size = min(core_count(), len(items))
    return spread(ray.data.from_arrow(tables).map, _Worker, make_worker, size=size)


def settle(folder: str | None) -> None:
    """Prepare a process of the cluster: there is one for each core.

    `folder` is what relative paths are relative to. A machine may not have it; it then has none of
    the files either, as will be said.
    """
    import cv2

    cv2.setNumThreads(1)
    if folder is not None:
        with suppress(OSError):
            os.chdir(folder)


def core_count() -> int:
    """Return the number of cores of the cluster."""
    import ray

    return max(1, int(ray.cluster_resources().get("CPU", 1)))


def spread(
    method: Callable[..., Any],
    worker: type,
    *arguments: Any,
    size: int,
    grows: bool = True,
    **options: Any,
) -> Any:
    """Return a Ray dataset mapped by workers in processes of their own, with a core each.

    Args:
        method: `map` or `map_batches` of a dataset.
        worker: the class that is made once in each process, and called with rows or batches.
        arguments: what it is made with.
        size: the number of processes.
        grows: Ray starts more where cores are free, as when machines join.
        options: more for the method.
    """
    from ray.data import ActorPoolStrategy, DataContext
    from ray.util.annotations import RayDeprecationWarning

    # A machine may go while it starts a worker; so often in succession is no accident.
    DataContext.get_current().max_consecutive_actor_init_deaths = 10
    with warnings.catch_warnings():
        # Ray's own bound is none, and a picture may crash any worker.
        warnings.simplefilter("ignore", RayDeprecationWarning)
        return method(
            worker,
            fn_constructor_args=arguments,
            compute=ActorPoolStrategy(min_size=size, max_size=None if grows else size),
            num_cpus=1,
            max_task_retries=MOST_ATTEMPTS - 1,
            **options,
        )
