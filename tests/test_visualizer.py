from pathlib import Path

import numpy as np
import pytest

from minixception.boxes import Box
from minixception.drawing.faces import (
    EMOTION_COLOURS,
    draw_predictions,
    emotion_colour,
    label_lines,
)
from minixception.drawing.fonts import label_font
from minixception.drawing.plots import plot_confusion_matrix, plot_history
from minixception.images import read_image
from minixception.inference.predictions import FacePrediction

EMOTIONS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
HAPPY = {name: 0.93 if name == "happy" else 0.01 for name in EMOTIONS}
WOMAN = {"woman": 0.88, "man": 0.12}
SCORES: dict[str, dict[str, float]] = {"emotion": HAPPY, "gender": WOMAN}


def make_face(box: Box, scores: dict[str, dict[str, float]] = SCORES) -> FacePrediction:
    return FacePrediction(box, scores)


def changed_pixels(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    return (before != after).any(axis=2)


def plate_pixels(image: np.ndarray) -> int:
    return int((image == EMOTION_COLOURS["happy"]).all(axis=2).sum())


@pytest.fixture
def background() -> np.ndarray:
    return np.full((480, 640, 3), 40, np.uint8)


@pytest.mark.parametrize("bars", [False, True])
def test_drawing_returns_a_new_image(background: np.ndarray, bars: bool) -> None:
    before = background.copy()
    drawn = draw_predictions(background, [make_face(Box(200, 200, 100, 100))], bars=bars)
    np.testing.assert_array_equal(background, before)
    assert drawn.shape == background.shape
    assert drawn.dtype == np.uint8
    assert drawn.flags.writeable
    assert changed_pixels(background, drawn).any()
    assert (drawn[200:300, 200:300] == 40).all()  # the face itself stays visible


def test_bars_cover_no_face(background: np.ndarray) -> None:
    faces = [
        make_face(Box(10 + 160 * x, 60 + 150 * y, 90, 90)) for x in (0, 1, 3) for y in range(3)
    ]
    plain = draw_predictions(background, faces)
    drawn = draw_predictions(background, faces, bars=True)
    for x, y, width, height in (face.box for face in faces):
        part = (slice(y, y + height), slice(x, x + width))
        assert np.array_equal(drawn[part], plain[part])
    alone = draw_predictions(background, [make_face(Box(0, 0, 640, 480))], bars=True)
    for each in (drawn, alone):
        assert (each == (80, 80, 80)).all(axis=2).any()  # the tracks of the bars


@pytest.mark.parametrize("x", [-40, 270, 620])
@pytest.mark.parametrize("y", [-40, 190, 460])
@pytest.mark.parametrize("bars", [False, True])
def test_labels_at_borders_and_corners_are_whole(
    background: np.ndarray, x: int, y: int, bars: bool
) -> None:
    drawn = draw_predictions(background, [make_face(Box(x, y, 100, 100))], bars=bars)
    reference = draw_predictions(background, [make_face(Box(270, 190, 100, 100))])
    frame = 2 * 4 * 106  # the frame around the face may be cut off by the border
    assert plate_pixels(drawn) > plate_pixels(reference) - frame


@pytest.mark.parametrize("side", [1, 20, 48, 200, 470])
def test_text_follows_the_face_and_stays_readable(background: np.ndarray, side: int) -> None:
    drawn = draw_predictions(background, [make_face(Box(5, 5, side, side))])
    plate = (drawn == EMOTION_COLOURS["happy"]).all(axis=2)
    assert plate.sum() > 500  # a label of 11 pixels high letters covers more
    assert plate.sum() < 0.2 * plate.size


def test_labels_of_a_crowd_do_not_overlap(background: np.ndarray) -> None:
    places = [(160 * column - 5, 240 * row - 5) for row in range(2) for column in range(4)]
    faces = [
        make_face(Box(*place, 170, 250), {"emotion": {name: 0.9}, "gender": WOMAN})
        for place, name in zip(places, EMOTION_COLOURS, strict=True)
    ]
    together = draw_predictions(background, faces)
    for face, colour in zip(faces, EMOTION_COLOURS.values(), strict=True):
        alone = draw_predictions(background, [face])
        shown, whole = ((image == colour).all(axis=2).sum() for image in (together, alone))
        assert shown > 0.85 * whole  # but for where frames cross


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 300, 3), (48, 48, 1), (20, 20), (3000, 10, 3)])
def test_tiny_images_do_not_crash(shape: tuple[int, ...]) -> None:
    image = np.zeros(shape, np.uint8)
    for faces in ([make_face(Box(0, 0, shape[1], shape[0]))], []):
        assert draw_predictions(image, faces, bars=True).shape == (*shape[:2], 3)


