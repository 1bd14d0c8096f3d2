"""What users read besides results: plain text, quiet libraries, the extra that has a package."""

import importlib.util
import io
import logging
import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, TextIO, TypeVar

_Step = TypeVar("_Step")

_LOGGER = logging.getLogger(__name__)
_SECONDS_BETWEEN_REPORTS = 10.0

# Terminal controls, also those of the 8-bit ESC sequences, and marks of writing direction.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
# The beginnings of a formula; Excel takes the wide characters, too.
_FORMULA = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")


def printable(text: str) -> str:
    r"""Return a text that is safe for a terminal; tabs and line breaks stay.

    Names, messages and cards may come from anybody and may clear the screen, or worse.

    >>> printable("a\x1b[2Jb.jpg")
    'a\\x1b[2Jb.jpg'
    """
    return _CONTROLS.sub(lambda found: repr(found[0])[1:-1], text)


def one_line(name: object) -> str:
    r"""Return a name, such as a path, that is safe within a line.

    >>> one_line("a\nb.jpg: 5 faces")
    'a\\nb.jpg: 5 faces'
    """
    return printable(str(name)).replace("\n", "\\n")


def plain_json(text: str) -> str:
    r"""Return the same JSON with the characters that `printable` removes written as escapes."""
    return _CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def csv_cell(value: Any) -> Any:
    """Return a value that is safe in a CSV file: no spreadsheet takes text for a formula.

    Text is made `printable`, with an apostrophe if it begins like a formula; numbers stay.

    >>> [csv_cell(value) for value in ("=1+1", "a=b", -0.5)]
    ["'=1+1", 'a=b', -0.5]
    """
    if not isinstance(value, str):
        return value
    text = printable(value)
    return f"'{text}" if value.startswith(_FORMULA) else text


def as_text(name: str) -> str:
    r"""Return a file name as written to CSV files, with \udcff for what is not UTF-8."""
    return str(csv_cell(name.encode(errors="backslashreplace").decode()))


def counted(count: float, noun: str) -> str:
    """Return a number with its noun.

    >>> counted(1, "picture"), counted(2, "picture"), counted(0, "entry")
    ('1 picture', '2 pictures', '0 entries')
    """
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{count} {noun if count == 1 else plural}"


def with_reports(steps: Sequence[_Step], done: str) -> Iterator[_Step]:
    """Yield the steps of a long job; log every ten seconds how many are `done`, such as "read"."""
    began = told_at = time.monotonic()
    for number, step in enumerate(steps):
        if time.monotonic() - told_at > _SECONDS_BETWEEN_REPORTS:
            told_at = time.monotonic()
            left = (told_at - began) / max(number, 1) * (len(steps) - number)
            _LOGGER.info("%d of %d %s, %.0f s left", number, len(steps), done, left)
        yield step


class PlainStream:
    """Writes what is `printable` to a stream, and is like that stream otherwise.

    A stream that is full or has been closed by its reader gets nothing more; the work goes on.

    Attributes:
        unfiltered: the stream, for progress bars and the like.
        failure: why it could not be written to, if so.
    """

    def __init__(self, unfiltered: TextIO) -> None:
        self.unfiltered = unfiltered
        self.failure: OSError | None = None

    def write(self, text: str) -> int:
        """Write a text; see `printable`."""
        self._attempt(self.unfiltered.write, printable(text))
        return len(text)

    def flush(self) -> None:
        """Write what is waiting to be written."""
        self._attempt(self.unfiltered.flush)

    def _attempt(self, act: Callable[..., object], *arguments: str) -> None:
        if self.failure is None:
            try:
                act(*arguments)
            except OSError as error:
                self.failure = error

    def __getattr__(self, name: str) -> Any:
        return getattr(self.unfiltered, name)


def unfiltered(stream: Any) -> Any:
    """Return the stream behind a `PlainStream`; any other stream is returned as it is."""
    return getattr(stream, "unfiltered", stream)


