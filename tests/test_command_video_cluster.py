"""Films in parts: the same tables as in one pass, whoever does which part when."""

import errno
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest

from conftest import Run
from made_up_films import blank, encode, portrait
from minixception.cluster import films as parts
from minixception.commands import video_cluster
from stored_files import file_size_limit
from systems import for_test_cluster, needs_links

pytestmark = for_test_cluster

OPTIONS = ("--gender-model", "none", "--min-face", 48, "--no-window")


def write_film(
    path: Path, codec: str = "libx264", *, seconds: int, rate: int = 8, **context: Any
) -> Path:
    """Write a film of two faces, one of which moves to and fro, and goes away now and then."""
    face = portrait()

    def draw(number: int) -> np.ndarray:
        image = np.full((140, 420, 3), 200, np.uint8)
        image[10:130, 290:410] = face
        x = round(10 + 80 * (1 + np.sin(number / rate)))
        if number // rate % 9 != 8:
            image[10:130, x : x + 120] = face
        return image

    size, frames = (420, 140), seconds * rate
    options = {"size": size, "rate": Fraction(rate), "frames": frames, "gop_size": 27, **context}
    return encode(path, codec, draw=draw, **options)


def said_of(film: Path, messages: str) -> str:
    """Return what was said of a film, without how far the work was, which a slow machine tells."""
    return "\n".join(line for line in messages.splitlines() if line.startswith(str(film)))


@pytest.fixture
def video(run: Run) -> Run:
    return partial(run, "video", *OPTIONS)


@pytest.fixture
def no_ray(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Do parts in this process, in any order; return those that were done."""
    done: list[Any] = []

    def work_through(
        make_worker: Callable[[], Callable[[Any], Any]], items: Sequence[Any], **_: Any
    ) -> Iterator[Any]:
        worker = make_worker()
        for item in random.Random(0).sample(items, len(items)):
            done.append(item)
            yield worker(item)

    monkeypatch.setattr(video_cluster, "work_through", work_through)
    monkeypatch.setattr(video_cluster, "connected", lambda *_, **__: nullcontext())
    monkeypatch.setattr(video_cluster, "require", lambda *_, **__: None)
    return done


@pytest.mark.parametrize(
    ("name", "codec", "context"),
    [
        ("a.mp4", "libx264", {}),
        ("a.mkv", "libx264", {"options": {"x264-params": "interlaced=1:tff=1"}}),
        ("a.avi", "mpeg4", {}),  # which is one part
    ],
)
def test_parts_make_the_table_of_one_pass(
    name: str, codec: str, context: dict[str, Any], no_ray: list[Any], tmp_path: Path, video: Run
) -> None:
    seconds, whole = 11 if name == "a.avi" else 23, tmp_path / "whole.csv"
    film = write_film(tmp_path / name, codec, seconds=seconds, **context)
    if name == "a.mp4":  # damage is counted once, wherever it lies
        middle = film.stat().st_size // 2
        blank(film, middle, middle + 600)
    said = said_of(film, video(film, "--csv", whole).stderr)
    assert ("is damaged" in said, "deinterlaced" in said) == (name == "a.mp4", name == "a.mkv")
    done = video(film, "--cluster", "local", "--csv", tmp_path / "out")
    assert (tmp_path / "out" / "a.csv").read_bytes() == whole.read_bytes()
    assert len(no_ray) == (1 if name == "a.avi" else 3)
    assert said_of(film, done.stderr) == said
    assert len(whole.read_text().splitlines()) > 8 * seconds


@needs_links
def test_a_folder_of_films(no_ray: list[Any], tmp_path: Path, video: Run) -> None:
    films, tables = tmp_path / "films", tmp_path / "out"
    (films / "sub").mkdir(parents=True)
    write_film(films / "a.mp4", seconds=2)
    write_film(films / "sub" / "a.ts", seconds=2)
    whole = (films / "a.mp4").read_bytes()
    (films / "bad.mp4").write_text("hello")
    (films / "empty.mov").write_bytes(whole.replace(b"stsd", b"xxxx"))
    (films / "notes.txt").touch()
    (films / "again").symlink_to(films / "sub", target_is_directory=True)
    job = partial(video, "--cluster", "local", "--csv", tables, code=1)
    said = job(films).stderr
    assert {path.name for path in tables.rglob("*.csv")} == {"a.csv"}
    assert (tables / "sub" / "a.csv").read_bytes() == (tables / "a.csv").read_bytes()
    assert f"not done: {films / 'bad.mp4'} is not a video" in said
    assert f"not done: {films / 'empty.mov'}" in said
    assert "2 of 4 videos could not be done" in said
    assert "left out, not videos: .txt 1" in said
    assert "left out as links to folders: 1" in said
    (tables / "sub" / "a.csv").unlink()
    (tables / "a.csv").write_text("old")
    no_ray.clear()
    assert "add --resume" in job(films).stderr
    said = job(films, "--resume", "--detect-every", 3).stderr
    assert "--detect-every was 4, now 3" in said
    assert "continuing after 1 of 4 videos" in job(films, "--resume").stdout
    assert {part.film for part in no_ray} == {str(films / "sub" / "a.ts")}
    assert (tables / "a.csv").read_text() == "old"
    assert not [path for path in tables.rglob(".*") if path.is_dir()]
    write_film(films / "a.avi", "mpeg4", seconds=2)  # its table would be that of a.mp4
    said = job(films, "--resume").stderr
    assert f"{tables / 'a.csv'} is of {films / 'a.mp4'}, and now" in said
    (films / "a.avi").unlink()
    said = job(films.rename(tmp_path / "others"), "--resume").stderr
    assert f"FILE was {films}, now" in said


def test_what_stops_a_job_leaves_old_tables_and_goes_on(
    no_ray: list[Any], tmp_path: Path, video: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    film, table = write_film(tmp_path / "a.mp4", seconds=2), tmp_path / "out" / "a.csv"
    table.parent.mkdir()
    table.write_text("old")
    job = partial(video, film, "--cluster", "local", "--csv", table.parent, code=1)
    with file_size_limit(3000):
        assert str(table) in job().stderr
    lost_disk = OSError(errno.EIO, "Input/output error", str(film))
    monkeypatch.setattr(parts, "_analyze_part", Mock(side_effect=lost_disk))
    monkeypatch.setattr("minixception.files.PAUSES", ())
    options = table.parent / video_cluster.OPTIONS_FILE
    options.unlink()
    assert "this may be temporary; --resume continues" in job().stderr
    options.write_text("{")
    assert f"{options} is damaged" in job().stderr
    assert table.read_text() == "old"
    names = {path.name for path in table.parent.iterdir()}
    assert names <= {"a.csv", ".lock", options.name}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((".",), "--cluster needs --csv FOLDER"),
        ((".", "--csv", "out", "--plot", "a.png"), "--plot does not go with --cluster"),
        ((".", "--csv", "a.csv"), "--csv must be a folder"),
        ((".", "--csv", "out", "--detect-every", "0"), "--detect-every must be 1 or more"),
        ((".", "--csv", "out", "--smoothing", "-1"), "`smoothing_seconds` must be 0 or more"),
        ((".", "--csv", "out"), "no video found"),
        (("http://127.0.0.1/a.mp4", "--csv", "out"), "takes a folder of videos"),
    ],
)
def test_options_for_a_cluster(
    arguments: tuple[str, ...], message: str, no_ray: list[Any], here: Path, video: Run
) -> None:
    assert message in video(*arguments, "--cluster", "local", code=1).stderr
    assert "--resume needs --cluster" in video("a.mp4", "--resume", code=1).stderr
    assert list(here.iterdir()) == []
