"""What a long run needs: a way to stop it, and a progress report."""

import math
import signal
import sys
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from types import FrameType
from typing import Any

from minixception.messages import unfiltered


class StopRequest:
    """Lets Ctrl-C and a plain `kill` end the run after the current frame or picture.

    A second Ctrl-C interrupts at once. A signal that was ignored, as after `nohup`, stays ignored.

    `then` is called when the first comes, to end what might wait for long.

    Attributes:
        number: the signal received, 0 if none.
    """

    def __init__(self, then: Callable[[], None] = lambda: None) -> None:
        self.number = 0
        self._then = then
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> "StopRequest":
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)  # Windows has no SIGHUP
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                self._previous[number] = signal.signal(number, self._remember)
        return self

    def __exit__(self, *_: object) -> None:
        self._restore()

    def tell(self, after: str) -> int:
        """Print which signal ended the run, and after what; return the exit code."""
        print(f"stopped by {signal.Signals(self.number).name} after {after}", file=sys.stderr)
        return 128 + self.number

    def _remember(self, number: int, _: FrameType | None) -> None:
        self.number = number
        self._restore()
        self._then()

    def _restore(self) -> None:
        while self._previous:
            signal.signal(*self._previous.popitem())


class Progress:
    """Shows progress on stderr: one changing line on a terminal, else a line every ten seconds.

    If stderr goes away, as when a terminal closes, the run continues.

    `total` is the number of items, 0 if unknown, and `item` their name.
    """

    def __init__(self, total: int, *, shown: bool, item: str = "frame") -> None:
        self._total = total
        self._shown = shown
        self._item = item
        self._on_terminal = sys.stderr.isatty()
        self._file = unfiltered(sys.stderr)
        self._told_at = time.perf_counter()
        self._recent: deque[tuple[float, int]] = deque(maxlen=30)

    def rate(self) -> float:
        """Return the items per second of the last 30 updates, 0 before the second."""
        if len(self._recent) < 2:
            return 0.0
        (start, before), (end, done) = self._recent[0], self._recent[-1]
        return (done - before) / (end - start)

    def update(self, done: int) -> None:
        """Take the number of items done so far, and show it if it is time to."""
        now = time.perf_counter()
        self._recent.append((now, done))
        if not self._shown or now - self._told_at < (0.2 if self._on_terminal else 10.0):
            return
        self._told_at = now
        rate = self.rate()
        total = f" of {self._total}" if self._total else ""
        text = f"{self._item} {done}{total}, {rate:.1f} {self._item}s per second"
        if rate and done < self._total:
            text += f", {timedelta(seconds=math.ceil((self._total - done) / rate))} left"
        self._print(f"\r{text:<75}" if self._on_terminal else f"{text}\n")

    def close(self) -> None:
        """Clear the line on a terminal."""
        if self._shown and self._on_terminal:
            self._print(f"\r{'':<75}\r")

    def _print(self, text: str) -> None:
        with suppress(OSError):
            print(text, end="", file=self._file, flush=True)
