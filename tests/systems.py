"""What some systems lack: marks that skip a test there and say why."""

import os
import signal
import sys
import tempfile
from pathlib import Path

import pytest


def _makes_links() -> bool:
    """Return whether symbolic links can be made; Windows allows it to some users only."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            Path(folder, "link").symlink_to(folder)
        except OSError:
            return False
    return True


def _needs(what: str, *, present: bool) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not present, reason=f"this system has no {what}")


needs_pipes = _needs("named pipes", present=hasattr(os, "mkfifo"))
needs_kill = _needs("SIGKILL", present=hasattr(signal, "SIGKILL"))
needs_fork = _needs("fork", present=hasattr(os, "fork"))
needs_links = _needs("symbolic links for this user", present=_makes_links())
needs_proc = _needs("/proc", present=Path("/proc/self/fd").is_dir())
# macOS and Windows refuse names that are not UTF-8, Windows also quotes and line breaks.
needs_any_name = _needs("file names of any bytes", present=sys.platform == "linux")


def _run_by(target: str) -> pytest.MarkDecorator:
    variable = f"MINIXCEPTION_{target.upper()}"
    return pytest.mark.skipif(variable not in os.environ, reason=f"`make test-{target}` runs it")


for_test_cluster, for_test_light, for_test_web = map(_run_by, ("cluster", "light", "web"))
