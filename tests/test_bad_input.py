"""Whatever is broken, missing or contradictory: one message, an exit code, nothing half-written.

The cases stand in the folder `bad_input`. The table in docs/robustness.md is this one; a test
compares the two.
"""

import importlib
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bad_input.data_sets import ARCHIVES, FOLDERS, MATS, TABLES, VOTES
from bad_input.media import EMPTY_NAME, NEW_FOLDER, PICTURES, VIDEOS
from bad_input.models import CHECKPOINTS, KERAS_FILES
from bad_input.options import FORBIDDEN, NAMES, OPTIONS
from bad_input.place import Case, Place
from conftest import Run
from minixception.checkpoints.shipped import DEFAULT_EMOTION_MODEL, DEFAULT_GENDER_MODEL, find_model
from systems import needs_pipes

DOCUMENT = Path(__file__).parents[1] / "docs" / "robustness.md"

CASES = [
    *(*PICTURES, EMPTY_NAME, *VIDEOS, NEW_FOLDER, *TABLES, *VOTES, *FOLDERS, *ARCHIVES, *MATS),
    *(*CHECKPOINTS, *KERAS_FILES, *NAMES, *FORBIDDEN, *OPTIONS),
]

LOADED_LATE = (
    *("concurrent.futures.thread", "ai_edge_litert.interpreter", "csv", "gzip", "bz2", "lzma"),
    *(f"minixception.{name}" for name in ("datasets.registry", "inference", "drawing.faces")),
    *(f"minixception.{name}" for name in ("evaluation", "video.reader", "drawing.plots")),
    *(f"minixception.commands.{name}" for name in ("image", "video", "evaluate", "outputs")),
    "minixception.commands.video_session",
)


@contextmanager
def without_permission(path: str, folder: Path) -> Iterator[None]:
    """Take the permissions of a path away; root, who needs none, becomes nobody meanwhile."""
    if not path:
        yield
        return
    if not hasattr(os, "setresuid"):
        pytest.skip("this system has other permissions")
    is_root = os.geteuid() == 0
    for name in LOADED_LATE:  # nobody may not read root's Python
        importlib.import_module(name)
    Path(path).chmod(0)
    folder.chmod(0o777)
    if is_root:
        os.setresuid(65534, 65534, 0)
    try:
        if not os.access(DOCUMENT, os.R_OK):
            pytest.skip("nobody but root can read the checkout")
        yield
    finally:
        if is_root:
            os.setresuid(0, 0, 0)
        Path(path).chmod(0o700)


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch, portraits: Path) -> Iterator[Place]:
    # Not pytest's own folder: only its owner may look into that, see `without_permission`.
    with tempfile.TemporaryDirectory() as name, monkeypatch.context() as patch:
        patch.chdir(name)
        Path("folder").mkdir()
        os.mkfifo("pipe")
        emotion, gender = find_model(DEFAULT_EMOTION_MODEL), find_model(DEFAULT_GENDER_MODEL)
        yield Place(Path(name), emotion, gender, portraits.read_bytes())


def state_of(folder: Path) -> dict[Path, tuple[int, int] | None]:
    """Return what lies in a folder: path -> size and time of the last change, None for a folder."""
    facts = {path: path.lstat() for path in folder.rglob("*")}
    return {
        path: None if stat.S_ISDIR(found.st_mode) else (found.st_size, found.st_mtime_ns)
        for path, found in facts.items()
    }


@pytest.fixture(autouse=True)
def plain_warnings(recwarn: pytest.WarningsRecorder) -> Iterator[None]:
    yield
    assert [str(one.message) for one in recwarn if "keras" not in str(one.filename)] == []


@needs_pipes  # and other things of POSIX, as the words of its messages
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.kind}: {case.given}"[:80])
def test_one_message_and_nothing_half_written(case: Case, place: Place, run: Run) -> None:
    arguments = case.arguments(place)
    before = state_of(place.folder)
    with without_permission(case.forbidden, place.folder):
        printed = run(case.command, *arguments, code=case.code).stderr
    *others, message = printed.strip().splitlines()
    assert case.said in message
    assert "error: unexpected" not in message
    assert not others or case.code == 2, printed  # argparse shows the usage
    assert state_of(place.folder) == before


def table_row(case: Case) -> str:
    given = f"`{case.given}`" if case.given.startswith("--") else case.given
    return f"| {case.kind} | {given} | ... {case.said} ... | {case.code} |"


def test_the_document_has_this_table() -> None:
    lines = DOCUMENT.read_text(encoding="utf-8").splitlines()
    start = lines.index("| kind | given | what is said | exit code |") + 2
    assert lines[start:] == list(map(table_row, CASES))
