"""Faces without labels, for training on the answers of teachers."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from minixception.boxes import as_boxes, clip
from minixception.datasets.cache import cached_dataset
from minixception.datasets.face_dataset import FaceDataset, picture_digest, twins_of
from minixception.datasets.merging import merge_datasets
from minixception.datasets.pictures import (
    ListedPicture,
    PictureForm,
    archive_names,
    contents_in_turn,
    picture_names,
    read_listed,
    sole_archive,
)
from minixception.detection.columns import SURE, squares_of
from minixception.detection.labelled_pictures import read_labelled_pictures
from minixception.detection.registry import default_checksum
from minixception.files import PICTURE_SUFFIXES, content_checksum, files_below
from minixception.images import crop

_LOADER_VERSION = 7
_UNLABELLED = ("unlabelled",)
_LICENCE = "not known"


def load_unlabelled(
    path: str | Path,
    *,
    image_size: tuple[int, int] = (48, 48),
    channels: int = 1,
    leave_out: Collection[str] = (),
    use_cache: bool = True,
) -> FaceDataset:
    """Load the faces in unlabelled pictures, cropped as a detector frames them.

    Args:
        path: A folder or tar archive of pictures, from each of which the largest face is taken; or
            a folder with the `photographs.tar` and `photographs.csv` of a detection set, from which
            all faces are taken that its table is sure of.
        image_size: See `PictureForm`.
        channels: See `PictureForm`.
        leave_out: Names of picture files to leave out, such as those that a model is scored on; in
            a detection set, those of the table's column `source`.
        use_cache: Keep the faces in the cache folder.

    Returns:
        Images uint8 (N, height, width, channels), all of the one class "unlabelled"; `attributes`
        hold "content", the hash of the whole picture, and "file", its name. `dropped` counts what
        is left out, by reason.

    Raises:
        FileNotFoundError: There is nothing at `path`.
        ValueError: It holds no face, or is neither a folder nor a tar archive.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"There is nothing at {path}, which should hold unlabelled faces.")
    form = PictureForm(image_size, channels, crop_faces=True)
    faces = cached_dataset(
        path,
        lambda: _read(path, form),
        loader="unlabelled",
        version=_LOADER_VERSION,
        options={**form.to_json(), "detector": default_checksum()},
        use_cache=use_cache,
    )
    is_scored = np.isin(faces.attributes["file"], sorted(leave_out))
    dropped = {**faces.dropped, "left out by name": int(is_scored.sum())}
    return replace(faces.select(~is_scored), dropped=dropped)


def gather_unlabelled(
    places: Sequence[Path],
    dataset: FaceDataset,
    *,
    unseen: Sequence[str],
    leave_out: Path | None = None,
) -> FaceDataset | None:
    """Load the faces of several places, in the form of a data set's images; None for no places.

    A place that is given twice is read once. Pictures named as in the folder or archive
    `leave_out`, and pictures of the data set's splits `unseen`, are left out.

    Raises:
        ValueError: no face is left; see also `load_unlabelled`.
    """
    if not places:
        return None
    scored = dataset.select(np.isin(np.asarray(dataset.splits), unseen))
    _, height, width, channels = dataset.images.shape
    names = () if leave_out is None else picture_names(leave_out)
    parts = [
        load_unlabelled(place, image_size=(height, width), channels=channels, leave_out=names)
        for place in {place.resolve(): place for place in places}.values()
    ]
    # By numbers: a run may be resumed from a folder in which the places have other paths.
    faces = merge_datasets(
        {str(number): part for number, part in enumerate(parts, start=1)},
        name="+".join(part.name for part in parts),
    )
    contents = faces.attributes["content"]
    is_known = np.isin(contents, scored.attributes.get("content", ())) | twins_of(faces, scored)
    dropped = {**faces.dropped, "scored": int(is_known.sum())}
    if is_known.all():
        told = ", ".join(f"{reason}: {count}" for reason, count in dropped.items() if count)
        raise ValueError(f"`unlabelled` must hold faces that are not left out. Received: {told}")
    return replace(faces.select(~is_known), dropped=dropped)


def describe_unlabelled(faces: FaceDataset) -> dict[str, Any]:
    """Return plain data for the card of a model that learned from these faces."""
    facts = {"name": faces.name, "checksum": faces.checksum, "faces": len(faces)}
    return {**facts, "dropped": dict(faces.dropped)}


def _read(path: Path, form: PictureForm) -> FaceDataset:
    is_detection_set = (path / "photographs.csv").is_file()
    faces = _labelled_faces(path, form) if is_detection_set else _largest_faces(path, form)
    plain = np.array([Path(name).name for name in faces.attributes["file"]])
    return replace(
        faces,
        checksum=content_checksum([("images", faces.images.tobytes())]),
        attributes={**faces.attributes, "file": plain},
    )


def _largest_faces(path: Path, form: PictureForm) -> FaceDataset:
    place = sole_archive(path)
    is_folder = place.is_dir()
    names = files_below(place) if is_folder else archive_names(place)
    return read_listed(
        path,
        [ListedPicture(name, 0) for name in names if Path(name).suffix.lower() in PICTURE_SUFFIXES],
        form,
        class_names=_UNLABELLED,
        name=None,
        licence=_LICENCE,
        wanted="pictures of faces",
        content_of=None if is_folder else contents_in_turn(place),
        summed=(),
    )


def _labelled_faces(path: Path, form: PictureForm) -> FaceDataset:
    """Return the faces that a detection set is sure of."""
    images, names, contents = [], [], []
    for picture in read_labelled_pictures(path, "photographs"):
        image = picture.image[:, :, None]
        sure = picture.faces[picture.faces[:, SURE] == 1]
        for box in as_boxes(squares_of(sure)):
            images.append(form.resize(crop(image, clip(box, *image.shape[:2]))))
        names += [picture.name] * len(sure)
        contents += [picture_digest(image)] * len(sure)
    if not images:
        raise ValueError(f"{path} must hold pictures of faces. Received: no face")
    return FaceDataset(
        images=np.array(images, np.uint8),
        labels=np.zeros(len(images), np.int64),
        class_names=_UNLABELLED,
        name=path.resolve().name,
        licence=_LICENCE,
        checksum="",
        attributes={"file": np.array(names), "content": np.array(contents)},
    )
