"""The command line: `minixception COMMAND`, and the same commands behind the scripts in `src/`.

Each command is a module with `add_arguments(parser)` and `run(arguments)`. Only the one asked for
is imported, and it imports frameworks in `run`, so that `--help` answers at once.
"""

import argparse
import importlib
import logging
import sys
from collections.abc import Sequence

# command -> (module in this package, one line of help)
COMMANDS = {
    "image": ("image", "find faces in pictures and tell emotion and gender"),
    "train-emotion": ("train_emotion", "train an emotion classifier"),
    "train-gender": ("train_gender", "train a gender classifier"),
    "evaluate": ("evaluate", "score a checkpoint on a split of a data set"),
    "convert": ("convert", "turn a published .hdf5 weight file into a checkpoint folder"),
}

INTERRUPTED = 130  # the shell's exit code for Ctrl-C


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; `arguments` are those of the process."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if arguments and arguments[0] in COMMANDS:
        return run_command(arguments[0], arguments[1:])
    parser = argparse.ArgumentParser(
        prog="minixception",
        description="Emotion and gender from faces in real time.",
        epilog="minixception COMMAND --help tells more.",
    )
    parser.add_argument(
        "command",
        choices=COMMANDS,
        metavar="COMMAND",
        help="; ".join(f"{name}: {text}" for name, (_, text) in COMMANDS.items()),
    )
    parser.parse_args(arguments)
    return 2


def run_command(command: str, arguments: Sequence[str], *, program: str | None = None) -> int:
    """Run one command and return its exit code.

    What went wrong with the input comes out as one line, `PROGRAM: error: ...`.

    Args:
        command: a key of `COMMANDS`.
        arguments: what follows the command.
        program: the name shown in help and messages.
    """
    module_name, description = COMMANDS[command]
    module = importlib.import_module(f"{__name__}.{module_name}")
    program = program or f"minixception {command}"
    parser = argparse.ArgumentParser(
        prog=program, description=module.__doc__ or description, formatter_class=_HelpFormatter
    )
    module.add_arguments(parser)
    parsed = parser.parse_args(arguments)
    parsed.command_line = ["minixception", command, *arguments]
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        return int(module.run(parsed))
    except KeyboardInterrupt:
        print(f"{program}: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        return 1
    except (OSError, ValueError, ImportError, MemoryError) as error:
        logging.getLogger(__name__).debug("", exc_info=True)
        print(f"{program}: error: {explain(error)}", file=sys.stderr)
        return 1


def explain(error: BaseException) -> str:
    """Return one line for the user: what is wrong, with which file.

    >>> explain(FileNotFoundError(2, "No such file or directory", "photo.jpg"))
    'photo.jpg: No such file or directory'
    """
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split()) or type(error).__name__


class _HelpFormatter(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Show defaults, and descriptions as they were written."""
