"""Pictures on a cluster: what a worker does with them, and datasets of them."""

import io
import os
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from itertools import chain
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

from minixception.bounds import LARGEST_PICTURE
from minixception.cluster.places import is_url, read_bytes
from minixception.cluster.work import settle, spread
from minixception.files import refuse_link
from minixception.images import picture_size
from minixception.inference.analyzer import FaceAnalyzer
from minixception.inference.picture_files import PictureResult, analyze_file, folder_states
from minixception.inference.tables import line_of, picture_frame, picture_rows
from minixception.inference.workers import Room, in_order
from minixception.messages import require

if TYPE_CHECKING:
    import pyarrow
    import ray.data

# Threads that wait for other machines to send files; a disk has them at once.
_READERS = 8

# Pixels: a machine works on one larger picture at a time, however many workers it has.
_LARGE = LARGEST_PICTURE // 4


class PictureWorker:
    """Analyzes pictures in one of many processes.

    `whole_picture` is as in `FaceAnalyzer.analyze`.
    """

    def __init__(self, analyzer: FaceAnalyzer, *, whole_picture: bool = False) -> None:
        self.analyzer = analyzer
        self._whole_picture = whole_picture
        self._folders: dict[Path, tuple[int, int]] = {}
        self._room = Room()

    def __call__(
        self, names: Sequence[str], contents: Sequence[bytes | None] | None = None
    ) -> list[PictureResult]:
        """Return the result for each picture, by its path or URL, or by its content if it is here.

        Raises:
            OSError: if the machine is at fault and not the picture; see `analyze_file`.
        """
        sources = list(zip(names, contents or [None] * len(names), strict=True))
        paths = [Path(name) for name, content in sources if content is None and not is_url(name)]
        self._folders |= folder_states(path for path in paths if path.parent not in self._folders)
        readers = 1 if len(paths) == len(sources) else _READERS
        return list(in_order(self._analyze, sources, workers=readers))

    def _analyze(self, source: tuple[str, bytes | None]) -> PictureResult:
        name, content = source
        with ExitStack() as held:

            def read(_: object) -> Path | io.BytesIO:
                held.close()  # what an earlier attempt has taken
                found: str | bytes = name if content is None else content
                if content is None and is_url(name):
                    found = read_bytes(name)
                held.enter_context(self._room.keep(found))
                if prod(picture_size(found)) > _LARGE:
                    _wait_for_turn(held)
                if isinstance(found, str):
                    return Path(found)
                file = io.BytesIO(found)
                file.name = name  # messages call it so
                return file

            picture = name if is_url(name) or content is not None else Path(name)
            return analyze_file(
                self.analyzer,
                picture,
                read=read,
                whole_picture=self._whole_picture,
                folders=self._folders,
            )[0]


def _wait_for_turn(held: ExitStack) -> None:
    """Wait for the other workers of this machine, and let them wait until `held` is closed."""
    from filelock import FileLock

    user = getattr(os, "getuid", int)()
    place = Path(tempfile.gettempdir(), f"minixception-{user}-large.lock")
    with suppress(OSError, ValueError):  # without a lock, memory may still do
        refuse_link(place)
        held.enter_context(FileLock(place))


def analyze(
    dataset: "ray.data.Dataset",
    *,
    analyzer: FaceAnalyzer | None = None,
    whole_picture: bool = False,
    workers: int | None = None,
    batch_size: int = 32,
) -> "ray.data.Dataset":
    """Find and classify the faces in a Ray dataset of pictures.

        import ray
        from minixception.cluster import analyze

        files = ray.data.read_binary_files("s3://archive/1998", include_paths=True)
        faces = analyze(files)
        print(faces.groupby("emotion").count().to_pandas())
        faces.write_parquet("s3://archive/faces")

    A picture that cannot be read becomes a row with `error`. The fault of a machine, such as a
    missing disk, fails the dataset.

    Args:
        dataset: has a column `path` of paths or URLs, and `bytes` if the files are already read.
            Other columns stay beside the faces, so that one can group by them.
        analyzer: finds and classifies; `FaceAnalyzer()` if left out. It goes to each worker with
            its models.
        whole_picture: see `FaceAnalyzer.analyze`.
        workers: processes with an analyzer and a core each; as many as Ray finds useful if left
            out. Reading files takes another core.
        batch_size: pictures that are handed to a worker at once.

    Returns:
        A dataset, computed on demand, with the columns and types of `minixception image --parquet`
        in place of `path` and `bytes`: `picture`, `faces`, `error`, box, labels, scores. It has a
        row per face, and one for a picture without.

    Raises:
        ModuleNotFoundError: without the extra `cluster`.
    """
    require("ray", "pyarrow", what="analyze")
    return spread(
        dataset.map_batches,
        _DatasetWorker,
        analyzer or FaceAnalyzer(),
        whole_picture,
        size=workers or 1,
        grows=workers is None,
        batch_size=batch_size,
        batch_format="pyarrow",
    )


class _DatasetWorker:
    """What Ray Data makes in each process, and calls with tables of pictures."""

    def __init__(self, analyzer: FaceAnalyzer, whole_picture: bool) -> None:
        settle()
        self._worker = PictureWorker(analyzer, whole_picture=whole_picture)

    def __call__(self, batch: "pyarrow.Table") -> "pyarrow.Table":
        import pyarrow

        names = batch.column("path").to_pylist()
        has_contents = "bytes" in batch.column_names
        contents = batch.column("bytes").to_pylist() if has_contents else None
        results = self._worker(names, contents)
        class_names = self._worker.analyzer.class_names
        rows = [picture_rows(line_of(one), class_names) for one in results]
        origins = [number for number, each in enumerate(rows) for _ in each]
        frame = picture_frame(chain.from_iterable(rows), class_names)
        table = pyarrow.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata()
        others = batch.drop_columns([n for n in ("path", "bytes") if n in batch.column_names])
        clash = set(others.column_names) & set(table.column_names)
        if clash:
            raise ValueError(f"rename these columns of the dataset: {', '.join(sorted(clash))}")
        beside = others.take(pyarrow.array(origins, pyarrow.int64()))
        names = [*beside.column_names, *table.column_names]
        return pyarrow.table([*beside.columns, *table.columns], names=names)
