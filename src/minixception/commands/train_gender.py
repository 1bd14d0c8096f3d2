"""Train a gender classifier.

    python src/train_gender_classifier.py --data datasets/utkface/crop_part1_adults.tar
    python src/train_gender_classifier.py --dataset imdb --recipe paper

It trains on one split, chooses the best epoch on a second and never reads the third.
For this task `--recipe paper` stands for `paper-gender`.
"""

from functools import partial

from minixception.commands import training_options

add_arguments = partial(training_options.add_arguments, task="gender", dataset="utkface")
run = training_options.run
