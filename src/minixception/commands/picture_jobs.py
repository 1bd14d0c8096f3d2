"""What is done with each of many pictures."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from minixception.commands.hints import hint_for

if TYPE_CHECKING:
    from minixception.inference.analyzer import FaceAnalyzer
    from minixception.inference.picture_files import PictureResult


def process_picture(
    analyzer: "FaceAnalyzer",
    picture: Path,
    output: Path | None,
    *,
    bars: bool,
    whole_picture: bool = False,
    folders: Mapping[Path, tuple[int, int]] | None = None,
) -> "PictureResult":
    """Read a picture, find its faces, draw them; what cannot be read is a result too.

    `output` is the file to draw to, None to draw nothing; see `analyze_file` for the others.

    Raises:
        OSError: if the drawn picture cannot be written, which will fail for others as well, or the
            machine is at fault and not the picture, see `is_passing`.
        BrokenModelError: if a model is.
    """
    from minixception.drawing.faces import draw_predictions
    from minixception.images import read_image, write_image
    from minixception.inference.picture_files import analyze_file

    result, image = analyze_file(
        analyzer, picture, whole_picture=whole_picture, folders=folders, describe=failure_of
    )
    if output is None or result.error is not None:
        return result
    if image is None:  # its faces were found in a smaller copy
        image = read_image(picture)
    write_image(output, draw_predictions(image, result.faces, bars=bars))
    return replace(result, drawn=output)


def failure_of(picture: Path | str, error: BaseException) -> str:
    """Return one line that names the picture, and says why it could not be done or what it is."""
    from minixception.inference import picture_files

    hint = hint_for(Path(picture), command="image")
    if hint is None:
        return picture_files.failure_of(picture, error)
    return f"{' '.join(str(picture).split())} is {hint}"


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
