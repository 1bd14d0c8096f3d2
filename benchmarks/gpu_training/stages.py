"""The two parts that run on the GPU: teachers, then students."""

import time
from collections.abc import Sequence
from dataclasses import asdict, replace
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
    Student,
)
from benchmarks.gpu_training.trained import read_weights, write_model


def train_teachers(
    folder: Path, *, seeds: Sequence[int], changes: dict[str, Any], seconds: float, command: str
) -> None:
    """Train teachers one after the other, each with a seed of its own; those there are stay."""
    faces = dict(np.load(folder / FACES_FILE))
    scorer, arrays = Scorer(faces), _arrays(faces, unlabelled=False)
    *body, top, bias = [faces[f"backbone_{k}"] for k in range(sum("backbone" in k for k in faces))]
    settings = replace(TEACHER, **changes)
    network = Network(TEACHER_NETWORK, TEACHER_SIZE, tuple(HEADS), seed=0)
    loop = Loop([network], settings, arrays)
    began, opinions = time.monotonic(), []
    for number, seed in enumerate(seeds, start=1):
        file = folder / f"teacher_{seed}.npz"
        if file.exists():
            network.model.set_weights(read_weights(file))
        else:
            drawn = np.random.default_rng(seed).normal(0, 0.01, top.shape).astype(np.float32)
            network.model.set_weights([*body, drawn, np.zeros_like(bias)])
            facts = _facts(network, seed=seed, command=command)

            def report(
                epoch: int, epochs: int, losses: Any, averages: Any, facts: dict[str, Any] = facts
            ) -> None:
                row = scorer.accuracies(scorer.probabilities(network, *averages[0]))
                facts["settings"] = asdict(replace(settings, epochs=epochs))
                facts["history"].append({"epoch": epoch, "loss": float(losses[0]), **row})
                _tell(facts["history"][-1])

            share = (seconds - (time.monotonic() - began)) / (len(seeds) + 1 - number)
            state = loop.run([network.start()], jax.random.key(seed), report, seconds=share)
            _, others, _, average = state[0]
            write_model(file, network.assigned(average, others), facts, np.float16)
        opinions.append(scorer.probabilities(network, *network.start()))
        together = {head: np.mean([each[head] for each in opinions], axis=0) for head in HEADS}
        print(f"{number} teachers together:", end=" ")
        _tell(scorer.accuracies(together))


def train_students(
    folder: Path,
    *,
    students: Sequence[Student],
    changes: dict[str, Any],
    seconds: float,
    command: str,
) -> None:
    """Train all students at once; the best epoch of each, on PublicTest, is kept.

    Nothing is done if all of them are there. What a run that was cut off has left is begun anew.

    Raises:
        FileNotFoundError: there are no teachers yet, or not the weights that a student begins with.
        FileExistsError: some of the students are there already.
    """
    places = sorted(folder.glob("teacher_*.npz"))
    if not places:
        raise FileNotFoundError(f"{folder} holds no teachers: run the part `teachers` first")
    files = [folder / f"{student.stem}.npz" for student in students]
    used = [str(file) for file in files if file.exists()]
    if len(used) == len(files):
        return
    if used:
        raise FileExistsError(f"{', '.join(used)} would be overwritten: move it away")
    faces = dict(np.load(folder / FACES_FILE))
    scorer, arrays = Scorer(faces), _arrays(faces, unlabelled=True)
    teacher = Network(TEACHER_NETWORK, TEACHER_SIZE, tuple(HEADS), seed=0)
    weights = []
    for place in places:
        teacher.model.set_weights(read_weights(place))
        weights.append(teacher.start())
    networks = [_network(folder, student) for student in students]
    settings = replace(STUDENT, **changes)
    known = [
        {
            **_facts(network, seed=0, command=command),
            "teachers": [place.stem for place in places],
            "initial_weights": student.start,
        }
        for network, student in zip(networks, students, strict=True)
    ]
    best = [0.0] * len(files)

    def report(epoch: int, epochs: int, losses: Any, averages: Any) -> None:
        for k, (network, average) in enumerate(zip(networks, averages, strict=True)):
            row = scorer.accuracies(scorer.probabilities(network, *average))
            known[k]["settings"] = asdict(replace(settings, epochs=epochs))
            known[k]["history"].append({"epoch": epoch, "loss": float(losses[k]), **row})
            (accuracy,) = row.values()
            if accuracy > best[k]:
                best[k] = accuracy
                write_model(_best_epoch(files[k]), network.assigned(*average), known[k])
        _tell({file.stem: facts["history"][-1] for file, facts in zip(files, known, strict=True)})

    loop = Loop(
        networks,
        settings,
        arrays,
        teacher=teacher,
        taught_by=jax.tree.map(lambda *parts: jnp.stack(parts), *weights),
    )
    starts = [network.start() for network in networks]
    loop.run(starts, jax.random.key(0), report, seconds=seconds)
    for file, facts in zip(files, known, strict=True):
        write_model(file, read_weights(_best_epoch(file)), facts)
        _best_epoch(file).unlink()


def _network(folder: Path, student: Student) -> Network:
    """Return the network of a student, with the weights that it begins with."""
    network = Network(student.network, student.size, (student.dataset,), seed=0)
    if student.start:
        network.model.set_weights(read_weights(folder / student.start_file))
    return network


def _best_epoch(file: Path) -> Path:
    """Return where the best epoch of a student lies until its training is complete."""
    return file.with_suffix(".best")


def _arrays(faces: dict[str, Any], *, unlabelled: bool) -> dict[str, Any]:
    """Return the arrays that a loop trains on."""
    chosen = (faces["labels"] >= 0) | unlabelled
    labels = faces["labels"][chosen]
    return {
        "images": faces["images"][chosen],
        "labels": np.eye(len(FER2013), dtype=np.float32)[labels] * (labels >= 0)[:, None],
        "votes": faces["votes"][chosen],
        "spoilt": faces["spoilt"],
    }


def _facts(network: Network, *, seed: int, command: str) -> dict[str, Any]:
    """Return what a card needs to know of a model, its history still empty."""
    return {
        "network": network.model.name,
        "size": network.size,
        "heads": list(network.heads),
        "seed": seed,
        "command": command,
        "history": [],
    }


def _tell(facts: dict[str, Any]) -> None:
    """Print numbers, rounded."""
    values = {
        name: {n: round(v, 4) for n, v in value.items()} if isinstance(value, dict) else value
        for name, value in facts.items()
    }
    print({n: round(v, 4) if isinstance(v, float) else v for n, v in values.items()}, flush=True)
