"""Results for picture files, including those that cannot be read."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from minixception.checkpoints.engines import BrokenModelError
from minixception.files import is_passing, read_patiently
from minixception.images import picture_size
from minixception.inference.analyzer import FaceAnalyzer
from minixception.inference.predictions import FacePrediction
from minixception.inference.sources import Picture, load_picture
from minixception.messages import explain


@dataclass(frozen=True)
class PictureResult:
    """The result for one picture.

    Attributes:
        picture: its path or URL.
        faces: from left to right; empty if `error` is set.
        error: why the picture could not be read, if so.
        drawn: the file it was drawn to, if so.
        smallest_face: if no face is found, the side in pixels from which on they are searched for.
    """

    picture: Path | str
    faces: tuple[FacePrediction, ...] = ()
    error: str | None = None
    drawn: Path | None = None
    smallest_face: int | None = None


def failure_of(picture: Path | str, error: BaseException) -> str:
    """Return one line that names the picture and says what is wrong."""
    reason, name = explain(error), " ".join(str(picture).split())  # it may hold a line break
    return reason if name in reason else f"{name}: {reason}"


def analyze_file(
    analyzer: FaceAnalyzer,
    picture: Path | str,
    *,
    read: Callable[[Any], Picture] | None = None,
    whole_picture: bool = False,
    folders: Mapping[Path, tuple[int, int]] | None = None,
) -> tuple[PictureResult, NDArray[np.uint8] | None]:
    """Read a picture and find its faces; what cannot be read is a result too.

    Args:
        analyzer: finds the faces and classifies them.
        picture: its path or URL.
        read: returns what `FaceAnalyzer.analyze` takes for `picture`; it reads files if left out.
        whole_picture: see `FaceAnalyzer.analyze`.
        folders: the `folder_states` at the start of the job.

    Returns:
        The result, and the picture itself; None if it was not read, or not in full size.

    Raises:
        OSError: if the machine is at fault and not the picture, see `is_passing`.
        BrokenModelError: if a model is.
    """

    def read_and_analyze() -> tuple[Any, NDArray[np.uint8] | None, list[FacePrediction]]:
        source = picture if read is None else read(picture)
        if not whole_picture and analyzer.reduction(source) > 1:
            return picture_size(source), None, analyzer.analyze(source)  # type: ignore[arg-type]
        image = load_picture(source)
        return image.shape[:2], image, analyzer.analyze(image, whole_picture=whole_picture)

    try:
        size, image, faces = read_patiently(read_and_analyze)
    except BrokenModelError:
        raise
    except (OSError, ValueError, MemoryError, cv2.error) as error:
        failure = failure_of(picture, error)
        if is_passing(error) or _has_moved(picture, folders or {}):
            raise OSError(
                f"{failure}: this may be temporary, and not the picture's fault. "
                "Finished pictures are kept; a job with a table continues with --resume"
            ) from error
        return PictureResult(picture, error=failure), None
    bound = getattr(analyzer.detector, "smallest_face", None)  # a detector of the user has none
    smallest = bound(*size) if bound is not None and not faces else None
    return PictureResult(picture, tuple(faces), smallest_face=smallest), image


def folder_states(pictures: Iterable[Path]) -> dict[Path, tuple[int, int]]:
    """Return the folders of the pictures with device and number, to know them again."""
    folders = {picture.parent for picture in pictures}
    return {folder: _state(folder) for folder in folders}


def _state(folder: Path) -> tuple[int, int]:
    with suppress(OSError):
        status = folder.stat()
        return status.st_dev, status.st_ino
    return 0, 0  # of none


def _has_moved(picture: Path | str, folders: Mapping[Path, tuple[int, int]]) -> bool:
    """Tell whether the folder has gone or been replaced since the job began: a lost mount."""
    folder = Path(picture).parent
    return folder in folders and _state(folder) != folders[folder]
