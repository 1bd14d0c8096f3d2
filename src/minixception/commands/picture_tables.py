"""Tables of faces that survive any interruption.

What came of each picture is appended at once, as a line of JSON, to one journal: a hidden file
`.NAME.part` beside the first table. When all pictures are done the tables are written from it, and
it goes. After an interruption the next job cuts off what is incomplete and goes on from there. The
first line holds the options that the rows depend on, since rows of two models must not be mixed.

In a table each picture has as many rows as faces, and at least one. `faces` is their number: 0 with
an empty `error` where the picture was read and has none, 0 with the reason in `error` where it
could not be read. The other columns of such a row are empty.
"""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice, zip_longest
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from minixception.commands.outputs import TABLE_SUFFIXES
from minixception.commands.picture_paths import short_name
from minixception.commands.row_options import check_row_options
from minixception.files import atomic_path, open_grown, refuse_link
from minixception.messages import as_text, csv_cell, explain, plain_json

if TYPE_CHECKING:
    from minixception.inference.picture_files import PictureResult

FORMATS = tuple(TABLE_SUFFIXES)

Line = Mapping[str, Any]
"""Of a journal: `picture`, `error`, and `faces` as from `FacePrediction.to_json`."""
_FIRST_LINE, _LINE = ["options"], ["picture", "error", "faces"]


@dataclass(frozen=True)
class Table:
    """A table that is asked for.

    Attributes:
        format: one of `FORMATS`, also the option's name.
        target: the file that shall be there in the end.
        class_names: task -> classes, see `FaceAnalyzer.class_names`.
    """

    format: str
    target: Path
    class_names: Mapping[str, tuple[str, ...]] = field(hash=False)

    @property
    def part(self) -> Path:
        """The journal of a job whose first table this is."""
        return self.target.with_name(short_name(f".{self.target.name}", ".part"))

    @property
    def suffix(self) -> str:
        """What the name of such a file ends in."""
        return TABLE_SUFFIXES[self.format][0]

    @property
    def columns(self) -> list[str]:
        """The columns of the file."""
        from minixception.inference.picture_files import picture_columns

        return picture_columns(self.class_names)

    @property
    def header(self) -> bytes:
        """What the file begins with."""
        return _csv_line(self.columns) if self.format == "csv" else b""

    def rows(self, line: Line) -> list[dict[str, Any]]:
        """Return a row per face of a picture, or one for a picture without."""
        from minixception.boxes import Box
        from minixception.inference.picture_files import picture_rows
        from minixception.inference.predictions import FacePrediction

        faces = [
            FacePrediction(
                Box(*face["box"]), {task: face[f"{task}_scores"] for task in self.class_names}
            )
            for face in line["faces"]
        ]
        return picture_rows(line["picture"], faces, line["error"], self.class_names)

    def encode(self, line: Line) -> bytes:
        """Return the rows of a picture as they stand in a CSV or JSONL file."""
        if self.format == "csv":
            return b"".join(_csv_line(row.values()) for row in self.rows(line))
        return b"".join(map(_json_bytes, self.rows(line)))

    def write(self, lines: Iterable[Line]) -> None:
        """Write or replace the file, in one step."""
        with atomic_path(self.target) as temporary, temporary.open("wb") as file:
            self.write_to(file, lines)

    def write_to(self, file: IO[bytes], lines: Iterable[Line]) -> None:
        """Write the content of the file."""
        if self.format == "parquet":
            from minixception.inference.picture_files import picture_frame

            frame = picture_frame(chain.from_iterable(map(self.rows, lines)), self.class_names)
            frame.to_parquet(file, engine="pyarrow", index=False)
        elif self.format == "json":
            file.write(_faces_by_picture(lines))
        else:
            file.writelines(chain([self.header], map(self.encode, lines)))

    def read(self, file: IO[bytes]) -> Iterator[Mapping[str, Any]]:
        """Yield the rows of such a file, but for JSON; of CSV all cells are texts.

        Raises:
            ValueError: if it is no such file, or has other columns.
        """
        try:
            if self.format == "parquet":
                from pyarrow.parquet import read_table

                rows = iter(read_table(file).to_pylist())
            elif self.format == "csv":
                rows = csv.DictReader(io.TextIOWrapper(file, encoding="utf-8", newline=""))
            else:
                rows = map(json.loads, file)
            for row in rows:
                if list(row) != self.columns:
                    raise ValueError("other columns")
                yield row
        except (ValueError, TypeError, RecursionError, csv.Error) as error:
            raise ValueError(
                f"{self.target} is not a table of this kind: {explain(error)}"
            ) from error


