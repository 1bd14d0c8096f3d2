"""Following a video: its frames go through all stages, and the results to where they belong."""

import argparse
import sys
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from minixception.boxes import Box
from minixception.commands.options import chosen_models, load_analyzer
from minixception.commands.outputs import STANDARD_OUTPUT
from minixception.commands.run_control import Progress, StopRequest
from minixception.commands.video_report import (
    NOTHING_DECODED,
    Tracks,
    format_summary,
    longest_tracks,
    make_tracker,
    open_table,
)
from minixception.commands.video_window import Window, captioned, display_problem
from minixception.drawing.faces import draw_predictions, emotion_colour
from minixception.inference.predictions import FacePrediction
from minixception.locks import sole_writer
from minixception.messages import counted
from minixception.video.cameras import Camera, Frame, is_camera
from minixception.video.finding import AHEAD, FaceFinder

if TYPE_CHECKING:
    from minixception.video.reader import VideoReader
    from minixception.video.writer import VideoWriter

Overlay = Callable[[NDArray[np.uint8], Sequence[FacePrediction]], NDArray[np.uint8]]
"""Returns a copy of a frame with a map over each face, of this frame alone."""

PLOTTED_FACES = 6


def follow(arguments: argparse.Namespace) -> int:
    """Follow faces until the video ends or the user stops it; return the exit code."""
    outputs = (arguments.output, arguments.csv, arguments.plot)
    files = [path for path in outputs if path not in (None, STANDARD_OUTPUT)]
    with _open(arguments) as reader, sole_writer(*files):
        stop = StopRequest(reader.end)
        session = Session(arguments, stop)
        start = time.perf_counter()
        with stop, ExitStack() as stack:
            for frame, boxes in stack.enter_context(closing(session.find_in(reader))):
                if frame.number == 0:
                    session.begin(reader, frame, stack)
                if not session.process(frame, boxes) or stop.number:
                    reader.end_at(frame)
                    break
            seconds = time.perf_counter() - start
        if not reader.done:
            raise ValueError(f"{arguments.input}: {NOTHING_DECODED}")
        frames = counted(reader.done, "frame")
        code = stop.tell(f"{frames}; what is done is kept") if stop.number else 0
        remarks = () if arguments.quiet else (*reader.remarks, *session.remarks)
        for remark in (*remarks, *reader.losses):
            print(remark, file=sys.stderr)
        for path in files:
            print(f"written to {path}")
        print(format_summary(session.tracks, frame.duration_seconds))
        rate = f"{reader.done / seconds:.1f} frames per second"
        print(f"{frames} in {seconds:.1f} s, {rate}")
    return code


def _open(arguments: argparse.Namespace) -> "VideoReader | Camera":
    if is_camera(arguments.input):
        return Camera(arguments.input)
    from minixception.video.reader import VideoReader

    return VideoReader(arguments.input, with_sound=arguments.output is not None)


