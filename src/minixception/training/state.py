"""What a training run writes after each epoch: history, curves, and the state to resume from."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
from keras import ops
from numpy.typing import NDArray

from minixception.checkpoints.card import CURVES_FILE, HISTORY_FILE, STATE_FILE
from minixception.checkpoints.keras_model import write_history
from minixception.datasets.cache import read_arrays, write_arrays
from minixception.drawing.plots import plot_history
from minixception.training.runs import check_run_folder

History = list[dict[str, float]]


@dataclass(frozen=True)
class TrainingState:
    """Everything that the next epoch depends on, and the history up to here, a row per epoch.

    The plain data of `identity` must be the same in all parts of a run; those of `start`, how it
    was started, are kept and not compared. `model` holds the values of the model's variables, its
    seed generators included, `optimizer` those of the optimizer, its step and averages included.
    """

    identity: dict[str, Any]
    history: History
    model: list[NDArray[Any]]
    optimizer: list[NDArray[Any]]
    start: dict[str, Any] = field(default_factory=dict)


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested settings as one level: `recipe.epochs`."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        else:  # as JSON has it
            flat[prefix + name] = list(value) if isinstance(value, tuple) else value
    return flat


def state_to_go_on_from(
    folder: Path, identity: Mapping[str, Any], *, resume: bool, but: Collection[str] = ()
) -> TrainingState | None:
    """Return the state of an interrupted run, None if there is none.

    Nobody else may be writing the folder. `identity` must be as it was, `but` for some settings.

    Raises:
        ValueError: if the state is damaged, or belongs to a run with other settings.
        OSError: see `check_run_folder`.
    """
    check_run_folder(folder, resume=resume)
    if not (folder / STATE_FILE).exists():
        return None
    state = read_state(folder / STATE_FILE)
    then, now = _flat(state.identity), _flat(identity)
    compared = [name for name in {**then, **now} if name not in but]
    names = [name for name in compared if now.get(name) != then.get(name)]
    if names:
        raise ValueError(
            f"{folder} holds a run with other settings: "
            + "; ".join(f"{name} was {then.get(name)}, now {now.get(name)}" for name in names)
            + ". Give the same options to continue it, or another `output`."
        )
    return state


def record_epoch(folder: Path, model: keras.Model, history: History, **facts: Any) -> None:
    """Write history, curves and state; `facts` are `identity` and `start` of `TrainingState`."""
    write_history(folder / HISTORY_FILE, history)
    columns = {name: [row[name] for row in history] for name in history[0]}
    plot_history(columns, folder / CURVES_FILE)
    state = TrainingState(
        history=history,
        model=[ops.convert_to_numpy(variable) for variable in model.variables],
        optimizer=[ops.convert_to_numpy(variable) for variable in model.optimizer.variables],
        **facts,
    )
    write_state(folder / STATE_FILE, state)


def first_columns(model: keras.Model, epoch: int, loss: float) -> dict[str, float]:
    """Return what the row of an epoch begins with: epoch, from 0, learning rate and loss.

    Raises:
        ValueError: if the loss is no longer a finite number.
    """
    require_finite(loss, "training loss", epoch)
    rate = float(ops.convert_to_numpy(model.optimizer.learning_rate))
    return {"epoch": epoch, "learning_rate": rate, "loss": loss}


def require_finite(loss: float, what: str, epoch: int) -> None:
    """Raise ValueError if a loss is no finite number any more."""
    if not math.isfinite(loss):
        raise ValueError(
            f"The {what} became {loss} in epoch {epoch + 1}. "
            "Train again with a lower `learning_rate`."
        )


def restore(model: keras.Model, state: TrainingState) -> None:
    """Give a compiled model and its optimizer the values of a state."""
    model.optimizer.build(model.trainable_variables)
    variables = [*model.variables, *model.optimizer.variables]
    for variable, value in zip(variables, [*state.model, *state.optimizer], strict=True):
        variable.assign(value)


def write_state(path: Path, state: TrainingState) -> None:
    """Write the state in one step."""
    facts = {name: getattr(state, name) for name in ("identity", "history", "start")}
    parts = {"model": state.model, "optimizer": state.optimizer}
    arrays = {f"{part}_{index}": a for part in parts for index, a in enumerate(parts[part])}
    write_arrays(path, arrays, facts)


def read_state(path: Path) -> TrainingState:
    """Read what `write_state` wrote."""
    try:
        arrays, facts = read_arrays(path)
        facts.pop("finished", None)  # of an earlier version
        for part in ("model", "optimizer"):
            facts[part] = [array for name, array in arrays.items() if name.startswith(part)]
        return TrainingState(**facts)
    except (ValueError, TypeError) as error:
        told = f"{path} is damaged ({error})" if isinstance(error, TypeError) else error
        raise ValueError(f"{told}. Train again with another `output`.") from error
