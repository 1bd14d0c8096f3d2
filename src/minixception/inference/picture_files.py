"""What comes of a picture file, also where it cannot be read, and its rows in a table."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from minixception import images
from minixception.checkpoints.engines import BrokenModelError
from minixception.files import is_passing, read_patiently
from minixception.inference.analyzer import FaceAnalyzer
from minixception.inference.predictions import FacePrediction, table_columns, to_rows
from minixception.messages import as_text, explain

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True)
class PictureResult:
    """What came of one picture.

    Attributes:
        picture: its path or address.
        faces: from left to right; empty where `error` is set.
        error: why the picture could not be read, None if it could.
        drawn: the file it was drawn to, None if it was not.
        smallest_face: where no face is found, the side in pixels below which none is searched for;
            None if there is no such bound.
    """

    picture: Path | str
    faces: tuple[FacePrediction, ...] = ()
    error: str | None = None
    drawn: Path | None = None
    smallest_face: int | None = None


def failure_of(picture: Path | str, error: BaseException) -> str:
    """Return one line that names the picture and says why it could not be done."""
    reason, name = explain(error), " ".join(str(picture).split())  # it may hold a line break
    return reason if name in reason else f"{name}: {reason}"


def analyze_file(
    analyzer: FaceAnalyzer,
    picture: Path | str,
    *,
    read: Callable[[Any], NDArray[np.uint8]] | None = None,
    whole_picture: bool = False,
    folders: Mapping[Path, tuple[int, int]] | None = None,
    describe: Callable[[Any, BaseException], str] = failure_of,
) -> tuple[PictureResult, NDArray[np.uint8] | None]:
    """Read a picture and find its faces; what cannot be read is a result too.

    Args:
        analyzer: finds the faces and classifies them.
        picture: its path or address.
        read: gives the picture, RGB uint8 (H, W, 3), by its name; `images.read_image` if left out.
        whole_picture: the picture is already cropped to a face, and not searched.
        folders: the `folder_states` at the start of the job.
        describe: gives the text of an error that is the picture's own.

    Returns:
        What came of it, and the picture itself; None where it cannot be read.

    Raises:
        OSError: if the machine is at fault and not the picture, see `is_passing`.
        BrokenModelError: if a model is.
    """

    def read_and_analyze() -> tuple[NDArray[np.uint8], list[FacePrediction]]:
        image = (read or images.read_image)(picture)
        return image, analyzer.analyze(image, whole_picture=whole_picture)

    try:
        image, faces = read_patiently(read_and_analyze)
    except BrokenModelError:
        raise
    except (OSError, ValueError, MemoryError, cv2.error) as error:
        failure = describe(picture, error)
        if is_passing(error) or _has_moved(picture, folders or {}):
            raise OSError(
                f"{failure}: this may be temporary, and not the picture's fault. "
                "Finished pictures are kept; a job with a table continues with --resume"
            ) from error
        return PictureResult(picture, error=failure), None
    bound = getattr(analyzer.detector, "smallest_face", None)  # a detector of the user has none
    smallest = bound(*image.shape[:2]) if bound is not None and not faces else None
    return PictureResult(picture, tuple(faces), smallest_face=smallest), image


def folder_states(pictures: Iterable[Path]) -> dict[Path, tuple[int, int]]:
    """Return the folders of the pictures with device and number, to know them again."""
    folders = {picture.parent for picture in pictures}
    states = ((folder, _state(folder)) for folder in folders)
    return {folder: state for folder, state in states if state is not None}


def _state(folder: Path) -> tuple[int, int] | None:
    try:
        status = folder.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _has_moved(picture: Path | str, folders: Mapping[Path, tuple[int, int]]) -> bool:
    """Tell whether another folder, or none, is where one was when the job began: a lost mount."""
    folder = Path(picture).parent
    return folder in folders and _state(folder) != folders[folder]


def picture_columns(class_names: Mapping[str, Iterable[str]]) -> list[str]:
    """Return the columns of `picture_rows` for faces with these classes by task."""
    return ["picture", "faces", "error", *table_columns(class_names)]


def picture_rows(
    picture: str,
    faces: Sequence[FacePrediction],
    error: str | None,
    class_names: Mapping[str, Iterable[str]],
) -> list[dict[str, Any]]:
    """Return a row per face of a picture; one for a picture without, whose other cells are None."""
    empty = dict.fromkeys(picture_columns(class_names))
    head = {"picture": picture, "faces": len(faces), "error": error}
    return [{**empty, **head, **row} for row in to_rows(faces) or [{}]]


def picture_frame(
    rows: Iterable[Mapping[str, Any]], class_names: Mapping[str, Iterable[str]]
) -> "pandas.DataFrame":
    """Return `picture_rows` of many pictures as a table whose types do not hang on its rows."""
    import pandas

    columns = picture_columns(class_names)
    kinds = {
        **dict.fromkeys(columns, "float64"),
        **dict.fromkeys(("picture", "error", *class_names), "string"),
        **dict.fromkeys(("faces", "x", "y", "width", "height"), "Int64"),
    }
    plain = [{**row, "picture": as_text(row["picture"])} for row in rows]
    return pandas.DataFrame(plain, columns=columns).astype(kinds)
