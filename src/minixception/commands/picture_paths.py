"""Which pictures or videos a command reads, and where the result of each goes."""

import glob
import os
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from itertools import count, takewhile
from pathlib import Path
from unicodedata import normalize

from minixception.commands.outputs import check_folder
from minixception.files import PICTURE_SUFFIXES, count_suffixes, walk_files
from minixception.messages import counted, one_line

LONGEST_NAME = 255  # of a file, in bytes, on all common file systems
JPEG_SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo")
_DRAWN_NAME = re.compile(r"(.+)_(?:faces|explained)(?:_\d+){0,2}\.(?:png|jpg)")


@dataclass(frozen=True)
class FoundFiles:
    """The pictures, or videos, to do, and what else was found.

    Attributes:
        kind: "picture" or "video".
        suffixes: of the names of such files, in lower case.
        places: picture -> its folder below the folder or pattern that it was found by.
        left_out: pictures that are results of an earlier run.
        others: other files beside the pictures, except hidden ones.
        links: to folders, which are not followed.
        empty: a message for each folder or pattern without a picture.
        failures: a message for each folder that cannot be listed.
        urls: pictures in other file systems.
    """

    kind: str = "picture"
    suffixes: tuple[str, ...] = PICTURE_SUFFIXES
    places: dict[Path, Path] = field(default_factory=dict)
    left_out: list[Path] = field(default_factory=list)
    others: list[Path] = field(default_factory=list)
    links: list[Path] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    urls: list[str] = field(default_factory=list)


def find_files(
    paths: Iterable[Path | str],
    *,
    output: Path | None = None,
    kind: str = "picture",
    suffixes: tuple[str, ...] = PICTURE_SUFFIXES,
) -> FoundFiles:
    """Replace folders and patterns by the pictures they stand for, in the order given.

    A folder is searched with all below it, sorted by name. Left out are hidden files, those without
    a picture's suffix, and the results of an earlier run: what lies in the output folder where that
    is part of the searched one, and NAME_faces.jpg and NAME_explained_1.png beside a picture NAME.
    Files named one by one all stay. A URL may be a file, folder or pattern likewise. What is left
    out is printed.
    """
    found = FoundFiles(kind, suffixes)
    for path in paths:
        failures = len(found.failures)
        if isinstance(path, str):
            _find_urls(path, found)
            continue
        if path.is_dir():
            start, files = path, list(_files_below(path, found))
        elif glob.has_magic(str(path)) and not os.path.lexists(path):
            # Its parts before the first with a wildcard.
            start = Path(*takewhile(lambda part: not glob.has_magic(part), path.parts[:-1]))
            files = list(_files_like(path, found))
        else:
            found.places.setdefault(path, Path())
            continue
        is_whole = len(found.failures) == failures  # else more may be there
        for picture in _choose(found, path, start, files, output=output, is_whole=is_whole):
            found.places.setdefault(picture, picture.parent.relative_to(start))
    _tell(found)
    return found


def _tell(found: FoundFiles) -> None:
    """Print which paths have no pictures, or videos, and what was left out."""
    messages = [*found.empty, *(f"not done: {text}" for text in found.failures)]
    if found.left_out:
        messages.append(
            f"left out as results of an earlier run: {counted(len(found.left_out), 'picture')}, "
            f"such as {one_line(found.left_out[0])}; to include them, name them one by one"
        )
    if found.links:
        messages.append(
            f"left out as links to folders: {len(found.links)}, such as {one_line(found.links[0])}"
        )
    if found.others:
        messages.append(f"left out, not {found.kind}s: {count_suffixes(found.others)}")
    for message in messages:
        print(message, file=sys.stderr)


def _find_urls(url: str, found: FoundFiles) -> None:
    from minixception.cluster.places import list_files

    listed = list_files(url)
    if listed is None:
        found.urls.append(url)
        return
    start, names = listed
    hidden = re.compile(r"(^|/)\.[^/]*/")
    files = [Path(name) for name in names if not hidden.search(name)]
    found.urls.extend(f"{start}/{path.as_posix()}" for path in _choose(found, url, Path(), files))


def _choose(
    found: FoundFiles,
    path: Path | str,
    start: Path,
    files: list[Path],
    *,
    output: Path | None = None,
    is_whole: bool = True,
) -> list[Path]:
    """Return the pictures to do among the files that a path stands for, sorted; note the rest."""
    visible = [file for file in files if not file.name.startswith(".")]
    pictures = [file for file in visible if file.suffix.lower() in found.suffixes]
    pictures.sort(key=lambda file: file.parts)
    if pictures:
        found.others.extend(file for file in visible if file.suffix.lower() not in found.suffixes)
    elif is_whole:
        endings = f"{found.kind}s end in {', '.join(found.suffixes)}"
        found.empty.append(f"{path}: no {found.kind} found; {endings}")
    results = _results_among(pictures, start, output)
    found.left_out.extend(picture for picture in pictures if picture in results)
    return [picture for picture in pictures if picture not in results]


