import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from minixception.boxes import Box, intersection_over_union
from minixception.commands import main
from minixception.images import read_image, write_image
from minixception.labels import EMOTIONS_FER2013, GENDERS

SCRIPT = Path(__file__).parents[1] / "src" / "image_emotion_gender_demo.py"

Demo = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def models(checkpoints: dict[str, Path]) -> list[str]:
    return [f"--{task}-model={folder}" for task, folder in checkpoints.items()]


@pytest.fixture
def demo(models: list[str], tmp_path: Path) -> Demo:
    """Return a function that runs the script in the test's own folder."""

    def run(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, str(SCRIPT), *models, *map(str, arguments)],
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",
            cwd=tmp_path,
            env={**os.environ, **environment},
            timeout=60,
            check=False,
        )
        assert "Traceback" not in done.stderr + done.stdout
        return done

    return run


def messages(done: subprocess.CompletedProcess[str]) -> list[str]:
    """Return the lines of stderr but LiteRT's own."""
    return [line for line in done.stderr.splitlines() if not line.startswith("INFO: Created")]


def read_faces(path: Path) -> dict[str, list[dict[str, object]]]:
    return json.loads(path.read_text(encoding="utf-8"))


def test_one_picture_into_a_file(demo: Demo, portraits: Path, tmp_path: Path) -> None:
    done = demo(portraits, "--output", "new/drawn.JPG", "--bars")
    assert (done.returncode, messages(done)) == (0, [])
    assert f"{portraits}: 3 faces" in done.stdout
    assert "written to new/drawn.JPG" in done.stdout
    drawn = read_image(tmp_path / "new" / "drawn.JPG")
    assert drawn.shape == read_image(portraits).shape
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["drawn.JPG", "new"]


