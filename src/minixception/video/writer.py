"""Video files, written by FFmpeg (PyAV): H.264 if it has the encoder, with the source's sound."""

import errno
import io
import math
from collections import deque
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.codec.context import Flags
from av.video.reformatter import Colorspace, VideoReformatter
from numpy.typing import NDArray
from PIL import Image, ImageOps

from minixception.files import atomic_path, require_utf8
from minixception.images import as_rgb
from minixception.video.cameras import Frame

WRITABLE_SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi")
"""What the name of a video may end in."""

UNKNOWN_RATE = 30.0  # of most cameras
SLOWEST_RATE = 0.001
# The first of these that PyAV has is used.
H264 = ("libx264", "libopenh264", "mpeg4")
ENCODERS = {".webm": ("libvpx-vp9", "libvpx"), ".avi": ("mpeg4",)}
SOUND_ENCODERS = {".webm": "libopus", ".avi": "ac3"}
# An .avi says how long a packet lasts, which FFmpeg knows of these.
AVI_SOUNDS = ("aac", "ac3", "mp2", "mp3", "wmav1", "wmav2")
_QUALITY = {
    # With B-frames the header of an .mp4 leaves out a pause before the last frames.
    "libx264": {"preset": "superfast", "crf": "22", "bf": "0"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8", "row-mt": "1", "crf": "32", "b": "0"},
    "mpeg4": {"flags": "+qscale", "global_quality": "472"},  # 4, in units of 118
}
LONGEST_GAP = 0.1  # seconds without sound, in an .avi, that are not worth a remark
KEEPERS = "use .mp4 or .mkv"
# All usual rates have whole ticks: 23.976 per second 5005, 29.97 4004.
TICK, MPEG4_TICK = Fraction(1, 120_000), Fraction(1, 60_000)


@dataclass
class Sound:
    """Sound on its way from one file to another; its time `origin` becomes 0."""

    streams: tuple[Any, ...] = ()
    origin: float = 0.0
    packets: deque[Any] = field(default_factory=deque)
    is_whole: bool = False


class VideoWriter(AbstractContextManager["VideoWriter"]):
    """Writes frames to a video file, which appears when the `with` block is left.

    Until then it is in a hidden folder beside its place. It is finished after errors too, unless
    the file itself cannot be written: then what was there before stays. Each frame is shown from
    its `time_seconds` on.

    Args:
        path: with one of `WRITABLE_SUFFIXES`.
        rate: about how many frames per second; in an .avi they begin at multiples of 1 / rate.
        sound: copied if the format takes it, else re-encoded.

    Attributes:
        remarks: what users should know of the file, once it has begun.

    Raises:
        ValueError: for another suffix or rate; when writing, for a frame that is no image or has no
            finite time.
        OSError: if the file cannot be written, as on a full disk.
    """

    def __init__(
        self, path: str | Path, *, rate: float | None = None, sound: Sound | None = None
    ) -> None:
        self._path = Path(path)
        self._suffix = self._path.suffix.lower()
        if self._suffix not in WRITABLE_SUFFIXES:
            raise ValueError(f"{path}: a video must end in one of {', '.join(WRITABLE_SUFFIXES)}")
        require_utf8(path)
        rate = float(rate or UNKNOWN_RATE)
        if not SLOWEST_RATE <= rate < math.inf:
            allowed = f"`rate` must be at least {SLOWEST_RATE}, and finite"
            raise ValueError(f"{allowed}. Received: {rate}")
        # MPEG-4 counts to 65535.
        self._rate = Fraction(rate).limit_denominator(max(1, min(1001, int(65535 / rate))))
        self._sound = sound or Sound()
        self._copies: dict[int, Any] = {}  # by the number of the stream of sound
        self._resamplers: dict[int, tuple[Any, av.AudioResampler]] = {}  # and what they take
        self._ends: dict[int, float] = {}  # of each sound, in seconds
        self._container: Any = None
        self._size = 0, 0
        self._reformatter = VideoReformatter()
        self._tick, self._last = TICK, -1
        self._stack = ExitStack()
        self.remarks: list[str] = []

    def __exit__(self, *error: Any) -> None:
        if self._last < 0:  # no frame has been written, whatever came in between
            self._abandon()
            self._stack.__exit__(*error)
        if self._container is None:
            return
        with self._reporting():
            self._mux(self._stream.encode(None))
            self._copy_sound(math.inf if self._sound.is_whole else self._last * self._tick)
            for copy in self._copies.values():
                if copy.codec_context.is_encoder:
                    for part in (*self._resampled(copy, None), None):
                        self._mux(copy.encode(part), ValueError)
            self._container.close()
        self._stack.close()

    def write(self, frame: Frame) -> None:
        """Append a frame; one of another size than the first is fitted into that, on black."""
        image = as_rgb(frame.image)
        if not math.isfinite(frame.time_seconds):
            raise ValueError(f"`time_seconds` must be finite. Received: {frame.time_seconds}")
        with self._reporting():
            if self._container is None:
                self._open(*image.shape[:2])
            place = frame.time_seconds / self._tick
            if self._suffix == ".avi" and place <= self._last:
                rate = f"{float(self._rate):g} per second"
                self._remark(f"frames beyond {rate} are left out; to keep them, {KEEPERS}")
                return
            rgb = av.VideoFrame.from_ndarray(_fitted(image, self._size), format="rgb24")
            colours = usual_colours(rgb.width, rgb.height)
            video = self._reformatter.reformat(rgb, format="yuv420p", dst_colorspace=colours)
            self._last = max(round(place), self._last + 1)
            video.pts, video.time_base = self._last, self._tick
            if self._suffix != ".avi" and frame.duration_seconds * self._rate > 1.5:
                video.duration = round(frame.duration_seconds / self._tick)
            # A packet of pictures waits for the sound before it, and is told of its damage.
            has_sound = self._copies and self._last
            self._mux(self._stream.encode(video), ValueError if has_sound else av.InvalidDataError)
            self._copy_sound(self._last * self._tick)

    @contextmanager
    def _reporting(self) -> Iterator[None]:
        """Turn an error of FFmpeg into one that names the file, and remove what was written."""
        try:
            yield
        except av.FFmpegError as error:
            self._abandon()
            height, width = self._size
            cause = ""
            if isinstance(error, OSError):  # of the system
                cause = "; is the disk full?"
            elif self._last < 0:  # no frame has been written
                cause = f"; are frames of {width}x{height} pixels too large for it?"
            elif self._suffix == ".avi":
                cause = f"; an .avi cannot hold a gap this long: {KEEPERS}"
            problem = f"the video cannot be written ({error.strerror}){cause}"
            with self._stack:
                raise OSError(error.errno or errno.EIO, problem, str(self._path)) from error

    def _abandon(self) -> None:
        container, self._container = self._container, None
        with suppress(av.FFmpegError):
            if container:
                container.close()

    def _open(self, height: int, width: int) -> None:
        encoder = self._choose_encoder()
        temporary = self._stack.enter_context(atomic_path(self._path))
        temporary.touch()  # says why a folder cannot be written to; FFmpeg does not
        # FFmpeg takes .m4v for a stream without a container.
        form = "mp4" if self._suffix == ".m4v" else None
        options = {"movflags": "faststart"} if self._suffix in (".mp4", ".m4v", ".mov") else {}
        self._container = av.open(
            f"file:{temporary.absolute()}", "w", format=form, container_options=options
        )
        if self._suffix == ".avi":
            self._tick = 1 / self._rate
        elif encoder == "mpeg4":
            self._tick = MPEG4_TICK
        self._size = height, width
        height, width = height + height % 2, width + width % 2  # colours have half the resolution
        self._stream = self._container.add_stream(
            encoder,
            self._rate,
            options=_QUALITY.get(encoder, {}),
            height=height,
            width=width,
            pix_fmt="yuv420p",
            colorspace=usual_colours(width, height),  # an .avi does not say
            color_range=1,  # from 16 to 235
            gop_size=max(1, min(round(2 * self._rate), 600)),
            time_base=self._tick,
        )
        self._stream.codec_context.flags |= Flags.frame_duration.value
        self._add_sound()
        self._container.start_encoding()

    def _choose_encoder(self) -> str:
        names = ENCODERS.get(self._suffix, H264)
        encoder = next((name for name in names if name in av.codecs_available), None)
        if encoder is None:
            problem = f"PyAV has no encoder for it: {' or '.join(names)}"
            raise OSError(errno.ENOSYS, problem, str(self._path))
        if encoder != names[0]:
            self._remark(f"written by {encoder}, as PyAV has no {names[0]}")
        return encoder

    def _add_sound(self) -> None:
        for source in self._sound.streams:
            if source.codec_context is None:
                self._remark("a sound that FFmpeg does not know is left out")
                continue
            name = source.codec_context.codec.canonical_name
            encoder = SOUND_ENCODERS.get(self._suffix, "aac")
            if self._takes(source):
                copy = self._container.add_stream_from_template(source)
            else:
                copy = self._container.add_stream(encoder, 48000, layout="stereo")
                self._remark(f"the sound is converted from {name} to {encoder}")
            copy.disposition = source.disposition.value
            # In an .mp4 titles are names.
            for key, kept in {"language": "language", "name": "title", "title": "title"}.items():
                if text := source.metadata.get(key):
                    copy.metadata[kept] = text
            self._copies[source.index] = copy

    def _remark(self, text: str) -> None:
        if (line := f"{self._path}: {text}") not in self.remarks:
            self.remarks.append(line)

    def _takes(self, source: Any) -> bool:
        """Tell whether the format takes a sound unchanged: some show that only by their header."""
        context = source.codec_context
        name = context.codec.canonical_name
        if self._suffix == ".avi" and name not in AVI_SOUNDS and not name.startswith("pcm_"):
            return False
        if self._suffix in (".mp4", ".m4v") and context.layout.name.endswith("channels"):
            return False  # these must say where the channels are
        form = self._container.format.name
        with suppress(ValueError, av.FFmpegError), av.open(io.BytesIO(), "w", form) as trial:
            trial.add_stream_from_template(source)
            trial.start_encoding()
            return True
        return False

    def _copy_sound(self, until: float | Fraction) -> None:
        """Copy the sound up to the time of the last frame: a run may stop before the end."""
        packets, origin = self._sound.packets, self._sound.origin
        while packets and packets[0].dts * packets[0].time_base - origin <= until:
            packet = packets.popleft()
            dts = packet.dts - round(origin / packet.time_base)
            if (copy := self._copies.get(packet.stream_index)) is None:
                continue
            self._note_gap(packet, float(dts * packet.time_base))
            # Sound in an .avi has no times: it begins with the packet nearest to 0.
            early = (packet.duration or 0) // 2 if self._suffix == ".avi" else 0
            if copy.codec_context.is_encoder:
                self._convert(packet, copy)
            elif dts >= -early:
                packet.pts, packet.dts, packet.stream = max(dts, 0), max(dts, 0), copy
                self._mux([packet], ValueError)

    def _convert(self, packet: Any, copy: Any) -> None:
        sounds = []
        with suppress(av.FFmpegError):  # a damaged packet is left out
            sounds = [sound for sound in packet.decode() if sound.pts is not None]
        for sound in sounds:
            sound.pts -= round(self._sound.origin / sound.time_base)
            for part in self._resampled(copy, sound) if sound.pts >= 0 else ():
                self._mux(copy.encode(part), ValueError)

    def _resampled(self, copy: Any, sound: Any) -> list[Any]:
        """Return a sound as its encoder takes it; for None, the end of what was resampled."""
        kind = sound and (sound.format.name, sound.layout.name, sound.sample_rate)
        before, resampler = self._resamplers.get(copy.index, (None, None))
        parts: list[Any] = []
        if resampler and kind != before:  # broadcasts change from surround sound to stereo and back
            parts = [part for part in resampler.resample(None) if part]
        if sound and kind != before:
            resampler = av.AudioResampler(copy.format, copy.layout, copy.rate)
            self._resamplers[copy.index] = kind, resampler
        return parts + (resampler.resample(sound) if sound and resampler else [])

    def _note_gap(self, packet: Any, start: float) -> None:
        """Remark on a gap before a packet, or at the beginning: sound in an .avi has no times."""
        if self._suffix == ".avi" and start - self._ends.get(packet.stream_index, 0) > LONGEST_GAP:
            problem = "starts late or has a gap, and is too early from then on"
            self._remark(f"the sound {problem}: {KEEPERS}")
        seconds = float((packet.duration or math.inf) * packet.time_base)  # some do not say
        self._ends[packet.stream_index] = start + seconds

    def _mux(self, packets: list[Any], damage: type[Exception] = av.InvalidDataError) -> None:
        """Write packets. FFmpeg may complain of a damaged sound at once, or with a later packet."""
        for packet in packets:
            with suppress(damage):
                self._container.mux(packet)


def usual_colours(width: int, height: int) -> Colorspace:
    """Return how the colours are coded in a film that does not say: players go by its size."""
    is_hd = width >= 1280 or height > 576
    return Colorspace.ITU709 if is_hd else Colorspace.ITU601


def _fitted(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Fit an image into (height, width), on black; the last line of an odd side is doubled."""
    height, width = size
    if image.shape[:2] != size:
        image = np.asarray(ImageOps.pad(Image.fromarray(image), (width, height)))
    if height % 2 or width % 2:
        image = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    return image
