"""What a film lacks, told by its packets, and the frames that this spoils."""

import math
from collections import deque
from typing import Any

# In these at most a kilobyte of heads lies between packets: what is more is damaged.
DENSE = ("matroska,webm", "flv", "mxf", "nut")
LARGEST_HEAD = 4096  # bytes
LARGEST_HOLE = 100_000  # frames; times may be damaged too
# These decoders drop frames without a word, and give one for each packet, which others need not.
SILENT = ("hevc", "libdav1d", "av1")


class Damage:
    """Follows packets and frames of a film: which frames do not come, and which must not be shown.

    Frames that build on a lost one are spoilt, up to the next key frame. All times are ticks.

    Args:
        form: FFmpeg's name of the container.
        decoder: FFmpeg's name of it.
        step: ticks from frame to frame, about.
        begins_anywhere: what comes before the first key frame is not lost, as in broadcasts.

    Attributes:
        lost: frames that should have come before the last one that came.
    """

    def __init__(self, form: str, decoder: str, step: float, *, begins_anywhere: bool) -> None:
        self.lost = 0
        self._is_dense, self._is_silent, self._step = form in DENSE, decoder in SILENT, step
        # Times of frames that should come, or do not.
        self._missing: set[float] = set()
        # From this on frames are spoilt, up to the first of these key frames that is later.
        self._spoilt_from, self._keys = -math.inf, deque[float](maxlen=32)
        # What is spoilt before this is counted already, or not to be.
        self._counted_to = math.inf if begins_anywhere else -math.inf
        # The end of the last packet, the latest time, and whether bytes were skipped since.
        self._place, self._latest, self._is_torn = math.inf, -math.inf, False

    def follow(self, packet: Any) -> None:
        """Look at the place of a packet of any stream."""
        is_far = (packet.pos or 0) > self._place + LARGEST_HEAD
        self._is_torn |= is_far and self._is_dense
        self._place = math.inf if packet.pos is None else packet.pos + packet.size

    def expect(self, packet: Any) -> None:
        """Look at a packet of pictures before it is decoded."""
        if time_of(packet) == math.inf:  # nothing in a raw stream has a time
            packet.dts = 0 if self._latest == -math.inf else round(self._latest + self._step)
        time, before = time_of(packet), self._latest
        holes = round((time - before) / self._step) - 1 if before > -math.inf else 0
        if self._is_torn and holes > 0:
            self._lose(before + 1)
            numbers = range(1, min(holes, LARGEST_HOLE) + 1)
            self._missing.update(before + self._step * number for number in numbers)
            self._counted_to = time
        self._latest, self._is_torn = max(time, before), False
        if packet.is_keyframe:
            if self.is_spoilt():  # times begin anew where broadcasts were joined
                self._spoilt_from = min(self._spoilt_from, time - 1)
            self._keys.append(time)
        is_watched = self._is_silent and packet.pts is not None  # by its time
        if not packet.is_discard and (is_watched or self.is_spoilt()):
            self._miss(time)

    def check(self, packet: Any, *, is_broken: bool = False) -> None:
        """Look at a packet that was decoded; `is_broken` if that failed."""
        if is_broken:
            self._lose(time_of(packet))
            self._miss(time_of(packet))
        elif packet.is_corrupt:  # itself or what follows
            self._lose(time_of(packet) + (not self._is_silent))

    def accepts(self, frame: Any) -> bool:
        """Tell whether a decoded frame is good, and count those that did not come before it."""
        time = time_of(frame)
        if frame.is_corrupt:
            self._lose(time)
        if self.is_spoilt(time):
            self._miss(time)
            return False
        self._missing.discard(time)
        self._pass(time)
        return True

    def is_key(self, frame: Any) -> bool:
        """Tell whether a frame, just accepted, needs no other to be decoded."""
        return time_of(frame) in self._keys

    def finish(self) -> None:
        """Count what has not come until the end."""
        self._pass(math.inf)

    def is_spoilt(self, time: float = math.inf) -> bool:
        """Tell whether a frame of that time, or the next to be decoded, builds on a lost one."""
        lost = self._spoilt_from
        return time >= lost and not any(lost < key <= time for key in self._keys)

    def _lose(self, time: float) -> None:
        if not self.is_spoilt(time):
            self._spoilt_from, self._counted_to = time, -math.inf

    def _miss(self, time: float) -> None:
        if not (time < self._counted_to and self.is_spoilt(time)):
            self._missing.add(time)

    def _pass(self, time: float) -> None:
        later = {missing for missing in self._missing if missing > time}
        self.lost += len(self._missing) - len(later)
        self._missing = later


def time_of(item: Any) -> float:
    """Return the time of a packet or frame in ticks; the last frames of some have none."""
    return next((time for time in (item.pts, item.dts) if time is not None), math.inf)
