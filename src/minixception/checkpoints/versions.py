"""The versions that a card records."""

import platform
import shutil
import subprocess
from importlib import metadata

from minixception.files import checkout_root

RECORDED_LIBRARIES = ("keras", "tensorflow", "numpy", "opencv-python")


def recorded_versions() -> dict[str, str]:
    """Return the versions of Python and the libraries, and the commit of a checkout."""
    versions = {"python": platform.python_version()}
    for library in RECORDED_LIBRARIES:
        try:
            versions[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            continue  # an optional backend, or an installation without metadata
    commit = checkout_commit()
    return versions if commit is None else {**versions, "commit": commit}


def checkout_commit() -> str | None:
    """Return the commit of the checkout that runs, or None outside a checkout."""
    root, git = checkout_root(), shutil.which("git")
    if root is None or git is None:
        return None
    command = [git, "describe", "--always", "--dirty"]
    described = subprocess.run(command, cwd=root, capture_output=True, check=False)
    return described.stdout.decode().strip() if described.returncode == 0 else None
