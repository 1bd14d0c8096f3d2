"""`minixception video --cluster`: a table for each film of a folder, made in parts on Ray."""

import argparse
import json
import sys
from collections.abc import Generator, Mapping
from contextlib import closing
from functools import partial
from pathlib import Path

from minixception.cluster.films import FilmPart, cut_film, make_part_worker
from minixception.cluster.sessions import connected
from minixception.cluster.work import work_through
from minixception.commands.options import (
    check_job,
    describe_rows,
    load_analyzer,
    refuse_together,
)
from minixception.commands.outputs import check_folder
from minixception.commands.picture_paths import find_files, paths_in_folder
from minixception.commands.run_control import Progress, StopRequest
from minixception.commands.video_report import NOTHING_DECODED, TABLE_FORM, Tracks, make_tracker
from minixception.files import atomic_path
from minixception.inference.analyzer import FaceAnalyzer
from minixception.inference.picture_files import failure_of
from minixception.locks import own_folder
from minixception.messages import as_text, counted, require
from minixception.video.cameras import is_camera
from minixception.video.reader import describe_lost

OPTIONS_FILE = "options.json"
FILM_SUFFIXES = (
    *(".mp4", ".m4v", ".mov", ".mkv", ".avi", ".webm", ".mpg", ".mpeg", ".wmv", ".3gp", ".flv"),
    *(".ts", ".m2ts", ".mts", ".vob", ".dv", ".mxf", ".ogv", ".asf", ".m1v", ".m2v"),
)


def run_on_cluster(arguments: argparse.Namespace) -> int:
    """Have the videos done that have no table yet; return the exit code."""
    _check_options(arguments)
    found = find_files([Path(arguments.input)], kind="video", suffixes=FILM_SUFFIXES)
    if not found.places:
        return 1
    tables = paths_in_folder(found.places, arguments.csv, ending="", suffix=".csv")
    stop = StopRequest()
    with own_folder(arguments.csv):
        analyzer = load_analyzer(arguments)
        _keep_options(arguments, analyzer, tables)
        job = _Job(arguments, analyzer, tables)
        job.run(stop)
        return job.summarize(stop, unlisted=len(found.failures))


def _check_options(arguments: argparse.Namespace) -> None:
    """Refuse options that a cluster has no use for, and what could not be written to."""
    require("ray", "pyarrow", what="--cluster")
    make_tracker(arguments)  # refuses impossible times
    refuse_together(arguments, ("output", "plot", "explain", "bars"), "--cluster")
    if "://" in arguments.input or is_camera(arguments.input):
        raise ValueError(f"--cluster takes a folder of videos. Received: {arguments.input}")
    if arguments.csv is None:
        raise ValueError("--cluster needs --csv FOLDER, for a table of each video")
    check_folder(arguments.csv, "--csv")


def _keep_options(
    arguments: argparse.Namespace, analyzer: FaceAnalyzer, tables: Mapping[Path, Path]
) -> None:
    """Write down what the rows depend on, and refuse to mix those of two jobs.

    Videos that differ in folder or suffix may share the name of a table, so each table keeps its
    video. Others may be added.
    """
    options = {
        **describe_rows(arguments, analyzer),
        "FILE": str(Path(arguments.input).resolve()),
    }
    films = {str(table): str(film.resolve()) for film, table in tables.items()}
    path = arguments.csv / OPTIONS_FILE
    if path.is_file():
        try:
            then = json.loads(path.read_text(encoding="utf-8"))
            before = dict(then.pop("videos", {}))
        except (ValueError, TypeError, AttributeError) as error:
            raise ValueError(f"{path} is damaged: choose another folder for --csv") from error
        check_job(path.parent, "a job of videos", then, options, resume=arguments.resume)
        for table in before.keys() & films.keys():
            if before[table] != films[table] and Path(table).exists():
                raise ValueError(
                    f"{table} is of {as_text(before[table])}, and now would be of "
                    f"{as_text(films[table])}: delete it, or give another folder to --csv"
                )
        films = {**before, **films}
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps({**options, "videos": films}), encoding="utf-8")


