"""Tell which map finds what decides: cover what each ranks highest and lowest, and look again.

Usage: python benchmarks/bench_explanations.py fer2013.csv [--model NAME_OR_FOLDER] [--faces 300]

For faces of PublicTest, the fifth of the face that a map ranks highest becomes grey (the face's
mean), and the loss of probability of the predicted class is averaged, in points; then likewise the
fifth ranked lowest. A good map has a high first and a low second number. The map that ranks by
nearness to the middle of the face, and a random one of blots, show what is due to no explanation.
At last the time of one explanation, all maps, per face.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from minixception.checkpoints.engines import KerasEngine
from minixception.checkpoints.shipped import DEFAULT_EMOTION_MODEL, find_model
from minixception.datasets.fer2013 import load_fer2013
from minixception.explain import Explainer, Explanation
from minixception.images import resize_image

SHARE = 0.2


def maps_of(explanation: Explanation, seed: int) -> dict[str, NDArray[np.float32]]:
    """Return name -> maps (N, height, width) of all kinds."""
    count, height, width = explanation.grad_cam.shape
    rows, columns = np.mgrid[:height, :width]
    nearness = -np.hypot(rows - height / 2 + 0.5, columns - width / 2 + 0.5)
    blots = np.random.default_rng(seed).random((count, 9, 9)).astype(np.float32)
    return {
        "Grad-CAM": explanation.grad_cam,
        "HiResCAM": explanation.hires_cam,
        "guided backpropagation": explanation.guided_backpropagation,
        "guided Grad-CAM": explanation.guided_grad_cam,
        "nearness to the middle": np.broadcast_to(nearness, (count, height, width)),
        "random blots": np.stack([resize_image(each, (height, width)) for each in blots]),
    }


def losses(
    predict: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    inputs: NDArray[np.float32],
    explanation: Explanation,
    maps: NDArray[np.float32],
) -> tuple[float, float]:
    """Return points of probability lost by covering the highest and the lowest part."""
    faces = np.arange(len(inputs))
    order = maps.reshape(len(maps), -1).argsort(axis=1)
    covered = round(SHARE * order.shape[1])
    before = explanation.scores[faces, explanation.classes]
    results = []
    for part in (order[:, -covered:], order[:, :covered]):
        pixels = inputs.reshape(len(inputs), order.shape[1], -1).copy()
        pixels[faces[:, None], part] = inputs.mean(axis=(1, 2))[:, None]
        after = predict(pixels.reshape(inputs.shape))[faces, explanation.classes]
        results.append(100 * float((before - after).mean()))
    return results[0], results[1]


def milliseconds_per_face(explainer: Explainer, faces: NDArray[np.uint8]) -> float:
    """Return the median of some calls, after one to warm up."""
    times = []
    for _ in range(12):
        start = time.perf_counter()
        explainer.explain(faces)
        times.append(time.perf_counter() - start)
    return 1000 * float(np.median(times[1:])) / len(faces)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", help="fer2013.csv")
    parser.add_argument("--model", default=DEFAULT_EMOTION_MODEL)
    parser.add_argument("--faces", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    folder = find_model(arguments.model)
    images = load_fer2013(arguments.data).split("PublicTest").images
    generator = np.random.default_rng(arguments.seed)
    images = images[generator.choice(len(images), arguments.faces, replace=False)]
    explainer, engine = Explainer.load(folder), KerasEngine(folder)
    explanation, inputs = explainer.explain(images), explainer.preprocessor(images)
    print(f"{'points of probability lost by covering':<40}{'highest':>9}{'lowest':>9}")
    for name, maps in maps_of(explanation, arguments.seed).items():
        highest, lowest = losses(engine.predict, inputs, explanation, maps)
        print(f"{name:<40}{highest:9.1f}{lowest:9.1f}")
    for size in (1, 8, 64):
        spent = milliseconds_per_face(explainer, images[:size])
        print(f"{spent:.1f} ms per face in batches of {size}")


if __name__ == "__main__":
    main()
