"""What the rows of a table depend on beside the pictures."""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from minixception.checkpoints.shipped import TASKS

if TYPE_CHECKING:
    from minixception.inference.analyzer import FaceAnalyzer, FaceClassifier


def describe_rows(arguments: argparse.Namespace, analyzer: "FaceAnalyzer") -> dict[str, str]:
    """Return option -> what it stands for: of a model its name, and the content that is used."""
    from minixception.commands.options import chosen_models
    from minixception.files import file_checksum

    detector = ("detector", "scale_factor", "min_neighbors", "min_face")
    yunet = arguments.yunet
    models = {f"--{task}-model": "none" for task in TASKS}
    for task, name in chosen_models(arguments).items():
        option = f"--{task}-model" if task in TASKS else f"--classifier {task}"
        models[option] = _describe_model(name, analyzer.classifiers[task])
    return {
        **models,
        "--engine": arguments.engine,
        **{f"--{name.replace('_', '-')}": str(getattr(arguments, name)) for name in detector},
        "--whole-picture": str(getattr(arguments, "whole_picture", None) or None),
        "--yunet": "None" if yunet is None else f"{yunet.name} {file_checksum(yunet)}",
    }


def _describe_model(name: str, classifier: "FaceClassifier") -> str:
    from minixception.checkpoints.card import KERAS_FILE, LITERT_FILE
    from minixception.checkpoints.shipped import find_model
    from minixception.files import content_checksum

    card = classifier.card
    folder = find_model(name, tasks=(card.task,))
    used = [card.preprocessor.to_json(), card.crop_margin.to_json(), list(card.class_names)]
    files = [folder / file for file in (LITERT_FILE, KERAS_FILE) if (folder / file).is_file()]
    contents = [(file.name, file.read_bytes()) for file in files]
    contents.append(("card", json.dumps(used, sort_keys=True).encode()))
    return f"{card.name} {content_checksum(contents)}"


def check_row_options(part: Path, then: Mapping[str, str], now: Mapping[str, str]) -> None:
    """Refuse to go on with the rows of a part that were made with other options.

    Raises:
        ValueError: naming what differs.
    """
    # What an option is by default stands as None, as does one that was not written down then.
    changed = [name for name in {**then, **now} if str(then.get(name)) != str(now.get(name))]
    if changed:
        raise ValueError(
            f"{part} was begun with other options: "
            + "; ".join(f"{name} was {then.get(name)}, now {now.get(name)}" for name in changed)
            + f". Give the same options to go on with it, or delete {part} to start again."
        )
