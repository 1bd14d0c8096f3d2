"""Films and streams, read by FFmpeg (PyAV) as their containers say."""

import math
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.filter import Graph
from numpy.typing import NDArray

from minixception.files import is_special_file, require_utf8
from minixception.video.cameras import Frame
from minixception.video.damage import Damage, time_of
from minixception.video.writer import UNKNOWN_RATE, Sound

# Formats that hold their pictures themselves. Not among them: `concat`, `hls`, `dash`, `sdp`, `imf`
# and `image2`, which open other files by the names in them.
FILM_FORMATS = (
    "apng,asf,avi,dv,flv,gif,gxf,h264,hevc,ivf,m4v,matroska,mjpeg,mov,mpeg,mpegts,mpegvideo,mxf,"
    "nut,obu,ogg,rm,vc1,wtv,yuv4mpegpipe"
)
STREAM_FORMATS = f"{FILM_FORMATS},aac,hls,live_flv,mp3,mpjpeg,rtsp,webvtt"
# Scheme of an address -> what FFmpeg may open for it. Never `file`.
PROTOCOLS = {
    "http": "http,https,httpproxy,tls,tcp,crypto",
    "https": "https,httpproxy,tls,tcp,crypto",
    "rtmp": "rtmp,tcp",
    "rtsp": "rtsp,rtp,udp,tcp",
    **{scheme: scheme for scheme in ("srt", "tcp", "udp")},
}
NETWORK_SECONDS = 30
# Pixels: as for pictures, see `images.read_image`. A frame in 8K has 33 million.
LARGEST_FRAME = 178_956_970
# Where a file is damaged, reading fails once per lost packet and then goes on.
LARGEST_DAMAGE = 1000
# Some recorders write 90000 for "no fixed rate".
SLOWEST_RATE, FASTEST_RATE = 0.001, 1000.0
INDEXED = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm")  # every time of theirs can be gone to
HDR = {16: "PQ", 18: "HLG"}  # numbers of FFmpeg's AVColorTransferCharacteristic
_BROADCAST = av.format.Flags.ts_discont.value  # their times begin anywhere, at any frame
_UNMEASURED = _BROADCAST | av.format.Flags.generic_index.value  # FFmpeg estimates their length
_BOUND = {"max_pixels": str(LARGEST_FRAME)}


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

    Raises:
        OSError: if it is missing or does not open.
        ValueError: if the file is no film, or its frames are too large.
    """

    def __init__(self, source: str, *, with_sound: bool = False) -> None:
        self.source = source
        self._container = _open(source)
        self._stream = _find_pictures(self._container, source)
        self._codec = _decoder(self._stream)
        self._first_ratio = self._codec.sample_aspect_ratio
        rate = float(self._stream.guessed_rate or self._stream.average_rate or 0)
        self.rate = rate if SLOWEST_RATE <= rate <= FASTEST_RATE else None
        start = (self._container.start_time or 0) / av.time_base
        seconds = (self._container.duration or 0) / av.time_base
        if self._container.format.name == "avi":  # for the rest of a cut one, FFmpeg says
            seconds = float(self._stream.frames / (self._stream.average_rate or UNKNOWN_RATE))
        flags = self._container.format.flags
        self._is_broadcast = bool(flags & _BROADCAST)
        is_measured = "://" not in source and not flags & _UNMEASURED
        self._promised_end = seconds if is_measured else 0.0
        self.promised = self._stream.frames or round(seconds * (self.rate or 0))
        self.length = start + seconds if self._container.format.name in INDEXED else 0.0
        sounds = self._container.streams.audio if with_sound else ()
        # Players begin with the earliest picture or sound.
        self.sound = Sound(sounds, start if self._is_broadcast else 0.0)
        self.done = 0
        self._graph: Graph | None = None
        self._shape: tuple[Any, ...] = ()
        self._is_interlaced, self._hdr = False, ""
        self._key_times = deque[float | None](maxlen=4)  # a filter keeps back two frames
        self._end, self._is_at_end = 0.0, False  # the end of what was read, in seconds
        self._damage = Damage(
            self._container.format.name,
            self._codec.name,
            float(1 / (self._stream.time_base * Fraction(self.rate or UNKNOWN_RATE))),
            begins_anywhere=self._is_broadcast or "://" in source,
        )

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
            packet = next(self._container.demux(self._stream))
            return time_of(packet) * float(packet.time_base or 0) <= seconds
        return False

    def __iter__(self) -> Iterator[Frame]:
        """Give the frames; their times grow, whatever the file says."""
        last, step, shift = -math.inf, 1 / (self.rate or UNKNOWN_RATE), -self.sound.origin
        for picture in _read_ahead(self._pictures()):
            time = last + step if picture.time is None else picture.time + shift
            if self._is_broadcast and time < last - max(0.5, 5 * step):  # of joined recordings
                shift += last + step - time
                time = last + step
            # A frame in the wrong place is shown for a moment, and does not move the others.
            last = max(time, last + step / 1000, 0.0)
            self.done += 1
            yield Frame(self.done - 1, last, _turned(picture), picture.time in self._key_times)
        self._is_at_end = True

    @property
    def remarks(self) -> list[str]:
        """What was done to the frames so far."""
        made = f"{self.source}: its frames are interlaced; deinterlaced (bwdif)"
        seen = f"{self.source}: HDR ({self._hdr}) is not tone-mapped; colours are pale"
        return [made] * self._is_interlaced + [seen] * bool(self._hdr)

    @property
    def lost(self) -> int:
        """How many frames could not be decoded so far."""
        return self._damage.lost

    def losses(self) -> list[str]:
        """Return what the film lacks, once it was read to its end."""
        return [*describe_lost(self.source, self.lost, self.done), *self.cuts()]

    def cuts(self) -> list[str]:
        """Return where the film ends too early, once it was read to its end."""
        cut = f"{self.source}: it was cut off at {self._end - self.sound.origin:.1f} s"
        # One frame, and what sound is padded by.
        if is_short := self._promised_end - self._end > 0.1 + 1 / (self.rate or 1):
            cut += f"; its header promises {self._promised_end:.1f} s"
        return [cut] if self._is_at_end and (is_short or not self.sound.is_whole) else []

    def _packets(self) -> Iterator[Any]:
        """Give the packets of the pictures; put those of the sound aside."""
        for _ in range(1 if "://" in self.source else LARGEST_DAMAGE):
            with suppress(av.FFmpegError):
                for packet in self._container.demux():
                    self._damage.follow(packet)
                    is_picture = packet.stream_index == self._stream.index
                    if packet.dts is not None and (is_picture or packet.stream.type == "audio"):
                        end = (packet.pts or packet.dts) + (packet.duration or 0)
                        self._end = max(self._end, float(end * packet.time_base))
                    if is_picture and packet.size:
                        yield packet
                    elif packet.dts is not None and packet.stream in self.sound.streams:
                        self.sound.packets.append(packet)
                self.sound.is_whole = True
                return

    def _decoded(self) -> Iterator[Any]:
        """Give the frames, but for those that would show something made up."""
        for packet in self._packets():
            self._damage.expect(packet)
            if not self._damage.is_spoilt():
                frames = self._decode(packet)
                self._damage.check(packet, is_broken=frames is None)
                yield from filter(self._damage.accepts, frames or ())
        yield from filter(self._damage.accepts, self._decode(None) or ())
        self._damage.finish()

    def _decode(self, packet: Any) -> list[Any] | None:
        try:
            return self._codec.decode(packet)
        except av.FFmpegError:
            return None

    def _pictures(self) -> Iterator[Any]:
        """Give the frames in RGB, with square pixels and, once there were fields, deinterlaced."""
        for frame in self._decoded():
            frame.time_base = self._stream.time_base  # unset in the last ones
            is_key = self._damage.is_key(frame)
            if self._container.format.name == "avi":  # which has no other times
                frame.pts = frame.dts
            if is_key:
                self._key_times.append(frame.time)
            self._hdr = HDR.get(self._stream.codec_context.color_trc, self._hdr)
            self._is_interlaced |= frame.interlaced_frame
            own = self._codec.sample_aspect_ratio
            ratio = self._stream.sample_aspect_ratio if own == self._first_ratio else own
            form = frame.format.name, frame.colorspace, frame.color_range
            shape = frame.width, frame.height, ratio or Fraction(1), form, self._is_interlaced
            if (shape, self.lost) != self._shape:  # nor do fields go with those before a gap
                yield from self._filter(None)
                self._graph, self._shape = self._build(*shape), (shape, self.lost)
            yield from self._filter(frame)
        yield from self._filter(None)

    def _filter(self, frame: Any) -> Iterator[Any]:
        """Give what becomes of a frame; of None, what the filters have kept back."""
        if self._graph is not None:
            self._graph.vpush(frame)
            with suppress(av.BlockingIOError, av.EOFError):
                while True:
                    yield self._graph.vpull()

    def _build(
        self, width: int, height: int, ratio: Fraction, form: tuple[str, int, int], fields: bool
    ) -> Graph:
        # Growing one side loses nothing, as shrinking the other would.
        one = Fraction(1)
        square = round(width * max(ratio, one)), round(height / min(ratio, one))
        _require_bounded(*square, self.source)
        source = (
            f"video_size={width}x{height}:time_base={self._stream.time_base}:pix_fmt={form[0]}:"
            f"colorspace={form[1]}:range={form[2]}"
        )
        filters = [("buffer", source), ("scale", "{}:{}".format(*square)), ("format", "rgb24")]
        if fields:
            filters.insert(1, ("bwdif", "mode=send_frame:deint=interlaced"))
        graph = Graph()
        nodes = [graph.add(name, setting) for name, setting in filters]
        graph.link_nodes(*nodes, graph.add("buffersink")).configure()
        return graph


def _read_ahead(pictures: Iterator[Any]) -> Iterator[Any]:
    """Give what an iterator gives; the next one is decoded while the last one is worked on."""
    with ThreadPoolExecutor(1) as thread:
        coming = thread.submit(next, pictures, None)
        while (picture := coming.result()) is not None:
            coming = thread.submit(next, pictures, None)
            yield picture


def describe_lost(source: str, lost: int, done: int) -> list[str]:
    """Return what to say of frames of a film that cannot be decoded, beside those that can."""
    count = f"{lost} of {lost + done} frames cannot be decoded, and are left out"
    return [f"{source}: it is damaged; {count}"] if lost else []


def _turned(picture: Any) -> NDArray[np.uint8]:
    """Return the pixels of an RGB frame as its display matrix wants them: turned, mirrored."""
    image = picture.to_ndarray()
    for mark in picture.side_data:
        if mark.type.name == "DISPLAYMATRIX":
            # x' = a x + c y and y' = b x + d y, in 1/65536.
            a, b, _, c, d = np.frombuffer(bytes(mark)[:20], np.int32).tolist()
            if abs(b) > abs(a):
                image, a, d = image.swapaxes(0, 1), c, b
            image = image[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]
    return np.ascontiguousarray(image)


def _open(source: str) -> Any:
    """Open a film or stream to read, and nothing that it might name."""
    require_utf8(source)
    scheme, is_address, _ = source.partition("://")
    if is_address:
        if scheme.lower() not in PROTOCOLS:
            schemes = ", ".join(PROTOCOLS)
            raise ValueError(f"an address must begin with one of {schemes}. Received: {source}")
        name, formats, protocols = source, STREAM_FORMATS, PROTOCOLS[scheme.lower()]
        error: Exception = OSError(f"{source} does not open; check the address and the network")
    else:
        if is_special_file(source):
            raise ValueError(f"{source} is a pipe or device; a video is a file, camera or address")
        Path(source).open("rb").close()  # tells why it cannot be read; FFmpeg does not
        # An absolute path: FFmpeg takes what stands before a colon for a protocol.
        name, formats, protocols = f"file:{Path(source).absolute()}", FILM_FORMATS, "file"
        error = ValueError(
            f"{source} is no video, or is incomplete, or in a format that is not read (a list of "
            "other files is not); copy it again, or convert it to .mp4"
        )
    allowed = {"protocol_whitelist": protocols, "format_whitelist": formats}
    # Decoders see them while the film is looked at; before PyAV 18 they crash on MPEG.
    options = _BOUND if int(av.__version__.split(".")[0]) >= 18 else {}
    try:
        return av.open(
            name,
            options=options,
            container_options=allowed,
            timeout=NETWORK_SECONDS,
            metadata_errors="replace",
        )
    except av.FFmpegError as problem:
        raise error from problem


def _find_pictures(container: Any, source: str) -> Any:
    """Return the stream of moving pictures, which the cover of an album is not."""
    cover = av.stream.Disposition.attached_pic
    streams = [stream for stream in container.streams.video if not stream.disposition & cover]
    streams = [stream for stream in streams if stream.codec_context is not None]
    if not streams:
        raise ValueError(f"{source} has no moving pictures that can be decoded")
    best = container.streams.best("video")
    chosen = best if best in streams else streams[0]
    _require_bounded(chosen.codec_context.width, chosen.codec_context.height, source)
    return chosen


def _decoder(stream: Any) -> Any:
    """Return the decoder that hides the least damage."""
    codec = stream.codec_context
    # FFmpeg's own shows whatever comes; this one takes 8 bits only.
    if (codec.name, codec.pix_fmt) == ("vp9", "yuv420p") and "libvpx-vp9" in av.codecs_available:
        codec = av.CodecContext.create("libvpx-vp9", "r")
    # With threads decoders lose the marks of broken frames, except for VP8, which has none without.
    codec.thread_type = "SLICE" if codec.name == "vp8" else "NONE"
    strict = {"err_detect": "explode"} if codec.name == "mjpeg" else {}
    codec.options = {**_BOUND, **strict}
    return codec


def _require_bounded(width: int, height: int, source: str) -> None:
    if width * height > LARGEST_FRAME:
        raise ValueError(
            f"{source} has frames of {width}x{height} pixels; at most {LARGEST_FRAME} pixels are "
            "read. Shrink it first."
        )
