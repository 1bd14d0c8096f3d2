"""`minixception video --cluster`: a table for each film of a folder, made in parts on Ray."""

import argparse
import json
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from minixception.commands.hints import FILM_SUFFIXES, NOTHING_DECODED
from minixception.commands.options import load_analyzer
from minixception.commands.outputs import STANDARD_OUTPUT, check_folder
from minixception.commands.picture_paths import FoundPictures, files_below, paths_in_folder
from minixception.commands.row_options import check_row_options, describe_rows
from minixception.commands.run_control import Progress, StopRequest, Stopwatch
from minixception.files import atomic_path, count_suffixes, remove_leftovers
from minixception.locks import own_folder
from minixception.messages import explain, require

if TYPE_CHECKING:
    from minixception.cluster.films import FilmPart, PartResult
    from minixception.inference.analyzer import FaceAnalyzer

OPTIONS_FILE = "options.json"


def run_on_cluster(arguments: argparse.Namespace) -> int:
    """Have the films done that have no table yet; return the exit code."""
    _check_options(arguments)
    films, failures = find_films(Path(arguments.input))
    for failure in failures:
        print(f"not done: {failure}", file=sys.stderr)
    tables = paths_in_folder(films, arguments.csv, ending="", suffix=".csv")
    with own_folder(arguments.csv), StopRequest() as stop:
        for folder in {table.parent for table in tables.values()}:
            remove_leftovers(folder)
        job = _Job(arguments, tables, failures)
        job.run(stop)
        return job.summarize(stop.number)


def _check_options(arguments: argparse.Namespace) -> None:
    """Refuse options that a cluster has no use for, and what could not be written to."""
    from minixception.video.cameras import is_camera

    require("ray", "pyarrow", what="--cluster")
    require("av", what="a film")
    refused = [name for name in ("output", "plot", "explain") if getattr(arguments, name)]
    if refused:
        raise ValueError(f"--cluster writes tables: leave out --{refused[0]}")
    if "://" in arguments.input or is_camera(arguments.input):
        raise ValueError(f"--cluster takes a folder of films. Received: {arguments.input}")
    if arguments.csv is None or arguments.csv == STANDARD_OUTPUT:
        raise ValueError("--cluster needs --csv FOLDER, for a table of each film")
    check_folder(arguments.csv, "--csv")


def _keep_options(arguments: argparse.Namespace, analyzer: "FaceAnalyzer") -> None:
    """Write down what the rows depend on, and refuse to mix those of two jobs.

    Raises:
        FileExistsError: if the folder holds a job that is not to be resumed.
        ValueError: if that was begun with other options.
    """
    options = describe_rows(arguments, analyzer)
    path = arguments.csv / OPTIONS_FILE
    if not path.is_file():
        with atomic_path(path) as temporary:
            temporary.write_text(json.dumps(options), encoding="utf-8")
    elif arguments.resume:
        check_row_options(path.parent, json.loads(path.read_text(encoding="utf-8")), options)
    else:
        raise FileExistsError(
            f"{path.parent} holds tables of films: add --resume for those that have none yet, or "
            "name another folder"
        )


def find_films(path: Path) -> tuple[dict[Path, Path], list[str]]:
    """Return the films of a folder, or the one that is named, with their folders below it.

    Second comes a message for each folder that cannot be listed.

    Raises:
        ValueError: if there is none.
    """
    if not path.is_dir():
        return {path: Path()}, []
    found = FoundPictures()
    files = [file for file in files_below(path, found) if not file.name.startswith(".")]
    films = sorted(file for file in files if file.suffix.lower() in FILM_SUFFIXES)
    if others := sorted(set(files) - set(films)):
        print(f"left out as no films: {count_suffixes(others)}", file=sys.stderr)
    if not films and not found.failures:
        raise ValueError(f"{path}: no film found; films end in {', '.join(FILM_SUFFIXES)}")
    return {film: film.parent.relative_to(path) for film in films}, found.failures


