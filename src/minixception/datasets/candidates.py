"""What a detector takes for faces, labelled with its roll or as none; made from a detection set.

Nobody labels a roll. A photograph is turned by a known angle, and its landmarks say how the face
was turned before. What is no face comes from composed scenes in which the detector was wrong.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minixception.boxes import Box, as_boxes, intersections_over_unions
from minixception.datasets.cache import cached_dataset
from minixception.datasets.face_dataset import FaceDataset
from minixception.datasets.pictures import PictureForm, picture_names
from minixception.detection.columns import LANDMARKS, MIDDLE, SURE, clipped_boxes, squares_of
from minixception.detection.labelled_pictures import (
    LabelledPicture,
    SceneSources,
    read_labelled_pictures,
    read_sources,
)
from minixception.detection.network_detector import MiniXceptionDetector
from minixception.detection.scene_pixels import put_on_sunglasses
from minixception.detection.scenes import SUNGLASSES, compose_scene
from minixception.files import content_checksum, file_checksum, find_data
from minixception.images import crop_turned, cut_face, resize_image
from minixception.labels import NO_FACE, ROLLS

TURNS = 3
"""Copies of a photograph, each turned and mirrored by chance."""

SCENES = {"train": 4000, "validation": 400}
SCENE_SIZE = 256
LEAST_SCORE = 0.1
"""Of a box that the detector draws in a scene."""

SURELY_FACE, SURELY_NONE = 0.5, 0.25  # IoU with a face, from which on and up to which

_LOADER_VERSION = 8
_SCORED = ("facial_expressions/facial_expressions.tar", "facial_expressions")

# Eyes, nose and corners of the mouth of an upright face, as complex numbers from the middle of the
# eyes in distances between them: the mean of 12,681 faces of the detection set.
_UPRIGHT = np.array([-0.5, 0.5, 0.61j, -0.425 + 1.09j, 0.425 + 1.09j])

# A crop and its roll in degrees, None for what is no face.
_Candidate = tuple[NDArray[Any], float | None]


def load_candidates(
    path: str | Path,
    *,
    scored: str | Path | None = None,
    image_size: tuple[int, int] = (48, 48),
    channels: int = 1,
    use_cache: bool = True,
) -> FaceDataset:
    """Load possible faces, framed as a detector frames them.

    They are, first, the photographs' faces, `TURNS` times each: half of the copies turned by up to
    180 degrees either way, the others by some 20, half of them with few pixels, some with drawn
    sunglasses. Secondly, what the shipped detector finds in composed scenes: faces and mistakes.

    Args:
        path: A folder with the files of a detection set: `photographs.tar` and `.csv`,
            `backgrounds.tar` and `.csv`.
        scored: The folder or archive of facial_expressions, on which the whole pipeline is scored:
            its photographs, turned, are the split "test", and in no other. None for its place in
            `datasets/`.
        image_size: See `PictureForm`.
        channels: See `PictureForm`.
        use_cache: Keep the faces in the cache folder.

    Returns:
        Images uint8 (N, height, width, channels) with the classes `ROLLS` and "none". `targets`
        divide a face among the two classes on either side of its roll. Persons and backgrounds that
        are held out from the detector's training are the split "validation".

    Raises:
        FileNotFoundError: A file is missing.
        ValueError: A table or a picture is damaged, or there is no face.
    """
    path = Path(path)
    tests = frozenset(picture_names(find_data(*_SCORED) if scored is None else Path(scored)))
    form = PictureForm(image_size, channels)
    detector = MiniXceptionDetector(score_threshold=LEAST_SCORE, checker=None)
    return cached_dataset(
        path,
        lambda: _read(path, form, tests, detector),
        loader="candidates",
        version=_LOADER_VERSION,
        options={
            **form.to_json(),
            "tests": content_checksum((name, b"") for name in sorted(tests)),
            "detector": file_checksum(detector.file),
        },
        use_cache=use_cache,
    )


def _read(
    path: Path, form: PictureForm, tests: frozenset[str], detector: MiniXceptionDetector
) -> FaceDataset:
    images, rolls, splits = [], [], []

    def add(split: str, candidates: Iterator[_Candidate]) -> None:
        for image, roll in candidates:
            images.append(form.resize(image))
            rolls.append(np.nan if roll is None else (roll + 180) % 360 - 180)
            splits.append(split)

    generator = np.random.default_rng(0)
    for split in ("train", "validation"):
        sources = read_sources(path, held_out=split == "validation", leave_out=tests)
        for picture in sources.photographs:
            add(split, _turned(picture, generator))
        for index in range(SCENES[split]):
            scene = np.random.default_rng([1, index, split == "validation"])
            add(split, _found(sources, detector, scene))
    for picture in read_labelled_pictures(path, "photographs", takes=tests.__contains__):
        add("test", _turned(picture, generator))
    if not images:
        raise ValueError(f"{path} must hold photographs with faces. Received: no face")
    stacked, targets = np.array(images, np.uint8), roll_targets(np.array(rolls))
    return FaceDataset(
        images=stacked,
        labels=targets.argmax(axis=1).astype(np.int64),
        class_names=(*ROLLS, NO_FACE),
        name="candidates",
        licence="that of the detection set",
        checksum=content_checksum([("images", stacked.tobytes())]),
        splits=np.array(splits),
        targets=targets,
        attributes={"roll": np.array(rolls, np.float32)},
    )


def _turned(picture: LabelledPicture, generator: np.random.Generator) -> Iterator[_Candidate]:
    """Yield turned copies of the first face, if the set is sure of it."""
    if not len(picture.faces) or picture.faces[0, SURE] != 1:
        return
    face = picture.faces[0]
    middle = float(face[MIDDLE][0]), float(face[MIDDLE][1])
    (box,) = as_boxes(squares_of(picture.faces[:1]))
    for _ in range(TURNS):
        is_small = generator.random() < 0.5
        angle = generator.normal(0, 20) if is_small else generator.uniform(-180, 180)
        pixels = picture.image.copy()
        if generator.random() < SUNGLASSES:
            put_on_sunglasses(pixels, face, generator)
        image = crop_turned(pixels[:, :, None], box, -angle, middle)
        roll = face_roll(face[LANDMARKS]) + angle
        if generator.random() < 0.5:
            image, roll = np.ascontiguousarray(image[:, ::-1]), -roll
        if generator.random() < 0.5:
            side = round(np.exp(generator.uniform(np.log(10), np.log(48))))
            image = resize_image(image, (side, side))
        yield image, roll


def _found(
    sources: SceneSources, detector: MiniXceptionDetector, generator: np.random.Generator
) -> Iterator[_Candidate]:
    """Yield what the detector finds in a scene and is surely a face, or surely none."""
    scene, faces = compose_scene(sources, SCENE_SIZE, generator)
    scene = scene[:, :, None]
    boxes = [Box(*(int(side) for side in face.box)) for face in detector.find(scene)]
    overlaps = intersections_over_unions(
        np.array(boxes, float).reshape(-1, 4), clipped_boxes(faces, scene.shape[:2])
    )
    for box, row in zip(boxes, overlaps, strict=True):
        best = int(row.argmax()) if len(row) else -1
        if best < 0 or row[best] <= SURELY_NONE:
            yield cut_face(scene, box, margin=0.0), None
        elif row[best] >= SURELY_FACE and faces[best, SURE] > 0:
            yield cut_face(scene, box, margin=0.0), face_roll(faces[best, LANDMARKS])


def roll_targets(rolls: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return a probability (N, 25) per class for rolls in degrees (N,), NaN where there is no face.

    >>> targets = roll_targets(np.array([0.0, 7.5, np.nan]))
    >>> targets.shape, targets[:, [0, 1, 24]].tolist()
    ((3, 25), [[1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [0.0, 0.0, 1.0]])
    """
    degrees = np.array([int(name) for name in ROLLS])
    is_none = np.isnan(rolls)
    apart = np.abs((np.where(is_none, 0, rolls)[:, None] - degrees + 180) % 360 - 180)
    shares = np.maximum(1 - apart * len(ROLLS) / 360, 0) * ~is_none[:, None]
    return np.column_stack([shares, is_none]).astype(np.float32)


def face_roll(landmarks: NDArray[np.float32]) -> float:
    """Return by how many degrees a face is turned clockwise, -180 to 180, from its landmarks (10,).

    It is the turn of the similarity that fits an upright face best (Umeyama 1991,
    doi 10.1109/34.88573).
    """
    points = landmarks[::2] + 1j * landmarks[1::2]
    upright = _UPRIGHT - _UPRIGHT.mean()
    return float(np.rad2deg(np.angle(np.sum((points - points.mean()) * upright.conj()))))