@contextmanager
def plain_streams() -> Iterator[None]:
    """Inside the block, print plain text, to nowhere if standard output or error is closed.

    They are closed in a daemon and in a program with windows. There the next file to be opened
    would get the descriptor of the closed stream, and what compiled libraries write to it.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    before = sys.stdout, sys.stderr
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        for name, stream in zip(("stdout", "stderr"), before, strict=True):
            if isinstance(stream, io.TextIOWrapper):
                with suppress(ValueError):  # closed
                    # A file name that the terminal cannot show is no reason to fail.
                    stream.reconfigure(errors="backslashreplace")
            setattr(sys, name, PlainStream(nowhere if is_closed(stream) else stream))
        try:
            yield
        finally:
            sys.stdout, sys.stderr = before


def is_closed(stream: TextIO | None) -> bool:
    """Return whether a stream is closed; None stands for one that was never open."""
    return stream is None or bool(getattr(stream, "closed", False))


def hush() -> Callable[[], None]:
    """Discard what compiled libraries write to standard error; return a function to undo that.

    TensorFlow, CUDA, XNNPACK and LiteRT write messages to descriptor 2, mostly before, or without,
    any setting that could stop them. What Python writes to `sys.stderr` is still shown, except
    TensorFlow's log below errors.
    """
    log = logging.getLogger("tensorflow")
    log.addFilter(_is_error)  # TensorFlow sets the level itself when it is imported
    try:
        terminal = os.dup(2)
    except OSError:
        # Started without one: the next file to be opened would get its descriptor.
        sys.stderr = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")
        return lambda: log.removeFilter(_is_error)
    python = sys.stderr
    if _writes_to_descriptor_2(python):
        python.flush()
        second = _second_stream(python.encoding, python.errors or "backslashreplace")
        sys.stderr = type(python)(second) if isinstance(python, PlainStream) else second
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)

    def undo() -> None:
        log.removeFilter(_is_error)
        hushed, sys.stderr = sys.stderr, python
        os.dup2(terminal, 2)
        os.close(terminal)
        hushed.flush()

    return undo


def _is_error(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.ERROR


def _writes_to_descriptor_2(stream: TextIO | None) -> bool:
    """Return whether a stream would be silenced, too; those of tests and notebooks would not."""
    try:
        return stream is not None and stream.fileno() == 2
    except (OSError, ValueError):
        return False


@lru_cache(maxsize=1)
def _second_stream(encoding: str, errors: str) -> TextIO:
    """Return a stream to where descriptor 2 led at first; it stays open, since logging keeps it."""
    return os.fdopen(os.dup(2), "w", buffering=1, encoding=encoding, errors=errors)


EXTRAS = {
    **dict.fromkeys(("h5py", "keras", "matplotlib", "scipy", "sklearn", "tensorflow"), "train"),
    **dict.fromkeys(("onnxruntime", "tf2onnx"), "onnx"),
    "av": "video",
    "pandas": "pandas",  # `parquet` and `train` bring it too
    "pyarrow": "parquet",  # `cluster` brings it too
    "ray": "cluster",
    **dict.fromkeys(("fastapi", "fastapi_offline", "prometheus_client", "uvicorn"), "serve"),
}
"""Name of an imported package -> the extra that brings it."""


def require(*packages: str, what: str = "this") -> None:
    """Raise ModuleNotFoundError if a package that a job needs is not installed.

    `packages` are keys of `EXTRAS` that one extra brings. The message names those missing, their
    extra, and `what` option or job needs them.
    """
    missing = [package for package in packages if importlib.util.find_spec(package) is None]
    if missing:
        raise ModuleNotFoundError(describe_missing(*missing, what=what), name=missing[0])


def describe_missing(*packages: str, what: str = "this") -> str:
    """Return the message for a user who lacks packages, which one extra brings.

    >>> describe_missing("keras")
    'this needs keras. Run: pip install "minixception[train]"'
    """
    names, extra = " and ".join(packages), EXTRAS[packages[0]]
    return f'{what} needs {names}. Run: pip install "minixception[{extra}]"'


def explained(error: ModuleNotFoundError) -> ModuleNotFoundError:
    """Return the error with the extra to install, if it is about a package of `EXTRAS`."""
    if error.name not in EXTRAS or str(error) != f"No module named {error.name!r}":
        return error
    return ModuleNotFoundError(describe_missing(error.name), name=error.name)


def explain(error: BaseException) -> str:
    """Return one line for the user: what is wrong, and with which file.

    >>> explain(FileNotFoundError(2, "No such file or directory", "photo.jpg"))
    'photo.jpg: No such file or directory'
    >>> explain(MemoryError())
    'too little memory is free'
    """
    if isinstance(error, FileExistsError) and error.filename is not None:
        return f"{error.filename} is in the way: it is a file, and a folder is needed"
    if isinstance(error, ModuleNotFoundError):
        error = explained(error)
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename2 or error.filename}: {error.strerror}"
    nameless = "too little memory is free" if isinstance(error, MemoryError) else ""
    return " ".join(str(error).split()) or nameless or type(error).__name__
