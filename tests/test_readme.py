"""The README: every command in it is run, its Python too, and what it points to exists.

The commands stand in a folder in which the files have the names that the README gives them, and
small data sets lie where `datasets/README.md` wants them. A script does nothing but call its
command (see `test_layers`), so that a job that both are given for runs once.
"""

import re
import runpy
import shlex
import sys
from contextlib import nullcontext
from pathlib import Path

import pandas
import pytest

from conftest import eagerly
from made_up_data import write_fer2013, write_film, write_utkface
from minixception import models
from minixception.checkpoints.card import read_card
from minixception.checkpoints.shipped import DEFAULT_EMOTION_MODEL, find_model, shipped_models
from minixception.commands import COMMANDS, main, run_command
from minixception.images import read_image, write_image
from minixception.training.recipe_book import RECIPES
from systems import needs_links

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")

PROGRAMS = ("minixception", "python", "make", "pip", "git")

# What a test cannot do, and who does it.
NOT_RUN = {
    "git clone <this repository> minixception && cd minixception": "everybody who reads this",
    "pip install .": "test_packaging.py, which builds the wheel",
    'pip install ".[train]"': "make test",
    'pip install ".[video]"': "make test",
    'pip install ".[serve]"': "make test",
    'pip install ".[cluster]"': "make test-cluster",
    'pip install ".[onnx,parquet,heif]"': "make test, but for HEIC",
    "python -m venv .venv": "make",
    "python -m minixception": "test_command_image.py",
    "python src/train_face_detector.py --help": "test_help.py",
    "minixception video": "test_command_video.py, without a camera",
    "minixception serve": "test_serve.py",
    "minixception image archive/ --cluster local --parquet faces": "make test-cluster",
    "minixception train --task glasses --dataset folder --data MY_FACES": (
        "test_commands_training.py"
    ),
    "minixception train-emotion --dataset folder --data MY_FACES": "test_commands_papers.py",
}
# What keeps a training short; `test_docs_extending.py` trains the network that it is about.
SHORT = ("--epochs", "1", "--network", "lenet5_rgb", "--channels", "3")


def spans() -> list[str]:
    """Return what is set as code in the README: lines of blocks, and what stands in backquotes."""
    text = re.sub(r"```.*?```", "", README, flags=re.DOTALL)
    lines = re.findall(r"^    (.+)$", text, flags=re.MULTILINE)
    inline = re.findall(r"`([^`]+)`", re.sub(r"^    .+$", "", text, flags=re.MULTILINE))
    return sorted({" ".join(span.split("  #")[0].split()) for span in [*lines, *inline]})


ALL_SPANS = spans()
COMMAND_LINES = [span for span in ALL_SPANS if span.split()[0] in PROGRAMS and span not in NOT_RUN]
RUN_HERE = [line for line in COMMAND_LINES if not line.startswith("make")]


def command_of(line: str) -> tuple[str, ...]:
    """Return the command and arguments behind a line, which may name a script.

    >>> command_of("minixception evaluate --model A")
    ('evaluate', '--model', 'A')
    """
    program, *arguments = shlex.split(line)
    if program == "minixception":
        return tuple(arguments)

    called = re.search(r'run_command\("([\w-]+)"', (ROOT / arguments[0]).read_text())
    assert called is not None
    return (called[1], *arguments[1:])


def jobs() -> list[tuple[str, ...]]:
    """Return every command of the README once."""
    return sorted({command_of(line) for line in RUN_HERE if "benchmarks/" not in line})


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with all that the README's commands need."""
    root = tmp_path_factory.mktemp("readme")
    astronaut = read_image(ROOT / "images" / "astronaut.jpg")
    for name in ("photo.jpg", "photos/first.jpg", "photos/second.jpg"):
        write_image(root / name, astronaut)
    write_film(root / "clip.mp4", [astronaut[::2, ::2]] * 3)
    write_fer2013(root / "datasets" / "fer2013")
    write_utkface(root / "datasets" / "utkface" / "crop_part1", 40)
    models.build("mini_xception", (64, 64, 1), 7).save(root / "FILE.hdf5")
    (root / "RUN").symlink_to(find_model(DEFAULT_EMOTION_MODEL))
    return root


