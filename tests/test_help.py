"""`--help` of every script answers at once: it imports nothing that is heavy."""

from own_process import SOURCE, run_python

HEAVY = {
    *("keras", "tensorflow", "sklearn", "matplotlib", "cv2", "pandas", "scipy"),
    "minixception.explain",
}
# Asks each script for its help, and ends with what has been imported by then.
ASK = """
import runpy, sys
for script in sys.argv[1:]:
    sys.argv = [script, "--help"]
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as end:
        assert end.code == 0, script
print("imported:", *sys.modules)
"""


def test_help_imports_nothing_heavy() -> None:
    scripts = sorted(SOURCE.glob("*.py"))
    done = run_python("-c", ASK, *scripts, COLUMNS="100")
    assert (done.returncode, done.stderr) == (0, "")
    helps, _, imported = done.stdout.partition("imported: ")
    for script, page in zip(scripts, helps.split("usage: ")[1:], strict=True):
        assert page.startswith(script.name)
        assert "default: None" not in page
        assert page.count("--seed SEED ") == page.count("(default: 0)")
    assert {"argparse", "minixception.commands"} <= set(imported.split())
    assert not HEAVY & set(imported.split())
