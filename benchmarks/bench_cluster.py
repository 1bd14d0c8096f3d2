"""A folder of small pictures by `--cluster` beside `--workers`, in turn; writes docs/scaling.md.

    python benchmarks/bench_cluster.py
    python benchmarks/bench_cluster.py --pictures 200 --rounds 1 --output /tmp/scaling.md

Every command is timed as a user has it, from its start to its end. A second node is another Ray
node on this machine, with cores of its own: `--workers 2`, two cores of one node and two nodes with
a core each have the same cores. What stands between the two marks in the page is replaced, the rest
stays.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

from minixception.checkpoints.engines import available_cores
from minixception.cluster.parts import choose_part_size
from minixception.files import atomic_path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "scaling.md"
MARKS = "<!-- written by benchmarks/bench_cluster.py -->", "<!-- end -->"
SIDE = (240, 320)  # of a picture
EMPTY_ITEMS = 300
# Of a cluster in the reckoning.
NODES, CORES = (1, 10, 100), 16
LISTED, FETCHED = 5_000, 5_500  # names, and files under one prefix, that S3 gives a second

Run = dict[str, float]


def make_album(folder: Path, count: int) -> None:
    """Write small JPEGs, most of them with a face or more, no two alike."""
    generator = np.random.default_rng(0)
    names = ("portraits", "astronaut", "grace_hopper")
    originals = [Image.open(ROOT / "images" / f"{name}.jpg").convert("RGB") for name in names]
    folder.mkdir()
    for number in range(count):
        original = originals[number % len(originals)]
        size = generator.uniform(0.5, 1.0) * np.array(original.size)
        x, y = generator.uniform(0, np.array(original.size) - size)
        picture = original.crop((int(x), int(y), int(x + size[0]), int(y + size[1])))
        picture.resize(SIDE[::-1]).save(folder / f"{number:06}.jpg", quality=90)


def run(*options: str) -> float:
    """Return the seconds that the command takes; all pictures can be read."""
    command = [sys.executable, "-m", "minixception", "image", *options, "--quiet"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    start = time.perf_counter()
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def cluster_run(album: Path, parts: Path, cluster: str) -> Run:
    """Return seconds in all, seconds from the first part to the last, and rows between them."""
    seconds = run(str(album), "--cluster", cluster, "--csv", str(parts))
    files = sorted(parts.glob("part-*"), key=lambda part: part.stat().st_mtime)
    rows = [part.read_bytes().count(b"\n") - 1 for part in files]
    steady = files[-1].stat().st_mtime - files[0].stat().st_mtime
    return {"seconds": seconds, "steady": steady, "steady rows": sum(rows[1:]), "rows": sum(rows)}


@contextmanager
def nodes(count: int) -> Iterator[str]:
    """Give the address of a cluster of nodes with a core each, on this machine."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"include_dashboard": False})
    for _ in range(count - 1):
        cluster.add_node()
    try:
        yield cluster.address
    finally:
        cluster.shutdown()


class Watch:
    """Looks at the processes of a job while it runs.

    Attributes:
        worker: most bytes of a worker that it shares with nobody.
        others: most bytes of all others together.
    """

    def __init__(self) -> None:
        self.worker = self.others = 0
        self._spent: dict[int, float] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    @property
    def seconds(self) -> float:
        """Seconds of the processor that all of them have used."""
        return sum(self._spent.values())

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(1.0):
            look = int(time.monotonic()) % 5 == 0  # it takes time itself to add up their memory
            others = 0
            for process in psutil.Process().children(recursive=True):
                with suppress(psutil.Error):
                    times = process.cpu_times()
                    self._spent[process.pid] = times.user + times.system
                    used = process.memory_full_info().uss if look else 0
                    if "ray::MapWorker" in " ".join(process.cmdline()):
                        self.worker = max(self.worker, used)
                    else:
                        others += used
            self.others = max(self.others, others)


class Nothing:
    """Does nothing with an item."""

    def __call__(self, item: int) -> int:
        """Give it back."""
        return item


def handed_out() -> float:
    """Return how many items a second Ray hands out that take no time."""
    from minixception.cluster.sessions import connected
    from minixception.cluster.work import work_through

    with connected("local"):
        results = work_through(Nothing, range(EMPTY_ITEMS))
        next(results)
        start = time.perf_counter()
        return sum(1 for _ in results) / (time.perf_counter() - start)


def measure(folder: Path, pictures: int, rounds: int) -> dict[str, list[Run]]:
    """Run everything in turn; return what -> its runs."""
    album = folder / "album"
    runs: dict[str, list[Run]] = {}
    make_album(album, pictures)
    for number in range(rounds):
        workers = str(available_cores())
        table = folder / f"{number}.csv"
        with Watch() as watch:
            seconds = run(str(album), "--no-draw", "--workers", workers, "--csv", str(table))
        rows = table.read_bytes().count(b"\n") - 1
        found = {"seconds": seconds, "rows": rows, "processor": watch.seconds}
        runs.setdefault("workers", []).append(found)
        with Watch() as watch:
            found = cluster_run(album, folder / f"local{number}", "local")
        found |= {"processor": watch.seconds, "worker": watch.worker, "others": watch.others}
        runs.setdefault("local", []).append(found)
        for count in (1, 2):
            with nodes(count) as address:
                found = cluster_run(album, folder / f"nodes{count}-{number}", address)
            runs.setdefault(f"nodes {count}", []).append(found)
        print(
            f"round {number + 1}: "
            + ", ".join(f"{k} {v[-1]['seconds']:.1f} s" for k, v in runs.items())
        )
    return runs


