"""Films made up for the tests, of any codec, and what may befall them."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from conftest import PICTURES
from minixception.images import read_image, resize_image


def scene(number: int, height: int = 160, width: int = 320) -> np.ndarray:
    """Return a bar that moves to the right below a dark upper left corner."""
    image = np.full((160, 320, 3), 200, np.uint8)
    image[:40, :40] = 20
    image[60:140, 60 + 4 * number : 120 + 4 * number] = (250, 180, 20)
    return resize_image(image, (height, width))


def portrait() -> np.ndarray:
    """Return a face of 120 x 120 pixels."""
    return resize_image(read_image(PICTURES / "astronaut.jpg")[20:220, 120:320], (120, 120))


def encode(
    path: Path,
    codec: str = "libx264",
    form: str = "yuv420p",
    *,
    size: tuple[int, int] = (320, 160),
    rate: Fraction = Fraction(10),
    frames: int = 12,
    shift: int = 0,
    grain: int = 0,
    sound: tuple[str, float] | None = None,
    hertz: int = 48000,
    layout: str = "mono",
    draw: Callable[[int], np.ndarray] | None = None,
    options: dict[str, str] | None = None,
    **context: Any,
) -> Path:
    """Write a video with PyAV alone; `context` are attributes of the encoder.

    `sound` is the codec and the seconds of a tone; `draw` gives the picture of a frame, else it is
    a `scene`.
    """
    grains = np.random.default_rng(0)
    quiet = {"x265-params": "log-level=none"} if codec == "libx265" else {}
    context |= {"width": size[0], "height": size[1], "pix_fmt": form, "time_base": 1 / rate}
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate, quiet | (options or {}), **context)
        tone: Any = container.add_stream(sound[0], hertz, layout=layout) if sound else None
        for number in range(frames):
            image = draw(number) if draw else scene(number, size[1], size[0])
            image -= grains.integers(0, grain + 1, image.shape, np.uint8)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format=form)
            frame.pts, frame.time_base = number, 1 / rate
            container.mux(shifted(stream.encode(frame), shift))
        if sound:
            wave = np.sin(np.arange(round(hertz * sound[1])) / 20, dtype=np.float32)[None]
            audio = av.AudioFrame.from_ndarray(wave, format="fltp", layout="mono")
            audio.sample_rate, audio.pts = hertz, 0
            container.mux(tone.encode(audio) + tone.encode(None))
        container.mux(shifted(stream.encode(None), shift))
    return path


def shifted(packets: list[Any], shift: int) -> list[Any]:
    for packet in packets:
        packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
    return packets


def blank(path: Path, start: int, end: int) -> Path:
    content = bytearray(path.read_bytes())
    content[start:end] = bytes(end - start)
    path.write_bytes(content)
    return path
