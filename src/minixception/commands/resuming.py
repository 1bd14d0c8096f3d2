"""Continuing a training run: its folder holds the options that it was started with."""

import argparse
import logging
import shlex
from pathlib import Path

# Inputs that a run still needs; they must be found from whatever folder it is resumed in.
_INPUTS = ("data", "backbone_weights", "teacher", "unlabelled", "unlabelled_teacher", "leave_out")
# Options that may change, see `trainer.train`.
_PROLONGING = ("epochs", "early_stopping_patience")

log = logging.getLogger(__name__)


def options_of_run(arguments: argparse.Namespace) -> argparse.Namespace:
    """Return the options that a run was started with, overridden by those given now.

    Without `--resume`, or without a run in the folder, the options given now are returned.

    Raises:
        FileNotFoundError: `--resume FOLDER` names a folder without a run.
        ValueError: it names another folder than `--output`, or a run of the other task.
    """
    from minixception.checkpoints.card import CARD_FILE, STATE_FILE

    if isinstance(arguments.resume, Path):
        if arguments.output not in (None, arguments.resume):
            raise ValueError(
                f"--resume {arguments.resume} and --output {arguments.output} are two folders: "
                "leave out --output"
            )
        arguments.output = arguments.resume
    folder = arguments.output
    goes_on = arguments.resume and folder and (folder / STATE_FILE).is_file()
    if isinstance(arguments.resume, Path) and not (folder / CARD_FILE).is_file():
        raise FileNotFoundError(f"{folder} holds no training run to continue")
    return _laid_over_the_run(arguments) if goes_on else arguments


def _laid_over_the_run(arguments: argparse.Namespace) -> argparse.Namespace:
    from minixception.checkpoints.card import STATE_FILE
    from minixception.datasets.registry import DATASETS
    from minixception.training.origins import NOTHING
    from minixception.training.state import read_state

    folder: Path = arguments.output
    state = read_state(folder / STATE_FILE)
    command = state.start.get("command")
    if not command:  # a run of Python, not of a command
        log.warning("%s does not record its options: give those that it was started with.", folder)
        return arguments
    if command[1] != arguments.command_line[1]:
        raise ValueError(
            f"{folder} is a run of {command[1]}: minixception {command[1]} --resume {folder}"
        )
    log.info("%s was started by: %s", folder, shlex.join(command))
    parse = arguments.parser.parse_args
    begun = parse(command[2:])
    for name in filter(state.start.get, _INPUTS):
        setattr(begun, name, _as_paths(state.start[name]))
    if begun.dataset and not set(begun.dataset.split("+")) <= set(DATASETS):
        begun.dataset = "folder"  # it was given as a path, which is `data` now
    # The run has its own weights by now; the initial ones are only compared.
    origin = state.identity.get("initial weights", "None")
    begun.initial_weights = NOTHING if origin == "None" else Path(origin)
    lengths = [getattr(begun, name) for name in _PROLONGING]
    merged = parse(arguments.command_line[2:], namespace=begun)
    merged.command_line = list(command)
    for name, length in zip(_PROLONGING, lengths, strict=True):
        if getattr(merged, name) != length:
            merged.command_line += [f"--{name.replace('_', '-')}", str(getattr(merged, name))]
    for name in ("output", "resume", "quiet"):
        setattr(merged, name, getattr(arguments, name))
    return merged


def _as_paths(value: str | list[str]) -> Path | list[Path]:
    return Path(value) if isinstance(value, str) else [Path(one) for one in value]
