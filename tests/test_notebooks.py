"""The notebooks: they run from top to bottom in a checkout without data sets, and are stored so."""

import base64
import importlib.util
import io
import json
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from test_quiet import CHATTER

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))

# Notebook -> what it says about its data and its training, and what is enough to see that it runs.
SHORTENED = {
    "train_on_fer2013": {
        "epochs=6": r"epochs=1, network=\"simple_cnn\"",
        r"write_cartoon_csv(folder / \"cartoons.csv\")": (
            r"write_cartoon_csv(folder / \"cartoons.csv\", rows=dict(Training=35, PublicTest=14))"
        ),
    },
    "your_own_classes": {
        "epochs=6": "epochs=1",
        "per_class=40": "per_class=10",
    },
}

LARGEST = 400_000  # bytes
ABSOLUTE_PATH = re.compile(r"""(?<![\w.:/])/(home|root|tmp|work|usr|var|opt|Users)/|\b[A-Z]:\\""")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the checkout, in which no data set is."""
    for module in ("nbclient", "ipykernel"):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"running notebooks needs {module}; requirements-dev.txt has it")
    copy = tmp_path_factory.mktemp("notebooks") / "checkout"
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info", ".ipynb_checkpoints")
    for name in ("src", "trained_models", "images", "notebooks"):
        shutil.copytree(ROOT / name, copy / name, ignore=ignored)
    for name, replacements in SHORTENED.items():
        notebook = copy / "notebooks" / f"{name}.ipynb"
        text = notebook.read_text(encoding="utf-8")
        for long, short in replacements.items():
            assert text.count(long) == 1
            text = text.replace(long, short)
        notebook.write_text(text, encoding="utf-8")
    return copy


def run(checkout: Path, name: str) -> dict[str, Any]:
    """Run a notebook of the checkout and return it."""
    command = [sys.executable, "notebooks/run_notebooks.py", f"notebooks/{name}.ipynb"]
    done = subprocess.run(
        [*command, "--output", "done"], cwd=checkout, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert not re.search(CHATTER, done.stderr), done.stderr
    return read(checkout / "done" / f"{name}.ipynb")


def read(path: Path) -> dict[str, Any]:
    notebook = json.loads(path.read_text(encoding="utf-8"))
    assert isinstance(notebook, dict)
    return notebook


def outputs(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    return [output for cell in notebook["cells"] for output in cell.get("outputs", [])]


def printed(notebook: dict[str, Any]) -> str:
    """All text among the outputs."""
    parts = []
    for output in outputs(notebook):
        parts += output.get("text", []) or output.get("data", {}).get("text/plain", [])
        parts.append("\n")
    return "".join(parts)


def pictures(notebook: dict[str, Any]) -> list[np.ndarray]:
    found = []
    for output in outputs(notebook):
        for kind, content in output.get("data", {}).items():
            if kind.startswith("image/"):
                picture = Image.open(io.BytesIO(base64.b64decode("".join(content))))
                found.append(np.asarray(picture.convert("RGB")))
    return found


def accuracies(notebook: dict[str, Any]) -> list[float]:
    return [float(text) for text in re.findall(r"^accuracy (\S+)", printed(notebook), re.MULTILINE)]


def test_quickstart_runs(checkout: Path) -> None:
    notebook = run(checkout, "quickstart")
    assert "happy" in printed(notebook)
    assert len(pictures(notebook)) == 3
    written = checkout / "output" / "notebooks" / "quickstart" / "faces.csv"
    assert len(written.read_text().splitlines()) == 4


def test_training_runs_without_fer2013_and_says_so(checkout: Path) -> None:
    notebook = run(checkout, "train_on_fer2013")
    assert "Faces: drawn, as FER2013 is not here." in printed(notebook)
    assert len(pictures(notebook)) == 2
    assert len(accuracies(notebook)) == 1


def test_own_classes_run(checkout: Path) -> None:
    notebook = run(checkout, "your_own_classes")
    assert len(accuracies(notebook)) == 2
    assert len(pictures(notebook)) == 3


def test_a_failing_notebook_is_told_and_not_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    path = tmp_path / "failing.ipynb"
    cell = {"cell_type": "code", "id": "one", "metadata": {}, "outputs": [], "source": "..."}
    content = {"cells": [cell | {"execution_count": None}], "metadata": {}}
    path.write_text(json.dumps(content | {"nbformat": 4, "nbformat_minor": 5}))

    def execute(client: Any, **_: Any) -> None:  # a kernel takes seconds to start
        said = "minixception compare: error: nowhere is no folder of a training run\n"
        client.nb.cells[0].outputs = [nbformat.v4.new_output("stream", name="stderr", text=said)]

    monkeypatch.setattr(nbclient.NotebookClient, "execute", execute)
    monkeypatch.setattr(sys, "path", [*sys.path])
    script = runpy.run_path(str(FOLDER / "run_notebooks.py"))
    with pytest.raises(SystemExit, match="2"):
        script["main"]([str(path), "--output", str(tmp_path / "done")])
    assert "failing.ipynb, cell 1: minixception compare: error:" in capsys.readouterr().err
    assert not (tmp_path / "done").exists()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_stored_notebook_is_whole_small_and_of_no_machine(path: Path) -> None:
    notebook = read(path)
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    assert all(output["output_type"] != "error" for output in outputs(notebook))
    assert all(output.get("name") != "stderr" for output in outputs(notebook))
    assert pictures(notebook)
    assert path.stat().st_size < LARGEST
    text = printed(notebook) + "".join("".join(cell["source"]) for cell in notebook["cells"])
    assert not ABSOLUTE_PATH.search(text)


def test_the_stored_trainings_have_learned() -> None:
    """In full length, where the tests above shorten them."""
    (fer2013,) = accuracies(read(FOLDER / "train_on_fer2013.ipynb"))
    assert fer2013 > 2 / 7  # twice what guessing gives
    training, test = accuracies(read(FOLDER / "your_own_classes.ipynb"))
    assert training > 0.9
    assert test > 0.5


def test_no_picture_of_fer2013_is_stored() -> None:
    """Two plots are shown and nothing else; they stand on white."""
    notebook = read(FOLDER / "train_on_fer2013.ipynb")
    source = "\n".join("".join(cell["source"]) for cell in notebook["cells"])
    assert re.findall(r"Image\(filename=.*\"(\w+\.png)\"", source) == [
        "curves.png",
        "confusion.png",
    ]
    stored = pictures(notebook)
    assert len(stored) == 2
    for picture in stored:
        assert all((edge == 255).all() for edge in (picture[0], picture[-1], picture[:, 0]))
