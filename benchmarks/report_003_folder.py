"""Make the folder that stands in for the 675 pictures of report 003, which are not public.

Usage: python benchmarks/report_003_folder.py facial_expressions.tar FOLDER

It takes 675 photographs of facial_expressions with seven emotions (no contempt) in which the Haar
cascade finds a face: all of the rare emotion, fear, and equally many of the others.
They are written whole, as they are, into class folders, with the text index of an 80/20 split per
class (`classes.txt`, `train.txt`, `test.txt`). Drawn with seed 0.
"""

import argparse
import sys
from pathlib import Path, PurePosixPath

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from minixception.datasets import FaceDataset, load_facial_expressions
from minixception.datasets.folders import load_class_folders
from minixception.datasets.pictures import named_contents
from minixception.datasets.split_index import split_per_class, write_split_index
from minixception.detection.haar import HaarDetector
from minixception.files import atomic_path

PICTURES = 675


def draw_evenly(faces: FaceDataset, total: int, *, seed: int = 0) -> list[int]:
    """Return `total` rows in random order of class, the rare classes whole, the others levelled."""
    generator = np.random.default_rng(seed)
    rows_of_class = sorted(
        (
            generator.permutation(np.flatnonzero(faces.labels == label))
            for label in set(faces.labels)
        ),
        key=len,
    )
    chosen: list[int] = []
    for position, rows in enumerate(rows_of_class):
        classes_left = len(rows_of_class) - position
        chosen += rows[: (total - len(chosen)) // classes_left].tolist()
    return chosen


def main() -> None:
    """Draw, write, split."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", type=Path, help="folder or archive of facial_expressions")
    parser.add_argument("folder", type=Path, help="new folder for the pictures")
    arguments = parser.parse_args()
    if arguments.folder.exists():
        parser.error(f"{arguments.folder} is there already.")

    faces = load_facial_expressions(arguments.source, detector=HaarDetector())
    faces = faces.select(faces.labels != faces.class_names.index("contempt"))
    chosen = draw_evenly(faces, PICTURES)
    class_of_file = {
        faces.attributes["file"][row]: faces.class_names[faces.labels[row]] for row in chosen
    }
    for name, content in named_contents(arguments.source):
        file = PurePosixPath(name).name
        if file in class_of_file:
            with atomic_path(arguments.folder / class_of_file[file] / file) as path:
                path.write_bytes(content)
    written = split_per_class(load_class_folders(arguments.folder))
    write_split_index(arguments.folder, written)
    print(f"{len(written)} pictures in {arguments.folder}: {written.class_counts()}")


if __name__ == "__main__":
    main()
