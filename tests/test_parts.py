"""Parts of a job on a cluster, and other file systems, without a cluster."""

import errno
import importlib.util
import io
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest

from conftest import Run
from minixception import files as storage
from minixception import images
from minixception.cluster import places
from minixception.cluster.parts import JOB_FILE, PartWorker, begin_job, part_numbers, read_job
from minixception.cluster.pictures import PictureWorker
from minixception.cluster.places import Folder, list_files, read_bytes
from minixception.inference.analyzer import FaceAnalyzer
from minixception.inference.picture_files import analyze_file
from minixception.inference.tables import Table

needs_arrow = pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("pyarrow", "fsspec"))), reason="no pyarrow or fsspec"
)
fail = Mock(side_effect=RuntimeError("connection reset by peer"))
needs_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="no Ray")


@pytest.fixture
def memory() -> Iterator[str]:
    """Return the URL of an empty folder that only fsspec knows."""
    import fsspec

    system = fsspec.filesystem("memory")
    yield "memory://host"
    system.rm("/", recursive=True)


@pytest.fixture(params=["path", pytest.param("URL", marks=needs_arrow)])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Folder:
    if request.param == "path":
        return Folder(str(tmp_path / "out"))
    return Folder(f"{request.getfixturevalue('memory')}/out")


@needs_arrow
def test_a_name_with_a_bracket_is_a_name_first(tmp_path: Path) -> None:
    for name in ("photos [2020]/a.jpg", "photos 2/b.jpg"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    base = tmp_path.as_uri()
    assert list_files(f"{base}/photos [2020]") == (f"{base}/photos [2020]", ["a.jpg"])
    assert list_files(f"{base}/photos [2-3]/*") == (base, ["photos 2/b.jpg"])


@needs_arrow
def test_google_is_not_waited_for_longer_than_others() -> None:
    pytest.importorskip("pyarrow._gcsfs")  # not in every build
    system, path = places.locate("gs://bucket/faces")
    assert path == "bucket/faces"
    assert "retry_time_limit': datetime.timedelta(seconds=4)" in str(system.__reduce__())


def test_a_folder_holds_what_is_written_whole(folder: Folder) -> None:
    assert folder.names() == []
    folder.make()
    assert not folder.holds("a")
    for content in (b"", b"first", b"second"):
        folder.write("a", content)
    assert (folder.names(), folder.read("a"), folder.holds("a")) == (["a"], b"second", True)


@needs_arrow
def test_an_upload_that_fails_leaves_nothing(memory: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, system = Folder(memory), "fsspec.implementations.memory.MemoryFileSystem"
    folder.write(".part-000000.csv", b"a user's own")
    for failing, left in (({"mv"}, 0), ({"mv", "rm"}, 1)):  # the second as if it was killed
        with monkeypatch.context() as patch:
            for name in failing:
                patch.setattr(f"{system}.{name}", fail)
            with pytest.raises(OSError, match="connection reset"):
                folder.write("part-000000.csv", b"content")
            folder.clear()
        assert len(folder.names()) == 1 + left
    folder.clear()
    assert folder.names() == [".part-000000.csv"]


@needs_arrow
def test_a_connection_that_fails_is_no_fault_of_a_picture(
    memory: str, portraits: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(url: str) -> np.ndarray:
        return images.decode_image(read_bytes(url), url)

    Folder(memory).write("a.jpg", portraits.read_bytes())
    assert (read(f"{memory}/a.jpg") == images.read_image(portraits)).all()
    analyze = partial(analyze_file, FaceAnalyzer(), read=read)
    missing, _ = analyze(f"{memory}/b.jpg")
    assert missing.error == f"{memory}/b.jpg: No such file or directory"
    monkeypatch.setattr(places, "_MOST_BYTES", 100)
    large, _ = analyze(f"{memory}/a.jpg")
    assert str(large.error).startswith(f"{memory}/a.jpg must be a file of at most 100 bytes")
    monkeypatch.setattr("fsspec.implementations.memory.MemoryFileSystem.open", fail)
    monkeypatch.setattr(storage, "PAUSES", (0.0,))
    with pytest.raises(OSError, match=r"a.jpg: connection reset by peer: this may be temporary"):
        analyze(f"{memory}/a.jpg")
    with pytest.raises(OSError, match="connection reset") as caught:
        Folder(memory).write("c", b"")
    assert caught.value.errno == errno.EIO


@needs_arrow
def test_urls_are_listed_as_folders_are(memory: str) -> None:
    for name in ("p/b.jpg", "p/a b%20.png", "p/sub/deep/c.webp", "p/.hidden/x.png", "q.gif"):
        Folder(f"{memory}/{name}".rpartition("/")[0]).write(name.rpartition("/")[2], b"")
    start, names = list_files(f"{memory}/p/") or ("", [])
    assert start == f"{memory}/p"
    assert sorted(names) == [".hidden/x.png", "a b%20.png", "b.jpg", "sub/deep/c.webp"]
    start, names = list_files(f"{memory}/p/**/[bc].*") or ("", [])
    assert (start, sorted(names)) == (f"{memory}/p", ["b.jpg", "sub/deep/c.webp"])
    assert list_files(f"{memory}/q.gif") is None
    with pytest.raises(ValueError, match="nobody://host/ cannot be read: "):
        list_files("nobody://host/folder")


def test_a_job_is_read_as_it_was_begun(folder: Folder, here: Path) -> None:
    assert read_job(folder) is None
    items = ["a.jpg", "in two\nlines.jpg", "\udcff.jpg", *map(str, range(20))]
    begin_job(folder, {"--engine": "litert"}, items, workers=1)
    job = read_job(folder)
    assert job is not None
    assert (job.options, job.items, len(job.parts)) == ({"--engine": "litert"}, items, 3)
    analyzer = FaceAnalyzer(emotion=None, gender=None)
    table = Table("csv", Path(), analyzer.class_names)
    worker = PartWorker(analyzer, table, folder)
    assert [(number, len(told)) for number, told in map(worker, list(job.parts.items())[1:])] == [
        (1, 8),
        (2, 7),
    ]
    assert part_numbers(folder, ".csv") == {1, 2}
    found = table.read(io.BytesIO(folder.read("part-000002.csv")))
    missing = "No such file or directory"
    assert found == [(str(n), (0, f"{n}: {missing}")) for n in range(13, 20)]
    elsewhere = PartWorker(analyzer, table, Folder(f"{folder.name}/elsewhere"))
    with pytest.raises(OSError, match="all machines must share it"):
        elsewhere((1, items))
    folder.write(JOB_FILE, b'{"options": {}}\n')
    with pytest.raises(ValueError, match="started by another version"):
        read_job(folder)


def test_a_worker_takes_paths_and_contents(portraits: Path, here: Path) -> None:
    (here / "a.jpg").write_bytes(portraits.read_bytes())
    (here / "b.png").write_bytes(b"no picture")
    worker = PictureWorker(FaceAnalyzer())
    names = ["a.jpg", "b.png", "c.png"]
    read = worker(names)
    given = worker(names[:2], [portraits.read_bytes(), b"no picture"])
    assert [len(result.faces) for result in read] == [3, 0, 0]
    assert [(one.faces, one.error) for one in read[:2]] == [(one.faces, one.error) for one in given]
    assert read[2].error == "c.png: No such file or directory"


@needs_ray
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "give one of --parquet, --csv, --jsonl"),
        (["--csv", "a", "--jsonl", "b"], "give one of --parquet, --csv, --jsonl"),
        (["--csv", "a", "--output", "drawn"], "--output does not go with --cluster"),
        (["--csv", "a", "--engine", "keras"], "--engine does not go with --cluster"),
        (["--csv", "a.csv"], "--csv must be a folder"),
        (["--csv", "a", "--cluster", "ray://host:1"], "HOST:PORT of the head"),
        (["--csv", "a", "--cluster", "localhost:1"], "no Ray cluster answers at localhost:1"),
    ],
)
def test_what_a_cluster_cannot_do_is_refused(
    options: list[str], message: str, run: Run, portraits: Path, here: Path
) -> None:
    (line,) = run("image", portraits, "--cluster=local", *options, code=1).stderr.splitlines()
    assert message in line
    assert list(here.iterdir()) == []
