"""Video files and streams, read by FFmpeg (PyAV) as their containers say."""

import math
from collections.abc import Iterator
from concurrent.futures import Future, wait
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.filter import Graph
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from minixception.messages import counted
from minixception.video.cameras import Frame
from minixception.video.deinterlacing import deinterlacer, filtered
from minixception.video.opening import choose_decoder, in_thread, open_pictures, require_bounded
from minixception.video.turning import display_matrix, turn_upright
from minixception.video.writer import SLOWEST_RATE, UNKNOWN_RATE, Sound, usual_colours

LARGEST_DAMAGE = 1000  # errors: in a damaged file, reading fails once per lost packet
LONGEST_GAP = 10.0  # seconds in a broadcast; FFmpeg's `dts_delta_threshold` is the same
UNKNOWN_SOUND = 1.0  # at most, of a packet that does not say, as WavPack in Matroska
LONGEST_LAG = 60.0  # seconds from a sound to the picture beside it
LARGEST_HOLE = 100_000  # frames; times may be damaged too
# These have at most a kilobyte of headers between packets; a larger gap is damage.
DENSE, LARGEST_HEAD = ("matroska,webm", "flv", "mxf", "nut"), 1024
# These decoders drop frames silently, but give one for each packet, which others need not.
SILENT = ("hevc", "libdav1d", "av1")
# These know which frames before the first key frame can be decoded with it.
LEADING = ("hevc", "vvc", "mpeg1video", "mpeg2video")
FASTEST_RATE = 1000.0  # some recorders write 90000 for "no fixed rate"
INDEXED = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm")  # any time can be sought in these
HDR = {16: "PQ", 18: "HLG"}  # numbers of FFmpeg's AVColorTransferCharacteristic
_BROADCAST = av.format.Flags.ts_discont.value  # begin at any time and frame
_UNMEASURED = _BROADCAST | av.format.Flags.generic_index.value  # FFmpeg estimates their length


@dataclass(eq=False)
class _Mark:
    """What accompanies a packet to its frame; the time is in seconds."""

    time: float
    is_key: bool = False
    is_lost: bool = False
    ratio: Any = None  # width of a pixel by its height


