"""Measure what an answer costs: per face, per engine, per process, and per part of the pipeline.

Usage: python benchmarks/bench_inference.py [--output FILE.json] [--models mini_xception@64 ...]

A model is NETWORK@PIXELS, built with fresh weights, or a checkpoint folder; the first one serves
for everything but the first table. The contestants take turns and of each the median round
counts, so that a busy machine disturbs all alike.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from minixception.boxes import Box
from minixception.checkpoints.card import Card, read_card
from minixception.checkpoints.engines import Engine, LiteRTEngine, available_cores, load_engine
from minixception.drawing.faces import draw_predictions
from minixception.files import atomic_path
from minixception.images import read_image, resize_image
from minixception.inference.analyzer import FaceAnalyzer, FaceClassifier
from minixception.labels import EMOTIONS_FER2013, GENDERS
from minixception.preprocessor import Preprocessor

SOURCE = Path(__file__).resolve().parents[1] / "src"
MODELS = ("mini_xception@64", "mini_xception@48", "tiny_xception@64", "big_xception@64")
BATCHES = (1, 8, 64)
PICTURE = SOURCE.parent / "images" / "portraits.jpg"
PICTURE_SIZES = ((480, 640), (720, 1280), (3000, 4000))
REFERENCE = "keras predict"
FIRST_ANSWER = """
import sys
sys.path.insert(0, sys.argv[1])
import numpy as np
from minixception.checkpoints.engines import load_engine
card, engine = load_engine(sys.argv[2], engine=sys.argv[3])
engine.predict(np.zeros((1, *card.preprocessor.input_shape), np.float32))
"""


def milliseconds(contestants: Mapping[str, Callable[[], Any]], *, rounds: int) -> dict[str, float]:
    """Return the median time of each; every contestant has one unmeasured and `rounds` turns.

    A turn lasts at least 10 ms: what is quicker is repeated.
    """
    repeats, times = {}, {}
    for name, call in contestants.items():
        call()  # traces graphs, allocates memory
        start = time.perf_counter()
        call()
        repeats[name] = 1 + int(0.01 / (time.perf_counter() - start))
        times[name] = [0.0] * rounds
    for turn in range(rounds):
        for name, call in contestants.items():
            start = time.perf_counter()
            for _ in range(repeats[name]):
                call()
            times[name][turn] = 1000 * (time.perf_counter() - start) / repeats[name]
    return {name: statistics.median(values) for name, values in times.items()}


def checkpoint_folder(model: str, root: Path, *, task: str = "emotion") -> Path:
    """Return a given checkpoint folder, or build NETWORK@PIXELS with fresh weights in `root`."""
    if Path(model).is_dir():
        return Path(model)
    from minixception import models
    from minixception.checkpoints.export import export_litert
    from minixception.checkpoints.keras_model import save_checkpoint

    network, _, pixels = model.partition("@")
    size = (int(pixels), int(pixels))
    class_names = EMOTIONS_FER2013 if task == "emotion" else GENDERS
    built = models.build(network, (*size, 1), len(class_names))
    folder = root / task / model
    card = Card(
        name=model,
        task=task,
        architecture=network,
        parameters=built.count_params(),
        class_names=class_names,
        preprocessor=Preprocessor(size),
    )
    save_checkpoint(folder, built, card)
    export_litert(folder, images=noise(card, 64))
    return folder


def noise(card: Card, count: int) -> np.ndarray:
    """Return prepared random images."""
    shape = (count, *card.preprocessor.input_shape)
    return card.preprocessor(np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8))


def load_engines(folder: Path) -> dict[str, Callable[[np.ndarray], Any]]:
    """Return engine -> function from prepared images to probabilities."""
    import tensorflow as tf

    from minixception.checkpoints.keras_model import load_checkpoint

    card, litert = load_engine(folder)
    classes = len(card.class_names)
    one_core = LiteRTEngine(folder / "model.tflite", num_classes=classes, num_workers=1)
    model = load_checkpoint(folder).model
    function = tf.function(
        lambda images: model(images, training=False),
        input_signature=[tf.TensorSpec((None, *card.preprocessor.input_shape))],
    )
    return {
        "litert": litert.predict,
        "litert, one core": one_core.predict,
        "keras tf.function": lambda images: function(images).numpy(),
        "keras predict_on_batch": model.predict_on_batch,
        REFERENCE: partial(model.predict, batch_size=64, verbose=0),
    }


def measure_engines(folder: Path, *, rounds: int) -> list[dict[str, Any]]:
    """Return a row per engine and batch size, in milliseconds per face."""
    engines, rows = load_engines(folder), []
    for batch in BATCHES:
        images = noise(read_card(folder), batch)
        calls = {name: partial(engine, images) for name, engine in engines.items()}
        times = milliseconds(calls, rounds=rounds)
        rows += [
            {
                "model": folder.name,
                "engine": name,
                "batch": batch,
                "milliseconds_per_face": times[name] / batch,
                "times_faster_than_predict": times[REFERENCE] / times[name],
            }
            for name in engines
        ]
    return rows


def measure_processes(commands: Mapping[str, list[str]], *, rounds: int) -> dict[str, float]:
    """Return the median seconds of a process with each engine, and how much faster LiteRT is."""
    turns = [
        {engine: seconds_of(command) for engine, command in commands.items()} for _ in range(rounds)
    ]
    seconds = {engine: statistics.median(turn[engine] for turn in turns) for engine in commands}
    return {**seconds, "ratio": seconds["keras"] / seconds["litert"]}


def seconds_of(command: list[str]) -> float:
    """Run Python in a process of its own."""
    start = time.perf_counter()
    subprocess.run([sys.executable, *command], check=True, capture_output=True)
    return time.perf_counter() - start


def measure_first_answer(folder: Path, *, rounds: int) -> dict[str, float]:
    """From process start to the first face."""
    commands = {
        engine: ["-c", FIRST_ANSWER, str(SOURCE), str(folder), engine]
        for engine in ("litert", "keras")
    }
    return measure_processes(commands, rounds=rounds)


def measure_demo(emotion: Path, gender: Path, root: Path, *, rounds: int) -> dict[str, float]:
    """From process start to the written picture."""
    script = str(SOURCE / "image_emotion_gender_demo.py")
    models = ["--emotion-model", str(emotion), "--gender-model", str(gender)]
    output = ["--output", str(root / "drawn.png")]
    commands = {
        engine: [script, str(PICTURE), *models, *output, "--engine", engine]
        for engine in ("litert", "keras")
    }
    return measure_processes(commands, rounds=rounds)


@dataclass
class Stopwatch:
    """Adds up the time that parts of the pipeline take."""

    seconds: dict[str, float] = field(default_factory=dict)

    def measure(self, part: str, call: Callable[[], Any]) -> Any:
        """Return what the call returns."""
        start = time.perf_counter()
        result = call()
        self.seconds[part] = self.seconds.get(part, 0.0) + time.perf_counter() - start
        return result


@dataclass(frozen=True)
class TimedEngine:
    """An engine whose time counts as that of the network."""

    engine: Engine
    stopwatch: Stopwatch

    def predict(self, images: np.ndarray) -> np.ndarray:
        """See `engines.Engine`."""
        return self.stopwatch.measure("network", lambda: self.engine.predict(images))


def framed(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Bring a picture to a size with its proportions kept, the rest filled with grey."""
    scale = min(side / found for side, found in zip(size, image.shape[:2], strict=True))
    height, width = round(image.shape[0] * scale), round(image.shape[1] * scale)
    canvas = np.full((*size, 3), 128, np.uint8)
    canvas[:height, :width] = resize_image(image, (height, width))
    return canvas


