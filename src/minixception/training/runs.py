"""Folders of training runs as data, and what distinguishes one run from another."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from minixception.checkpoints.card import CARD_FILE, HISTORY_FILE, STATE_FILE, Card, read_card
from minixception.training.recipes import REMARKS

# Fields of a recipe that are no settings, or are compared elsewhere.
_NO_SETTINGS = (*REMARKS, "network", "dataset")
_READABLE_SETTINGS = 5
_DEFAULT_MONITOR = "val_accuracy"
# Larger ones cannot be drawn.
_LARGEST_VALUE = 1e30


@dataclass(frozen=True)
class RunRecord:
    """A training run so far; it can be given wherever a model is asked for.

    Attributes:
        folder: that training wrote.
        card: of the best epoch so far.
        history: column of `history.csv` -> a value per epoch, at least one.
    """

    folder: Path
    card: Card = field(repr=False)
    history: Mapping[str, Sequence[float]] = field(repr=False)

    def __fspath__(self) -> str:
        """Return the folder, as a path of which every function takes the run."""
        return str(self.folder)

    @property
    def best(self) -> int:
        """Number of the epoch, counted from 0, whose model is kept."""
        monitor = str(self.card.recipe.get("monitor", _DEFAULT_MONITOR))
        columns = self.history.values()
        rows = [dict(zip(self.history, row, strict=True)) for row in zip(*columns, strict=True)]
        return best_epoch(rows, monitor if monitor in self.history else "loss")


def best_epoch(history: Sequence[Mapping[str, float]], column: str) -> int:
    """Return the number, from 0, of the row of the epoch whose model is kept.

    It is the first with the lowest value of a loss, with the highest of anything else. Among equal
    ones, of which a few validation faces make many, it is that with the lowest `val_loss`, if any.

    >>> best_epoch([{"accuracy": 0.5}, {"accuracy": 0.7}, {"accuracy": 0.7}], "accuracy")
    1
    """
    sign = 1 if column.endswith("loss") else -1
    ranks = [(sign * row[column], row.get("val_loss", 0.0)) for row in history]
    return ranks.index(min(ranks))


def check_run_folder(folder: str | Path, *, resume: bool) -> None:
    """Refuse to train into a file, over a run or a model, or from a model without a state.

    Raises:
        NotADirectoryError: the folder is a file.
        FileExistsError: it holds a run or a model, and `resume` is False.
        FileNotFoundError: `resume` is True, and it holds a model without a state to go on from.
    """
    folder = Path(folder)
    if folder.is_file():
        raise NotADirectoryError(f"`output` must be a folder. Received: the file {folder}")
    used = [name for name in (STATE_FILE, CARD_FILE, HISTORY_FILE) if (folder / name).exists()]
    if used and not resume:
        raise FileExistsError(
            f"{folder} already holds a training run ({used[0]}). Give `resume` to continue it, "
            "or another `output`."
        )
    history = folder / HISTORY_FILE
    lines = history.read_text(encoding="utf-8").splitlines() if history.is_file() else []
    # A run that was killed in its first epoch has a model but no state yet, and starts again.
    if CARD_FILE in used and STATE_FILE not in used and len(lines) != 2:
        raise FileNotFoundError(
            f"{folder} holds a model but no {STATE_FILE}, so that its training cannot go on. Give "
            "another `output`, with `initial_weights` to start from this model."
        )


def read_run(folder: str | Path) -> RunRecord:
    """Read card and history of a folder that training wrote.

    Raises:
        FileNotFoundError: the folder is none, or has no card or no history.
        ValueError: one of them is damaged, or there is no epoch.
    """
    folder = Path(folder)
    card = read_card(folder)
    path = folder / HISTORY_FILE
    if not path.is_file():
        raise FileNotFoundError(f"{folder} is not a training run: it has no {HISTORY_FILE}.")
    return RunRecord(folder, card, _read_history(path))


def _read_history(path: Path) -> dict[str, list[float]]:
    try:
        names, *rows = (line.split(",") for line in path.read_text(encoding="utf-8").splitlines())
        named = zip(names, *rows, strict=True)
        columns = {name: list(map(float, values)) for name, *values in named}
    except ValueError as error:
        raise ValueError(f"{path} must hold a number per column and epoch: {error}") from error
    if not columns.get("loss"):
        raise ValueError(f"{path} must have the column loss and at least one epoch.")
    if not all(abs(value) <= _LARGEST_VALUE for values in columns.values() for value in values):
        raise ValueError(f"{path} must hold finite numbers up to {_LARGEST_VALUE:g}.")
    return columns


def describe_differences(runs: Sequence[RunRecord]) -> list[str]:
    """Return a different text per run: the settings in which it differs from the others.

    Settings are those of recipe, network, data set and seed. Runs that share all of them are named
    by their folders, and by recipe and folder where more differ than fit into a legend.
    """
    settings = [_settings(run.card) for run in runs]
    names = list(dict.fromkeys(name for one in settings for name in one))
    differing = [
        name for name in names if any(one.get(name) != settings[0].get(name) for one in settings)
    ]
    if len(differing) > _READABLE_SETTINGS:
        return [f"recipe {run.card.recipe.get('name')}, {run.folder}" for run in runs]
    texts = [
        ", ".join(f"{name.replace('_', ' ')} {_shown(one.get(name))}" for name in differing)
        for one in settings
    ]
    return [
        text if text and texts.count(text) == 1 else f"{text}, {run.folder}".removeprefix(", ")
        for text, run in zip(texts, runs, strict=True)
    ]


def _settings(card: Card) -> dict[str, Any]:
    """Return name -> value of all that may differ; nested settings under their own names."""
    found = {"network": card.architecture, "data set": card.data.get("name"), "seed": card.seed}
    for name, value in card.recipe.items():
        if isinstance(value, Mapping):
            found |= value
        elif name not in _NO_SETTINGS:
            found[name] = value
    return found


def _shown(value: Any) -> str:
    if isinstance(value, list):
        words = all(isinstance(part, str) for part in value)
        return (" " if words else "x").join(map(str, value)) or "all"
    return f"{value:g}" if isinstance(value, float) else str(value)


def format_runs(runs: Sequence[RunRecord], labels: Sequence[str]) -> str:
    """Lay the runs out as text: a line per run with the scores of its kept epoch."""
    columns = ("loss", "accuracy", "val_loss", "val_accuracy", "val_macro_f1")
    width = max(map(len, ("run", *labels)))
    lines = [f"{'run':<{width}}  epochs  kept  " + "  ".join(f"{name:>12}" for name in columns)]
    for run, label in zip(runs, labels, strict=True):
        values = (run.history.get(name, [math.nan] * (run.best + 1))[run.best] for name in columns)
        cells = "  ".join(f"{value:12.4f}" for value in values)
        epochs = len(run.history["loss"])
        lines.append(f"{label:<{width}}  {epochs:6d}  {run.best + 1:4d}  {cells}")
    return "\n".join(lines)
