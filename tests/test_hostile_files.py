"""Files made to fill memory or time, to be taken for something else, or to command a terminal."""

import bz2
import gzip
import io
import json
import lzma
import os
import re
import sys
import tarfile
import threading
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
from keras import layers
from PIL import Image
from scipy.io import savemat

from made_up_detection import write_labelled_pictures
from minixception import bounds
from minixception.bounds import check_mat_size, open_unpacked, tar_contents
from minixception.checkpoints.engines import LiteRTEngine
from minixception.checkpoints.export import litert_converter
from minixception.checkpoints.keras_model import load_keras_file
from minixception.checkpoints.model_files import MEMBERS, check_tensors
from minixception.checkpoints.shipped import find_model
from minixception.commands import main
from minixception.commands.picture_paths import paths_in_folder
from minixception.detection.labelled_pictures import read_labelled_pictures
from minixception.detection.network_detector import MiniXceptionDetector
from minixception.images import read_image
from minixception.inference.workers import Room
from minixception.messages import csv_cell, printable
from minixception.training.state import TrainingState, read_state, write_state
from stored_files import read_rows

# Networks (layers, shape of an image) in whose configurations 77 becomes a huge number.
Networks = dict[str, tuple[list[layers.Layer], tuple[int, ...]]]
BOMBS: Networks = {
    "units": ([layers.Flatten(), layers.Dense(77)], (8, 8, 1)),
    "filters": ([layers.Conv2D(77, 3)], (8, 8, 1)),
    "multiplier": ([layers.DepthwiseConv2D(3, depth_multiplier=77)], (8, 8, 1)),
    "words": ([layers.Embedding(77, 4)], (5,)),
    "cells": ([layers.Bidirectional(layers.LSTM(77))], (5, 4)),
    "cells of a cell": ([layers.RNN([layers.GRUCell(77)])], (5, 4)),
    "nested": ([keras.Sequential([keras.Input((8, 8, 1)), layers.Conv2D(77, 1)])], (8, 8, 1)),
}
# Of layers without parameters, whose output or shape alone fills the memory.
WIDE: Networks = {
    "repeated": ([layers.RepeatVector(77)], (4,)),
    "grown": ([layers.UpSampling2D(77)], (8, 8, 1)),
    "encoded": ([layers.CategoryEncoding(num_tokens=77, output_mode="one_hot")], (1,)),
    "broadcast when it is built": ([layers.Normalization(mean=0.5, variance=1.0)], (77,)),
    "flat": ([layers.Flatten()], (77, 77, 1)),
}


def hdf5(numbers: int = 5000, **attributes: str) -> bytes:
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        file["numbers"] = np.zeros(numbers, np.float32)
        file.attrs.update(attributes)
    return stream.getvalue()


