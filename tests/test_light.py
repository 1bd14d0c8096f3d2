"""An installation without extras: what it does, and what it says of all that it cannot do.

The packages of the extras are hidden from processes of their own. `make test-light` runs the same
in an environment where they are not installed.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from minixception.messages import EXTRAS
from own_process import MAIN, SOURCE

LIGHT = os.environ.get("MINIXCEPTION_LIGHT")
LARGEST = 450  # MB

HIDE = f"""
import sys
from importlib.machinery import PathFinder
class Hiding(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name in {sorted(EXTRAS)} else super().find_spec(name, path, target)
sys.meta_path[sys.meta_path.index(PathFinder)] = Hiding
"""

Run = Callable[..., subprocess.CompletedProcess[str]]

in_light_environment = pytest.mark.skipif(not LIGHT, reason="`make test-light` runs it")


@pytest.fixture
def run(here: Path) -> Run:
    """Return a function that runs Python code without the packages of the extras."""

    def run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        python, environment = sys.executable, {**os.environ, "PYTHONPATH": str(SOURCE)}
        if LIGHT:
            programs = "Scripts" if os.name == "nt" else "bin"
            python = str(SOURCE.parent / LIGHT / programs / "python")
            del environment["PYTHONPATH"]
        else:
            code = HIDE + code
        command = [python, "-c", code, *arguments]
        return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)

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


@in_light_environment
def test_a_keras_without_tensorflow_is_explained(run: Run) -> None:
    """Who once followed "No module named 'keras'" has that."""
    Path("keras.py").write_text("import tensorflow")
    code = f"import sys; sys.path.insert(0, {str(Path.cwd())!r})\n{MAIN}"
    done = run(code, "image", "nowhere.jpg", "--engine", "keras")
    assert done.stderr.endswith('needs tensorflow. Run: pip install "minixception[train]"\n')


@in_light_environment
def test_it_is_light(run: Run) -> None:
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = Path(run(code).stdout.strip())
    size = sum(path.lstat().st_blocks * 512 for path in packages.rglob("*"))
    assert size < LARGEST * 2**20
    assert len(list(packages.glob("opencv*.dist-info"))) == 1
