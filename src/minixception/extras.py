"""The packages that only some jobs need, and the extra of this package that brings each.

`pip install minixception` brings what inference, drawing and tables take. Where this package
imports something else that is missing, the message names the extra to install.
"""

import importlib.util
import sys
from typing import Any

EXTRAS = {
    **dict.fromkeys(("h5py", "keras", "matplotlib", "scipy", "sklearn", "tensorflow"), "train"),
    **dict.fromkeys(("onnxruntime", "tf2onnx"), "onnx"),
    "pandas": "pandas",  # `parquet` and `train` bring it too
    "pyarrow": "parquet",
}
"""Name in an import -> the extra that brings it."""


def require(*packages: str, what: str = "this") -> None:
    """Find out before a job whether it could end for the lack of a package.

    Args:
        packages: keys of `EXTRAS`, of an extra that brings all of them.
        what: the option or job that needs them, as the message names it.

    Raises:
        ModuleNotFoundError: naming those that are missing and the extra that brings them.
    """
    missing = [package for package in packages if importlib.util.find_spec(package) is None]
    if missing:
        raise ModuleNotFoundError(describe_missing(*missing, what=what), name=missing[0])


def describe_missing(*packages: str, what: str = "this") -> str:
    """Return what to tell a user who lacks packages; one extra brings them.

    >>> describe_missing("keras")
    'this needs keras. Run: pip install "minixception[train]"'
    """
    names, extra = " and ".join(packages), EXTRAS[packages[0]]
    return f'{what} needs {names}. Run: pip install "minixception[{extra}]"'


class ExtrasFinder:
    """The last finder of modules: explains an import of this package that nobody could satisfy.

    It stands in `sys.meta_path`, so that neither module nor function needs a `try` around an
    import. Other packages' imports, and everybody's `find_spec`, are none of its business.
    """

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> None:
        """Raise for a package of `EXTRAS` that a module of this package imports.

        Raises:
            ModuleNotFoundError: naming the extra.
        """
        if name not in EXTRAS:
            return
        frame = sys._getframe(1)
        while frame.f_back and frame.f_code.co_filename.startswith("<frozen importlib._bootstrap"):
            frame = frame.f_back
        if frame.f_globals.get("__name__", "").startswith(f"{__package__}."):
            raise ModuleNotFoundError(describe_missing(name), name=name)
