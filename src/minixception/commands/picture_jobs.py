"""Working through many pictures: several at a time, results in the order of the pictures."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from minixception.commands import explain
from minixception.commands.hints import hint_for

if TYPE_CHECKING:
    from minixception.inference import FaceAnalyzer, FacePrediction

Item = TypeVar("Item")
Result = TypeVar("Result")

# Pictures per worker that are done ahead of the one to be written next. A picture may take a
# hundred times as long as its neighbours; more would only keep more results in memory.
LOOK_AHEAD = 8


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
    analyzer: "FaceAnalyzer", picture: Path, output: Path | None, *, bars: bool
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
        faces = analyzer.analyze(image)
    except (OSError, ValueError, MemoryError, cv2.error) as error:
        return PictureResult(picture, error=failure_of(picture, error))
    if output is not None:
        write_image(output, draw_predictions(image, faces, bars=bars))
    return PictureResult(picture, tuple(faces), drawn=output)


def failure_of(picture: Path, error: BaseException) -> str:
    """Return one line that names the picture and says why it could not be done."""
    reason, name = explain(error), " ".join(str(picture).split())  # it may hold a line break
    hint = hint_for(picture, command="image")
    reason = reason if name in reason else f"{name}: {reason}"
    return reason if hint is None else f"{name} is {hint}"


def in_order(
    work: Callable[[Item], Result], items: Iterable[Item], *, workers: int
) -> Generator[Result, None, None]:
    """Apply `work` to the items in `workers` threads and yield the results in the items' order.

    At most `LOOK_AHEAD` items per worker are begun before their turn. When the caller stops early,
    items that are not begun are left, and those at hand are finished.
    """
    if workers == 1:
        yield from map(work, items)
        return
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) >= LOOK_AHEAD * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


@contextmanager
def shared_cores(workers: int) -> Iterator[None]:
    """Let OpenCV use, inside the block, as many threads per worker as there are cores for each."""
    import cv2

    from minixception.engines import available_cores

    if workers == 1:
        yield
        return
    before = cv2.getNumThreads()
    cv2.setNumThreads(max(1, available_cores() // workers))
    try:
        yield
    finally:
        cv2.setNumThreads(before)
