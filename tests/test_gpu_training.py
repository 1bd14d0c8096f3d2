"""What a GPU has trained becomes checkpoint folders. (The training itself takes JAX.)"""

import runpy
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from made_up_data import write_fer2013
from minixception import models
from minixception.checkpoints.keras_model import load_checkpoint
from minixception.inference.classifier import FaceClassifier

ROOT = Path(__file__).parents[1]


@pytest.mark.usefixtures("eager")
def test_each_head_of_a_teacher_becomes_a_model(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks.gpu_training.settings import FERPLUS, TEACHER
    from benchmarks.gpu_training.trained import write_model

    def finish() -> Any:
        """Run the last part, and return what it exits with."""
        monkeypatch.setattr(sys, "argv", ["gpu_training", "finish", "--folder", "gpu"])
        with pytest.raises(SystemExit) as ended:
            runpy.run_module("benchmarks.gpu_training", run_name="__main__")
        return ended.value.code

    assert "holds no trained model" in finish()
    write_fer2013(here / "datasets" / "fer2013")
    whole = models.build("tiny_xception", (48, 48, 1), 15)
    facts = {"network": "tiny_xception", "size": 48, "heads": ["fer2013", "ferplus"], "seed": 3}
    facts |= {"command": "typed", "settings": asdict(TEACHER)}
    facts |= {"history": [{"epoch": 0, "loss": 1.5, "fer2013": 0.25, "ferplus": 0.5}]}
    write_model(here / "gpu" / "teacher_3.npz", whole.get_weights(), facts)
    assert finish() == 0
    faces = np.random.default_rng(0).integers(0, 256, (5, 48, 48, 1), dtype=np.uint8)
    logits = np.log(whole.predict(faces / 127.5 - 1, verbose=0))
    for head, columns in (("fer2013", slice(0, 7)), ("ferplus", slice(7, 15))):
        place = here / "gpu" / f"teacher_3_{head}"
        card = load_checkpoint(place).card
        assert (card.seed, card.command, card.recipe["epochs"]) == (3, "typed", TEACHER.epochs)
        expected = np.exp(logits[:, columns])
        expected /= expected.sum(axis=1, keepdims=True)
        found = FaceClassifier.load(place).predict(faces)
        np.testing.assert_allclose(found, expected, atol=1e-4)
    assert card.class_names == FERPLUS
    assert "0,1.5,0.5" in (place / "history.csv").read_text()
