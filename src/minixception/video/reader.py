"""Films and streams, read by FFmpeg (PyAV) as their containers say."""

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from typing import Any

import av
import numpy as np
from av.filter import Graph
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from minixception.video.cameras import Frame
from minixception.video.opening import choose_decoder, open_pictures, require_bounded
from minixception.video.writer import UNKNOWN_RATE, Sound

# Where a file is damaged, reading fails once per lost packet and then goes on.
LARGEST_DAMAGE = 1000
LARGEST_HOLE = 100_000  # frames; times may be damaged too
# In these at most a kilobyte of heads lies between packets: what is more is damaged.
DENSE = ("matroska,webm", "flv", "mxf", "nut")
LARGEST_HEAD = 4096  # bytes
# These decoders drop frames without a word, and give one for each packet, which others need not.
SILENT = ("hevc", "libdav1d", "av1")
# Some recorders write 90000 for "no fixed rate".
SLOWEST_RATE, FASTEST_RATE = 0.001, 1000.0
INDEXED = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm")  # every time of theirs can be gone to
HDR = {16: "PQ", 18: "HLG"}  # numbers of FFmpeg's AVColorTransferCharacteristic
_BROADCAST = av.format.Flags.ts_discont.value  # their times begin anywhere, at any frame
_UNMEASURED = _BROADCAST | av.format.Flags.generic_index.value  # FFmpeg estimates their length


@dataclass(eq=False)
class _Mark:
    """What goes with a packet to its frame; the time is in seconds."""

    time: float
    is_key: bool = False
    is_lost: bool = False


