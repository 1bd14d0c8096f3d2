"""Train the models: the detector; teachers that know faces, then their students.

    make models
    python benchmarks/train_models.py gender_teacher gender
    python benchmarks/train_models.py --list

Each step goes on where it was cut, and one that is complete is passed over, so the same command is
typed again until it has nothing to do. The steps read `datasets/` (datasets/README.md) and write to
`runs/models/` and `runs/gpu/`. `gpu` and `gpu_again` take a quarter of an hour of a large GPU and
need `jax[cuda13]`, see `benchmarks/gpu_training`; the others take some sixteen hours of two cores.
"""

import argparse
import shlex
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RUNS = Path("runs", "models")

_BACKBONE = "--backbone-weights datasets/models/vggface2_mobilenet.weights.h5"
# Photographs whose emotions nobody has labelled, but for those that models are scored on.
_PHOTOGRAPHS = "--unlabelled datasets/detection --leave-out datasets/facial_expressions"

_PATIENT = (
    f"train-emotion --recipe patient --teacher {RUNS}/emotion_teacher {RUNS}/emotion_teacher_1 "
    f"{_PHOTOGRAPHS} --unlabelled-teacher {RUNS}/ferplus_teacher"
)

_DETECTOR = "train-detector --data datasets/detection --leave-out datasets/facial_expressions"

_GPU = "benchmarks.gpu_training"
_FIRST = "--students mini_xception_wide:64:fer2013 mini_xception:64:ferplus"
_AGAIN = (
    f"--students mini_xception:64:fer2013={RUNS}/mini_xception "
    "mini_xception_wide:64:fer2013=runs/gpu/mini_xception_wide_64_fer2013 "
    f"mini_xception:64:ferplus={RUNS}/ferplus"
)

STEPS = {
    "gpu": [
        f"{_GPU} pack",
        f"{_GPU} teachers --seeds 0 1 2 3",
        f"{_GPU} students {_FIRST} --epochs 98",
        f"{_GPU} finish",
    ],
    "emotion_teacher": f"train-emotion --recipe face-teacher --epochs 10 {_BACKBONE}",
    "emotion_teacher_1": f"train-emotion --recipe face-teacher --epochs 13 --seed 1 {_BACKBONE}",
    "ferplus_teacher": "train-emotion --recipe face-teacher --dataset ferplus --label-smoothing 0 "
    f"--epochs 12 {_BACKBONE}",
    "mini_xception": _PATIENT,
    "detector": _DETECTOR,
    "detector_again": f"{_DETECTOR} --initial-weights {RUNS}/detector --seed 1 --epochs 45 "
    "--learning-rate 2e-3",
    "detector_longer": f"{_DETECTOR} --initial-weights {RUNS}/detector_again --seed 5 --epochs 80 "
    "--learning-rate 2e-3",
    "detector_small": f"{_DETECTOR} --initial-weights {RUNS}/detector_longer --seed 6 --epochs 60 "
    "--learning-rate 2e-3",
    "detector_mixed": f"{_DETECTOR} --initial-weights {RUNS}/detector_small --seed 7 --epochs 55 "
    "--learning-rate 2e-3",
    "detector_mean": [
        f"benchmarks.average_detectors {RUNS}/detector_small {RUNS}/detector_mixed "
        f"--data datasets/detection --leave-out datasets/facial_expressions "
        f"--output {RUNS}/detector_mean"
    ],
    "roll": "train --task roll",
    "gender_teacher": "train-gender --recipe face-teacher --dataset utkface --epochs 14 "
    f"--crop-margin -0.2 {_BACKBONE}",
    "gender": f"train-gender --teacher {RUNS}/gender_teacher --teacher-share 0.9 --teach-once "
    f"--label-smoothing 0 --outliers 0.1 {_PHOTOGRAPHS} --initial-weights {RUNS}/mini_xception "
    "--epochs 30 --crop-margin -0.2",
    "ferplus": "train-emotion --recipe patient --dataset ferplus --teacher "
    + " ".join(f"runs/gpu/teacher_{number}_ferplus" for number in range(4))
    + f" {_PHOTOGRAPHS} --initial-weights runs/gpu/mini_xception_64_ferplus "
    "--class-weights 1,3,1,1,1,1,1,1 --epochs 88 --learning-rate 5e-3",
    "gpu_again": [
        f"{_GPU} pack {_AGAIN}",
        f"{_GPU} teachers --seeds 4 5",
        f"{_GPU} students {_AGAIN} --epochs 165 --mixup 0.2 --learning-rate 6e-3",
        f"{_GPU} finish",
    ],
}
"""Step -> what `python -m` runs, or the `minixception` command that trains the folder of its name.

A later step may read what an earlier one has written.
"""


def commands(names: Iterable[str] = STEPS) -> list[list[str]]:
    """Return module and arguments of each command of some steps, in order."""
    found = []
    for name in names:
        step = STEPS[name]
        if isinstance(step, str):
            step = [f"minixception {step} --output {RUNS / name} --resume"]
        found += [shlex.split(command) for command in step]
    return found


def main() -> int:
    """Run steps, or list them; the exit code is that of the first that failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("steps", nargs="*", default=[*STEPS], help="only these")
    parser.add_argument("--list", action="store_true", help="print the commands and train nothing")
    options = parser.parse_args()
    if unknown := set(options.steps) - set(STEPS):
        parser.error(f"no step is named {', '.join(unknown)}. There are {', '.join(STEPS)}")
    for command in commands(options.steps):
        print("python -m", shlex.join(command), flush=True)
        if not options.list:
            code = subprocess.run(
                [sys.executable, "-m", *command], cwd=ROOT, check=False
            ).returncode
            if code:
                return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
