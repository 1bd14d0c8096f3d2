"""Which parts of a face support a class: Grad-CAM, guided backpropagation, their product.

    from minixception import Explainer
    from minixception.images import cut_face

    explainer = Explainer.load("fer2013_mini_xception")  # or a folder
    margin = explainer.crop_margin
    crops = [cut_face(image, face.box, margin, angle=face.angle) for face in faces]  # uint8
    explanation = explainer.explain(crops)              # the most probable class of each face
    explanation = explainer.explain(crops, "surprise")  # or this one
    explanation.grad_cam                                # (N, height, width) in [0, 1]

What is explained is the class's logit, the input of the softmax, minus the mean of all logits. A
probability would not do: its gradient, p * (1 - p), vanishes where a network is sure, and depends
on the other classes' logits too. Nor would a single logit: adding the same number to all of them
changes no probability.

Maps are relative to their own peak: they show where, not how much. A map of zeros means that
nothing supports the class.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from minixception.boxes import Box
from minixception.checkpoints.engines import LARGEST_BATCH, require_probabilities
from minixception.checkpoints.keras_model import load_checkpoint
from minixception.images import cut_face, map_in_place
from minixception.labels import index_of
from minixception.messages import counted
from minixception.models.dissection import dissect
from minixception.models.gradients import compiled, gradient_of
from minixception.preprocessor import Images, Preprocessor

if TYPE_CHECKING:
    from minixception.inference.predictions import FacePrediction

PREDICTED = -1


@dataclass(frozen=True)
class Explanation:
    """Which parts of N faces support a class; maps are float32 (N, height, width) in [0, 1].

    Attributes:
        class_names: K names in the model's order.
        scores: probabilities, float32 (N, K).
        classes: the class explained in each face, int64 (N,).
        grad_cam: Grad-CAM as published, on the last feature map: class-specific and coarse.
        hires_cam: the same without the mean over positions, on a finer feature map. Covering its
            peaks changes the answer more than covering those of Grad-CAM.
        guided_backpropagation: edges and wrinkles that matter, hardly specific to the class.
        guided_grad_cam: the product of guided backpropagation and Grad-CAM.
    """

    class_names: tuple[str, ...]
    scores: NDArray[np.float32]
    classes: NDArray[np.int64]
    grad_cam: NDArray[np.float32]
    hires_cam: NDArray[np.float32]
    guided_backpropagation: NDArray[np.float32]
    guided_grad_cam: NDArray[np.float32]

    def __len__(self) -> int:
        """Return the number of faces."""
        return len(self.classes)

    @property
    def explained(self) -> tuple[str, ...]:
        """The name of the class explained in each face."""
        return tuple(self.class_names[index] for index in self.classes)


class Explainer:
    """Explains a model; built once, called for any number of faces.

    It takes any functional classifier that ends in a softmax, whatever its layers are called. See
    `dissection.dissect` for how the feature maps are found.

    Sources: R. R. Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via
    Gradient-based Localization", arXiv 1610.02391 (also guided Grad-CAM); R. L. Draelos, L. Carin,
    "Use HiResCAM instead of Grad-CAM", arXiv 2011.08891; guided backpropagation: see
    `gradients.guided_relu`.

    Args:
        model: the network; it is not changed.
        preprocessor: the one on its card.
        class_names: in the order of its outputs.
        temperature: the one on its card.
        crop_margin: likewise.

    Raises:
        ValueError: if the model does not end in a softmax, has no feature map, or has another
            number of outputs than there are names.
    """

    def __init__(
        self,
        model: keras.Model,
        preprocessor: Preprocessor,
        class_names: Sequence[str],
        *,
        temperature: float = 1.0,
        crop_margin: float = 0.0,
    ) -> None:
        if model.output_shape[-1] != len(class_names):
            raise ValueError(
                f"`class_names` must have {model.output_shape[-1]} names, one per output of the "
                f"model. Received: {', '.join(class_names)}"
            )
        self.preprocessor = preprocessor
        self.class_names = tuple(class_names)
        self.temperature = temperature
        self.crop_margin = crop_margin
        self._parts = dissect(model, preprocessor.input_shape)
        self._explain = compiled(
            self._explain_batch, ((None, *preprocessor.input_shape), "float32"), ((None,), "int32")
        )

    @classmethod
    def load(cls, name_or_folder: str | PathLike[str]) -> "Explainer":
        """Load a shipped model by its name, or a checkpoint folder; see `load_checkpoint`."""
        checkpoint = load_checkpoint(name_or_folder)
        card = checkpoint.card
        options = {"temperature": card.temperature, "crop_margin": card.crop_margin}
        return cls(checkpoint.model, card.preprocessor, card.class_names, **options)

    def explain(self, faces: Images, class_name: str | Sequence[str] | None = None) -> Explanation:
        """Return maps of the parts of each face that support a class.

        The maps of a face of a single value are zero: no part of it differs from another, and only
        the network's borders and strides would show.

        Args:
            faces: uint8 crops as the preprocessor takes them: an array (N, H, W, C), or a sequence
                of arrays (H, W, C) of any sizes. N may be 0.
            class_name: the class to explain, in any of its spellings ("happy", "happiness"), or a
                class per face; None for the most probable class of each face.

        Raises:
            ValueError: for an unknown class, a number of classes that differs from that of the
                faces, or arrays that are not faces; or if the model returns no probabilities.
        """
        names = self.class_names
        inputs = self.preprocessor(faces)
        wanted = self._wanted(class_name, len(inputs))
        empty: list[NDArray[Any]] = [np.zeros((0, len(names)), np.float32), np.zeros(0, np.int64)]
        batches = [empty + [np.zeros((0, *self.preprocessor.image_size), np.float32)] * 4]
        for start in range(0, len(inputs), LARGEST_BATCH):
            part = slice(start, start + LARGEST_BATCH)
            found = self._explain(*map(ops.convert_to_tensor, (inputs[part], wanted[part])))
            batches.append([np.asarray(ops.convert_to_numpy(each)) for each in found])
        parts = [np.concatenate(each) for each in zip(*batches, strict=True)]
        require_probabilities(parts[0], (len(inputs), len(names)), source="The network to explain")
        is_plain = np.ptp(inputs, axis=(1, 2)).max(axis=-1, initial=0) == 0
        maps = [_relative_to_peak(np.where(is_plain[:, None, None], 0, each)) for each in parts[2:]]
        return Explanation(names, parts[0], parts[1], *maps)

    def map_in_image(
        self, image: NDArray[np.uint8], faces: "Sequence[FacePrediction]", task: str
    ) -> tuple[list[Box], NDArray[np.float32]]:
        """Explain the label of each face of an image, RGB uint8 (H, W, 3), by HiResCAM.

        `task` is that of the model. Returns the parts of the image that the faces were cut from,
        and a map over each, float32 (N, height, width), turned as the face is.
        """
        size, margin = image.shape[:2], self.crop_margin
        crops = [cut_face(image, face.box, margin, angle=face.angle) for face in faces]
        maps = self.explain(crops, [str(face.label(task)) for face in faces]).hires_cam
        placed = [
            map_in_place(one, face.box, margin, size, angle=face.angle)
            for one, face in zip(maps, faces, strict=True)
        ]
        parts = [part for part, _ in placed]
        return parts, np.array([one for _, one in placed], np.float32).reshape(maps.shape)

    def _wanted(self, class_name: str | Sequence[str] | None, count: int) -> NDArray[np.int32]:
        """Return the class to explain in each face, `PREDICTED` where that is left open."""
        if class_name is None:
            return np.full(count, PREDICTED, np.int32)
        chosen = [class_name] * count if isinstance(class_name, str) else class_name
        if len(chosen) != count:
            raise ValueError(
                f"`class_name` must be one name or {count}, one per face. "
                f"Received: {counted(len(chosen), 'name')}"
            )
        return np.array([index_of(name, self.class_names) for name in chosen], np.int32)

    def _explain_batch(self, images: Any, wanted: Any) -> list[Any]:
        """Return probabilities, classes, and the maps in the order of `Explanation`, unscaled."""
        parts = self._parts
        coarse, fine = _run(parts.image_to_maps, images)
        logits = _run(parts.coarse_to_logits, coarse)
        classes = ops.where(wanted == PREDICTED, ops.argmax(logits, axis=-1), wanted)
        # Class less mean of all classes: 1 - 1/K for the class and -1/K for the others.
        weights = ops.one_hot(classes, len(self.class_names)) - 1 / len(self.class_names)

        def gradient(network: keras.Model, inputs: Any) -> Any:
            return gradient_of(lambda x: _run(network, x) * weights, inputs)

        coarse_gradient = gradient(parts.coarse_to_logits, coarse)
        fine_gradient = gradient(parts.fine_to_logits, fine)
        guided = ops.max(ops.abs(gradient(parts.guided, images)), axis=-1)
        mean_gradient = ops.mean(coarse_gradient, axis=(1, 2), keepdims=True)
        grad_cam = self._enlarged(ops.sum(mean_gradient * coarse, axis=-1))
        hires_cam = self._enlarged(ops.sum(fine_gradient * fine, axis=-1))
        probabilities = ops.softmax(logits / self.temperature)
        return [probabilities, classes, grad_cam, hires_cam, guided, guided * grad_cam]

    def _enlarged(self, maps: Any) -> Any:
        """Return the supporting part of the maps, in the size of the image."""
        size = self.preprocessor.image_size
        maps = ops.relu(maps)[..., None]
        # Cubic, since bilinear leaves a star around each of the few positions.
        return ops.relu(ops.image.resize(maps, size, interpolation="bicubic"))[..., 0]


def _run(network: keras.Model, inputs: Any) -> Any:
    """Return what a network gives, in float32 whatever it computes with."""
    outputs = network(inputs, training=False)
    return keras.tree.map_structure(lambda one: ops.cast(one, "float32"), outputs)


def _relative_to_peak(maps: NDArray[np.floating]) -> NDArray[np.float32]:
    """Divide each map by its greatest value; one of zeros stays so."""
    peaks = maps.max(axis=(1, 2), keepdims=True, initial=0)
    return (maps / np.where(peaks > 0, peaks, 1)).astype(np.float32)
