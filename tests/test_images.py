import contextlib
import os
import struct
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import ExifTags, Image, ImageOps, features
from PIL.PngImagePlugin import PngInfo

from made_up_data import write_noise
from minixception import images
from minixception.images import (
    as_rgb,
    bgr_to_rgb,
    crop,
    read_image,
    resize_image,
    rgb_to_bgr,
    write_image,
)

RED, GREEN, WHITE, BLACK = (255, 0, 0), (0, 255, 0), (255, 255, 255), (0, 0, 0)


@pytest.fixture
def picture() -> np.ndarray:
    """A smooth picture (20, 30, 3): red grows to the right, green downwards, blue is 60."""
    rows, columns = np.mgrid[0:20, 0:30]
    return np.stack([columns * 8, rows * 12, np.full_like(rows, 60)], axis=2).astype(np.uint8)


@pytest.mark.parametrize(
    ("name", "most"),
    [
        *((name, 0) for name in ("a.png", "a.bmp", "a.tif", "a.tiff", "a.PNG", "été 驚き.png")),
        *((name, 4) for name in ("a.jpg", "a.JPEG", "a.webp")),
    ],
)
def test_what_is_written_is_read(
    tmp_path: Path, picture: np.ndarray, name: str, most: float
) -> None:
    path = tmp_path / "Bilder für später" / name
    write_image(str(path), picture)
    difference = np.abs(read_image(path).astype(int) - picture)
    assert difference.mean() <= most
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
def test_exif_orientation_is_respected(
    tmp_path: Path, picture: np.ndarray, orientation: int, suffix: str
) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    path = tmp_path / f"picture{suffix}"
    Image.fromarray(picture).save(path, exif=exif)
    with Image.open(path) as stored:
        np.testing.assert_array_equal(read_image(path), ImageOps.exif_transpose(stored))


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_broken_exif_leaves_the_picture_readable(tmp_path: Path, picture: np.ndarray) -> None:
    path = tmp_path / "picture.jpg"
    Image.fromarray(picture).save(path, exif=b"Exif\x00\x00MM\x00*\xff\xff\xff\xff")
    assert read_image(path).shape == picture.shape
    exif = Image.Exif()  # another entry than the orientation is broken
    exif[ExifTags.Base.Orientation], exif[ExifTags.Base.XResolution] = 6, 72.0
    entry, as_text = b"\x01\x1a\x00\x05", b"\x01\x1a\x00\x02"  # number and type
    assert entry in exif.tobytes()
    Image.fromarray(picture).save(path, exif=exif.tobytes().replace(entry, as_text))
    assert read_image(path).shape[:2] == picture.shape[1::-1]


def test_grey_and_palette_and_one_bit_pictures(tmp_path: Path) -> None:
    grey = np.full((5, 7), 128, np.uint8)
    Image.fromarray(grey).save(tmp_path / "grey.png")
    assert (read_image(tmp_path / "grey.png") == 128).all()
    coloured = Image.new("RGB", (7, 5), RED)
    coloured.quantize(4).save(tmp_path / "palette.png")
    coloured.quantize(4).save(tmp_path / "palette.gif")
    for name in ("palette.png", "palette.gif"):
        assert read_image(tmp_path / name).tolist() == [[list(RED)] * 7] * 5
    Image.new("1", (7, 5), 1).save(tmp_path / "bits.png")
    assert (read_image(tmp_path / "bits.png") == 255).all()
    Image.new("CMYK", (7, 5), (0, 255, 255, 0)).save(tmp_path / "cmyk.tif")
    assert read_image(tmp_path / "cmyk.tif")[0, 0].tolist() == list(RED)


@pytest.mark.parametrize(
    ("suffix", "order", "mode"),
    [(".png", "<", "I;16"), (".tif", "<", "I;16"), (".tif", ">", "I;16B"), (".pgm", "<", "I")],
)
def test_sixteen_bit_pictures_are_scaled(
    tmp_path: Path, suffix: str, order: str, mode: str
) -> None:
    path = tmp_path / f"deep{suffix}"
    deep = np.array([[0, 128, 129, 32896, 65535]], f"{order}u2")
    Image.fromarray(deep).save(path)
    with Image.open(path) as opened:
        assert opened.mode == mode
    assert read_image(path)[0, :, 0].tolist() == [0, 0, 1, 128, 255]


