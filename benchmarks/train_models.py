"""Train the classifiers: teachers that know faces, then their students.

    make models
    python benchmarks/train_models.py --list

The wide emotion model comes from a GPU, and so do the teachers and the first weights of the last
step, which `benchmarks/gpu_training` writes to `runs/gpu`.

Each step goes on where it was cut, and one that is complete is passed over, so the same command is
typed again until it has nothing to do. All steps take some twelve hours of two cores. What they
read lies in `datasets/` (datasets/README.md); what they write, in `runs/models/`.
"""

import argparse
import shlex
import subprocess
import sys
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

STEPS = {
    "emotion_teacher": f"train-emotion --recipe face-teacher --epochs 10 {_BACKBONE}",
    "emotion_teacher_1": f"train-emotion --recipe face-teacher --epochs 13 --seed 1 {_BACKBONE}",
    "ferplus_teacher": "train-emotion --recipe face-teacher --dataset ferplus --label-smoothing 0 "
    f"--epochs 12 {_BACKBONE}",
    "mini_xception": _PATIENT,
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
}
"""Name of the folder -> the command that trains it; a later step may read an earlier one's."""


def commands() -> list[list[str]]:
    """Return the arguments of `minixception` for each step, in order."""
    return [
        [*shlex.split(step), "--output", str(RUNS / name), "--resume"]
        for name, step in STEPS.items()
    ]


def main() -> int:
    """Run the steps, or list them; the exit code is that of the first that failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--list", action="store_true", help="print the commands and train nothing")
    wants_list = parser.parse_args().list
    for arguments in commands():
        print(shlex.join(["minixception", *arguments]), flush=True)
        if not wants_list:
            command = [sys.executable, "-m", "minixception", *arguments]
            code = subprocess.run(command, cwd=ROOT, check=False).returncode
            if code:
                return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
