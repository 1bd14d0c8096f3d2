"""Whatever is broken, missing or contradictory: one message, an exit code, nothing half-written.

The table in docs/robustness.md is this one; a test compares the two.
"""

import gzip
import importlib
import io
import json
import os
import shutil
import stat
import struct
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from minixception.commands import run_command
from minixception.paths import DEFAULT_EMOTION_MODEL, DEFAULT_GENDER_MODEL, find_model

DOCUMENT = Path(__file__).parents[1] / "docs" / "robustness.md"
LONG = "x" * 300


@dataclass(frozen=True)
class Place:
    """The folder of a test, which is the current one, and whole files to break."""

    folder: Path
    emotion: Path
    gender: Path
    picture: bytes

    def write(self, name: str, content: bytes) -> str:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
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

    def keras(self, change: Callable[[dict[str, bytes]], object]) -> str:
        """Copy the emotion model, the members of its archive changed."""
        with zipfile.ZipFile(self.emotion / "model.keras") as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        change(members)
        with zipfile.ZipFile("broken.keras", "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members.items():
                archive.writestr(name, content)
        return "broken.keras"

    def layer(self, **changes: Any) -> str:
        """Copy the emotion model, its second layer changed."""

        def change(members: dict[str, bytes]) -> None:
            config = json.loads(members["config.json"])
            config["config"]["layers"][1].update(changes)
            members["config.json"] = json.dumps(config).encode()

        return self.keras(change)


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch, portraits: Path) -> Iterator[Place]:
    # Not pytest's own folder: only its owner may look into that, see `without_permission`.
    with tempfile.TemporaryDirectory() as name, monkeypatch.context() as patch:
        patch.chdir(name)
        Path("folder").mkdir()
        os.mkfifo("pipe")
        emotion, gender = find_model(DEFAULT_EMOTION_MODEL), find_model(DEFAULT_GENDER_MODEL)
        yield Place(Path(name), emotion, gender, portraits.read_bytes())


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


# -- what commands are called with


def picture(make: Callable[[Place], str]) -> Arguments:
    return lambda place: [make(place), "--no-draw", *models(place)]


def models(place: Place, **changes: str) -> list[str]:
    folders = {"emotion": str(place.emotion), "gender": str(place.gender), **changes}
    return [f"--{task}-model={folder}" for task, folder in folders.items()]


def image_options(*options: str) -> Arguments:
    return lambda place: [place.write("a.jpg", place.picture), *models(place), *options]


def model(make: Callable[[Place], str]) -> Arguments:
    def arguments(place: Place) -> list[str]:
        picture_file = place.write("a.jpg", place.picture)
        return [picture_file, "--no-draw", *models(place, emotion=make(place))]

    return arguments


def film(make: Callable[[Place], str], *options: str) -> Arguments:
    return lambda place: [
        *["--input", make(place), "--no-window", "--csv", "out.csv", *models(place)],
        *options,
    ]


def film_options(*options: str) -> Arguments:
    return film(clip, *options)


def clip(place: Place) -> str:
    from minixception.videos import Frame, VideoWriter

    with VideoWriter("clip.avi", rate=10) as writer:
        for number in range(3):
            writer.write(Frame(number, number / 10, np.full((64, 64, 3), 99, np.uint8)))
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
    content = change("\n".join(["emotion,pixels,Usage", *rows]) + "\n")
    return place.write("faces.csv", content.encode() if isinstance(content, str) else content)


def csv(change: Callable[[str], str | bytes]) -> Arguments:
    return scored("fer2013", lambda place: table(place, change))


def first_row(old: str, new: str) -> Arguments:
    return csv(lambda text: text.replace(old, new, 1))


def mat(**changes: Any) -> Arguments:
    """Write imdb.mat beside a picture a.jpg, fields changed; None leaves one out."""

    def make(place: Place) -> str:
        place.write("imdb/a.jpg", place.picture)
        fields = {
            "full_path": np.array(["a.jpg"] * 3, dtype=object),
            "gender": np.zeros(3),
            "face_score": np.full(3, 5.0),
            "second_face_score": np.full(3, np.nan),
            "dob": np.full(3, 7e5),
            "photo_taken": np.full(3, 2000.0),
            **changes,
        }
        kept = {name: value for name, value in fields.items() if value is not None}
        savemat("imdb/imdb.mat", {"imdb": kept})
        return "imdb/imdb.mat"

    return scored("imdb", make, task="gender")


def archive(name: str, content: bytes, *, size: int | None = None, kind: bytes = b"0") -> Arguments:
    """Write a tar archive with one member that may lie about its size."""

    def make(place: Place) -> str:
        member = tarfile.TarInfo(name)
        member.size, member.type, member.linkname = size or len(content), kind, "/etc/hostname"
        padding = b"\0" * (-len(content) % 512 + 1024)
        return place.write("faces.tar", member.tobuf() + content + padding)

    return scored("utkface", make, task="gender")


def training(*options: str) -> Arguments:
    return lambda place: (
        ["--data", table(place), "--output", "run", "--model", "simple_cnn"]
        + [*["--image-size", "16", "--batch-size", "8", "--epochs", "1", *options]]
    )


