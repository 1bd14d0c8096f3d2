"""Train an emotion classifier.

    python src/train_emotion_classifier.py --data datasets/fer2013/fer2013.csv
    python src/train_emotion_classifier.py --recipe paper
    python src/train_emotion_classifier.py --resume runs/fer2013_mini_xception_emotion

On FER2013 it trains on Training, chooses the best epoch on PublicTest and never reads PrivateTest.
"""

from functools import partial

from minixception.commands import training_options

add_arguments = partial(training_options.add_arguments, task="emotion", dataset="fer2013")
run = training_options.run
