"""What lies in folders and tables, a card that says something else, and a disk that is full."""

import csv
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest


def contents(folder: Path) -> dict[str, bytes]:
    """Return name -> content for the files of a folder."""
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def read_rows(table: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file, each as column -> field."""
    with table.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def change_card(folder: Path, **entries: Any) -> None:
    """Change entries of the card of a checkpoint, whether they are allowed or not."""
    card = folder / "card.json"
    card.write_text(json.dumps({**json.loads(card.read_text()), **entries}))


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """Let no file grow beyond `size` bytes, as on a full disk; skip the test where that cannot be.

    The limit is of the process: nothing else may write meanwhile.
    """
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
