"""Find the faces in pictures, classify emotion and gender, and draw them.

    python src/image_emotion_gender_demo.py photo.jpg
    python src/image_emotion_gender_demo.py a.jpg b.png --output drawn/ --json faces.json
    python src/image_emotion_gender_demo.py holidays "scans/*.tif" --no-draw --csv faces.csv

PATH is a file, a folder (searched recursively, in sorted order) or a quoted pattern, where **
stands for any folders. Folders and patterns yield all files with a picture's suffix, except hidden
ones and those drawn by an earlier run. Drawn pictures keep their sub-folder, and a JPEG stays a
JPEG: drawn/sub/NAME_faces.jpg, or .png for other formats. If two pictures, such as a.png and
a.webp, would get the same name, a number is added: a_faces_2.png.

--csv, --jsonl and --parquet have a row per face with `picture`, `faces`, `error`, box, labels and
probabilities. Every picture has a row: if it shows no face, which is not an error, `faces` is 0 and
the rest is empty. If it cannot be read, the reason is in `error`; it is reported, the others are
done, and the exit code is 1. --json leaves out what cannot be read. If the file name is - (not for
Parquet), the table goes to standard output and everything else to standard error.

While the job runs, results are kept in a hidden file .NAME.part beside the first table. After
Ctrl-C, `kill -9` or a crash, the same command with --resume continues after the last complete
picture, and the tables end up the same, byte for byte, as without the interruption.

With --cluster, Ray's workers do the job and write many files into one folder, part-000000.csv and
so on, which together make up the table that a job without it writes. Nothing is drawn. Pictures and
folder may be on another file system, such as s3://BUCKET/FOLDER. --resume does the missing parts;
the list of pictures remains that of the first command.
"""