def _files_below(folder: Path, found: FoundFiles) -> Iterator[Path]:
    """Yield the files below a folder, except in hidden folders; note in `found` what fails."""

    def tell(error: OSError) -> None:
        found.failures.append(f"{error.filename}: {error.strerror}")

    return walk_files(folder, found.links, tell, skips=lambda name: name.startswith("."))


def _files_like(pattern: Path, found: FoundFiles) -> Iterator[Path]:
    """Yield the files that a pattern matches; where it has a **, folders are searched as above."""
    before = Path(*takewhile(lambda part: part != "**", pattern.parts))
    # Unlike `Path.glob` this leaves out hidden folders.
    matches = map(Path, glob.glob(str(before)))  # noqa: PTH207
    if before == pattern:
        yield from (match for match in matches if not match.is_dir())
        return
    wanted = pattern.parts[len(before.parts) :]
    for folder in filter(Path.is_dir, matches):
        for file in _files_below(folder, found):
            if _fits(file.relative_to(folder).parts, wanted):
                yield file


def _fits(parts: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    if not (parts and pattern):
        return not parts and set(pattern) <= {"**"}
    if pattern[0] == "**":
        return _fits(parts, pattern[1:]) or _fits(parts[1:], pattern)
    return fnmatch(parts[0], pattern[0]) and _fits(parts[1:], pattern[1:])


def _results_among(pictures: list[Path], start: Path, output: Path | None) -> set[Path]:
    """Return the pictures that an earlier run has drawn."""
    root, folder = (Path(os.path.realpath(path)) for path in (start, output or Path()))
    places = {place: Path(os.path.realpath(place)) for place in {one.parent for one in pictures}}
    originals = {(places[picture.parent], picture.stem) for picture in pictures}
    below_output = {place for place, real in places.items() if real.is_relative_to(folder)}
    holds_drawn_only = output is not None and root in folder.parents

    def is_result(picture: Path) -> bool:
        place, name = places[picture.parent], _DRAWN_NAME.fullmatch(picture.name)
        sources = {place}
        if picture.parent in below_output:
            if holds_drawn_only:
                return True
            # Pictures below `start` are drawn to the same place below `folder`.
            sources.add(root / place.relative_to(folder))
        return name is not None and any((source, name[1]) in originals for source in sources)

    return set(filter(is_result, pictures))


def output_paths(places: dict[Path, Path], output: Path | None) -> dict[Path, Path]:
    """Return the file that each picture is drawn to: `output` itself, or one in this folder.

    `places` are the folders of the pictures below the output folder; None is the current one.
    """
    from minixception.images import WRITABLE_SUFFIXES

    folder = output or Path()
    is_file_name = not folder.is_dir() and folder.suffix.lower() in WRITABLE_SUFFIXES
    if is_file_name and len(places) == 1:
        return {next(iter(places)): folder}
    check_folder(folder, "--output")
    return paths_in_folder(places, folder)


def paths_in_folder(
    places: dict[Path, Path],
    folder: Path,
    *,
    ending: str = "_faces",
    suffix: str | None = None,
    spare: int = 0,
) -> dict[Path, Path]:
    """Return NAME_faces.jpg or .png in the folder, below their places, for each picture.

    A number keeps equal names, and the pictures themselves, apart. Without a `suffix` a JPEG stays
    one, and all others become PNG; `spare` bytes may still be added to a name.
    """

    def folded(path: Path) -> str:
        # As some file systems see it, those of macOS in either form of Unicode.
        return normalize("NFC", os.path.realpath(path)).casefold()

    taken = {folded(picture) for picture in places}
    numbers: dict[str, Iterator[int]] = defaultdict(lambda: count(2))  # left for each name
    paths = {}
    for picture, place in places.items():
        form = suffix or (".jpg" if picture.suffix.lower() in JPEG_SUFFIXES else ".png")
        path = folder / place / short_name(picture.stem, ending + form, spare=spare)
        first = folded(path)
        while folded(path) in taken:
            numbered = f"{ending}_{next(numbers[first])}{form}"
            path = path.with_name(short_name(picture.stem, numbered, spare=spare))
        taken.add(folded(path))
        paths[picture] = path
    return paths


def short_name(stem: str, ending: str, *, spare: int = 0) -> str:
    """Return stem and ending as a file name that leaves `spare` bytes; the stem is cut to fit."""
    while len(os.fsencode(stem + ending)) > LONGEST_NAME - spare:
        stem = stem[:-1]
    return stem + ending
