"""The data sets by name, for the command line: which loader, which split plays which part."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from minixception.boxes import CropMargin
from minixception.datasets.face_dataset import FaceDataset
from minixception.datasets.fer2013 import load_fer2013
from minixception.paths import find_data


@dataclass(frozen=True)
class DatasetEntry:
    """How a command uses a data set.

    Attributes:
        task: "emotion" or "gender".
        load: from the path to all faces, with their splits.
        default_paths: where the data is looked for inside `datasets/`, best first.
        training_split: faces to learn from.
        validation_split: faces that every choice is made on.
        test_split: faces that a finished model is scored on, once.
        crop_margin: what turns a detector's box into the framing of these faces.
    """

    task: str
    load: Callable[[Path], FaceDataset]
    default_paths: tuple[str, ...]
    training_split: str = "train"
    validation_split: str = "validation"
    test_split: str = "test"
    crop_margin: CropMargin = CropMargin()


_FER2013_FILES = ("fer2013/fer2013.csv", "fer2013/fer2013.csv.gz", "fer2013/icml_face_data.csv")

DATASETS: dict[str, DatasetEntry] = {
    "fer2013": DatasetEntry(
        task="emotion",
        load=load_fer2013,
        default_paths=_FER2013_FILES,
        training_split="Training",
        validation_split="PublicTest",
        test_split="PrivateTest",
    ),
}


def dataset_names(task: str | None = None) -> tuple[str, ...]:
    """Return the names of the data sets, all or those of a task."""
    return tuple(name for name, entry in DATASETS.items() if task in (None, entry.task))


def load_dataset(name: str, path: Path | None = None) -> FaceDataset:
    """Load a data set by name, from `path` or from its place in `datasets/`.

    Raises:
        ValueError: for an unknown name, or a file that does not hold what it should.
        FileNotFoundError: if the file or folder is missing.
    """
    if name not in DATASETS:
        raise ValueError(f"`name` must be one of {', '.join(DATASETS)}. Received: name={name!r}")
    entry = DATASETS[name]
    return entry.load(path if path is not None else find_data(*entry.default_paths))
