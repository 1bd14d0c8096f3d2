"""The floors of the house: a module imports from lower floors only, or from its own subpackage."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import minixception

PACKAGE = Path(minixception.__file__).parent

# From the ground up; a folder stands for all of its modules.
FLOORS = (
    (
        "labels",
        "paths",
        "recipes",
        "boxes",
        "images",
        "evaluation",
        "storage",
        "locks",
        "model_files",
        "models",
        "gradients",
        "video_sources",
    ),
    (
        "preprocessor",
        "detector",
        "datasets",
        "plots",
        "videos",
        "recipe_book",
        "perturbations",
        "limits",
    ),
    ("cards", "input_pipeline", "acceleration", "optimization", "dissection"),
    ("checkpoints", "engines", "training_state", "runs", "distillation"),
    ("training", "inference", "detection"),
    ("visualizer", "tracking", "explain", "detector_training"),
    ("explanation_pictures",),
    ("commands",),
    ("__init__",),
)
FLOOR_OF = {name: floor for floor, names in enumerate(FLOORS) for name in names}

# Neighbours that call each other inside functions: the Keras engine loads a checkpoint, the export
# compares a checkpoint with the LiteRT engine, and loaders crop photographs with a detector.
NEIGHBOURS = {("engines", "checkpoints"), ("checkpoints", "engines"), ("datasets", "detector")}

# Whoever imports these asks for Keras.
KERAS_MODULES = {
    "models",
    "gradients",
    "dissection",
    "acceleration",
    "optimization",
    "distillation",
    "checkpoints",
    "training_state",
    "training",
    "detector_training",
    "explain",
}
FRAMEWORKS = {"keras", "tensorflow", "torch", "jax"}

MODULES = sorted(PACKAGE.rglob("*.py"))


def module_name(path: Path) -> str:
    """Dotted name inside the package: `datasets.cache`, `models`, `__init__`."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def unit(name: str) -> str:
    """The module or subpackage that stands on a floor."""
    return name.split(".")[0]


UNITS = {unit(module_name(path)) for path in MODULES}


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def import_statements(tree: ast.AST, *, at_import_time: bool) -> Iterator[ast.AST]:
    """All import statements, or those that run when the module is imported."""
    functions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
    for node in ast.iter_child_nodes(tree):
        if at_import_time and (isinstance(node, functions) or is_type_checking(node)):
            continue
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        yield from import_statements(node, at_import_time=at_import_time)


def imported_names(path: Path, *, at_import_time: bool) -> set[str]:
    """Full dotted names; `from a.b import c` counts as `a.b.c`."""
    names: set[str] = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in import_statements(tree, at_import_time=at_import_time):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import in line {node.lineno}"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def imported_units(path: Path, *, at_import_time: bool) -> set[str]:
    """Modules and subpackages of this package that a file imports."""
    found = set()
    for name in imported_names(path, at_import_time=at_import_time):
        root, *rest = name.split(".")
        if root == "minixception" and rest != ["__version__"]:
            # `from minixception import FaceAnalyzer`: a public name of the package itself.
            found.add(rest[0] if rest and rest[0] in UNITS else "__init__")
    return found


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_imports_come_from_lower_floors(path: Path) -> None:
    here = unit(module_name(path))
    assert here in FLOOR_OF, f"{here} stands on no floor: add it to the table in this test"
    for other in imported_units(path, at_import_time=False) - {here}:
        lower = FLOOR_OF[other] < FLOOR_OF[here]
        assert lower or (here, other) in NEIGHBOURS, (
            f"{module_name(path)} (floor {FLOOR_OF[here]}) imports {other} (floor "
            f"{FLOOR_OF[other]})"
        )


def test_neighbours_import_each_other_inside_functions_only() -> None:
    for here, other in NEIGHBOURS:
        for path in MODULES:
            if unit(module_name(path)) == here:
                assert other not in imported_units(path, at_import_time=True)


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_only_the_training_wing_imports_a_framework(path: Path) -> None:
    roots = {name.split(".")[0] for name in imported_names(path, at_import_time=True)}
    if unit(module_name(path)) not in KERAS_MODULES:
        assert not roots & FRAMEWORKS
    assert "tensorflow" not in roots  # Keras chooses its backend itself


def test_the_inference_wing_reaches_no_framework() -> None:
    """Neither directly nor by way of another module."""
    reached: set[str] = set()
    waiting = UNITS - KERAS_MODULES
    while waiting:
        here = waiting.pop()
        reached.add(here)
        for path in MODULES:
            if unit(module_name(path)) == here:
                waiting |= imported_units(path, at_import_time=True) - reached
    assert not reached & KERAS_MODULES


def rows_of_the_table() -> list[str]:
    """Return what CONTRIBUTING.md says of each floor, from the ground up."""
    text = (PACKAGE.parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")
    _, found = text.split("| floor | modules |\n|---|---|\n")
    return [row.split("|")[2] for row in found.split("\n\n")[0].splitlines()]


def names_in(text: str) -> list[str]:
    return [name.rstrip("/") for name in re.findall(r"`([\w*/]+)`", text)]


def test_contributing_has_these_floors() -> None:
    *rows, roof = rows_of_the_table()
    commands, behind = roof.split(";")
    assert [set(names_in(row)) for row in [*rows, commands]] == [set(row) for row in FLOORS[:-1]]
    for pattern in names_in(behind):
        assert list((PACKAGE / "commands").glob(f"{pattern}.py")), pattern


def test_every_module_stands_on_one_floor() -> None:
    assert sorted(name for names in FLOORS for name in names) == sorted(UNITS)


def test_every_script_only_calls_its_command() -> None:
    scripts = sorted(PACKAGE.parent.glob("*.py"))
    assert scripts
    for script in scripts:
        names = imported_names(script, at_import_time=False)
        assert names == {"sys", "minixception.commands.run_command"}
