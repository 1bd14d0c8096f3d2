"""Thousands of broken files: a reader returns what it promises, or raises what it says.

`make fuzz` runs 12,000 cases; the usual test run takes 40 of each kind. The seed is fixed: case
`k` of a kind is always the same.
"""

import gzip
import io
import json
import os
import random
import tarfile
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from made_up_data import fer2013_csv
from minixception.checkpoints.card import Card, read_card
from minixception.checkpoints.model_files import REFUSED_LAYERS, check_model_file
from minixception.checkpoints.shipped import DEFAULT_GENDER_MODEL, find_model
from minixception.datasets import load_fer2013, load_imdb, load_utkface, read_ferplus_votes
from minixception.images import READABLE_FORMATS, read_image
from minixception.labels import FERPLUS_COLUMNS

CASES = int(os.environ.get("MINIXCEPTION_FUZZ_CASES", "40"))

Change = Callable[[bytearray, random.Random], None]


def flip_bytes(content: bytearray, dice: random.Random) -> None:
    most = dice.choice((len(content), 64))  # headers decide about sizes and formats
    for _ in range(dice.choice((1, 1, 2, 5, 30))):
        value = dice.choice((0, 1, 127, 128, 255, dice.randrange(256)))
        content[dice.randrange(min(most, len(content)))] = value


def cut_off(content: bytearray, dice: random.Random) -> None:
    del content[dice.randrange(len(content)) :]


def cut_out(content: bytearray, dice: random.Random) -> None:
    start = dice.randrange(len(content))
    del content[start : start + dice.choice((1, 2, 7, 100))]


def repeat_part(content: bytearray, dice: random.Random) -> None:
    start = dice.randrange(len(content))
    content[start:start] = content[start : start + dice.choice((1, 4, 200))] * dice.choice((1, 3))


def insert_word(content: bytearray, dice: random.Random) -> None:
    words = (b"\0", b"\xff\xff\xff\xff", b"-1", b"nan", b"1e999", b'"', b",", b"\n", b"[", b"\x80")
    start = dice.randrange(len(content) + 1)
    content[start:start] = dice.choice(words)


CHANGES: tuple[Change, ...] = (flip_bytes, flip_bytes, cut_off, cut_out, repeat_part, insert_word)


def broken(whole: bytes, dice: random.Random) -> bytes:
    """Return the content after one to three changes."""
    content = bytearray(whole)
    for _ in range(dice.choice((1, 1, 2, 3))):
        if content:
            dice.choice(CHANGES)(content, dice)
    return bytes(content)


def fuzz(
    path: Path, wholes: list[bytes], read: Callable[[Path], Any], kind: str, cases: int = CASES
) -> list[Any]:
    """Read whole files, then broken ones; return what those gave that could be read all the same.

    A whole file that is refused fails the test: a reader that refuses every file is none.
    """
    for whole in wholes:
        path.write_bytes(whole)
        read(path)
    found = []
    for number in range(cases):
        dice = random.Random(f"{kind} {number}")
        path.write_bytes(broken(dice.choice(wholes), dice))
        try:
            found.append(read(path))
        except (ValueError, OSError) as error:
            assert str(error), f"case {number}"  # noqa: PT017
        except Exception as error:
            raise AssertionError(f"case {number} of {kind}: {type(error).__name__}") from error
    return found


def pictures(form: str) -> list[bytes]:
    noise = np.random.default_rng(0).integers(0, 256, (24, 17, 3)).astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    options = {"exif": exif} if form in ("JPEG", "PNG", "WEBP", "TIFF") else {}
    modes = {"PPM": ("RGB", "L", "1"), "JPEG": ("RGB", "L", "CMYK"), "WEBP": ("RGB", "RGBA")}
    found = []
    for mode in modes.get(form, ("RGB", "L", "P", "1", "RGBA")):
        if form in ("GIF", "BMP") and mode == "RGBA":
            continue
        stream = io.BytesIO()
        Image.fromarray(noise).convert(mode).save(stream, form, **options)
        found.append(stream.getvalue())
    return found


# Pillow warns of what it passes over: metadata of TIFF, EXIF and PNG.
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::ResourceWarning")
@pytest.mark.parametrize("form", READABLE_FORMATS)
def test_pictures(form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Lower than Pillow's bound, so that a header of 10000x10000 costs no second.
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1_000_000)
    for image in fuzz(tmp_path / "picture", pictures(form), read_image, form):
        assert image.dtype == np.uint8
        assert image.ndim == 3
        assert image.shape[2] == 3
        assert image.size > 0


