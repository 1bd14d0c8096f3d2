"""Bad checkpoint folders and Keras files."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py

from bad_input.place import TEXT, Case, Place, content, converted, model

CARD, NO_LITERT = "model/card.json cannot be used", "cannot be loaded by LiteRT"


def hdf5(change: Callable[[h5py.File], object]) -> Callable[[Place], str]:
    """Write a small model as .hdf5, changed."""

    def make(place: Place) -> str:
        import keras

        given = keras.Input((4, 4, 1))  # which few networks take
        keras.Model(given, keras.layers.Flatten()(given)).save("model.hdf5")
        with h5py.File("model.hdf5", "a") as content:
            change(content)
        return "model.hdf5"

    return make


def h5_entry(entry: Any) -> Callable[[Place], str]:
    return hdf5(lambda content: content.__setitem__("entry", entry))


def h5_data(*shape: int, **options: Any) -> Callable[[Place], str]:
    return hdf5(lambda content: content.create_dataset("zeros", shape, "f4", **options))


def h5_lambda(content: h5py.File) -> None:
    config = content.attrs["model_config"].replace('"Flatten"', '"Lambda"')
    content.attrs["model_config"] = config


def cut(file: str) -> Callable[[Place], bytes]:
    def half(place: Place) -> bytes:
        whole = (place.emotion / file).read_bytes()
        return whole[: len(whole) // 2]

    return half


def preprocessor(**changes: Any) -> Callable[[Place], str]:
    return lambda place: place.card(lambda card: card["preprocessor"].update(changes))


def entry(**changes: Any) -> Callable[[Place], str]:
    return lambda place: place.card(lambda card: card.update(changes))


def tflite_folder(place: Place) -> str:
    name = place.checkpoint(tflite=None)
    (place.folder / name / "model.tflite").mkdir()
    return name


CHECKPOINTS = [
    Case("checkpoint folder", given, "image", model(make), said)
    for given, make, said in (
        ("missing", lambda _: "nowhere", "neither a checkpoint folder nor a shipped"),
        ("empty", lambda _: "folder", "folder is not a checkpoint: it has no card.json"),
        ("a file", content(TEXT, "a.txt"), "a.txt is neither a checkpoint folder"),
        ("of the other task", lambda p: str(p.gender), "must be a model of the task emotion"),
        ("card.json missing", lambda p: p.checkpoint(card=None), "it has no card.json"),
        ("card.json empty", lambda p: p.checkpoint(card=b""), CARD),
        ("card.json a list", lambda p: p.checkpoint(card=b"[]"), "it must hold one object"),
        ("card.json binary", lambda p: p.checkpoint(card=b"\xff\xfe\0"), CARD),
        ("card.json nested deeply", lambda p: p.checkpoint(card=b"[" * 10**5), CARD),
        ("card: preprocessor null", entry(preprocessor=None), "`preprocessor` must be an object"),
        ("card: metrics a number", entry(metrics=5), "`metrics` must be an object"),
        ("card: -1 parameters", entry(parameters=-1), "`parameters` must be at least 0"),
        ("card: a task of two words", entry(task="the age"), "`task` must be a word such as"),
        ("card: equal class names", entry(class_names=["a"] * 7), "must mean different things"),
        ("card: an empty class name", entry(class_names=["", *"abcdef"]), "must be printable"),
        ("card: two classes of seven", entry(class_names=["a", "b"]), "do not belong together"),
        ("card: a margin of NaN", entry(crop_margin=float("nan")), "`margin` must be a fraction"),
        ("card: a margin per side", entry(crop_margin=[0, 0.1, 0, 0]), "same for all sides"),
        ("card: images of 10^6 x 10^6", preprocessor(image_size=[10**6] * 2), "at most 2048 each"),
        ("card: three channels", preprocessor(channels=3), "Card and model disagree"),
        ("card: a range up to 1e308", preprocessor(value_range=[0, 1e308]), "numbers up to 1e+06"),
        ("card: a mean of NaN", preprocessor(mean=[float("nan")]), "number from 0 to 255"),
        (".tflite missing", lambda p: p.checkpoint(tflite=None), "model.tflite does not exist"),
        (".tflite a folder", tflite_folder, "model.tflite does not exist"),
        (".tflite text", lambda p: p.checkpoint(tflite=TEXT), NO_LITERT),
        (".tflite truncated", lambda p: p.checkpoint(tflite=cut("model.tflite")(p)), NO_LITERT),
        (
            ".tflite of another model",
            lambda p: p.checkpoint(tflite=(p.gender / "model.tflite").read_bytes()),
            "do not belong together",
        ),
    )
]


def members(**changes: bytes | None) -> Callable[[Place], str]:
    return lambda place: place.keras(**changes)


def config(entries: Mapping[str, Any]) -> Callable[[Place], str]:
    return members(**{"config.json": json.dumps(entries).encode()})


SYSTEM = {"module": "os", "class_name": "system", "config": "true", "registered_name": None}


def files(kind: str, *cases: tuple[str, Callable[[Place], str], str]) -> list[Case]:
    return [Case(kind, given, "convert", converted(make), said) for given, make, said in cases]


def layer(**changes: Any) -> Callable[[Place], str]:
    return lambda place: place.layer(**changes)


NEITHER = "neither a .keras archive nor an HDF5 file"
KERAS_FILES = [
    *files(
        ".keras",
        ("missing", lambda _: "a.keras", "a.keras does not exist"),
        ("empty", content(b"", "a.keras"), "cannot be loaded as a Keras model"),
        ("text", content(TEXT, "a.keras"), NEITHER),
        ("truncated", lambda p: p.write("a.keras", cut("model.keras")(p)), NEITHER),
        ("a folder", lambda _: "folder", "folder does not exist"),
        ("a member outside", members(**{"../../evil.txt": b"x"}), "it must hold metadata.json"),
        ("a member less", members(**{"metadata.json": None}), "it must hold metadata.json"),
        ("80 MB of zeros", members(**{"model.weights.h5": bytes(80 << 20)}), "would unpack to"),
        ("a Lambda layer", layer(class_name="Lambda"), "it would need keras.layers.Lambda"),
        ("a TFSMLayer", layer(class_name="TFSMLayer"), "need keras.layers.TFSMLayer"),
        (
            "a layer that reads a file",
            layer(class_name="StringLookup", config={"vocabulary": "/etc/hostname"}),
            "it would need keras.layers.StringLookup",
        ),
        (
            "a function of Keras",
            layer(module="keras.utils", class_name="get_file"),
            "it would need keras.utils.get_file",
        ),
        (
            "a layer of another package",
            layer(module="evil", class_name="Layer", registered_name="evil>Layer"),
            "it would need evil.Layer",
        ),
        (
            "a name that somebody registered",
            layer(registered_name="evil>Conv2D"),
            "only plain layers of Keras",
        ),
        ("os.system", config(SYSTEM), "it would need os.system"),
        ("an empty configuration", config({}), "broken.keras cannot be loaded"),
    ),
    *files(
        ".hdf5",
        ("text", content(TEXT, "a.hdf5"), NEITHER),
        (
            "truncated",
            lambda p: p.write("a.hdf5", Path(hdf5(str)(p)).read_bytes()[:2000]),
            "cannot be loaded as a Keras model",
        ),
        ("weights without a network", hdf5(lambda h: h.attrs.clear()), "weights but no network"),
        ("another network", hdf5(str), "looks like that"),
        ("a Lambda layer", hdf5(h5_lambda), "it would need Lambda"),
        (
            "a link to another file",
            h5_entry(h5py.ExternalLink("/etc/secret.h5", "/data")),
            "a link to elsewhere",
        ),
        ("a link inside", h5_entry(h5py.SoftLink("/loop")), "a link to elsewhere"),
        (
            "data in another file",
            h5_data(8, external=[("/etc/hostname", 0, 32)]),
            "lies in another file",
        ),
        ("4 TB of zeros", h5_data(1 << 40, chunks=(1 << 20,)), "its tensors would take"),
    ),
]