@pytest.fixture
def here(here: Path, data: Path, no_export: None) -> Path:
    """Return the current folder, with links to the data and to the checkout's folders."""
    for entry in [*data.iterdir(), *(ROOT / name for name in ("images", "src", "benchmarks"))]:
        (here / entry.name).symlink_to(entry)
    return here


def test_commands_are_found() -> None:
    """The rest of this file would be green with a README that it cannot read."""
    assert {"image", "video", "explain", "train-emotion", "evaluate"} <= {job[0] for job in jobs()}
    assert set(NOT_RUN) <= set(ALL_SPANS)
    assert len(COMMAND_LINES) > 20


@needs_links
@pytest.mark.parametrize("job", jobs(), ids=shlex.join)
def test_command_runs(job: tuple[str, ...], here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command, *arguments = job
    is_training = command.startswith("train")
    with eagerly() if is_training else nullcontext():
        assert main([*job, *(SHORT if is_training else ())]) == 0, capsys.readouterr().err
    for option in ("--output", "--csv", "--json"):
        if option in arguments:
            assert (here / arguments[arguments.index(option) + 1]).exists()


@pytest.mark.parametrize("line", [line for line in RUN_HERE if "benchmarks/" in line])
def test_benchmark_starts(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _, script, *arguments = shlex.split(line)
    monkeypatch.setattr(sys, "argv", [script, *arguments, "--help"])
    monkeypatch.setattr(sys, "path", [*sys.path])
    with pytest.raises(SystemExit, match="0"):
        runpy.run_path(str(ROOT / script), run_name="__main__")


def test_make_has_every_target() -> None:
    wanted = {
        word for line in COMMAND_LINES if line.startswith("make") for word in line.split()[1:]
    }
    assert {"demo", "test"} <= wanted <= set(re.findall(r"^([a-z]+):", MAKEFILE, re.MULTILINE))


def test_every_command_and_option_exists(capsys: pytest.CaptureFixture[str]) -> None:
    for command in COMMANDS:
        with pytest.raises(SystemExit, match="0"):
            run_command(command, ["--help"])
    known = set(re.findall(r"--[a-z][\w-]+", capsys.readouterr().out))
    for span in ALL_SPANS:
        if span.startswith("minixception "):
            assert span.split()[1] in COMMANDS
        if span.startswith("--"):
            assert span.split()[0] in known, span
        if span.startswith("--recipe "):
            assert span.split()[1] in {"list", *RECIPES}


@needs_links
@pytest.mark.parametrize("code", re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL))
def test_python_runs(code: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pandas.option_context("display.max_columns", None):
        exec(compile(code, "README.md", "exec"), {})
    written = re.findall(r"write_image\(\"(.+?)\"", code)
    assert all((here / name).is_file() for name in written)
    assert "happy" in capsys.readouterr().out


@pytest.mark.parametrize("name", sorted([*shipped_models("emotion"), *shipped_models("gender")]))
def test_scores_are_those_of_the_card(name: str) -> None:
    card = read_card(find_model(name))
    (row,) = [line for line in README.splitlines() if line.startswith(f"| `{name}`")]
    scores = card.metrics["PrivateTest" if "PrivateTest" in card.metrics else "test"]
    accuracy, low, high = (
        f"{100 * share:.1f}" for share in (scores["accuracy"], *scores["accuracy_interval"])
    )
    assert f"| {card.parameters:,} | {accuracy} % ({low} to {high})" in row
    assert f"commit {card.versions['commit']}" in row


def links() -> list[tuple[str, str]]:
    """Return (document, target) for each link to a file that a document of the project has."""
    documents = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/*.md"))]
    documents += [ROOT / name / "README.md" for name in ("trained_models", "datasets", "notebooks")]
    return [
        (document.relative_to(ROOT).as_posix(), target)
        for document in documents
        for target in sorted(
            set(re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text(encoding="utf-8")))
        )
    ]


@pytest.mark.parametrize(("document", "target"), links())
def test_link_leads_somewhere(document: str, target: str) -> None:
    assert (ROOT / document).parent.joinpath(target).exists()
