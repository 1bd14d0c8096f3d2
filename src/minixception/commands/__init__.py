"""The command line: `minixception COMMAND`, and the same commands behind the scripts in `src/`.

Each command is a module with `add_arguments(parser)` and `run(arguments)`. Only the one asked for
is imported, and it imports frameworks in `run`, so that `--help` answers at once.
"""

import argparse
import importlib
import logging
import os
import re
import signal
import sys
import traceback
import warnings
from collections.abc import Sequence
from contextlib import ExitStack, redirect_stdout
from pathlib import Path

from minixception import __version__
from minixception.messages import explain, hush, is_closed, plain_streams

# command -> (module in this package, one line of help)
COMMANDS = {
    "image": ("image", "find faces in pictures and recognize emotion and gender"),
    "video": ("video", "follow faces in a video or camera and recognize emotion and gender"),
    "serve": ("serve", "analyze pictures over HTTP, and serve the page"),
    "explain": ("explain_faces", "show which parts of a face support its label"),
    "train-emotion": ("train_emotion", "train an emotion classifier"),
    "train-gender": ("train_gender", "train a gender classifier"),
    "train": ("train", "train a classifier of any other task"),
    "train-detector": ("train_detector", "train the face detector"),
    "evaluate": ("evaluate", "score a checkpoint on a split of a data set"),
    "compare": ("compare", "draw the curves of several training runs in one picture"),
    "report-limits": ("report_limits", "measure where the models fail, and write a page about it"),
    "convert": ("convert", "turn a published .hdf5 weight file into a checkpoint folder"),
    "export": ("export", "write a checkpoint as LiteRT, 8-bit LiteRT or ONNX"),
}

STOPPED = 128  # plus the number of a signal is the shell's exit code
INTERRUPTED = STOPPED + signal.SIGINT  # Ctrl-C
UNEXPECTED = 70  # "internal software error" in the BSD's sysexits.h
TRACEBACK_VARIABLE = "MINIXCEPTION_TRACEBACK"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; `arguments` are those of the process."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if arguments and arguments[0] in COMMANDS:
        return run_command(arguments[0], arguments[1:])
    overview = "\n".join(f"  {name:<15}{text}" for name, (_, text) in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="minixception",
        description="Emotion and gender from faces in real time.",
        epilog=f"commands:\n{overview}\n\nminixception COMMAND --help lists its options.",
        formatter_class=_HelpFormatter,
    )
    text = "what to do, see below"
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND", help=text)
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    parser.parse_args(arguments)
    return 2


def run_command(
    command: str, arguments: Sequence[str] | None = None, *, program: str | None = None
) -> int:
    """Run one command and return its exit code.

    What went wrong with the input comes out as one line, `PROGRAM: error: ...`.

    Args:
        command: a key of `COMMANDS`.
        arguments: what follows the command; those of the process if left out.
        program: the name shown in help and messages.

    Returns:
        0 on success, 1 where the input or standard output is at fault, 128 and the number of a
        signal that ended it, 130 after Ctrl-C, 70 after an unforeseen error.
        MINIXCEPTION_TRACEBACK=1 shows where it occurred.

    Raises:
        SystemExit: from argparse: 0 after --help, 2 for options that it cannot read.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    is_lost = is_closed(sys.stdout)
    with plain_streams():
        return _run_plainly(command, arguments, program or f"minixception {command}", is_lost)


def _run_plainly(command: str, arguments: Sequence[str], program: str, is_lost: bool) -> int:
    """Run a command and print its error; `is_lost` if standard output is closed."""
    try:
        code = _run_parsed(command, arguments, program, is_lost)
        sys.stdout.flush()  # here, where a closed pipe is handled, and not at exit
        failure = getattr(sys.stdout, "failure", None)
        if failure is not None and code < STOPPED:  # a terminal that hangs up sends a signal too
            failure.filename = "standard output"
            raise failure
        return code
    except KeyboardInterrupt:
        print(f"{program}: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # As Python's documentation has it: the flush at exit must find an open file.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if os.environ.get(TRACEBACK_VARIABLE):
            traceback.print_exc()
        message, code = explain(error), 1
        if not isinstance(error, OSError | ValueError | ImportError | MemoryError):
            # An error of a library, or a bug of this program.
            message = f"unexpected {type(error).__name__}: {message}"
            message, code = f"{message} ({TRACEBACK_VARIABLE}=1 shows where)", UNEXPECTED
        print(f"{program}: error: {message}", file=sys.stderr)
        return code


def _run_parsed(command: str, arguments: Sequence[str], program: str, is_lost: bool) -> int:
    """Import the command, parse its options and run it; errors are raised."""
    module_name, description = COMMANDS[command]
    module = importlib.import_module(f"{__name__}.{module_name}")
    parser = argparse.ArgumentParser(
        prog=program, description=module.__doc__ or description, formatter_class=_HelpFormatter
    )
    module.add_arguments(parser)
    parser.add_argument("-q", "--quiet", action="store_true", help="print nothing but errors")
    text = "also show the messages of TensorFlow, LiteRT and CUDA"
    parser.add_argument("-v", "--verbose", action="store_true", help=text)
    if any(argument == "" or re.fullmatch(r"--[\w-]+=", argument) for argument in arguments):
        parser.error("an argument is empty; is a variable of the shell not set?")
    # Shells leave --output=~/a as it is, and a folder named "~" would be made here.
    home = os.path.expanduser("~")  # noqa: PTH111
    tilde = rf"^(--[\w-]+=)?~(?=[/{re.escape(os.sep)}]|$)"
    arguments = [
        re.sub(tilde, lambda found: (found[1] or "") + home, argument) for argument in arguments
    ]
    parsed = parser.parse_args(arguments)
    parsed.command_line = ["minixception", command, *arguments]
    parsed.parser = parser
    if is_lost and Path("-") in vars(parsed).values():
        raise ValueError("standard output is closed: give the name of a file instead of -")
    parsed.standard_output = sys.stdout
    if home == "~":
        # Without a home folder Keras would create one named "~" in the current folder.
        os.environ.setdefault("KERAS_HOME", os.devnull)
    with ExitStack() as stack:
        if not parsed.verbose:
            stack.callback(hush())
        if parsed.quiet:
            nowhere = stack.enter_context(Path(os.devnull).open("w", encoding="utf-8"))
            stack.enter_context(redirect_stdout(nowhere))
        elif Path("-") in vars(parsed).values():  # where a table goes
            stack.enter_context(redirect_stdout(sys.stderr))
        _choose_messages(quiet=parsed.quiet, verbose=parsed.verbose)
        return int(module.run(parsed))


def _choose_messages(*, quiet: bool, verbose: bool) -> None:
    """Show the messages of this package, and those of others only on request."""
    level = logging.INFO if verbose else logging.ERROR
    logging.basicConfig(level=level, format="%(message)s", stream=sys.stderr)
    logging.getLogger("minixception").setLevel(logging.WARNING if quiet else logging.INFO)
    if not verbose:
        # Pillow would print lines about damaged EXIF data in readable pictures, and about those of
        # 90 to 179 million pixels. A picture that cannot be read raises an error.
        warnings.filterwarnings("ignore", module=r"(PIL|keras|tensorflow)\.")
        logging.getLogger("PIL").setLevel(logging.CRITICAL)


class _HelpFormatter(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Show defaults where there are any, and descriptions as they were written."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        if action.default is False or action.default in (None, (), []):  # 0 == False
            return action.help
        return super()._get_help_string(action)