@pytest.mark.parametrize("suffix", [".png", ".tif", ".pnm"])
@pytest.mark.parametrize("shape", [[5, 7], [5, 7, 3]])
def test_each_file_of_12_bits_is_named(
    tmp_path: Path, suffix: str, shape: tuple[int, ...], caplog: pytest.LogCaptureFixture
) -> None:
    whites = {"a": 4095, "b": 4095, "c": 65535}
    for name, white in whites.items():
        path = tmp_path / f"{name}{suffix}"
        cv2.imwrite(str(path), np.full(shape, white, np.uint16))
        assert abs(read_image(path).max() - white / 257) < 1
    dark = [str(tmp_path / f"{name}{suffix}") for name in "ab"]
    assert [text.split(": ")[0] for text in caplog.messages] == dark


def test_a_tiff_of_12_bits_is_scaled(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pixels = bytes.fromhex("000800fff0")  # padded to whole bytes
    entries = {256: 3, 257: 1, 258: 12, 259: 1, 262: 1, 273: 122, 277: 1, 278: 1, 279: len(pixels)}
    fields = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries.items())
    head = struct.pack("<2sHIH", b"II", 42, 8, len(entries)) + fields + bytes(4)
    path = tmp_path / "deep.tif"
    path.write_bytes(head + pixels)
    assert read_image(path)[0, :, 0].tolist() == [0, 128, 255]
    assert not caplog.records


def test_transparent_parts_become_white(tmp_path: Path) -> None:
    pixels = np.array([[[*RED, 255], [*RED, 0], [0, 0, 0, 51]]], np.uint8)
    expected = [list(RED), list(WHITE), [204] * 3]
    Image.fromarray(pixels).save(tmp_path / "alpha.png")
    assert read_image(tmp_path / "alpha.png")[0].tolist() == expected
    assert as_rgb(pixels)[0].tolist() == expected
    palette = Image.new("P", (2, 1), 0)
    palette.putpalette([*RED, *GREEN])
    palette.putpixel((1, 0), 1)
    palette.save(tmp_path / "palette.png", transparency=0)
    assert read_image(tmp_path / "palette.png")[0].tolist() == [list(WHITE), list(GREEN)]


def test_files_that_are_no_picture(tmp_path: Path) -> None:
    path = tmp_path / "portrait.jpg"
    with pytest.raises(IsADirectoryError):
        read_image(tmp_path)
    for content in (b"\xff\xd8", b"%PDF-1.4", b"\x00" * 999):  # for others see `bad_input`
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"portrait\.jpg"):
            read_image(path)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".tif", ".webp", ".gif"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_truncated_file_is_refused(
    tmp_path: Path, suffix: str, share: float, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / f"cut{suffix}"
    write_noise(path, size=(40, 60))
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(ValueError, match=r"cut\.\w+ must be a complete"):
        read_image(path)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits"])
def test_libtiff_writes_nothing_to_the_terminal(
    tmp_path: Path, compression: str, capfd: pytest.CaptureFixture[str]
) -> None:
    noise = Image.effect_noise((60, 40), 90).convert("RGB")
    noise.save(tmp_path / "a.tif", compression=compression)
    content = bytearray((tmp_path / "a.tif").read_bytes())
    content[200:600] = b"\xff" * 400
    (tmp_path / "a.tif").write_bytes(content)
    with contextlib.suppress(ValueError):  # what follows the damage may be there
        read_image(tmp_path / "a.tif")
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("reduction", [2, 4, 8])
def test_a_jpeg_is_decoded_to_a_fraction_of_its_sides(tmp_path: Path, reduction: int) -> None:
    rows, columns = np.mgrid[0:200, 0:299]
    whole = np.stack([columns // 2, rows, np.full_like(rows, 60)], axis=2).astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "turned.jpg"
    Image.fromarray(np.ascontiguousarray(np.rot90(whole))).save(path, quality=95, exif=exif)
    assert images.picture_size(path) == (299, 200)
    reduced = read_image(path, reduction=reduction)
    height, width = 200 // reduction, 299 // reduction
    assert reduced.shape == (height, width, 3)
    wanted = resize_image(whole[: height * reduction, -width * reduction :], (height, width))
    assert np.abs(reduced.astype(int) - wanted).max() <= 4
    write_image(tmp_path / "whole.png", whole)
    np.testing.assert_array_equal(read_image(tmp_path / "whole.png", reduction=2), whole)


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 1), (5, 7, 3), (5, 7, 4), (1, 1)])
@pytest.mark.parametrize(
    "white", [np.uint8(255), np.uint16(65535), np.bool_(True), np.float32(1), np.float64(1)]
)
def test_as_rgb_accepts_what_notebooks_hold(shape: tuple[int, ...], white: np.generic) -> None:
    image = as_rgb(np.full(shape, white))
    assert image.dtype == np.uint8
    assert image.shape == (*shape[:2], 3)
    assert (image == 255).all()


