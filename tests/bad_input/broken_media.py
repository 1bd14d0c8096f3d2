"""Pictures and films that promise what they do not hold."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

BOMB_TEXT = (b"zTXt", b"a\0\0" + zlib.compress(b"x" * (20 << 20)))


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
    """Return an animation whose frames are small, as Pillow before 13 looks at them first."""
    stream, frames = io.BytesIO(), [Image.new("L", (8, 8), shade) for shade in (0, 255)]
    frames[0].save(stream, "WEBP", save_all=True, append_images=frames[1:])
    content = bytearray(stream.getvalue())
    start = content.index(b"VP8X") + 12
    sides = (struct.pack("<I", side - 1)[:3] for side in (width, height))
    content[start : start + 6] = b"".join(sides)
    return bytes(content)


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