def converted(make: Callable[[Place], str]) -> Arguments:
    return lambda place: [make(place), "--task", "emotion", "--output", "converted"]


def exported(*options: str) -> Arguments:
    return lambda place: [str(place.emotion), *options]


# -- broken files


def png(width: int, height: int, *chunks: tuple[bytes, bytes], colours: int = 2) -> bytes:
    """Return a PNG that promises a size, with further chunks and few pixels, all 0."""
    header = struct.pack(">IIBBBBB", width, height, 8, colours, 0, 0, 0)
    parts = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(b"\0" * 72)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in parts
    )


def tiff(width: int, height: int, *entries: tuple[int, int]) -> bytes:
    """Return a grey TIFF that promises a size."""
    tags = [(256, width), (257, height), (258, 8), (259, 1), (262, 1), (277, 1), *entries]
    packed = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + packed + b"\0" * 200


def float_tiff(value: float) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.full((8, 8), value, np.float32)).save(stream, "TIFF")
    return stream.getvalue()


def gif(width: int, height: int) -> bytes:
    stream = io.BytesIO()
    Image.new("P", (4, 4)).save(stream, "GIF")
    return stream.getvalue()[:6] + struct.pack("<HH", width, height) + stream.getvalue()[10:]


def jpeg(width: int, height: int) -> bytes:
    stream = io.BytesIO()
    Image.new("L", (8, 8)).save(stream, "JPEG")
    content = bytearray(stream.getvalue())
    start = content.index(b"\xff\xc0") + 5
    content[start : start + 4] = struct.pack(">HH", height, width)
    return bytes(content)


def webp(width: int, height: int) -> bytes:
    size = struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    body = b"WEBPVP8X" + struct.pack("<I", 10) + b"\0" * 4 + size
    return b"RIFF" + struct.pack("<I", len(body) + 20) + body + b"\0" * 20


def bmp(width: int, height: int) -> bytes:
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 1000, 0, 0, 54) + header


def avi(frames: int, bits: int = 24) -> bytes:
    """Return a film of uncompressed 8x8 frames, the last line first, as Windows writes it."""

    def part(name: bytes, *contents: bytes) -> bytes:
        return name + struct.pack("<I", len(b"".join(contents))) + b"".join(contents)

    film = struct.pack("<10I16x", 100000, 0, 0, 16, frames, 0, 1, 0, 8, 8)
    stream = struct.pack("<8sIHHIIIIIIIIHHHH", b"vidsDIB ", *(0,) * 4, 1, 10, 0, frames, *(0,) * 7)
    form = struct.pack("<IiiHHIIiiII", 40, 8, 8, 1, bits, 0, 8 * bits, 0, 0, 0, 0)
    streams = part(b"LIST", b"strl", part(b"strh", stream), part(b"strf", form))
    head = part(b"LIST", b"hdrl", part(b"avih", film), streams)
    return part(
        b"RIFF", b"AVI ", head, part(b"LIST", b"movi", part(b"00db", b"a" * 8 * bits) * frames)
    )


def pipe(name: str) -> str:
    os.mkfifo(name)
    return name


def loop(name: str) -> str:
    Path(name).symlink_to(name)
    return name


def hdf5(change: Callable[[Any], object]) -> Callable[[Place], str]:
    """Write a small model as .hdf5, changed."""

    def make(place: Place) -> str:
        import h5py
        import keras

        given = keras.Input((8, 8, 1))
        keras.Model(given, keras.layers.Flatten()(given)).save("model.hdf5")
        with h5py.File("model.hdf5", "a") as content:
            change(content)
        return "model.hdf5"

    return make


def h5_link(content: Any) -> None:
    import h5py

    content["stolen"] = h5py.ExternalLink("/etc/secret.h5", "/data")


def h5_soft_link(content: Any) -> None:
    import h5py

    content["loop"] = h5py.SoftLink("/loop")


def h5_lambda(content: Any) -> None:
    config = content.attrs["model_config"].replace('"Flatten"', '"Lambda"')
    content.attrs["model_config"] = config


def h5_bomb(content: Any) -> None:
    content.create_dataset("zeros", (1 << 40,), "f4", chunks=(1 << 20,))


def h5_outside(content: Any) -> None:
    content.create_dataset("zeros", (8,), "f4", external=[("/etc/hostname", 0, 32)])


def bigger(members: dict[str, bytes]) -> None:
    members["model.weights.h5"] += b"\0" * (80 << 20)


def content(data: bytes, name: str = "a.jpg") -> Callable[[Place], str]:
    return lambda place: place.write(name, data)


def cut(share: float, file: str) -> Callable[[Place], bytes]:
    def part(place: Place) -> bytes:
        whole = (place.emotion / file).read_bytes()
        return whole[: int(share * len(whole))]

    return part


def preprocessor(**changes: Any) -> Callable[[Place], str]:
    return lambda place: place.card(lambda card: card["preprocessor"].update(changes))


def entry(**changes: Any) -> Callable[[Place], str]:
    return lambda place: place.card(lambda card: card.update(changes))


TEXT = b"hello " * 300
PIPE = "a pipe or device"
CARD = "model/card.json cannot be used"
NAMES = ["anger", *"abcdef"]
BOMB_TEXT = (b"zTXt", b"a\0\0" + zlib.compress(b"x" * (20 << 20)))