def test_pictures_without_and_with_faces(demo: Demo, portraits: Path, tmp_path: Path) -> None:
    write_image(tmp_path / "wall.png", np.full((80, 100, 3), 200, np.uint8))
    done = demo("wall.png", portraits, "--output", "out", "--json", "a/f.json", "--csv", "f.csv")
    assert (done.returncode, messages(done)) == (0, [])
    assert "wall.png: no face found" in done.stdout
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "wall_faces.png",
        "portraits_faces.jpg",
    }
    content = read_faces(tmp_path / "a" / "f.json")
    assert list(content) == ["wall.png", str(portraits)]
    assert content["wall.png"] == []
    assert [list(face) for face in content[str(portraits)]] == [
        ["box", "emotion", "emotion_scores", "gender", "gender_scores"]
    ] * 3
    face = content[str(portraits)][0]
    assert list(face["emotion_scores"]) == list(EMOTIONS_FER2013)  # type: ignore[call-overload]
    assert list(face["gender_scores"]) == list(GENDERS)  # type: ignore[call-overload]
    with (tmp_path / "f.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0].values())[:4] == ["wall.png", "0", "", ""]
    del rows[0]
    assert [row["picture"] for row in rows] == [str(portraits)] * 3
    assert [(row["faces"], row["error"]) for row in rows] == [("3", "")] * 3
    assert [int(rows[0][name]) for name in Box._fields] == face["box"]
    assert rows[0]["emotion"] == face["emotion"]
    assert float(rows[0]["gender_man"]) == face["gender_scores"]["man"]  # type: ignore[index]


@pytest.mark.parametrize("form", ["csv", "json", "jsonl"])
def test_a_table_to_standard_output(
    form: str, models: list[str], here: Path, portraits: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_image("wall.png", np.full((80, 100, 3), 200, np.uint8))
    pictures = ["image", "wall.png", str(portraits), "--no-draw", *models]
    assert main([*pictures, f"--{form}", f"faces.{form}", "--quiet"]) == 0
    assert capsys.readouterr().out == ""
    for options in ([], ["--quiet"]):
        assert main([*pictures, f"--{form}", "-", *options]) == 0
        printed = capsys.readouterr()
        assert printed.out.encode() == (here / f"faces.{form}").read_bytes()
        assert ("portraits.jpg: 3 faces" in printed.err) == (not options)


def test_csv_columns_do_not_depend_on_faces(
    models: list[str], here: Path, portraits: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_image("wall.png", np.full((80, 100, 3), 200, np.uint8))
    assert main(["image", "wall.png", "--csv", "none.csv", *models]) == 0
    assert main(["image", str(portraits), "--csv", "three.csv", *models]) == 0
    none = (here / "none.csv").read_text(encoding="utf-8").splitlines()
    three = (here / "three.csv").read_text(encoding="utf-8").splitlines()
    assert none[:1] == three[:1]
    assert none[1:] == ["wall.png,0" + "," * (none[0].count(",") - 1)]


def test_unreadable_among_good_ones(demo: Demo, portraits: Path, tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("no picture")
    (tmp_path / "half.jpg").write_bytes(portraits.read_bytes()[:50_000])
    (tmp_path / "empty.png").touch()
    bad = ["text.jpg", "half.jpg", "empty.png", "missing.jpg"]
    done = demo(*bad, portraits, "--json", "faces.json")
    assert done.returncode == 1
    for name, line in zip(bad, messages(done), strict=False):
        assert line.startswith("not done: ")
        assert name in line
    assert messages(done)[len(bad) :] == ["4 of 5 pictures could not be done."]
    assert list(read_faces(tmp_path / "faces.json")) == [str(portraits)]
    assert (tmp_path / "portraits_faces.jpg").is_file()


def test_broken_exif_is_no_message(demo: Demo, portraits: Path, tmp_path: Path) -> None:
    exif = b"Exif\0\0MM\0*\xff\xff\xff\xff"
    Image.open(portraits).resize((200, 200)).save(tmp_path / "a.jpg", exif=exif)
    done = demo("a.jpg", "--no-draw")
    assert (done.returncode, messages(done)) == (0, [])


def test_picture_forms_give_the_same_faces(demo: Demo, portraits: Path, tmp_path: Path) -> None:
    picture = Image.open(portraits).convert("RGB")
    picture.save(tmp_path / "plain.png")
    opaque = picture.copy()
    opaque.putalpha(255)
    opaque.save(tmp_path / "opaque.png")
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees to the right
    picture.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.png", exif=exif)
    grey = np.asarray(picture.convert("L"))
    Image.fromarray(grey).save(tmp_path / "grey.png")
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "sixteen.png")
    picture.quantize(256).save(tmp_path / "palette.png")
    names = [f"{form}.png" for form in ("plain", "opaque", "turned", "grey", "sixteen", "palette")]
    done = demo(*names, "--json", "faces.json")
    assert (done.returncode, messages(done)) == (0, [])
    found = read_faces(tmp_path / "faces.json")
    assert len(found["plain.png"]) == 3
    assert found["opaque.png"] == found["turned.png"] == found["plain.png"]
    assert found["sixteen.png"] == found["grey.png"]
    for name in ("grey.png", "palette.png"):
        for face, other in zip(found[name], found["plain.png"], strict=True):
            boxes = [Box(*one["box"]) for one in (face, other)]  # type: ignore[misc]
            assert intersection_over_union(*boxes) > 0.8
    assert read_image(tmp_path / "turned_faces.png").shape == (348, 852, 3)


def test_unusual_names(demo: Demo, portraits: Path, tmp_path: Path) -> None:
    names = ["Gesichter ä 顔.jpg", "x" * 251 + ".jpg", "顔" * 83 + ".jpg", "-dash.jpg"]
    for name in names:
        (tmp_path / name).write_bytes(portraits.read_bytes())
    outputs = ["--json", "ö" * 120 + ".json", "--csv", "f.csv"]
    done = demo(*outputs, "--", *names, PYTHONIOENCODING="ascii")
    assert (done.returncode, messages(done)) == (0, [])
    assert list(read_faces(tmp_path / outputs[1])) == names
    drawn = {path.name for path in tmp_path.glob("*_faces.jpg")}
    assert "Gesichter ä 顔_faces.jpg" in drawn
    assert len(drawn) == len(names)


@pytest.mark.skipif(sys.platform != "linux", reason="names that are not valid UTF-8")
def test_name_that_is_not_utf8(demo: Demo, portraits: Path, tmp_path: Path) -> None:
    name = os.fsdecode(b"b\xff.jpg")
    (tmp_path / name).write_bytes(portraits.read_bytes())
    done = demo(name, "--json", "faces.json", "--csv", "faces.csv")
    assert (done.returncode, messages(done)) == (0, [])
    assert list(read_faces(tmp_path / "faces.json")) == [name]


def test_equal_names_and_earlier_results_do_not_collide(
    demo: Demo, portraits: Path, tmp_path: Path
) -> None:
    for name in ("a/face.jpg", "b/face.jpg", "out/face_faces.jpg"):
        write_image(tmp_path / name, read_image(portraits))
    before = (tmp_path / "out" / "face_faces.jpg").read_bytes()
    done = demo("a/face.jpg", "b/face.jpg", "out/face_faces.jpg", "--output", "out")
    assert (done.returncode, messages(done)) == (0, [])
    assert (tmp_path / "out" / "face_faces.jpg").read_bytes() == before
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "face_faces.jpg",
        "face_faces_2.jpg",
        "face_faces_3.jpg",
        "face_faces_faces.jpg",
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a.jpg", "b.jpg", "--output", "c.png"], "--output must be a folder for 2 pictures"),
        (["a.jpg", "--output", "c.gif"], "--output must be a folder or end in one of .png, .jpg"),
        (["a.jpg", "--output", "b.jpg/x"], "b.jpg is in the way"),
        (["a.jpg", "--output", "b.jpg/x.png"], "b.jpg is in the way"),
        (["a.jpg", "--output", "a.jpg"], "--output must be another file. Received: a.jpg, a pic"),
        (["a.jpg", "--json", "f.csv"], "--json must be a file ending in .json. Received: f.csv"),
        (["a.jpg", "--json", "-", "--csv", "-"], "Received: -, written by --json"),
        (["a.jpg", "--json", "."], "--json must name a file. Received: the folder ."),
        (["a.jpg", "--scale-factor", "1"], "`scale_factor` must lie between 1.01 and 10"),
        (["a.jpg", "--min-face", "0"], "`min_face` must be at least 1"),
        (["a.jpg", "--yunet", "b.jpg"], "b.jpg is not OpenCV Zoo's"),
        (["a.jpg", "--gender-model", "nope"], "nope is neither a checkpoint folder nor a shipped"),
    ],
)
def test_what_cannot_be_done_is_refused_before_the_work(
    models: list[str],
    here: Path,
    portraits: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    for name in ("a.jpg", "b.jpg"):
        (here / name).write_bytes(portraits.read_bytes())
    assert main(["image", *models, *arguments]) == 1
    output = capsys.readouterr()
    assert output.err.startswith("minixception image: error: ")
    assert message in output.err
    assert output.out == ""
    assert sorted(path.name for path in here.iterdir()) == ["a.jpg", "b.jpg"]


@pytest.mark.parametrize("extreme", [["--min-neighbors", "99999999999"], ["--min-face", "9" * 15]])
def test_extreme_detector_options_find_nothing(
    models: list[str],
    here: Path,
    portraits: Path,
    capsys: pytest.CaptureFixture[str],
    extreme: list[str],
) -> None:
    assert main(["image", str(portraits), *models, *extreme]) == 0
    assert "no face found" in capsys.readouterr().out


def test_command_and_script_behave_the_same(
    demo: Demo,
    models: list[str],
    here: Path,
    portraits: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    done = demo(portraits, "--output", "script.png", "--json", "script.json")
    arguments = [str(portraits), "--output", "command.png", "--json", "command.json"]
    assert main(["image", *arguments, *models]) == done.returncode == 0
    assert capsys.readouterr().out == done.stdout.replace("script", "command")
    assert read_faces(here / "script.json") == read_faces(here / "command.json")
    assert (here / "script.png").read_bytes() == (here / "command.png").read_bytes()


def test_closed_pipe_is_no_error_message(
    models: list[str], portraits: Path, tmp_path: Path
) -> None:
    process = subprocess.Popen(
        [sys.executable, str(SCRIPT), str(portraits), *models],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    with process.stderr as stderr:
        assert [line for line in stderr if not line.startswith(b"INFO: Created")] == []
    assert process.wait(60) == 1


def test_interrupted_while_it_starts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(name: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("importlib.import_module", interrupt)
    assert main(["image", "a.jpg"]) == 130
    assert capsys.readouterr().err == "minixception image: interrupted\n"


def test_whole_pictures_are_faces(
    models: list[str], here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, side in enumerate((48, 48, 90)):
        pixels = np.random.default_rng(number).integers(0, 256, (side, 48), dtype=np.uint8)
        write_image(here / "faces" / f"{number}.png", pixels)
    command = ["image", "faces", "--whole-picture", "--json", "faces.json", *models]
    assert main(command) == 0
    found = read_faces(here / "faces.json")
    boxes = [face["box"] for faces in found.values() for face in faces]
    assert boxes == [[0, 0, 48, 48], [0, 0, 48, 48], [0, 0, 48, 90]]
    assert len(list(here.glob("*_faces.png"))) == 3
    assert main([*command, "--min-face", "20"]) == 1
    assert "--whole-picture looks for no faces" in capsys.readouterr().err


def test_a_picture_without_a_command(portraits: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "minixception", str(portraits)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert f"{portraits} is a picture: minixception image {portraits}" in done.stderr


def test_overview_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    for option, expected in (("--help", "find faces in pictures"), ("--version", "minixception 0")):
        with pytest.raises(SystemExit) as stop:
            main([option])
        assert stop.value.code == 0
        assert expected in capsys.readouterr().out
