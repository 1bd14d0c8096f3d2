"""Opening videos and streams, and nothing that they might name."""

from collections.abc import Callable
from concurrent.futures import Future
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any, TypeVar

import av

from minixception.files import is_special_file, require_utf8

Result = TypeVar("Result")

# Formats that contain their pictures. `concat`, `hls`, `dash`, `sdp`, `imf` and `image2` are not
# among them: they open other files, by the names in them.
FILM_FORMATS = (
    "apng,asf,avi,dv,flv,gif,gxf,h264,hevc,ivf,m4v,matroska,mjpeg,mov,mpeg,mpegts,mpegvideo,mxf,"
    "nut,obu,ogg,rm,vc1,vvc,wtv,yuv4mpegpipe"
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
# Pixels that the highest levels of H.264, HEVC, VP9 and AV1 (6.2 and 6.3) allow; 8K has 33 million.
# A decoder may keep 16 such frames, which take 2 GB, and the encoder of a drawn video as many.
LARGEST_FRAME = 35_651_584
# Twice, since decoders count padded rows; `require_bounded` is exact.
_BOUND = {"max_pixels": str(2 * LARGEST_FRAME)}


def in_thread(work: Callable[..., Result], *arguments: Any) -> Future[Result]:
    """Begin work in a thread that the end of Python does not wait for.

    FFmpeg takes no Ctrl-C while it waits for a network.
    """
    future: Future[Result] = Future()

    def run() -> None:
        try:
            future.set_result(work(*arguments))
        except BaseException as error:
            future.set_exception(error)

    Thread(target=run, daemon=True).start()
    return future


def _open(source: str) -> Any:
    require_utf8(source)
    scheme, is_address, place = source.partition("://")
    form = None
    if is_address:
        if scheme.lower() not in PROTOCOLS:
            schemes = ", ".join(PROTOCOLS)
            raise ValueError(f"an address must begin with one of {schemes}. Received: {source}")
        name, formats = f"{scheme.lower()}://{place}", STREAM_FORMATS
        protocols = PROTOCOLS[scheme.lower()]
        error: Exception = OSError(f"{source} does not open; check the address and the network")
    else:
        if is_special_file(source):
            raise ValueError(f"{source} is a pipe or device; a video is a file, camera or address")
        with Path(source).open("rb") as file:  # says why it cannot be read; FFmpeg does not
            is_jpeg = file.read(2) == b"\xff\xd8"
        # FFmpeg would take what stands before a colon in a relative path for a protocol.
        name, formats, protocols = f"file:{Path(source).absolute()}", FILM_FORMATS, "file"
        if is_jpeg and Path(source).suffix.lower() in (".mjpeg", ".mjpg"):
            form = "mjpeg"  # FFmpeg takes frames with JFIF headers for pictures
        error = ValueError(
            f"{source} is not a video, incomplete, or in a format that is not read (such as a list "
            "of other files); copy it again, or convert it to .mp4"
        )
    allowed = {"protocol_whitelist": protocols, "format_whitelist": formats}
    # With the bound the decoders that probe the file crash on MPEG before PyAV 18; before 19, tags
    # that are not UTF-8 are an error unless they are replaced.
    version = int(av.__version__.split(".")[0])
    tags: Any = {"metadata_errors": "replace"} if version < 19 else {}
    opening = partial(
        av.open,
        name,
        format=form,
        options=_BOUND if version >= 18 else {},
        container_options=allowed,
        timeout=NETWORK_SECONDS,
        **tags,
    )
    try:
        return in_thread(opening).result()
    except av.FFmpegError as problem:
        raise error from problem


def open_pictures(source: str) -> Any:
    """Open a video and return its stream of moving pictures, which an album's cover is not.

    Raises:
        OSError: if it is missing or does not open.
        ValueError: if it is not a video, or may not be opened, or its frames are too large.
    """
    cover = av.stream.Disposition.attached_pic
    with ExitStack() as stack:
        container = stack.enter_context(_open(source))
        for stream in (container.streams.best("video"), *container.streams.video):
            if stream and stream.codec_context is not None and not stream.disposition & cover:
                require_bounded(stream.codec_context.width, stream.codec_context.height, source)
                stack.pop_all()
                return stream
    raise ValueError(f"{source} has no moving pictures that can be decoded")


def choose_decoder(stream: Any) -> Any:
    """Return the decoder that hides the least damage."""
    codec = stream.codec_context
    codec.options = _BOUND  # `VideoReader` may ask it too
    # FFmpeg's own shows whatever comes; this one takes 8 bits only. `pix_fmt` comes last: PyAV
    # before 18 crashes on it if the start of a film lacks the format.
    if codec.name == "vp9" and "libvpx-vp9" in av.codecs_available and codec.pix_fmt == "yuv420p":
        codec = av.CodecContext.create("libvpx-vp9", "r")
    # With threads decoders lose the marks of broken frames, except for VP8, which has none without.
    codec.thread_type = "SLICE" if codec.name == "vp8" else "NONE"
    strict = {"err_detect": "explode"} if codec.name == "mjpeg" else {}
    codec.options = {**_BOUND, **strict}
    codec.copy_opaque = True
    return codec


def require_bounded(width: int, height: int, source: str) -> None:
    """Refuse frames that are too large."""
    if width * height > LARGEST_FRAME:
        raise ValueError(
            f"{source} has frames of {width}x{height} pixels; at most {LARGEST_FRAME} pixels are "
            "read. Shrink it first."
        )