class _Film:
    """The parts of a film, put together in order as they come."""

    def __init__(self, arguments: argparse.Namespace, columns: Sequence[str], table: Path) -> None:
        from minixception.commands.video_report import TABLE_FORM, Tracks

        self.lost = self.frames = 0
        self.remarks: dict[str, None] = {}  # in order, each once
        self.cuts: list[str] = []
        self.tracks = Tracks(
            smoothing_seconds=arguments.smoothing, lost_after_seconds=arguments.lost_after
        )
        self._waiting: dict[int, PartResult] = {}
        self._next, self._latest = 0, -1.0
        self.files = ExitStack()
        temporary = self.files.enter_context(atomic_path(table))
        file = self.files.enter_context(temporary.open("w", **TABLE_FORM))
        self.tracks.write_to(file, columns)

    def take(self, result: "PartResult") -> bool:
        """Take one more part; return whether it was the last that was missing."""
        self._waiting[result.part.number] = result
        while (part := self._waiting.pop(self._next, None)) is not None:
            self._next += 1
            self.lost += part.lost
            self.remarks |= dict.fromkeys(part.remarks)
            self.cuts += part.cuts
            for seconds, faces in part.frames:
                if seconds > self._latest:  # else the part before has it, past a broken key frame
                    self.tracks.add(faces, self.frames, seconds)
                    self.frames += 1
                    self._latest = seconds
        return self._next == result.part.count

    def drop(self) -> None:
        """Leave no table, as the film is not done."""
        unfinished = InterruptedError()
        self.files.__exit__(type(unfinished), unfinished, None)


class _Job:
    """One run: the films that are done, and those that cannot be."""

    def __init__(
        self, arguments: argparse.Namespace, tables: Mapping[Path, Path], failures: list[str]
    ) -> None:
        self._arguments = arguments
        self._tables = {str(film): table for film, table in tables.items()}
        self._failures = failures
        self._done = 0
        self._films: dict[str, _Film] = {}
        self._failed: set[str] = set()

    def run(self, stop: StopRequest) -> None:
        """Cut the films, have their parts done, and write their tables."""
        from minixception.cluster.films import make_part_worker
        from minixception.cluster.sessions import connected
        from minixception.cluster.work import work_through

        arguments = self._arguments
        analyzer = load_analyzer(arguments)
        _keep_options(arguments, analyzer)
        self._columns = analyzer.columns
        parts = self._cut()
        make_worker = partial(
            make_part_worker, analyzer, detect_every=arguments.detect_every, folder=str(Path.cwd())
        )
        stopwatch = Stopwatch()
        progress = Progress(len(parts), stopwatch, shown=not arguments.quiet, item="part")
        with ExitStack() as stack:
            stack.callback(progress.close)
            stack.callback(self._drop_unfinished)
            if parts:
                stack.enter_context(connected(arguments.cluster, verbose=arguments.verbose))
                results = work_through(make_worker, parts, stop=lambda: stop.number)
                for number, result in enumerate(stopwatch.each("parts", results)):
                    self._take(result)
                    progress.update(number + 1)

    def _cut(self) -> "list[FilmPart]":
        from minixception.cluster.films import cut_film

        parts: list[FilmPart] = []
        for film, table in self._tables.items():
            if self._arguments.resume and table.is_file():
                self._done += 1
                continue
            try:
                parts += cut_film(film)
            except (OSError, ValueError) as error:
                self._fail(film, explain(error))
        if self._done:
            print(f"continuing after {self._done} of {len(self._tables)} films")
        return parts

    def _take(self, result: "PartResult") -> None:
        name = result.part.film
        if name in self._failed:
            return
        if result.error is not None:
            self._fail(name, result.error)
            return
        if name not in self._films:
            self._films[name] = _Film(self._arguments, self._columns, self._tables[name])
        film = self._films[name]
        if not film.take(result):
            return
        if film.frames == 0:
            self._fail(name, f"{name}: {NOTHING_DECODED}")
            return
        del self._films[name]
        film.files.close()
        self._done += 1
        self._tell(name, film)

    def _tell(self, name: str, film: _Film) -> None:
        from minixception.video.reader import describe_lost

        remarks = () if self._arguments.quiet else film.remarks
        for remark in (*remarks, *describe_lost(name, film.lost, film.frames), *film.cuts):
            print(remark, file=sys.stderr)
        faces = len(film.tracks.histories)
        print(f"{name}: {film.frames} frames, {faces} faces, written to {self._tables[name]}")

    def _fail(self, name: str, reason: str) -> None:
        reason = reason if name in reason else f"{name}: {reason}"
        self._failures.append(f"not done: {reason}")
        self._failed.add(name)
        print(self._failures[-1], file=sys.stderr)
        if name in self._films:
            self._films.pop(name).drop()

    def _drop_unfinished(self) -> None:
        while self._films:
            self._films.popitem()[1].drop()

    def summarize(self, stop: int) -> int:
        """Say how the job ended; return the exit code."""
        total = len(self._tables)
        if self._failures:
            print(f"{len(self._failures)} of {total} films could not be done.", file=sys.stderr)
        if stop and self._done + len(self._failed) < total:
            name, count = signal.Signals(stop).name, f"{self._done} of {total}"
            print(f"stopped by {name} after {count} films; add --resume to go on", file=sys.stderr)
            return 128 + stop
        return 1 if self._failures else 0