PICTURES = [
    Case("picture", given, "image", picture(make), said)
    for given, make, said in (
        ("missing", lambda _: "a.jpg", "a.jpg: No such file"),
        ("empty", content(b""), "a file of 0 bytes that is none of them"),
        ("text", content(TEXT), "must be a picture in one of the formats"),
        ("truncated", lambda p: p.write("a.jpg", p.picture[:9999]), "a complete picture"),
        ("a folder without pictures", lambda _: "folder", "folder: no picture found"),
        ("a pattern without matches", lambda _: "*.xyz", "no picture found"),
        ("a pipe", lambda _: pipe("a.jpg"), "a pipe or device"),
        ("a folder with a pipe in it", lambda _: str(Path(pipe("folder/a.jpg")).parent), PIPE),
        ("a link to itself", lambda _: loop("a.jpg"), "Too many levels of symbolic links"),
        ("a name of 300 characters", lambda _: f"{LONG}.jpg", "File name too long"),
        ("a name that is not there, not ASCII", lambda _: "é顔.jpg", "é顔.jpg: No such file"),
        ("PNG of 60000x60000", content(png(60000, 60000)), "at most 178956970 pixels"),
        ("PNG with a text of 20 MB", content(png(8, 8, BOMB_TEXT)), "Decompressed data too large"),
        ("JPEG of 65000x65000", content(jpeg(65000, 65000)), "at most 178956970 pixels"),
        ("GIF of 65535x65535", content(gif(65535, 65535)), "at most 178956970 pixels"),
        (
            "TIFF of 99999x99999",
            content(tiff(99999, 99999, (273, 8), (279, 99))),
            "at most 178956970 pixels",
        ),
        (
            "TIFF of 10x10 in a tile of 65520x65520",
            content(tiff(10, 10, (322, 65520), (323, 65520), (324, 8), (325, 100))),
            "a complete picture",
        ),
        ("WebP of 16383x16383", content(webp(16383, 16383)), "at most 178956970 pixels"),
        ("BMP of 99999x99999", content(bmp(99999, 99999)), "at most 178956970 pixels"),
        ("PPM of 99999x99999", content(b"P6 99999 99999 255\n"), "at most 178956970 pixels"),
        ("TIFF of NaN", content(float_tiff(float("nan"))), "32-bit pixels"),
        ("TIFF of infinity", content(float_tiff(float("inf"))), "32-bit pixels"),
        ("PNG without its palette", content(png(8, 8, colours=3)), "AssertionError"),
        ("broken, with a line break in its name", content(b"x", "a\nb.jpg"), "path='a b.jpg'"),
    )
]
EMPTY_NAME = Case(
    "picture", "an empty name", "image", picture(lambda _: ""), "an argument is empty", code=2
)

VIDEOS = [
    Case("video", given, "video", film(make), said)
    for given, make, said in (
        ("missing", lambda _: "a.mp4", "a.mp4: No such file"),
        ("empty", content(b"", "a.mp4"), "is no video"),
        ("text", content(TEXT, "a.mp4"), "is no video"),
        ("a list of files", content(b"ffconcat version 1.0\nfile /etc/hostname\n"), "is no video"),
        ("truncated", lambda p: p.write("a.avi", Path(clip(p)).read_bytes()[:99]), "is no video"),
        ("a folder", lambda _: "folder", "folder: Is a directory"),
        ("a pipe", lambda _: pipe("a.mp4"), "a.mp4 is a pipe"),
        ("a name of 300 characters", lambda _: f"{LONG}.mp4", "File name too long"),
        ("a camera that is not there", lambda _: "93", "camera 93 does not open"),
        ("a camera number of 30 digits", lambda _: "9" * 30, "999: No such file"),
        ("without frames", content(avi(0, bits=32), "a.avi"), "no frame of it can be decoded"),
        ("uncompressed, bottom up", content(avi(3), "a.avi"), "on which OpenCV crashes"),
        (
            "an address that does not answer",
            lambda _: "http://127.0.0.1:1/a.mp4",
            "a.mp4 does not open",
        ),
    )
]
NEW_FOLDER = Case(
    "video",
    "missing, and the table in a new folder",
    "video",
    film(lambda _: "a.mp4", "--csv", "new/deep/t.csv"),
    "a.mp4: No such file",
)

