"""Follow the faces in a video or before a camera, tell emotion and gender, draw them.

    python src/video_emotion_gender_demo.py
    python src/video_emotion_gender_demo.py film.mp4 --output drawn.mp4 --csv faces.csv

Without a film it is the first camera. The window closes with q or Escape. Scores are smoothed per
face, in the picture as in the files. The CSV has a row per face and frame; with --csv - it goes to
standard output, and all else to standard error. Films take the extra `video`; a camera, a window
and a table do not. Drawn films are H.264 with the sound of their source.

All files appear when the run ends, also with Ctrl-C; on a full disk and after `kill -9` they are as
they were before. Until then they lie in hidden folders beside them.

With --cluster FILE may be a folder of films, and --csv is a folder for a table of each.

Finding faces takes nearly all the time. --min-face 48 makes it three times faster where faces are
at least that large. In between they are followed: --detect-every 1 looks for them in each frame.
"""

import argparse
import io
import signal
import sys
from contextlib import ExitStack
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from minixception.commands.hints import NOTHING_DECODED, hint_for
from minixception.commands.options import (
    add_cluster_argument,
    add_detector_arguments,
    add_model_arguments,
    chosen_models,
    load_analyzer,
)
from minixception.commands.outputs import STANDARD_OUTPUT, check_file, check_table
from minixception.commands.run_control import Progress, StopRequest, Stopwatch
from minixception.commands.video_overlay import Overlay, add_overlay_argument, load_overlay
from minixception.files import remove_leftovers
from minixception.locks import sole_writer
from minixception.messages import require, unfiltered

if TYPE_CHECKING:
    from minixception.commands.video_window import Window
    from minixception.inference.analyzer import FaceAnalyzer
    from minixception.inference.predictions import FacePrediction
    from minixception.video.cameras import Camera, Frame
    from minixception.video.reader import VideoReader
    from minixception.video.writer import VideoWriter

PLOTTED_FACES = 6


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "film",
        nargs="?",
        metavar="FILE|CAMERA|URL",
        help="video file, camera number, stream (default: camera 0)",
    )
    parser.add_argument("--input", metavar="FILE|CAMERA|URL", help="the same as an option")
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="the drawn film: .mp4, .mkv, .webm, ..."
    )
    parser.add_argument("--csv", type=Path, metavar="FILE", help="a row per face and frame")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="picture of emotions over time")
    parser.add_argument("--no-window", action="store_true", help="show nothing")
    parser.add_argument("--bars", action="store_true", help="draw a bar per emotion")
    add_overlay_argument(parser)
    parser.add_argument(
        "--smoothing",
        type=float,
        default=0.3,
        metavar="SECONDS",
        help="time constant of the average over a face's scores; 0: each frame for itself",
    )
    parser.add_argument(
        "--lost-after",
        type=float,
        default=1.0,
        metavar="SECONDS",
        help="a face that comes back within this time keeps its number",
    )
    parser.add_argument(
        "--detect-every",
        type=int,
        default=4,
        metavar="FRAMES",
        help="look for faces in every Nth frame, and every 0.2 seconds; follow them in between",
    )
    add_cluster_argument(parser)
    parser.add_argument(
        "--resume", action="store_true", help="with --cluster: leave films that have a table"
    )
    add_model_arguments(parser)
    add_detector_arguments(parser, film=True)


def run(arguments: argparse.Namespace) -> int:
    """Follow faces until the video ends or the user stops it; return the exit code."""
    from minixception.commands.video_report import format_summary

    if arguments.film and arguments.input:
        raise ValueError(f"one film at a time. Received: {arguments.film} and {arguments.input}")
    if arguments.detect_every < 1:
        raise ValueError(f"--detect-every must be 1 or more. Received: {arguments.detect_every}")
    arguments.input = arguments.film or arguments.input or "0"
    if arguments.cluster is not None:
        from minixception.commands.video_cluster import run_on_cluster

        return run_on_cluster(arguments)
    if arguments.resume:
        raise ValueError("--resume goes with --cluster: one film is done from its start")
    _check_arguments(arguments)
    with _open(arguments) as reader, sole_writer(*_files(arguments)):
        for path in _files(arguments):
            remove_leftovers(path.parent)
        session = Session(arguments, load_analyzer(arguments), load_overlay(arguments))
        with StopRequest() as stop, ExitStack() as stack:
            frames = session.stopwatch.each("decode", reader)
            first = next(frames, None)
            if first is None and not stop.number:
                raise ValueError(f"{arguments.input}: {NOTHING_DECODED}")
            session.open_outputs(reader, stack)  # now that there is something to write
            for frame in chain([] if first is None else [first], frames):
                if not session.process(frame) or stop.number:
                    break
        _report(arguments, reader, session, stop)
        print(format_summary(session.tracks.histories))
        print(session.stopwatch.summary(reader.done))
    return 128 + stop.number if stop.number else 0


