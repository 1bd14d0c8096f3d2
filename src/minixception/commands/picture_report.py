"""What the terminal shows while pictures are being done."""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from minixception.commands.run_control import Progress, StopRequest
from minixception.labels import describe_scores
from minixception.messages import counted, one_line

if TYPE_CHECKING:
    from minixception.inference.picture_files import PictureResult
    from minixception.inference.predictions import FacePrediction
    from minixception.inference.tables import Outcome

# Up to this many pictures, each is reported when it is done.
FEW_PICTURES = 20
LISTED_FAILURES = 20


class Report:
    """Reports each picture when it is done (`one_by_one`), or the progress and a summary.

    The argument `done` is what an interrupted job finished, the attribute how many are done so far.
    """

    def __init__(
        self,
        total: int,
        *,
        done: Iterable["Outcome"],
        shows_progress: bool = False,
        one_by_one: bool = False,
    ) -> None:
        self.done = 0
        self._total = total
        self._faces = 0
        self._failures: list[str] = []
        self._one_by_one = one_by_one
        self._progress = Progress(total, shown=shows_progress, item="picture")
        self.add(done)

    def add(self, outcomes: Iterable["Outcome"]) -> None:
        """Count pictures, and show the progress."""
        for faces, error in outcomes:
            self.done += 1
            self._faces += faces
            if error is not None:
                self._failures.append(f"not done: {error}")
        self._progress.update(self.done)

    def tell(self, result: "PictureResult") -> None:
        """Count a picture, and print its faces or the progress."""
        self.add([(len(result.faces), result.error)])
        if not self._one_by_one:
            return
        if result.error is not None:
            print(self._failures[-1], file=sys.stderr)
        else:
            print(format_table(result.picture, result.faces))
            if (result.smallest_face or 0) > 1:
                smallest = f"faces below {result.smallest_face} pixels are not searched for"
                print(f"{smallest}; a lower --min-face finds them", file=sys.stderr)
            print("" if result.drawn is None else f"written to {one_line(result.drawn)}\n")

    def close(self) -> None:
        """Clear the progress line."""
        self._progress.close()

    def summarize(
        self, tables: Sequence[Path | str], drawn_to: Path | None, stop: StopRequest
    ) -> int:
        """Print how the job ended and where tables and pictures are; return the exit code.

        `drawn_to` is the folder of the drawn pictures, None if there are none.
        """
        if not self._one_by_one:
            print(f"{counted(self._faces, 'face')} in {counted(self.done, 'picture')}")
            for text in self._failures[:LISTED_FAILURES]:
                print(text, file=sys.stderr)
            if (more := len(self._failures) - LISTED_FAILURES) > 0:
                print(f"and {more} more; a table would name them all", file=sys.stderr)
            if drawn_to is not None:
                print(f"drawn pictures: {self.done - len(self._failures)} in {drawn_to}")
        if self._failures and self._total > 1:
            done = counted(self.done, "picture")
            print(f"{len(self._failures)} of {done} failed.", file=sys.stderr)
        if self.done < self._total:
            advice = "; add --resume to continue" if tables else ""
            return stop.tell(f"{self.done} of {counted(self._total, 'picture')}{advice}")
        for table in tables:
            print(f"written to {table}")
        return 1 if self._failures else 0


def format_count(picture: Path | str, faces: "Sequence[FacePrediction]") -> str:
    """Return a line that says how many faces a picture has."""
    count = counted(len(faces), "face") if faces else "no face found"
    return f"{one_line(picture)}: {count}"


def format_table(picture: Path | str, faces: "Sequence[FacePrediction]") -> str:
    """Return a line for the picture and one for each face."""
    lines = [format_count(picture, faces)]
    if faces:
        names = format_cells(faces[0].scores)
        lines.append(f"{'x':>6}{'y':>6}{'width':>7}{'height':>8}   {names}")
    for face in faces:
        x, y, width, height = face.box
        labels = format_cells(describe_scores(one) or "-" for one in face.scores.values())
        lines.append(f"{x:6d}{y:6d}{width:7d}{height:8d}   {labels}")
    return "\n".join(lines)


def format_cells(cells: Iterable[str]) -> str:
    """Return a row of cells, one per task: its name, or a label."""
    return " ".join(f"{cell:<17}" for cell in cells).rstrip()
