"""Checkpoints for other runtimes, compared with the Keras model that they come from."""

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from minixception.checkpoints.card import LITERT_FILE, Card
from minixception.checkpoints.keras_model import Checkpoint, load_checkpoint
from minixception.files import atomic_path
from minixception.messages import explain

# Greatest difference of a probability that an exported model may show. Rounding in float32 differs
# from runtime to runtime and from processor to processor: the shipped models differ by 2e-6.
EXPORT_TOLERANCE = 1e-4

COMPARED_BATCHES = (1, 7, 64)
ONNX_ENTRIES = ("task", "class_names", "preprocessor", "crop_margin", "temperature")  # of the card


def export_litert(
    folder: str | Path,
    *,
    images: np.ndarray,
    output: Path | None = None,
    batch_size: int | None = None,
    loaded: Checkpoint | None = None,
) -> float:
    """Write a `.tflite` file; return how far its probabilities are from those of `model.keras`.

    Args:
        folder: a checkpoint folder.
        images: float32 (N, height, width, channels), prepared faces to compare on.
        output: the file to write; `model.tflite` in the folder where it is None.
        batch_size: the only number of faces that the file takes at once; any where it is None.
        loaded: what the folder holds, where that has been loaded already.

    Raises:
        FileNotFoundError, ValueError: as in `load_checkpoint` and `require_equal`; then no file is
            written.
    """
    from minixception.checkpoints.engines import LiteRTEngine

    checkpoint = loaded or load_checkpoint(folder)
    output = Path(folder) / LITERT_FILE if output is None else output
    with atomic_path(output) as path:
        converter = litert_converter(checkpoint.model, batch_size)
        path.write_bytes(_converted(converter, checkpoint.model.name))
        engine = LiteRTEngine(path, num_classes=len(checkpoint.card.class_names))
        difference = largest_difference(engine.predict, checkpoint.model, images)
        require_equal(difference, what=f"The exported model of {folder}", output=output)
    return difference


def export_beside(folder: Path, images: np.ndarray, loaded: Checkpoint | None = None) -> str:
    """Write `model.tflite` beside `model.keras`, as `export_litert` does; return a line about it.

    With backends other than TensorFlow none is written, and the line says so.
    """
    if keras.backend.backend() != "tensorflow":
        return f"No {LITERT_FILE}: Keras writes it with the TensorFlow backend only."
    difference = export_litert(folder, images=images, loaded=loaded)
    return f"Exported for LiteRT; largest difference of a probability {difference:.1e}"


def _converted(converter: Any, name: str) -> bytes:
    """Return the `.tflite` file of a model, or name the operations that LiteRT lacks."""
    try:
        return bytes(converter.convert())
    except Exception as error:  # TensorFlow's ConverterError, of many lines, among others
        lacking = sorted(set(re.findall(r"'tf\.(\w+)' op", str(error))))
        reason = f"LiteRT has no {', '.join(lacking)}" if lacking else explain(error)[:200]
        raise ValueError(f"{name} cannot be exported to LiteRT: {reason}") from error


def export_onnx(
    folder: str | Path, *, images: np.ndarray, output: Path, batch_size: int | None = None
) -> float:
    """Write an `.onnx` file with entries of the card; see `export_litert`."""
    import onnxruntime

    checkpoint = load_checkpoint(folder)
    model = checkpoint.model
    with atomic_path(output) as path:
        # Without a signature Keras 3.15 refuses a model that has been loaded and not yet called.
        signature = export_signature(model, batch_size)
        # As in `litert_converter`, layers that change pictures at random are told not to.
        serve = keras.Model(model.inputs, model(model.inputs[0], training=False))
        serve.export(path, format="onnx", verbose=False, input_signature=signature)
        _describe_onnx(path, checkpoint.card)
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        difference = largest_difference(
            lambda batch: session.run(["probabilities"], {"faces": batch})[0],
            model,
            images,
            [batch_size] if batch_size else COMPARED_BATCHES,
        )
        require_equal(difference, what="The ONNX model", output=output)
    return difference


def _describe_onnx(path: Path, card: Card) -> None:
    """Name the output of an ONNX file and its open dimension, and add entries of the card."""
    import onnx

    model = onnx.load(path)
    graph = model.graph
    named = graph.output[0].name
    graph.output[0].name = "probabilities"
    for node in graph.node:
        for index, name in enumerate(node.output):
            if name == named:
                node.output[index] = "probabilities"
    for value in (graph.input[0], graph.output[0]):
        count = value.type.tensor_type.shape.dim[0]
        if not count.dim_value:
            count.dim_param = "batch"
    entries = card.to_json()
    onnx.helper.set_model_props(model, {name: json.dumps(entries[name]) for name in ONNX_ENTRIES})
    onnx.save(model, path)


def quantized(model: keras.Model, faces: np.ndarray) -> bytes:
    """Return the content of an 8-bit `.tflite` file whose ranges are measured on prepared faces."""
    import tensorflow as tf

    converter = litert_converter(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([face[np.newaxis]] for face in faces)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    return _converted(converter, model.name)


def largest_difference(
    predict: Callable[[np.ndarray], Any],
    model: keras.Model,
    images: np.ndarray,
    batches: Sequence[int] = COMPARED_BATCHES,
) -> float:
    """Return the largest difference of a probability between another model and a Keras model.

    Keras runs as in `engines.KerasEngine`. A call of the model takes another path through the
    framework, and its sums other roundings. `predict` goes from float32 (B, height, width,
    channels) to (B, K); `batches` are numbers of images to run at once, each cut to what there are.
    NaN comes where one of the models gives NaN.
    """
    parts = [images[:count] for count in batches]
    differences = [np.abs(predict(part) - model.predict_on_batch(part)).max() for part in parts]
    return float(np.max(differences))


def require_equal(
    difference: float, *, what: str, output: str | Path, tolerance: float = EXPORT_TOLERANCE
) -> None:
    """Raise ValueError for a difference from a Keras model above the tolerance, or of NaN."""
    if not difference <= tolerance:
        raise ValueError(
            f"{what} differs from the Keras model by {difference:.2e}, more than {tolerance:.0e}; "
            f"{output} was not written."
        )


def export_signature(
    model: keras.Model,
    batch_size: int | None = None,
    image_size: tuple[int | None, int | None] = (None, None),
) -> list[keras.InputSpec]:
    """Return what an exported model takes: `faces`, a fixed number of them or any.

    `image_size` fixes the (height, width) of a model that takes any.
    """
    _, height, width, channels = model.input_shape
    shape = (batch_size, height or image_size[0], width or image_size[1], channels)
    return [keras.InputSpec(shape=shape, dtype="float32", name="faces")]


def litert_converter(
    model: keras.Model,
    batch_size: int | None = None,
    image_size: tuple[int | None, int | None] = (None, None),
) -> Any:
    """Return TensorFlow's converter of the model to `.tflite`, to be set up and run.

    For `batch_size` and `image_size` see `export_signature`.

    Keras 3.12, the last for Python 3.10, cannot export to LiteRT. Going through a SavedModel takes
    three times as long.
    """
    import tensorflow as tf

    (given,) = export_signature(model, batch_size, image_size)
    # Said, since layers that change pictures at random take `training` for true otherwise.
    serve = tf.function(
        lambda faces: model(faces, training=False),
        input_signature=[tf.TensorSpec(given.shape, given.dtype, given.name)],
    )
    # The converter finds the weights of no Keras model, and would leave them out.
    weights = tf.Module()
    weights.all = [variable.value for variable in model.variables]
    return tf.lite.TFLiteConverter.from_concrete_functions([serve.get_concrete_function()], weights)
