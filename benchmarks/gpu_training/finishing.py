"""Checkpoint folders, as the training commands write them, from the weights of a GPU."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.gpu_training.packing import unlabelled_faces
from benchmarks.gpu_training.settings import (
    HEADS,
    STUDENT,
    TEACHER,
    TEACHER_NETWORK,
    TEACHER_SIZE,
    Settings,
    stem,
)
from benchmarks.gpu_training.weights import read_weights

from minixception.checkpoints.card import Card
from minixception.checkpoints.engines import run_keras
from minixception.checkpoints.export import export_litert
from minixception.checkpoints.keras_model import save_checkpoint
from minixception.checkpoints.versions import recorded_versions
from minixception.datasets.registry import load_dataset
from minixception.datasets.requests import describe_data
from minixception.datasets.unlabelled import describe_unlabelled
from minixception.evaluation import score
from minixception.models import build
from minixception.preprocessor import Preprocessor
from minixception.training.learned_faces import numbers_of, write_learned
from minixception.training.scoring import calibrate


def finish(folder: Path, data: Path, students: Sequence[str]) -> None:
    """Make a checkpoint folder of each student, and of each head of each teacher."""
    for student in students:
        network, size, head = student.split(":")
        weights = read_weights(folder / f"{stem(student)}.npz")
        command = (folder / "students.txt").read_text()
        made = _Made(folder / stem(student), network, int(size), head, STUDENT, command)
        made.write(weights, unlabelled=data)
    for path in sorted(folder.glob("teacher_*.npz")):
        *body, kernel, bias = read_weights(path)
        command = (folder / "teachers.txt").read_text()
        for head, columns in HEADS.items():
            place = path.with_name(f"{path.stem}_{head}")
            made = _Made(place, TEACHER_NETWORK, TEACHER_SIZE, head, TEACHER, command)
            made.write([*body, kernel[:, columns], bias[columns]])


@dataclass(frozen=True)
class _Made:
    """A model that was trained."""

    folder: Path
    network: str
    size: int
    head: str
    settings: Settings
    command: str

    def write(self, weights: Sequence[Any], *, unlabelled: Path | None = None) -> None:
        """Write the folder, with scores and temperature on PublicTest."""
        faces = load_dataset(self.head)
        validation, learned = faces.split("PublicTest"), [faces.split("Training")]
        facts = describe_data(faces, "Training", "PublicTest")
        if unlabelled is not None:
            learned.append(unlabelled_faces(unlabelled, faces))
            facts["unlabelled"] = describe_unlabelled(learned[-1])
        model = build(self.network, (self.size, self.size, 1), len(faces.class_names))
        model.set_weights(weights)
        card = Card(
            name=self.folder.name,
            task="emotion",
            architecture=self.network,
            parameters=model.count_params(),
            class_names=faces.class_names,
            preprocessor=Preprocessor((self.size, self.size)),
            data={"dataset": self.head, **facts},
            recipe={**asdict(self.settings), "precision": "mixed_bfloat16"},
            seed=0,
            command=self.command,
            versions=recorded_versions(),
        )
        inputs = card.preprocessor(validation.images)
        scores = score(validation.labels, run_keras(model, inputs, 256), validation.class_names)
        save_checkpoint(self.folder, model, card.with_metrics("PublicTest", scores.to_json()))
        write_learned(self.folder, np.concatenate([numbers_of(part) for part in learned]))
        export_litert(self.folder, images=inputs[:64])
        calibrate(self.folder, validation, split="PublicTest", engine="litert")
        print(f"{self.folder}: PublicTest {scores.accuracy:.2%}", flush=True)
