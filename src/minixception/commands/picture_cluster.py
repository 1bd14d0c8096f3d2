"""`minixception image --cluster`: a folder of parts, written by the workers of a Ray cluster."""

import argparse
import io
import shlex
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from functools import partial
from itertools import chain
from pathlib import Path

from minixception.cluster.parts import Job, PartWorker, begin_job, part_name, part_numbers, read_job
from minixception.cluster.places import Folder
from minixception.cluster.sessions import connected
from minixception.cluster.work import core_count, work_through
from minixception.commands.options import check_job, describe_rows, load_analyzer, refuse_together
from minixception.commands.outputs import check_folder
from minixception.commands.picture_paths import FoundFiles, find_files
from minixception.commands.picture_report import Report
from minixception.commands.run_control import StopRequest
from minixception.inference.tables import Outcome, Table
from minixception.locks import own_folder
from minixception.messages import counted, explain, require


def run_on_cluster(arguments: argparse.Namespace, tables: Mapping[str, Path | str]) -> int:
    """Find the pictures or the job to resume, have it done, and return the exit code."""
    form, target = _check_options(arguments, tables)
    analyzer, folder = load_analyzer(arguments), Folder(str(target))
    table = Table(form, Path(target), analyzer.class_names)
    options = {"PATH": shlex.join(map(str, arguments.pictures)), "the table": f"--{form}"}
    options |= describe_rows(arguments, analyzer)
    stop = StopRequest()
    with ExitStack() as held:
        if isinstance(target, Path):
            held.enter_context(own_folder(target))
        if job := read_job(folder):
            holds = f"a job of {counted(len(job.items), 'picture')}"
            check_job(folder.name, holds, job.options, options, resume=arguments.resume)
        held.callback(folder.clear)  # of workers that were killed
        found = FoundFiles() if job else find_files(arguments.pictures)
        named = dict.fromkeys([*map(str, found.places), *found.urls])
        pictures = job.items if job else list(named)
        if not pictures:
            return 1
        done = _read_done(job, folder, table) if job else {}
        outcomes = chain.from_iterable(done.values())
        report = Report(len(pictures), done=outcomes, shows_progress=not arguments.quiet)
        if job is None or len(done) < len(job.parts):
            if job:
                print(f"continuing after {report.done} of {counted(len(pictures), 'picture')}")
            held.enter_context(connected(arguments.cluster, verbose=arguments.verbose))
            held.enter_context(stop)  # after Ray, which has a handler of its own
            job = job or begin_job(folder, options, pictures, workers=core_count())
            is_face = arguments.whole_picture
            make_worker = partial(PartWorker, analyzer, table, folder, whole_picture=is_face)
            rest = [part for part in job.parts.items() if part[0] not in done]
            _do_rest(rest, make_worker, report, stop)
    return report.summarize([folder.name], None, stop) or int(bool(found.failures))


def _check_options(
    arguments: argparse.Namespace, tables: Mapping[str, Path | str]
) -> tuple[str, Path | str]:
    """Return form and folder of the parts; refuse options that do not go with a cluster."""
    require("ray", "pyarrow", what="--cluster")
    given = tables.keys() - {"json"}
    if len(given) != 1:
        raise ValueError("--cluster writes one folder: give one of --parquet, --csv, --jsonl")
    others = ["output", "bars", "json", "workers"] + ["engine"] * (arguments.engine != "litert")
    refuse_together(arguments, others, "--cluster")
    (form,) = given
    target = tables[form]
    if isinstance(target, Path):
        check_folder(target, f"--{form}")
    return form, target


def _read_done(job: Job, folder: Folder, table: Table) -> dict[int, list[Outcome]]:
    """Return the results of the pictures of each finished part; refuse a damaged one."""
    done = {}
    for number in sorted(part_numbers(folder, table.suffix) & job.parts.keys()):
        name = part_name(number, table.suffix)
        done[number] = [outcome for _, outcome in table.read(io.BytesIO(folder.read(name)))]
        if len(done[number]) != len(job.parts[number]):
            raise ValueError(f"{folder.name}/{name} is damaged: delete it to have it done again")
    return done


def _do_rest(
    parts: Sequence[tuple[int, Sequence[str]]],
    make_worker: Callable[[], PartWorker],
    report: Report,
    stop: StopRequest,
) -> None:
    """Do the parts and report their results; an OSError says how to go on."""
    left = dict(parts)
    try:
        with closing(report):
            for number, outcomes in work_through(make_worker, parts, stop=lambda: stop.number):
                del left[number]
                report.add(outcomes)
    except (OSError, RuntimeError) as error:
        message = explain(error)
        first = next(iter(left.values()), None)
        if isinstance(error, RuntimeError) and first:
            message += f"; it may be a picture of those from {first[0]} to {first[-1]}"
        if "--resume" not in message:
            message += "; what is done is kept, and the same command with --resume goes on"
        raise OSError(message) from error
