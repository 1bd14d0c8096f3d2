r"""Write the detector whose weights are the mean of those of others, and score it.

    python benchmarks/average_detectors.py runs/models/detector_small runs/models/detector_mixed \
        --data datasets/detection --leave-out datasets/facial_expressions \
        --output runs/models/detector_mean

They must come from one another: means of weights that were trained apart find nothing
(Wortsman et al. 2022, arXiv 2203.05482).
"""

import argparse
import shlex
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from minixception.checkpoints.card import KERAS_FILE, LITERT_FILE, write_card
from minixception.datasets.pictures import picture_names
from minixception.detection.card import read_detector_card
from minixception.detection.labelled_pictures import read_sources
from minixception.detector_training.export import finish_detector, load_detector_model


def main() -> None:
    """Average, export, score, and record it all on a card."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("detectors", type=Path, nargs="+")
    parser.add_argument("--data", type=Path, required=True, help="the detection set")
    parser.add_argument("--leave-out", type=Path, required=True, help="as for `train-detector`")
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    if (arguments.output / LITERT_FILE).exists():
        print(f"{arguments.output} is complete: nothing to do.")
        return
    models = [load_detector_model(folder) for folder in arguments.detectors]
    mean = [
        np.mean(each, axis=0) for each in zip(*(one.get_weights() for one in models), strict=True)
    ]
    models[0].set_weights(mean)
    arguments.output.mkdir(parents=True, exist_ok=True)
    models[0].save(arguments.output / KERAS_FILE)
    card = read_detector_card(arguments.detectors[-1])
    command = shlex.join(["python", "benchmarks/average_detectors.py", *sys.argv[1:]])
    write_card(
        arguments.output, replace(card, name=arguments.output.name, command=command, metrics={})
    )
    names = picture_names(arguments.leave_out)
    finish_detector(arguments.output, read_sources(arguments.data, held_out=True, leave_out=names))


if __name__ == "__main__":
    main()
