"""A trained detector as a LiteRT file, with its threshold and scores from held-out scenes."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from minixception.checkpoints.card import KERAS_FILE, LITERT_FILE, write_card
from minixception.checkpoints.engines import LiteRTEngine
from minixception.checkpoints.export import litert_converter, require_equal
from minixception.checkpoints.keras_model import load_keras_file
from minixception.detection.card import read_detector_card
from minixception.detection.cells import prepare_images
from minixception.detection.columns import FACE_COLUMNS
from minixception.detection.evaluation import (
    DetectorScores,
    evaluate_detector,
    held_out_scenes,
    match_faces,
    threshold_for,
)
from minixception.detection.labelled_pictures import SceneSources
from minixception.detection.network_detector import MiniXceptionDetector
from minixception.detector_training.trainer import LEAST_SCORE
from minixception.files import atomic_path

SCENES, SCENE_SIZE = 400, 256
# False boxes in a held-out scene at the threshold. Some of the scenes hold shuffled faces and other
# decoys, so that a picture of the world has fewer.
FALSE_PER_SCENE = 0.03


def load_detector_model(folder: str | Path) -> keras.Model:
    """Load the Keras model of a detector's folder and compare it with its card.

    Raises:
        FileNotFoundError: if the folder, the card or the model is missing.
        ValueError: if a file is damaged, or card and model disagree.
    """
    card = read_detector_card(folder)
    model = load_keras_file(Path(folder) / KERAS_FILE)
    if model.count_params() != card.parameters or model.output_shape[-1] != FACE_COLUMNS:
        raise ValueError(
            f"Card and model disagree in {folder}: the card says {card.parameters} parameters and "
            f"cells of {FACE_COLUMNS} numbers, the model has {model.count_params()} and "
            f"{model.output_shape[-1]}."
        )
    return model


def _export(folder: str | Path, images: Sequence[NDArray[np.uint8]]) -> float:
    """Write `model.tflite`; return how far it is from `model.keras` on grey images."""
    model = load_detector_model(folder)
    output = Path(folder) / LITERT_FILE
    with atomic_path(output) as path:
        path.write_bytes(litert_converter(model).convert())
        engine = LiteRTEngine(path, num_classes=FACE_COLUMNS)
        differences = []
        for image in images:
            batch = prepare_images(image[None])
            kept = np.asarray(model(batch, training=False))
            differences.append(np.abs(_comparable(engine.run(batch)) - _comparable(kept)).max())
        difference = float(np.max(differences))
        require_equal(difference, what=f"The exported model of {folder}", output=output)
    return difference


def _comparable(outputs: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return cells with a score in place of the logit, which may be any number."""
    scores = 1 / (1 + np.exp(-outputs[..., :1]))
    return np.concatenate([scores, outputs[..., 1:]], axis=-1)


def finish_detector(folder: str | Path, held_out: SceneSources, *, scenes: int = SCENES) -> float:
    """Export a trained detector, choose its threshold on held-out scenes, and score it on them.

    The card gets the threshold and the scores.

    Returns:
        The largest difference of a score (0 to 1) or of a place (in strides) from the Keras model.

    Raises:
        FileNotFoundError, ValueError: as in `load_detector_model`, or as in `require_equal`.
    """
    composed = held_out_scenes(held_out, count=scenes, size=SCENE_SIZE)
    difference = _export(folder, [image for image, _ in composed[:3]])
    detector = MiniXceptionDetector(folder, score_threshold=LEAST_SCORE, checker=None)
    found = [detector.find_boxes(image) for image, _ in composed]
    matches = match_faces(found, [faces for _, faces in composed], (SCENE_SIZE, SCENE_SIZE))
    threshold = round(threshold_for(matches, FALSE_PER_SCENE), 2)
    card = replace(detector.card, score_threshold=threshold)
    write_card(folder, card)
    scores = evaluate_on_held_out(folder, held_out, scenes=scenes)
    write_card(folder, card.with_metrics("held-out scenes", asdict(scores)))
    return difference


def evaluate_on_held_out(
    folder: str | Path, held_out: SceneSources, *, scenes: int = SCENES
) -> DetectorScores:
    """Score an exported detector on composed scenes, and on the backgrounds without a face."""
    detector = MiniXceptionDetector(folder, score_threshold=LEAST_SCORE, checker=None)
    return evaluate_detector(
        detector.find_boxes,
        held_out_scenes(held_out, count=scenes, size=SCENE_SIZE),
        [picture for picture in held_out.backgrounds if not len(picture.faces)],
        threshold=detector.card.score_threshold,
    )