def keras_archive(config: str, weights: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in zip(MEMBERS, (b"{}", config.encode(), weights), strict=True):
            archive.writestr(name, content)
    return stream.getvalue()


@pytest.mark.parametrize("name", [*BOMBS, *WIDE])
def test_a_network_is_bounded_before_it_is_built(name: str, tmp_path: Path) -> None:
    parts, shape = (BOMBS | WIDE)[name]
    bound = "268435456 numbers for a face" if name in WIDE else "the 5000 that the file holds"
    config = keras.Sequential([keras.Input(shape), *parts]).to_json()
    huge = re.sub(r"\b77\b", "1000000000", config)
    assert huge != config
    for content in (keras_archive(huge, hdf5()), hdf5(model_config=huge)):
        (tmp_path / "model.keras").write_bytes(content)
        with pytest.raises(ValueError, match=f"more .*than {bound}"):
            load_keras_file(tmp_path / "model.keras")


def test_a_litert_model_of_huge_tensors(tmp_path: Path) -> None:
    grown = [layers.UpSampling2D(6000), layers.GlobalAveragePooling2D(), layers.Softmax()]
    model = keras.Sequential([keras.Input((4, 4, 3)), *grown])
    (tmp_path / "model.tflite").write_bytes(litert_converter(model).convert())
    with pytest.raises(ValueError, match=r"model.tflite cannot be loaded .* more than 268435456"):
        LiteRTEngine(tmp_path / "model.tflite", num_classes=3)


def test_a_chunk_larger_than_what_is_in_it() -> None:
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        options: Any = {"maxshape": (None,), "chunks": (1 << 26,), "compression": "gzip"}
        file.create_dataset("numbers", shape=(10,), dtype=np.float32, **options)
    with pytest.raises(ValueError, match="its tensors would take"):
        check_tensors(stream.getvalue(), bounds.ALLOWED_ANYWAY)
    with h5py.File(stream, "w") as file:
        file["nothing"] = h5py.Empty("f4")
    with pytest.raises(ValueError, match="it is damaged"):
        check_tensors(stream.getvalue(), bounds.ALLOWED_ANYWAY)


def test_what_other_packed_files_hold_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "ALLOWED_ANYWAY", 1 << 20)
    state, mat = tmp_path / "training_state.npz", tmp_path / "imdb.mat"
    np.savez_compressed(state, facts=np.array("{}"), model_0=np.zeros(1 << 18))
    savemat(mat, {f"v{number}": np.zeros(1 << 16) for number in range(3)}, do_compression=True)
    write_labelled_pictures(tmp_path)
    zeros = tar(*((tarfile.TarInfo(str(number)), bytes(600 << 10)) for number in range(2)))
    (tmp_path / "photographs.tar").write_bytes(gzip.compress(zeros, 1))
    for read in (
        lambda: read_state(state),
        lambda: check_mat_size(mat),
        lambda: list(read_labelled_pictures(tmp_path, "photographs")),
    ):
        with pytest.raises(ValueError, match="would unpack to more than 8 times its size"):
            read()


def test_weights_that_are_no_numbers(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3)])
    model.set_weights([np.full((4, 3), np.nan), np.zeros(3)])
    model.save(tmp_path / "model.keras")
    with pytest.raises(ValueError, match="weights that are not finite numbers"):
        load_keras_file(tmp_path / "model.keras")


def test_a_detector_that_gives_no_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    detector = MiniXceptionDetector()
    monkeypatch.setattr(detector._overview, "run", lambda images: np.full((1, 336, 14), np.nan))
    with pytest.raises(ValueError, match="it must give 14 finite numbers for each of 336 cells"):
        detector.detect(np.zeros((64, 64, 3), np.uint8))


def test_a_network_of_many_layers(tmp_path: Path) -> None:
    config = json.loads(keras.Sequential([keras.Input((4,)), layers.ReLU()]).to_json())
    config["config"]["layers"] += 6000 * config["config"]["layers"][1:]
    (tmp_path / "model.keras").write_bytes(keras_archive(json.dumps(config), hdf5()))
    with pytest.raises(ValueError, match="more than 5000 layers"):
        load_keras_file(tmp_path / "model.keras")