@pytest.mark.parametrize(("side", "is_labelled"), [(32, False), (40, True), (60, True)])
def test_a_label_that_no_letters_make_fit_is_left_out(side: int, is_labelled: bool) -> None:
    face = make_face(Box(side // 4, side // 4, side // 2, side // 2))
    drawn = draw_predictions(np.zeros((side, side)), [face])
    labelled = draw_predictions(np.zeros((side, 400)), [face])
    assert plate_pixels(drawn) > 50  # the box is there in any case
    assert (plate_pixels(drawn) > 4 * side) == is_labelled
    assert plate_pixels(labelled) > 4 * side


def test_numbers_are_in_the_labels_and_cover_no_face(background: np.ndarray) -> None:
    faces = [make_face(Box(200, 200, 40, 40)), make_face(Box(400, 200, 40, 40), {})]
    plain = draw_predictions(background, faces)
    drawn = draw_predictions(background, faces, numbers=(1, 12))
    assert plate_pixels(drawn) > plate_pixels(plain)
    assert changed_pixels(plain, drawn)[:, 390:].any()  # which has no label but its number
    for face in faces:
        assert (drawn[200:240, face.box.x : face.box.x + 40] == 40).all()


def test_a_face_without_predictions_gets_a_box_only(background: np.ndarray) -> None:
    face = make_face(Box(200, 200, 100, 100), {})
    drawn = draw_predictions(background, [face], bars=True)
    rows, columns = np.nonzero(changed_pixels(background, drawn))
    assert rows.min() >= 190
    assert columns.max() <= 310
    assert label_lines(face) == []
    assert label_lines(make_face(face.box)) == ["happy 93 %", "woman 88 %"]
    assert label_lines(make_face(face.box, {"emotion": {}, "gender": WOMAN})) == ["woman 88 %"]


def test_letters_of_other_alphabets_are_drawn() -> None:
    for one, other in (("fröhlich", "frählich"), ("радость", "радуга")):
        masks = [bytes(label_font(20, [one]).getmask(text)) for text in (one, other)]
        assert masks[0] != masks[1]


def test_letters_that_cannot_be_drawn_are_told_once(
    background: np.ndarray,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
    recwarn: pytest.WarningsRecorder,
) -> None:
    scores = [{"emotion": {"радость": one, "幸せ": 1 - one}} for one in (0.3, 0.8)]
    draw_predictions(background, [make_face(Box(200, 200, 100, 100), each) for each in scores])
    plot_confusion_matrix(np.eye(2, dtype=int), ("радость", "幸せ"), tmp_path / "matrix.png")
    assert [record.getMessage()[-2:] for record in caplog.records] == ["せ幸"]
    assert not recwarn.list


def test_colours_are_stable_and_follow_the_meaning() -> None:
    assert emotion_colour("happy") == emotion_colour("Happiness") == EMOTION_COLOURS["happy"]
    assert len({emotion_colour(name) for name in EMOTIONS}) == len(EMOTIONS)
    # Written down: the colour of an unknown name must not change from run to run.
    assert emotion_colour("boredom") == (0, 158, 115)
    assert emotion_colour("Disgusted") == EMOTION_COLOURS["disgust"]
    assert emotion_colour(None) == (255, 255, 255)


def test_histories_and_confusions_are_drawn(tmp_path: Path) -> None:
    path = tmp_path / "plots" / "new.png"
    lost = [float("nan")] * 2
    for history in (
        {"loss": [1.9], "val_loss": [1.8], "lr": [0.1]},
        {"loss": [1.9, 1.0], "val_loss": lost, "accuracy": [0.1, 0.2], "val_accuracy": [0.4, 0.3]},
    ):
        plot_history(history, path)
        assert read_image(path).std() > 5
        assert [file.name for file in path.parent.iterdir()] == ["new.png"]
    for count in (1, 8):
        matrix = np.diag(np.arange(count)) * 10  # the first class has no images
        plot_confusion_matrix(matrix, [f"class {n}" for n in range(count)], path, title="test")
        assert read_image(path).std() > 5
    names = ["with glasses or sunglasses on the nose or higher up", "W" * 99]
    plot_confusion_matrix(np.eye(2), names, path, title="utkface_mini_xception on utkface test")
    image = read_image(path)
    assert all(edge.min() == 255 for edge in (image[0], image[-1], image[:, 0], image[:, -1]))
    for wrong in (np.zeros((2, 3)), np.zeros((3, 3)), -np.ones((2, 2))):
        with pytest.raises(ValueError, match="`matrix` must hold counts"):
            plot_confusion_matrix(wrong, ["one", "two"], path)
