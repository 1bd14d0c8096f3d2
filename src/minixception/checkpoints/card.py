"""`card.json`: what a model needs besides its weights to be used correctly, and its origin.

Preprocessing, class order and crop margin are part of the checkpoint. A card is data: this module
imports no framework.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeVar

from minixception.boxes import as_margin
from minixception.files import atomic_path
from minixception.labels import check_class_names, check_task
from minixception.preprocessor import Preprocessor

CARD_FILE = "card.json"
HISTORY_FILE = "history.csv"
STATE_FILE = "training_state.npz"
KERAS_FILE = "model.keras"
LITERT_FILE = "model.tflite"
CURVES_FILE = "curves.png"
LEARNED_FILE = "learned_faces.npz"
CHECKPOINT_FILES = (
    *(CARD_FILE, HISTORY_FILE, STATE_FILE, KERAS_FILE, LITERT_FILE, CURVES_FILE),
    LEARNED_FILE,
)
"""What training writes into a folder; converting leaves some out."""

# A card has some ten thousand characters.
_LARGEST_CARD = 16 << 20

AnyCard = TypeVar("AnyCard")
_Remarks = TypeVar("_Remarks", bound="Remarks")


@dataclass(frozen=True, kw_only=True)
class Remarks:
    """The optional entries of every card; no answer of a model depends on them.

    Attributes:
        data: name, checksum, licence and sizes of the training data; `split_rule`, "source" where
            the data comes with its splits, else that of the `FaceDataset`. Cards of earlier
            versions have "drawn", or none, which means the same.
        recipe: every setting of the training.
        seed: of initial weights, order and augmentation.
        command: the command that trained the model.
        versions: of Python, the libraries and this project.
        metrics: split or measurement -> scores.
        known_weaknesses: what the model is bad at, in words.
    """

    data: Mapping[str, Any] = field(default_factory=dict)
    recipe: Mapping[str, Any] = field(default_factory=dict)
    seed: int | None = None
    command: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    known_weaknesses: str = ""

    def with_metrics(self: _Remarks, split: str, scores: Mapping[str, Any]) -> _Remarks:
        """Return a copy that also has these scores of one split."""
        return replace(
            self, metrics={**self.metrics, split: {**self.metrics.get(split, {}), **scores}}
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain data, the content of `card.json`: first the entries that it must have."""
        shared = [one.name for one in fields(Remarks)]
        own = [one.name for one in fields(self) if one.name not in shared]
        values = ((name, getattr(self, name)) for name in (*own, *shared))
        return {name: _plain(value) for name, value in values}


@dataclass(frozen=True)
class Card(Remarks):
    """The record that travels with a model; its optional entries are in `Remarks`.

    Attributes:
        name: of the checkpoint, the name of its folder.
        task: what its classes are about: "emotion", "gender" or a word of your own; see
            `labels.check_task`.
        architecture: name in the registry of networks.
        parameters: number of parameters.
        class_names: in the order of the model's outputs.
        preprocessor: from a crop to the model's input.
        crop_margin: from a detected box to the crop, as a fraction of the box; see `as_margin`.
        temperature: what `FaceClassifier` divides the logits by, so that probabilities match
            accuracies (Guo et al. 2017, arXiv 1706.04599).
    """

    name: str
    task: str
    architecture: str
    parameters: int
    class_names: tuple[str, ...]
    preprocessor: Preprocessor
    crop_margin: float = 0.0
    temperature: float = 1.0

    def __post_init__(self) -> None:
        """Check task, margin, temperature and class names."""
        check_task(self.task)
        as_margin(self.crop_margin)
        if self.parameters < 0:
            raise ValueError(f"`parameters` must be at least 0. Received: {self.parameters}")
        if not 0 < self.temperature < math.inf:
            raise ValueError(
                f"`temperature` must be above 0 and finite. Received: {self.temperature}"
            )
        check_class_names(self.class_names)
        if len(self.class_names) < 2:
            raise ValueError(
                f"`class_names` must be at least two. Received: class_names={self.class_names}"
            )

    def check_input(self, taken: Sequence[int | None], *, where: str | Path) -> None:
        """Raise ValueError for a model, of the folder `where`, that takes images of another shape.

        `taken` is (height, width, channels); None and -1 stand for any size.
        """
        prepared = self.preprocessor.input_shape
        sizes = zip(taken, prepared, strict=False)
        if len(taken) != 3 or any(size not in (None, -1, ours) for size, ours in sizes):
            raise ValueError(
                f"Card and model disagree in {where}: the card prepares images {prepared} (height, "
                f"width, channels), the model takes {taken}."
            )

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Card":
        """Read what `to_json` wrote; the first seven entries are required.

        Raises:
            KeyError, TypeError, ValueError, OverflowError: for missing or impossible entries.
        """
        return cls(
            task=str(data["task"]),
            class_names=tuple(data["class_names"]),
            preprocessor=Preprocessor.from_json(_object(data, "preprocessor")),
            crop_margin=as_margin(data["crop_margin"]),
            temperature=float(data.get("temperature", 1.0)),
            **shared_entries(data),
        )


