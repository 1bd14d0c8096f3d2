"""Opening videos with OpenCV, but for those that would end the process."""

import errno
import os
from pathlib import Path

import cv2

# "BGR" and 24 bits, as OpenCV gives the format of raw frames.
RAW_BGR = int.from_bytes(b"BGR\x18", "little")


def open_capture(source: str) -> "cv2.VideoCapture":
    """Open a video.

    Args:
        source: a path, the number of a camera ("0"), or an address with "://", in UTF-8.

    Raises:
        OSError: if it is missing or does not open.
        ValueError: if the file is no video, or OpenCV would crash on it.
    """
    if "://" in source:
        capture = cv2.VideoCapture(source)
        error: Exception = OSError(f"{source} does not open; check the address and the network")
    elif source.isdecimal() and len(source) < 5 and not Path(source).exists():
        capture = cv2.VideoCapture(int(source))
        # One frame of buffer: with more the picture lags behind when work takes longer.
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        error = OSError(
            f"camera {source} does not open: there is none, or another program uses it, or this "
            "user may not. A video file is named with --input FILE"
        )
    else:
        _require_readable(source)
        # An absolute path: FFmpeg takes what stands before a colon for a protocol.
        capture = cv2.VideoCapture(str(Path(source).absolute()))
        error = ValueError(
            f"{source} is no video, or is incomplete, or in a format that OpenCV cannot read; "
            "copy it again, or convert it to .mp4"
        )
    if not capture.isOpened():
        raise error
    if _is_bottom_up(source, capture):
        capture.release()
        raise ValueError(
            f"{source} has uncompressed frames of 24 bits, on which OpenCV crashes; convert it to "
            ".mp4"
        )
    return capture


def _is_bottom_up(source: str, capture: "cv2.VideoCapture") -> bool:
    """Tell whether it is an AVI of raw BGR, which has its last line first.

    OpenCV 4.14 copies such lines to the wrong side of its buffer. Other formats are converted.
    """
    if int(capture.get(cv2.CAP_PROP_CODEC_PIXEL_FORMAT)) != RAW_BGR or not Path(source).is_file():
        return False
    with Path(source).open("rb") as file:
        return file.read(12)[8:] == b"AVI "


def _require_readable(path: str) -> None:
    if Path(path).is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if not Path(path).exists():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
    if Path(path).is_fifo():
        raise ValueError(f"{path} is a pipe; a video must be a file, a camera or an address")
    if not os.access(path, os.R_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