TABLES = [
    Case("CSV", given, "evaluate", arguments, said)
    for given, arguments, said in (
        ("missing", scored("fer2013", lambda _: "none.csv"), "There is no file none.csv"),
        ("empty", csv(lambda _: ""), "is empty"),
        ("header only", csv(lambda text: text.splitlines()[0]), "has a header and no rows"),
        ("binary", csv(lambda _: bytes(range(256)) * 9), "is not a CSV text file"),
        ("UTF-16", csv(lambda text: text.encode("utf-16")), "is not a CSV text file"),
        ("a folder", scored("fer2013", lambda _: "folder"), "must be a CSV file, not a folder"),
        ("a link to itself", scored("fer2013", lambda _: loop("a.csv")), "There is no file a.csv"),
        ("other columns", csv(lambda _: "a,b\n1,2\n"), "Missing: emotion, pixels, Usage"),
        ("truncated", csv(lambda text: text[:30000]), "fields expected. Received: 2 fields"),
        ("a row of three pixels", csv(lambda t: t + "1,7 7 7,Training\n"), "row 16 (line 17)"),
        ("a pixel that is a word", first_row(" 7", " x"), "row 1 (line 2): pixel 2"),
        ("a pixel that is NaN", first_row(",7", ",nan"), "Received: 'nan'"),
        ("a pixel of -5", first_row(" 7", " -5"), "Received: '-5'"),
        ("a pixel of 300", first_row(" 7", " 300"), "pixel 2 must be in 0..255"),
        ("a pixel of 1.5", first_row(" 7", " 1.5"), "Received: '1.5'"),
        ("an unknown label", first_row("0,7", "9,7"), "`emotion` must be in 0..6"),
        ("an unknown Usage", first_row("Training", "Test"), "`Usage` must be one of"),
        (
            "a row without end",
            csv(lambda _: "emotion,pixels,Usage\n" + "1 " * 10**6),
            "row 1 does not end",
        ),
        ("gzip, truncated", csv(lambda t: gzip.compress(t.encode())[:-9]), "truncated or damaged"),
        (
            "gzip that unpacks to 100 MB of one row",
            csv(lambda _: gzip.compress(b"emotion,pixels,Usage\n" + b"1" * (100 << 20), 1)),
            "row 1 does not end",
        ),
        (
            "no row of the split",
            csv(lambda text: text.replace("PublicTest", "Training")),
            "`split` must be one of Training, PrivateTest",
        ),
    )
]


def votes(change: Callable[[str], bytes]) -> Arguments:
    header = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,"

    def make(place: Place) -> str:
        usages = ["Training"] * 7 + ["PublicTest"] * 7 + ["PrivateTest"]
        rows = [f"{usage},a.png,9,1,0,0,0,0,0,0,0,0" for usage in usages]
        text = "\n".join([f"{header}unknown,NF", *rows]) + "\n"
        place.write("fer2013new.csv", change(text))
        return table(place)

    return scored("ferplus", make)


VOTES = [
    Case("votes CSV", given, "evaluate", votes(change), said)
    for given, change, said in (
        ("empty", lambda _: b"", "must have the columns"),
        ("binary", lambda _: bytes(range(256)), "is not a CSV text file"),
        ("truncated", lambda text: text.encode()[:-30], "row 15 (line 16)"),
        (
            "a field of 200,000 characters",
            lambda text: (text + "x" * 200000).encode(),
            "is not a CSV text file",
        ),
        (
            "a vote of thirty digits",
            lambda text: text.replace(",9", "," + "9" * 30).encode(),
            "row 1 (line 2): 10 votes, whole numbers of at least 0",
        ),
        ("no vote at all", lambda t: t.replace(",9,1", ",0,0").encode(), "no row with a majority"),
        (
            "a vote of -1",
            lambda text: text.replace(",9", ",-1", 1).encode(),
            "row 1 (line 2): 10 votes",
        ),
    )
]


def unreadable_picture(place: Place) -> str:
    place.write("set/happy/a.jpg", b"x")
    return "set"


def pipe_for_a_picture(place: Place) -> str:
    place.write("set/happy/b.txt", b"")
    pipe("set/happy/a.jpg")
    return "set"


def other_classes(place: Place) -> str:
    for name in "ab":
        for number in range(9):
            place.write(f"set/{name}/{number}.jpg", place.picture)
    return "set"


def named_folders(*names: str) -> Callable[[Place], str]:
    def make(place: Place) -> str:
        for name in names:
            place.write(f"set/{name}/a.jpg", place.picture)
        return "set"

    return make


FOLDERS = [
    Case("folder of classes", given, "evaluate", scored("folder", make), said)
    for given, make, said in (
        ("missing", lambda _: "none", "must be a folder of class folders. Received: none"),
        ("empty", lambda _: "folder", "must hold class folders with pictures"),
        ("a file", content(TEXT, "a.txt"), "must be a folder of class folders"),
        ("unreadable pictures", unreadable_picture, "none of them readable"),
        ("a pipe for a picture", pipe_for_a_picture, "must hold class folders with pictures"),
        ("two folders of one class", named_folders("happy", "Happiness"), "different things"),
        ("a class name with a line break", named_folders("a\nb"), "must be printable"),
        (
            "other classes than the model's",
            other_classes,
            "Choose a data set with the same classes",
        ),
    )
]

FACE_NAME = "21_0_2_2017.jpg"
ARCHIVES = [
    Case("archive (.tar)", given, "evaluate", arguments, said)
    for given, arguments, said in (
        ("missing", scored("utkface", lambda _: "a.tar", task="gender"), "nothing at a.tar"),
        ("empty", scored("utkface", content(b"", "a.tar"), task="gender"), "a whole tar archive"),
        ("text", scored("utkface", content(TEXT, "a.tar"), task="gender"), "a whole tar archive"),
        ("a pipe", scored("utkface", lambda _: pipe("a.tar"), task="gender"), "nothing at a.tar"),
        ("no face in it", archive("readme.txt", b"x"), "none of them such a picture"),
        ("a member of 50 GB", archive(FACE_NAME, b"", size=50 << 30), "unexpected end of data"),
        ("a JPEG of 65000x65000", archive(FACE_NAME, jpeg(65000, 65000)), "none of them such"),
        ("a link to a file outside", archive(FACE_NAME, b"", kind=b"2"), "Received: 0 files"),
    )
]

