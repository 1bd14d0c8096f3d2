"""Packaging. The shipped models of the top-level folder `trained_models/` go into the package."""

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent


def read_requirements(name: str) -> list[str]:
    """Return the requirement lines of a file, without comments and references."""
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith(("#", "-"))]


def read_version() -> str:
    """Return the version that the package gives itself."""
    source = (ROOT / "src" / "minixception" / "__init__.py").read_text(encoding="utf-8")
    match = re.search(r'^__version__ = "(.+)"$', source, re.MULTILINE)
    assert match is not None, "src/minixception/__init__.py must define __version__"
    return match.group(1)


setup(
    name="minixception",
    version=read_version(),
    description="Emotion and gender from faces in real time: mini-Xception, reimplemented",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    python_requires=">=3.10",
    packages=[*find_packages("src"), "minixception.trained_models"],
    package_dir={"": "src", "minixception.trained_models": "trained_models"},
    package_data={
        "minixception.limits": ["page.md"],
        "minixception.trained_models": ["README.md", "*_models/*/*"],
    },
    install_requires=read_requirements("requirements.txt"),
    extras_require={
        "dev": read_requirements("requirements-dev.txt"),
        "docs": ["pdoc>=15,<17"],
        "notebooks": ["ipykernel>=6.29", "nbclient>=0.10.1"],
        "parquet": ["pyarrow>=15"],
        "onnx": ["onnxruntime>=1.18", "tf2onnx>=1.16"],
    },
    entry_points={"console_scripts": ["minixception = minixception.commands:main"]},
    classifiers=[
        "License :: OSI Approved :: MIT License",
        "Programming Language :: Python :: 3",
        "Topic :: Scientific/Engineering :: Image Recognition",
    ],
)
