"""A video being followed: its frames go through all stages, and the results where they belong."""

import argparse
import sys
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

from minixception.commands.run_control import Progress, Stopwatch
from minixception.commands.video_overlay import Overlay
from minixception.commands.video_report import Tracks, longest_tracks, open_table
from minixception.commands.video_window import Window, display_problem
from minixception.drawing.captions import draw_captions
from minixception.drawing.faces import draw_predictions, emotion_colour
from minixception.inference.analyzer import FaceAnalyzer
from minixception.video.cameras import Camera, Frame
from minixception.video.finding import FaceFinder

if TYPE_CHECKING:
    from minixception.video.reader import VideoReader
    from minixception.video.writer import VideoWriter

PLOTTED_FACES = 6


class Session:
    """One run: what has been seen so far, and where the results go.

    Attributes:
        tracks: the faces followed so far.
        stopwatch: time by part of the work.
    """

    def __init__(
        self, arguments: argparse.Namespace, analyzer: FaceAnalyzer, overlay: Overlay | None
    ) -> None:
        self.tracks = Tracks(
            smoothing_seconds=arguments.smoothing, lost_after_seconds=arguments.lost_after
        )
        self.stopwatch = Stopwatch()
        self._arguments = arguments
        self._analyzer = analyzer
        self._overlay = overlay
        self._finder = FaceFinder(analyzer.detector, every=arguments.detect_every)
        self._writer: VideoWriter | None = None
        self._window: Window | None = None

    @property
    def remarks(self) -> list[str]:
        """What users should know of the drawn video."""
        return self._writer.remarks if self._writer is not None else []

    def open_outputs(self, reader: "VideoReader | Camera", stack: ExitStack) -> None:
        """Open what the options ask for; the stack finishes it on every way out."""
        arguments = self._arguments
        if arguments.plot is not None:
            stack.callback(self._write_plot)
        if arguments.csv is not None:
            table = open_table(arguments.csv, arguments.standard_output, stack)
            self.tracks.write_to(table, self._analyzer.columns)
        if arguments.output is not None:
            from minixception.video.writer import VideoWriter

            self._writer = stack.enter_context(
                VideoWriter(arguments.output, rate=reader.rate, sound=reader.sound)
            )
        if _wants_window(arguments):
            self._window = stack.enter_context(Window("minixception"))
        is_shown = self._window is None and not arguments.quiet
        self._progress = Progress(reader.promised, self.stopwatch, shown=is_shown)
        stack.callback(self._progress.close)

    def process(self, frame: Frame) -> bool:
        """Take one frame through all stages; return False once the window has been closed."""
        with self.stopwatch.part("detect"):
            boxes = self._finder.find(frame)
        with self.stopwatch.part("classify"):
            found = self._analyzer.classify(frame.image, boxes)
        with self.stopwatch.part("track"):
            faces = self.tracks.add(found, frame.number, frame.time_seconds)
        self._progress.update(frame.number + 1)
        if self._writer is None and self._window is None:
            return True
        image, seen = frame.image, [*faces.values()]
        if self._overlay is not None and seen:
            with self.stopwatch.part("explain"):
                image = self._overlay(image, seen)
        with self.stopwatch.part("draw"):
            image = draw_predictions(image, seen, bars=self._arguments.bars)
            numbers = [(face.box.x, face.box.y, f"#{number}") for number, face in faces.items()]
            drawn = replace(frame, image=draw_captions(image, numbers))
        if self._writer is not None:
            with self.stopwatch.part("write"):
                self._writer.write(drawn)
        return self._window is None or self._show(drawn, self._window)

    def _show(self, frame: Frame, window: Window) -> bool:
        """Show a frame, at the earliest when its time has come."""
        rate = self.stopwatch.rate()
        captions = [(4, 4, f"{rate:.0f} frames per second")] if rate else []
        image = draw_captions(frame.image, captions)
        with self.stopwatch.part("show"):
            early = frame.time_seconds - self.stopwatch.elapsed()
            return window.show(image, wait_seconds=early)

    def _write_plot(self) -> None:
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
    if arguments.no_window:
        return False
    problem = display_problem()
    if problem is not None and not arguments.quiet:
        print(f"no window: {problem}", file=sys.stderr)
        if not (arguments.output or arguments.csv or arguments.plot):
            print("nothing is written: see --output, --csv, --plot", file=sys.stderr)
    return problem is None