class TableWriter:
    """Keeps the journal of a job, and writes the tables from it at the end.

    Args:
        tables: what to write; there need not be any.
        pictures: all pictures of the job, in order.
        resume: whether to go on from what an interrupted job has left.
        options: what the rows depend on beside the pictures, see `describe_rows`.

    Attributes:
        done: number of faces, and error, of each picture that is done already.
        is_finished: whether an earlier job has finished all tables, so that nothing is written.

    Raises:
        FileExistsError: without `resume`, if an interrupted job has left pictures.
        ValueError: if what it has left does not belong to this job, or is a pipe or a link.
    """

    def __init__(
        self,
        tables: Sequence[Table],
        pictures: Sequence[Path | str],
        *,
        resume: bool,
        options: Mapping[str, str],
    ) -> None:
        self._tables, self._options = tables, options
        self._file: IO[bytes] | None = None
        self._end = 0
        self.done: list[tuple[int, str | None]] = []
        for table in tables:
            refuse_link(table.part)
        parts = [table.part for table in tables if table.part.exists()]
        if len(parts) > 1:
            raise ValueError(f"{parts[0]} and {parts[1]} are of two jobs: delete one of them")
        self._part = (parts or [table.part for table in tables] or [Path()])[0]
        if parts:
            self._read(list(map(str, pictures)), resume=resume)
        elif resume:
            self.done = _done_in_targets(tables, pictures)
        self.is_finished = bool(self.done and not parts)
        self._tables = () if self.is_finished else tables

    def _read(self, pictures: list[str], *, resume: bool) -> None:
        """Find what the journal has done already, and where that ends."""
        part, journal, names = self._part, read_journal(self._part), []
        first, _ = next(journal, ({}, 0))
        for line, self._end in journal:
            names.append(line["picture"])
            self.done.append((len(line["faces"]), line["error"]))
        if names and not resume:
            raise FileExistsError(
                f"{part} is left of an interrupted job that had done {len(names)} pictures: add "
                "--resume to continue it, or delete the file to start again"
            )
        for number, (then, now) in enumerate(zip_longest(names, pictures[: len(names)]), start=1):
            if then != now:
                raise ValueError(
                    f"{part} was started with other pictures (number {number} was {as_text(then)}, "
                    f"now it is {as_text(now or 'missing')}): give the same paths as then, or "
                    "delete the file to start again"
                )
        if names:
            check_row_options(part, first["options"], self._options)

    def open(self) -> None:
        """Cut the journal behind its last whole line, and open it."""
        if self._tables:
            self._file = open_grown(self._part)
            self._file.truncate(self._end)
            self._file.seek(0, io.SEEK_END)
        if not self._end:
            self._append({"options": self._options})

    def write(self, result: "PictureResult") -> None:
        """Append what came of a picture."""
        self._append(line_of(result))

    def _append(self, line: Line) -> None:
        data = memoryview(json.dumps(line).encode() + b"\n")
        while self._file and data:  # an unbuffered file may take less than it is given
            data = data[self._file.write(data) :]

    def close(self) -> None:
        """Close the journal; it stays."""
        if self._file is not None:
            self._file.close()

    def finish(self) -> None:
        """Write all tables; the journal goes last, so that this may be interrupted as well."""
        self.close()
        for table in self._tables:
            table.write(line for line, _ in islice(read_journal(self._part), 1, None))
        if self._tables:
            self._part.unlink()


class TableStream:
    """Writes a table to standard output, picture by picture; a JSON object at the end."""

    def __init__(self, table: Table, file: IO[bytes]) -> None:
        self._table, self._file = table, file
        self._lines: list[Line] = []
        file.write(table.header)

    def write(self, result: "PictureResult") -> None:
        """Write the rows of a picture."""
        if self._table.format == "json":
            self._lines.append(line_of(result))
        else:
            self._file.write(self._table.encode(line_of(result)))
            self._file.flush()

    def finish(self) -> None:
        """Write what could not be written before."""
        if self._table.format == "json":
            self._file.write(_faces_by_picture(self._lines))


def read_journal(path: Path) -> Iterator[tuple[Line, int]]:
    """Yield the lines, and the number of bytes up to their ends, up to a damaged or cut-off one.

    Raises:
        ValueError: if the first line is whole, and that of something else.
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
    """Return the object that a whole line holds, an empty one for a damaged line."""
    try:
        line = json.loads(text) if text.endswith(b"\n") else {}
    except (ValueError, RecursionError):
        return {}
    fits = isinstance(line, dict) and isinstance(line.get("faces", []), list)
    return line if fits and isinstance(line.get("options", {}), dict) else {}


def line_of(result: "PictureResult") -> Line:
    """Return what a journal holds of a picture."""
    faces = [face.to_json() for face in result.faces]
    return {"picture": str(result.picture), "error": result.error, "faces": faces}


def _done_in_targets(
    tables: Sequence[Table], pictures: Sequence[Path | str]
) -> list[tuple[int, str | None]]:
    """Return what came of each picture if all tables are there and finished, else nothing."""
    names = [as_text(str(picture)) for picture in pictures]
    done = [_done_in_target(table) for table in tables if table.format in ("csv", "jsonl")]
    if not done or not all(table.target.is_file() for table in tables):
        return []
    return list(done[0].values()) if all(list(one) == names for one in done) else []


def _done_in_target(table: Table) -> dict[str, tuple[int, str | None]]:
    """Return number of faces, and error, of each picture in a table; nothing for another table."""
    try:
        with table.target.open("rb") as file:
            return {
                as_text(row["picture"]): (int(row["faces"]), row["error"] or None)
                for row in table.read(file)
            }
    except (FileNotFoundError, ValueError):
        return {}


def _faces_by_picture(lines: Iterable[Line]) -> bytes:
    """Return the JSON table: picture -> faces, without the pictures that could not be read."""
    content = {line["picture"]: line["faces"] for line in lines if line["error"] is None}
    return _json_bytes(content, indent=2)


def _json_bytes(content: Any, indent: int | None = None) -> bytes:
    return _encode(plain_json(json.dumps(content, indent=indent, ensure_ascii=False)) + "\n")


def _csv_line(values: Iterable[Any]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerow(map(csv_cell, values))
    return _encode(text.getvalue())


def _encode(text: str) -> bytes:
    # What is not valid UTF-8 in a file name comes out as "\udcff", which JSON reads again.
    return text.encode("utf-8", errors="backslashreplace")
