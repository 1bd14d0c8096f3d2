"""An installation without extras: what it does, and what it says of all that it cannot do.

`make test-light` makes the environment and runs these in it.
"""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from own_process import MAIN, SOURCE
from systems import for_test_light

pytestmark = for_test_light

LARGEST = 450  # MB

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(here: Path) -> Run:
    """Return a function that runs Python code in that environment."""
    programs = "Scripts" if os.name == "nt" else "bin"
    python = str(SOURCE.parent / os.environ["MINIXCEPTION_LIGHT"] / programs / "python")

    def run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [python, "-c", code, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    return run


def test_pictures_are_analyzed_drawn_and_put_into_tables(run: Run, portraits: Path) -> None:
    tables = ("--csv", "faces.csv", "--json", "faces.json", "--jsonl", "faces.jsonl")
    done = run(MAIN, "image", str(portraits), "--output", "drawn.png", "--bars", *tables)
    assert (done.returncode, done.stderr) == (0, "")
    assert "3 faces" in done.stdout
    assert {path.name for path in Path().iterdir()} == {"drawn.png", *tables[1::2]}


@pytest.mark.parametrize(
    ("arguments", "extra"),
    [
        (["explain", "{portraits}"], "train"),
        (["image", "{portraits}", "--engine", "keras"], "train"),
        (["image", "{portraits}", "--no-draw", "--parquet", "faces.parquet"], "parquet"),
        (["image", "{portraits}", "--cluster", "local", "--csv", "faces"], "cluster"),
        (["export", "fer2013_mini_xception", "--format", "onnx", "--output", "a.onnx"], "onnx"),
        (["serve"], "serve"),
        (["video", "--input", "film.mp4", "--plot", "curves.png"], "train"),
        (["video", "--input", "film.mp4"], "video"),
        (["video", "--input", "0", "--output", "drawn.mp4"], "video"),
    ],
    ids=" ".join,
)
def test_commands_name_the_extra(
    run: Run, portraits: Path, arguments: list[str], extra: str
) -> None:
    done = run(MAIN, *(argument.format(portraits=portraits) for argument in arguments))
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"minixception {arguments[0]}: error: ")
    assert line.endswith(f'Run: pip install "minixception[{extra}]"')
    assert not list(Path().iterdir())


LIBRARY = {
    "from minixception.models import build": "train",
    "from minixception import Explainer": "train",
    "from minixception import save_checkpoint": "train",
    "from minixception import FaceAnalyzer; FaceAnalyzer(engine='keras')": "train",
    "from minixception import to_frame; to_frame([])": "pandas",
    "from minixception.cluster import analyze; analyze(None)": "cluster",
    "import numpy, minixception.evaluation as e; e.score(numpy.arange(2), numpy.eye(2), 'ab')": (
        "train"
    ),
    "from minixception.drawing.fonts import label_font; label_font(12, ['m\\u00fcde'])": "train",
}


def test_the_library_names_the_extra(run: Run) -> None:
    """In one process, as in a session: a failed import does not spoil the next."""
    code = f"""
for line in {list(LIBRARY)}:
    try:
        exec(line, {{"__name__": "__main__"}})
    except ModuleNotFoundError as error:
        print(error)
"""
    done = run(code)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == len(LIBRARY), lines
    for line, extra in zip(lines, LIBRARY.values(), strict=True):
        assert line.endswith(f'Run: pip install "minixception[{extra}]"'), line


def test_a_keras_without_tensorflow_is_explained(run: Run) -> None:
    """Who once followed "No module named 'keras'" has that."""
    Path("keras.py").write_text("import tensorflow")
    code = f"import sys; sys.path.insert(0, {str(Path.cwd())!r})\n{MAIN}"
    done = run(code, "image", "nowhere.jpg", "--engine", "keras")
    assert done.stderr.endswith('needs tensorflow. Run: pip install "minixception[train]"\n')


def test_it_is_light(run: Run) -> None:
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = Path(run(code).stdout.strip())
    size = sum(path.lstat().st_blocks * 512 for path in packages.rglob("*"))
    assert size < LARGEST * 2**20
    assert len(list(packages.glob("opencv*.dist-info"))) == 1