class VideoReader:
    """A film or a stream, opened; iterate over it once to get its frames.

    They come upright, deinterlaced, with square pixels, at the times of the container. Those that
    cannot be decoded are missing, and so is what a lost one would spoil.

    Args:
        source: a path, or an address with "://".
        with_sound: put the sound aside for a `VideoWriter`, which must take it.

    Attributes:
        rate: frames per second, None if unknown.
        promised: frames that there should be, about; 0 if unknown.
        length: the latest time in seconds, about, if parts can be read alone; 0 if not.
        done: frames given so far.
        sound: empty unless asked for.
        remarks: what was done to the frames so far.

    Raises:
        OSError: if it is missing or does not open.
        ValueError: if the file is no film, or its frames are too large.
    """

    def __init__(self, source: str, *, with_sound: bool = False) -> None:
        self.source = source
        self._is_local = "://" not in source
        self._stream = open_pictures(source)
        self._container = self._stream.container
        self._codec = choose_decoder(self._stream)
        self._first_ratio = self._codec.sample_aspect_ratio
        rate = float(self._stream.guessed_rate or self._stream.average_rate or 0)
        self.rate = rate if SLOWEST_RATE <= rate <= FASTEST_RATE else None
        self._step = 1 / (self.rate or UNKNOWN_RATE)
        form = self._container.format
        start = (self._container.start_time or 0) / av.time_base
        seconds = (self._container.duration or 0) / av.time_base
        if form.name == "avi":  # for the rest of a cut one, FFmpeg says
            seconds = float(self._stream.frames / (self._stream.average_rate or UNKNOWN_RATE))
        self._is_broadcast = bool(form.flags & _BROADCAST)
        self._promised_end = seconds if self._is_local and not form.flags & _UNMEASURED else 0.0
        self.promised = self._stream.frames or round(seconds * (self.rate or 0))
        self.length = start + seconds if form.name in INDEXED else 0.0
        sounds = self._container.streams.audio if with_sound else ()
        # Players begin with the earliest picture or sound.
        self.sound = Sound(sounds, start if self._is_broadcast else 0.0)
        hdr = HDR.get(self._stream.codec_context.color_trc)
        pale = f"{source}: HDR ({hdr}) is not tone-mapped; colours are pale"
        self.remarks = [pale] if hdr else []
        self.done, self._shown = 0, -math.inf  # the time of the last frame given
        self._end, self._is_at_end = 0.0, False  # the end of what was read, in seconds
        self._missing: set[_Mark] = set()  # of frames that should come, or do not
        self._reformatter = VideoReformatter()

    def __enter__(self) -> "VideoReader":
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()

    def go_before(self, seconds: float) -> None:
        """Leave out what comes a second or more before a time, where the format has an index."""
        if seconds > 1 and self.length:
            with suppress(av.FFmpegError):
                self._container.seek(round((seconds - 1) * av.time_base))

    def reaches(self, seconds: float) -> bool:
        """Tell whether `go_before` leads where it should, and not astray in a damaged file."""
        self.go_before(seconds)
        with suppress(av.FFmpegError):
            return _seconds(next(self._container.demux(self._stream)), math.inf) <= seconds
        return False

    def __iter__(self) -> Iterator[Frame]:
        """Give the frames; the next one is decoded while the last one is worked on."""
        frames = self._frames()
        with ThreadPoolExecutor(1) as thread:
            coming = thread.submit(next, frames, None)
            while (frame := coming.result()) is not None:
                coming = thread.submit(next, frames, None)
                self.done, self._shown = frame.number + 1, frame.time_seconds
                yield frame
        self._is_at_end = True

    @property
    def lost(self) -> list[float]:
        """The times of the frames so far that cannot be decoded, in seconds."""
        times = [mark.time - self.sound.origin for mark in list(self._missing)]
        return [time for time in times if self._is_at_end or time < self._shown]

    @property
    def losses(self) -> list[str]:
        """What the film lacks, once it was read to its end."""
        return [*describe_lost(self.source, len(self.lost), self.done), *self.cuts]

    @property
    def cuts(self) -> list[str]:
        """Where the film ends too early, once it was read to its end."""
        cut = f"{self.source}: it was cut off at {self._end - self.sound.origin:.1f} s"
        # One frame, and what sound is padded by.
        if is_short := self._promised_end - self._end > 0.1 + 1 / (self.rate or 1):
            cut += f"; its header promises {self._promised_end:.1f} s"
        return [cut] if self._is_at_end and (is_short or not self.sound.is_whole) else []

    def _packets(self) -> Iterator[tuple[Any, bool]]:
        """Give the packets of pictures, and whether bytes are lost before; put sound aside."""
        largest_gap = LARGEST_HEAD if self._container.format.name in DENSE else math.inf
        place, is_torn = math.inf, False
        for _ in range(LARGEST_DAMAGE if self._is_local else 1):
            with suppress(av.FFmpegError):
                for packet in self._container.demux():
                    is_torn |= (packet.pos or 0) > place + largest_gap
                    place = math.inf if packet.pos is None else packet.pos + packet.size
                    is_picture = packet.stream == self._stream
                    if packet.dts is not None and (is_picture or packet.stream.type == "audio"):
                        end = (packet.pts or packet.dts) + (packet.duration or 0)
                        self._end = max(self._end, float(end * packet.time_base))
                    if is_picture and packet.size:
                        yield packet, is_torn
                        is_torn = False
                    elif packet.dts is not None and packet.stream in self.sound.streams:
                        self.sound.packets.append(packet)
                self.sound.is_whole = True
                return

    def _wanted(self) -> Iterator[Any]:
        """Give the packets, marked, that do not build on what is lost; note those that do."""
        is_silent = self._codec.name in SILENT
        # What comes before `begin` cannot be decoded. It is lost from `counted_from` on; before, it
        # is counted as part of a hole, or the film was joined in the middle.
        begin, latest = math.inf, -math.inf
        counted_from = math.inf if self._is_broadcast or not self._is_local else -math.inf
        for packet, is_torn in self._packets():
            time = _seconds(packet, max(latest + self._step, 0.0))  # a raw stream has no times
            holes = round((time - latest) / self._step) - 1 if is_torn and latest > -math.inf else 0
            if holes > 0:
                begin, counted_from = math.inf, time
                numbers = range(1, min(holes, LARGEST_HOLE) + 1)
                self._missing.update(_Mark(latest + self._step * number) for number in numbers)
            latest = max(latest, time)
            begin = min(begin, time) if packet.is_keyframe else begin
            mark = _Mark(time, packet.is_keyframe, packet.is_corrupt and is_silent)
            is_watched = is_silent and packet.pts is not None  # by its time
            if not packet.is_discard and (is_watched if time >= begin else time >= counted_from):
                self._missing.add(mark)
            if time >= begin:
                packet.opaque = mark
                yield packet
                if packet.is_corrupt or mark.is_lost:  # itself or what follows
                    begin, counted_from = math.inf, -math.inf

    def _decoded(self) -> Iterator[Any]:
        """Give the frames, but for those that would show something made up."""
        is_spoilt = False
        for packet in chain(self._wanted(), [None]):
            try:
                frames = self._codec.decode(packet)
            except av.FFmpegError:
                frames = []
                if packet is not None:
                    packet.opaque.is_lost = True
                    self._missing.add(packet.opaque)
            for frame in frames:
                mark = frame.opaque or _Mark(math.inf, is_lost=True)  # of no packet: made up
                is_spoilt = (is_spoilt and not mark.is_key) or frame.is_corrupt or mark.is_lost
                if is_spoilt:
                    self._missing.add(mark)
                else:
                    self._missing.discard(mark)
                    yield frame

    def _pictures(self) -> Iterator[Any]:
        """Give the frames, deinterlaced once there were fields."""
        made = f"{self.source}: its frames are interlaced; deinterlaced (bwdif)"
        graph: Graph | None = None
        shape: tuple[Any, ...] = ()
        lost = 0
        for frame in self._decoded():
            frame.time_base = self._stream.time_base  # unset in the last ones
            if self._container.format.name == "avi":  # which has no other times
                frame.pts = frame.dts
            lost = len(self._missing) if frame.opaque.is_key else lost
            before, shape = shape, (frame.width, frame.height, frame.format.name, lost)
            if before != shape:  # nor do fields go with those before a gap
                yield from _filter(graph, None)
                graph = None
            if graph is None and frame.interlaced_frame:
                self.remarks += [made] * (made not in self.remarks)
                graph = _deinterlacer(frame)
            yield from _filter(graph, frame)
        yield from _filter(graph, None)

    def _frames(self) -> Iterator[Frame]:
        """Give the frames as they are to be seen; their times grow, whatever the file says."""
        last, shift = -math.inf, -self.sound.origin
        for number, picture in enumerate(self._pictures()):
            time = last + self._step if picture.time is None else picture.time + shift
            if self._is_broadcast and time < last - max(0.5, 5 * self._step):  # joined recordings
                shift += last + self._step - time
                time = last + self._step
            # A frame in the wrong place is shown for a moment, and does not move the others.
            last = max(time, last + self._step / 1000, 0.0)
            yield Frame(number, last, self._pixels(picture), picture.opaque.is_key)

    def _pixels(self, picture: Any) -> NDArray[np.uint8]:
        """Return a frame in RGB, its pixels square, as its display matrix wants it."""
        own = self._codec.sample_aspect_ratio
        ratio = (self._stream.sample_aspect_ratio if own == self._first_ratio else own) or 1
        # Growing one side loses nothing, as shrinking the other would.
        width, height = round(picture.width * max(ratio, 1)), round(picture.height / min(ratio, 1))
        require_bounded(width, height, self.source)
        rgb = self._reformatter.reformat(picture, width, height, "rgb24", interpolation="BICUBIC")
        image = rgb.to_ndarray()
        for mark in picture.side_data:
            if mark.type.name == "DISPLAYMATRIX":
                # x' = a x + c y and y' = b x + d y, in 1/65536.
                a, b, _, c, d = np.frombuffer(bytes(mark)[:20], np.int32).tolist()
                if abs(b) > abs(a):
                    image, a, d = image.swapaxes(0, 1), c, b
                image = image[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]
        return np.ascontiguousarray(image)


def _seconds(packet: Any, otherwise: float) -> float:
    ticks = packet.dts if packet.pts is None else packet.pts
    return otherwise if ticks is None else float(ticks * packet.time_base)


def _deinterlacer(frame: Any) -> Graph:
    """Return what makes one frame of two fields, of frames like this one."""
    graph = Graph()
    shape = {name: getattr(frame, name) for name in ("width", "height", "format", "time_base")}
    nodes = graph.add_buffer(**shape), graph.add("bwdif", "mode=send_frame:deint=interlaced")
    graph.link_nodes(*nodes, graph.add("buffersink")).configure()
    return graph


def _filter(graph: Graph | None, frame: Any) -> Iterator[Any]:
    """Give what becomes of a frame; of None, what the filter, if there is one, has kept back."""
    if graph is None:
        yield from [frame] * (frame is not None)
        return
    graph.vpush(frame)
    with suppress(av.BlockingIOError, av.EOFError):
        while True:
            yield graph.vpull()


def describe_lost(source: str, lost: int, done: int) -> list[str]:
    """Return what to say of frames of a film that cannot be decoded, beside those that can."""
    count = f"{lost} of {lost + done} frames cannot be decoded, and are left out"
    return [f"{source}: it is damaged; {count}"] if lost else []
