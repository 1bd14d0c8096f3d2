"""`--help` of every script answers at once: it imports nothing that is heavy."""

from pathlib import Path

import pytest

from own_process import SOURCE, run_python

SCRIPTS = sorted(SOURCE.glob("*.py"))
HEAVY = {
    *("keras", "tensorflow", "sklearn", "matplotlib", "cv2", "pandas", "scipy"),
    "minixception.explain",
}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_help_imports_nothing_heavy(script: Path) -> None:
    done = run_python("-X", "importtime", script, "--help", COLUMNS="100")
    assert done.returncode == 0
    assert done.stdout.startswith(f"usage: {script.name}")
    assert "default: None" not in done.stdout
    assert done.stdout.count("--seed SEED ") == done.stdout.count("(default: 0)")
    imported = {line.split("|")[-1].strip() for line in done.stderr.splitlines()}
    assert {"argparse", "minixception.commands"} <= imported
    assert not imported & HEAVY
