import importlib.util
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from email import message_from_string
from pathlib import Path

import pytest

import minixception
from minixception.messages import EXTRAS

ROOT = Path(__file__).parents[1]

LARGE = r"_wide/model\.keras|(detector|roll)_models/.*/model\.keras"  # in the checkout only


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of what is packed: building leaves files beside it."""
    for module in ("setuptools", "wheel", "pip"):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"building without network needs {module} in this environment")
    for name in ("README.md", "trained_models"):
        if not (ROOT / name).exists():
            pytest.skip(f"there is no {name} to pack")
    copy = tmp_path_factory.mktemp("packaging") / "checkout"
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in ("src", "trained_models", "tests"):
        shutil.copytree(ROOT / name, copy / name, ignore=ignored)
    for file in ROOT.glob("*"):
        if file.is_file():
            shutil.copy(file, copy / file.name)
    return copy


def test_the_citation_has_the_version() -> None:
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8").splitlines()
    assert f"version: {minixception.__version__}" in citation


def shipped_files() -> set[str]:
    """What a checkout has."""
    folder = ROOT / "trained_models"
    files = [folder / "README.md", *folder.glob("*_models/*/*")]
    return {file.relative_to(ROOT).as_posix() for file in files if file.is_file()}


def test_wheel_holds_code_models_and_command(checkout: Path, tmp_path: Path) -> None:
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    command = [sys.executable, "-m", "pip", "wheel", *options, "--wheel-dir", str(tmp_path), "."]
    subprocess.run(command, cwd=checkout, check=True, capture_output=True, timeout=120)
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name == f"minixception-{minixception.__version__}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (entry_points,) = (name for name in names if name.endswith("/entry_points.txt"))
        text = archive.read(entry_points).decode()
        (metadata,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        check_metadata(archive.read(metadata).decode())
    assert "minixception = minixception.commands:main" in text
    package = ROOT / "src"
    modules = {path.relative_to(package).as_posix() for path in package.glob("*/**/*.py")}
    packed = {name for name in names if ".dist-info/" not in name}
    small = {name for name in shipped_files() if not re.search(LARGE, name)}
    assert packed == modules | {
        f"minixception/{name}" for name in small | {"py.typed", "limits/page.md"}
    }
    assert wheel.stat().st_size < 4_500_000


def check_metadata(text: str) -> None:
    """The extras bring what `extras.EXTRAS` promises; what inference takes needs none."""
    metadata = message_from_string(text)
    needed: dict[str, set[str]] = {}
    for line in metadata.get_all("Requires-Dist", []):
        extra = re.search(r"extra == .(\w+)", line)
        package = re.split(r"[^\w-]", line)[0]
        needed.setdefault(extra.group(1) if extra else "", set()).add(package)
    assert needed[""] == {
        *("ai-edge-litert", "filelock", "numpy", "opencv-python", "pillow", "pooch")
    }
    for module, name in EXTRAS.items():
        package = {"sklearn": "scikit-learn"}.get(module, module.replace("_", "-"))
        assert package in needed[name]
    assert needed["train"] | needed["onnx"] | needed["serve"] <= needed["dev"]
    assert metadata["Author"]
    assert metadata["Keywords"]
    assert "https://arxiv.org/abs/1710.07557" in metadata["Project-URL"]


def test_source_distribution_can_be_built_again(checkout: Path) -> None:
    command = [sys.executable, "setup.py", "--quiet", "sdist"]
    subprocess.run(command, cwd=checkout, check=True, capture_output=True, timeout=120)
    (source,) = (checkout / "dist").glob("*.tar.gz")
    with tarfile.open(source) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"setup.py", "README.md", "requirements.txt", "requirements-dev.txt"} <= names
    assert {path.relative_to(checkout).as_posix() for path in checkout.glob("tests/*.py")} <= names
    assert shipped_files() <= names
