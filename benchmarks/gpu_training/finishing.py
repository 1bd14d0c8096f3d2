"""Checkpoint folders, as the training commands write them, from what a GPU has trained."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.gpu_training.packing import unlabelled_faces
from benchmarks.gpu_training.settings import FACES_FILE, HEADS
from benchmarks.gpu_training.trained import read_facts, read_weights
from minixception.checkpoints.card import LEARNED_FILE, Card
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


def finish(folder: Path) -> None:
    """Make a checkpoint folder of each student, and of each head of each teacher.

    Raises:
        FileNotFoundError: there are none.
    """
    inputs = {folder / FACES_FILE, *folder.glob("start_*.npz")}
    files = sorted({*folder.glob("*.npz")} - inputs)
    if not files:
        raise FileNotFoundError(f"{folder} holds no trained model: run the parts before this one")
    for path in files:
        known = read_facts(path)
        *body, kernel, bias = read_weights(path)
        if len(known["heads"]) == 1:
            _write(path.with_suffix(""), [*body, kernel, bias], known, known["heads"][0])
            continue
        for head in known["heads"]:
            columns = HEADS[head]
            weights = [*body, kernel[..., columns], bias[columns]]
            _write(path.with_name(f"{path.stem}_{head}"), weights, known, head)


def _write(folder: Path, weights: Sequence[Any], known: dict[str, Any], head: str) -> None:
    """Write the folder of a model, with scores and temperature on PublicTest; one there stays."""
    if (folder / LEARNED_FILE).exists():
        return
    faces = load_dataset(head)
    validation = faces.split("PublicTest")
    data = {"dataset": head, **describe_data(faces, "Training", "PublicTest")}
    # Both heads, and all students, learn from all faces of Training.
    learned = [load_dataset("fer2013").split("Training")]
    if "teachers" in known:
        learned.append(unlabelled_faces(faces))
        data["unlabelled"] = describe_unlabelled(learned[-1])
        data["teachers"] = [{"name": name} for name in known["teachers"]]
    if known.get("initial_weights"):
        data["initial_weights"] = known["initial_weights"]
    size = (known["size"], known["size"])
    model = build(known["network"], (*size, 1), len(faces.class_names))
    model.set_weights(weights)
    card = Card(
        name=folder.name,
        task="emotion",
        architecture=known["network"],
        parameters=model.count_params(),
        class_names=faces.class_names,
        preprocessor=Preprocessor(size),
        data=data,
        recipe={**known["settings"], "precision": "mixed_bfloat16"},
        seed=known["seed"],
        command=known["command"],
        versions=recorded_versions(),
    )
    inputs = card.preprocessor(validation.images)
    scores = score(validation.labels, run_keras(model, inputs, 256), validation.class_names)
    card = card.with_metrics("PublicTest", scores.to_json())
    save_checkpoint(folder, model, card, [_row(each, head) for each in known["history"]])
    export_litert(folder, images=inputs[:64])
    calibrate(folder, validation, split="PublicTest", engine="litert")
    write_learned(folder, np.concatenate([numbers_of(part) for part in learned]))
    print(f"{folder}: PublicTest {scores.accuracy:.2%}", flush=True)


def _row(row: dict[str, float], head: str) -> dict[str, float]:
    """Return a row of `history.csv`."""
    return {"epoch": row["epoch"], "loss": row["loss"], "val_accuracy": row[head]}
