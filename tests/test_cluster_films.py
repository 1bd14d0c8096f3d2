"""Films on Ray itself: workers and a machine are lost, the tables are those of one pass."""

import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from systems import for_test_cluster
from test_command_video_cluster import OPTIONS, run_video, write_film

pytestmark = for_test_cluster
SLOW = ("--detect-every", "1")


@pytest.fixture(autouse=True)
def private_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep Ray from storing a token in the user's home, and from reporting what runs here."""
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1] / "src"))


def begin(films: Path, tables: Path, cluster: str) -> subprocess.Popen[str]:
    options = map(str, (*SLOW, *OPTIONS))
    arguments = ["video", str(films), "--cluster", cluster, "--csv", str(tables), *options]
    return subprocess.Popen(
        [sys.executable, "-m", "minixception", *arguments], text=True, stderr=subprocess.PIPE
    )


def assert_as_in_one_pass(films: Path, tables: Path, folder: Path) -> None:
    for film in films.iterdir():
        whole = folder / "whole.csv"
        assert run_video(film, "--csv", whole, *SLOW) == 0
        assert (tables / f"{film.stem}.csv").read_bytes() == whole.read_bytes()
    assert len(list(tables.rglob("*.csv"))) == len(list(films.iterdir()))


def wait_for(condition: Callable[[], Any], seconds: float = 60) -> Any:
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end
        time.sleep(0.2)
    return found


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("films")
    for name in ("a.mp4", "b.mkv"):
        write_film(folder / name, seconds=35)
    return folder


def test_a_killed_worker(films: Path, tmp_path: Path) -> None:
    psutil = pytest.importorskip("psutil")
    pytest.importorskip("ray")
    with begin(films, tmp_path / "out", "local") as job:

        def busy_worker() -> Any:
            for child in psutil.Process(job.pid).children(recursive=True):
                with suppress(psutil.Error):  # it may just have ended
                    is_worker = any("MapWorker" in word for word in child.cmdline())
                    if is_worker and child.cpu_times().user > 2:
                        return child
            return None

        wait_for(busy_worker).kill()
        said = job.communicate(timeout=120)[1]
        assert (job.returncode, "not done" in said) == (0, False), said
    assert_as_in_one_pass(films, tmp_path / "out", tmp_path)


def test_a_lost_machine_of_two(films: Path, tmp_path: Path) -> None:
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": 80 << 20}
    cluster = Cluster(initialize_head=True, head_node_args=node)
    try:
        second = cluster.add_node(**node)
        with begin(films, tmp_path / "out", cluster.address) as job:
            wait_for(lambda: list((tmp_path / "out").rglob("*.csv")), seconds=120)
            cluster.remove_node(second, allow_graceful=False)
            said = job.communicate(timeout=240)[1]
            assert job.returncode == 0, said
    finally:
        cluster.shutdown()
        ray.shutdown()
    assert_as_in_one_pass(films, tmp_path / "out", tmp_path)
