"""A Ray cluster for one job: started on this machine, or joined where it already runs."""

import logging
import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from minixception.messages import explain

# Bytes: only names of files and counts pass through. Ray's default is 30 % of the memory, which has
# to fit into /dev/shm.
_OBJECT_STORE = 128 << 20

_ANSWER_SECONDS = 5.0


@contextmanager
def connected(cluster: str, *, verbose: bool = False) -> Iterator[None]:
    """Start Ray on this machine, or join a cluster, inside the block.

    A program that has called `ray.init` keeps its cluster. Every machine needs the package. Two
    environment variables of Ray stay set in this process, against telemetry and a second start.

    Args:
        cluster: `local` for all cores of this machine; `auto` for the cluster that this machine
            belongs to; or HOST:PORT of the head of that cluster.
        verbose: show what Ray logs.

    Raises:
        ValueError: if `cluster` is none of the three.
        ConnectionError: if no cluster answers.
    """
    _check(cluster)
    os.environ["RAY_ENABLE_AUTO_CONNECT"] = "0"  # a thread that ends late would restart Ray
    import ray

    if ray.is_initialized():
        yield
        return
    _choose_messages(verbose=verbose)
    try:
        _join(cluster, verbose=verbose)
    # Where its node does not start in time, Ray raises a bare Exception.
    except Exception as error:
        raise ConnectionError(f"Ray on {cluster} cannot be used: {explain(error)}") from error
    try:
        yield
    finally:
        ray.shutdown()


def _check(cluster: str) -> None:
    """Refuse a bad address, or one that does not answer: Ray would wait for minutes."""
    if cluster in ("local", "auto"):
        return
    if "://" in cluster or not re.fullmatch(r".+:\d{1,5}", cluster):
        raise ValueError(
            "--cluster must be local, auto or HOST:PORT of the head of a Ray cluster to which this "
            f"machine belongs; from outside use `ray job submit`. Received: {cluster}"
        )
    try:
        answers(cluster)
    except OSError as error:
        raise ConnectionError(
            f"no Ray cluster answers at {cluster} ({explain(error)}): is this the address that "
            "`ray start --head` printed?"
        ) from error


def answers(address: str) -> None:
    """Raise an OSError if the head of a cluster, HOST:PORT, takes no connection in five seconds."""
    host, _, port = address.rpartition(":")
    socket.create_connection((host, int(port)), timeout=_ANSWER_SECONDS).close()


def _join(cluster: str, *, verbose: bool) -> None:
    import ray

    level = logging.INFO if verbose else logging.CRITICAL
    if cluster != "local":
        ray.init(cluster, log_to_driver=verbose, logging_level=level)
        return
    from minixception.checkpoints.engines import available_cores

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # no telemetry
    ray.init(
        "local",
        num_cpus=available_cores(),
        object_store_memory=_OBJECT_STORE,
        include_dashboard=False,
        log_to_driver=verbose,
        logging_level=level,
    )


def _choose_messages(*, verbose: bool) -> None:
    """Keep Ray off the terminal unless the user wants to see what it logs."""
    import ray.data

    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = verbose
    if not verbose:
        for name in ("ray", "ray.data"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        # Ray prints what happens to workers at any level; it has no public switch for that.
        ray._private.worker._worker_logs_enabled = False
