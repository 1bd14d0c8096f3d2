"""Train the emotion models on one GPU: teachers that know faces, then all students at once.

    python -m benchmarks.gpu_training pack
    KERAS_BACKEND=jax python -m benchmarks.gpu_training teachers
    KERAS_BACKEND=jax python -m benchmarks.gpu_training students
    python -m benchmarks.gpu_training finish

Each teacher has two heads, the labels of FER2013 and the votes of FER+ on the same faces. The
students learn from the mean answer of the teachers to just the picture that they see themselves,
augmented and mixed (Beyer et al. 2022, arXiv 2106.05237); all of them in one loop, so that the
teachers are asked once. `minixception train-emotion --recipe patient` asks once per face instead,
since the processors that it is made for take a hundred times as long.

Each of these is passed over where its files are there. `make models` types them for the shipped
models, and what lies between them.

`pack` and `finish` need the project and its data sets (datasets/README.md); the two between them
need `keras`, `jax[cuda13]` and what `pack` wrote. Everything is in one folder, `runs/gpu`; there
`finish` makes checkpoint folders, which can be scored, and teach, like any other.
"""

import argparse
import os
import shlex
import sys
from pathlib import Path

from benchmarks.gpu_training.settings import SEEDS, STUDENTS, Student

ROOT = Path(__file__).resolve().parents[2]


def main() -> int | str:
    """Run one of the parts; return an exit code, or what is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("part", choices=("pack", "teachers", "students", "finish"))
    parser.add_argument("--folder", type=Path, default=ROOT / "runs" / "gpu")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS, help="of the teachers")
    parser.add_argument(
        "--students",
        nargs="+",
        type=Student.parse,
        default=STUDENTS,
        metavar="NETWORK:SIZE:DATASET[=CHECKPOINT]",
        help="begins with the weights of the checkpoint, if any; `pack` must be told as well",
    )
    for name, kind in (("epochs", int), ("learning_rate", float), ("mixup", float)):
        option = "--" + name.replace("_", "-")
        parser.add_argument(option, type=kind, help="another one than in the settings")
    parser.add_argument("--seconds", type=float, default=1e6, help="train fewer epochs to keep it")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    try:
        if options.part == "pack":
            from benchmarks.gpu_training.packing import pack

            pack(options.folder, options.students)
        elif options.part == "finish":
            from benchmarks.gpu_training.finishing import finish

            finish(options.folder)
        else:
            train(options)
    except (FileNotFoundError, FileExistsError, ValueError) as error:
        return str(error)
    return 0


def train(options: argparse.Namespace) -> None:
    """Run a part that trains."""
    os.environ["KERAS_BACKEND"] = "jax"
    import keras

    from benchmarks.gpu_training.kernels import use_plain_kernels
    from benchmarks.gpu_training.stages import train_students, train_teachers

    use_plain_kernels()
    keras.config.set_dtype_policy("mixed_bfloat16")
    command = "KERAS_BACKEND=jax python -m benchmarks.gpu_training " + shlex.join(sys.argv[1:])
    given = ("epochs", "learning_rate", "mixup")
    changes = {name: value for name in given if (value := getattr(options, name)) is not None}
    common = {"changes": changes, "seconds": options.seconds, "command": command}
    if options.part == "teachers":
        train_teachers(options.folder, seeds=options.seeds, **common)
    else:
        train_students(options.folder, students=options.students, **common)


if __name__ == "__main__":
    sys.exit(main())
