"""What is done with each of many pictures."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from minixception.commands import explain

if TYPE_CHECKING:
    from minixception.inference import FaceAnalyzer
    from minixception.predictions import FacePrediction


@dataclass(frozen=True)
class PictureResult:
    """What came of one picture.

    Attributes:
        picture: its path.
        faces: from left to right; empty where `error` is set.
        error: why the picture could not be read, None if it could.
        drawn: the file it was drawn to, None if it was not.
    """

    picture: Path
    faces: "tuple[FacePrediction, ...]" = ()
    error: str | None = None
    drawn: Path | None = None


def process_picture(
    analyzer: "FaceAnalyzer",
    picture: Path,
    output: Path | None,
    *,
    bars: bool,
    whole_picture: bool = False,
) -> PictureResult:
    """Read a picture, find its faces, draw them; what cannot be read is a result too.

    Raises:
        OSError: if the drawn picture cannot be written, since that will fail for others as well.
    """
    import cv2

    from minixception.images import read_image, write_image
    from minixception.visualizer import draw_predictions

    try:
        image = read_image(picture)
        faces = analyzer.analyze(image, whole_picture=whole_picture)
    except (OSError, ValueError, MemoryError, cv2.error) as error:
        return PictureResult(picture, error=failure_of(picture, error))
    if output is not None:
        write_image(output, draw_predictions(image, faces, bars=bars))
    return PictureResult(picture, tuple(faces), drawn=output)


def failure_of(picture: Path, error: BaseException) -> str:
    """Return one line that names the picture and says why it could not be done."""
    reason, name = explain(error), " ".join(str(picture).split())  # it may hold a line break
    return reason if name in reason else f"{name}: {reason}"


@contextmanager
def shared_cores(workers: int) -> Iterator[None]:
    """Let OpenCV use, inside the block, as many threads per worker as there are cores for each."""
    import cv2

    from minixception.parallel import available_cores

    if workers == 1:
        yield
        return
    before = cv2.getNumThreads()
    cv2.setNumThreads(max(1, available_cores() // workers))
    try:
        yield
    finally:
        cv2.setNumThreads(before)
