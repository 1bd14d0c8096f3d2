"""The rooms of the house: who may import whom, as CONTRIBUTING.md says it."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import minixception

PACKAGE = Path(minixception.__file__).parent

# Root modules, from the ground up: each may import those before it.
ROOT = (
    *("messages", "labels", "boxes", "bounds", "files", "locks", "evaluation", "images"),
    "preprocessor",
)
MOST_ROOT_MODULES = 11
LONGEST_MODULE = 350

# Room -> the rooms that it may import, besides root modules and itself.
ROOMS: dict[str, set[str]] = {
    "models": set(),
    "checkpoints": {"models"},
    "detection": {"checkpoints"},
    "datasets": {"detection"},
    "explain": {"checkpoints", "models"},
    "inference": {"checkpoints", "detection"},
    "cluster": {"checkpoints", "inference", "video"},
    "serve": {"checkpoints", "detection", "explain", "inference"},
    "drawing": set(),
    "video": {"inference"},
    "training": {"models", "checkpoints", "datasets", "inference", "drawing"},
    "detector_training": {"models", "checkpoints", "detection", "training", "drawing"},
    "limits": {"checkpoints", "detection", "datasets", "inference", "drawing"},
}
# Networks know nothing of the package.
ROOT_FOR_MODELS = {"messages"}
DOORS = {"__init__", "__main__", "commands"}  # import everything; `commands` is imported by nobody

FRAMEWORKS = {"keras", "tensorflow", "torch", "jax"}
# Who imports these asks for Keras; but for what of `training` is data, NumPy or a door.
KERAS = {"models", "training", "explain", "checkpoints.keras_model", "checkpoints.export"}
KERAS |= {"detector_training"}
LIGHT_OF_TRAINING = (
    *("recipes", "recipe_book", "batches", "runs", "origins", "run", "scoring"),
    "learned_faces",
)
LIGHT = {f"training.{name}" for name in LIGHT_OF_TRAINING}

MODULES = sorted(PACKAGE.rglob("*.py"))


def module_name(path: Path) -> str:
    """Dotted name inside the package: `datasets.cache`, `models`, `__init__`."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def room(name: str) -> str:
    """The root module or room that a module belongs to."""
    return name.split(".")[0]


ALL_ROOMS = {room(module_name(path)) for path in MODULES}


def asks_for_keras(name: str) -> bool:
    return bool({name, room(name)} & KERAS) and name not in LIGHT


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def imports(tree: ast.AST, *, at_import_time: bool) -> Iterator[ast.Import | ast.ImportFrom]:
    """All imports but those for types, or those alone that run when the module is imported."""
    functions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
    for node in ast.iter_child_nodes(tree):
        if is_type_checking(node) or (at_import_time and isinstance(node, functions)):
            continue
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        yield from imports(node, at_import_time=at_import_time)


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def imported_names(path: Path, *, at_import_time: bool = False) -> set[str]:
    """Full dotted names; `from a.b import c` counts as `a.b.c`."""
    names: set[str] = set()
    for node in imports(parsed(path), at_import_time=at_import_time):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        else:
            assert node.level == 0, f"{path}: relative import in line {node.lineno}"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def imported_modules(path: Path, *, at_import_time: bool = False) -> set[str]:
    """Names inside the package, without its name: `datasets.cache.load_arrays`."""
    found = set()
    for name in imported_names(path, at_import_time=at_import_time):
        first, _, rest = name.partition(".")
        if first == "minixception" and rest != "__version__":
            # `from minixception import FaceAnalyzer` is a public name of the package itself.
            found.add(rest if room(rest) in ALL_ROOMS else "__init__")
    return found


def test_a_room_imports_only_what_it_may() -> None:
    known = {*ROOMS, *ROOT, *DOORS}
    assert known >= ALL_ROOMS, f"add {ALL_ROOMS - known} to the tables in this test"
    allowed = {name: ROOMS[name] | set(ROOT) for name in ROOMS} | {"models": ROOT_FOR_MODELS}
    allowed |= {name: set(ROOT[:place]) for place, name in enumerate(ROOT)}
    for path in MODULES:
        here = room(module_name(path))
        others = {room(name) for name in imported_modules(path)} - {here}
        wrong = others - allowed.get(here, others)
        assert not wrong, f"{module_name(path)} must not import {wrong}"


def test_rooms_form_no_circle() -> None:
    waiting = dict(ROOMS)
    while waiting:
        free = {name for name, needs in waiting.items() if not needs & waiting.keys()}
        assert free, f"a circle: {waiting}"
        waiting = {name: needs for name, needs in waiting.items() if name not in free}


def test_no_command_imports_another_command() -> None:
    from minixception.commands import COMMANDS

    commands = {f"commands.{module}" for module, _ in COMMANDS.values()}
    for path in MODULES:
        others = {".".join(name.split(".")[:2]) for name in imported_modules(path)}
        assert not others & commands - {module_name(path)}, path


def test_only_some_modules_reach_a_framework_at_import() -> None:
    for path in MODULES:
        name = module_name(path)
        roots = {found.split(".")[0] for found in imported_names(path, at_import_time=True)}
        assert "tensorflow" not in roots, name  # Keras chooses its backend itself
        if asks_for_keras(name):
            continue
        assert not roots & FRAMEWORKS, name
        for other in imported_modules(path, at_import_time=True):
            assert not asks_for_keras(".".join(other.split(".")[:2])), f"{name} imports {other}"


def test_the_root_is_small_and_no_module_is_long() -> None:
    assert len(list(PACKAGE.glob("*.py"))) <= MOST_ROOT_MODULES
    lengths = {module_name(path): len(path.read_text().splitlines()) for path in MODULES}
    assert {name for name, lines in lengths.items() if lines > LONGEST_MODULE} == set()


def test_contributing_tells_these_rooms() -> None:
    text = (PACKAGE.parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")
    house = text.split("## The house")[1].split("\n## ")[0]
    told = {name.strip("/") for name in re.findall(r"`([\w/]+)`", house)}
    assert {*ROOT, *ROOMS, "commands"} <= told


def test_every_script_only_calls_its_command() -> None:
    scripts = sorted(PACKAGE.parent.glob("*.py"))
    assert scripts
    for script in scripts:
        assert imported_names(script) == {"minixception.commands.run_command"}
