"""Bad pictures and films."""

from pathlib import Path

from bad_input.broken_media import BOMB_TEXT, avi, bmp, float_tiff, gif, jpeg, png, tiff, webp
from bad_input.place import LONG, PIPE, TEXT, Case, clip, content, film, loop, picture, pipe

TOO_LARGE = "at most 178956970 pixels"
PICTURES = [
    Case("picture", given, "image", picture(make), said)
    for given, make, said in (
        ("missing", lambda _: "a.jpg", "a.jpg: No such file"),
        ("empty", content(b""), "a file of 0 bytes that is none of them"),
        ("text", content(TEXT), "must be a picture in one of the formats"),
        ("truncated", lambda p: p.write("a.jpg", p.picture[:9999]), "a complete picture"),
        ("a folder without pictures", lambda _: "folder", "folder: no picture found"),
        ("a pattern without matches", lambda _: "*.xyz", "no picture found"),
        ("an address", lambda _: "s3://bucket/a.jpg", "read and written with --cluster only"),
        ("a pipe", lambda _: pipe("a.jpg"), "a pipe or device"),
        ("a folder with a pipe in it", lambda _: str(Path(pipe("folder/a.jpg")).parent), PIPE),
        ("a link to itself", lambda _: loop("a.jpg"), "Too many levels of symbolic links"),
        ("a name of 300 characters", lambda _: f"{LONG}.jpg", "File name too long"),
        ("a name that is not there, not ASCII", lambda _: "é顔.jpg", "é顔.jpg: No such file"),
        ("PNG of 60000x60000", content(png(60000, 60000)), TOO_LARGE),
        ("PNG with a text of 20 MB", content(png(8, 8, BOMB_TEXT)), "Decompressed data too large"),
        ("JPEG of 65000x65000", content(jpeg(65000, 65000)), TOO_LARGE),
        ("GIF of 65535x65535", content(gif(65535, 65535)), TOO_LARGE),
        ("TIFF of 99999x99999", content(tiff(99999, 99999, (273, 8), (279, 99))), TOO_LARGE),
        (
            "TIFF of 10x10 in a tile of 65520x65520",
            content(tiff(10, 10, (322, 65520), (323, 65520), (324, 8), (325, 100))),
            "a complete picture",
        ),
        ("WebP of 16383x16383", content(webp(16383, 16383)), "a.jpg must be a picture of at most"),
        ("BMP of 99999x99999", content(bmp(99999, 99999)), TOO_LARGE),
        ("PPM of 99999x99999", content(b"P6 99999 99999 255\n"), TOO_LARGE),
        ("TIFF of NaN", content(float_tiff(float("nan"))), "must lie in [0, 1], without NaN"),
        ("TIFF of infinity", content(float_tiff(float("inf"))), "must lie in [0, 1], without NaN"),
        ("PNG without its palette", content(png(8, 8, colours=3)), "AssertionError"),
        ("broken, with a line break in its name", content(b"x", "a\nb.jpg"), "a b.jpg must be"),
    )
]
EMPTY_NAME = Case(
    "picture", "an empty name", "image", picture(lambda _: ""), "an argument is empty", code=2
)

VIDEOS = [
    Case("video", given, "video", film(make), said)
    for given, make, said in (
        ("missing", lambda _: "a.mp4", "a.mp4: No such file"),
        ("empty", content(b"", "a.mp4"), "is not a video"),
        ("text", content(TEXT, "a.mp4"), "is not a video"),
        (
            "a list of files",
            content(b"ffconcat version 1.0\nfile /etc/hostname\n", "a.mp4"),
            "is not a video",
        ),
        (
            "truncated",
            lambda p: p.write("a.avi", Path(clip(p)).read_bytes()[:99]),
            "is not a video",
        ),
        ("a folder", lambda _: "folder", "folder: Is a directory"),
        ("a pipe", lambda _: pipe("a.mp4"), "a.mp4 is a pipe"),
        ("a device", lambda _: "/dev/zero", "/dev/zero is a pipe or device"),
        ("an address that is a path", lambda _: "file:///etc/hostname", "begin with one of http"),
        ("a name of 300 characters", lambda _: f"{LONG}.mp4", "File name too long"),
        ("a camera that is not there", lambda _: "93", "camera 93 does not open"),
        ("a camera number of 30 digits", lambda _: "9" * 30, "999: No such file"),
        ("without frames", content(avi(0, bits=32), "a.avi"), "no frame of it can be decoded"),
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
