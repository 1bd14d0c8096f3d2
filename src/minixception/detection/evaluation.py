"""Scores of a detector on scenes that no training has seen, and on backgrounds."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minixception.detection.columns import LANDMARKS, SIDE, SURE
from minixception.detection.labelled_pictures import LabelledPicture, SceneSources
from minixception.detection.scenes import compose_scene
from minixception.detection.scoring import (
    average_precision,
    clipped_boxes,
    match_faces,
    recall,
    threshold_for,
)

Scenes = Sequence[tuple[NDArray[np.uint8], NDArray[np.float32]]]
FindBoxes = Callable[[NDArray[np.uint8]], NDArray[np.floating]]
"""From an image, uint8 (height, width, 1), to boxes (n, 5): score, x, y, width, height."""

SCENE_SEED = 20171020
SIZES = (8, 14, 18, 25, 40, 80, 160, 400)
ANGLES = (0, 15, 30, 50)
LIGHTS = (0, 20, 40, 80, 160, 256)
FALSE_PER_IMAGE = 0.1


@dataclass(frozen=True)
class DetectorScores:
    """How well faces are found.

    Attributes:
        average_precision: at an IoU of 0.5.
        average_precision_20: likewise, with faces below 20 pixels counting neither way.
        recall_at_false_rate: share of the faces found at the threshold that lets through one false
            box in ten scenes.
        recall: share of the faces found at the detector's own threshold.
        false_per_scene: false boxes per scene at that threshold.
        false_per_background: likewise, per background.
        by_size: side in pixels, as "18-25" -> recall at that threshold and number of faces.
        by_angle: likewise, by degrees that the line through the eyes is turned.
        by_light: likewise, by the mean grey inside the box.
    """

    average_precision: float
    average_precision_20: float
    recall_at_false_rate: float
    recall: float
    false_per_scene: float
    false_per_background: float
    by_size: Mapping[str, tuple[float, int]]
    by_angle: Mapping[str, tuple[float, int]]
    by_light: Mapping[str, tuple[float, int]]

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)


def held_out_scenes(sources: SceneSources, *, count: int, size: int) -> Scenes:
    """Compose scenes, the same at every call."""
    return [
        compose_scene(sources, size, np.random.default_rng([SCENE_SEED, index]))
        for index in range(count)
    ]


def evaluate_detector(
    find: FindBoxes,
    scenes: Scenes,
    backgrounds: Sequence[LabelledPicture],
    *,
    threshold: float,
) -> DetectorScores:
    """Score a detector on scenes of one size, and on backgrounds without a face.

    `find` must return boxes with much lower scores than `threshold`, the detector's own.
    """
    size = scenes[0][0].shape
    faces = [labels for _, labels in scenes]
    found = [find(image[..., None]) for image, _ in scenes]
    matches = match_faces(found, faces, size)
    large = [_sure_from(labels, 20.0) for labels in faces]
    sure = [labels[labels[:, SURE] > 0] for labels in faces]
    is_found = matches.found_at >= threshold
    everyone = np.concatenate(sure)
    light = np.concatenate(
        [_light(image, labels) for (image, _), labels in zip(scenes, sure, strict=True)]
    )
    return DetectorScores(
        average_precision=average_precision(matches),
        average_precision_20=average_precision(match_faces(found, large, size)),
        recall_at_false_rate=recall(matches, threshold_for(matches, FALSE_PER_IMAGE)),
        recall=recall(matches, threshold),
        false_per_scene=float((~matches.correct & (matches.scores >= threshold)).sum())
        / matches.images,
        false_per_background=false_boxes(find, backgrounds, threshold=threshold)
        / max(len(backgrounds), 1),
        by_size=_by_range(everyone[:, SIDE], is_found, SIZES),
        by_angle=_by_range(_angles(everyone), is_found, ANGLES),
        by_light=_by_range(light, is_found, LIGHTS),
    )


def false_boxes(
    find: FindBoxes, backgrounds: Sequence[LabelledPicture], *, threshold: float
) -> int:
    """Count the boxes in pictures without a face."""
    return sum(
        int((find(picture.image[..., None])[:, 0] >= threshold).sum()) for picture in backgrounds
    )


def format_scores(scores: DetectorScores) -> str:
    """Return a few lines for the terminal."""
    lines = [
        f"average precision {scores.average_precision:.3f}, "
        f"from 20 px on {scores.average_precision_20:.3f}",
        f"recall {scores.recall:.3f} with {scores.false_per_scene:.3f} false boxes a scene and "
        f"{scores.false_per_background:.3f} a background; "
        f"{scores.recall_at_false_rate:.3f} at {FALSE_PER_IMAGE:g} a scene",
    ]
    for name, table in (
        ("side in pixels", scores.by_size),
        ("turned by degrees", scores.by_angle),
        ("mean grey", scores.by_light),
    ):
        lines.append(f"recall by {name}:")
        lines += [f"  {key:>8}  {share:.3f} of {count}" for key, (share, count) in table.items()]
    return "\n".join(lines)


def _sure_from(faces: NDArray[np.float32], side: float) -> NDArray[np.float32]:
    faces = faces.copy()
    faces[faces[:, SIDE] < side, SURE] = 0
    return faces


def _angles(faces: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return by how many degrees (n,) the lines through the eyes are turned, either way."""
    right_x, right_y, left_x, left_y = faces[:, LANDMARKS][:, :4].T
    return np.abs(np.degrees(np.arctan2(left_y - right_y, left_x - right_x)))


def _light(image: NDArray[np.uint8], faces: NDArray[np.float32]) -> NDArray[np.float64]:
    means = []
    for x, y, width, height in clipped_boxes(faces, image.shape).round().astype(int):
        means.append(float(image[y : y + max(height, 1), x : x + max(width, 1)].mean()))
    return np.array(means)


def _by_range(
    values: NDArray[np.floating], is_found: NDArray[np.bool_], bounds: Sequence[int]
) -> dict[str, tuple[float, int]]:
    table = {}
    for low, high in itertools.pairwise(bounds):
        chosen = (values >= low) & (values < high)
        if chosen.any():
            table[f"{low}-{high}"] = (float(is_found[chosen].mean()), int(chosen.sum()))
    return table
