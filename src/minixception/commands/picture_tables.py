"""Tables of faces that grow picture by picture and survive any interruption.

Each table is first a hidden file beside its target, `.NAME.part`, to which the rows of a picture
are appended at once. When all pictures are done it takes its final name; Parquet and JSON files
are made from it, since their formats cannot grow row by row. After an interruption the next job
reads the part, cuts what is incomplete, and goes on behind it. `.NAME.options` tells what the rows
depend on beside the pictures, since rows of two models must not be mixed.

Each picture has as many rows as faces, and at least one. `faces` is their number: 0 with an empty
`error` where the picture was read and has none, 0 with the reason in `error` where it could not be
read. The other columns of such a row are empty.
"""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from minixception.commands.outputs import TABLE_SUFFIXES
from minixception.commands.picture_jobs import PictureResult
from minixception.commands.picture_paths import short_name
from minixception.commands.row_options import check_row_options, write_row_options
from minixception.files import open_grown, refuse_link
from minixception.messages import csv_cell

FORMATS = tuple(TABLE_SUFFIXES)


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
        """The file that grows."""
        return self.target.with_name(short_name(f".{self.target.name}", ".part"))

    @property
    def note(self) -> Path:
        """The file that tells the options of the part; see `row_options`."""
        return self.target.with_name(short_name(f".{self.target.name}", ".options"))

    @property
    def columns(self) -> list[str]:
        """The columns of the file."""
        from minixception.inference.predictions import table_columns

        return ["picture", "faces", "error", *table_columns(self.class_names)]

    @property
    def header(self) -> bytes:
        """What the part begins with."""
        return _csv_line(self.columns) if self.format == "csv" else b""


@dataclass(frozen=True)
class DonePicture:
    """What a table says about a picture: its name there, faces, error, and where its rows end."""

    name: str
    faces: int
    error: str | None
    end: int


class TableWriter:
    """Appends to the parts of all tables alike, and finishes them.

    Args:
        tables: what to write.
        pictures: all pictures of the job, in order.
        resume: whether to go on behind what an interrupted job has left.
        options: what the rows depend on beside the pictures, see `describe_rows`.

    Attributes:
        done: the pictures that all tables have already.

    Raises:
        FileExistsError: without `resume`, if an interrupted job has left pictures.
        ValueError: if what it has left does not belong to this job, or is a pipe or a link.
    """

    def __init__(
        self,
        tables: Sequence[Table],
        pictures: Sequence[Path],
        *,
        resume: bool,
        options: Mapping[str, str] | None = None,
    ) -> None:
        self._tables = tables
        self._options = options or {}
        self._notes = [table.note for table in tables]
        self._files: list[IO[bytes]] = []
        for table in tables:
            refuse_link(table.part)
            refuse_link(table.note)
        parts = {table: table.part for table in tables if table.part.exists()}
        if not resume:
            refuse_parts(parts)
            parts = {}
        found = {table: read_checked(table, part, pictures) for table, part in parts.items()}
        for table, done in found.items():
            if done and options is not None:
                check_row_options(table.note, options, part=table.part)
        finished = [] if not resume else _done_at_finish(tables, found, pictures)
        if finished:
            self._tables = list(found)
            self.done = finished
            return
        missing = [table for table in tables if table not in found]
        if missing and any(found.values()):
            raise ValueError(
                f"{missing[0].target} was not among the tables of the interrupted job: give the "
                f"same as then, or delete {next(iter(parts.values()))} to start anew"
            )
        self.done = min(found.values(), key=len, default=[])

    def open(self) -> None:
        """Cut the parts behind the last picture that all of them have, and open them."""
        for table in self._tables:
            if not self.done and self._options:
                write_row_options(table.note, self._options)
            file = open_grown(table.part)
            self._files.append(file)
            done = list(read_done(table, table.part))
            file.truncate(done[len(self.done) - 1].end if self.done else 0)
            file.seek(0, io.SEEK_END)
            if not self.done:
                file.write(table.header)

    def write(self, result: PictureResult) -> None:
        """Append the rows of a picture to each table."""
        for table, file in zip(self._tables, self._files, strict=True):
            data = memoryview(format_rows(table, result))
            while data:  # an unbuffered file may take less than it is given
                data = data[file.write(data) :]

    def close(self) -> None:
        """Close the parts; they stay."""
        while self._files:
            self._files.pop().close()

    def finish(self) -> None:
        """Give all tables their final form and name.

        What is made from its part comes first, and parts go last: whenever this is interrupted,
        the parts that are left are complete.
        """
        from minixception.files import atomic_path

        self.close()
        for table in self._tables:
            if table.format in _MAKERS:
                with atomic_path(table.target) as temporary:
                    _MAKERS[table.format](table, temporary)
        for table in self._tables:
            if table.format in _MAKERS:
                table.part.unlink()
            else:
                table.part.replace(table.target)
        for note in self._notes:
            note.unlink(missing_ok=True)


