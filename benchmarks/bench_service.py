"""The service under load, beside the analyzer called directly in the same run.

    python benchmarks/bench_service.py
    python benchmarks/bench_service.py --flat 20000

The first table has requests a second and the time of an answer for 1, 8 and 64 clients, and how
much longer a picture takes than in `FaceAnalyzer.analyze_many`; both sides take turns. On a busy
machine the ratio of processor time is the one to look at. The second table tells what well-behaved
clients notice of others that behave badly. --flat prints the memory of the service over so many
requests. Clients and service share the cores.
"""

import argparse
import http.client
import io
import random
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import psutil
from PIL import Image

from minixception import FaceAnalyzer

ROOT = Path(__file__).parents[1]
PATH = "/v1/faces"
CLIENTS = (1, 8, 64)
COMPARED = 8  # clients
WELL_BEHAVED = 2  # clients beside those that are not


@contextmanager
def service() -> Iterator[tuple[str, int, psutil.Process]]:
    """Give host, port and process of a service."""
    command = [sys.executable, str(ROOT / "src" / "serve_faces.py"), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    address = urlsplit(process.stdout.readline().split(" ")[0])
    try:
        yield str(address.hostname), int(address.port or 0), psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait()


def ask(
    place: tuple[str, int], content: bytes, count: int, clients: int, seconds: list[float]
) -> None:
    """Let clients send a picture `count` times in all; append the seconds of each answer."""
    left, lock = iter(range(count)), threading.Lock()

    def work() -> None:
        connection = http.client.HTTPConnection(*place, timeout=120)
        while True:
            with lock:
                if next(left, None) is None:
                    return
            start = time.perf_counter()
            connection.request("POST", PATH, content, {"Content-Type": "image/jpeg"})
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200, answer.status
            seconds.append(time.perf_counter() - start)

    with ThreadPoolExecutor(clients) as pool:
        for done in [pool.submit(work) for _ in range(clients)]:
            done.result()


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that something takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def spent_by(process: psutil.Process) -> float:
    """Return the seconds of the processor that a process has used."""
    times = process.cpu_times()
    return times.user + times.system


def compare(
    place: tuple[str, int], content: bytes, requests: int, rounds: int, process: psutil.Process
) -> None:
    """Print the first table."""
    analyzer = FaceAnalyzer()

    def directly() -> list[object]:
        return list(analyzer.analyze_many([content] * requests))

    directly()  # both are warm after this
    ask(place, content, requests, COMPARED, [])
    ratios, shares, this = [], [], psutil.Process()
    print("| clients | requests a second | p50 ms | p95 ms | p99 ms |\n|---|---|---|---|---|")
    for clients in CLIENTS:
        times: list[float] = []
        spent = 0.0
        for _ in range(rounds):
            before = spent_by(process)
            one = timed(partial(ask, place, content, requests, clients, times))
            spent += one
            if clients == COMPARED:
                used, start = spent_by(process) - before, spent_by(this)
                ratios.append(one / timed(directly))
                shares.append(used / (spent_by(this) - start))
        shown = " | ".join(f"{1000 * np.percentile(times, each):.0f}" for each in (50, 95, 99))
        print(f"| {clients} | {len(times) / spent:.1f} | {shown} |", flush=True)
    for name, values in (("time", ratios), ("processor time", shares)):
        print(
            f"service / direct, {COMPARED} clients, {name}, {rounds} rounds: median "
            f"{np.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"
        )


def send(place: tuple[str, int], *parts: bytes, pause: float = 0.0, wait: bool = True) -> None:
    """Send the parts of a request, and read an answer or hang up."""
    with socket.create_connection(place, timeout=30) as connection:
        for part in parts:
            connection.sendall(part)
            time.sleep(pause)
        if wait:
            connection.recv(1000)


def head(length: int, kind: str = "image/jpeg") -> bytes:
    """Return the head of a request."""
    lines = (f"POST {PATH} HTTP/1.1", "Host: a", f"Content-Type: {kind}")
    return "\r\n".join((*lines, f"Content-Length: {length}", "", "")).encode()


def form(content: bytes, count: int) -> bytes:
    """Return a form with so many pictures."""
    parts = (
        f'--x\r\nContent-Disposition: form-data; name="p"; filename="{n}"\r\n\r\n'.encode()
        + content
        + b"\r\n"
        for n in range(count)
    )
    return b"".join((*parts, b"--x--\r\n"))


def bomb() -> bytes:
    """Return a PNG of 170 million pixels in 200 kB."""
    file = io.BytesIO()
    Image.new("L", (17000, 10000)).save(file, format="PNG")
    return file.getvalue()


def watch_others(place: tuple[str, int], content: bytes, requests: int) -> None:
    """Print the second table."""
    noise, pictures = random.Random(0).randbytes(200_000), form(content[:60_000], 100)
    large = bomb()
    behaviours: dict[str, Callable[[], None] | None] = {
        "nobody else": None,
        "sends slowly": lambda: send(place, head(5000), *[b"x"] * 200, pause=0.02, wait=False),
        "hangs up": lambda: send(place, head(len(content)) + content, pause=0.2, wait=False),
        "sends garbage": lambda: send(place, head(len(noise)) + noise),
        "speaks no HTTP": lambda: send(place, noise[:1000]),
        "a bomb": lambda: send(place, head(len(large), "image/png") + large),
        "100 pictures": lambda: send(
            place, head(len(pictures), "multipart/form-data; boundary=x") + pictures, wait=True
        ),
    }
    print("\n| beside 4 clients that ... | p50 ms | p95 ms | their requests |\n|---|---|---|---|")
    for name, behave in behaviours.items():
        stop, done = threading.Event(), [0]

        def misbehave(behave: Callable[[], None], stop: threading.Event, done: list[int]) -> None:
            while not stop.is_set():
                with suppress(OSError):  # refused before all was sent
                    behave()
                done[0] += 1

        threads = [
            threading.Thread(target=misbehave, args=(behave, stop, done), daemon=True)
            for _ in range(4 if behave else 0)
        ]
        for thread in threads:
            thread.start()
        times: list[float] = []
        ask(place, content, requests, WELL_BEHAVED, times)
        stop.set()
        for thread in threads:
            thread.join()
        shown = " | ".join(f"{1000 * np.percentile(times, each):.0f}" for each in (50, 95))
        print(f"| {name} | {shown} | {done[0]} |", flush=True)


def watch_memory(
    place: tuple[str, int], content: bytes, requests: int, process: psutil.Process
) -> None:
    """Print the memory of the service while it answers."""
    image = Image.open(io.BytesIO(content)).convert("RGB")
    image.thumbnail((200, 200))
    file = io.BytesIO()
    image.save(file, format="JPEG")
    print("\n| requests | resident MB |\n|---|---|")
    for tenth in range(11):
        if tenth:
            ask(place, file.getvalue(), requests // 10, COMPARED, [])
        print(f"| {tenth * (requests // 10)} | {process.memory_info().rss / 1e6:.0f} |", flush=True)


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--picture", type=Path, default=ROOT / "images" / "portraits.jpg")
    parser.add_argument("--requests", type=int, default=100, help="in each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--flat", type=int, default=0, metavar="N", help="requests for the memory")
    arguments = parser.parse_args()
    content = arguments.picture.read_bytes()
    with service() as (host, port, process):
        place = (host, port)
        if arguments.flat:
            watch_memory(place, content, arguments.flat, process)
            return
        compare(place, content, arguments.requests, arguments.rounds, process)
        watch_others(place, content, arguments.requests)


if __name__ == "__main__":
    main()
