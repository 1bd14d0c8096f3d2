"""Tables of pictures: a row per face, as CSV, JSON lines, Parquet or one JSON object.

A picture without a face has one row: `faces` is 0, `error` says why the picture could not be read
or is empty, and all other columns are empty. JSON leaves out what could not be read.
"""

import csv
import io
import json
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from minixception.inference.picture_files import PictureResult
from minixception.inference.predictions import table_columns, to_row
from minixception.messages import as_text, csv_cell, plain_json

if TYPE_CHECKING:
    import pandas

Line = Mapping[str, Any]
"""The result for a picture: `picture`, `error`, and `faces` as from `FacePrediction.to_json`."""

_ROWS_OF_A_GROUP = 10_000
"""In a Parquet file: some 10 MB in memory."""

Outcome = tuple[int, str | None]
"""Number of faces, and error, of a picture."""


def line_of(result: PictureResult) -> Line:
    """Return a result as plain data."""
    faces = [face.to_json() for face in result.faces]
    return {"picture": str(result.picture), "error": result.error, "faces": faces}


def picture_rows(line: Line, class_names: Mapping[str, Iterable[str]]) -> list[dict[str, Any]]:
    """Return a row per face of a picture, or one with None in its other cells if there is none."""
    rows = [to_row(face) for face in line["faces"]]
    empty = dict.fromkeys(picture_columns(class_names))
    head = {"picture": line["picture"], "faces": len(rows), "error": line["error"]}
    return [{**empty, **head, **row} for row in rows or [{}]]


def picture_columns(class_names: Mapping[str, Iterable[str]]) -> list[str]:
    """Return the columns of `picture_rows` for faces with these classes by task."""
    return ["picture", "faces", "error", *table_columns(class_names)]


def picture_frame(
    rows: Iterable[Mapping[str, Any]], class_names: Mapping[str, Iterable[str]]
) -> "pandas.DataFrame":
    """Return `picture_rows` of many pictures as a table whose types do not depend on its rows."""
    import pandas

    columns = picture_columns(class_names)
    kinds = {
        **dict.fromkeys(columns, "float64"),
        **dict.fromkeys(("picture", "error", *class_names), "string"),
        **dict.fromkeys(("faces", "x", "y", "width", "height"), "Int64"),
    }
    plain = [{**row, "picture": as_text(row["picture"])} for row in rows]
    return pandas.DataFrame(plain, columns=columns).astype(kinds)


@dataclass(frozen=True)
class Table:
    """A requested table.

    Attributes:
        format: "csv", "jsonl", "json" or "parquet".
        target: the file to write, or a folder for many.
        class_names: see `FaceAnalyzer.class_names`.
    """

    format: str
    target: Path
    class_names: Mapping[str, tuple[str, ...]] = field(hash=False)

    @property
    def suffix(self) -> str:
        """The ending of such a file's name."""
        return f".{self.format}"

    @property
    def header(self) -> bytes:
        """The first line of the file, if it has one."""
        return _csv_line(picture_columns(self.class_names)) if self.format == "csv" else b""

    def encode(self, line: Line) -> bytes:
        """Return the rows of a picture as in a CSV or JSONL file."""
        rows = picture_rows(line, self.class_names)
        if self.format == "csv":
            return b"".join(_csv_line(row.values()) for row in rows)
        return b"".join(map(_json_bytes, rows))

    def write(self, file: IO[bytes], lines: Iterable[Line]) -> None:
        """Write the content of the file."""
        if self.format == "parquet":
            rows = (row for line in lines for row in picture_rows(line, self.class_names))
            self._write_parquet(file, rows)
        elif self.format == "json":
            before = b"{"
            for line in (line for line in lines if line["error"] is None):
                entry = _json_bytes({line["picture"]: line["faces"]}, indent=2)
                file.write(before + entry.removeprefix(b"{").removesuffix(b"\n}\n"))
                before = b","
            file.write(b"{}\n" if before == b"{" else b"\n}\n")
        else:
            file.writelines(chain([self.header], map(self.encode, lines)))

    def _write_parquet(self, file: IO[bytes], rows: Iterator[dict[str, Any]]) -> None:
        """Write a row group at a time, so that memory does not grow with the table."""
        import pyarrow
        from pyarrow.parquet import ParquetWriter

        schema = pyarrow.Schema.from_pandas(
            picture_frame((), self.class_names), preserve_index=False
        )
        with ParquetWriter(file, schema) as writer:
            while group := list(islice(rows, _ROWS_OF_A_GROUP)):
                frame = picture_frame(group, self.class_names)
                writer.write_table(pyarrow.Table.from_pandas(frame, schema, preserve_index=False))

    def read(self, file: IO[bytes]) -> list[tuple[str, Outcome]]:
        """Return name and outcome of each picture in such a file (not JSON), [] for other files."""
        try:
            if self.format == "parquet":
                from pyarrow.parquet import read_table

                rows = iter(read_table(file).to_pylist())
            elif self.format == "csv":
                rows = csv.DictReader(io.TextIOWrapper(file, encoding="utf-8", newline=""))
            else:
                rows = map(json.loads, file)
            return list(self._outcomes(rows))
        except (ValueError, TypeError, RecursionError, csv.Error):
            return []

    def _outcomes(self, rows: Iterator[Mapping[str, Any]]) -> Iterator[tuple[str, Outcome]]:
        columns = picture_columns(self.class_names)
        for row in rows:
            if list(row) != columns:
                raise ValueError("other columns")
            faces = int(row["faces"])
            yield as_text(row["picture"]), (faces, row["error"] or None)
            deque(islice(rows, max(0, faces - 1)), maxlen=0)  # a row per face


def _json_bytes(content: Any, indent: int | None = None) -> bytes:
    return _encode(plain_json(json.dumps(content, indent=indent, ensure_ascii=False)) + "\n")


def _csv_line(values: Iterable[Any]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerow(map(csv_cell, values))
    return _encode(text.getvalue())


def _encode(text: str) -> bytes:
    # Bytes of a file name that are not UTF-8 become "\udcff", which JSON can read.
    return text.encode("utf-8", errors="backslashreplace")