class TableStream:
    """Writes a table to standard output, picture by picture; a JSON object at the end.

    Args:
        table: what to write.
        file: where to.
    """

    def __init__(self, table: Table, file: IO[bytes]) -> None:
        self._table, self._file = table, file
        self._rows: list[dict[str, Any]] = []
        file.write(table.header)

    def write(self, result: PictureResult) -> None:
        """Write the rows of a picture."""
        if self._table.format == "json":
            self._rows += to_picture_rows(self._table, result)
        else:
            self._file.write(format_rows(self._table, result))
            self._file.flush()

    def finish(self) -> None:
        """Write what could not be written before."""
        if self._table.format == "json":
            self._file.write(_to_json(self._table, self._rows))


def refuse_parts(parts: Mapping[Table, Path]) -> None:
    """Raise FileExistsError if one of the parts has a picture."""
    for table, part in parts.items():
        if count := sum(1 for _ in read_done(table, part)):
            raise FileExistsError(
                f"{part} is left of an interrupted job that had done {count} pictures: add "
                "--resume to go on with it, or delete the file to start anew"
            )


def _done_at_finish(
    tables: Sequence[Table], found: Mapping[Table, list[DonePicture]], pictures: Sequence[Path]
) -> list[DonePicture]:
    """Return all pictures if the job was interrupted while, or after, the tables were finished."""
    gone = [table for table in tables if table not in found]
    if not gone or not all(table.target.is_file() for table in gone):
        return []
    complete = list(found.values())
    if not found:
        complete = [_done_in_target(table) for table in gone if table.format not in _MAKERS]
    names = [as_text(str(picture)) for picture in pictures]
    if all([one.name for one in done] == names for done in complete):
        return complete[0] if complete else []
    return []


def _done_in_target(table: Table) -> list[DonePicture]:
    try:
        return list(read_done(table, table.target))
    except ValueError:  # an older table, of other models
        return []


def read_checked(table: Table, path: Path, pictures: Sequence[Path]) -> list[DonePicture]:
    """Read a part as `read_done`.

    Raises:
        ValueError: if it was begun with other pictures or columns.
    """
    done = list(read_done(table, path))
    advice = "give the same paths as then, or delete the file to start anew"
    if len(done) > len(pictures):
        raise ValueError(
            f"{path} was begun with {len(done)} or more pictures, now there are {len(pictures)}: "
            f"{advice}"
        )
    for number, (one, picture) in enumerate(zip(done, pictures, strict=False), start=1):
        if one.name != as_text(str(picture)):
            raise ValueError(
                f"{path} was begun with other pictures (number {number} was {one.name}, now it is "
                f"{picture}): {advice}"
            )
    return done


def read_done(table: Table, path: Path) -> Iterator[DonePicture]:
    """Read up to the first row that is damaged or cut off; yield the complete pictures.

    Raises:
        ValueError: if the file has other columns.
    """
    end, rows_missing = len(table.header), 0
    with path.open("rb") as file:
        header = file.read(end)
        if table.header != header and table.header.startswith(header):
            return  # cut off, before the first picture
        for line in _lines(table, file):
            row = parse_line(table, line) if header == table.header else None
            if row is None:
                break
            end += len(line)
            rows_missing = (rows_missing or max(row["faces"], 1)) - 1
            if rows_missing == 0:
                yield DonePicture(as_text(row["picture"]), row["faces"], row["error"], end)
        if end == len(table.header) and _has_other_columns(table, path):
            raise ValueError(
                f"{path} was begun with other columns: use the models of then, or delete the file "
                "to start anew"
            )


