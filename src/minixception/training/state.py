"""What an interrupted training run goes on from: one file, written in one step after each epoch."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
from keras import ops
from numpy.typing import NDArray

from minixception.datasets.cache import read_arrays, write_arrays

History = list[dict[str, float]]


@dataclass(frozen=True)
class TrainingState:
    """Everything that the next epoch depends on, and the history up to here.

    Attributes:
        identity: plain data that must be the same in all parts of a run.
        history: a row per epoch.
        finished: whether there is no next epoch.
        model: values of the model's variables, its seed generators among them.
        optimizer: values of the optimizer's variables, its step and averages among them.
        start: plain data: how the run was begun; it is kept and not compared.
    """

    identity: dict[str, Any]
    history: History
    finished: bool
    model: list[NDArray[Any]]
    optimizer: list[NDArray[Any]]
    start: dict[str, Any] = field(default_factory=dict)

    def check_identity(
        self, identity: Mapping[str, Any], *, where: str, but: Collection[str] = ()
    ) -> None:
        """Refuse to mix two runs.

        Args:
            identity: of the run that is to go on.
            where: its folder, for the message.
            but: settings that may differ, as `recipe.epochs`.

        Raises:
            ValueError: naming what differs from `identity`.
        """
        then, now = _flat(self.identity), _flat(identity)
        names = [name for name in {**then, **now} if name not in but]
        changed = [name for name in names if now.get(name) != then.get(name)]
        if changed:
            raise ValueError(
                f"{where} holds a run with other settings: "
                + "; ".join(f"{name} was {then.get(name)}, now {now.get(name)}" for name in changed)
                + ". Give the same options to go on with it, or another --output."
            )


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested settings as one level: `recipe.epochs`."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat


def capture(model: keras.Model, **facts: Any) -> TrainingState:
    """Copy the state of a compiled model that has been trained; `facts` are the other fields."""
    return TrainingState(
        model=[ops.convert_to_numpy(variable) for variable in model.variables],
        optimizer=[ops.convert_to_numpy(variable) for variable in model.optimizer.variables],
        **facts,
    )


def restore(model: keras.Model, state: TrainingState) -> None:
    """Bring a compiled model back to a state."""
    model.optimizer.build(model.trainable_variables)
    _assign(model.variables, state.model)
    _assign(model.optimizer.variables, state.optimizer)


def write_state(path: Path, state: TrainingState) -> None:
    """Write the state in one step."""
    facts = {name: getattr(state, name) for name in ("identity", "history", "finished", "start")}
    arrays = {f"model_{index}": value for index, value in enumerate(state.model)}
    arrays |= {f"optimizer_{index}": value for index, value in enumerate(state.optimizer)}
    write_arrays(path, arrays, facts)


def read_state(path: Path) -> TrainingState:
    """Read what `write_state` wrote.

    Raises:
        ValueError: if the file is damaged.
    """
    groups: dict[str, list[NDArray[Any]]] = {"model": [], "optimizer": []}
    try:
        arrays, facts = read_arrays(path)
        for name, value in arrays.items():
            groups[name.split("_")[0]].append(value)
        return TrainingState(model=groups["model"], optimizer=groups["optimizer"], **facts)
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{path} is damaged: {error}. Train again to another --output.") from error


def _assign(variables: Sequence[keras.Variable], values: Sequence[NDArray[Any]]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
