"""The commands are quiet: what a library writes to the terminal stays away, unless -v is given."""

import os
import re
import sys
from pathlib import Path

import pytest

from minixception.messages import hush
from own_process import CHATTER, MAIN, run_python
from systems import needs_proc


def test_a_verbose_command_is_not_quiet(here: Path, portraits: Path) -> None:
    """That others are is seen in `test_light.py`, and in `test_commands_training.py`."""
    done = run_python("-c", MAIN, "image", portraits, "--output", "loud.png", "-v")
    assert done.returncode == 0
    assert re.search(CHATTER, done.stderr)


def test_hush_silences_compiled_code_and_can_be_undone(capfd: pytest.CaptureFixture[str]) -> None:
    undo = hush()
    os.write(2, b"a remark\n")
    print("a message", file=sys.stderr)
    undo()
    os.write(2, b"an error\n")
    assert set(capfd.readouterr().err.splitlines()) == {"a message", "an error"}


@needs_proc
def test_commands_leave_standard_error_as_it_was(portraits: Path) -> None:
    """Two commands in one process, and a closed descriptor: nothing leaks, nothing fails."""
    code = (
        "import os, sys; from minixception.commands import run_command\n"
        "first, open_before = sys.stderr, len(os.listdir('/proc/self/fd'))\n"
        "for _ in range(3): run_command('image', ['nowhere.jpg'])\n"
        "assert sys.stderr is first\n"
        "assert len(os.listdir('/proc/self/fd')) <= open_before + 1\n"
        f"os.close(2); sys.stderr = None\n"
        f"sys.exit(run_command('image', [{str(portraits)!r}, '--no-draw']))"
    )
    done = run_python("-c", code)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("nowhere.jpg") == 3