import argparse
from collections.abc import Mapping
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from minixception.commands.options import (
    add_cluster_argument,
    add_detector_arguments,
    add_model_arguments,
    describe_rows,
    load_analyzer,
    path_or_url,
    refuse_together,
)
from minixception.commands.outputs import STANDARD_OUTPUT, TABLE_SUFFIXES, check_file, identity
from minixception.commands.picture_paths import find_files, output_paths
from minixception.commands.picture_report import FEW_PICTURES, Report
from minixception.commands.run_control import StopRequest
from minixception.locks import made, sole_writer
from minixception.messages import counted, require

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from minixception.inference.picture_files import PictureResult


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add = parser.add_argument
    paths = "picture files, folders, patterns; with --cluster also URLs"
    add("pictures", nargs="+", type=path_or_url, metavar="PATH", help=paths)
    drawn = "the drawn picture, or a folder for NAME_faces.jpg (default: the current folder)"
    add("--output", type=Path, metavar="FILE_OR_FOLDER", help=drawn)
    add("--no-draw", action="store_true", help="draw nothing")
    add("--bars", action="store_true", help="draw a bar per emotion")
    add("--json", type=Path, metavar="FILE", help="picture -> list of faces")
    for name, text in (
        ("csv", "a row per face"),
        ("jsonl", "a JSON object per face"),
        ("parquet", "a row per face; needs pyarrow"),
    ):
        text += "; with --cluster a folder or URL for many such files"
        add(f"--{name}", type=path_or_url, metavar="FILE", help=text)
    add("--resume", action="store_true", help="continue the tables of an interrupted job")
    default = f"the number of cores; 1 for up to {FEW_PICTURES} pictures, and with --engine keras"
    add(
        "--workers", type=int, metavar="N", help=f"pictures analyzed at a time (default: {default})"
    )
    whole = "the pictures are already cropped to a face: do not search them"
    add("--whole-picture", action="store_true", help=whole)
    add_cluster_argument(parser)
    add_model_arguments(parser)
    add_detector_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Find the pictures, analyze, draw, print, write; return the exit code."""
    tables = {
        name: path for name in TABLE_SUFFIXES if (path := getattr(arguments, name)) is not None
    }
    _check_options(arguments, tables)
    if arguments.cluster is not None:
        from minixception.commands.picture_cluster import run_on_cluster

        return run_on_cluster(arguments, tables)
    found = find_files(arguments.pictures, output=arguments.output)
    if not found.places:
        return 1
    outputs: dict[Path, Path | None] = dict.fromkeys(found.places)
    if not arguments.no_draw:
        outputs.update(output_paths(found.places, arguments.output))
    _check_outputs(tables, outputs)
    written = {arguments.output, *tables.values()} - {None, STANDARD_OUTPUT}
    with ExitStack() as held:
        places = {path.parent for path in (*outputs.values(), *tables.values()) if path is not None}
        for place in places:  # that of - is the current one
            held.enter_context(made(place))
        held.enter_context(sole_writer(*written))
        code = run_job(arguments, tables, outputs)
    return 1 if code == 0 and found.failures else code


def _check_options(arguments: argparse.Namespace, tables: Mapping[str, Path | str]) -> None:
    """Refuse options that contradict each other."""
    if arguments.no_draw:
        refuse_together(arguments, ("output", "bars"), "--no-draw")
    if arguments.whole_picture:
        detector_options = ("detector", "scale_factor", "min_neighbors", "min_face", "yunet")
        refuse_together(arguments, detector_options, "--whole-picture")
    if arguments.resume and (not tables or STANDARD_OUTPUT in tables.values()):
        raise ValueError("--resume continues tables in files: name one or more, and not -")
    if arguments.workers is not None and arguments.workers < 1:
        raise ValueError(f"--workers must be 1 or more. Received: {arguments.workers}")
    if arguments.engine == "keras" and arguments.workers != 1:  # it uses all cores for one picture
        refuse_together(arguments, ["workers"], "--engine keras")
    if arguments.cluster is not None:
        return
    places = (*arguments.pictures, *tables.values())
    if (url := next((place for place in places if isinstance(place, str)), None)) is not None:
        raise ValueError(f"URLs are read and written with --cluster only. Received: {url}")
    if "parquet" in tables:
        require("pyarrow", "pandas", what="--parquet")


def _check_outputs(tables: Mapping[str, Path], outputs: Mapping[Path, Path | None]) -> None:
    """Find out before the work what could not be written after it."""
    taken = {identity(picture): "a picture to read" for picture in outputs}
    drawn = [("output", path) for path in outputs.values() if path is not None]
    for name, path in [*drawn, *tables.items()]:
        if path != STANDARD_OUTPUT or name == "parquet":  # which is not written row by row
            check_file(path, f"--{name}", suffixes=TABLE_SUFFIXES.get(name, ()))
        use = taken.setdefault(identity(path), f"written by --{name}")
        if use != f"written by --{name}":
            raise ValueError(f"--{name} must be another file. Received: {path}, {use}")


def run_job(
    arguments: argparse.Namespace, named: Mapping[str, Path], outputs: Mapping[Path, Path | None]
) -> int:
    """Work through the pictures and finish the tables; return the exit code."""
    import cv2

    from minixception.checkpoints.engines import available_cores
    from minixception.commands.picture_tables import TableStream, TableWriter
    from minixception.inference.picture_files import analyze_file, folder_states
    from minixception.inference.tables import Table
    from minixception.inference.workers import Room, in_order

    pictures = list(outputs)
    analyzer = load_analyzer(arguments)
    tables = [Table(form, path, analyzer.class_names) for form, path in named.items()]
    files = [table for table in tables if table.target != STANDARD_OUTPUT]
    options = describe_rows(arguments, analyzer)
    writer = TableWriter(files, pictures, resume=arguments.resume, options=options)
    stream = arguments.standard_output.buffer
    live = [TableStream(table, stream) for table in tables if table not in files]
    targets: list[TableWriter | TableStream] = [writer, *live]
    if files and not writer.tables:
        print("all tables are complete and stay as they are, even if made with other options")
    if arguments.resume:
        print(f"continuing after {len(writer.done)} of {counted(len(pictures), 'picture')}")
    are_few = len(pictures) <= FEW_PICTURES
    is_shown = not (are_few or arguments.quiet)
    report = Report(len(pictures), done=writer.done, shows_progress=is_shown, one_by_one=are_few)
    is_alone = are_few or arguments.engine == "keras"
    workers = arguments.workers or (1 if is_alone else available_cores())
    folders, room = folder_states(pictures), Room()

    def work(picture: Path) -> "PictureResult":
        is_face = arguments.whole_picture
        with room.keep(picture):
            found = analyze_file(analyzer, picture, whole_picture=is_face, folders=folders)
            return draw_result(*found, outputs[picture], bars=arguments.bars)

    with StopRequest() as stop, ExitStack() as held, closing(report), closing(writer):
        if workers > 1:
            held.callback(cv2.setNumThreads, cv2.getNumThreads())
            cv2.setNumThreads(max(1, available_cores() // workers))
        writer.open()
        rest = pictures[len(writer.done) :]
        with closing(in_order(work, rest, workers=workers)) as results:
            for result in results:
                for target in targets:
                    target.write(result)
                report.tell(result)
                if stop.number:
                    break
        if report.done == len(pictures):
            for target in targets:
                target.finish()
    drawn_to = None if arguments.no_draw else arguments.output or Path.cwd()
    return report.summarize([table.target for table in writer.tables], drawn_to, stop)


def draw_result(
    result: "PictureResult", image: "NDArray[np.uint8] | None", output: Path | None, *, bars: bool
) -> "PictureResult":
    """Draw a result of `analyze_file`, if there is an output for it."""
    from minixception.drawing.faces import draw_predictions
    from minixception.images import colour_profile, read_image, write_image

    if output is None or result.error is not None:
        return result
    if image is None:  # its faces were found in a smaller copy
        image = read_image(result.picture)
    drawn = draw_predictions(image, result.faces, bars=bars)
    write_image(output, drawn, profile=colour_profile(result.picture))
    return replace(result, drawn=output)