class VideoReader(AbstractContextManager["VideoReader"]):
    """A video file or stream, opened; iterate over it once to get its frames.

    They are upright, deinterlaced, with square pixels, at the times of the container. Frames that
    cannot be decoded, or depend on such frames, are left out.

    Args:
        source: a path, or an address with "://".
        with_sound: keep the sound for a `VideoWriter`, which must take it.

    Attributes:
        rate: frames per second, None if unknown.
        promised: about how many frames there should be; 0 if unknown.
        length: about the latest time in seconds, if parts can be read alone; else 0.
        done: frames given so far.
        sound: empty unless asked for.
        remarks: what was done to the frames so far.

    Raises:
        OSError: if it is missing or does not open.
        ValueError: if the file is not a video, or its frames are too large.
    """

    def __init__(self, source: str | Path, *, with_sound: bool = False) -> None:
        self.source = str(source)
        self._is_local = "://" not in self.source
        self._stream = open_pictures(self.source)
        self._container = self._stream.container
        self._codec = choose_decoder(self._stream)
        self._first_ratio = self._codec.sample_aspect_ratio
        # Only the stream's own decoder knows how the film is turned; None until it was asked.
        self._matrix: list[int] | None = [] if self._codec is self._stream.codec_context else None
        rate = float(self._stream.guessed_rate or self._stream.average_rate or 0)
        self.rate = rate if SLOWEST_RATE <= rate <= FASTEST_RATE else None
        self._step = 1 / (self.rate or UNKNOWN_RATE)
        form = self._container.format
        start = (self._container.start_time or 0) / av.time_base
        seconds, frames = (self._container.duration or 0) / av.time_base, self._stream.frames
        if form.name == "avi":  # FFmpeg gives what is left of a truncated one, and may count fields
            seconds, frames = float(frames / (self._stream.average_rate or UNKNOWN_RATE)), 0
        self._is_broadcast = bool(form.flags & _BROADCAST)
        self.promised = frames or round(seconds * (self.rate or 0))
        seconds += start * (form.name == INDEXED[0])  # the others count from 0
        self._promised_end = 0.0 if form.flags & _UNMEASURED else seconds
        self.length = seconds if form.name in INDEXED else 0.0
        sounds = self._container.streams.audio if with_sound else ()
        # Players begin with the earliest picture or sound. A raw stream has no times.
        origin = math.inf if self._container.start_time is None else start * self._is_broadcast
        self.sound = Sound(sounds, origin)
        self.remarks: list[str] = []
        if hdr := HDR.get(self._stream.codec_context.color_trc):
            self.remarks.append(f"{self.source}: HDR ({hdr}) is not tone-mapped; colours are pale")
        self.done, self._shown, self._end = 0, -math.inf, 0.0  # times given and read until now
        # Seconds added to times before and after the last join; and when a picture should follow.
        self._shifts, self._following = (0.0, 0.0), math.nan
        self._missing: set[_Mark] = set()  # of frames that are to come, or never will
        self._reformatter = VideoReformatter()
        self._coming: list[Future[Frame | None]] = []  # the next frame
        self._is_over = False

    def __exit__(self, *_: object) -> None:
        if self._is_stopped():  # else it is closed once its thread lets go of it
            self._container.close()

    def end(self) -> None:
        """Give no more frames; a handler of signals may call this."""
        self._is_over = True

    def end_at(self, frame: Frame) -> None:
        """End with a frame: what was read ahead of it is neither counted nor reported."""
        self._is_stopped()
        self.done, self._shown = frame.number + 1, frame.time_seconds
        self.sound.is_whole = False

    def go_before(self, seconds: float) -> None:
        """Skip what is more than a second before a time, where the format has an index."""
        if seconds > 1 and self.length:
            with suppress(av.FFmpegError):
                self._container.seek(round((seconds - 1) * av.time_base))

    def reaches(self, seconds: float) -> bool:
        """Tell whether `go_before` finds its place; in a damaged file it may not."""
        self.go_before(seconds)
        with suppress(av.FFmpegError):
            return _seconds(next(self._container.demux(self._stream)), math.inf) <= seconds
        return False

    def __iter__(self) -> Iterator[Frame]:
        """Return the frames; ValueError the second time."""
        if self._coming:
            raise ValueError(f"{self.source} is read only once: keep its iterator, or reopen it")
        frames = self._frames()
        self._coming = [in_thread(next, frames, None)]
        return self._give(frames)

    def _give(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        """Give the frames; the next one is decoded while the last one is worked on."""
        while not self._is_over:
            if wait(self._coming, timeout=0.1).not_done:  # a network may be silent
                continue
            if (frame := self._coming[0].result()) is None:
                self._shown = math.inf
                return
            self._coming = [in_thread(next, frames, None)]
            self.done, self._shown = frame.number + 1, frame.time_seconds
            yield frame

    def _is_stopped(self) -> bool:
        """End, and tell whether nothing reads the container any more; a network may not answer."""
        self.end()
        return not wait(self._coming, None if self._is_local else 1.0).not_done

    @property
    def lost(self) -> list[float]:
        """The times of the frames so far that cannot be decoded, in seconds."""
        times = [mark.time - self.sound.origin for mark in list(self._missing)]
        return [time for time in times if time <= self._shown]

    @property
    def losses(self) -> list[str]:
        """What is missing in the video so far."""
        return [*describe_lost(self.source, len(self.lost), self.done), *self.cuts]

    @property
    def cuts(self) -> list[str]:
        """Where the video ends too early, once it was read to its end."""
        cut = f"{self.source}: it was cut off at {self._end - self.sound.origin:.1f} s"
        if is_short := self._is_short():
            cut += f"; its header promises {self._promised_end:.1f} s"
        return [cut] if self._shown == math.inf and (is_short or not self.sound.is_whole) else []

    def _is_short(self) -> bool:
        return self._promised_end - self._end > 0.1 + 1 / (self.rate or 1)  # padding and a frame

    def _packets(self) -> Iterator[tuple[Any, bool]]:
        """Give the packets of pictures, and whether bytes before them are lost; keep the sound."""
        largest_gap = LARGEST_HEAD if self._container.format.name in DENSE else math.inf
        place, is_torn = math.inf, False
        for _ in range(LARGEST_DAMAGE if self._is_local else 1):
            with suppress(av.FFmpegError):
                for packet in self._container.demux():
                    if packet.dts is None and not packet.size:  # the end
                        self.sound.is_whole = True
                        return
                    is_torn |= (packet.pos or 0) > place + largest_gap
                    place = math.inf if packet.pos is None else packet.pos + packet.size
                    is_picture = packet.stream == self._stream
                    if self._is_broadcast and None not in (packet.pts, packet.dts):
                        self._join(packet, is_picture)
                    unknown = UNKNOWN_SOUND * (packet.stream.type == "audio")
                    duration = float((packet.duration or 0) * packet.time_base) or unknown
                    # A track of time codes is one packet, as long as the film.
                    if packet.dts is not None and (is_picture or duration < LONGEST_LAG):
                        self._end = max(self._end, _seconds(packet, 0.0) + duration)
                    if is_picture and packet.size:
                        yield packet, is_torn
                        is_torn = False
                    elif packet.dts is not None and packet.stream in self.sound.streams:
                        self.sound.packets.append(packet)
        # A server that does not say how much it sends ends with an error.
        self.sound.is_whole = self._promised_end > 0 and not self._is_short()

    def _join(self, packet: Any, is_picture: bool) -> None:
        """Make times run on where recordings were joined or cut, each with its own start."""
        time, several = float(packet.dts * packet.time_base), 5 * self._step
        late = time + self._shifts[-1] - self._following
        if is_picture and (late < -max(0.5, several) or late > max(LONGEST_GAP, several)):
            self._shifts = (self._shifts[-1], self._following - time)
        # The last sounds of a recording come after the first pictures of the next.
        shift = min(self._shifts[is_picture:], key=lambda one: abs(time + one - self._following))
        ticks = round(shift / packet.time_base)
        packet.pts, packet.dts = packet.pts + ticks, packet.dts + ticks
        if is_picture:
            self._following = time + shift + self._step
        elif abs(time + shift - self._following) > max(LONGEST_LAG, several):
            packet.dts = None  # it is damaged, and left out

    def _wanted(self) -> Iterator[Any]:
        """Give the packets that do not depend on lost ones, with marks; note the others."""
        is_silent = self._codec.name in SILENT
        # What is before `begin` cannot be decoded. It counts as lost from `counted_from` on; before
        # that, it is in a hole that was counted, or the recording began there.
        begin, latest, opening = math.inf, -math.inf, -math.inf  # `opening`: the first key frame
        counted_from = math.inf if self._is_broadcast or not self._is_local else -math.inf
        for packet, is_torn in self._packets():
            time = _seconds(packet, max(latest + self._step, 0.0))  # a raw stream has no times
            holes = round((time - latest) / self._step) - 1 if is_torn and latest > -math.inf else 0
            if holes > 0:
                begin, counted_from = math.inf, time
                numbers = range(1, min(holes, LARGEST_HOLE) + 1)
                self._missing.update(_Mark(latest + self._step * number) for number in numbers)
            latest = max(latest, time)
            if packet.is_keyframe:
                begin = min(begin, time)
                opening = begin if opening == -math.inf else opening
            is_leading = time < begin == opening
            mark = _Mark(time, packet.is_keyframe, packet.is_corrupt and is_silent)
            is_watched = is_silent and packet.pts is not None  # by its time
            is_counted = is_watched if time >= begin else time >= counted_from
            if is_counted and not is_leading and not packet.is_discard:
                self._missing.add(mark)
            if time >= begin or (is_leading and self._codec.name in LEADING):
                packet.opaque = mark
                yield packet
                if packet.is_corrupt or mark.is_lost:  # the packet or its frame
                    begin, counted_from = math.inf, -math.inf

    def _decoded(self) -> Iterator[Any]:
        """Give the frames, except those that would show something made up."""
        is_spoilt, end = False, av.Packet()
        end.opaque = _Mark(math.nan)  # which is not missing, whatever happens
        for packet in chain(self._wanted(), [end]):
            if self._matrix is None:
                with suppress(av.FFmpegError):
                    for frame in self._stream.codec_context.decode(packet):
                        self._matrix = display_matrix(frame)
            try:
                frames = self._codec.decode(packet)
            except av.FFmpegError:
                frames, packet.opaque.is_lost = [], True
                self._missing.add(packet.opaque)
            # Frames come later where their order changes.
            packet.opaque.ratio = self._codec.sample_aspect_ratio
            for frame in frames:
                mark = frame.opaque or _Mark(math.inf, is_lost=True)  # made up, without a packet
                is_spoilt = (is_spoilt and not mark.is_key) or frame.is_corrupt or mark.is_lost
                if is_spoilt:
                    self._missing.add(mark)
                else:
                    self._missing.discard(mark)
                    yield frame

    def _pictures(self) -> Iterator[Any]:
        """Give the frames, deinterlaced from the first one with fields."""
        made = f"{self.source}: its frames are interlaced; deinterlaced (bwdif)"
        graph: Graph | None = None
        shape: tuple[Any, ...] = ()
        lost = 0
        for frame in self._decoded():
            frame.time_base = self._stream.time_base  # unset in the last ones
            if self._container.format.name in ("avi", "mpegvideo"):  # which have no other times
                frame.pts = frame.dts
            lost = len(self._missing) if frame.opaque.is_key else lost
            before, shape = shape, (frame.width, frame.height, frame.format.name, lost)
            if before != shape:  # nor do fields go with those before a gap
                yield from filtered(graph, None)
                graph = None
            if graph is None and frame.interlaced_frame:
                self.remarks += [made] * (made not in self.remarks)
                graph = deinterlacer(frame)
            yield from filtered(graph, frame)
        yield from filtered(graph, None)

    def _frames(self) -> Iterator[Frame]:
        """Give the frames as they are to be seen; their times grow, whatever the file says."""
        wrong = f"{self.source}: the times of some frames are wrong; those beside them are used"
        last = -math.inf
        for number, (picture, after) in enumerate(pairwise(chain(self._pictures(), [None]))):
            if number == 0:
                self.sound.origin = min(self.sound.origin, picture.time or 0.0)
            own, following = self._time(picture), self._time(after)
            # A frame with a wrong time is shown for a moment and does not move the others.
            if (is_late := last < following < own) or own < last - self._step:
                self.remarks += [wrong] * (wrong not in self.remarks)
            if is_late:
                own = min(last + self._step, (last + following) / 2)
            time = last + self._step if math.isnan(own) else own
            last = max(time, last + self._step / 1000, 0.0)
            duration = 0.0 if after else float((picture.duration or 0) * picture.time_base)
            yield Frame(number, last, self._pixels(picture), picture.opaque.is_key, duration)

    def _time(self, picture: Any) -> float:
        """Return when a picture is shown, in seconds; NaN if there is none, or it has no time."""
        time = None if picture is None else picture.time
        return math.nan if time is None else time - self.sound.origin

    def _pixels(self, picture: Any) -> NDArray[np.uint8]:
        """Return a frame in RGB with square pixels, turned by its display matrix."""
        own = picture.opaque.ratio
        ratio = (self._stream.sample_aspect_ratio if own == self._first_ratio else own) or 1
        # Enlarging one side loses nothing; shrinking the other would.
        width, height = round(picture.width * max(ratio, 1)), round(picture.height / min(ratio, 1))
        require_bounded(width, height, self.source)
        if picture.colorspace == 2:  # it does not say
            picture.colorspace = usual_colours(picture.width, picture.height)
        rgb = self._reformatter.reformat(picture, width, height, "rgb24", interpolation="BICUBIC")
        return turn_upright(rgb.to_ndarray(), display_matrix(picture) or self._matrix or [])


def _seconds(packet: Any, otherwise: float) -> float:
    ticks = packet.dts if packet.pts is None else packet.pts
    return otherwise if ticks is None else float(ticks * packet.time_base)


def describe_lost(source: str, lost: int, done: int) -> list[str]:
    """Return what to say of so many lost frames beside those that were decoded."""
    count = f"{lost} of {counted(lost + done, 'frame')} cannot be decoded; left out"
    return [f"{source}: it is damaged; {count}"] if lost else []
