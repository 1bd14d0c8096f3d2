"""Tables that were interrupted; what kills a whole job is in test_command_image_folders.py."""

import io
import json
from pathlib import Path

import pytest

from minixception.boxes import Box
from minixception.commands.picture_tables import TableWriter, journal_of, read_journal
from minixception.files import open_grown
from minixception.inference.picture_files import PictureResult
from minixception.inference.predictions import FacePrediction
from minixception.inference.tables import Table, line_of
from minixception.locks import lock_file, sole_writer
from systems import needs_links

CLASS_NAMES = {"emotion": ("sad", "happy"), "gender": ()}
OPTIONS = {"--emotion-model": "a md5:1", "--engine": "litert", "--min-face": "None"}


def make_results() -> list[PictureResult]:
    """Return results of pictures with no, one and three faces, and names that are hard to write."""
    counts = {"a.jpg": 1, 'b "quoted",\nin two\r\nlines.jpg': 3, "ä 顔.jpg": 0, "\udcff.jpg": 2}

    def face(number: int) -> FacePrediction:
        scores = {"sad": 0.1 + number / 3, "happy": 0.9 - number / 3}
        return FacePrediction(Box(number, 2, 30, 40), {"emotion": scores})

    return [
        *(PictureResult(Path(name), tuple(map(face, range(n)))) for name, n in counts.items()),
        PictureResult(Path("e"), error='cannot "read", it'),
    ]


def write_tables(tables: list[Table], *, resume: bool = False, finish: bool = True) -> int:
    """Write all results; return how many there were already."""
    results = make_results()
    pictures = [one.picture for one in results]
    writer = TableWriter(tables, pictures, resume=resume, options=OPTIONS)
    writer.open()
    for result in results[len(writer.done) :]:
        writer.write(result)
    if finish:
        writer.finish()
    writer.close()
    return len(writer.done)


def interrupt_and_finish(tables: list[Table]) -> tuple[bytes, list[bytes]]:
    """Return the journal of all results, and the tables that are made of it."""
    write_tables(tables, finish=False)
    journal = journal_of(tables[0].target).read_bytes()
    write_tables(tables, resume=True)
    return journal, [table.target.read_bytes() for table in tables]


def test_a_journal_cut_anywhere_is_completed(tmp_path: Path) -> None:
    tables = [Table(form, tmp_path / form, CLASS_NAMES) for form in ("json", "csv", "jsonl")]
    whole, expected = interrupt_and_finish(tables)
    part = journal_of(tables[0].target)
    part.write_bytes(whole)
    ends = [end for _, end in read_journal(part)][1:]
    assert ends[-1] == len(whole)
    for length in sorted({*range(0, len(whole), 61), *ends, *(end - 1 for end in ends)}):
        part.write_bytes(whole[:length])
        assert write_tables(tables, resume=True) == sum(end <= length for end in ends)
        assert [table.target.read_bytes() for table in tables] == expected
        assert not part.exists()


@pytest.mark.parametrize("count", [0, 1, 5])
def test_json_is_one_object(count: int) -> None:
    lines = [line_of(result) for result in make_results()[:count]]
    file = io.BytesIO()
    Table("json", Path("faces.json"), CLASS_NAMES).write(file, lines)
    content = {line["picture"]: line["faces"] for line in lines if line["error"] is None}
    text = json.dumps(content, indent=2, ensure_ascii=False)
    assert file.getvalue() == f"{text}\n".encode(errors="backslashreplace")


def test_interrupted_while_finishing(tmp_path: Path) -> None:
    tables = [Table(form, tmp_path / form, CLASS_NAMES) for form in ("json", "csv", "jsonl")]
    journal, expected = interrupt_and_finish(tables)
    assert write_tables(tables, resume=True) == 5
    for left in range(3):  # tables that are not yet there
        journal_of(tables[0].target).write_bytes(journal)
        for table in tables[3 - left :]:
            table.target.unlink()
        assert write_tables(tables, resume=True) == 5
        assert [table.target.read_bytes() for table in tables] == expected
        assert sorted(path.name for path in tmp_path.iterdir()) == ["csv", "json", "jsonl"]


def test_a_part_of_another_job_is_refused(tmp_path: Path) -> None:
    table = Table("csv", tmp_path / "faces.csv", CLASS_NAMES)
    write_tables([table], finish=False)
    before = journal_of(table.target).read_bytes()
    pictures = [one.picture for one in make_results()]
    other = {**OPTIONS, "--emotion-model": "a md5:2", "--min-face": "80"}
    options_named = r"--emotion-model was a md5:1, now a md5:2; --min-face was None, now 80"
    tables = [Table("jsonl", tmp_path / "faces.jsonl", CLASS_NAMES), table]
    for resume, others, options, message in (
        (False, pictures, OPTIONS, "faces.csv.part holds 5 pictures of an interrupted job: add"),
        (True, pictures[:3], OPTIONS, "started with other pictures"),
        (True, pictures[::-1], OPTIONS, "started with other pictures"),
        (True, pictures, other, options_named),
    ):
        with pytest.raises((FileExistsError, ValueError), match=message):
            TableWriter(tables, others, resume=resume, options=options)
    assert journal_of(table.target).read_bytes() == before
    journal_of(table.target).write_bytes(b"picture,faces,error\r\n")
    with pytest.raises(ValueError, match="started by another version"):
        TableWriter([table], pictures, resume=True, options=OPTIONS)


def test_a_table_more_is_made_of_what_was_done(tmp_path: Path) -> None:
    tables = [Table(form, tmp_path / form, CLASS_NAMES) for form in ("csv", "jsonl")]
    write_tables(tables[1:], finish=False)
    assert write_tables(tables, resume=True) == 5
    assert sorted(path.name for path in tmp_path.iterdir()) == ["csv", "jsonl"]


def test_a_damaged_end_is_done_again(tmp_path: Path) -> None:
    table = Table("jsonl", tmp_path / "faces.jsonl", CLASS_NAMES)
    whole, (expected,) = interrupt_and_finish([table])
    for tail in (b"\0" * 50, b"\0" * 50 + b"\n", b"{}\n", b'"', b"5\n[]\n"):
        journal_of(table.target).write_bytes(whole[: len(whole) // 2] + tail)
        write_tables([table], resume=True)
        assert table.target.read_bytes() == expected


@needs_links
@pytest.mark.parametrize("kind", ["link", "dangling link", "second name"])
@pytest.mark.parametrize("hidden", ["part", "lock"])
def test_a_planted_link_is_not_followed(tmp_path: Path, kind: str, hidden: str) -> None:
    table = Table("csv", tmp_path / "faces.csv", CLASS_NAMES)
    target = tmp_path / "precious"
    if kind != "dangling link":
        target.write_bytes(b"precious")
    place = lock_file(table.target) if hidden == "lock" else journal_of(table.target)
    place.hardlink_to(target) if kind == "second name" else place.symlink_to(target)
    with pytest.raises(ValueError, match="is a link to another file"), sole_writer(table.target):
        TableWriter([table], [Path("a.jpg")], resume=True, options=OPTIONS)
    assert target.exists() == (kind != "dangling link")
    assert kind == "dangling link" or target.read_bytes() == b"precious"
    if kind != "second name":
        with pytest.raises(OSError, match="faces"):
            open_grown(place)