def _open(arguments: argparse.Namespace) -> "VideoReader | Camera":
    from minixception.video.cameras import Camera, is_camera

    if is_camera(arguments.input):
        return Camera(arguments.input)
    from minixception.video.reader import VideoReader

    return VideoReader(arguments.input, with_sound=arguments.output is not None)


def _check_arguments(arguments: argparse.Namespace) -> None:
    """Refuse before anything is opened what would fail later."""
    from minixception import images
    from minixception.files import require_utf8
    from minixception.video.cameras import is_camera

    if hint := hint_for(Path(arguments.input), command="video"):
        raise ValueError(f"{arguments.input} is {hint}")
    if arguments.output is not None:
        require_utf8(arguments.output)
    if arguments.plot is not None and arguments.emotion_model == "none":
        raise ValueError("--plot shows emotions: it needs an --emotion-model")
    if arguments.plot is not None:
        require("matplotlib", what="--plot")
    if arguments.explain and arguments.output is None and arguments.no_window:
        raise ValueError("--explain draws into the film: it needs --output, or the window")
    tasks = chosen_models(arguments)
    if arguments.explain and arguments.explain not in tasks:
        raise ValueError(
            f"--explain {arguments.explain} needs a model of that task. Received: models of "
            f"{', '.join(tasks) or 'none'}"
        )
    suffixes: dict[str, tuple[str, ...]] = {"--plot": images.WRITABLE_SUFFIXES}
    if arguments.output is not None or not is_camera(arguments.input):
        require("av", what="a film")
        from minixception.video.writer import WRITABLE_SUFFIXES

        suffixes["--output"] = tuple(WRITABLE_SUFFIXES)
    film = {"the film": Path(arguments.input)}
    for option, path in _outputs(arguments).items():
        if option == "--csv":
            check_table(path, "csv", apart_from=film)
        else:
            check_file(path, option, suffixes=suffixes[option], apart_from=film)


