"""How well a detector finds faces, in scenes not used in training and in backgrounds."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from minixception.boxes import intersections_over_unions
from minixception.detection.columns import LANDMARKS, SIDE, SURE, clipped_boxes
from minixception.detection.labelled_pictures import LabelledPicture, SceneSources
from minixception.detection.scenes import compose_scene

Scenes = Sequence[tuple[NDArray[np.uint8], NDArray[np.float32]]]
FindBoxes = Callable[[NDArray[np.uint8]], NDArray[np.floating]]
"""From a grey image, uint8 (height, width), to boxes (n, 5): score, x, y, width, height."""

SCENE_SEED = 20171020
SIZES = (8, 14, 18, 25, 40, 80, 160, 400)
ANGLES = (0, 15, 30, 50)
LIGHTS = (0, 20, 40, 80, 160, 256)
FALSE_PER_IMAGE = 0.1
LEAST_OVERLAP = 0.5  # IoU from which on a box has found a face
UNSURE_OVERLAP = 0.3  # and from which on it may mean a face that is not sure


@dataclass(frozen=True)
class Matches:
    """What a detector has found in some images.

    Attributes:
        scores: float64 (M,) of the boxes that count, best first.
        correct: bool (M,): whether a box has found a face that no better one had.
        found_at: float64 (F,): for each sure face the score of the box that found it, or -1.
        images: number of images.
    """

    scores: NDArray[np.float64]
    correct: NDArray[np.bool_]
    found_at: NDArray[np.float64]
    images: int


def match_faces(
    found: Sequence[NDArray[np.floating]],
    faces: Sequence[NDArray[np.floating]],
    size: tuple[int, int],
) -> Matches:
    """Compare what was found with what is there, image by image, best boxes first.

    A box on a face that is not sure counts neither way. `found` has per image (n, 5): score, x, y,
    width, height of a box; `faces` per image (m, 14), see `columns`, to be clipped like the boxes.
    """
    scores: list[float] = []
    correct: list[bool] = []
    found_at: list[NDArray[np.float64]] = []
    for boxes, labels in zip(found, faces, strict=True):
        at = np.full(len(labels), -1.0)
        sure = labels[:, SURE] > 0
        boxes = boxes[np.argsort(-boxes[:, 0], kind="stable")]
        overlaps = intersections_over_unions(boxes[:, 1:], clipped_boxes(labels, size))
        for box, row in zip(boxes, overlaps, strict=True):
            free = np.where(sure & (at < 0), row, 0.0)
            is_correct = free.max(initial=0.0) >= LEAST_OVERLAP
            if is_correct:
                at[free.argmax()] = box[0]
            elif np.where(sure, 0.0, row).max(initial=0.0) >= UNSURE_OVERLAP:
                continue
            scores.append(float(box[0]))
            correct.append(is_correct)
        found_at.append(at[sure])
    order = np.argsort(-np.array(scores), kind="stable")
    return Matches(
        scores=np.array(scores)[order],
        correct=np.array(correct, bool)[order],
        found_at=np.concatenate([np.zeros(0), *found_at]),
        images=len(found),
    )


def average_precision(matches: Matches) -> float:
    """Return the area under the curve of precision over recall, as in Pascal VOC 2010 and later."""
    if not len(matches.found_at):
        return float("nan")
    hits = np.cumsum(matches.correct)
    precision = hits / np.arange(1, len(hits) + 1)
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    return float(precision[matches.correct].sum() / len(matches.found_at))


def threshold_for(matches: Matches, false_per_image: float) -> float:
    """Return the lowest score above which there are at most so many false boxes per image."""
    false = np.cumsum(~matches.correct)
    allowed = np.flatnonzero(false > false_per_image * matches.images)
    if not len(allowed):
        return float(matches.scores[-1]) if len(matches.scores) else 1.0
    return float(np.nextafter(matches.scores[allowed[0]], 2.0))


def recall(matches: Matches, threshold: float) -> float:
    """Return the share of the sure faces that were found with at least this score."""
    return float((matches.found_at >= threshold).mean()) if len(matches.found_at) else float("nan")


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
    found = [find(image) for image, _ in scenes]
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
    return sum(int((find(one.image)[:, 0] >= threshold).sum()) for one in backgrounds)


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