def test_fer2013_rows(tmp_path: Path) -> None:
    several = fer2013_csv({"Training": 2, "PublicTest": 2}).encode()
    one = fer2013_csv({"Training": 1}).encode()
    wholes = [several, one, gzip.compress(several, mtime=0)]
    read = partial(load_fer2013, use_cache=False)
    for dataset in fuzz(tmp_path / "faces.csv", wholes, read, "fer2013"):
        assert dataset.images.shape == (len(dataset), 48, 48, 1)
        assert set(dataset.splits) <= {"Training", "PublicTest", "PrivateTest"}


def test_votes(tmp_path: Path) -> None:
    header = ",".join(["Usage", "Image name", *FERPLUS_COLUMNS])
    rows = [f"Training,fer{row}.png,4,0,0,1,3,2,0,0,0,0" for row in range(5)]
    whole = ("\n".join([header, *rows]) + "\n").encode()
    read = partial(read_ferplus_votes, splits=None)
    for votes in fuzz(tmp_path / "votes.csv", [whole], read, "votes"):
        assert votes.shape[1] == 10
        assert votes.min(initial=0) >= 0


def example_card() -> dict[str, Any]:
    return read_card(find_model(DEFAULT_GENDER_MODEL)).to_json()


def test_cards(tmp_path: Path) -> None:
    whole = json.dumps(example_card(), indent=2).encode()
    for card in fuzz(tmp_path / "card.json", [whole], lambda path: read_card(path.parent), "card"):
        assert_usable(card)


def test_cards_with_other_values(tmp_path: Path) -> None:
    """Valid JSON with entries of other kinds."""
    values: tuple[Any, ...] = (
        *(None, True, -1, 0, 1, 3, 10**30, 0.5, -0.5, 1e308, float("nan"), float("inf")),
        *("", "a", "\0", "顔", [], [1], [1, 2], [[1]], {}, {"a": 1}, ["a", "b"], [0.1] * 4),
    )
    for number in range(CASES):
        dice, data = random.Random(f"values {number}"), example_card()
        for _ in range(dice.choice((1, 1, 2))):
            target = dice.choice((data, data, data["preprocessor"]))
            if isinstance(target, dict) and target:
                target[dice.choice(sorted(target))] = dice.choice(values)
            if not isinstance(data["preprocessor"], dict):
                break
        (tmp_path / "card.json").write_text(json.dumps(data))
        try:
            assert_usable(read_card(tmp_path))
        except (ValueError, OSError) as error:
            assert "card.json cannot be used" in str(error), number  # noqa: PT017


def assert_usable(card: Card) -> None:
    """What is said of a face with this card are finite numbers under printable names."""
    face = np.full((5, 4, 3), 200, np.uint8)
    assert np.isfinite(card.preprocessor([face])).all()
    assert all(name.isprintable() for name in card.class_names)
    json.dumps(card.to_json())


def test_mat_files(tmp_path: Path, portraits: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(portraits.read_bytes())
    fields = {
        "full_path": np.array(["a.jpg", "b.jpg"], dtype=object),
        "gender": np.ones(2),
        "face_score": np.full(2, 4.0),
        "second_face_score": np.full(2, np.nan),
    }
    savemat(tmp_path / "whole.mat", {"imdb": fields})
    whole = (tmp_path / "whole.mat").read_bytes()
    # Each takes a process of its own.
    for dataset in fuzz(tmp_path / "imdb.mat", [whole], load_imdb, "mat", CASES // 10):
        assert len(dataset) > 0


def test_archives_of_faces(tmp_path: Path) -> None:
    stream, (face, *_) = io.BytesIO(), pictures("JPEG")
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for number in range(3):
            member = tarfile.TarInfo(f"faces/2{number}_1_0_2017.jpg.chip.jpg")
            member.size = len(face)
            archive.addfile(member, io.BytesIO(face + bytes(number)))
    read = partial(load_utkface, use_cache=False)
    for dataset in fuzz(tmp_path / "faces.tar", [stream.getvalue()], read, "tar"):
        assert dataset.images.shape[1:] == (100, 100, 3)


def test_keras_archives(tmp_path: Path) -> None:
    """Keras itself is not asked here."""
    whole = (find_model(DEFAULT_GENDER_MODEL) / "model.keras").read_bytes()
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = members.pop("config.json")

    def check(path: Path) -> None:
        check_model_file(path.read_bytes())

    def check_config(path: Path) -> None:
        with zipfile.ZipFile(stream := io.BytesIO(), "w") as archive:
            for name, content in (members | {"config.json": path.read_bytes()}).items():
                archive.writestr(name, content)
        check_model_file(stream.getvalue())

    for content, read in ((whole, check), (config, check_config)):
        fuzz(tmp_path / "model", [content], read, "keras", max(CASES // 20, 5))
    layers = json.loads(config)
    for name in REFUSED_LAYERS:
        layers["config"]["layers"][-1]["class_name"] = name
        (tmp_path / "config.json").write_text(json.dumps(layers))
        with pytest.raises(ValueError, match=name):
            check_config(tmp_path / "config.json")
