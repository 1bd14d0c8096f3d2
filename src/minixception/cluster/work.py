"""Work spread over a cluster: items go to workers, results come back as they are ready.

Ray Data hands out the items, restarts workers that died, and gives their items to others. So an
item may be done twice, and what is written must be the same both times.
"""

import os
import pickle
import queue
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from minixception.cluster.sessions import answers
from minixception.messages import explain

Item = TypeVar("Item")
Result = TypeVar("Result")

# An item at which workers die this often is at fault itself, not a machine.
MOST_ATTEMPTS = 4
# Seconds without an answer until the head counts as lost; Ray would end the process after 60.
_PATIENCE = 20.0
_PAUSE = 1.0  # seconds between two looks at the head and at `stop` while no result comes


def work_through(
    make_worker: Callable[[], Callable[[Item], Result]],
    items: Sequence[Item],
    *,
    stop: Callable[[], object] = bool,
) -> Iterator[Result]:
    """Yield the results for the items as they become ready, from one process per core.

    Args:
        make_worker: called once in each process; returns the function of an item. It is pickled,
            as are items and results. Relative paths are relative to the folder of this process.
        items: what to work on, each large enough to be worth 20 ms of Ray's time.
        stop: asked once a second; once it says yes, no more results come.

    Raises:
        OSError: with the message of a worker's OSError or MemoryError: the item cannot be done
            now. Finished items are not affected.
        ConnectionError: if the head of the cluster is lost.
        RuntimeError: if a worker dies at an item `MOST_ATTEMPTS` times in each of two rounds that
            finish no other, or cannot be started.
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
                # Calls to a machine that has just gone fail before Ray knows that it is gone.
                attempts = attempts + 1 if len(left) == before else 0
                if attempts == 2:
                    # Above the last line is the worker's traceback.
                    reason = (str(error).strip() or type(error).__name__).splitlines()[-1].strip()
                    failure = RuntimeError(f"the cluster gave up: {reason}")
                    failure.__cause__ = error
                    results.put(failure)
                    return
        results.put(_END)

    import ray

    head, seen = ray.get_runtime_context().gcs_address, time.monotonic()
    threading.Thread(target=collect, daemon=True).start()
    try:
        while not stop():
            try:
                result = results.get(timeout=_PAUSE)
            except queue.Empty:
                seen = _ask(head, seen)
                continue
            seen = time.monotonic()
            if result is _END:
                return
            if isinstance(result, Exception):
                raise result
            yield result
    finally:
        ended.set()


_END = object()


class _Worker:
    """Made by Ray Data in each process, and called with each item."""

    def __init__(self, make_worker: Callable[[], Callable[[Any], Any]], folder: str) -> None:
        settle()
        with suppress(OSError):  # a machine without it has none of the files, as will be said
            os.chdir(folder)
        self._work = make_worker()

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        number, item = pickle.loads(row["item"])
        try:
            result = self._work(item)
        except (OSError, MemoryError) as error:
            result = OSError(explain(error))  # errors of libraries may not be picklable
        return {"result": pickle.dumps((number, result))}


def _ask(head: str, seen: float) -> float:
    """Return when the head of the cluster has last been seen, after asking whether it is there."""
    try:
        answers(head)
    except OSError as error:
        if time.monotonic() - seen > _PATIENCE:
            raise ConnectionError(f"the head of the cluster, {head}, has been lost") from error
        return seen
    return time.monotonic()


def _dataset(make_worker: Callable[[], Callable[[Any], Any]], items: Sequence[Any]) -> Any:
    """Return the Ray dataset of results; each item is a block, done and retried alone."""
    import pyarrow
    import ray

    # Ray would give up after half an hour; a worker may need longer for an item.
    ray.data.DataContext.get_current().execution_no_progress_timeout_s = -1
    tables = [pyarrow.table({"item": [pickle.dumps(item)]}) for item in items]
    size, here = min(core_count(), len(items)), str(Path.cwd())
    return spread(ray.data.from_arrow(tables).map, _Worker, make_worker, here, size=size)


def settle() -> None:
    """Prepare a process of the cluster, one of many."""
    import cv2

    cv2.setNumThreads(1)


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
    """Return a Ray dataset mapped by `size` processes with a core each, or more if it `grows`.

    `method` is `map` or `map_batches` of a dataset, `options` are its own. The class `worker` is
    made once in each process with `arguments`, and called with rows or batches.
    """
    from ray.data import ActorPoolStrategy, DataContext
    from ray.util.annotations import RayDeprecationWarning

    # A machine may go while it starts a worker, but not this often in a row.
    DataContext.get_current().max_consecutive_actor_init_deaths = 10
    with warnings.catch_warnings():
        # Ray sets no limit, and a picture may crash any worker.
        warnings.simplefilter("ignore", RayDeprecationWarning)
        return method(
            worker,
            fn_constructor_args=arguments,
            compute=ActorPoolStrategy(min_size=size, max_size=None if grows else size),
            num_cpus=1,
            max_task_retries=MOST_ATTEMPTS - 1,
            **options,
        )
