"""Where a case of bad input takes place, what it is, and what the commands are called with."""

import json
import os
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from made_up_data import write_film

LONG = "x" * 300
TEXT = b"hello " * 300
PIPE = "a pipe or device"


@dataclass(frozen=True)
class Place:
    """The folder of a test, which is the current one, and whole files to break."""

    folder: Path
    emotion: Path
    gender: Path
    picture: bytes

    def write(self, name: str, content: str | bytes) -> str:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return name

    def checkpoint(self, name: str = "model", **contents: bytes | None) -> str:
        """Copy the emotion checkpoint, some of its files replaced; None leaves one out."""
        shutil.copytree(self.emotion, self.folder / name)
        for file, content in contents.items():
            path = self.folder / name / {"card": "card.json"}.get(file, f"model.{file}")
            path.unlink()
            if content is not None:
                path.write_bytes(content)
        return name

    def card(self, change: Callable[[dict[str, Any]], object]) -> str:
        card = json.loads((self.emotion / "card.json").read_text())
        change(card)
        return self.checkpoint(card=json.dumps(card).encode())

    def keras(self, **changes: bytes | None) -> str:
        """Copy the emotion model, some members of its archive replaced; None leaves one out."""
        with zipfile.ZipFile(self.emotion / "model.keras") as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        with zipfile.ZipFile("broken.keras", "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in {**members, **changes}.items():
                if content is not None:
                    archive.writestr(name, content)
        return "broken.keras"

    def layer(self, **changes: Any) -> str:
        """Copy the emotion model, its second layer changed."""
        with zipfile.ZipFile(self.emotion / "model.keras") as archive:
            config = json.loads(archive.read("config.json"))
        config["config"]["layers"][1].update(changes)
        return self.keras(**{"config.json": json.dumps(config).encode()})


Arguments = Callable[[Place], list[str]]


@dataclass(frozen=True)
class Case:
    """What is given to which command, and a part of what it says.

    `forbidden` is a file or folder that the user may not read or write.
    """

    kind: str
    given: str
    command: str
    arguments: Arguments
    said: str
    code: int = 1
    forbidden: str = ""


def picture(make: Callable[[Place], str]) -> Arguments:
    return lambda place: [make(place), "--no-draw", *models(place)]


def models(place: Place, **changes: str) -> list[str]:
    folders = {"emotion": str(place.emotion), "gender": str(place.gender), **changes}
    return [f"--{task}-model={folder}" for task, folder in folders.items()]


def image_options(*options: str) -> Arguments:
    return lambda place: [place.write("a.jpg", place.picture), *models(place), *options]


def model(make: Callable[[Place], str]) -> Arguments:
    return lambda place: [
        *[place.write("a.jpg", place.picture), "--no-draw"],
        *models(place, emotion=make(place)),
    ]


def film(make: Callable[[Place], str], *options: str) -> Arguments:
    return lambda place: [
        *["--input", make(place), "--no-window", "--csv", "out.csv", *models(place), *options]
    ]


def film_options(*options: str) -> Arguments:
    return film(clip, *options)


def clip(place: Place) -> str:
    write_film(Path("clip.avi"), [np.full((64, 64, 3), 99, np.uint8)] * 3)
    return "clip.avi"


def scored(
    dataset: str, make: Callable[[Place], str], *options: str, task: str = "emotion"
) -> Arguments:
    return lambda place: [
        *["--model", str(getattr(place, task)), "--engine", "litert", "--output", "scores.json"],
        *["--dataset", dataset, "--data", make(place), *options],
    ]


def table(place: Place, change: Callable[[str], str | bytes] = lambda text: text) -> str:
    """Write a small fer2013.csv, changed."""
    pixels = " ".join(["7"] * 2304)
    usages = ["Training"] * 7 + ["PublicTest"] * 7 + ["PrivateTest"]
    rows = [f"{number % 7},{pixels},{usage}" for number, usage in enumerate(usages)]
    return place.write("faces.csv", change("\n".join(["emotion,pixels,Usage", *rows]) + "\n"))


def training(*options: str) -> Arguments:
    return lambda place: (
        ["--data", table(place), "--output", "run", "--network", "simple_cnn"]
        + [*["--image-size", "16", "--batch-size", "8", "--epochs", "1", *options]]
    )


def converted(make: Callable[[Place], str]) -> Arguments:
    return lambda place: [make(place), "--task", "emotion", "--output", "converted"]


def explained(*options: str) -> Arguments:
    return lambda p: [p.write("a.jpg", p.picture), "--model", str(p.emotion), *options]


def reported(*options: str) -> Arguments:
    def arguments(place: Place) -> list[str]:
        place.write("a.jpg", place.picture)
        return list(options)

    return arguments


def exported(*options: str) -> Arguments:
    return lambda place: [str(place.emotion), *options]


def pipe(name: str) -> str:
    os.mkfifo(name)
    return name


def loop(name: str) -> str:
    Path(name).symlink_to(name)
    return name


def content(data: bytes, name: str = "a.jpg") -> Callable[[Place], str]:
    return lambda place: place.write(name, data)
