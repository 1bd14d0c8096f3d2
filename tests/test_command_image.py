import json
import os
import sys
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
from PIL import Image, ImageCms

from conftest import Run
from made_up_data import write_noise
from minixception.boxes import Box
from minixception.commands import main
from minixception.images import read_image, write_image
from minixception.labels import EMOTIONS_FER2013, GENDERS
from own_process import SOURCE, run_python, started
from stored_files import read_rows

SCRIPT = SOURCE / "image_emotion_gender_demo.py"


@pytest.fixture
def image(model_options: list[str], here: Path, run: Run) -> Run:
    """Return a function that runs the command in the test's own folder."""
    return partial(run, "image", *model_options)


def read_faces(path: Path) -> dict[str, list[dict[str, Any]]]:
    return json.loads(path.read_text(encoding="utf-8"))


def test_one_picture_into_a_file(image: Run, portraits: Path, tmp_path: Path) -> None:
    done = image(portraits, "--output", "new/drawn.JPG", "--bars")
    assert done.stderr == ""
    assert f"{portraits}: 3 faces" in done.stdout
    assert "written to new/drawn.JPG" in done.stdout
    drawn = read_image(tmp_path / "new" / "drawn.JPG")
    assert drawn.shape == read_image(portraits).shape
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["drawn.JPG", "new"]


@pytest.mark.parametrize(
    ("name", "space", "is_kept"),
    [
        *((f"drawn.{form}", b"RGB ", True) for form in ("jpg", "png", "webp", "tif")),
        ("drawn.bmp", b"RGB ", False),
        ("drawn.jpg", b"CMYK", False),
    ],
)
def test_a_drawn_picture_keeps_the_colour_profile(
    name: str, space: bytes, is_kept: bool, image: Run, portraits: Path, tmp_path: Path
) -> None:
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[16:20] = space
    with Image.open(portraits) as source:
        source.save(tmp_path / "a.jpg", icc_profile=bytes(profile))
    image("a.jpg", "--output", name)
    with Image.open(tmp_path / name) as drawn:
        assert drawn.info.get("icc_profile") == (bytes(profile) if is_kept else None)


def test_pictures_without_and_with_faces(image: Run, portraits: Path, tmp_path: Path) -> None:
    write_image(tmp_path / "wall.png", np.full((80, 100, 3), 200, np.uint8))
    done = image("wall.png", portraits, "--output", "out", "--json", "a/f.json", "--csv", "f.csv")
    assert done.stderr == ""
    assert "wall.png: no face found" in done.stdout
    drawn = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert drawn == ["portraits_faces.jpg", "wall_faces.png"]
    content = read_faces(tmp_path / "a" / "f.json")
    assert list(content) == ["wall.png", str(portraits)]
    assert content["wall.png"] == []
    keys = ["box", "emotion", "emotion_scores", "gender", "gender_scores"]
    assert [list(face) for face in content[str(portraits)]] == [keys] * 3
    face = content[str(portraits)][0]
    assert list(face["emotion_scores"]) == list(EMOTIONS_FER2013)
    assert list(face["gender_scores"]) == list(GENDERS)
    wall, *rows = read_rows(tmp_path / "f.csv")
    assert list(wall.values())[:4] == ["wall.png", "0", "", ""]
    told = [(row["picture"], row["faces"], row["error"]) for row in rows]
    assert told == [(str(portraits), "3", "")] * 3
    assert [int(rows[0][name]) for name in Box._fields] == face["box"]
    assert rows[0]["emotion"] == face["emotion"]
    assert float(rows[0]["gender_man"]) == face["gender_scores"]["man"]


def test_a_table_to_standard_output(image: Run, portraits: Path, tmp_path: Path) -> None:
    write_image("wall.png", np.full((80, 100, 3), 200, np.uint8))
    pictures, forms = ["wall.png", portraits, "--no-draw"], ("csv", "json", "jsonl")
    tables = [f"--{form}=faces.{form}" for form in forms]
    assert image(*pictures, *tables, "--quiet").stdout == ""
    for form, options in zip(forms, ([], [], ["--quiet"]), strict=True):
        done = image(*pictures, f"--{form}", "-", *options)
        assert done.stdout.encode() == (tmp_path / f"faces.{form}").read_bytes()
        assert ("portraits.jpg: 3 faces" in done.stderr) == (not options)


def test_unusual_names(model_options: list[str], portraits: Path, here: Path) -> None:
    names = ["Gesichter ä 顔.jpg", "x" * 251 + ".jpg", "顔" * 83 + ".jpg", "-dash.jpg"]
    if sys.platform == "linux":
        names.append(os.fsdecode(b"not UTF-8 \xff.jpg"))
    for name in names:
        Path(name).write_bytes(portraits.read_bytes())
    outputs = ["--json", "ö" * 120 + ".json", "--csv", "f.csv"]
    options = [*model_options, *outputs, "--", *names]
    done = run_python(SCRIPT, *options, PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert list(read_faces(Path(outputs[1]))) == names
    drawn = {path.name for path in here.glob("*_faces.jpg")}
    assert "Gesichter ä 顔_faces.jpg" in drawn
    assert len(drawn) == len(names)


def test_closed_pipe_is_no_error_message(
    model_options: list[str], portraits: Path, tmp_path: Path
) -> None:
    with started(SCRIPT, portraits, *model_options, cwd=tmp_path) as process:
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(60) == 1


def test_interrupted_while_it_starts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importlib.import_module", Mock(side_effect=KeyboardInterrupt))
    assert main(["image", "a.jpg"]) == 130
    assert capsys.readouterr().err == "minixception image: interrupted\n"


def test_a_lower_smallest_face_is_advised_where_there_is_one(image: Run, tmp_path: Path) -> None:
    write_image(tmp_path / "wall.png", np.full((80, 100, 3), 200, np.uint8))
    advice = [image("wall.png", f"--min-face={least}", "--no-draw").stderr for least in (2, 1)]
    smallest = "faces below 2 pixels are not searched for; a lower --min-face finds them\n"
    assert advice == [smallest, ""]


def test_whole_pictures_are_faces(image: Run, tmp_path: Path) -> None:
    for number, side in enumerate((48, 48, 90)):
        write_noise(tmp_path / "faces" / f"{number}.png", seed=number, size=(side, 48))
    image("faces", "--whole-picture", "--json", "faces.json")
    found = read_faces(tmp_path / "faces.json")
    boxes = [face["box"] for faces in found.values() for face in faces]
    assert boxes == [[0, 0, 48, 48], [0, 0, 48, 48], [0, 0, 48, 90]]
    assert len(list(tmp_path.glob("*_faces.png"))) == 3


def test_overview_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    for option, expected in (("--help", "find faces in pictures"), ("--version", "minixception 0")):
        with pytest.raises(SystemExit) as stop:
            main([option])
        assert stop.value.code == 0
        assert expected in capsys.readouterr().out
