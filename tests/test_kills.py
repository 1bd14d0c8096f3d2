"""Jobs that are killed at random moments: what they leave is valid, and going on gives the same.

`make fuzz` kills often; the usual test run kills each kind of job once. Training has a kill of its
own in test_commands_training.py, folders of pictures one in test_command_image_folders.py.
"""

import json
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from conftest import Run
from made_up_data import fer2013_csv, write_film
from minixception.checkpoints.shipped import DEFAULT_EMOTION_MODEL
from minixception.images import read_image, write_image
from own_process import SOURCE
from systems import needs_kill

OFTEN = "MINIXCEPTION_FUZZ_CASES" in os.environ

pytestmark = needs_kill


def start(script: str, *arguments: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, str(SOURCE / script), *map(str, arguments)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def kill_after(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Kill the process after some time; return whether it was still running."""
    try:
        return process.wait(seconds) < 0
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait() < 0


def start_writing(folder: Path, script: str, *arguments: object) -> subprocess.Popen[bytes]:
    """Start a job, and wait until it writes beside the files of this folder, or has ended."""
    process = start(script, *arguments)
    while not list(folder.glob(".writing-*/*")) and process.poll() is None:
        time.sleep(0.01)
    return process


def faces_csv(path: Path) -> Path:
    path.write_text(fer2013_csv({"Training": 35, "PublicTest": 14, "PrivateTest": 7}))
    return path


def test_a_killed_evaluation_leaves_nothing_or_the_whole(tmp_path: Path, run: Run) -> None:
    data, folder = faces_csv(tmp_path / "faces.csv"), tmp_path / "scores"
    options = [
        *["--model", DEFAULT_EMOTION_MODEL, "--engine", "litert", "--data", str(data)],
        *["--output", str(folder / "scores.json")],
    ]
    run("evaluate", *options)
    expected = json.loads((folder / "scores.json").read_text())
    dice = random.Random(1)
    for _ in range(30 if OFTEN else 1):
        shutil.rmtree(folder, ignore_errors=True)  # may not have been made
        process = start_writing(folder, "evaluate_classifier.py", *options)
        kill_after(process, dice.uniform(0, 0.5))
        if (folder / "scores.json").exists():
            assert json.loads((folder / "scores.json").read_text()) == expected
        if (folder / "scores.png").exists():
            assert read_image(folder / "scores.png").size > 0
    run("evaluate", *options)
    assert json.loads((folder / "scores.json").read_text()) == expected


def test_a_killed_film_leaves_what_was_there_and_a_second_run_gives_all(
    tmp_path: Path, portraits: Path, run: Run
) -> None:
    film, table, drawn = (tmp_path / name for name in ("film.avi", "faces.csv", "o.avi"))
    picture = read_image(portraits)[::2, ::2]
    write_film(film, (np.roll(picture, 2 * number, axis=1) for number in range(40)))
    script = "video_emotion_gender_demo.py"
    options = ["--input", film, "--no-window", "--csv", table, "--output", drawn]
    run("video", *options)
    expected = table.read_bytes(), drawn.read_bytes()
    neighbour = tmp_path / ".o.more.avi"  # of somebody else
    neighbour.touch()
    dice = random.Random(2)
    for _ in range(15 if OFTEN else 1):
        table.write_bytes(b"old")
        drawn.write_bytes(b"old")
        process = start_writing(tmp_path, script, *options)
        assert process.poll() is None
        if kill_after(process, dice.uniform(0, 1)):
            assert table.read_bytes() in (b"old", expected[0])
            assert drawn.read_bytes() in (b"old", expected[1])
    assert start(script, *options).wait() == 0
    assert (table.read_bytes(), drawn.read_bytes()) == expected
    assert set(tmp_path.iterdir()) == {film, table, drawn, neighbour}


@pytest.mark.skipif(not OFTEN, reason="`make fuzz` kills a folder of pictures many times")
def test_a_folder_job_killed_again_and_again(tmp_path: Path, portraits: Path) -> None:
    album, picture = tmp_path / "album", read_image(portraits)
    for number in range(60):
        write_image(album / f"{number:02d}.jpg", np.roll(picture, 9 * number, axis=1))

    def options(name: str) -> list[object]:
        tables = [f"--{form}={tmp_path / name / f'faces.{form}'}" for form in ("csv", "json")]
        return [album, "--output", tmp_path / name / "drawn", *tables]

    script, dice = "image_emotion_gender_demo.py", random.Random(3)
    assert start(script, *options("whole")).wait() == 0
    while kill_after(start(script, *options("killed"), "--resume"), dice.uniform(0.5, 3)):
        assert not (tmp_path / "killed" / "faces.csv").exists()
    for file in (tmp_path / "whole").rglob("*.*"):
        other = tmp_path / "killed" / file.relative_to(tmp_path / "whole")
        assert file.read_bytes() == other.read_bytes()
    assert [*(tmp_path / "killed").rglob(".*")] == []


@pytest.mark.skipif(not OFTEN, reason="`make fuzz` kills a training run many times")
def test_a_training_run_killed_again_and_again(tmp_path: Path) -> None:
    data = faces_csv(tmp_path / "faces.csv")

    def options(folder: Path) -> list[object]:
        numbers = {"--image-size": 16, "--epochs": 8, "--batch-size": 4, "--seed": 3}
        return [
            *["--data", data, "--output", folder, "--network", "lenet5_rgb", "--recipe", "paper"],
            *["--channels", "3", "--keep-improvements"],
            *[str(part) for option in numbers.items() for part in option],
        ]

    script, dice = "train_emotion_classifier.py", random.Random(4)
    began = time.monotonic()
    assert start(script, *options(tmp_path / "whole" / "run")).wait() == 0
    duration = time.monotonic() - began
    killed = tmp_path / "killed" / "run"
    for _ in range(12):
        if not kill_after(
            start(script, *options(killed), "--resume"), duration * dice.uniform(0.4, 1)
        ):
            break
        for name in ("card.json", "history.csv"):
            assert not (killed / name).exists() or (killed / name).stat().st_size
    assert start(script, *options(killed), "--resume").wait() == 0
    for name in ("history.csv", "card.json"):
        found = (killed / name).read_text().replace(str(killed), "").replace(" --resume", "")
        expected = (tmp_path / "whole" / "run" / name).read_text()
        assert found == expected.replace(str(tmp_path / "whole" / "run"), "")
    assert [*killed.glob(".*")] == []