MATS = [
    Case(".mat", given, "evaluate", arguments, said)
    for given, arguments, said in (
        ("missing", scored("imdb", lambda _: "a.mat", task="gender"), "There is no file a.mat"),
        ("empty", scored("imdb", content(b"", "a.mat"), task="gender"), "is not a MATLAB file"),
        ("text", scored("imdb", content(TEXT, "a.mat"), task="gender"), "is not a MATLAB file"),
        ("a folder", scored("imdb", lambda _: "folder", task="gender"), "There is no file"),
        ("a missing field", mat(gender=None), "Missing: gender"),
        ("fields of two lengths", mat(gender=np.zeros(2)), "fields of one length"),
        ("words for genders", mat(gender=np.array(list("abc"), object)), "must hold numbers"),
        ("cells for scores", mat(face_score=np.array([[1], "x", 2], object)), "must hold numbers"),
        ("NaN for all scores", mat(face_score=np.full(3, np.nan)), "0 rows after filtering"),
        (
            "pictures outside its folder",
            mat(full_path=np.array(["../a.jpg", "/etc/a.jpg", LONG], object)),
            "3 rows after filtering, 0 files",
        ),
    )
]

CHECKPOINTS = [
    Case("checkpoint folder", given, "image", model(make), said)
    for given, make, said in (
        ("missing", lambda _: "nowhere", "neither a checkpoint folder nor a shipped"),
        ("empty", lambda _: "folder", "folder is no checkpoint: it has no card.json"),
        ("a file", content(TEXT, "a.txt"), "a.txt is neither a checkpoint folder"),
        ("of the other task", lambda p: str(p.gender), "must be a model of the task emotion"),
        ("card.json missing", lambda p: p.checkpoint(card=None), "it has no card.json"),
        ("card.json empty", lambda p: p.checkpoint(card=b""), CARD),
        ("card.json truncated", lambda p: p.checkpoint(card=cut(0.5, "card.json")(p)), CARD),
        ("card.json a list", lambda p: p.checkpoint(card=b"[]"), "it must hold one object"),
        ("card.json binary", lambda p: p.checkpoint(card=b"\xff\xfe\0"), CARD),
        ("card.json nested deeply", lambda p: p.checkpoint(card=b"[" * 10**5), CARD),
        ("card: preprocessor null", entry(preprocessor=None), "`preprocessor` must be an object"),
        ("card: metrics a number", entry(metrics=5), "`metrics` must be an object"),
        ("card: -1 parameters", entry(parameters=-1), "`parameters` must be at least 0"),
        ("card: unknown task", entry(task="age"), "`task` must be one of emotion, gender"),
        ("card: equal class names", entry(class_names=["a"] * 7), "must mean different things"),
        ("card: an empty class name", entry(class_names=["", *"abcdef"]), "must be printable"),
        (
            "card: a class name with a line break",
            entry(class_names=["a\nb", *"cdefgh"]),
            "must be printable",
        ),
        ("card: two classes of seven", entry(class_names=["a", "b"]), "do not belong together"),
        ("card: a margin of NaN", entry(crop_margin=float("nan")), "`margin` must have fractions"),
        ("card: a margin of 1e308", entry(crop_margin=1e308), "`margin` must have fractions"),
        ("card: images of 10^6 x 10^6", preprocessor(image_size=[10**6] * 2), "at most 2048 each"),
        ("card: images of 0x0", preprocessor(image_size=[0, 0]), "at least 1 and at most 2048"),
        ("card: three channels", preprocessor(channels=3), "Card and model disagree"),
        ("card: a range up to 1e308", preprocessor(value_range=[0, 1e308]), "numbers up to 1e+06"),
        ("card: an infinite range", preprocessor(value_range=[0, 1e999]), "finite numbers"),
        ("card: a mean of NaN", preprocessor(mean=[float("nan")]), "numbers from 0 to 255"),
        (".tflite missing", lambda p: p.checkpoint(tflite=None), "model.tflite does not exist"),
        (".tflite empty", lambda p: p.checkpoint(tflite=b""), "cannot be loaded by LiteRT"),
        (".tflite text", lambda p: p.checkpoint(tflite=TEXT), "cannot be loaded by LiteRT"),
        (
            ".tflite truncated",
            lambda p: p.checkpoint(tflite=cut(0.5, "model.tflite")(p)),
            "cannot be loaded by LiteRT",
        ),
        (
            ".tflite of another model",
            lambda p: p.checkpoint(tflite=(p.gender / "model.tflite").read_bytes()),
            "do not belong together",
        ),
    )
]


def outside(members: dict[str, bytes]) -> None:
    members["../../evil.txt"] = b"x"


def code_for_config(config: Mapping[str, Any]) -> Callable[[Place], str]:
    return lambda place: place.keras(
        lambda members: members.update({"config.json": json.dumps(config).encode()})
    )


