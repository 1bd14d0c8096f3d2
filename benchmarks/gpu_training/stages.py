"""The two parts that run on the GPU: teachers, then students."""

import csv
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from benchmarks.gpu_training.loop import Loop
from benchmarks.gpu_training.networks import Network, Scorer
from benchmarks.gpu_training.settings import (
    FACES_FILE,
    FER2013,
    HEADS,
    STUDENT,
    TEACHER,
    TEACHER_NETWORK,
    TEACHER_SIZE,
    TRAINING,
    UNLABELLED,
    stem,
)
from benchmarks.gpu_training.weights import read_weights, write_weights


def prepared(faces: dict[str, Any], *, unlabelled: bool) -> dict[str, Any]:
    """Return the arrays that a loop trains on."""
    chosen = (faces["splits"] == TRAINING) | (unlabelled & (faces["splits"] == UNLABELLED))
    labels = faces["labels"][chosen]
    return {
        "images": faces["images"][chosen],
        "labels": np.eye(len(FER2013), dtype=np.float32)[labels] * (labels >= 0)[:, None],
        "votes": faces["votes"][chosen],
        "spoilt": faces["spoilt"],
    }


def train_teachers(folder: Path, *, count: int, epochs: int, seconds: float) -> None:
    """Train teachers one after the other, each with a seed of its own; those there are stay."""
    faces = dict(np.load(folder / FACES_FILE))
    scorer, arrays = Scorer(faces), prepared(faces, unlabelled=False)
    *body, top, bias = [faces[f"backbone_{k}"] for k in range(sum("backbone" in k for k in faces))]
    network = Network(TEACHER_NETWORK, TEACHER_SIZE, tuple(HEADS), seed=0)
    loop = Loop([network], replace(TEACHER, epochs=epochs or TEACHER.epochs), arrays)
    began, opinions = time.monotonic(), []
    for seed in range(count):
        file = folder / f"teacher_{seed}.npz"
        if file.exists():
            network.model.set_weights(read_weights(file))
        else:
            drawn = np.random.default_rng(seed).normal(0, 0.01, top.shape).astype(np.float32)
            network.model.set_weights([*body, drawn, np.zeros_like(bias)])
            rows: list[dict[str, Any]] = []

            def report(
                epoch: int, losses: Any, averages: Any, rows: list[dict[str, Any]] = rows
            ) -> None:
                scores = scorer.accuracy(scorer(network, *averages[0]))
                rows.append({"epoch": epoch, "loss": float(losses[0]), **scores})
                print({name: round(value, 4) for name, value in rows[-1].items()}, flush=True)

            share = (seconds - (time.monotonic() - began)) / (count - seed)
            state = loop.run([network.start()], jax.random.key(seed), report, seconds=share)
            _, others, _, average = state[0]
            write_history(file.with_suffix(".csv"), rows)
            write_weights(file, network.assigned(average, others), np.float16)
        opinions.append(scorer(network, *network.start()))
        together = {head: np.mean([each[head] for each in opinions], axis=0) for head in HEADS}
        print(f"{seed + 1} teachers together: {scorer.accuracy(together)}", flush=True)


def train_students(folder: Path, *, students: Sequence[str], epochs: int, seconds: float) -> None:
    """Train all students at once; the best epoch of each, on PublicTest, is kept."""
    faces = dict(np.load(folder / FACES_FILE))
    scorer, arrays = Scorer(faces), prepared(faces, unlabelled=True)
    teacher = Network(TEACHER_NETWORK, TEACHER_SIZE, tuple(HEADS), seed=0)
    weights = []
    for path in sorted(folder.glob("teacher_*.npz")):
        teacher.model.set_weights(read_weights(path))
        weights.append(teacher.start())
    parts = [student.split(":") for student in students]
    networks = [Network(name, int(size), (head,), seed=0) for name, size, head in parts]
    best = dict.fromkeys(students, 0.0)
    rows: list[dict[str, Any]] = []

    def report(epoch: int, losses: Any, averages: Any) -> None:
        row: dict[str, Any] = {"epoch": epoch}
        for name, network, loss, average in zip(students, networks, losses, averages, strict=True):
            accuracy = scorer.accuracy(scorer(network, *average))[network.heads[0]]
            row |= {f"{name} loss": float(loss), f"{name} accuracy": accuracy}
            if accuracy > best[name]:
                best[name] = accuracy
                write_weights(folder / f"{stem(name)}.npz", network.assigned(*average))
        rows.append(row)
        write_history(folder / "students.csv", rows)
        print([round(value, 4) for value in row.values()], flush=True)

    loop = Loop(
        networks,
        replace(STUDENT, epochs=epochs or STUDENT.epochs),
        arrays,
        teacher=teacher,
        taught_by=jax.tree.map(lambda *parts: jnp.stack(parts), *weights),
    )
    starts = [network.start() for network in networks]
    loop.run(starts, jax.random.key(0), report, seconds=seconds)


def write_history(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write a row for each epoch."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
