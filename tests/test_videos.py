"""Films of many kinds, written here, and what they look like when they are read and written."""

import gc
import os
import struct
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from PIL import Image

from made_up_films import blank, encode, scene, shifted
from minixception.commands import video_window
from minixception.video import writer as writing
from minixception.video.cameras import Camera, Frame, is_camera
from minixception.video.reader import VideoReader
from minixception.video.writer import WRITABLE_SUFFIXES, VideoWriter
from static_host import OK, raw_host, static_host
from stored_files import file_size_limit
from systems import needs_proc

IS_OLD = av.library_versions["libavformat"][0] < 62  # FFmpeg before 8


def write_frames(path: Path, frames: list[Frame], *, rate: float = 10) -> Path:
    with VideoWriter(path, rate=rate) as writer:
        for frame in frames:
            writer.write(frame)
    return path


def scenes(count: int, *, rate: float = 10, begin: float = 0) -> list[Frame]:
    return [Frame(number, begin + number / rate, scene(number)) for number in range(count)]


def mux(container: Any, packets: Iterable[Any], stream: Any) -> None:
    """Copy packets, all of one stream, into another one."""
    for packet in packets:
        if packet.size:
            packet.stream = stream
            container.mux(packet)


def copy_packets(path: Path, copy: Path, change: Callable[[list[Any]], list[Any]]) -> Path:
    """Copy a film without decoding it, after a change of its packets."""
    with av.open(str(path)) as film, av.open(str(copy), "w") as container:
        streams = [container.add_stream_from_template(one) for one in film.streams]
        for packet in change([*film.demux()]):
            mux(container, [packet], streams[packet.stream.index])
    return copy


def copy_film(
    path: Path, copy: Path, *, stop: int | None = None
) -> tuple[VideoReader, VideoWriter]:
    """Read a film with its sound and write it again, or its first frames."""
    with (
        VideoReader(str(path), with_sound=True) as reader,
        VideoWriter(copy, rate=reader.rate, sound=reader.sound) as writer,
    ):
        for frame in islice(reader, stop):
            writer.write(frame)
    return reader, writer


def join(path: Path, *parts: Path) -> Path:
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


def read(path: Path | str) -> tuple[list[Frame], VideoReader]:
    with VideoReader(str(path)) as reader:
        return list(reader), reader


def read_whole(path: Path | str, count: int) -> list[Frame]:
    """Return the frames of a film, which are so many, and of which none is missed."""
    frames, reader = read(path)
    assert (len(frames), reader.losses) == (count, [])
    return frames


def is_scene(image: np.ndarray, number: int) -> bool:
    """Tell whether it is that scene, which no other is as near to."""
    differences = [
        np.abs(image.astype(int) - scene(other, *image.shape[:2])).mean()
        for other in (number, number + 2)
    ]
    return bool(differences[0] < min(9, differences[1]))


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_frames(tmp_path_factory.mktemp("clips") / "walk.mp4", scenes(20))


@pytest.mark.parametrize(
    ("name", "codec", "form"),
    [
        ("a.mp4", "libx264", "yuv420p"),
        ("a.mp4", "libx265", "yuv420p12le"),
        ("a.mkv", "libsvtav1", "yuv420p10le"),
        ("a.mov", "prores", "yuv422p10le"),
        ("a.webm", "libvpx", "yuv420p"),
        ("a.webm", "libvpx-vp9", "yuva420p"),
        ("a.mkv", "ffv1", "gray16le"),
        ("a.avi", "mjpeg", "yuvj420p"),
        ("a.avi", "libx264", "yuv420p"),  # whose frames come in another order
        ("a.avi", "rawvideo", "bgr24"),  # its last line comes first
        ("a.mpg", "mpeg2video", "yuv420p"),
        ("a.ts", "libx264", "yuv420p"),
        ("a.h264", "libx264", "yuv420p"),
        ("a.m1v", "mpeg1video", "yuv420p"),
        ("a.hevc", "libx265", "yuv420p"),
        ("a.wmv", "wmv2", "yuv420p"),
        ("a.flv", "flv", "yuv420p"),
        ("a.gif", "gif", "rgb8"),
    ],
)
def test_every_frame_of_a_healthy_film(name: str, codec: str, form: str, tmp_path: Path) -> None:
    path = encode(tmp_path / name, codec, form, rate=Fraction(25))  # MPEG-2 has no 10
    frames, reader = read(path)
    assert (reader.remarks, reader.losses) == ([], [])
    begin = frames[0].time_seconds
    assert 0 <= begin <= 0.1
    steps = [frame.time_seconds - begin for frame in frames]
    assert steps == pytest.approx([number / 25 for number in range(12)], abs=0.006)
    if form not in ("gray16le", "rgb8"):  # other colours
        assert all(is_scene(frame.image, frame.number) for frame in frames)


