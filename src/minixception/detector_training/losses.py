"""What the detector is trained to do: score, box and landmarks of a cell, in one loss."""

from typing import Any

import keras
from keras import ops

from minixception.detection.columns import LANDMARKS, MIDDLE, SIDE

BOX_WEIGHT = 2.0
LANDMARK_WEIGHT = 5.0
FOCUS = 2.0  # beta of the quality focal loss, as in its source
LANDMARK_BEND = 0.05  # of a face's side: where the loss of a landmark turns from square to linear

_LARGEST_LOGARITHM = 8.0  # of a side in strides, so that a wild weight does not overflow


@keras.saving.register_keras_serializable("minixception")
def detection_loss(targets: Any, outputs: Any) -> Any:
    """Return the loss of a batch, a scalar: a sum over cells, by the weight of those with a face.

    - The score has the quality focal loss (Li et al. 2020, arXiv 2006.04388, equation 2), with the
      root of the IoU of the predicted box as its target; YuNet takes the same root of its score
      times its quality (Wu et al. 2023, doi 10.1007/s11633-023-1423-y).
    - The box has the EIoU loss (Zhang et al. 2021, arXiv 2101.08158, equation 6).
    - Landmarks have a smooth L1 loss, in sides of the face.

    Targets, from `cells.assign_faces`, and outputs of the network are float32 (B, N, 14).
    """
    weight = ops.maximum(targets[..., 0], 0.0)
    has_face = ops.cast(weight > 0, "float32")
    # Where there is no face a cell counts once, where it is not clear not at all.
    counts = ops.where(has_face > 0, weight, ops.cast(targets[..., 0] > -0.5, "float32"))
    overlap, box_loss = compare_squares(targets, outputs)
    quality = has_face * ops.sqrt(ops.stop_gradient(ops.clip(overlap, 1e-6, 1.0)))
    score_loss = counts * _quality_focal_loss(quality, outputs[..., 0])
    side = ops.exp(targets[..., SIDE, None])
    distance = ops.abs(outputs[..., LANDMARKS] - targets[..., LANDMARKS]) / side
    landmark_loss = ops.mean(_smooth(distance), axis=-1)
    placed = BOX_WEIGHT * box_loss + LANDMARK_WEIGHT * landmark_loss
    return ops.sum(score_loss + weight * placed) / ops.maximum(ops.sum(weight), 1.0)


def compare_squares(targets: Any, outputs: Any) -> tuple[Any, Any]:
    """Return IoU and EIoU loss (B, N) of two squares for each cell."""
    side, other = (
        ops.exp(ops.clip(cells[..., SIDE], -_LARGEST_LOGARITHM, _LARGEST_LOGARITHM))
        for cells in (targets, outputs)
    )
    shift = ops.abs(outputs[..., MIDDLE] - targets[..., MIDDLE])
    half_sum = ((side + other) / 2)[..., None]
    smaller = ops.minimum(side, other)[..., None]
    larger = ops.maximum(side, other)[..., None]
    common = ops.prod(ops.clip(half_sum - shift, 0.0, smaller), axis=-1)
    hull = ops.maximum(half_sum + shift, larger)  # width and height of the smallest box about both
    overlap = common / (side**2 + other**2 - common)
    apart = ops.sum(shift**2, axis=-1) / ops.sum(hull**2, axis=-1)
    stretched = ops.sum(((side - other)[..., None] / hull) ** 2, axis=-1)
    return overlap, 1 - overlap + apart + stretched


def _quality_focal_loss(quality: Any, logit: Any) -> Any:
    cross_entropy = ops.maximum(logit, 0) - logit * quality + ops.log1p(ops.exp(-ops.abs(logit)))
    return ops.abs(quality - ops.sigmoid(logit)) ** FOCUS * cross_entropy


def _smooth(distance: Any) -> Any:
    bend = LANDMARK_BEND
    return ops.where(distance < bend, distance**2 / (2 * bend), distance - bend / 2)