def median(runs: list[Run], name: str) -> float:
    """Return the median of a figure over the rounds."""
    return float(np.median([one[name] for one in runs]))


def ratio(runs: Mapping[str, list[Run]], name: str) -> str:
    """Return a figure of a job with `--cluster local` over that of one without."""
    pairs = zip(runs["workers"], runs["local"], strict=True)
    ratios = [after[name] / before[name] for before, after in pairs]
    found = f"{np.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
    return f"{found} times {median(runs['workers'], name):.0f}"


def steady_rate(runs: list[Run]) -> float:
    """Return rows a second without the start."""
    return float(np.median([one["steady rows"] / max(one["steady"], 1e-9) for one in runs]))


def describe(runs: Mapping[str, list[Run]], pictures: int, tasks: float, command: str) -> str:
    """Return the tables of the page."""
    cores, rounds = available_cores(), len(runs["workers"])
    titles = {
        "workers": f"`--workers {cores}`",
        "local": f"`--cluster local`, {cores} cores",
        "nodes 1": "one node, 1 core",
        "nodes 2": "two nodes, 1 core each",
    }
    lines = [
        f"Made by `{command}` at commit {commit()}: {pictures} JPEGs of {SIDE[1]} x {SIDE[0]} "
        f"pixels, {int(runs['workers'][0]['rows'])} rows, {rounds} rounds in which all take turns, "
        f"medians; {cores} cores.",
        "",
        "| job | seconds | rows per second, overall | rows per second, after the start |",
        "|---|---|---|---|",
    ]
    for name, title in titles.items():
        seconds = median(runs[name], "seconds")
        steady = f"{steady_rate(runs[name]):.0f}" if name != "workers" else ""
        rate = median(runs[name], "rows") / seconds
        lines.append(f"| {title} | {seconds:.1f} | {rate:.0f} | {steady} |")
    part = choose_part_size(pictures, cores)
    lines += [
        "",
        f"`--cluster local` takes {ratio(runs, 'seconds')} seconds of `--workers {cores}`, and "
        f"{ratio(runs, 'processor')} seconds of processor time, start and end included. A worker "
        f"has {median(runs['local'], 'worker') / 1e6:.0f} MB of memory of its own, all other "
        f"processes of the job together {median(runs['local'], 'others') / 1e6:.0f} MB. Ray hands "
        f"out {tasks:.0f} parts per second to {cores} idle workers; a part has {part} pictures "
        "here, and 1000 in a job of ten million.",
    ]
    return "\n".join([*lines, "", *reckon(runs, pictures, tasks)])


def reckon(runs: Mapping[str, list[Run]], pictures: int, tasks: float) -> list[str]:
    """Return the table of estimates."""
    rate = pictures / median(runs["nodes 1"], "rows") * steady_rate(runs["nodes 1"])
    lines = [
        f"**Estimated, not measured**, for nodes of {CORES} such cores and 10 million pictures:",
        "",
        "| nodes | pictures per second | minutes of work | parts per second | minutes of listing |",
        "|---|---|---|---|---|",
    ]
    for count in NODES:
        speed = count * CORES * rate
        lines.append(
            f"| {count} | {speed:.0f} | {1e7 / speed / 60:.0f} | {speed / 1000:.1f} | "
            f"{1e7 / LISTED / 60:.0f} |"
        )
    return [
        *lines,
        "",
        f"Ray's limit of {tasks:.0f} parts per second, of 1000 pictures each, would be reached at "
        f"{tasks * 1000 / rate:,.0f} cores. S3 lists {LISTED} names per second to one client, "
        f"which is work for {LISTED / rate:.0f} cores, and serves {FETCHED} files per second from "
        f"one prefix, work for {FETCHED / rate:.0f}.",
    ]


def commit() -> str:
    """Return the commit that is checked out."""
    command = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout.strip()


def write_page(page: Path, text: str) -> None:
    """Put the tables into the page, between the marks."""
    template = (page if page.is_file() else PAGE).read_text(encoding="utf-8")
    begin, end = MARKS
    pattern = re.compile(f"{re.escape(begin)}.*{re.escape(end)}", re.DOTALL)
    content, found = pattern.subn(lambda _: f"{begin}\n{text}\n{end}", template)
    assert found == 1, f"{page} has no marks {MARKS}"
    with atomic_path(page) as temporary:
        temporary.write_text(content, encoding="utf-8")
    print(f"written to {page}")


def main() -> None:
    """Measure, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pictures", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", type=Path, default=PAGE, metavar="FILE")
    arguments = parser.parse_args()
    os.environ.update(RAY_AUTH_MODE="disabled", RAY_USAGE_STATS_ENABLED="0")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT / "src"), str(Path(__file__).parent)])
    with tempfile.TemporaryDirectory() as folder:
        runs = measure(Path(folder), arguments.pictures, arguments.rounds)
    options = f"--pictures {arguments.pictures} --rounds {arguments.rounds}"
    command = f"python benchmarks/bench_cluster.py {options}"
    text = describe(runs, arguments.pictures, handed_out(), command)
    print(text)
    write_page(arguments.output, text)


if __name__ == "__main__":
    main()
