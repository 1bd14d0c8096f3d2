"""Bad data sets: tables, votes, folders of classes, archives."""

import gzip
import tarfile
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from scipy.io import savemat

from bad_input.broken_media import jpeg
from bad_input.place import LONG, PIPE, TEXT, Arguments, Case, Place, content, pipe, scored, table

utkface = partial(scored, "utkface", task="gender")
imdb = partial(scored, "imdb", task="gender")


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

    return imdb(make)


def archive(name: str, content: bytes, *, size: int | None = None, kind: bytes = b"0") -> Arguments:
    """Write a tar archive with one member that may lie about its size."""

    def make(place: Place) -> str:
        member = tarfile.TarInfo(name)
        member.size, member.type, member.linkname = size or len(content), kind, "/etc/hostname"
        padding = b"\0" * (-len(content) % 512 + 1024)
        return place.write("faces.tar", member.tobuf() + content + padding)

    return utkface(make)


TABLES = [
    Case("CSV", given, "evaluate", arguments, said)
    for given, arguments, said in (
        ("missing", scored("fer2013", lambda _: "none.csv"), "There is no file none.csv"),
        ("empty", csv(lambda _: ""), "Missing: emotion, pixels, Usage"),
        ("header only", csv(lambda text: text.splitlines()[0]), "has a header and no rows"),
        ("binary", csv(lambda _: bytes(range(256)) * 9), "Missing: emotion, pixels, Usage"),
        ("a folder", scored("fer2013", lambda _: "folder"), "There is no file folder"),
        ("a pipe", scored("fer2013", lambda _: pipe("a.csv")), PIPE),
        ("truncated", csv(lambda text: text[:30000]), "`Usage` must be one of"),
        ("a row of three pixels", csv(lambda t: t + "1,7 7 7,Training\n"), "row 16 (line 17)"),
        ("a pixel that is NaN", first_row(",7", ",nan"), "must be 2304 whole numbers in 0..255"),
        ("an unknown label", first_row("0,7", "9,7"), "`emotion` must be in 0..6"),
        ("an unknown Usage", first_row("Training", "Test"), "`Usage` must be one of"),
        (
            "a row without end",
            csv(lambda _: "emotion,pixels,Usage\n" + "1 " * 10**6),
            "row 1 (line 2): `emotion` must be in 0..6",
        ),
        ("gzip, truncated", csv(lambda t: gzip.compress(t.encode())[:-9]), "truncated or damaged"),
        (
            "gzip that unpacks to 100 MB of one row",
            csv(lambda _: gzip.compress(b"emotion,pixels,Usage\n" + b"1" * (100 << 20), 1)),
            "row 1 (line 2): `emotion` must be in 0..6",
        ),
        (
            "no row of the split",
            csv(lambda text: text.replace("PublicTest", "Training")),
            "`split` must be one of Training, PrivateTest",
        ),
    )
]


def votes(change: Callable[[str], str | bytes]) -> Arguments:
    header = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,"

    def make(place: Place) -> str:
        usages = ["Training"] * 7 + ["PublicTest"] * 7 + ["PrivateTest"]
        rows = [f"{usage},a.png,9,1,0,0,0,0,0,0,0,0" for usage in usages]
        place.write("fer2013new.csv", change("\n".join([f"{header}unknown,NF", *rows]) + "\n"))
        return table(place)

    return scored("ferplus", make)


VOTES = [
    Case("votes CSV", given, "evaluate", votes(change), said)
    for given, change, said in (
        ("empty", lambda _: b"", "must have the columns"),
        ("truncated", lambda text: text[:-30], "row 15 (line 16)"),
        (
            "a field of 200,000 characters",
            lambda text: text + '"' + "x" * 200000,
            "is not a CSV text file",
        ),
        (
            "a vote of thirty digits",
            lambda text: text.replace(",9", "," + "9" * 30),
            "row 1 (line 2): 10 votes, whole numbers of at least 0",
        ),
        ("no vote at all", lambda text: text.replace(",9,1", ",0,0"), "no row with a majority"),
    )
]


def pipe_for_a_picture(place: Place) -> str:
    place.write("set/happy/b.txt", b"")
    return pipe("set/happy/a.jpg").split("/")[0]


def other_classes(place: Place) -> str:
    for name in "ab":
        for number in range(9):
            grey = bytes([ord(name), number]) * 32  # another picture for each, or all were one
            place.write(f"set/{name}/{number}.pgm", b"P5 8 8 255\n" + grey)
    return "set"


def named_folders(*names: str, picture: bytes | None = None) -> Callable[[Place], str]:
    def make(place: Place) -> str:
        for name in names:
            place.write(f"set/{name}/a.jpg", picture or place.picture)
        return "set"

    return make


UNREADABLE = "Received: 1 picture (unreadable picture: 1)"
FOLDERS = [
    Case("folder of classes", given, "evaluate", scored("folder", make), said)
    for given, make, said in (
        ("missing", lambda _: "none", "must be a folder of class folders. Received: none"),
        ("empty", lambda _: "folder", "must hold class folders with pictures"),
        ("unreadable pictures", named_folders("happy", picture=b"x"), UNREADABLE),
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
        ("missing", utkface(lambda _: "a.tar"), "nothing at a.tar"),
        ("text", utkface(content(TEXT, "a.tar")), "a whole tar archive"),
        ("a pipe", utkface(lambda _: pipe("a.tar")), PIPE),
        ("no face in it", archive("readme.txt", b"x"), "Received: 0 pictures"),
        ("a member of 50 GB", archive(FACE_NAME, b"", size=50 << 30), "would unpack to more than"),
        ("a JPEG of 65000x65000", archive(FACE_NAME, jpeg(65000, 65000)), "unreadable picture: 1"),
        ("a link to a file outside", archive(FACE_NAME, b"", kind=b"2"), "Received: 0 pictures"),
    )
]

MATS = [
    Case(".mat", given, "evaluate", arguments, said)
    for given, arguments, said in (
        ("missing", imdb(lambda _: "a.mat"), "There is nothing at a.mat"),
        ("text", imdb(content(TEXT, "a.mat")), "is not a MATLAB file"),
        ("a folder", imdb(lambda _: "folder"), "There is no file"),
        ("a missing field", mat(gender=None), "gender"),
        ("fields of two lengths", mat(gender=np.zeros(2)), "one word and numbers per row"),
        ("words for genders", mat(gender=np.array(list("abc"), object)), "numbers per row"),
        ("NaN for all scores", mat(face_score=np.full(3, np.nan)), "low face score: 3"),
        (
            "pictures outside its folder",
            mat(full_path=np.array(["../a.jpg", "/etc/a.jpg", LONG], object)),
            "missing picture: 3",
        ),
    )
]