class _Job:
    """One run: the videos that are done, and those that cannot be."""

    def __init__(
        self, arguments: argparse.Namespace, analyzer: FaceAnalyzer, tables: Mapping[Path, Path]
    ) -> None:
        self._arguments = arguments
        self._analyzer = analyzer
        self._tables = {str(film): table for film, table in tables.items()}
        self._done = 0
        self._failed: set[str] = set()
        self._films: dict[str, Generator[None, FilmPart, None]] = {}

    def run(self, stop: StopRequest) -> None:
        """Cut the videos, have their parts done, and write their tables."""
        arguments = self._arguments
        if not (parts := self._cut()):
            return
        every = arguments.detect_every
        make_worker = partial(make_part_worker, self._analyzer, detect_every=every)
        progress = Progress(len(parts), shown=not arguments.quiet, item="part")
        cluster = connected(arguments.cluster, verbose=arguments.verbose)
        # Signals after Ray, which has a handler of its own.
        with closing(progress), closing(self), cluster, stop:
            results = work_through(make_worker, parts, stop=lambda: stop.number)
            for number, part in enumerate(results, start=1):
                self._take(part)
                progress.update(number)

    def close(self) -> None:
        """Leave no table of the videos that are not done."""
        for film in self._films.values():
            film.close()

    def _cut(self) -> list[FilmPart]:
        parts: list[FilmPart] = []
        for film, table in self._tables.items():
            if self._arguments.resume and table.is_file():
                self._done += 1
                continue
            try:
                parts += cut_film(film)
            except (OSError, ValueError) as error:
                self._fail(film, failure_of(film, error))
        if self._done:
            print(f"continuing after {self._done} of {counted(len(self._tables), 'video')}")
        return parts

    def _take(self, part: FilmPart) -> None:
        if part.film in self._failed:
            return
        if part.film not in self._films:
            self._films[part.film] = self._write(part.film, part.count)
            next(self._films[part.film])
        try:
            self._films[part.film].send(part)
        except StopIteration:
            del self._films[part.film]
            self._done += 1
        except ValueError as error:
            self._fail(part.film, str(error))

    def _write(self, name: str, count: int) -> Generator[None, FilmPart, None]:
        """Write the table of a video, given its parts as they come; closed early, leave none."""
        waiting: dict[int, FilmPart] = {}
        frames, lost, latest = 0, 0, -1.0
        remarks: dict[str, None] = {}  # in order, each once
        with (
            atomic_path(self._tables[name]) as temporary,
            temporary.open("w", **TABLE_FORM) as file,
        ):
            tracks = Tracks(make_tracker(self._arguments), file, self._analyzer.columns)
            for number in range(count):
                while number not in waiting:
                    part = yield
                    if part.error is not None:
                        raise ValueError(part.error)
                    waiting[part.number] = part
                part = waiting.pop(number)
                lost += part.lost
                remarks |= dict.fromkeys(part.remarks)
                for seconds, faces in part.frames:
                    if seconds > latest:  # else the part before has it, past a broken key frame
                        tracks.add(faces, frames, seconds)
                        frames, latest = frames + 1, seconds
            if not frames:
                raise ValueError(f"{name}: {NOTHING_DECODED}")
        told = () if self._arguments.quiet else remarks
        for remark in (*told, *describe_lost(name, lost, frames), *part.cuts):
            print(remark, file=sys.stderr)
        seen = f"frames: {frames}, faces: {len(tracks.histories)}"
        print(f"{name}: {seen}, written to {self._tables[name]}")

    def _fail(self, name: str, reason: str) -> None:
        self._failed.add(name)
        print(f"not done: {reason}", file=sys.stderr)

    def summarize(self, stop: StopRequest, *, unlisted: int) -> int:
        """Say how the job ended, besides folders that cannot be listed; return the exit code."""
        total, failures = len(self._tables), unlisted + len(self._failed)
        videos = counted(total, "video")
        if failures:
            print(f"{failures} of {videos} could not be done.", file=sys.stderr)
        if stop.number and self._done + len(self._failed) < total:
            return stop.tell(f"{self._done} of {videos}; add --resume to continue")
        return 1 if failures else 0
