"""`--help` of every script answers at once: it imports nothing that is heavy."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = sorted((Path(__file__).parents[1] / "src").glob("*.py"))
HEAVY = {
    *("keras", "tensorflow", "sklearn", "matplotlib", "cv2", "pandas", "scipy"),
    "minixception.explain",
}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_help_imports_nothing_heavy(script: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", str(script), "--help"],
        capture_output=True,
        encoding="utf-8",
        check=True,
        env={**os.environ, "COLUMNS": "100"},
    )
    assert done.stdout.startswith(f"usage: {script.name}")
    assert "default: None" not in done.stdout
    imported = {line.split("|")[-1].strip() for line in done.stderr.splitlines()}
    assert {"argparse", "minixception.commands"} <= imported
    assert not imported & HEAVY
