import argparse
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from conftest import Run
from made_up_data import make_card
from minixception.boxes import Box
from minixception.checkpoints.keras_model import save_checkpoint
from minixception.commands.video_session import load_overlay
from minixception.drawing.explanations import colours_of, draw_explanation, draw_maps
from minixception.explain import Explainer
from minixception.images import read_image, write_image
from minixception.inference.predictions import FacePrediction
from minixception.labels import GENDERS


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give a small network for gender, loaded once: its graph takes longer than all else here."""
    keras.utils.set_random_seed(1)
    network = keras.Sequential(
        [
            keras.Input((48, 48, 1)),
            layers.Conv2D(8, 5, strides=2, activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(2, activation="softmax"),
        ]
    )
    folder = tmp_path_factory.mktemp("models") / "gender"
    save_checkpoint(folder, network, make_card(network, GENDERS, name="gender", task="gender"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Explainer, "load", cache(Explainer.load))
        yield folder


def test_a_picture_per_face(
    model: Path,
    run: Run,
    here: Path,
    portraits: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("minixception.messages._SECONDS_BETWEEN_REPORTS", -1)
    write_image("holidays/wall.png", np.full((80, 100, 3), 200, np.uint8))
    write_image("holidays/beach/three.png", read_image(portraits))
    Path("holidays/broken.jpg").write_text("no picture")
    done = run("explain", "--model", model, "holidays", "--output", "out", code=1)
    assert "holidays/wall.png: no face found" in done.stdout
    assert "holidays/beach/three.png: 3 faces" in done.stdout
    assert "not done:" in done.stderr
    assert "holidays/broken.jpg" in done.stderr
    assert "2 of 3 pictures explained, " in caplog.messages[-1]
    written = sorted(path.relative_to("out").as_posix() for path in Path("out").rglob("*.*"))
    assert written == [f"beach/three_explained_{number}.png" for number in (1, 2, 3)]
    cards = [read_image(Path("out", name)) for name in written]
    assert {card.shape for card in cards} == {(604, 832, 3)}
    assert len({card.tobytes() for card in cards}) == 3


def test_the_class_asked_for_and_a_second_run(
    model: Path, run: Run, here: Path, portraits: Path
) -> None:
    write_image("a/three.png", read_image(portraits))
    explain = partial(run, "explain", "--model", model)
    for _ in range(2):  # the second leaves out what the first has drawn
        options = ("--task", "gender", "--class", "female", "--output", "a")
        assert explain("a", *options).stdout.count("  woman ") == 3
    assert len(list(Path("a").iterdir())) == 4
    explain("a/three.png", "a/three_explained_1.png")


def test_no_picture_to_read_is_overwritten(
    model: Path, run: Run, here: Path, portraits: Path
) -> None:
    pictures = ("one.png", "one_explained_1.png")
    for name in pictures:
        write_image(name, read_image(portraits))
    refused = run("explain", "--model", model, *pictures, code=1)
    assert "one_explained_1.png is a picture to read" in refused.stderr
    assert read_image("one_explained_1.png").shape == read_image(portraits).shape


def test_maps_lie_over_faces_and_nowhere_else() -> None:
    image = np.full((40, 60, 3), 90, np.uint8)
    maps = np.zeros((2, 8, 8), np.float32)
    maps[:, 2:6, 2:6] = 1
    drawn = draw_maps(image, [Box(5, 5, 20, 20), Box(50, 30, 20, 20)], maps)
    assert (image == 90).all()
    changed = (drawn != 90).any(axis=-1)
    assert changed[12:18, 12:18].all()
    assert changed[36:40, 56:60].all()
    changed[5:25, 5:25] = changed[30:, 50:] = False
    assert not changed.any()


def test_overlay_explains_the_label_of_each_face(model: Path) -> None:
    models = {"emotion_model": "none", "gender_model": model, "classifier": []}
    overlay = load_overlay(argparse.Namespace(explain="gender", **models))
    assert overlay is not None
    image = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    box = Box(-10, 20, 60, 60)  # a tracked face may leave the frame
    faces = [FacePrediction(box, {"gender": {name: 1.0}}) for name in ("woman", "man")]
    drawn = [overlay(image, [face]) for face in faces]
    for each in drawn:
        changed = (each != image).any(axis=-1)
        assert changed[20:80, :50].any()
        changed[20:80, :50] = False
        assert not changed.any()
    assert (drawn[0] != drawn[1]).any()
    assert load_overlay(argparse.Namespace(explain=None)) is None


def test_colours_grow_lighter_evenly() -> None:
    colours = colours_of(np.linspace(-0.1, 1.1, 50)).astype(float)
    assert (np.diff(colours @ [0.299, 0.587, 0.114]) >= 0).all()


def test_cards_of_odd_faces(model: Path) -> None:
    explainer = Explainer.load(model)
    for shape in ((1, 1, 3), (30, 90, 3), (64, 64)):
        face = np.full(shape, 128, np.uint8)
        explanation = explainer.explain([face.reshape(*shape[:2], -1)])
        assert draw_explanation(face, explanation).shape == (604, 832, 3)
