"""A job whose results are many files in one folder, and that can go on after any interruption.

From the start, a hidden file in the folder holds the options of the job, and its items in order.
Each part always has the results of the same items, and appears in one step. So a job continues
with the missing parts, and two workers may write the same part.
"""

import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from minixception.cluster.pictures import PictureWorker
from minixception.cluster.places import Folder
from minixception.files import read_patiently
from minixception.inference.analyzer import FaceAnalyzer
from minixception.inference.tables import Outcome, Table, line_of

JOB_FILE = ".job.jsonl"

# Items of a part: few enough to lose little with a worker and to keep all workers busy to the end,
# and enough that neither Ray nor a reader of the folder has too many parts to handle.
_LEAST, _MOST, _PARTS_PER_WORKER = 8, 1000, 8


@dataclass(frozen=True)
class Job:
    """What is to be done: options that the results depend on, and items, paths or URLs."""

    options: Mapping[str, str]
    items: Sequence[str]
    part_size: int

    @cached_property
    def parts(self) -> dict[int, Sequence[str]]:
        """Number of each part -> its items."""
        starts = range(0, len(self.items), self.part_size)
        return {
            number: self.items[start : start + self.part_size]
            for number, start in enumerate(starts)
        }


def begin_job(
    folder: Folder, options: Mapping[str, str], items: Sequence[str], *, workers: int
) -> Job:
    """Write a job for so many workers into a folder, and return it."""
    job = Job(options, items, choose_part_size(len(items), workers))
    head = {"options": dict(options), "part_size": job.part_size}
    lines = [json.dumps(head), *map(json.dumps, items), ""]
    folder.make()
    folder.write(JOB_FILE, "\n".join(lines).encode())
    return job


def read_job(folder: Folder) -> Job | None:
    """Return the job that a folder holds, None if it holds none.

    Raises:
        ValueError: if the file is of another version.
    """
    if not folder.holds(JOB_FILE):
        return None
    try:
        head, *items = map(json.loads, folder.read(JOB_FILE).splitlines())
        return Job(head["options"], items, head["part_size"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{folder.name}/{JOB_FILE} was started by another version of this program: choose "
            "another folder"
        ) from error


def choose_part_size(items: int, workers: int) -> int:
    """Return how many items a part has, for so many items and workers.

    >>> choose_part_size(5000, 2), choose_part_size(1_000_000, 16), choose_part_size(10**8, 1600)
    (64, 164, 1000)
    """
    even = -(-items // (_PARTS_PER_WORKER * workers))
    return max(_LEAST, min(64 + items // 10_000, even, _MOST))


def part_name(number: int, suffix: str) -> str:
    """Return the name of a part; names sort like the items."""
    return f"part-{number:06}{suffix}"


def part_numbers(folder: Folder, suffix: str) -> set[int]:
    """Return the numbers of the parts that a folder holds."""
    pattern = re.compile(rf"part-([0-9]+){re.escape(suffix)}")
    return {int(found[1]) for found in map(pattern.fullmatch, folder.names()) if found}


class PartWorker:
    """Does parts of a job on pictures in one of many processes, and writes each into the folder."""

    def __init__(
        self, analyzer: FaceAnalyzer, table: Table, folder: Folder, *, whole_picture: bool = False
    ) -> None:
        self._worker = PictureWorker(analyzer, whole_picture=whole_picture)
        self._table, self._folder = table, folder

    def __call__(self, part: tuple[int, Sequence[str]]) -> tuple[int, list[Outcome]]:
        """Do a part, given as its number and its pictures; return the number and the outcomes.

        Raises:
            OSError: if this machine does not see the folder.
        """
        number, pictures = part
        if not self._folder.holds(JOB_FILE):
            raise FileNotFoundError(
                f"{self._folder.name}: a machine of the cluster does not see this folder, or not "
                "the one in which the job was started; all machines must share it"
            )
        lines = list(map(line_of, self._worker(pictures)))
        file = io.BytesIO()
        self._table.write(file, lines)
        name = part_name(number, self._table.suffix)
        read_patiently(lambda: self._folder.write(name, file.getvalue()))
        return number, [(len(line["faces"]), line["error"]) for line in lines]
