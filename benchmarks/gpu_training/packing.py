"""All that a GPU needs, in one file: faces, labels, votes, and the weights of a backbone."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.gpu_training.settings import (
    FACES_FILE,
    FER2013,
    FERPLUS,
    HEADS,
    TEACHER_NETWORK,
    TEACHER_SIZE,
    Student,
)
from benchmarks.gpu_training.trained import write_model
from minixception.datasets.face_dataset import FaceDataset
from minixception.datasets.ferplus import read_ferplus_votes, votes_as_targets
from minixception.datasets.registry import load_dataset
from minixception.datasets.unlabelled import gather_unlabelled
from minixception.files import find_data
from minixception.models import build
from minixception.models.mobilenet import load_mobilenet_weights
from minixception.preprocessor import Preprocessor
from minixception.training.origins import begin_with
from minixception.training.outliers import spoil

DATA = Path(__file__).resolve().parents[2] / "datasets"

# Faces that nobody can read, and faces to measure the statistics of the backbone on.
SPOILT, MEASURED = 2500, 256


def pack(folder: Path, students: Sequence[Student]) -> None:
    """Write that file into a folder, unless it is there, and the weights that students begin with.

    Raises:
        FileNotFoundError: a data set or a checkpoint is missing.
        ValueError: a checkpoint is another network, or takes other pixels.
    """
    for student in students:
        if student.start:
            pack_start(folder, student)
    if not (folder / FACES_FILE).exists():
        pack_faces(folder)


def pack_start(folder: Path, student: Student) -> None:
    """Write the weights that a student begins with."""
    size = (student.size, student.size)
    classes = FER2013 if student.dataset == "fer2013" else FERPLUS
    model = build(student.network, (*size, 1), len(classes))
    begin_with(model, Path(student.start), classes, Preprocessor(size))
    write_model(folder / student.start_file, model.get_weights(), {"name": student.start})


def pack_faces(folder: Path) -> None:
    """Write faces, labels, votes and the backbone."""
    faces = load_dataset("fer2013")
    assert faces.splits is not None
    training = faces.splits == "Training"
    unlabelled = unlabelled_faces(faces)
    file = find_data("ferplus/fer2013new.csv", "fer2013/fer2013new.csv")
    votes = read_ferplus_votes(file, splits=faces.splits)
    shares, has_votes = votes_as_targets(votes, FERPLUS)
    # As the recipe `ferplus`: no other answer has more votes than the best emotion.
    has_votes &= votes[:, : len(FERPLUS)].max(axis=1) >= votes.max(axis=1)
    shares[~has_votes] = 0
    images = faces.images[training]
    generator = np.random.default_rng(0)
    chosen = generator.choice(len(images), SPOILT, replace=False)

    size = (TEACHER_SIZE, TEACHER_SIZE)
    model = build(TEACHER_NETWORK, (*size, 1), len(FER2013 + FERPLUS))
    inputs = Preprocessor(size)(images[chosen[:MEASURED]])
    load_mobilenet_weights(model, DATA / "models" / "vggface2_mobilenet.weights.h5", inputs)

    none = np.zeros((len(unlabelled), len(FERPLUS)), np.float32)
    arrays: dict[str, NDArray[Any]] = {
        "images": np.concatenate([images, unlabelled.images])[..., 0],
        "labels": np.concatenate([faces.labels[training], np.full(len(unlabelled), -1)]),
        "votes": np.concatenate([shares[training], none]),
        "spoilt": np.stack([spoil(image, generator) for image in images[chosen]])[..., 0],
    }
    for head in HEADS:
        validation = load_dataset(head).split("PublicTest")
        arrays[f"{head}_images"] = validation.images[..., 0]
        arrays[f"{head}_labels"] = validation.labels
    arrays |= {f"backbone_{k}": weights for k, weights in enumerate(model.get_weights())}
    np.savez_compressed(folder / FACES_FILE, **arrays)  # type: ignore[arg-type]


def unlabelled_faces(faces: FaceDataset) -> FaceDataset:
    """Return the faces of photographs that no model is scored on."""
    found = gather_unlabelled(
        [DATA / "detection"],
        faces,
        unseen=("PublicTest", "PrivateTest"),
        leave_out=DATA / "facial_expressions" / "facial_expressions_subset.tar",
    )
    assert found is not None
    return found
