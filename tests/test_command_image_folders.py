import json
import re
import shutil
import signal
import subprocess
import time
from functools import partial
from pathlib import Path
from unicodedata import normalize

import pytest
from PIL import Image

from conftest import Run
from made_up_data import STRANGE, write_album
from minixception.commands.picture_paths import find_files, output_paths
from minixception.commands.picture_report import FEW_PICTURES
from own_process import SOURCE, started
from stored_files import contents, read_rows
from systems import needs_kill, needs_links

SCRIPT = SOURCE / "image_emotion_gender_demo.py"


@pytest.fixture
def image(model_options: list[str], here: Path, run: Run) -> Run:
    """Return a function that runs the command, which must end with code 1 if no other is given."""
    return partial(run, "image", *model_options, code=1)


@pytest.fixture(scope="module")
def album(portraits: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of 24 pictures in two sub-folders, three of them unreadable."""
    folder = tmp_path_factory.mktemp("album")
    write_album(folder, Image.open(portraits).convert("RGB").reduce(2), 21)
    return folder


def names_in(folder: Path) -> list[str]:
    return sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    )


# Which pictures


def touch(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()


def test_folder_is_searched_with_all_below_it(here: Path) -> None:
    touch("p/b.JPG", "p/a.png", "p/sub/deep/c.webp", "p/notes.txt", "p/.hidden.png", "p/.git/x.png")
    touch("p/b.jpg.txt", "p/Thumbs.db", "p/a/z.tif", "q.gif")
    found = find_files([Path("p"), Path("q.gif"), Path("p/a.png")])
    places = [path.as_posix() for path in found.places]
    assert places == ["p/a/z.tif", "p/a.png", "p/b.JPG", "p/sub/deep/c.webp", "q.gif"]
    assert found.places[Path("p/sub/deep/c.webp")] == Path("sub/deep")
    assert (found.left_out, found.empty, found.failures) == ([], [], [])


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.png", {"b.png": "."}),
        ("**/*.png", {"b.png": ".", "p/a.png": "p", "p/s/c.png": "p/s"}),
        ("p/**/*", {"p/a.png": ".", "p/s/c.png": "s", "p/s/d[1].jpg": "s"}),
        ("*/s/**", {"p/s/c.png": "p/s", "p/s/d[1].jpg": "p/s"}),
        ("**/s/**/?.*", {"p/s/c.png": "p/s"}),
        ("p/s/[cd]*", {"p/s/c.png": ".", "p/s/d[1].jpg": "."}),
        ("p/s/d[1].jpg", {"p/s/d[1].jpg": "."}),
        ("?", {}),
    ],
)
def test_patterns(here: Path, pattern: str, expected: dict[str, str]) -> None:
    touch("b.png", "p/a.png", "p/s/c.png", "p/s/d[1].jpg", "p/s/stray.txt", "p/.h/x.png")
    found = find_files([Path(pattern)])
    assert {path.as_posix(): place.as_posix() for path, place in found.places.items()} == expected
    assert len(found.empty) == (not expected)
    assert found.others == ([Path("p/s/stray.txt")] if pattern in ("p/**/*", "*/s/**") else [])


@needs_links
def test_a_pattern_follows_no_links_to_folders(here: Path) -> None:
    touch("p/a.png", "p/s/b.png")
    Path("p/loop").symlink_to(".")
    Path("p/twice").symlink_to("s")
    found = find_files([Path("p/**/*.png")])
    assert list(found.places) == [Path("p/a.png"), Path("p/s/b.png")]
    assert sorted(found.links) == [Path("p/loop"), Path("p/twice")]
    assert list(find_files([Path("p/*/b.png")]).places) == [
        Path("p/s/b.png"),
        Path("p/twice/b.png"),
    ]


def test_what_an_earlier_run_has_drawn_is_left_out(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(
        "a.jpg", "a_faces.jpg", "a_faces_2.png", "b_faces.png", "out/s/a_faces.png", "out/own.png"
    )
    found = find_files([Path()], output=Path("out"))
    assert [str(path) for path in found.places] == ["a.jpg", "b_faces.png"]
    assert len(found.left_out) == 4
    assert list(find_files([Path("out")], output=Path("out")).places) == [
        Path("out/own.png"),
        Path("out/s/a_faces.png"),
    ]
    assert list(find_files([Path("a_faces.jpg")]).places) == [Path("a_faces.jpg")]
    # Drawn into a folder of the one that is searched.
    touch("p/a.jpg", "p/s/c.jpg", "p/b/own_faces.png", "p/b/a_faces.jpg", "p/b/s/c_faces.jpg")
    monkeypatch.chdir("p/b")
    found = find_files([Path("..")])
    assert sorted(map(str, found.left_out)) == ["../b/a_faces.jpg", "../b/s/c_faces.jpg"]


def test_no_drawn_picture_takes_the_place_of_another_or_of_one_to_read(here: Path) -> None:
    touch("a/face.jpg", "b/face.jpg", "out/face_faces.jpg")
    pictures = list(map(Path, ("a/face.jpg", "b/face.jpg", "out/face_faces.jpg")))
    outputs = output_paths(find_files(pictures).places, Path("out"))
    drawn = [path.as_posix() for path in outputs.values()]
    names = ("face_faces_2.jpg", "face_faces_3.jpg", "face_faces_faces.jpg")
    assert drawn == [f"out/{name}" for name in names]


def test_names_that_some_file_systems_take_for_one_are_kept_apart(here: Path) -> None:
    """Those of Windows and macOS disregard case, those of macOS also how accents are written."""
    names = ("\u00e9", "\u00c9", "e\u0301")
    places = {Path(str(number), f"{name}.jpg"): Path() for number, name in enumerate(names)}
    drawn = [normalize("NFC", path.name).casefold() for path in output_paths(places, here).values()]
    assert drawn == ["\u00e9_faces.jpg", "\u00e9_faces_2.jpg", "\u00e9_faces_3.jpg"]


def test_drawn_pictures_keep_their_folder(here: Path) -> None:
    touch("p/a.png", "p/s/a.png", "p/s/a.jpg", "q/s/a.png")
    outputs = output_paths(find_files([Path("p"), Path("q")]).places, Path("out"))
    assert {path.as_posix(): drawn.as_posix() for path, drawn in outputs.items()} == {
        "p/a.png": "out/a_faces.png",
        "p/s/a.jpg": "out/s/a_faces.jpg",
        "p/s/a.png": "out/s/a_faces.png",
        "q/s/a.png": "out/s/a_faces_2.png",
    }


# The whole command


def test_number_of_workers_changes_nothing(image: Run, album: Path, here: Path) -> None:
    tables = ("--csv", "f.csv", "--jsonl", "f.jsonl", "--json", "f.json")
    shutil.copytree(album, here / "album")
    written, printed = [], []
    for workers in ("1", "4"):
        done = image("album", *tables, "--output", f"out{workers}", "--workers", workers)
        assert f"drawn pictures: 21 in out{workers}\n" in done.stdout
        messages = re.sub(r"picture \d.*\n", "", done.stderr)  # progress, on a slow machine
        printed.append((done.stdout.replace(f"out{workers}", "out"), messages))
        names = ("f.csv", "f.jsonl", "f.json")
        written.append([(here / name).read_bytes() for name in names])
    assert written[0] == written[1]
    assert printed[0] == printed[1]
    drawn = names_in(here / "out1")
    assert len(drawn) == 21
    assert "b/01_faces.png" in drawn
    for name in drawn:
        assert (here / "out1" / name).read_bytes() == (here / "out4" / name).read_bytes()
    assert not list(here.glob(".*.part"))
    check_tables(here, printed[0])


def check_tables(here: Path, printed: tuple[str, str]) -> None:
    rows = read_rows(here / "f.csv")
    pictures = list(dict.fromkeys(row["picture"] for row in rows))
    assert pictures == sorted(pictures)
    assert len(pictures) == 24
    errors = [row for row in rows if row["error"]]
    assert [row["faces"] for row in errors] == ["0"] * 3
    names = [Path(row["picture"]).name for row in errors]
    assert names == ["broken.jpg", STRANGE, "empty.png"]
    assert any(row["faces"] == "0" and not row["error"] for row in rows)
    faces = [row for row in rows if row["x"]]
    lines = [json.loads(line) for line in (here / "f.jsonl").read_text("utf-8").splitlines()]
    assert [line["picture"] for line in lines] == [row["picture"] for row in rows]
    content = json.loads((here / "f.json").read_text("utf-8"))
    assert sum(map(len, content.values())) == len(faces) > 20
    assert list(content) == [path for path in pictures if Path(path).name[0].isdigit()]
    assert f"{len(faces)} faces in 24 pictures" in printed[0]
    assert "3 of 24 pictures failed." in printed[1]
    for row in errors:
        assert " ".join(row["error"].split()) in " ".join(printed[1].split())


def test_few_pictures_are_told_of_in_order(image: Run, album: Path, here: Path) -> None:
    done = image(album / "a", "--no-draw", "--workers", "3")
    told = [line.split(": ")[0] for line in done.stdout.splitlines() if line.startswith("/")]
    assert told == [str(album / "a" / f"{number:02}.png") for number in range(0, 21, 2)]
    assert len(told) < FEW_PICTURES
    assert done.stderr.startswith("not done: ")
    assert "broken.jpg must be a picture in one of the formats" in done.stderr
    assert done.stderr.endswith("1 of 12 pictures failed.\n")
    assert names_in(here) == []


def test_the_current_folder_can_be_done_again(image: Run, album: Path, here: Path) -> None:
    shutil.copytree(album / "a", here / "a")
    assert image(".", "--csv", "f.csv").stderr.startswith("not done: ")
    before, names = (here / "f.csv").read_bytes(), names_in(here)
    assert "a/02_faces.png" in names
    said = image(".", "--csv", "f.csv").stderr
    assert "left out as results of an earlier run: 11 pictures" in said
    assert (here / "f.csv").read_bytes() == before
    assert names_in(here) == names


def test_parquet(image: Run, album: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pyarrow")
    pandas = pytest.importorskip("pandas")
    monkeypatch.setattr("minixception.inference.tables._ROWS_OF_A_GROUP", 5)
    image(album / "b", "--no-draw", "--parquet", "f.parquet", "--csv", "f.csv")
    frame, rows = pandas.read_parquet("f.parquet"), read_rows(Path("f.csv"))
    assert len(rows) > 10  # several groups
    assert list(frame.columns) == list(rows[0])
    assert list(frame["picture"]) == [row["picture"] for row in rows]
    assert list(frame["gender_man"].dropna()) == [float(r["gender_man"]) for r in rows if r["x"]]
    assert str(frame["x"].dtype) == "Int64"
    assert str(frame["gender_man"].dtype) == "float64"
    assert frame["error"].count() == 2
    assert not list(Path().glob(".*.part"))


def wait_for_rows(process: subprocess.Popen[str], part: Path, rows: int) -> None:
    """Wait until the part has so many lines."""
    end = time.monotonic() + 60
    while not part.exists() or part.read_bytes().count(b"\n") < rows:
        assert process.poll() is None, "the job ended too early"
        assert time.monotonic() < end
        time.sleep(0.002)


@needs_kill
def test_killed_jobs_go_on(
    model_options: list[str],
    image: Run,
    album: Path,
    here: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    root = tmp_path_factory.mktemp("whole")
    for copy in range(4):
        shutil.copytree(album, root / "album" / str(copy))
    options = (str(root / "album"), "--no-draw", "--jsonl", "f.jsonl", "--csv", "f.csv")
    image(*options)
    expected = contents(here)
    for name in expected:
        (here / name).unlink()
    part, job = here / ".f.csv.part", (SCRIPT, *model_options, *options, "--workers=2")
    with started(*job) as process:
        wait_for_rows(process, part, 12)
    assert process.returncode == -signal.SIGKILL
    assert "pictures of an interrupted job: add --resume" in image(*options).stderr
    begun = part.read_bytes()
    others = ["--min-face=80", "--gender-model=utkface_mini_xception", "--detector=haar"]
    for other in ([*others, "--no-upright"], ["--whole-picture"]):
        said = image(*options, "--resume", *other).stderr
        assert "started with other options: " in said
        for option in other:
            assert f"{option.split('=')[0].replace('no-', '')} was" in said
    assert part.read_bytes() == begun
    with started(*job, "--resume") as process:
        wait_for_rows(process, part, begun.count(b"\n") + 12)
        process.terminate()
        assert "add --resume to continue" in process.communicate(timeout=60)[1]
        assert process.returncode == 128 + signal.SIGTERM
    done = image(*options, "--workers=2", "--resume")
    assert done.stdout.startswith("continuing after ")
    assert "12 of 96 pictures failed." in done.stderr
    assert contents(here) == expected
