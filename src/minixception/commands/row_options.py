"""What the rows of a table depend on besides the pictures."""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minixception.checkpoints.shipped import ROLL_MODEL, TASKS, find_model

if TYPE_CHECKING:
    from minixception.inference.analyzer import FaceAnalyzer

# Entries of a card that no row depends on.
_REMARKS = ("data", "recipe", "seed", "command", "versions", "metrics", "known_weaknesses")
# Options about where results go and how fast; all others may change rows.
_WITHOUT_EFFECT = {
    *("pictures", "output", "no_draw", "bars", "json", "csv", "jsonl", "parquet", "resume"),
    *("film", "input", "plot", "no_window", "workers", "quiet", "verbose", "trust_yunet"),
    *("searches_films", "command_line", "parser", "standard_output", "cluster"),
}


def describe_rows(arguments: argparse.Namespace, analyzer: "FaceAnalyzer") -> dict[str, str]:
    """Return option -> its value; for a model, its name and a checksum of what is used of it."""
    from minixception.commands.options import chosen_models
    from minixception.detection.card import TASK as DETECTOR_TASK
    from minixception.detection.network_detector import DETECTOR_MODEL, MiniXceptionDetector
    from minixception.files import file_checksum

    named = {*(f"{task}_model" for task in TASKS), "classifier", "yunet"}
    models = {f"--{task}-model": "none" for task in TASKS}
    for task, name in chosen_models(arguments).items():
        option = f"--{task}-model" if task in TASKS else f"--classifier {task}"
        card = analyzer.classifiers[task].card
        models[option] = _describe_model(find_model(name, tasks=(task,)), card)
    options = {
        f"--{name.replace('_', '-')}": str(value)
        for name, value in vars(arguments).items()
        if name not in _WITHOUT_EFFECT | named
    }
    if arguments.yunet is not None:
        options["--yunet"] = f"{arguments.yunet.name} {file_checksum(arguments.yunet)}"
    if analyzer.checker is not None:
        options["--upright"] = _describe_checker()
    if isinstance(analyzer.detector, MiniXceptionDetector):
        folder = find_model(DETECTOR_MODEL, tasks=(DETECTOR_TASK,))
        detector = _describe_model(folder, analyzer.detector.card)
        options["--detector"] = f"{detector}, {_describe_checker()}"
    return {**models, **options}


def _describe_checker() -> str:
    from minixception.checkpoints.card import read_card
    from minixception.detection.checker import TASK

    folder = find_model(ROLL_MODEL, tasks=(TASK,))
    return _describe_model(folder, read_card(folder))


def _describe_model(folder: Path, card: Any) -> str:
    from minixception.checkpoints.card import KERAS_FILE, LITERT_FILE
    from minixception.files import content_checksum

    used = {key: value for key, value in card.to_json().items() if key not in _REMARKS}
    files = [folder / file for file in (LITERT_FILE, KERAS_FILE) if (folder / file).is_file()]
    contents = [(file.name, file.read_bytes()) for file in files]
    contents.append(("card", json.dumps(used, sort_keys=True).encode()))
    return f"{card.name} {content_checksum(contents)}"


def check_row_options(part: Path | str, then: Mapping[str, str], now: Mapping[str, str]) -> None:
    """Refuse to continue a part whose rows were made with other options.

    Raises:
        ValueError: naming the differences.
    """
    # An option left at its default reads None, as does one that was not recorded then.
    changed = [name for name in {**then, **now} if str(then.get(name)) != str(now.get(name))]
    if changed:
        raise ValueError(
            f"{part} was started with other options: "
            + "; ".join(f"{name} was {then.get(name)}, now {now.get(name)}" for name in changed)
            + f". Give the same options to continue it, or delete {part} to start again."
        )
