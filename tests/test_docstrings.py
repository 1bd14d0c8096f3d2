"""The examples in docstrings run."""

import doctest
import importlib
from pathlib import Path

import pytest

import minixception

PACKAGE = Path(minixception.__file__).parent
WITH_EXAMPLES = [
    path for path in sorted(PACKAGE.rglob("*.py")) if ">>> " in path.read_text(encoding="utf-8")
]


def dotted_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@pytest.mark.parametrize("path", WITH_EXAMPLES, ids=dotted_name)
def test_examples_run(path: Path) -> None:
    result = doctest.testmod(importlib.import_module(dotted_name(path)))
    assert result.attempted > 0
    assert result.failed == 0