def test_an_avi_that_counts_fields_promises_frames(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.ts", frames=24, rate=Fraction(25))
    path = copy_packets(path, tmp_path / "b.avi", list)
    with av.open(str(path)) as container:
        assert container.streams.video[0].frames > 40
    _, reader = read(path)
    assert (reader.done, reader.promised, reader.losses) == (24, 24, [])


@pytest.mark.parametrize("subsampling", [0, 1, 2])
def test_jpeg_files_one_after_another_are_a_film(subsampling: int, tmp_path: Path) -> None:
    path = tmp_path / "a.mjpeg"
    with path.open("wb") as file:
        for number in range(5):
            Image.fromarray(scene(number)).save(file, "JPEG", subsampling=subsampling)
    assert len(read_whole(path, 5)) == 5
    with pytest.raises(ValueError, match="is not a video"):
        VideoReader(path.rename(tmp_path / "a.jpg"))


def test_an_iterator_may_outlive_its_reader(clip: Path) -> None:
    with VideoReader(clip) as reader:
        frames = iter(reader)
        assert [next(frames).number, *(frame.number for frame in islice(frames, 2))] == [0, 1, 2]
        with pytest.raises(ValueError, match="is read only once: keep its iterator"):
            iter(reader)
    # Its thread was decoding the next one, which would end Python once the file is closed.
    assert [*frames] == []


LEADING = "log-level=none:keyint=12:min-keyint=12:open-gop=0:radl=2:bframes=3:scenecut=0"


@pytest.mark.parametrize(
    ("codec", "options", "first"),
    [
        ("libx265", {"x265-params": LEADING}, 10),  # two before the key frame need it alone
        ("mpeg2video", {"bf": "2", "b_strategy": "0"}, 12),  # they need what was cut off
    ],
)
@pytest.mark.parametrize("suffix", [".mkv", ".ts"])
def test_a_film_that_was_cut_at_a_key_frame(
    suffix: str, codec: str, options: dict[str, str], first: int, tmp_path: Path
) -> None:
    def cut(packets: list[Any]) -> list[Any]:
        return packets[[packet.is_keyframe for packet in packets].index(True, 1) :]

    whole = tmp_path / "a.mkv"
    encode(whole, codec, frames=24, rate=Fraction(25), gop_size=12, options=options)
    frames = read_whole(copy_packets(whole, tmp_path / f"b{suffix}", cut), 24 - first)
    assert all(is_scene(frame.image, first + frame.number) for frame in frames)
    assert np.diff([frame.time_seconds for frame in frames]) == pytest.approx(0.04, abs=0.001)


@pytest.mark.parametrize("rate", [0.002, 0.5, 24000 / 1001, 239.7612, 1000])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi"])
def test_odd_rates(rate: float, suffix: str, tmp_path: Path) -> None:
    frames, reader = read(write_frames(tmp_path / f"a{suffix}", scenes(4, rate=rate), rate=rate))
    assert reader.rate == pytest.approx(rate, rel=1e-3)
    times = [number / rate for number in range(4)]
    assert [frame.time_seconds for frame in frames] == pytest.approx(times, abs=6e-4)


@pytest.mark.parametrize("suffix", WRITABLE_SUFFIXES)
def test_a_variable_rate_is_kept(suffix: str, tmp_path: Path) -> None:
    times = [0.0, 0.1, 0.2, 1.0, 1.1, 3.0, 3.3]
    images = [Frame(number, time, scene(number)) for number, time in enumerate(times)]
    path = write_frames(tmp_path / "a.mp4", images)
    _, writer = copy_film(path, tmp_path / f"b{suffix}")
    assert writer.remarks == []
    frames, _ = read(tmp_path / f"b{suffix}")
    assert [frame.time_seconds for frame in frames] == pytest.approx(times, abs=6e-4)
    assert all(is_scene(frame.image, frame.number) for frame in frames)


def test_an_avi_has_frames_at_multiples_of_its_rate_only(tmp_path: Path) -> None:
    path = tmp_path / "a.avi"
    for offset in (0.02, 0.0199, 0.0201):  # half way between them
        write_frames(path, scenes(12, rate=25, begin=offset), rate=25)
        assert len(read(path)[0]) == 12
    times = [*np.arange(20) / 20, *1 + np.arange(60) / 60]
    with VideoWriter(path, rate=20) as writer:
        for number, time in enumerate(times):
            writer.write(Frame(number, time, scene(number // 3)))
    remark = "frames beyond 20 per second are left out; to keep them, use .mp4 or .mkv"
    assert writer.remarks == [f"{path}: {remark}"]
    frames, _ = read(path)
    assert len(frames) in (40, 41)
    assert frames[-1].time_seconds == pytest.approx(times[-1], abs=0.05)


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm"])
def test_the_last_frame_is_shown_as_long_as_in_the_source(suffix: str, tmp_path: Path) -> None:
    if IS_OLD and suffix in (".mp4", ".mov"):
        pytest.skip("this FFmpeg does not read how long their frames are shown")
    images = [*scenes(19), Frame(19, 1.9, scene(19), duration_seconds=8.0)]
    path = write_frames(tmp_path / "a.mkv", images)
    for _ in range(2):
        frames = read_whole(path, 20)
        assert frames[-1].duration_seconds == pytest.approx(8.0)
        with av.open(str(path)) as container:
            assert (container.duration or 0) / av.time_base == pytest.approx(9.9, abs=0.01)
        path = write_frames(tmp_path / f"b{suffix}", frames)


@pytest.mark.parametrize("suffix", WRITABLE_SUFFIXES)
def test_a_pause_before_the_last_frames_counts_in_the_header(suffix: str, tmp_path: Path) -> None:
    late = [Frame(12 + number, 6.0 + number / 10, scene(12 + number)) for number in range(2)]
    path = write_frames(tmp_path / f"a{suffix}", [*scenes(12), *late])
    with av.open(str(path)) as container:
        assert (container.duration or 0) / av.time_base == pytest.approx(6.2, abs=0.01)


def test_an_edit_list_takes_frames_away_or_lets_them_wait(tmp_path: Path) -> None:
    frames = read_whole(encode(tmp_path / "a.mp4", shift=-4, frames=16), 12)
    assert [frame.time_seconds for frame in frames] == pytest.approx(np.arange(12) / 10)
    assert is_scene(frames[0].image, 4)
    frames = read_whole(encode(tmp_path / "b.mp4", shift=5), 12)
    assert [frame.time_seconds for frame in frames] == pytest.approx(0.5 + np.arange(12) / 10)


def test_one_wrong_time_moves_no_other(tmp_path: Path) -> None:
    def misplace(packets: list[Any]) -> list[Any]:
        packets[4].pts += 300
        return packets

    path = encode(tmp_path / "a.mkv", max_b_frames=0, frames=12)
    frames, reader = read(copy_packets(path, tmp_path / "b.mkv", misplace))
    times = [frame.time_seconds for frame in frames]
    assert times[:4] + times[8:] == pytest.approx([0, 0.1, 0.2, 0.3, 0.8, 0.9, 1.0, 1.1])
    assert np.diff(times).min() > 0
    message = "the times of some frames are wrong; those beside them are used"
    assert (reader.remarks, reader.losses) == ([f"{reader.source}: {message}"], [])


MATRICES: dict[str, tuple[tuple[int, ...], Callable[[np.ndarray], np.ndarray]]] = {
    "as it is": ((1, 0, 0, 1), lambda image: image),
    "90": ((0, 1, -1, 0), lambda image: np.rot90(image, -1)),
    "180": ((-1, 0, 0, -1), lambda image: np.rot90(image, 2)),
    "270": ((0, -1, 1, 0), lambda image: np.rot90(image)),
    "mirrored": ((-1, 0, 0, 1), np.fliplr),
    "upside down in a mirror": ((1, 0, 0, -1), np.flipud),
    "mirrored and 90": ((0, 1, 1, 0), lambda image: image.swapaxes(0, 1)),
    "mirrored and 270": ((0, -1, -1, 0), lambda image: np.rot90(image, 2).swapaxes(0, 1)),
}


def turn(path: Path, matrix: tuple[int, ...]) -> None:
    """Write a display matrix into a film."""
    content = bytearray(path.read_bytes())
    place = content.find(b"tkhd") + 44
    a, b, c, d = (one << 16 for one in matrix)
    content[place : place + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("codec", "mark"),
    [
        *(("libx264", mark) for mark in MATRICES),
        *(("libvpx-vp9", mark) for mark in ("90", "mirrored")),
    ],
)
def test_a_film_from_a_phone_comes_upright(codec: str, mark: str, tmp_path: Path) -> None:
    matrix, turned = MATRICES[mark]
    path = encode(tmp_path / "a.mp4", codec)
    expected = turned(read(path)[0][0].image)
    turn(path, matrix)
    np.testing.assert_array_equal(read_whole(path, 12)[0].image, expected)


def test_frames_are_freed_at_once(clip: Path, tmp_path: Path) -> None:
    """Python looks for circles so seldom that 100 frames of 4K would wait for it."""
    gc.collect()
    gc.disable()
    try:
        _open = copy_film(clip, tmp_path / "b.mp4")
        # `isinstance` fails at weak references to what is gone.
        held = sum(issubclass(type(one), av.VideoFrame) for one in gc.get_objects())
    finally:
        gc.enable()
    assert held <= 2  # a decoder or encoder keeps one


def test_pixels_become_square_also_from_some_frame_on(tmp_path: Path) -> None:
    wide, high, usual = (
        encode(tmp_path / f"{number}.ts", sample_aspect_ratio=Fraction(ratio))
        for number, ratio in enumerate((2, 0.5, 1))
    )
    for path, height, width in ((wide, 160, 640), (high, 320, 320)):
        frames, _ = read(path)
        assert {frame.image.shape[:2] for frame in frames} == {(height, width)}
        assert all(is_scene(frame.image, frame.number) for frame in frames)
    frames, _ = read(join(tmp_path / "a.ts", usual, wide))
    assert [frame.image.shape[1] for frame in frames] == [320] * 11 + [640] * 12


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.mp4", "libx264", {"x264-params": "interlaced=1:tff=1"}),
        ("a.mpg", "mpeg2video", {"flags": "+ildct+ilme"}),
        ("a.avi", "dvvideo", {}),
    ],
)
def test_fields_are_put_together(
    name: str, codec: str, options: dict[str, str], tmp_path: Path
) -> None:
    size = (720, 576)
    path = encode(tmp_path / name, codec, size=size, rate=Fraction(25), options=options)
    frames, reader = read(path)
    assert (len(frames), reader.losses) == (12, [])
    assert all(is_scene(frame.image, frame.number) for frame in frames)
    assert reader.remarks == [f"{path}: its frames are interlaced; deinterlaced (bwdif)"]


def test_turned_fields_of_oblong_pixels(tmp_path: Path) -> None:
    options, ratio = {"x264-params": "interlaced=1:tff=1"}, Fraction(16, 11)
    path = encode(tmp_path / "a.mp4", size=(352, 288), sample_aspect_ratio=ratio, options=options)
    turn(path, (0, 1, -1, 0))
    frames, reader = read(path)
    assert {frame.image.shape for frame in frames} == {(512, 288, 3)}
    assert all(is_scene(np.rot90(frame.image), frame.number) for frame in frames)
    assert len(reader.remarks) == 1


@pytest.mark.parametrize(("size", "colours"), [((640, 360), 5), ((1280, 534), 1), ((608, 1080), 1)])
def test_colours_that_a_film_does_not_name(
    size: tuple[int, int], colours: int, tmp_path: Path
) -> None:
    orange = np.full((size[1], size[0], 3), (250, 180, 20), np.uint8)
    frame = av.VideoFrame.from_ndarray(orange, format="rgb24")
    frame = frame.reformat(format="yuv420p", dst_colorspace=colours)
    with av.open(str(path := tmp_path / "a.mp4"), "w") as container:
        stream: Any = container.add_stream("libx264", 10, width=size[0], height=size[1])
        container.mux(stream.encode(frame) + stream.encode(None))
    ((first,), _) = read(path)
    assert np.abs(first.image - orange.astype(int)).max() <= 5


@pytest.mark.parametrize("suffix", WRITABLE_SUFFIXES)
def test_colours_of_hd_are_written_as_players_take_them(suffix: str, tmp_path: Path) -> None:
    orange = np.full((720, 1280, 3), (250, 180, 20), np.uint8)
    path = write_frames(tmp_path / f"a{suffix}", [Frame(0, 0, orange)])
    with av.open(str(path)) as film:
        coded = next(film.decode(video=0))
    assert coded.colorspace in (1, 2)  # BT.709, or an .avi, which does not say
    shown = coded.reformat(format="rgb24", src_colorspace=1).to_ndarray()
    assert np.abs(shown - orange.astype(int)).max() <= 5


def test_hdr_is_said_to_be_left_as_it_is(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp4", "libx264", "yuv420p10le", color_trc=16, colorspace=9)
    frames, reader = read(path)
    assert len(frames) == 12
    assert reader.remarks == [f"{path}: HDR (PQ) is not tone-mapped; colours are pale"]


def test_a_size_that_changes_is_fitted_into_the_first(tmp_path: Path) -> None:
    parts = encode(tmp_path / "a.ts"), encode(tmp_path / "b.ts", size=(160, 160))
    frames, reader = read(join(tmp_path / "c.ts", *parts))
    # Where they are joined, the stream says that a frame may be broken.
    assert [frame.image.shape[1] for frame in frames] == [320] * 11 + [160] * 12
    assert "1 of 24 frames" in reader.losses[0]
    steps = np.diff([frame.time_seconds for frame in frames])
    assert 0 < steps.min() <= steps.max() < 0.21
    write_frames(tmp_path / "d.mp4", frames)
    last = read(tmp_path / "d.mp4")[0][-1].image
    assert last.shape == (160, 320, 3)
    assert last[:, :70].mean() < 10  # black beside it
    assert is_scene(last[:, 80:240], 11)


def test_odd_sizes(tmp_path: Path) -> None:
    red = Frame(0, 0.0, np.full((47, 65, 3), (220, 30, 30), np.uint8))
    for suffix in WRITABLE_SUFFIXES:
        (frame,), _ = read(write_frames(tmp_path / f"a{suffix}", [red]))
        assert frame.image.shape == (48, 66, 3)
        assert np.abs(frame.image.mean((0, 1)) - (220, 30, 30)).max() < 9


def test_the_cover_of_an_album_is_no_film(clip: Path, tmp_path: Path) -> None:
    for with_film in (True, False):
        path = tmp_path / f"{with_film}.mp4"
        with av.open(str(clip)) as film, av.open(str(path), "w") as container:
            cover: Any = container.add_stream("mjpeg", 1, pix_fmt="yuvj420p", width=64, height=64)
            cover.disposition = av.stream.Disposition.attached_pic.value
            stream: Any = with_film and container.add_stream_from_template(film.streams[0])
            picture = av.VideoFrame.from_ndarray(scene(0, 64, 64), format="rgb24")
            container.mux(cover.encode(picture) + cover.encode(None))
            mux(container, film.demux(video=0) if with_film else [], stream)
        if with_film:
            assert {frame.image.shape for frame in read(path)[0]} == {(160, 320, 3)}
        else:
            with pytest.raises(ValueError, match="no moving pictures"):
                VideoReader(str(path))
            for link in Path("/proc/self/fd").glob("*"):
                assert not (link.exists() and link.samefile(path))  # it is closed


# The part of the frame from which on it is blank. What comes in the middle of a frame of HEVC is
# decoded, whatever it is.
@pytest.mark.parametrize(
    ("name", "codec", "part"),
    [
        ("a.mp4", "libx264", 0.0),
        ("a.mp4", "libx264", 0.5),
        ("a.avi", "mpeg4", 0.5),
        ("a.webm", "libvpx", 0.5),
        ("a.webm", "libvpx-vp9", 0.0),
        ("a.webm", "libvpx-vp9", 0.5),
        ("a.mkv", "libx265", 0.0),
    ],
)
def test_what_cannot_be_decoded_is_missing_and_counted(
    name: str, codec: str, part: float, tmp_path: Path
) -> None:
    x265 = {"x265-params": "log-level=none:keyint=12:bframes=0"} if codec == "libx265" else {}
    path = encode(tmp_path / name, codec, frames=24, gop_size=12, max_b_frames=0, options=x265)
    whole, content = images_by_time(path), path.read_bytes()
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        places = [(packet.pos or 0, packet.size) for packet in packets]
    # The first, a key frame, one between; what is lost reaches up to the next key frame.
    for hit, lost in ((0, 12), (12, 12), (17, 7)):
        path.write_bytes(content)
        start, size = places[hit]
        frames, reader = read(blank(path, start + max(6, int(part * size)), start + size))
        assert len(frames) == 24 - lost
        assert (frames[0].time_seconds > 0) == (hit == 0)
        assert_as_before(frames, whole)
        message = f"it is damaged; {lost} of 24 frames cannot be decoded; left out"
        assert reader.losses == [f"{path}: {message}"]


@pytest.mark.parametrize("name", ["a.mkv", "a.flv", "a.mxf", "a.ts"])
def test_a_hole_in_a_film_is_found_and_counted(name: str, tmp_path: Path) -> None:
    codec, form = ("mpeg2video", "yuv422p") if name == "a.mxf" else ("libx264", "yuv420p")
    rate = Fraction(25)
    path = encode(tmp_path / name, codec, form, rate=rate, frames=40, gop_size=10, grain=19)
    whole, size = images_by_time(path), path.stat().st_size
    frames, reader = read(blank(path, int(0.3 * size), int(0.6 * size)))
    assert 10 <= len(frames) < 36
    assert_as_before(frames, whole)
    (message,) = reader.losses
    lost = int(message.split("damaged; ")[1].split()[0])
    # A broadcast does not say how many there were.
    assert 1 <= lost <= 40 - len(frames) if name == "a.ts" else lost == 40 - len(frames)


def images_by_time(path: Path) -> dict[float, np.ndarray]:
    return {round(frame.time_seconds, 2): frame.image for frame in read(path)[0]}


def assert_as_before(frames: list[Frame], whole: dict[float, np.ndarray]) -> None:
    """Assert that no frame is made up, or stands at the time of another."""
    for frame in frames:
        there = whole[round(frame.time_seconds, 2)]
        assert np.abs(there.astype(int) - frame.image).mean() < 4


def test_a_film_that_begins_late_lacks_nothing(tmp_path: Path) -> None:
    for name in ("a.mkv", "a.flv", "a.ts"):
        read_whole(encode(tmp_path / name, shift=50, max_b_frames=2), 12)
    broadcast = encode(tmp_path / "a.mpg", "mpeg2video", frames=1, rate=Fraction(25))
    assert read_whole(broadcast, 1)[0].time_seconds == 0


@pytest.mark.parametrize("seconds", [0.9, 2.0])
def test_sound_without_durations_may_outlast_the_pictures(seconds: float, tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mkv", frames=5, sound=("wavpack", seconds))
    read_whole(path, 5)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert f"its header promises {seconds} s" in read(path)[1].losses[-1] or seconds < 1


def test_subtitles_may_outlast_the_pictures(clip: Path, tmp_path: Path) -> None:
    (tmp_path / "a.srt").write_text("1\n00:00:01,000 --> 00:00:09,000\nhello\n\n")
    path = tmp_path / "a.mkv"
    with (
        av.open(str(clip)) as film,
        av.open(str(tmp_path / "a.srt")) as words,
        av.open(str(path), "w") as container,
    ):
        sources = (film, words)
        streams = [container.add_stream_from_template(one.streams[0]) for one in sources]
        for source, stream in zip(sources, streams, strict=True):
            mux(container, source.demux(), stream)
    read_whole(path, 20)


@pytest.mark.parametrize(("suffix", "begin"), [(".mp4", 0), (".mp4", 5), (".mkv", 0), (".avi", 0)])
def test_a_film_that_was_cut_off(suffix: str, begin: int, tmp_path: Path) -> None:
    path = write_frames(tmp_path / f"a{suffix}", scenes(60, begin=begin))
    read_whole(path, 60)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])
    frames, reader = read(path)
    assert 20 < len(frames) < 60
    assert f"its header promises {begin + 6}.0 s" in reader.losses[-1]


def sound_of(path: Path) -> list[tuple[bytes, float]]:
    with av.open(str(path)) as container:
        sounds = container.streams.audio
        found: list[Any] = [*container.demux(*sounds)] if sounds else []
        return [(bytes(p), float(p.pts * p.time_base)) for p in found if p.size]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi", ".webm"])
@pytest.mark.parametrize("source", [".mp4", ".ts"])
def test_the_sound_is_copied(suffix: str, source: str, tmp_path: Path) -> None:
    path = encode(tmp_path / f"a{source}", frames=10, sound=("mp2", 1.5))
    for stop in (None, 5):  # to the end, and a run that is stopped
        _, writer = copy_film(path, tmp_path / f"b{suffix}", stop=stop)
        before, after = sound_of(path), sound_of(tmp_path / f"b{suffix}")
        if suffix == ".webm":  # which takes none but Opus and Vorbis
            assert writer.remarks[0].endswith(" to libopus")
        else:
            contents = [content for content, _ in before]
            first = contents.index(after[0][0])
            assert before[first][1] >= -0.024 / 2  # half a packet
            assert [content for content, _ in after] == contents[first:][: len(after)]
        assert after[-1][1] == pytest.approx(0.45 if stop else 1.5, abs=0.1)


@pytest.mark.parametrize(
    ("name", "codec", "suffix", "encoder"),
    [
        ("a.avi", "pcm_s16le", ".mp4", "aac"),  # which must say where the channels are
        ("a.mkv", "flac", ".mov", "aac"),  # refuses it with the header only
        ("a.ts", "aac", ".avi", "ac3"),
        ("a.mkv", "eac3", ".avi", "ac3"),  # would take it, and play it at another speed
        ("a.avi", "adpcm_ms", ".avi", "ac3"),
        ("a.mkv", "wavpack", ".avi", "ac3"),  # does not say how long a packet lasts
    ],
)
def test_sound_that_a_format_does_not_take_is_converted(
    name: str, codec: str, suffix: str, encoder: str, tmp_path: Path
) -> None:
    copy = tmp_path / f"b{suffix}"
    sound = (codec, 1.5)
    path = encode(tmp_path / name, frames=10, max_b_frames=0, sound=sound, layout="stereo")
    _, writer = copy_film(path, copy)
    if writer.remarks or codec != "aac":  # older versions of FFmpeg copy that
        assert writer.remarks == [f"{copy}: the sound is converted from {codec} to {encoder}"]
    assert sound_of(copy)[-1][1] == pytest.approx(1.5, abs=0.1)
    assert read(copy)[0][0].time_seconds == pytest.approx(read(path)[0][0].time_seconds, abs=0.05)


def test_no_sample_of_converted_sound_is_lost(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mkv", frames=10, sound=("pcm_s16le", 1.5), hertz=8000)
    copy_film(path, tmp_path / "b.webm")
    with av.open(str(tmp_path / "b.webm")) as container:
        assert sum(sound.samples for sound in container.decode(audio=0)) == 1.5 * 48000


@pytest.mark.parametrize("codec", ["ac3", "eac3"])  # copied, converted
def test_the_sound_of_an_avi_begins_at_the_start(codec: str, tmp_path: Path) -> None:
    film = encode(tmp_path / "a.mov", sound=(codec, 1.0))  # its edit list begins in a packet
    copy_film(film, tmp_path / "o.avi")
    with av.open(str(tmp_path / "o.avi")) as container:
        assert 48000 <= sum(sound.samples for sound in container.decode(audio=0)) < 50000


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm"])
def test_sounds_keep_their_language_and_title(suffix: str, tmp_path: Path) -> None:
    path, copy = tmp_path / "a.mkv", tmp_path / f"b{suffix}"
    source = encode(tmp_path / "c.mkv", sound=("aac", 1.5))
    default = av.stream.Disposition.default.value
    with ExitStack() as stack:
        films: list[Any] = [
            stack.enter_context(av.open(str(source))).streams[one] for one in (0, 1, 1)
        ]
        target: Any = stack.enter_context(av.open(str(path), "w"))
        streams = [target.add_stream_from_template(film) for film in films]
        for language, stream in zip(("eng", "deu"), streams[1:], strict=True):
            stream.metadata.update(language=language, title=f"in {language}")
            stream.disposition = default * (language == "deu")
        for film, stream in zip(films, streams, strict=True):
            mux(target, film.container.demux(film), stream)
    copy_film(path, copy)
    copy_film(copy, tmp_path / "d.mkv")
    with av.open(str(tmp_path / "d.mkv")) as container:
        found = [(one.language, one.disposition.value) for one in container.streams.audio]
        titles = [one.metadata.get("title") for one in container.streams.audio]
    assert found == [("eng", 0), ("deu", default)]
    assert titles == ["in eng", "in deu"] or (IS_OLD and suffix == ".mp4")


@pytest.mark.parametrize("suffix", [".mkv", ".avi"])
@pytest.mark.parametrize("first", [0, 30])  # of the packets of sound that come later
def test_an_avi_plays_sound_after_a_gap_too_early(suffix: str, first: int, tmp_path: Path) -> None:
    def delay(packets: list[Any]) -> list[Any]:
        late = [one for one in packets if one.stream.type == "audio" and one.size][first:]
        shifted(late, 1000)
        return packets

    copy = tmp_path / f"b{suffix}"
    source = encode(tmp_path / "c.mkv", frames=40, sound=("mp2", 1.5))
    _, writer = copy_film(copy_packets(source, tmp_path / "a.mkv", delay), copy)
    gap = "the sound starts late or has a gap, and is too early from then on: use .mp4 or .mkv"
    assert writer.remarks == ([f"{copy}: {gap}"] if suffix == ".avi" else [])


def test_damaged_sound_costs_nothing_else(tmp_path: Path) -> None:
    path, copy = encode(tmp_path / "a.ts", frames=10, sound=("aac", 1.5)), tmp_path / "b.mp4"
    with av.open(str(path)) as container:
        places = [packet.pos for packet in container.demux(audio=0) if packet.pos]
    header = path.read_bytes().index(b"\xff\xf1", places[1] + 40)
    blank(path, header, header + 2)
    copy_film(path, copy)
    assert len(read(copy)[0]) == 10
    assert sound_of(copy)[-1][1] == pytest.approx(1.5, abs=0.1)


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_joined_recordings_have_no_gap_and_keep_their_sound(suffix: str, tmp_path: Path) -> None:
    copy = tmp_path / f"b{suffix}"
    parts = [
        encode(tmp_path / f"{layout}.ts", frames=15, sound=("ac3", 1.5), layout=layout)
        for layout in ("5.1", "stereo")
    ]
    reader, _ = copy_film(join(tmp_path / "a.ts", *parts), copy)
    assert reader.done >= 29
    times = [time for _, time in sound_of(copy)]
    assert times[-1] == pytest.approx(3.0, abs=0.1)
    assert 0 < np.diff(times).min() <= np.diff(times).max() < 0.1
    parts = [encode(tmp_path / f"{shift}.ts", shift=shift) for shift in (0, 3000)]
    frames, _ = read(join(tmp_path / "a.ts", *parts))  # of which something was cut out
    assert len(frames) >= 23
    assert np.diff([frame.time_seconds for frame in frames]).max() < 0.3


def test_h264_or_an_encoder_that_is_named(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = clip.read_bytes()
    assert content.find(b"moov") < content.find(b"mdat")  # its index is in front
    with av.open(str(clip)) as container:
        codec = container.streams.video[0].codec_context
        assert (codec.name, codec.pix_fmt, codec.width) == ("h264", "yuv420p", 320)
    monkeypatch.setattr(writing, "H264", ("libx269", "mpeg4"))
    with VideoWriter(tmp_path / "a.mp4") as writer:
        writer.write(Frame(0, 0.0, scene(0)))
    assert writer.remarks == [f"{tmp_path / 'a.mp4'}: written by mpeg4, as PyAV has no libx269"]
    assert len(read(tmp_path / "a.mp4")[0]) == 1
    monkeypatch.setattr(writing, "H264", ("libx269",))
    with pytest.raises(OSError, match="no encoder for it: libx269"):
        write_frames(tmp_path / "b.mp4", scenes(1))
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


@pytest.mark.parametrize("suffix", WRITABLE_SUFFIXES)
@pytest.mark.parametrize("limit", [0, 3000])
def test_a_full_disk_leaves_the_old_film(suffix: str, limit: int, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(b"old")
    noise = np.random.default_rng(0).integers(0, 255, (20, 160, 320, 3), np.uint8)
    frames = [Frame(number, number / 30, image) for number, image in enumerate(noise)]
    with file_size_limit(limit), pytest.raises(OSError, match="is the disk full") as caught:
        write_frames(path, frames)
    assert caught.value.filename == str(path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_interrupt_before_the_first_frame_leaves_the_old_film(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    path = tmp_path / "a.mp4"
    path.write_text("old")
    for name in ("_choose_encoder", "_add_sound"):
        monkeypatch.setattr(VideoWriter, name, interrupt)
        with pytest.raises(KeyboardInterrupt), VideoWriter(path) as writer:
            writer.write(Frame(0, 0.0, scene(0)))
        assert path.read_text() == "old"
        assert [*tmp_path.iterdir()] == [path]
        monkeypatch.undo()


def test_frames_that_no_encoder_or_format_takes(tmp_path: Path) -> None:
    wide = [Frame(0, 0.0, np.zeros((2, 19200, 3), np.uint8))]
    far_apart = [Frame(0, 0.0, scene(0)), Frame(1, 3000.0, scene(1))]
    for name, frames, cause in (
        ("a.mp4", wide, "frames of 19200x2 pixels too large"),
        ("a.avi", far_apart, "a gap this long: use .mp4"),
    ):
        with pytest.raises(OSError, match=cause):
            write_frames(tmp_path / name, frames, rate=25)
    assert list(tmp_path.iterdir()) == []
    assert len(read(write_frames(tmp_path / "a.mp4", far_apart, rate=25))[0]) == 2


def test_frames_are_images_as_elsewhere(tmp_path: Path) -> None:
    grey = [Frame(number, number / 10, scene(number)[:, :, 0]) for number in range(3)]
    shown, _ = read(write_frames(tmp_path / "a.mp4", grey))
    assert len(shown) == 3
    assert np.abs(shown[2].image[:, :, 0] - grey[2].image.astype(int)).mean() < 3
    with pytest.raises(ValueError, match=r"must be finite\. Received: nan"):
        write_frames(tmp_path / "b.mp4", [Frame(0, float("nan"), scene(0))])
    for rate in (-5, float("nan"), 1e-9):
        with pytest.raises(ValueError, match=f"`rate` must be at least 0.001.*{rate}"):
            VideoWriter(tmp_path / "b.mp4", rate=rate)
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_names_that_are_not_utf8_are_refused(clip: Path, tmp_path: Path) -> None:
    name = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.mp4")
    Path(name).write_bytes(clip.read_bytes())
    with pytest.raises(ValueError, match="must be UTF-8"):
        VideoReader(name)
    with pytest.raises(ValueError, match="must be UTF-8"):
        VideoWriter(name)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """Give a folder and its address on this machine."""
    folder = tmp_path_factory.mktemp("served")
    with static_host(folder) as (address, _):
        yield folder, address


def playlist(*names: object) -> str:
    entries = "".join(f"#EXTINF:2,\n{name}\n" for name in names)
    return f"#EXTM3U\n#EXT-X-TARGETDURATION:3\n{entries}#EXT-X-ENDLIST\n"


LISTS: dict[str, Callable[[Path], str]] = {
    "a.ffconcat": lambda film: f"ffconcat version 1.0\nfile '{film}'\n",
    "b.mp4": lambda film: f"ffconcat version 1.0\nfile {film.name}\n",
    "c.m3u8": lambda film: playlist(film),
    "d.m3u8": lambda film: playlist(f"../{film.parent.name}/{film.name}"),
    "e.m3u8": lambda film: playlist(f"file://{film}"),
    "f.sdp": lambda _: "v=0\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
}


@pytest.mark.parametrize("name", LISTS)
def test_no_list_opens_another_file(name: str, served: tuple[Path, str], tmp_path: Path) -> None:
    folder, address = served
    film = tmp_path / "film.ts"  # which is not served
    encode(film)
    (folder / name).write_text(LISTS[name](film))
    with pytest.raises(ValueError, match="is not a video"):
        VideoReader(str(folder / name))
    with pytest.raises(OSError, match="does not open"):
        VideoReader(f"{address}{name}")


def test_films_and_streams_behind_an_address(served: tuple[Path, str]) -> None:
    folder, address = served
    encode(folder / "a.mkv", frames=12)
    encode(folder / "a.ts", frames=12)
    (folder / "live.m3u8").write_text(playlist("a.ts"))
    for name in ("a.mkv", "a.ts", "live.m3u8"):
        times = [frame.time_seconds for frame in read_whole(f"{address}{name}", 12)]
        assert times == pytest.approx(np.arange(12) / 10)
    film = write_frames(folder / "cut.mkv", scenes(20)).read_bytes()
    (folder / "cut.mkv").write_bytes(film[: len(film) // 2])
    frames, reader = read(f"{address}cut.mkv")
    assert 0 < len(frames) < 20
    assert reader.losses[-1].endswith("; its header promises 2.0 s")


def test_a_film_that_came_whole_was_not_cut_off(tmp_path: Path) -> None:
    film = encode(tmp_path / "a.mkv", frames=10, sound=("mp2", 1.0)).read_bytes()
    with raw_host(OK + film, ends=True) as address:
        frames, reader = read(address.replace("http", "HTTP"))
    assert (len(frames), reader.losses, reader.sound.is_whole) == (10, [], True)


@pytest.mark.parametrize("scheme", ["file", "concat", "lavfi", "data", "subfile"])
def test_other_addresses_are_refused(scheme: str, clip: Path) -> None:
    with pytest.raises(ValueError, match="an address must begin with one of http"):
        VideoReader(f"{scheme}://{clip}")


@needs_proc
@pytest.mark.parametrize("path", ["/proc/self/environ", "/dev/zero", "/proc/self/mem"])
def test_devices_and_links_to_them_are_refused(path: str, tmp_path: Path) -> None:
    link = tmp_path / "a.mp4"
    link.symlink_to(path)
    for name in (path, link):
        with pytest.raises(ValueError, match="a pipe or device"):
            VideoReader(name)


def test_frames_are_bounded_before_they_are_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("minixception.video.opening.LARGEST_FRAME", 320 * 160 - 1)
    with pytest.raises(ValueError, match="320x160 pixels; at most"):
        VideoReader(str(encode(tmp_path / "a.mp4")))
    monkeypatch.setattr("minixception.video.opening.LARGEST_FRAME", 320 * 160)
    with pytest.raises(ValueError, match="640x160 pixels; at most"):
        read(encode(tmp_path / "b.mp4", sample_aspect_ratio=Fraction(2)))


def test_display_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    if os.name == "posix" and Path("/proc").exists():
        assert video_window.display_problem() == "there is no display"
        monkeypatch.setenv("DISPLAY", ":93")  # nobody listens: Qt would end the process
        assert "cannot open" in str(video_window.display_problem())
    monkeypatch.setattr(sys, "frozen", True, raising=False)  # as PyInstaller does
    opened: list[str] = []
    for name in ("namedWindow", "resizeWindow", "destroyAllWindows"):
        monkeypatch.setattr(cv2, name, lambda *_, name=name: opened.append(name))
    assert video_window.display_problem() is None
    assert opened == ["namedWindow", "resizeWindow", "destroyAllWindows"]


class FakeCapture:
    """A camera that loses frames, fails and then goes away."""

    def __init__(self, *_: object) -> None:
        self.isOpened = lambda: True
        self.set = self.release = lambda *_: None
        self.frames: Any = iter("xx--x-!0xx")

    def read(self) -> tuple[bool, np.ndarray | None]:
        frame = next(self.frames, "-")
        if frame == "!":
            raise cv2.error("broken frame")
        height = 0 if frame == "0" else 48
        return frame != "-", None if frame == "-" else np.zeros((height, 64, 3), np.uint8)


def test_camera(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "VideoCapture", FakeCapture)
    with Camera("0") as camera:
        assert camera.rate is None
        times = [frame.time_seconds for frame in camera]
    assert len(times) == 5
    assert times[0] == 0
    assert np.all(np.diff(times) > 0)
    monkeypatch.chdir(tmp_path)
    assert is_camera("0")
    write_frames(tmp_path / "0.mp4", scenes(3)).rename("0")  # a file named like a camera
    assert not is_camera("0")
    assert len(read("0")[0]) == 3