def _has_other_columns(table: Table, path: Path) -> bool:
    """Tell whether the first line is whole, and not of this table."""
    with path.open("rb") as file:
        line = file.readline()
    if not line.endswith(b"\n"):
        return False
    return line != table.header if table.format == "csv" else parse_line(table, line) is None


def _lines(table: Table, file: Iterable[bytes]) -> Iterator[bytes]:
    """Yield whole rows; in CSV a line break between quotation marks belongs to a file name."""
    pieces: list[bytes] = []
    quotes = 0
    for piece in file:
        pieces.append(piece)
        quotes += piece.count(b'"') if table.format == "csv" else 0
        if piece.endswith(b"\n") and quotes % 2 == 0:
            yield b"".join(pieces)
            pieces.clear()


def parse_line(table: Table, line: bytes) -> dict[str, Any] | None:
    """Return the row of a line with `picture`, `faces` and `error`; None for a damaged line."""
    try:
        text = line.decode("utf-8")
        if table.format != "csv":
            row = json.loads(text)
            return row if list(row) == table.columns else None
        (values,) = csv.reader(io.StringIO(text, newline=""))
        row = dict(zip(table.columns, values, strict=True))
        return {**row, "faces": int(row["faces"]), "error": row["error"] or None}
    except (ValueError, TypeError, RecursionError, csv.Error):
        return None


def format_rows(table: Table, result: PictureResult) -> bytes:
    """Return the lines of a picture."""
    rows = to_picture_rows(table, result)
    if table.format == "csv":
        return b"".join(_csv_line(row.values()) for row in rows)
    return b"".join(_encode(json.dumps(row, ensure_ascii=False) + "\n") for row in rows)


def to_picture_rows(table: Table, result: PictureResult) -> list[dict[str, Any]]:
    """Return a row per face, or one row for a picture without; see the top of this module."""
    from minixception.inference.predictions import to_rows

    head = {"picture": str(result.picture), "faces": len(result.faces), "error": result.error}
    empty = dict.fromkeys(table.columns)
    return [{**empty, **head, **row} for row in to_rows(result.faces) or [{}]]


def _csv_line(values: Iterable[Any]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerow(map(csv_cell, values))
    return _encode(text.getvalue())


def _encode(text: str) -> bytes:
    # What is not valid UTF-8 in a file name comes out as "\udcff", which JSON reads again.
    return text.encode("utf-8", errors="backslashreplace")


def as_text(name: str) -> str:
    r"""Return a file name as it stands in a CSV file, with \udcff for what is not UTF-8."""
    return str(csv_cell(_encode(name).decode("utf-8")))


def _rows_of_part(table: Table) -> Iterator[dict[str, Any]]:
    with table.part.open("rb") as file:
        yield from (json.loads(line) for line in file)


def _make_json(table: Table, path: Path) -> None:
    path.write_bytes(_to_json(table, _rows_of_part(table)))


def _to_json(table: Table, rows: Iterable[dict[str, Any]]) -> bytes:
    """Return picture -> list of faces, without the pictures that could not be read."""
    content: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        if row["error"] is None:
            faces = content.setdefault(row["picture"], [])
            if row["faces"]:
                faces.append(_face_of(table, row))
    return _encode(json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def _face_of(table: Table, row: dict[str, Any]) -> dict[str, Any]:
    from minixception.boxes import Box
    from minixception.inference.predictions import FacePrediction

    scores = {
        task: {name: row[f"{task}_{name}"] for name in names}
        for task, names in table.class_names.items()
    }
    return FacePrediction(Box(*(row[name] for name in Box._fields)), scores).to_json()


def _make_parquet(table: Table, path: Path) -> None:
    import pandas

    rows = [{**row, "picture": _encode(row["picture"]).decode()} for row in _rows_of_part(table)]
    kinds = {
        **dict.fromkeys(table.columns, "float64"),
        **dict.fromkeys(("picture", "error", *table.class_names), "string"),
        **dict.fromkeys(("faces", "x", "y", "width", "height"), "Int64"),
    }
    frame = pandas.DataFrame(rows, columns=table.columns).astype(kinds)
    frame.to_parquet(path, engine="pyarrow", index=False)


_MAKERS = {"json": _make_json, "parquet": _make_parquet}