def measure_pipeline(emotion: Path, gender: Path, *, rounds: int) -> list[dict[str, Any]]:
    """Return a row per picture size: milliseconds of each part."""
    original = read_image(PICTURE)
    rows = []
    for size in PICTURE_SIZES:
        image, turns, faces = framed(original, size), [], 0
        analyzer, stopwatch = timed_analyzer(emotion, gender)
        for _ in range(rounds + 1):
            stopwatch.seconds.clear()
            faces = run_pipeline(analyzer, stopwatch, image)
            turns.append(dict(stopwatch.seconds))
        parts = {
            part: 1000 * statistics.median(turn[part] for turn in turns[1:]) for part in turns[0]
        }
        parts["crop"] = parts.pop("classify") - parts["network"]
        rows.append({"size": f"{size[1]}x{size[0]}", "faces": faces, "milliseconds": parts})
    return rows


def timed_analyzer(emotion: Path, gender: Path) -> tuple[FaceAnalyzer, Stopwatch]:
    """Load both models, with a stopwatch on their networks."""
    stopwatch = Stopwatch()
    classifiers = {}
    for task, folder in (("emotion", emotion), ("gender", gender)):
        card, engine = load_engine(folder)
        classifiers[task] = FaceClassifier(card, TimedEngine(engine, stopwatch))
    analyzer = FaceAnalyzer(emotion=classifiers["emotion"], gender=classifiers["gender"])
    return analyzer, stopwatch


