"""What all tests share: a cache of their own, small checkpoints, the real data where it is."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from minixception.labels import EMOTIONS_FER2013, GENDERS

PICTURES = Path(__file__).parents[1] / "images"


@pytest.fixture(scope="session", autouse=True)
def cache_in_temporary_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep the tests away from the user's cache."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINIXCEPTION_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session")
def data_root() -> Path:
    """Return the folder of the real data sets; tests that need it are skipped where it is not."""
    chosen = os.environ.get("MINIXCEPTION_DATA")
    folder = Path(chosen) if chosen else Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no data sets in {folder}; name their folder in MINIXCEPTION_DATA")
    return folder


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return task -> folder of an untrained mini-Xception for 48 px, with both model files."""
    root = tmp_path_factory.mktemp("checkpoints")
    folders = {"emotion": root / "emotion", "gender": root / "gender"}
    _write_checkpoint(folders["emotion"], EMOTIONS_FER2013)
    _write_checkpoint(folders["gender"], GENDERS)
    return folders


def _write_checkpoint(folder: Path, class_names: tuple[str, ...]) -> None:
    import keras

    from minixception import models
    from minixception.cards import Card
    from minixception.checkpoints import export_litert, save_checkpoint
    from minixception.preprocessor import Preprocessor

    keras.utils.set_random_seed(1)
    model = models.build("mini_xception", (48, 48, 1), len(class_names))
    # Fresh weights give nearly the same answer for all faces: raise the kernel of the last layer.
    weights = model.get_weights()
    weights[-2] = weights[-2] * 20
    model.set_weights(weights)
    card = Card(
        name=folder.name,
        task=folder.name,
        architecture="mini_xception",
        parameters=model.count_params(),
        class_names=class_names,
        preprocessor=Preprocessor(image_size=(48, 48)),
    )
    save_checkpoint(folder, model, card)
    images = np.random.default_rng(0).uniform(-1, 1, (64, 48, 48, 1)).astype(np.float32)
    export_litert(folder, images=images)


@pytest.fixture(scope="session")
def portraits() -> Path:
    """Return the path of a picture of three faces."""
    return PICTURES / "portraits.jpg"
