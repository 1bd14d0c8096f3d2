"""All that a GPU needs, in one file: faces, labels, votes, and the weights of a backbone."""

from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.gpu_training.settings import (
    FACES_FILE,
    FER2013,
    FERPLUS,
    TEACHER_NETWORK,
    TEACHER_SIZE,
    TRAINING,
    UNLABELLED,
    VALIDATION,
)
from numpy.typing import NDArray

from minixception.datasets.face_dataset import FaceDataset
from minixception.datasets.fer2013 import load_fer2013
from minixception.datasets.ferplus import read_ferplus_votes, votes_as_targets
from minixception.datasets.unlabelled import gather_unlabelled
from minixception.models import build
from minixception.models.mobilenet import load_mobilenet_weights
from minixception.preprocessor import Preprocessor
from minixception.training.outliers import spoil

# Faces that nobody can read, and faces to measure the statistics of the backbone on.
SPOILT, MEASURED = 2500, 256


def pack(data: Path, output: Path) -> None:
    """Write that file into the folder `output`; `data` is the folder of the data sets."""
    faces = load_fer2013(data / "fer2013" / "fer2013.csv.gz")
    assert faces.splits is not None
    votes = read_ferplus_votes(data / "fer2013" / "fer2013new.csv", splits=faces.splits)
    shares, has_votes = votes_as_targets(votes, FERPLUS)
    # As the recipe `ferplus`: no other answer has more votes than the best emotion.
    has_votes &= votes[:, : len(FERPLUS)].max(axis=1) >= votes.max(axis=1)
    shares[~has_votes] = 0
    unlabelled = unlabelled_faces(data, faces)
    training = faces.images[faces.splits == "Training"]
    generator = np.random.default_rng(0)
    chosen = generator.choice(len(training), SPOILT, replace=False)

    size = (TEACHER_SIZE, TEACHER_SIZE)
    model = build(TEACHER_NETWORK, (*size, 1), len(FER2013 + FERPLUS))
    inputs = Preprocessor(size)(training[chosen[:MEASURED]])
    load_mobilenet_weights(model, data / "models" / "vggface2_mobilenet.weights.h5", inputs)

    seen = faces.splits != "PrivateTest"
    others = len(unlabelled)
    labels = np.concatenate([faces.labels[seen], np.full(others, -1)])
    splits = np.where(faces.splits[seen] == "Training", TRAINING, VALIDATION)
    arrays: dict[str, NDArray[Any]] = {
        "images": np.concatenate([faces.images[seen], unlabelled.images])[..., 0],
        "labels": labels.astype(np.int8),
        "votes": np.concatenate([shares[seen], np.zeros((others, len(FERPLUS)), np.float32)]),
        "splits": np.concatenate([splits, np.full(others, UNLABELLED)]).astype(np.int8),
        "spoilt": np.stack([spoil(image, generator) for image in training[chosen]])[..., 0],
    }
    arrays |= {f"backbone_{k}": weights for k, weights in enumerate(model.get_weights())}
    np.savez_compressed(output / FACES_FILE, **arrays)  # type: ignore[arg-type]


def unlabelled_faces(data: Path, faces: FaceDataset) -> FaceDataset:
    """Return the faces of photographs that no model is scored on."""
    found = gather_unlabelled(
        [data / "detection"],
        faces,
        unseen=("PublicTest", "PrivateTest"),
        leave_out=data / "facial_expressions" / "facial_expressions_subset.tar",
    )
    assert found is not None
    return found