SYSTEM = {"module": "os", "class_name": "system", "config": "true", "registered_name": None}
KERAS_FILES = [
    Case(kind, given, "convert", converted(make), said)
    for kind, given, make, said in (
        (".keras", "missing", lambda _: "a.keras", "a.keras does not exist"),
        (".keras", "empty", content(b"", "a.keras"), "cannot be loaded as a Keras model"),
        (".keras", "text", content(TEXT, "a.keras"), "neither a .keras archive nor an HDF5 file"),
        (
            ".keras",
            "truncated",
            lambda p: p.write("a.keras", cut(0.5, "model.keras")(p)),
            "neither a .keras archive nor an HDF5 file",
        ),
        (".keras", "a folder", lambda _: "folder", "folder does not exist"),
        (".keras", "a member outside", lambda p: p.keras(outside), "it must hold metadata.json"),
        (
            ".keras",
            "a member less",
            lambda p: p.keras(lambda members: members.pop("metadata.json")),
            "it must hold metadata.json",
        ),
        (".keras", "80 MB of zeros", lambda p: p.keras(bigger), "would unpack to"),
        (
            ".keras",
            "a Lambda layer",
            lambda p: p.layer(class_name="Lambda"),
            "it would need keras.layers.Lambda",
        ),
        (
            ".keras",
            "a TFSMLayer",
            lambda p: p.layer(class_name="TFSMLayer"),
            "need keras.layers.TFSMLayer",
        ),
        (
            ".keras",
            "a layer that reads a file",
            lambda p: p.layer(class_name="StringLookup", config={"vocabulary": "/etc/hostname"}),
            "it would need keras.layers.StringLookup",
        ),
        (
            ".keras",
            "a function of Keras",
            lambda p: p.layer(module="keras.utils", class_name="get_file"),
            "it would need keras.utils.get_file",
        ),
        (
            ".keras",
            "a layer of another package",
            lambda p: p.layer(module="evil", class_name="Layer", registered_name="evil>Layer"),
            "it would need evil.Layer",
        ),
        (
            ".keras",
            "a name that somebody registered",
            lambda p: p.layer(registered_name="evil>Conv2D"),
            "only plain layers of Keras",
        ),
        (".keras", "os.system", code_for_config(SYSTEM), "it would need os.system"),
        (".keras", "an empty configuration", code_for_config({}), "broken.keras cannot be loaded"),
        (".hdf5", "text", content(TEXT, "a.hdf5"), "neither a .keras archive nor an HDF5 file"),
        (
            ".hdf5",
            "truncated",
            lambda p: p.write("a.hdf5", Path(hdf5(str)(p)).read_bytes()[:2000]),
            "cannot be loaded as a Keras model",
        ),
        (
            ".hdf5",
            "weights without a network",
            hdf5(lambda h: h.attrs.clear()),
            "weights but no network",
        ),
        (".hdf5", "another network", hdf5(str), "looks like that"),
        (".hdf5", "a Lambda layer", hdf5(h5_lambda), "it would need Lambda"),
        (".hdf5", "a link to another file", hdf5(h5_link), "a link to elsewhere"),
        (".hdf5", "a link inside", hdf5(h5_soft_link), "a link to elsewhere"),
        (".hdf5", "data in another file", hdf5(h5_outside), "lies in another file"),
        (".hdf5", "4 TB of zeros", hdf5(h5_bomb), "its tensors would take"),
    )
]


def options(command: str, wrap: Callable[..., Arguments], *cases: tuple[str, ...]) -> list[Case]:
    """Each of the cases is the options, and then what is said about them."""
    return [
        Case(
            f"options of {command}",
            " ".join(given),
            command,
            wrap(*given),
            said,
            code=2 if said.startswith(("invalid", "the following")) else 1,
        )
        for *given, said in cases
    ]


