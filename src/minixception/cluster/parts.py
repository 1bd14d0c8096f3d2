"""A job whose results go into many files of one folder, and that goes on after any interruption.

What the job is stands in a hidden file of the folder from the beginning: its options, and its items
in order. Part number 7 always has the results of the same items, and appears in one step. Hence a
job continues with the missing parts, and it does no harm if two workers write one part.
"""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from minixception.cluster.pictures import PictureWorker
from minixception.cluster.places import Folder
from minixception.files import read_patiently
from minixception.inference.tables import Outcome, Table, line_of

JOB_FILE = ".job.jsonl"

# Items of a part. Few enough that little is lost with a worker, and that all workers are busy to
# the end; enough that neither Ray nor a reader of the folder has too many parts to handle.
_LEAST, _MOST, _PARTS_PER_WORKER = 8, 1000, 8


@dataclass(frozen=True)
class Job:
    """What is to be done.

    Attributes:
        options: what the results depend on beside the items.
        items: paths or URLs.
        part_size: items of a part.
    """

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
    """Write down what is to be done in a folder by so many workers, and return it."""
    job = Job(options, items, choose_part_size(len(items), workers))
    head = {"options": dict(options), "part_size": job.part_size}
    lines = [json.dumps(head), *map(json.dumps, items), ""]
    folder.make()
    folder.write(JOB_FILE, "\n".join(lines).encode())
    return job


def read_job(folder: Folder) -> Job | None:
    """Return the job that a folder holds, None if it holds none.

    Raises:
        ValueError: if the file is another program's.
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
    """Return how many items a part has in a job for so many workers.

    >>> choose_part_size(5000, 2), choose_part_size(1_000_000, 16), choose_part_size(10**8, 1600)
    (64, 164, 1000)
    """
    even = -(-items // (_PARTS_PER_WORKER * workers))
    return max(_LEAST, min(64 + items // 10_000, even, _MOST))


def part_name(number: int, suffix: str) -> str:
    """Return the name of a part; in the order of their names, parts are in that of the items."""
    return f"part-{number:06}{suffix}"


def part_numbers(folder: Folder, suffix: str) -> set[int]:
    """Return the numbers of the parts that a folder holds."""
    names = (name for name in folder.names() if name.startswith("part-") and name.endswith(suffix))
    digits = (name.removeprefix("part-").removesuffix(suffix) for name in names)
    return {int(number) for number in digits if number.isascii() and number.isdigit()}


class PartWorker:
    """Does parts of a job of pictures in one of many processes, and writes each.

    Args:
        worker: analyzes the pictures of a part.
        table: what their results are written as.
        folder: where the parts go.

    Raises:
        OSError: if this machine does not see the folder.
    """

    def __init__(self, worker: PictureWorker, table: Table, folder: Folder) -> None:
        self._worker, self._table, self._folder = worker, table, folder

    def __call__(self, part: tuple[int, Sequence[str]]) -> tuple[int, list[Outcome]]:
        """Do the part of this number, with these pictures; return it with what came of each."""
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
