"""Follow the faces in a video or from a camera, recognize emotion and gender, and draw them.

    python src/video_emotion_gender_demo.py
    python src/video_emotion_gender_demo.py film.mp4 --output drawn.mp4 --csv faces.csv

Without a file, the first camera is used. Press q or Escape to close the window. Probabilities are
smoothed per face, on screen and in the files. The CSV has a row per face and frame; --csv - writes
it to standard output and everything else to standard error. Video files need the extra `video`; a
camera, a window and a table do not. Drawn videos are H.264, with the sound of their source.

All files appear when the run ends, even if it is ended by Ctrl-C. Until then they are in hidden
folders beside the old ones, which a full disk or `kill -9` leaves unchanged.

With --cluster, FILE may be a folder of videos; --csv then names a folder for one table per video.

Finding faces takes nearly all the time. Between searches, faces are followed; --detect-every 1
searches every frame.
"""

import argparse
from pathlib import Path

from minixception.commands.options import (
    add_cluster_argument,
    add_detector_arguments,
    add_model_arguments,
)
from minixception.commands.outputs import STANDARD_OUTPUT, TABLE_SUFFIXES, check_file
from minixception.files import require_utf8
from minixception.messages import require


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add = parser.add_argument
    add(
        "film",
        nargs="?",
        metavar="FILE|CAMERA|URL",
        help="video file, camera number or stream (default: camera 0)",
    )
    add("--input", metavar="FILE|CAMERA|URL", help="the same, as an option")
    add("--output", type=Path, metavar="FILE", help="the drawn video: .mp4, .mkv, .webm, ...")
    add("--csv", type=Path, metavar="FILE", help="a row per face and frame")
    add("--plot", type=Path, metavar="FILE", help="plot of emotions over time, of up to 6 faces")
    add("--no-window", action="store_true", help="open no window")
    add("--bars", action="store_true", help="draw a bar per emotion")
    add(
        "--explain",
        nargs="?",
        const="emotion",
        metavar="TASK",
        help="show on each face what supports its emotion, or its label of another task; needs "
        "Keras, which takes seconds to start, and adds about half the time of finding faces",
    )
    every = "search every Nth frame, at least one every 0.2 s, for faces; follow them in between"
    for name, kind, default, unit, text in (
        ("smoothing", float, 0.3, "SECONDS", "time constant for smoothing probabilities; 0: none"),
        ("lost-after", float, 1.0, "SECONDS", "a face back within this time keeps its number"),
        ("detect-every", int, 4, "FRAMES", every),
    ):
        add(f"--{name}", type=kind, default=default, metavar=unit, help=text)
    add_cluster_argument(parser)
    add("--resume", action="store_true", help="with --cluster: skip videos that have a table")
    add_model_arguments(parser)
    add_detector_arguments(parser, film=True)


def run(arguments: argparse.Namespace) -> int:
    """Follow the faces in a video, or in many on a cluster; return the exit code."""
    if arguments.film and arguments.input:
        raise ValueError(f"one video at a time. Received: {arguments.film} and {arguments.input}")
    if arguments.detect_every < 1:
        raise ValueError(f"--detect-every must be 1 or more. Received: {arguments.detect_every}")
    arguments.input = arguments.film or arguments.input or "0"
    if arguments.cluster is not None:
        from minixception.commands.video_cluster import run_on_cluster

        return run_on_cluster(arguments)
    if arguments.resume:
        raise ValueError("--resume needs --cluster: a single video is done from its start")
    _check_arguments(arguments)
    from minixception.commands.video_session import follow

    return follow(arguments)


def _check_arguments(arguments: argparse.Namespace) -> None:
    """Refuse what would fail later, before anything is opened."""
    film = {"the video": Path(arguments.input)}
    if arguments.explain and arguments.output is None and arguments.no_window:
        raise ValueError("--explain draws into the video: it needs --output, or the window")
    if arguments.csv not in (None, STANDARD_OUTPUT):
        check_file(arguments.csv, "--csv", suffixes=TABLE_SUFFIXES["csv"], apart_from=film)
    if arguments.plot is not None:
        from minixception.images import WRITABLE_SUFFIXES as PICTURES

        if arguments.emotion_model == "none":
            raise ValueError("--plot shows emotions: it needs an --emotion-model")
        require("matplotlib", what="--plot")
        check_file(arguments.plot, "--plot", suffixes=PICTURES, apart_from=film)
    if arguments.output is not None:
        from minixception.video.writer import WRITABLE_SUFFIXES as FILMS

        require_utf8(arguments.output)
        check_file(arguments.output, "--output", suffixes=FILMS, apart_from=film)
