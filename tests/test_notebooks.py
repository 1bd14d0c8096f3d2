"""The notebooks: they run from top to bottom in a checkout without data sets, and are stored so."""

import ast
import base64
import io
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from systems import needs_links

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))

# Notebook -> what it says about its data and its training, and what is enough to see that it runs.
SHORTENED = {
    "train_on_fer2013": {
        "hush()": "pass",  # this process is not the notebook's own
        '"fer2013/fer2013.csv", "fer2013/fer2013.csv.gz"': '"nowhere"',
        "epochs=6": 'epochs=1, network="lenet5_rgb", channels=3',
        'write_cartoon_csv(folder / "cartoons.csv")': (
            'write_cartoon_csv(folder / "cartoons.csv", rows=dict(Training=35, PublicTest=14))'
        ),
    },
    "your_own_classes": {
        "hush()": "pass",
        "epochs=6": 'epochs=1, network="lenet5_rgb", channels=3',
        'initial_weights="fer2013_mini_xception"': 'initial_weights="none"',
        "per_class=40": "per_class=10",
    },
    "service_client": {},
}

LARGEST = 400_000  # bytes
ACCURACY = r"^accuracy (\S+)"
ABSOLUTE_PATH = re.compile(r"""(?<![\w.:/])/(home|root|tmp|work|usr|var|opt|Users)/|\b[A-Z]:\\""")


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder like the checkout, in which no data set is; its notebooks are at work."""
    for module in ("nbclient", "ipykernel"):
        pytest.importorskip(module, reason="requirements-dev.txt has it")
    ignored = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints")
    shutil.copytree(FOLDER, tmp_path / "notebooks", ignore=ignored)
    for name in ("src", "trained_models", "images"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path / "notebooks")
    monkeypatch.syspath_prepend(tmp_path / "notebooks")
    return tmp_path


def run_cells(name: str) -> list[Any]:
    """Run a shortened notebook in this process, where no kernel has to start, as a kernel would.

    Returns:
        The value of each cell that ends in one.
    """
    scope: dict[str, Any] = {}
    values = []
    changes = dict(SHORTENED.get(name, {}))
    for cell in read(Path(f"{name}.ipynb"))["cells"]:
        if cell["cell_type"] != "code":
            continue
        text = "".join(cell["source"])
        for long in [long for long in changes if long in text]:
            text = text.replace(long, changes.pop(long))
        *statements, last = ast.parse(text).body
        if not isinstance(last, ast.Expr):
            statements.append(last)
        exec(compile(ast.Module(statements, []), name, "exec"), scope)
        if isinstance(last, ast.Expr):
            values.append(eval(compile(ast.Expression(last.value), name, "eval"), scope))
    assert not changes
    return [value for value in values if value is not None]


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
    return [float(text) for text in re.findall(ACCURACY, printed(notebook), re.MULTILINE)]


@needs_links
def test_quickstart_runs(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    values = run_cells("quickstart")
    assert "happy" in capsys.readouterr().out
    assert [type(value).__name__ for value in values].count("Image") == 3
    written = checkout / "output" / "notebooks" / "quickstart" / "faces.csv"
    assert len(written.read_text().splitlines()) == 4


@needs_links
@pytest.mark.usefixtures("checkout", "eager")
@pytest.mark.parametrize(
    ("name", "said", "scores", "images"),
    [
        ("train_on_fer2013", "Faces: drawn, as FER2013 is not here.", 1, 2),
        ("your_own_classes", "", 2, 3),
    ],
)
def test_a_training_runs_without_data_sets(
    name: str, said: str, scores: int, images: int, capsys: pytest.CaptureFixture[str]
) -> None:
    values = run_cells(name)
    printed = capsys.readouterr().out
    assert said in printed
    assert len(re.findall(ACCURACY, printed, re.MULTILINE)) == scores
    assert [type(value).__name__ for value in values].count("Image") == images


@pytest.mark.usefixtures("checkout")
def test_a_client_of_the_service_runs(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("fastapi", reason="the extra `serve` is not installed")
    values = run_cells("service_client")
    said = capsys.readouterr().out
    assert "happy woman" in said
    assert "415 " in said
    assert (8, True) in values


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
