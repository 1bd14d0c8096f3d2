"""What all tests share: a cache of their own, small checkpoints, the real data where it is."""

import gc
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from filelock import FileLock
from hypothesis import settings

from made_up_data import make_card
from made_up_detection import write_labelled_pictures
from minixception.commands import run_command
from minixception.labels import EMOTIONS_FER2013, GENDERS

PICTURES = Path(__file__).parents[1] / "images"
Run = Callable[..., CompletedProcess[str]]

# Without a deadline, since the machine may be busy.
settings.register_profile("short", max_examples=50, deadline=None)
settings.load_profile("short")

# A worker has a core of its own, and TensorFlow's threads would take that of another.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ |= dict.fromkeys(("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"), "1")


# Among what is imported Python would look for garbage again and again.
gc.disable()


def pytest_collection_finish() -> None:
    """Look for garbage from here on, but not among what was imported."""
    gc.freeze()
    gc.enable()


@contextmanager
def shared_folder(factory: pytest.TempPathFactory, name: str) -> Iterator[Path]:
    """Give a folder that the workers of one run of tests have in common, to one at a time."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        yield factory.mktemp(name)
        return
    folder = factory.getbasetemp().parent / name
    folder.mkdir(exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        yield folder


@pytest.fixture(scope="session", autouse=True)
def cache_in_temporary_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep the tests away from the user's cache."""
    with shared_folder(tmp_path_factory, "cache") as folder:
        pass
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINIXCEPTION_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session")
def real_data() -> Callable[[str], Path]:
    """Return a function from a name among the real data sets, as "media/a.mp4", to its path.

    A test that asks for what is not there is skipped.
    """
    chosen = os.environ.get("MINIXCEPTION_DATA")
    root = Path(chosen) if chosen else Path(__file__).parents[2] / "shared" / "data"

    def find(name: str) -> Path:
        if chosen and not root.is_dir():
            pytest.fail(f"MINIXCEPTION_DATA must name a folder. Received: {chosen}")
        if not (root / name).exists():
            pytest.skip(f"no {root / name}; MINIXCEPTION_DATA names the folder of the data sets")
        return root / name

    return find


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return task -> folder of an untrained mini-Xception for 48 px, with both model files."""
    with shared_folder(tmp_path_factory, "checkpoints") as root:
        if not (root / "complete").exists():
            _write_checkpoint(root / "emotion", EMOTIONS_FER2013)
            _write_checkpoint(root / "gender", GENDERS)
            (root / "complete").touch()
    return {"emotion": root / "emotion", "gender": root / "gender"}


@pytest.fixture(scope="session")
def model_options(checkpoints: dict[str, Path]) -> list[str]:
    """Return the options by which a command takes these checkpoints."""
    return [f"--{task}-model={folder}" for task, folder in checkpoints.items()]


def _write_checkpoint(folder: Path, class_names: tuple[str, ...]) -> None:
    import keras

    from minixception import models
    from minixception.checkpoints.card import LITERT_FILE
    from minixception.checkpoints.export import litert_converter
    from minixception.checkpoints.keras_model import save_checkpoint

    keras.utils.set_random_seed(1)
    model = models.build("mini_xception", (48, 48, 1), len(class_names))
    # Fresh weights give nearly the same answer for all faces: raise the kernel of the last layer.
    weights = model.get_weights()
    weights[-2] = weights[-2] * 20
    model.set_weights(weights)
    save_checkpoint(
        folder, model, make_card(model, class_names, name=folder.name, task=folder.name)
    )
    (folder / LITERT_FILE).write_bytes(litert_converter(model).convert())


@pytest.fixture(scope="session")
def portraits() -> Path:
    """Return the path of a picture of three faces."""
    return PICTURES / "portraits.jpg"


@pytest.fixture(scope="session")
def detection_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a made-up detection set."""
    folder = tmp_path_factory.mktemp("pictures")
    write_labelled_pictures(folder)
    return folder


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the test's own folder, which is the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs a command in this process; it must end with `code`."""

    def run_here(command: str, *arguments: object, code: int = 0) -> CompletedProcess[str]:
        capsys.readouterr()  # what was printed before
        try:
            found = run_command(command, [*map(str, arguments)])
        except SystemExit as end:  # argparse
            found = int(end.code or 0)
        printed = capsys.readouterr()
        assert found == code, printed
        return CompletedProcess([command], code, *printed)

    return run_here


@contextmanager
def eagerly() -> Iterator[None]:
    """Compute step by step, as a few steps are done before TensorFlow has built a graph for them.

    For tests of what surrounds the training; those of the engine itself train as users do. Nothing
    may be explained meanwhile: without a graph, TensorFlow also computes those gradients that
    `training.acceleration` tells of, which end the process.
    """
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(False)


@pytest.fixture
def eager() -> Iterator[None]:
    """Let a training of a few steps begin at once."""
    with eagerly():
        yield


@pytest.fixture
def no_export(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a training write no model.tflite, which is slow and tested elsewhere."""
    monkeypatch.setattr("minixception.checkpoints.export.export_litert", lambda *_, **__: 0.0)


@pytest.fixture
def short_training(eager: None, no_export: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a training of a few steps take a moment, and draw no curves of it."""
    monkeypatch.setattr("minixception.training.state.plot_history", lambda *_: None)