class Session:
    """One run: what has been seen so far, and where the results go.

    Attributes:
        tracks: the faces followed so far.
        stopwatch: time by part of the work.
        writer: of the drawn film, None if there is none.
    """

    def __init__(
        self,
        arguments: argparse.Namespace,
        analyzer: "FaceAnalyzer",
        overlay: "Overlay | None" = None,
    ) -> None:
        from minixception.commands.video_report import Tracks
        from minixception.video.finding import FaceFinder

        self.tracks = Tracks(
            smoothing_seconds=arguments.smoothing, lost_after_seconds=arguments.lost_after
        )
        self.stopwatch = Stopwatch()
        self.writer: VideoWriter | None = None
        self._arguments = arguments
        self._analyzer = analyzer
        self._overlay = overlay
        self._finder = FaceFinder(analyzer.detector, every=arguments.detect_every)
        self._window: Window | None = None

    def open_outputs(self, reader: "VideoReader | Camera", stack: ExitStack) -> None:
        """Open what the options ask for; the stack finishes it on every way out."""
        arguments = self._arguments
        if arguments.plot is not None:
            stack.callback(self._write_plot)
        if arguments.csv is not None:
            self._open_table(stack)
        if arguments.output is not None:
            from minixception.video.writer import VideoWriter

            self.writer = stack.enter_context(
                VideoWriter(arguments.output, rate=reader.rate, sound=reader.sound)
            )
        if _wants_window(arguments):
            from minixception.commands.video_window import Window

            self._window = stack.enter_context(Window("minixception"))
        is_shown = self._window is None and not arguments.quiet
        self._progress = Progress(reader.promised, self.stopwatch, shown=is_shown)
        stack.callback(self._progress.close)

    def _open_table(self, stack: ExitStack) -> None:
        if self._arguments.csv != STANDARD_OUTPUT:
            return self.tracks.open_table(self._arguments.csv, self._analyzer.columns, stack)
        from minixception.commands.video_report import TABLE_FORM

        output: io.TextIOWrapper = unfiltered(self._arguments.standard_output)
        output.reconfigure(line_buffering=True, **TABLE_FORM)
        return self.tracks.write_to(output, self._analyzer.columns)

    def process(self, frame: "Frame") -> bool:
        """Take one frame through all stages; return False once the window has been closed."""
        with self.stopwatch.part("detect"):
            boxes = self._finder.find(frame)
        with self.stopwatch.part("classify"):
            found = self._analyzer.classify(frame.image, boxes)
        with self.stopwatch.part("track"):
            faces = self.tracks.add(found, frame.number, frame.time_seconds)
        self._progress.update(frame.number + 1)
        if self.writer is None and self._window is None:
            return True
        if self._overlay is not None and faces:
            with self.stopwatch.part("explain"):
                frame = replace(frame, image=self._overlay.draw(frame.image, [*faces.values()]))
        with self.stopwatch.part("draw"):
            drawn = self._draw(frame, faces)
        if self.writer is not None:
            with self.stopwatch.part("write"):
                self.writer.write(drawn)
        return self._window is None or self._show(drawn)

    def _draw(self, frame: "Frame", faces: "dict[int, FacePrediction]") -> "Frame":
        from minixception.drawing.captions import draw_captions
        from minixception.drawing.faces import draw_predictions

        drawn = draw_predictions(frame.image, [*faces.values()], bars=self._arguments.bars)
        numbers = [(face.box.x, face.box.y, f"#{number}") for number, face in faces.items()]
        return replace(frame, image=draw_captions(drawn, numbers))

    def _show(self, frame: "Frame") -> bool:
        """Show a frame, at the earliest when its time has come."""
        from minixception.drawing.captions import draw_captions

        rate = self.stopwatch.rate()
        caption = f"{rate:.0f} frames per second" if rate else ""
        image = draw_captions(frame.image, [(4, 4, caption)] if caption else [])
        with self.stopwatch.part("show"):
            early = frame.time_seconds - self.stopwatch.elapsed()
            return self._window is None or self._window.show(image, wait_seconds=early)

    def _write_plot(self) -> None:
        from minixception.commands.video_report import longest_tracks
        from minixception.drawing.faces import emotion_colour
        from minixception.drawing.plots import plot_timeline

        longest = longest_tracks(self.tracks.histories, PLOTTED_FACES)
        names = next((history.class_names["emotion"] for history in longest.values()), ())
        plot_timeline(
            {f"face {n}": (one.times, one.scores("emotion")) for n, one in longest.items()},
            names,
            self._arguments.plot,
            colours=[emotion_colour(name) for name in names],
        )


def _wants_window(arguments: argparse.Namespace) -> bool:
    """Return whether to open a window; say so where there can be none."""
    from minixception.commands.video_window import display_problem

    if arguments.no_window:
        return False
    problem = display_problem()
    if problem is not None and not arguments.quiet:
        print(f"no window: {problem}", file=sys.stderr)
    if problem is not None and not arguments.quiet and not _outputs(arguments):
        print("nothing is written: see --output, --csv, --plot; a table follows", file=sys.stderr)
    return problem is None


def _outputs(arguments: argparse.Namespace) -> dict[str, Path]:
    named = {name: getattr(arguments, name) for name in ("output", "csv", "plot")}
    return {f"--{name}": path for name, path in named.items() if path is not None}


def _files(arguments: argparse.Namespace) -> list[Path]:
    return [path for path in _outputs(arguments).values() if path != STANDARD_OUTPUT]


def _report(
    arguments: argparse.Namespace,
    reader: "VideoReader | Camera",
    session: Session,
    stop: StopRequest,
) -> None:
    """Say how the run ended and where the results lie."""
    if stop.number:
        name = signal.Signals(stop.number).name
        print(f"stopped by {name} after {reader.done} frames; they are kept", file=sys.stderr)
    remarks = [*reader.remarks, *(session.writer.remarks if session.writer else ())]
    for remark in [*([] if arguments.quiet else remarks), *reader.losses]:
        print(remark, file=sys.stderr)
    for path in _files(arguments):
        print(f"written to {path}")
