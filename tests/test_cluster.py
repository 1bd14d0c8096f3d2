"""Jobs on Ray, on this machine and on two nodes, and what befalls them. `make test-cluster`."""

import importlib.util
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest
from PIL import Image

from conftest import Run
from made_up_data import write_album
from minixception.commands import main
from minixception.messages import as_text
from own_process import started
from systems import for_test_cluster
from test_command_video_cluster import OPTIONS, write_film

pytestmark = [
    for_test_cluster,
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed"),
]

COUNT = 120
COMMAND = """
import sys
from minixception.cluster import work
from minixception.commands import main
work._PATIENCE = 2.0
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture(scope="module", autouse=True)
def private_ray() -> Iterator[None]:
    """Keep Ray from storing a token in the user's home, and from reporting what runs here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "disabled")
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_ENABLE_AUTO_CONNECT", "0")
        tests = Path(__file__).parent
        patch.setenv("PYTHONPATH", os.pathsep.join(map(str, (tests.parent / "src", tests))))
        yield


@pytest.fixture
def nodes() -> Iterator[Any]:
    """Give a cluster of a head and another node, with a core each."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"include_dashboard": False})
    cluster.add_node()
    yield cluster
    cluster.shutdown()


@pytest.fixture(scope="module")
def local(private_ray: None) -> Iterator[None]:
    """Start Ray here once for all tests to come."""
    from minixception.cluster.sessions import connected

    with connected("local"):
        yield


@pytest.fixture(scope="module")
def album(portraits: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with pictures of many, few and no faces, and four that cannot be read."""
    folder = tmp_path_factory.mktemp("shared") / "album"
    write_album(folder, Image.open(portraits).convert("RGB"), COUNT - 4)
    (folder / "b" / "=1+1.png").write_bytes(b"GIF89a")
    return folder


@pytest.fixture(scope="module")
def expected(album: Path) -> Path:
    """Return the folder of the tables that a job without a cluster writes."""
    folder = album.parent
    tables = [f"--{form}={folder / f'expected.{form}'}" for form in ("csv", "jsonl", "parquet")]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(["image", "album", "--no-draw", *tables]) == 1
    return folder


@pytest.fixture
def image(expected: Path, monkeypatch: pytest.MonkeyPatch, run: Run) -> Run:
    """Return a function that runs the command beside the album; some pictures always fail."""
    monkeypatch.chdir(expected)
    return partial(run, "image", code=1)


@pytest.fixture
def job(expected: Path) -> Callable[..., Any]:
    """Return a function that starts the command on the album as a process; see `started`."""
    return partial(started, "-c", COMMAND, "image", "album", cwd=expected)


def joined(folder: Path, form: str) -> bytes:
    """Return the parts of a folder as one table."""
    contents = [part.read_bytes() for part in sorted(folder.glob(f"part-*.{form}"))]
    header = contents[0].splitlines(keepends=True)[0] if form == "csv" else b""
    return header + b"".join(content.removeprefix(header) for content in contents)


def wait_for_parts(folder: Path, count: int, process: "subprocess.Popen[str]") -> None:
    """Wait until a job has written so many parts, and not all."""
    end = time.monotonic() + 120
    while len(list(folder.glob("part-*"))) < count:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.02)


def worker_of_these_nodes() -> psutil.Process:
    """Return a process that holds an analyzer, of a cluster that was started here."""
    below = psutil.Process().children(recursive=True)
    return next(one for one in below if "ray::MapWorker" in " ".join(one.cmdline()))