def test_a_file_of_two_kinds_is_refused(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3)])
    model.save(tmp_path / "model.keras")
    archive = (tmp_path / "model.keras").read_bytes()
    block = 512 * -(-len(archive) // 512)
    litert = (find_model("fer2013_mini_xception") / "model.tflite").read_bytes()
    cases = {
        "two kinds, .keras and .hdf5": [hdf5() + archive],
        "before its beginning": [
            b"#!/bin/sh\n" + archive,
            b"\0" * 512 + hdf5(),
            archive.ljust(1 << 20, b"\0") + hdf5(),
        ],
        "two kinds, .keras and .tflite": [litert + archive],
        "neither a .keras archive nor": [litert, b"", b"text" * block],
    }
    for message, contents in cases.items():
        for content in contents:
            for suffix in (".keras", ".hdf5"):
                (tmp_path / f"odd{suffix}").write_bytes(content)
                with pytest.raises(ValueError, match=message):
                    load_keras_file(tmp_path / f"odd{suffix}")
    for content in (litert + archive, archive, b""):
        (tmp_path / "odd.tflite").write_bytes(content)
        with pytest.raises(ValueError, match=r"odd.tflite cannot be loaded by LiteRT"):
            LiteRTEngine(tmp_path / "odd.tflite", num_classes=7)
    # One kind under the name of the other is what it is.
    (tmp_path / "named.hdf5").write_bytes(archive)
    assert load_keras_file(tmp_path / "named.hdf5").count_params() == model.count_params()


def tar(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for member, content in members:
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_what_a_packed_file_holds_is_bounded(
    pack: Callable[[bytes], bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "ALLOWED_ANYWAY", 1 << 18)
    path = tmp_path / "faces.tar.packed"
    zeros = bytes(150 << 10)
    longer = tarfile.TarInfo("a")
    longer.pax_headers = {"comment": "0" * (1 << 19)}
    bombs = [
        tar(*((tarfile.TarInfo(str(number)), zeros) for number in range(4))),
        tar(*((tarfile.TarInfo(str(number)), b"") for number in range(1_250))),
        tar((longer, b"")),
    ]
    for content in bombs:
        path.write_bytes(pack(content))
        with pytest.raises(ValueError, match="would unpack to more than 8 times its size"):
            list(tar_contents(path))
        with pytest.raises(ValueError, match="would unpack"), open_unpacked(path) as stream:
            stream.read()
    path.write_bytes(pack(tar((tarfile.TarInfo("a/b.jpg"), b"face"))))
    assert list(tar_contents(path)) == [("a/b.jpg", b"face")]


def test_the_holes_of_a_sparse_archive_are_bounded(tmp_path: Path) -> None:
    members = []
    for number in range(5):
        member = tarfile.TarInfo(str(number))
        facts = {"major": 1, "minor": 0, "name": number, "realsize": 60 << 20}
        member.pax_headers = {f"GNU.sparse.{name}": str(fact) for name, fact in facts.items()}
        members.append((member, f"1\n{60 << 20}\n0\n".encode().ljust(512, b"\0")))
    (tmp_path / "faces.tar").write_bytes(tar(*members[:1]))
    ((_, content),) = tar_contents(tmp_path / "faces.tar")
    assert content == bytes(60 << 20)
    (tmp_path / "faces.tar").write_bytes(tar(*members))
    with pytest.raises(ValueError, match="would unpack to more than 8 times its size"):
        list(tar_contents(tmp_path / "faces.tar"))


@pytest.mark.skipif(sys.platform != "linux", reason="other systems may store the hole")
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".gif", ".tif"])
def test_what_follows_a_picture_is_not_read(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    Image.new("RGB", (64, 48), (200, 0, 0)).save(path)
    os.truncate(path, 2 << 30)
    tracemalloc.start()
    try:
        if suffix == ".webp":
            with pytest.raises(ValueError, match="at most 715827880 bytes"):
                read_image(path)
        else:
            assert read_image(path).shape == (48, 64, 3)
        assert tracemalloc.get_traced_memory()[1] < 20 << 20
    finally:
        tracemalloc.stop()


def many_scans(count: int) -> bytes:
    stream = io.BytesIO()
    Image.new("L", (64, 64), 99).save(stream, "JPEG", progressive=True)
    content = stream.getvalue()
    last = content.rindex(b"\xff\xda")
    return content[:last] + content[last:-2] * count + content[-2:]


def test_the_scans_of_a_jpeg_are_bounded(tmp_path: Path) -> None:
    path = tmp_path / "face.jpg"
    path.write_bytes(many_scans(1000))
    with pytest.raises(ValueError, match="more than 100 scans"):
        read_image(path)
    # What stands behind the picture, as the film of a phone, is none of it.
    path.write_bytes(many_scans(1) + 1000 * b"\xff\xda\0\x08")
    assert read_image(path).shape == (64, 64, 3)


def test_workers_share_the_room_of_one_large_picture(tmp_path: Path) -> None:
    side = int((0.6 * bounds.LARGEST_PICTURE) ** 0.5)
    Image.new("1", (side, side)).save(tmp_path / "large.png")
    room, begun, at_once = Room(), threading.Barrier(2), []
    in_work: set[int] = set()

    def work(number: int) -> None:
        begun.wait()
        with room.keep(tmp_path / "large.png"):
            in_work.add(number)
            at_once.append(len(in_work))
            time.sleep(0.1)
            in_work.remove(number)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(work, range(2)))
    assert at_once == [1, 1]


def test_no_text_commands_a_terminal_or_is_a_formula() -> None:
    for text in ("\x1b[2J", "\x1b]0;title\x07", "\x9b31m", "\r", "\u202egnp.exe", "\x7f", "\x08"):
        assert printable(f"a{text}b").isprintable()
    assert printable("ä\t顔\n") == "ä\t顔\n"
    for start in "=+-@\t\r\n\uff1d":
        assert csv_cell(f"{start}1+1").startswith("'")
        assert csv_cell(csv_cell(f"{start}1")) == csv_cell(f"{start}1")
    assert csv_cell(-1) == -1


def test_names_of_pictures_on_their_way_out(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    strange = ["\x1b[31mred.png", "\x9b2J\u202e.png", "a\nb.png: 5 faces.png"]
    for name in ("=1+1.png", "@a.png", "-b.png", *strange):
        Image.new("RGB", (60, 60)).save(name)
    Path("\x1b[2Jbroken.png").touch()
    Path("li\nnk").symlink_to(here, target_is_directory=True)
    options = ["image", ".", "--no-draw", "--csv", "t.csv", "--jsonl", "t.jsonl"]
    assert main(options) == 1
    printed = capsys.readouterr()
    tables = Path("t.csv").read_text() + Path("t.jsonl").read_text()
    assert not set("\x1b\x9b\u202e") & set(printed.out + printed.err + tables)
    assert r"a\nb.png: 5 faces.png: no face found" in printed.out
    assert r"left out as links to folders: 1, such as li\nnk" in printed.err
    rows = [json.loads(line) for line in Path("t.jsonl").read_text().splitlines()]
    assert set(strange) <= {row["picture"] for row in rows}
    assert r"\x1b[2Jbroken.png" in printed.err
    names = {row["picture"] for row in read_rows(here / "t.csv")}
    assert {"'=1+1.png", "'@a.png", "'-b.png", r"\x1b[31mred.png"} <= names
    assert main([*options, "--resume"]) == 1


def test_every_changed_byte_of_a_state_is_told(tmp_path: Path) -> None:
    path = tmp_path / "training_state.npz"
    state = TrainingState({"a": 1}, [{"loss": 0.5}], [np.arange(9.0)], [np.ones((2, 2))])
    write_state(path, state)
    whole = path.read_bytes()
    for length in (0, len(whole) // 2):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"is damaged.*another `output`"):
            read_state(path)
    for place in range(len(whole)):
        changed = bytearray(whole)
        changed[place] ^= (0xFF, 1, 8)[place % 3]
        path.write_bytes(changed)
        try:
            read = read_state(path)
        except ValueError as error:
            assert re.match(f"{path} is damaged.*Train again", str(error))  # noqa: PT017
        else:  # such as the date of a member
            assert (read.identity, read.history) == (state.identity, state.history)
            for found, expected in zip(
                read.model + read.optimizer, state.model + state.optimizer, strict=True
            ):
                np.testing.assert_array_equal(found, expected)


def test_equal_names_take_a_time_that_grows_with_their_number() -> None:
    def seconds(count: int) -> float:
        places = {Path(f"{number}/face.jpg"): Path() for number in range(count)}
        begun = time.process_time()
        paths: Any = paths_in_folder(places, Path("out"))
        assert len(set(paths.values())) == count
        return time.process_time() - begun

    seconds(100)
    assert seconds(4000) < 30 * seconds(400)