class Session:
    """One run: what has been seen so far, and where the results go.

    Attributes:
        tracks: the faces followed so far, once there is a frame.
        remarks: what users should know of the drawn video and the plot.
    """

    def __init__(self, arguments: argparse.Namespace, stop: StopRequest) -> None:
        self.remarks: list[str] = []
        self._arguments = arguments
        self._stop = stop
        self._analyzer = load_analyzer(arguments)
        self._overlay = load_overlay(arguments)
        self._tracker = make_tracker(arguments)
        self._writer: VideoWriter | None = None
        self._window: Window | None = None
        self._start: float | None = None  # by the clock, of the video in the window

    def begin(self, reader: "VideoReader | Camera", frame: Frame, stack: ExitStack) -> None:
        """Open what the options ask for, at the first frame; the stack finishes it in any case."""
        arguments, table = self._arguments, None
        if arguments.csv is not None:
            table = stack.enter_context(open_table(arguments.csv, arguments.standard_output))
        self.tracks = Tracks(self._tracker, table, self._analyzer.columns)
        if arguments.plot is not None:
            stack.callback(self._write_plot)
        if arguments.output is not None:
            from minixception.video.writer import VideoWriter

            writer = VideoWriter(arguments.output, rate=reader.rate, sound=reader.sound)
            self._writer = stack.enter_context(writer)
            self.remarks = writer.remarks
        if _wants_window(arguments):
            height, width = frame.image.shape[:2]
            self._window = stack.enter_context(closing(Window(height=height, width=width)))
        is_shown = self._window is None and not arguments.quiet
        self._progress = Progress(reader.promised, shown=is_shown)
        stack.callback(self._progress.close)

    def find_in(
        self, reader: "VideoReader | Camera"
    ) -> Generator[tuple[Frame, list[Box]], None, None]:
        """Give each frame with the boxes of its faces; what may be live is not read ahead."""
        finder = FaceFinder(self._analyzer.detector, every=self._arguments.detect_every)
        return finder.find_in(reader, ahead=AHEAD if reader.promised else 0)

    def process(self, frame: Frame, boxes: Sequence[Box]) -> bool:
        """Take one frame through all stages; return False once the window has been closed."""
        found = self._analyzer.classify(frame.image, boxes)
        faces = self.tracks.add(found, frame.number, frame.time_seconds)
        self._progress.update(frame.number + 1)
        if self._writer is None and self._window is None:
            return True
        image, seen = frame.image, [*faces.values()]
        if self._overlay is not None and seen:
            image = self._overlay(image, seen)
        image = draw_predictions(image, seen, bars=self._arguments.bars, numbers=faces)
        drawn = replace(frame, image=image)
        if self._writer is not None:
            self._writer.write(drawn)
        return self._window is None or self._show(drawn, self._window)

    def _show(self, frame: Frame, window: Window) -> bool:
        """Show a frame when its time has come; return False once the window has been closed."""
        rate = self._progress.rate()
        text = f"{rate:.0f} frames per second"
        image = captioned(frame.image, text) if rate else frame.image
        if self._start is None:  # models have been loaded until now
            self._start = time.perf_counter() - frame.time_seconds
        due = self._start + frame.time_seconds
        while not self._stop.number and (early := due - time.perf_counter()) > 0:
            if not window.wait(early):
                return False
        return window.show(image)

    def _write_plot(self) -> None:
        from minixception.drawing.plots import plot_timeline

        histories = self.tracks.histories
        longest = longest_tracks(histories, PLOTTED_FACES)
        if len(longest) < len(histories):
            text = f"it shows the {len(longest)} of {len(histories)} faces that were seen longest"
            self.remarks.append(f"{self._arguments.plot}: {text}")
        names = next((history.class_names["emotion"] for history in longest.values()), ())
        plot_timeline(
            {
                f"face {n}": (np.array(one.times), one.scores("emotion"))
                for n, one in longest.items()
            },
            names,
            self._arguments.plot,
            frame_times=np.array(self.tracks.frame_times),
            colours=[emotion_colour(name) for name in names],
        )


def _wants_window(arguments: argparse.Namespace) -> bool:
    """Return whether to open a window; say so where there can be none."""
    if arguments.no_window:
        return False
    problem = display_problem()
    if problem is not None and not arguments.quiet:
        print(f"no window: {problem}", file=sys.stderr)
        if not (arguments.output or arguments.csv or arguments.plot):
            print("nothing is written: see --output, --csv, --plot", file=sys.stderr)
    return problem is None


def load_overlay(arguments: argparse.Namespace) -> Overlay | None:
    """Load what `--explain` asks for, None if it does not."""
    if not (task := arguments.explain):
        return None
    if task not in (models := chosen_models(arguments)):
        raise ValueError(f"--explain {task} needs a model of that task")
    from minixception.checkpoints.shipped import find_model
    from minixception.drawing.explanations import draw_maps
    from minixception.explain import Explainer

    explainer = Explainer.load(find_model(models[task], tasks=(task,)))
    return lambda image, faces: draw_maps(image, *explainer.map_in_image(image, faces, task))
