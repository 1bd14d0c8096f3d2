"""Find the faces in pictures, tell emotion and gender, draw them.

    python src/image_emotion_gender_demo.py photo.jpg
    python src/image_emotion_gender_demo.py a.jpg b.png --output drawn/ --json faces.json

A picture without a face is no error. A picture that cannot be read is reported, the others are
done, and the exit code is 1.
"""

import argparse
import csv
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from minixception.commands import explain
from minixception.paths import DEFAULT_EMOTION_MODEL, DEFAULT_GENDER_MODEL

if TYPE_CHECKING:
    from minixception.detector import FaceDetector
    from minixception.inference import FaceAnalyzer, FacePrediction

    Results = dict[str, list[FacePrediction]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("pictures", nargs="+", type=Path, metavar="PATH", help="picture files")
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FILE_OR_FOLDER",
        help="the drawn picture, or a folder for several (default: NAME_faces.png here)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="picture -> list of faces")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="a row per face")
    parser.add_argument("--bars", action="store_true", help="draw a bar per emotion")
    add_model_arguments(parser)
    add_detector_arguments(parser)


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare which models run, and how."""
    parser.add_argument(
        "--emotion-model",
        default=DEFAULT_EMOTION_MODEL,
        metavar="NAME_OR_FOLDER",
        help="shipped model or checkpoint folder; `none` leaves emotion out",
    )
    parser.add_argument(
        "--gender-model",
        default=DEFAULT_GENDER_MODEL,
        metavar="NAME_OR_FOLDER",
        help="shipped model or checkpoint folder; `none` leaves gender out",
    )
    parser.add_argument(
        "--engine", choices=("litert", "keras"), default="litert", help="what runs the models"
    )


def add_detector_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare how faces are found."""
    parser.add_argument(
        "--scale-factor", type=float, default=1.3, help="Haar: ratio of one window to the next"
    )
    parser.add_argument(
        "--min-neighbors", type=int, default=5, help="Haar: overlapping hits that make a face"
    )
    parser.add_argument(
        "--min-face", type=int, metavar="PIXELS", help="side of the smallest face of interest"
    )
    parser.add_argument(
        "--yunet", type=Path, metavar="FILE", help="YuNet's .onnx file: find faces with it"
    )


def load_analyzer(arguments: argparse.Namespace) -> "FaceAnalyzer":
    """Load what the model and detector options ask for."""
    from minixception.inference import FaceAnalyzer

    models = (arguments.emotion_model, arguments.gender_model)
    return FaceAnalyzer.from_pretrained(
        *(None if model == "none" else model for model in models),
        detector=make_detector(arguments),
        engine=arguments.engine,
    )


def make_detector(arguments: argparse.Namespace) -> "FaceDetector":
    """Build the detector that the options ask for."""
    from minixception.detector import HaarDetector, YuNetDetector

    if arguments.yunet is not None:
        return YuNetDetector(arguments.yunet, min_face=arguments.min_face)
    return HaarDetector(
        scale_factor=arguments.scale_factor,
        min_neighbors=arguments.min_neighbors,
        min_face=arguments.min_face,
    )


def run(arguments: argparse.Namespace) -> int:
    """Analyze, draw, print, write; return the exit code."""
    outputs = _output_paths(arguments.pictures, arguments.output)
    analyzer = load_analyzer(arguments)
    results: Results = {}
    unreadable = 0
    for picture, output in outputs.items():
        try:
            results[str(picture)] = _process(analyzer, picture, output, bars=arguments.bars)
        except (OSError, ValueError) as error:
            print(f"not done: {explain(error)}", file=sys.stderr)
            unreadable += 1
    if arguments.json is not None:
        _write_json(arguments.json, results)
    if arguments.csv is not None:
        _write_csv(arguments.csv, results)
    if unreadable:
        print(f"{unreadable} of {len(outputs)} pictures could not be done.", file=sys.stderr)
    return 1 if unreadable else 0


def _output_paths(pictures: list[Path], output: Path | None) -> dict[Path, Path]:
    """Return where each picture is drawn to; equal names get a number.

    Raises:
        ValueError: if several pictures shall go into one file.
    """
    from minixception.images import WRITABLE_SUFFIXES

    pictures = list(dict.fromkeys(pictures))
    is_file = output is not None and output.suffix.lower() in WRITABLE_SUFFIXES
    if output is not None and is_file and not output.is_dir():
        if len(pictures) > 1:
            raise ValueError(
                f"--output must be a folder for {len(pictures)} pictures. Received: {output}"
            )
        return {pictures[0]: output}
    folder = output or Path()
    if folder.is_file():
        raise ValueError(
            f"--output must be a folder or end in one of {', '.join(WRITABLE_SUFFIXES)}. "
            f"Received: {output}"
        )
    paths: dict[Path, Path] = {}
    for picture in pictures:
        path, number = folder / f"{picture.stem}_faces.png", 1
        while path in paths.values():
            number += 1
            path = folder / f"{picture.stem}_faces_{number}.png"
        paths[picture] = path
    return paths


def _process(
    analyzer: "FaceAnalyzer", picture: Path, output: Path, *, bars: bool
) -> "list[FacePrediction]":
    from minixception.images import read_image, write_image
    from minixception.visualizer import draw_predictions

    image = read_image(picture)
    faces = analyzer.analyze(image)
    write_image(output, draw_predictions(image, faces, bars=bars))
    print(_format_table(picture, faces))
    print(f"written to {output}\n")
    return faces


def _format_table(picture: Path, faces: "list[FacePrediction]") -> str:
    if not faces:
        return f"{picture}: no face found"
    lines = [f"{picture}: {len(faces)} face{'s' if len(faces) > 1 else ''}"]
    lines.append(f"{'x':>6}{'y':>6}{'width':>7}{'height':>8}   emotion           gender")
    for face in faces:
        emotion = _label(face.emotion, face.emotion_scores)
        gender = _label(face.gender, face.gender_scores)
        x, y, width, height = face.box
        lines.append(f"{x:6d}{y:6d}{width:7d}{height:8d}   {emotion:<18}{gender}")
    return "\n".join(lines)


def _label(name: str | None, scores: "dict[str, float] | object") -> str:
    if name is None or not isinstance(scores, dict):
        return "-"
    return f"{name} {scores[name]:.0%}"


def _write_json(path: Path, results: "Results") -> None:
    from minixception.storage import atomic_path

    content = {picture: [face.to_json() for face in faces] for picture, faces in results.items()}
    with atomic_path(path) as temporary:
        temporary.write_text(
            json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
        )
    print(f"written to {path}")


def _write_csv(path: Path, results: "Results") -> None:
    from minixception.inference import to_rows
    from minixception.storage import atomic_path

    rows = [
        {"picture": picture, **row} for picture, faces in results.items() for row in to_rows(faces)
    ]
    columns = list(rows[0]) if rows else ["picture", "x", "y", "width", "height"]
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
    print(f"written to {path}")