def test_on_this_machine(
    expected: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    import pandas

    monkeypatch.chdir(expected)
    assert main(["image", "album", "--cluster", "local", "--parquet", "local"]) == 1
    output = capfd.readouterr()
    assert output.out.startswith(f"{faces_in(expected)} faces in {COUNT} pictures\n")
    assert output.out.endswith("written to local\n")
    lines = [line for line in output.err.splitlines() if not line.startswith("picture ")]
    assert len(lines) == 5, lines  # four that cannot be read, and their number: nothing of Ray's
    frame = pandas.read_parquet(expected / "local")
    pandas.testing.assert_frame_equal(frame, pandas.read_parquet(expected / "expected.parquet"))
    assert {file.suffix for file in (expected / "local").iterdir()} == {".parquet", ".jsonl"}


def faces_in(expected: Path) -> int:
    import pandas

    return int(pandas.read_csv(expected / "expected.csv")["x"].count())


def test_a_worker_and_a_node_are_killed(
    job: Callable[..., Any], nodes: Any, expected: Path
) -> None:
    with job("--cluster", nodes.address, "--csv", "killed") as process:
        wait_for_parts(expected / "killed", 1, process)
        worker_of_these_nodes().kill()
        wait_for_parts(expected / "killed", 4, process)
        nodes.remove_node(next(iter(nodes.worker_nodes)), allow_graceful=False)
        output, messages = process.communicate(timeout=120)
    assert process.returncode == 1, messages
    assert output.startswith(f"{faces_in(expected)} faces in {COUNT} pictures\n")
    lines = [line for line in messages.splitlines() if not line.startswith("picture ")]
    assert len(lines) == 5, lines
    assert joined(expected / "killed", "csv") == (expected / "expected.csv").read_bytes()
    assert not list((expected / "killed").glob(".writing-*"))


@pytest.mark.usefixtures("local")
def test_a_killed_job_goes_on_with_what_is_missing(
    job: Callable[..., Any], image: Run, expected: Path
) -> None:
    folder = expected / "resumed"
    with job("--cluster", "local", "--jsonl", "resumed") as process:  # it is killed at the end
        wait_for_parts(folder, 2, process)
    before = {part: part.stat().st_mtime_ns for part in folder.glob("part-*")}
    options = ("album", "--cluster", "local", "--jsonl", "resumed")
    assert "add --resume to continue it" in image(*options).stderr
    said = image(*options, "--resume", "--min-face", "80").stderr
    assert "started with other options: --min-face was None, now 80" in said
    assert image(*options, "--resume").stdout.startswith("continuing after ")
    assert joined(folder, "jsonl") == (expected / "expected.jsonl").read_bytes()
    assert {part: part.stat().st_mtime_ns for part in before} == before
    output = image(*options, "--resume").stdout  # nothing is left, and Ray is not started
    assert output.startswith(f"{faces_in(expected)} faces in {COUNT} pictures\n")


@pytest.mark.usefixtures("local")
def test_the_head_is_lost(job: Callable[..., Any], image: Run, expected: Path) -> None:
    from ray.cluster_utils import Cluster

    nodes = Cluster(initialize_head=True, head_node_args={"include_dashboard": False})
    try:
        with job("--cluster", nodes.address, "--csv", "lost") as process:
            wait_for_parts(expected / "lost", 2, process)
            nodes.head_node.kill_gcs_server()
            _, messages = process.communicate(timeout=60)
    finally:
        nodes.shutdown()
    assert process.returncode == 1
    (message,) = [line for line in messages.splitlines() if not line.startswith("picture ")]
    assert message.startswith("minixception image: error: the head of the cluster, ")
    assert message.endswith("the same command with --resume goes on")
    image("album", "--cluster", "local", "--csv", "lost", "--resume")
    assert joined(expected / "lost", "csv") == (expected / "expected.csv").read_bytes()


class Worker:
    """Does what an item says, in a process of the cluster."""

    def __call__(self, item: str) -> tuple[str, int]:
        if item == "full":
            raise OSError(28, "No space left on device", "parts/part-000001.csv")
        if item == "crash":
            os.kill(os.getpid(), signal.SIGKILL)
        if item == "slow":
            time.sleep(60)
        return item, os.getpid()


@pytest.mark.usefixtures("local")
def test_items_that_cannot_be_done() -> None:
    from minixception.cluster.work import work_through

    items = [str(number) for number in range(10)]
    assert {item for item, _ in work_through(Worker, items)} == set(items)
    with pytest.raises(OSError, match=r"^parts/part-000001.csv: No space left on device$"):
        list(work_through(Worker, [*items, "full"]))
    with pytest.raises(RuntimeError, match="the cluster gave up: "):
        list(work_through(Worker, [*items, "crash"]))
    asked = iter([0, 0, 1])
    assert list(work_through(Worker, ["slow"], stop=lambda: next(asked))) == []


@pytest.mark.usefixtures("local")
def test_other_file_systems(image: Run, expected: Path) -> None:
    """`file` is Arrow's own, `local` comes by fsspec; a host is part of neither."""
    url = f"local://{expected}"
    paths = (f"{url}/album/a", f"{url}/album/b/*.[jp][pn]g")
    options = (*paths, "--cluster", "local", "--csv", f"file://{expected}/from urls")
    assert "4 of 120 pictures failed." in image(*options).stderr
    given = joined(expected / "from urls", "csv").replace(f"{url}/".encode(), b"")
    assert given == (expected / "expected.csv").read_bytes()
    assert "holds a job of 120 pictures" in image(*options).stderr


@pytest.mark.usefixtures("local")
def test_films_have_the_tables_of_one_pass(tmp_path: Path, run: Run) -> None:
    films, tables, whole = (tmp_path / name for name in ("films", "tables", "whole.csv"))
    films.mkdir()
    for name in ("a.mp4", "b.mkv"):
        write_film(films / name, seconds=35)
    run("video", films, "--cluster", "local", "--csv", tables, *OPTIONS)
    for film in films.iterdir():
        run("video", film, "--csv", whole, *OPTIONS)
        assert (tables / f"{film.stem}.csv").read_bytes() == whole.read_bytes()


@pytest.mark.usefixtures("local")
def test_a_dataset_gives_the_rows_of_the_command(expected: Path) -> None:
    import pandas
    import ray

    from minixception.cluster import analyze

    known = pandas.read_parquet(expected / "expected.parquet")
    known["picture"] = as_text(f"{expected}/") + known["picture"]
    known["error"] = as_text(f"{expected}/") + known["error"]
    known = known.sort_values(["picture", "x"], ignore_index=True)
    # Ray leaves out the line break of a name.
    paths = [str(path) for path in (expected / "album").rglob("*.*") if "\n" not in path.name]
    known = known[known["picture"].isin(paths)].reset_index(drop=True)

    files = ray.data.read_binary_files(paths, include_paths=True)
    files = files.add_column("folder", folder_names)
    faces = analyze(files, workers=1).materialize()
    table = faces.to_pandas().sort_values(["picture", "x"], ignore_index=True)
    assert list(table.columns) == ["folder", *known.columns]
    check_rows(table, known)
    assert list(table["folder"]) == [Path(picture).parent.name for picture in known["picture"]]
    counts = faces.groupby("emotion", num_partitions=2).count().to_pandas()
    found = dict(zip(counts["emotion"], counts["count()"], strict=True))
    for label, count in known.groupby("emotion").size().items():
        assert found[label] == count

    some = ray.data.from_items([{"path": path} for path in sorted(paths)[:12]])
    table = analyze(some, workers=1, batch_size=5).to_pandas()
    check_rows(table, known[known["picture"].isin(sorted(paths)[:12])])


def folder_names(batch: Any) -> list[str]:
    return [Path(path).parent.name for path in batch["path"]]


def check_rows(table: Any, known: Any) -> None:
    """Compare tables that may have other kinds of columns: Arrow's where pandas has its own."""
    rows = [
        frame.astype(object).where(frame.notna(), None).to_numpy().tolist()
        for frame in (table[known.columns].sort_values(["picture", "x"]), known)
    ]
    assert rows[0] == rows[1]