def test_as_rgb_rounds_floats_and_takes_either_byte_order() -> None:
    grey = np.arange(256, dtype=np.float32).reshape(16, 16)
    np.testing.assert_array_equal(as_rgb(grey / 255)[:, :, 0], grey.astype(np.uint8))
    assert as_rgb(np.full((2, 2), 257 * 9, ">u2")).max() == 9
    assert as_rgb(np.full((2, 2), 0.2, ">f8")).max() == 51


def test_as_rgb_refuses_other_arrays() -> None:
    for shape in ((5,), (5, 7, 2), (3, 5, 7), (1, 5, 7, 3), (0, 7, 3), ()):
        with pytest.raises(ValueError, match="channels last"):
            as_rgb(np.zeros(shape, np.uint8))
    for value in (np.nan, np.inf, -0.1, 1.1, 255.0):
        with pytest.raises(ValueError, match=r"must lie in \[0, 1\]"):
            as_rgb(np.array([[0.5, value]]))
    for array in ([[1, 2]], np.array([[1, 2]]), np.array([["a"]]), None):
        with pytest.raises(TypeError, match="`array` must be"):
            as_rgb(array)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        *((name, "must end in one of") for name in ("picture", "picture.pdf", "a.png.txt")),
        ("a.webp", r"must be a \.png for sides above 16383.*1x20000 pixels"),
        ("pipe.png", "a pipe or device"),
    ],
)
def test_what_cannot_be_written(tmp_path: Path, name: str, message: str) -> None:
    pipe = tmp_path / "pipe.png"
    os.mkfifo(pipe)
    with pytest.raises(ValueError, match=message):
        write_image(tmp_path / name, np.zeros((20000, 1), np.uint8))
    assert list(tmp_path.iterdir()) == [pipe]
    assert pipe.is_fifo()