OPTIONS = [
    *options(
        "image",
        image_options,
        ("--output", "a.gif", "--output must be a folder or end in one of"),
        ("--output", "a.jpg", "--output must be another file"),
        ("--output", "a.jpg/b.png", "a.jpg is in the way"),
        ("--no-draw", "--csv", "folder", "--csv must name a file"),
        ("--no-draw", "--csv", "a.jpg", "--csv must be another file"),
        ("--no-draw", "--csv", "t", "--json", "t", "--csv must be another file"),
        ("--no-draw", "--csv", "a.jpg/t.csv", "a.jpg is in the way"),
        ("--no-draw", "--output", "b.png", "contradict each other"),
        ("--no-draw", "--csv", "pipe", "a pipe or device"),
        ("--no-draw", "--resume", "--resume goes on with a table"),
        ("--workers", "0", "--workers must be 1 or more"),
        ("--workers", "two", "invalid int value"),
        ("--engine", "torch", "invalid choice"),
        ("--engine", "keras", "--workers", "2", "leave out --workers"),
        ("--scale-factor", "1", "`scale_factor` must lie between"),
        ("--scale-factor", "nan", "`scale_factor` must lie between"),
        ("--min-neighbors", "-1", "`min_neighbors` must be at least 0"),
        ("--min-face", "0", "`min_face` must be at least 1"),
        ("--yunet", "none.onnx", "No YuNet model at 'none.onnx'"),
        ("--yunet", "a.jpg", "must be a YuNet ONNX file"),
        ("--yunet", "none.onnx", "--min-neighbors", "3", "is for the Haar cascade"),
        ("--emotion-model", "none.tflite", "neither a checkpoint folder"),
    ),
    *options(
        "video",
        film_options,
        ("--output", "a.gif", "must end in one of"),
        ("--output", "clip.avi", "must not be the same file"),
        ("--output", "clip.avi/b.mp4", "clip.avi is in the way"),
        ("--csv", "folder", "folder: Is a directory"),
        ("--csv", "pipe", "a pipe or device"),
        ("--plot", "a.svg", "must end in one of"),
        ("--plot", "a.png", "--emotion-model", "none", "needs an --emotion-model"),
        ("--smoothing", "nan", "must be 0 or more, and finite"),
        ("--lost-after", "-1", "must be 0 or more, and finite"),
        ("--detect-every", "0", "--detect-every must be 1 or more"),
    ),
    *options(
        "evaluate",
        lambda *given: scored("fer2013", table, *given),
        ("--split", "test", "`split` must be one of"),
        ("--dataset", "cifar", "name='cifar'"),
        ("--dataset", "utkface", "a whole tar archive"),
        ("--model", "none", "neither a checkpoint folder"),
        ("--output", "a.png", "--output names the JSON file"),
        ("--output", "folder", "--output must name a file"),
        ("--output", "faces.csv", "--output must be another file"),
        ("--output", "pipe", "a pipe or device"),
        ("--output", "faces.csv/s.json", "faces.csv: Not a directory"),
        ("--without-twins", "Every face of fer2013 PublicTest has a twin"),
    ),
    *options(
        "train-emotion",
        training,
        ("--recipe", "fast", "`recipe` must be one of"),
        ("--dataset", "utkface", "to train on emotion"),
        ("--dataset", "cifar", "--dataset must be one of"),
        ("--model", "resnet", "`name` must be one of"),
        ("--data", "folder", "not a folder"),
        ("--epochs", "0", "`epochs` must be at least 1"),
        ("--epochs", "many", "invalid int value"),
        ("--batch-size", "-5", "`batch_size` must be at least 1"),
        ("--learning-rate", "nan", "`learning_rate` must be above 0"),
        ("--learning-rate", "inf", "`learning_rate` must be above 0"),
        ("--label-smoothing", "1", "`label_smoothing` must be"),
        ("--weight-decay", "-1", "`weight_decay` must be at least 0"),
        ("--optimizer", "sgd", "--weight-decay", "0.1", "goes with the optimizer adamw"),
        ("--optimizer", "lion", "invalid choice"),
        ("--precision", "float8", "invalid choice"),
        ("--monitor", "luck", "invalid choice"),
        ("--ema-momentum", "1", "`ema_momentum` must be"),
        ("--early-stopping-patience", "-1", "must not be negative"),
        ("--image-size", "0", "`image_size` must be"),
        ("--image-size", "100000", "at most 2048 each"),
        ("--seed", "-1", "--seed must be from 0"),
        ("--seed", "99999999999", "--seed must be from 0"),
        ("--output", "faces.csv", "--output must be a folder"),
        ("--teacher", "folder", "folder is no checkpoint"),
        ("--teacher-share", "0.5", "is a share of --teacher"),
        ("--teacher-share", "2", "must be from 0 to 1"),
        ("--mixup", "-1", "`mixup` must be 0 or more"),
        ("--initial-weights", "none", "neither a checkpoint folder nor a shipped"),
    ),
    *options(
        "train-gender",
        training,
        ("--dataset", "fer2013", "to train on gender"),
    ),
    *options(
        "export",
        exported,
        ("--format", "litert", "--output", "a.onnx", "must be a file ending in .tflite"),
        ("--format", "litert", "--output", "folder", "must be a file ending in .tflite"),
        ("--format", "litert", "--output", "a.tflite", "--data", "b", "leave it out"),
        ("--format", "coreml", "--output", "a", "invalid choice"),
        ("--format", "litert", "the following arguments are required: --output"),
    ),
    *options(
        "convert",
        lambda *given: converted(hdf5(str)) if not given else lambda p: [hdf5(str)(p), *given],
        ("--task", "emotion", "the following arguments are required: --output"),
        ("--task", "age", "--output", "b", "invalid choice"),
        ("--task", "emotion", "--output", "model.hdf5", "--output must be a folder"),
    ),
]

