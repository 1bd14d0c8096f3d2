"""Packaging. The shipped models of the top-level folder `trained_models/` go into the package."""

import re
import subprocess
import sys
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent

# Of requirements.txt, what finding faces, naming emotions, drawing and tables take; the rest is the
# extra `train`.
BASE = ("ai-edge-litert", "filelock", "numpy", "opencv-python", "pillow", "pooch")

# Each brings the module `cv2`, and a second one would overwrite the first.
OPENCV = (
    "opencv-python",
    "opencv-python-headless",
    "opencv-contrib-python",
    "opencv-contrib-python-headless",
)

# LiteRT, which runs the models by default, does not need these: they stay in the checkout.
LEFT_OUT = (
    "detector_models/*/model.keras",
    "roll_models/*/model.keras",
    "emotion_models/fer2013_mini_xception_wide/model.keras",
)


def read_requirements(name: str) -> dict[str, str]:
    """Return package -> line of a file of requirements, without comments and references."""
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    requirements = [line for line in lines if line and not line.startswith(("#", "-"))]
    return {re.split(r"[^\w-]", line)[0]: line for line in requirements}


def read_version() -> str:
    """Return the version that the package gives itself."""
    source = (ROOT / "src" / "minixception" / "__init__.py").read_text(encoding="utf-8")
    match = re.search(r'^__version__ = "(.+)"$', source, re.MULTILINE)
    assert match is not None, "src/minixception/__init__.py must define __version__"
    return match.group(1)


def installed_opencv() -> str:
    """Return which of `OPENCV` is installed already; the first where none is.

    A requirement cannot say "one of these", so the build looks. pip hides the environment that it
    installs into from the build by means of PYTHONPATH, which `-E` ignores. A build in an
    environment of its own (`python -m build`, uv) finds none, as a wheel for everybody should.
    """
    look = "from importlib.metadata import distributions as all; print(*{d.name for d in all()})"
    found = subprocess.run([sys.executable, "-E", "-c", look], capture_output=True, text=True)
    return next((name for name in OPENCV if name in found.stdout.split()), OPENCV[0])


FULL = read_requirements("requirements.txt")
DEVELOPMENT = read_requirements("requirements-dev.txt")
SERVICE = [
    DEVELOPMENT[name]
    for name in ("fastapi", "fastapi-offline", "prometheus-client", "python-multipart", "uvicorn")
]
CLUSTER = ["ray[data]>=2.60,<2.64"]
TRAINING = [line for name, line in FULL.items() if name not in BASE]

setup(
    name="minixception",
    version=read_version(),
    description="Emotion and gender from faces in real time: mini-Xception, reimplemented",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    author="The minixception authors",
    license="MIT",
    project_urls={"Paper": "https://arxiv.org/abs/1710.07557"},
    keywords="emotion gender face facial-expression mini-xception fer2013 litert keras",
    python_requires=">=3.10",
    packages=[*find_packages("src"), "minixception.trained_models"],
    package_dir={"": "src", "minixception.trained_models": "trained_models"},
    package_data={
        "minixception": ["py.typed"],
        "minixception.limits": ["page.md"],
        "minixception.trained_models": ["README.md", "*_models/*/*"],
    },
    exclude_package_data={"minixception.trained_models": list(LEFT_OUT)},
    install_requires=[
        FULL[name].replace("opencv-python", installed_opencv()) for name in sorted(BASE)
    ],
    extras_require={
        "train": TRAINING,
        "pandas": [FULL["pandas"]],
        "parquet": [FULL["pandas"], "pyarrow>=15"],
        "cluster": CLUSTER,
        "heif": ["pillow-heif>=0.16"],
        "video": [DEVELOPMENT["av"]],
        "onnx": [*TRAINING, DEVELOPMENT["onnxruntime"], DEVELOPMENT["tf2onnx"]],
        "notebooks": [*TRAINING, DEVELOPMENT["ipykernel"], DEVELOPMENT["nbclient"]],
        "serve": SERVICE,
        "docs": [*TRAINING, *SERVICE, *CLUSTER, "pdoc>=15,<17"],
        "dev": [*TRAINING, *DEVELOPMENT.values()],
    },
    entry_points={"console_scripts": ["minixception = minixception.commands:main"]},
    classifiers=[
        "Development Status :: 4 - Beta",
        "Intended Audience :: Developers",
        "Intended Audience :: Science/Research",
        "License :: OSI Approved :: MIT License",
        "Operating System :: OS Independent",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Image Recognition",
        "Typing :: Typed",
    ],
)
