"""What is done with each of many pictures."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from minixception.commands.hints import hint_for
from minixception.files import is_passing, read_patiently
from minixception.messages import explain

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from minixception.inference.analyzer import FaceAnalyzer
    from minixception.inference.predictions import FacePrediction


@dataclass(frozen=True)
class PictureResult:
    """What came of one picture.

    Attributes:
        picture: its path.
        faces: from left to right; empty where `error` is set.
        error: why the picture could not be read, None if it could.
        drawn: the file it was drawn to, None if it was not.
        smallest_face: where no face is found, the side in pixels below which none is looked for;
            None if there is no such bound.
    """

    picture: Path
    faces: "tuple[FacePrediction, ...]" = ()
    error: str | None = None
    drawn: Path | None = None
    smallest_face: int | None = None


def process_picture(
    analyzer: "FaceAnalyzer",
    picture: Path,
    output: Path | None,
    *,
    bars: bool,
    whole_picture: bool = False,
    folders: Mapping[Path, tuple[int, int]] | None = None,
) -> PictureResult:
    """Read a picture, find its faces, draw them; what cannot be read is a result too.

    `output` is the file to draw to, None to draw nothing; a `whole_picture` is one face, and
    nothing is looked for; `folders` are the `folder_states` at the start of the job.

    Raises:
        OSError: if the drawn picture cannot be written, which will fail for others as well, or the
            machine is at fault and not the picture, see `is_passing`.
        BrokenModelError: if a model is.
    """
    import cv2

    from minixception.checkpoints.engines import BrokenModelError
    from minixception.drawing.faces import draw_predictions
    from minixception.images import read_image, write_image

    def read_and_analyze() -> "tuple[NDArray[np.uint8], list[FacePrediction]]":
        image = read_image(picture)
        return image, analyzer.analyze(image, whole_picture=whole_picture)

    try:
        image, faces = read_patiently(read_and_analyze)
    except BrokenModelError:
        raise
    except (OSError, ValueError, MemoryError, cv2.error) as error:
        if is_passing(error) or _has_moved(picture.parent, folders or {}):
            raise OSError(
                f"{failure_of(picture, error)}: this may pass, and is no fault of the picture. "
                "What is done is kept; a job with a table goes on with --resume"
            ) from error
        return PictureResult(picture, error=failure_of(picture, error))
    if output is not None:
        write_image(output, draw_predictions(image, faces, bars=bars))
    bound = getattr(analyzer.detector, "smallest_face", None)  # a detector of the user has none
    smallest = bound(*image.shape[:2]) if bound is not None and not faces else None
    return PictureResult(picture, tuple(faces), drawn=output, smallest_face=smallest)


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


def _has_moved(folder: Path, folders: Mapping[Path, tuple[int, int]]) -> bool:
    """Tell whether another folder, or none, is where one was when the job began: a lost mount."""
    return folder in folders and _state(folder) != folders[folder]


def failure_of(picture: Path, error: BaseException) -> str:
    """Return one line that names the picture and says why it could not be done."""
    reason, name = explain(error), " ".join(str(picture).split())  # it may hold a line break
    hint = hint_for(picture, command="image")
    reason = reason if name in reason else f"{name}: {reason}"
    return reason if hint is None else f"{name} is {hint}"


@contextmanager
def shared_cores(workers: int) -> Iterator[None]:
    """Let OpenCV use, inside the block, as many threads per worker as there are cores for each."""
    import cv2

    from minixception.checkpoints.engines import available_cores

    if workers == 1:
        yield
        return
    before = cv2.getNumThreads()
    cv2.setNumThreads(max(1, available_cores() // workers))
    try:
        yield
    finally:
        cv2.setNumThreads(before)