FORBIDDEN = [
    Case(kind, "no permission", command, arguments, said, forbidden=forbidden)
    for kind, command, arguments, said, forbidden in (
        (
            "picture",
            "image",
            picture(lambda p: p.write("b.jpg", p.picture)),
            "b.jpg: Permission denied",
            "b.jpg",
        ),
        (
            "picture folder",
            "image",
            picture(lambda _: "folder"),
            "folder: Permission denied",
            "folder",
        ),
        ("video", "video", film(clip), "clip.avi: Permission denied", "clip.avi"),
        ("CSV", "evaluate", scored("fer2013", table), "faces.csv: Permission denied", "faces.csv"),
        (
            "archive (.tar)",
            "evaluate",
            archive(FACE_NAME, b""),
            "a whole tar archive. [Errno 13] Permission denied: 'faces.tar'",
            "faces.tar",
        ),
        (".mat", "evaluate", mat(), "imdb.mat: Permission denied", "imdb/imdb.mat"),
        (
            "folder of classes",
            "evaluate",
            scored("folder", lambda _: "folder"),
            "folder/classes.txt: Permission denied",
            "folder",
        ),
        (
            "checkpoint folder",
            "image",
            model(Place.checkpoint),
            "card.json: Permission denied",
            "model/card.json",
        ),
        (
            ".tflite",
            "image",
            model(Place.checkpoint),
            "model.tflite cannot be loaded by LiteRT: Could not open",
            "model/model.tflite",
        ),
        (
            ".hdf5",
            "convert",
            converted(hdf5(str)),
            "([Errno 13] Permission denied: 'model.hdf5')",
            "model.hdf5",
        ),
        (
            "YuNet file",
            "image",
            image_options("--yunet", "a.jpg"),
            "`model_path` must be a YuNet ONNX file",
            "a.jpg",
        ),
        (
            "output folder",
            "image",
            image_options("--output", "folder"),
            "folder/a_faces.png: Permission denied",
            "folder",
        ),
        (
            "table",
            "image",
            image_options("--no-draw", "--csv", "folder/a"),
            "folder/a: Permission denied",
            "folder",
        ),
        (
            "film",
            "video",
            film_options("--output", "folder/a.mp4"),
            "folder/a.mp4: Permission denied",
            "folder",
        ),
        (
            "scores",
            "evaluate",
            scored("fer2013", table, "--output", "folder/s"),
            "folder/s: Permission denied",
            "folder",
        ),
        (
            "run",
            "train-emotion",
            training("--output", "folder/run"),
            "folder/run: Permission denied",
            "folder",
        ),
    )
]

CASES = [
    *(
        *PICTURES,
        EMPTY_NAME,
        *VIDEOS,
        NEW_FOLDER,
        *TABLES,
        *VOTES,
        *FOLDERS,
        *ARCHIVES,
        *MATS,
        *CHECKPOINTS,
    ),
    *(*KERAS_FILES, *FORBIDDEN, *OPTIONS),
]


LOADED_LATE = (
    *("concurrent.futures.thread", "ai_edge_litert.interpreter", "csv", "gzip", "bz2", "lzma"),
    *(f"minixception.{name}" for name in ("datasets.registry", "inference", "visualizer")),
    *(f"minixception.{name}" for name in ("videos", "tracking", "evaluation", "plots")),
    *(f"minixception.commands.{name}" for name in ("image", "video", "evaluate")),
)


@contextmanager
def without_permission(path: str, folder: Path) -> Iterator[None]:
    """Take the permissions of a path away; root, who needs none, becomes nobody meanwhile."""
    if not path:
        yield
        return
    if not hasattr(os, "setresuid"):
        pytest.skip("this system has other permissions")
    is_root = os.geteuid() == 0
    for name in LOADED_LATE:  # nobody may not read root's Python
        importlib.import_module(name)
    Path(path).chmod(0)
    folder.chmod(0o777)
    if is_root:
        os.setresuid(65534, 65534, 0)
    try:
        if not os.access(DOCUMENT, os.R_OK):
            pytest.skip("nobody but root can read the checkout")
        yield
    finally:
        if is_root:
            os.setresuid(0, 0, 0)
        Path(path).chmod(0o700)


State = dict[str, tuple[int, int] | None]


def state_of(folder: Path) -> State:
    """Return what lies in a folder: path -> size and time of the last change, None for a folder."""
    state: State = {}
    for path in folder.rglob("*"):
        facts = path.lstat()
        is_folder = stat.S_ISDIR(facts.st_mode)
        state[str(path.relative_to(folder))] = (
            None if is_folder else (facts.st_size, facts.st_mtime_ns)
        )
    return state


@pytest.fixture(autouse=True)
def plain_warnings(recwarn: pytest.WarningsRecorder) -> Iterator[None]:
    yield
    assert [str(one.message) for one in recwarn if "keras" not in str(one.filename)] == []


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.kind}: {case.given}"[:80])
def test_one_message_and_nothing_half_written(
    case: Case, place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = case.arguments(place)
    before = state_of(place.folder)
    with without_permission(case.forbidden, place.folder):
        try:
            code = run_command(case.command, arguments)
        except SystemExit as end:  # argparse
            code = int(end.code or 0)
    printed = capsys.readouterr().err
    message = printed.strip().splitlines()[-1]
    assert code == case.code, printed
    assert case.said in message
    assert "error: unexpected" not in message
    assert len(printed.strip().splitlines()) == 1 or code == 2, printed  # argparse shows the usage
    assert state_of(place.folder) == before


def table_rows() -> list[str]:
    """The table of the document, a row per case."""

    return [
        f"| {case.kind} | {_as_code(case.given)} | ... {case.said} ... | {case.code} |"
        for case in CASES
    ]


def _as_code(text: str) -> str:
    return f"`{text}`" if text.startswith("--") else text


def test_the_document_has_this_table() -> None:
    lines = DOCUMENT.read_text(encoding="utf-8").splitlines()
    start = lines.index("| kind | given | what is said | exit code |") + 2
    assert lines[start:] == table_rows()
