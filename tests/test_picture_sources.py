import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from minixception.images import read_image
from minixception.inference.sources import load_picture, separate


@pytest.fixture
def turned(tmp_path: Path) -> Path:
    """Return a picture that stands upright by its EXIF orientation only."""
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = np.arange(20 * 30 * 3, dtype=np.uint8).reshape(20, 30, 3)
    Image.fromarray(pixels).save(tmp_path / "turned.png", exif=exif)
    return tmp_path / "turned.png"


FORMS: dict[str, Callable[[Path], Any]] = {
    "path": lambda path: path,
    "text": str,
    "bytes": Path.read_bytes,
    "bytearray": lambda path: bytearray(path.read_bytes()),
    "file object": lambda path: path.open("rb"),
    "bytes in memory": lambda path: io.BytesIO(path.read_bytes()),
    "Pillow picture": Image.open,
    "array": read_image,
    "array of floats": lambda path: read_image(path) / 255.0,
    "array with opacity": lambda path: np.dstack(
        [read_image(path), np.full((30, 20), 255, np.uint8)]
    ),
    "16-bit array": lambda path: read_image(path).astype(np.uint16) * 257,
}


@pytest.mark.parametrize("form", FORMS)
def test_a_picture_is_the_same_in_every_form(turned: Path, form: str) -> None:
    image = load_picture(FORMS[form](turned))
    assert image.shape == (30, 20, 3)
    np.testing.assert_array_equal(image, read_image(turned))
    np.testing.assert_array_equal(load_picture(FORMS[form](turned), bgr=False), image)


def test_arrays_of_opencv_and_no_files_are_turned_to_rgb(turned: Path) -> None:
    image = read_image(turned)
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    for array in (bgr, cv2.cvtColor(image, cv2.COLOR_RGB2BGRA), bgr / 255.0):
        np.testing.assert_array_equal(load_picture(array, bgr=True), image)
    np.testing.assert_array_equal(load_picture(turned, bgr=True), image)
    grey = np.arange(100, dtype=np.uint8).reshape(10, 10)
    np.testing.assert_array_equal(load_picture(grey, bgr=True), load_picture(grey))


def test_a_pillow_picture_stays_as_it_is(turned: Path) -> None:
    with Image.open(turned) as picture:
        load_picture(picture)
        assert picture.size == (30, 20)
    palette = Image.new("P", (8, 8))
    assert load_picture(palette).shape == (8, 8, 3)


@pytest.mark.parametrize("picture", [None, 3, [[0, 0]], io.StringIO("text")])
def test_what_cannot_be_a_picture_is_named(picture: Any) -> None:
    with pytest.raises(TypeError, match=f"a NumPy array. Received: {type(picture).__name__}"):
        load_picture(picture)
    for content in (b"", b"no picture"):
        with pytest.raises(ValueError, match=f"^bytes must .* a file of {len(content)} bytes"):
            load_picture(content)


def test_one_or_several_pictures() -> None:
    one: list[Any] = ["a.png", Path("a.png"), b"", io.BytesIO(), Image.new("L", (4, 4))]
    one += [np.zeros(shape) for shape in ((5, 6), (5, 6, 1), (5, 6, 3), (5, 6, 4))]
    assert [len(list(separate(each))) for each in one] == [1] * len(one)
    several = [np.zeros(shape) for shape in ((7, 5, 6), (7, 5, 6, 1), (7, 5, 6, 3))]
    assert [len(list(separate(each))) for each in [*several, ["1234567"] * 7]] == [7] * 4
    assert list(separate(iter(["a", "b"]))) == ["a", "b"]