def run_pipeline(analyzer: FaceAnalyzer, stopwatch: Stopwatch, image: np.ndarray) -> int:
    """Find, classify and draw; return the number of faces."""
    boxes: list[Box] = stopwatch.measure("detector", lambda: analyzer.detector.detect(image))
    faces = stopwatch.measure("classify", lambda: analyzer.classify(image, boxes))
    stopwatch.measure("drawing", lambda: draw_predictions(image, faces))
    return len(faces)


def print_engines(rows: list[dict[str, Any]]) -> None:
    """Print the table of the engines, a line per model and engine."""
    print(f"\nmilliseconds per face (times faster than {REFERENCE} at the same batch size)")
    print(f"{'model':<20}{'engine':<24}" + "".join(f"{f'batch {b}':>18}" for b in BATCHES))
    for row in rows:
        if row["batch"] == BATCHES[0]:
            print(f"{row['model']:<20}{row['engine']:<24}", end="")
            for other in rows:
                if (other["model"], other["engine"]) == (row["model"], row["engine"]):
                    ratio = f"({other['times_faster_than_predict']:.1f})"
                    print(f"{other['milliseconds_per_face']:10.3f}{ratio:>8}", end="")
            print()


def print_processes(title: str, seconds: Mapping[str, float]) -> None:
    """Print the line of one race between processes."""
    print(
        f"{title}: LiteRT {seconds['litert']:.2f} s, Keras {seconds['keras']:.2f} s, "
        f"ratio {seconds['ratio']:.1f}"
    )


def print_pipeline(rows: list[dict[str, Any]]) -> None:
    """Print milliseconds and share of each part."""
    print("\nmilliseconds (share) of the pipeline, both models, without reading and writing")
    parts = ("detector", "crop", "network", "drawing")
    print(f"{'picture':<12}{'faces':>5}" + "".join(f"{part:>16}" for part in parts))
    for row in rows:
        times = row["milliseconds"]
        total = sum(times.values())
        cells = (f"{times[part]:8.2f} {f'({times[part] / total:.1%})':>7}" for part in parts)
        print(f"{row['size']:<12}{row['faces']:5d}" + "".join(cells))


def measure_all(arguments: argparse.Namespace, root: Path) -> dict[str, Any]:
    """Build the models in `root` and measure everything; return plain data."""
    rounds, turns = arguments.rounds, arguments.process_rounds
    emotions = [checkpoint_folder(model, root) for model in arguments.models]
    gender = checkpoint_folder("mini_xception@64", root, task="gender")
    return {
        "machine": {"processor": platform.processor(), "cores": available_cores()},
        "load_average": os.getloadavg() if hasattr(os, "getloadavg") else None,
        "engines": [row for folder in emotions for row in measure_engines(folder, rounds=rounds)],
        "pipeline": measure_pipeline(emotions[0], gender, rounds=rounds),
        "first_answer_seconds": measure_first_answer(emotions[0], rounds=turns),
        "image_demo_seconds": measure_demo(emotions[0], gender, root, rounds=turns),
    }


def main() -> None:
    """Measure everything, print the tables, write the numbers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, metavar="FILE.json", help="where the numbers go")
    parser.add_argument("--models", nargs="+", default=MODELS, metavar="NETWORK@PIXELS_OR_FOLDER")
    parser.add_argument("--rounds", type=int, default=7, help="turns of each engine")
    parser.add_argument("--process-rounds", type=int, default=3, help="turns of each process")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        results = measure_all(arguments, Path(name))
    print_engines(results["engines"])
    print_pipeline(results["pipeline"])
    print()
    print_processes("process start to first answer", results["first_answer_seconds"])
    print_processes("image demo, process start to picture", results["image_demo_seconds"])
    if arguments.output is not None:
        with atomic_path(arguments.output) as path:
            path.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
        print(f"written to {arguments.output}")


if __name__ == "__main__":
    main()