def shared_entries(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return what every card says: name, architecture, parameters, and the fields of `Remarks`.

    Raises:
        KeyError, TypeError, ValueError, OverflowError: for missing or impossible entries.
    """
    mappings = [name for name in ("data", "recipe", "versions", "metrics") if name in data]
    if not isinstance(seed := data.get("seed"), int | None):
        raise TypeError(f"`seed` must be a whole number or null. Received: {seed!r:.100}")
    return {
        "name": str(data["name"]),
        "architecture": str(data["architecture"]),
        "parameters": int(data["parameters"]),
        "seed": seed,
        "command": str(data.get("command", "")),
        "known_weaknesses": str(data.get("known_weaknesses", "")),
        **{name: _object(data, name) for name in mappings},
    }


def _object(data: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return a copy of the object that a card holds under a name."""
    value = data[name]
    if not isinstance(value, dict):
        raise TypeError(f"`{name}` must be an object with named entries. Received: {value!r:.100}")
    return dict(value)


def _plain(value: Any) -> Any:
    if hasattr(value, "to_json"):
        return value.to_json()
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, tuple) else value


def read_card(folder: str | Path) -> Card:
    """Read the card of a checkpoint folder; errors are those of `read_json_card`."""
    return read_json_card(folder, Card.from_json)


def read_json_card(folder: str | Path, read: Callable[[dict[str, Any]], AnyCard]) -> AnyCard:
    """Read the card in the folder of a classifier or a detector.

    `read` makes a card of plain data, or raises KeyError, TypeError, ValueError or OverflowError.

    Raises:
        FileNotFoundError: if the folder or its card is missing.
        ValueError: if the card is not valid JSON, or `read` refuses it.
    """
    path = Path(folder) / CARD_FILE
    if not path.is_file():
        reason = f"it has no {CARD_FILE}" if path.parent.is_dir() else "there is no such folder"
        raise FileNotFoundError(f"{folder} is not a checkpoint: {reason}.")
    if path.stat().st_size > _LARGEST_CARD:
        raise ValueError(f"{path} cannot be used: it has more than {_LARGEST_CARD} bytes.")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise TypeError(f"it must hold one object. Received: {type(content).__name__}")
        return read(content)
    except KeyError as error:
        raise ValueError(f"{path} cannot be used: the entry {error} is missing.") from error
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise ValueError(f"{path} cannot be used: {error}") from error


def refuse_run(folder: str | Path) -> None:
    """Refuse to write a model beside the state of a training run, which would resume with both."""
    if (Path(folder) / STATE_FILE).exists():
        raise FileExistsError(
            f"{folder} holds a training run ({STATE_FILE}), which could not go on with another "
            "model: give another folder."
        )


def write_card(folder: str | Path, card: Any) -> None:
    """Write or replace the card of a folder, one with `to_json`, in one step."""
    with atomic_path(Path(folder) / CARD_FILE) as path:
        path.write_text(json.dumps(card.to_json(), indent=2) + "\n", encoding="utf-8")