@pytest.mark.parametrize("shape", [(20, 30), (20, 30, 1), (20, 30, 3)])
@pytest.mark.parametrize("size", [(48, 64), (5, 6), (40, 10), (1, 1), (20, 30)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_resizing_keeps_rank_and_dtype(
    shape: tuple[int, ...], size: tuple[int, int], dtype: type
) -> None:
    resized = resize_image(np.full(shape, 77, dtype), size)
    assert resized.shape == (*size, *shape[2:])
    assert resized.dtype == dtype
    np.testing.assert_allclose(resized, 77, atol=1e-4)


def test_shrinking_averages_and_growing_interpolates() -> None:
    checkers = (np.indices((64, 64)).sum(axis=0) % 2 * 200).astype(np.uint8)
    assert (resize_image(checkers, (8, 8)) == 100).all()
    step = np.array([[0, 100]], np.uint8)
    assert resize_image(step, (1, 4)).tolist() == [[0, 25, 75, 100]]


def test_channel_order(picture: np.ndarray) -> None:
    assert rgb_to_bgr(np.array([[RED]], np.uint8)).tolist() == [[[0, 0, 255]]]
    np.testing.assert_array_equal(bgr_to_rgb(rgb_to_bgr(picture)), picture)


def test_crop_is_a_copy_of_the_box(picture: np.ndarray) -> None:
    before = picture.copy()
    part = crop(picture, (2, 3, 5, 4))
    assert part.shape == (4, 5, 3)
    assert part[0, 0].tolist() == picture[3, 2].tolist()
    part[:] = BLACK
    np.testing.assert_array_equal(picture, before)
    for box in ((-1, 0, 5, 5), (26, 0, 5, 5), (0, 16, 5, 5), (0, 0, 0, 5)):
        with pytest.raises(ValueError, match="`box` must lie inside"):
            crop(picture, box)


def test_float_tiffs_reach_up_to_1_or_to_255(tmp_path: Path) -> None:
    ramp = np.linspace(0, 1, 256, dtype=np.float32).reshape(16, 16)
    for scale in (1, 255):
        Image.fromarray(ramp * np.float32(scale)).save(tmp_path / "a.tiff")
        assert read_image(tmp_path / "a.tiff")[..., 0].ravel().tolist() == list(range(256))
    Image.fromarray(ramp * np.float32(1.02)).save(tmp_path / "a.tiff")  # overshoots
    assert read_image(tmp_path / "a.tiff")[..., 0].ravel().tolist()[::255] == [0, 255]
    Image.fromarray(ramp - np.float32(1)).save(tmp_path / "a.tiff")
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\]"):
        read_image(tmp_path / "a.tiff")


def test_the_small_copy_in_a_raw_file_is_not_taken_for_the_photograph(tmp_path: Path) -> None:
    whole, small = Image.new("RGB", (640, 480)), Image.new("RGB", (64, 48))
    with (tmp_path / "a.dng").open("w+b") as file:
        small.save(file, "TIFF", save_all=True, append_images=[whole], tiffinfo={254: 1})
    with pytest.raises(ValueError, match="small copy, as in the raw files of cameras"):
        read_image(tmp_path / "a.dng")
    whole.save(tmp_path / "b.tif", tiffinfo={254: 0})
    assert read_image(tmp_path / "b.tif").shape == (480, 640, 3)


def test_the_first_frame_or_page_is_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    one, two = Image.new("L", (9, 9), 255), Image.new("L", (9, 9))
    one.save(tmp_path / "a.tif")
    one.save(tmp_path / "a.gif", save_all=True, append_images=[two])
    one.save(tmp_path / "b.tif", save_all=True, append_images=[two])
    for name in ("a.tif", "a.gif", "b.tif"):
        assert read_image(tmp_path / name).all()
    assert caplog.messages == [f"{tmp_path / 'b.tif'}: only the first of its pages is read"]


def test_a_png_with_a_damaged_comment_is_read(tmp_path: Path) -> None:
    comment = PngInfo()
    comment.add_text("Comment", "taken on a walk")
    Image.new("L", (5, 4), 90).save(tmp_path / "a.png", pnginfo=comment)
    content = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(content.replace(b"a walk", b"a talk"))
    assert (read_image(tmp_path / "a.png") == 90).all()


def test_avif_and_heic_are_read_or_say_what_they_take(tmp_path: Path) -> None:
    grey = Image.new("RGB", (64, 48), (90, 90, 90))
    if features.check("avif"):
        grey.save(tmp_path / "a.avif")
        assert abs(read_image(tmp_path / "a.avif").astype(int) - 90).max() <= 2
    head = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"
    wanted = "complete picture" if find_spec("pillow_heif") else r"a\.heic.*minixception\[heif\]"
    (tmp_path / "a.heic").write_bytes(head)
    with pytest.raises(ValueError, match=wanted):
        read_image(tmp_path / "a.heic")
