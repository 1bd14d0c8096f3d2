"""Tables of faces that survive any interruption.

The result of each picture is appended at once, as a line of JSON, to one journal: a hidden file
`.NAME.part` beside the first table. When all pictures are done, the tables are written from it and
it is deleted. After an interruption the next job cuts off an incomplete line and continues there.
The first line holds the options that the rows depend on: rows of two models must not be mixed.
"""

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import IO

from minixception.commands.options import check_job
from minixception.commands.picture_paths import short_name
from minixception.files import atomic_path, naming, open_grown, refuse_link
from minixception.inference.picture_files import PictureResult
from minixception.inference.tables import Line, Outcome, Table, line_of
from minixception.messages import as_text, counted

_FIRST_LINE, _LINE = ["options"], ["picture", "error", "faces"]


def journal_of(table: Path) -> Path:
    """Return the journal of a job whose first table this is."""
    return table.with_name(short_name(f".{table.name}", ".part"))


class TableWriter:
    """Keeps the journal of a job, and writes the tables from it at the end.

    The rows depend on the options, see `describe_rows`, and on the pictures of the job, in order.

    Attributes:
        done: number of faces, and error, of each picture that is already done.
        tables: those to write: none if an earlier job has finished them all.

    Raises:
        FileExistsError: without `resume`, if an interrupted job has done pictures.
        ValueError: if its journal does not belong to this job, or is a pipe or a link.
    """

    def __init__(
        self,
        tables: Sequence[Table],
        pictures: Sequence[Path | str],
        *,
        resume: bool,
        options: Mapping[str, str],
    ) -> None:
        self.tables, self._options = tables, options
        self._file: IO[bytes] | None = None
        self._end = 0
        self.done: list[Outcome] = []
        places = [journal_of(table.target) for table in tables]
        for place in places:
            refuse_link(place)
        parts = [place for place in places if place.exists()]
        self._part = (parts or places or [Path()])[0]
        if parts:
            self._read(list(map(str, pictures)), resume=resume)
        elif resume and (finished := _done_in_targets(tables, pictures)):
            self.done, self.tables = finished, ()

    def _read(self, pictures: list[str], *, resume: bool) -> None:
        """Find which pictures are in the journal, and where the last one ends."""
        part, journal, names = self._part, read_journal(self._part), []
        first, _ = next(journal, ({}, 0))
        for line, self._end in journal:
            names.append(line["picture"])
            self.done.append((len(line["faces"]), line["error"]))
        if names:
            holds = f"{counted(len(names), 'picture')} of an interrupted job"
            check_job(part, holds, first["options"], self._options, resume=resume)
        if names != pictures[: len(names)]:
            raise ValueError(
                f"{part} was started with other pictures: give the same paths as then, or delete "
                "the file to start again"
            )

    def open(self) -> None:
        """Open the journal, cut off after its last whole line."""
        if self.tables:
            self._file = open_grown(self._part)
            self._file.truncate(self._end)
            self._file.seek(0, io.SEEK_END)
        if not self._end:
            self._append({"options": self._options})

    def write(self, result: PictureResult) -> None:
        """Append the result of a picture."""
        self._append(line_of(result))

    def _append(self, line: Line) -> None:
        data = memoryview(json.dumps(line).encode() + b"\n")
        with naming(self._part):
            while self._file and data:  # an unbuffered file may take less than it is given
                data = data[self._file.write(data) :]

    def close(self) -> None:
        """Close the journal; it stays."""
        if self._file is not None:
            self._file.close()

    def finish(self) -> None:
        """Write all tables; the journal is deleted last, so this may be interrupted too."""
        self.close()
        for table in self.tables:
            lines = (line for line, _ in islice(read_journal(self._part), 1, None))
            with atomic_path(table.target) as temporary, temporary.open("wb") as file:
                table.write(file, lines)
        if self.tables:
            self._part.unlink()


class TableStream:
    """Writes a table to standard output, picture by picture; JSON only at the end."""

    def __init__(self, table: Table, file: IO[bytes]) -> None:
        self._table, self._file = table, file
        self._lines: list[Line] = []
        self._print(table.header)

    def write(self, result: PictureResult) -> None:
        """Write the rows of a picture."""
        if self._table.format == "json":
            self._lines.append(line_of(result))
        else:
            self._print(self._table.encode(line_of(result)))

    def finish(self) -> None:
        """Write the JSON object."""
        if self._table.format == "json":
            content = io.BytesIO()
            self._table.write(content, self._lines)
            self._print(content.getvalue())

    def _print(self, rows: bytes) -> None:
        with naming("standard output"):
            self._file.write(rows)
            self._file.flush()


def read_journal(path: Path) -> Iterator[tuple[Line, int]]:
    """Yield each line with the position of its end, up to the first damaged or cut-off one.

    Raises:
        ValueError: if the first line is whole but not that of a journal.
    """
    end = 0
    with path.open("rb") as file:
        for text in file:
            line = _parse(text)
            if list(line) != (_LINE if end else _FIRST_LINE):
                if end or not text.endswith(b"\n"):
                    return
                raise ValueError(
                    f"{path} was started by another version of this program: delete the file to "
                    "start again"
                )
            end += len(text)
            yield line, end


def _parse(text: bytes) -> Line:
    """Return the object in a line, an empty one if the line is damaged or cut off."""
    try:
        line = json.loads(text) if text.endswith(b"\n") else {}
    except (ValueError, RecursionError):
        return {}
    fits = isinstance(line, dict) and isinstance(line.get("faces", []), list)
    return line if fits and isinstance(line.get("options", {}), dict) else {}


def _done_in_targets(tables: Sequence[Table], pictures: Sequence[Path | str]) -> list[Outcome]:
    """Return the result of each picture if all tables exist and are finished, else nothing."""
    if not all(table.target.is_file() for table in tables):
        return []
    done: list[Outcome] = []
    for table in tables:
        if table.format != "json":
            with table.target.open("rb") as file:
                found = table.read(file)
            if [name for name, _ in found] != [as_text(str(picture)) for picture in pictures]:
                return []
            done = done or [outcome for _, outcome in found]
    return done
