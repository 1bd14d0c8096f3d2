"""Compare the detectors, each table in one run, and write `docs/detectors.md`.

    python benchmarks/bench_detectors.py --data FOLDER [--every 3] [--output docs/detectors.md]

The folder holds `facial_expressions/`, `detection/`, `media/` and `models/`. Photographs of
facial_expressions, persons and backgrounds of the held-out share took no part in the training of
`mini_xception_detector`. Times are processor time with OpenCV and LiteRT on one thread, medians of
alternating rounds.
"""

import argparse
import itertools
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import cv2
import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from minixception.boxes import Box, intersections_over_unions
from minixception.checkpoints.versions import checkout_commit
from minixception.datasets.candidates import load_candidates
from minixception.datasets.facial_expressions import read_legend
from minixception.datasets.registry import get_entry
from minixception.detection.checker import LEAST_SHARE, FaceChecker
from minixception.detection.columns import MIDDLE, SIDE, squares_of
from minixception.detection.evaluation import evaluate_detector, held_out_scenes
from minixception.detection.haar import HaarDetector
from minixception.detection.labelled_pictures import (
    LabelledPicture,
    SceneSources,
    is_held_out,
    read_labelled_pictures,
    read_sources,
)
from minixception.detection.network_detector import SCORE_THRESHOLD, MiniXceptionDetector
from minixception.detection.scene_pixels import LETTERS, put_on_sunglasses
from minixception.detection.search import FaceDetector, boxes_in_image
from minixception.detection.yunet import YuNetDetector, haar_frame
from minixception.images import as_rgb, decode_image, resize_image
from minixception.inference.analyzer import FaceAnalyzer
from minixception.labels import EMOTIONS_8, index_of
from minixception.video.finding import FaceFinder
from minixception.video.reader import VideoReader
from minixception.video.tracking import FaceTracker

PHOTOGRAPHS = "facial_expressions/facial_expressions_subset.tar"
LEAST_SCORE = 0.05
SAME_FACE = 0.3  # IoU from which on a box means a labelled face
TURNS = (0, 15, 30, 45, 90)
TIMED_SIZES = ((480, 640), (240, 320), (960, 1280))
TIMED_PICTURES = 24
SEARCHED = (1, 4)  # every n-th frame of a video
MOSAIC, MOSAIC_GAP, MOSAIC_FACES = (240, 320), 2, (12, 16, 20, 24)
# Pictures of BSDS500 with people whom YuNet does not find: two divers, guests of a café, ...
PEOPLE = ("00049.jpg", "00125.jpg", "00274.jpg", "00307.jpg", "00480.jpg")
TITLES, TITLED_PICTURES = (480, 640), 256
FONTS = sorted(Path(matplotlib.get_data_path(), "fonts/ttf").glob("DejaVuS*.ttf"))
GROUP = (3000, 4000, 120)  # height, width, side of its 72 faces


@dataclass(frozen=True)
class Contestant:
    """A detector, its own threshold, and its boxes with scores far below that."""

    detector: FaceDetector
    threshold: float
    scored: Callable[[np.ndarray], np.ndarray]


Contestants = Mapping[str, Contestant]
Tile = tuple[np.ndarray, Box]
"""A grey picture and where its face is."""


@dataclass(frozen=True)
class Photograph:
    """A photograph, the emotion that its legend names, and where YuNet sees its faces."""

    image: np.ndarray
    emotion: str
    faces: Sequence[Box]


def main() -> None:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", default="mini_xception_detector")
    parser.add_argument("--every", type=int, default=1, help="take every n-th photograph")
    parser.add_argument("--turn-every", type=int, default=4, help="of those turn every n-th")
    parser.add_argument("--scenes", type=int, default=500)
    parser.add_argument("--output", type=Path, default=Path("docs/detectors.md"))
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    contestants = load_contestants(arguments.model, arguments.data)
    held_out = read_sources(arguments.data / "detection", held_out=True)
    photographs = load_photographs(arguments.data, every=arguments.every)
    sections = [
        compare_photographs(contestants, photographs),
        compare_turns(contestants, photographs[:: arguments.turn_every]),
        compare_rolls(arguments.data),
        compare_backgrounds(contestants, held_out),
        compare_words_and_sunglasses(contestants, held_out),
        compare_scenes(contestants, held_out, arguments.scenes),
        compare_mosaics(contestants, arguments.model, held_out),
        compare_times(contestants, held_out, arguments.data),
        compare_groups(contestants, held_out),
        compare_videos(contestants, arguments.data),
    ]
    command = shlex.join(["python", "benchmarks/bench_detectors.py", *sys.argv[1:]])
    command = command.replace(str(arguments.data), "FOLDER")
    head = (
        "# Detectors\n\n"
        f"Made by `{command}` at commit {checkout_commit()}. Each table comes from one run, in "
        "which the detectors take turns. `mini_xception_detector` was trained in this project; "
        "`Haar 1.3` is the published call `detectMultiScale(grey, 1.3, 5)`; `Haar` is the search "
        "of this project with the same cascade (`--detector haar`).\n"
    )
    arguments.output.write_text("\n".join([head, *sections]), encoding="utf-8")
    print(f"written to {arguments.output}")


def load_contestants(model: str, data: Path) -> Contestants:
    """Return name -> detector."""
    file = data / "models" / "face_detection_yunet.onnx"
    yunet, loose_yunet = (YuNetDetector(file, score_threshold=each) for each in (0.8, LEAST_SCORE))
    ours = MiniXceptionDetector(model)
    # A sure checker raises a score of 0.025 to this.
    loose = MiniXceptionDetector(model, score_threshold=0.2)
    published, haar = HaarDetector(scale_factor=1.3), HaarDetector()
    return {
        ours.card.name: Contestant(ours, SCORE_THRESHOLD, loose.find_boxes),
        "Haar 1.3": Contestant(published, 0.5, _unscored(published)),
        "Haar": Contestant(haar, 0.5, _unscored(haar)),
        "YuNet": Contestant(yunet, 0.8, _scored_yunet(loose_yunet)),
    }


def _unscored(detector: FaceDetector) -> Callable[[np.ndarray], np.ndarray]:
    """Return boxes with score 1: the cascade gives none."""
    return lambda image: as_rows([(1.0, *box) for box in detector.detect(image)], 5)


def _scored_yunet(detector: YuNetDetector) -> Callable[[np.ndarray], np.ndarray]:
    """Return YuNet's boxes at its own size of the picture, framed as Haar boxes, with scores."""

    def find(image: np.ndarray) -> np.ndarray:
        size = image.shape[:2]
        found = [
            (row[14], *box)
            for row in detector.look(as_rgb(image))
            for box in boxes_in_image([haar_frame(*row[:4])], size, *size)
        ]
        return as_rows(found, 5)

    return find


def as_rows(values: Sequence[Sequence[float]], width: int) -> np.ndarray:
    """Return an array (n, width), also of nothing."""
    return np.array(values, np.float64).reshape(-1, width)


def overlaps(boxes: Sequence[Box], others: Sequence[Box]) -> np.ndarray:
    """Return the IoU (n, m) of boxes with others."""
    return intersections_over_unions(as_rows(boxes, 4), as_rows(others, 4))


def is_found(faces: Sequence[Box], boxes: Sequence[Box]) -> np.ndarray:
    """Return for each face (n,) whether a box frames it, with an IoU of 0.5 or more."""
    return overlaps(faces, boxes).max(axis=1, initial=0.0) >= 0.5


def read_photographs(
    path: Path, *, every: int = 1, takes: Callable[[str], bool] = bool
) -> Iterator[tuple[str, np.ndarray, str]]:
    """Yield file, picture and emotion of facial_expressions, by the names of the files.

    The legend tells the emotion without contradiction. Of every n-th file those that are not taken
    are left out.
    """
    rows, contents, _ = read_legend(path)
    for row in sorted(rows, key=lambda row: row.file)[::every]:
        if takes(row.file):
            yield row.file, decode_image(contents[row.file], row.file), EMOTIONS_8[row.label]


def load_photographs(data: Path, *, every: int) -> list[Photograph]:
    """Return the photographs whose faces are known."""
    pictures = read_labelled_pictures(data / "detection", "photographs")
    labelled = {picture.name: picture for picture in pictures if len(picture.faces)}
    read = read_photographs(data / PHOTOGRAPHS, every=every, takes=labelled.__contains__)
    return [
        Photograph(image, emotion, _faces_in(image, labelled[file]))
        for file, image, emotion in read
    ]


def _faces_in(image: np.ndarray, labelled: LabelledPicture) -> list[Box]:
    """Return the faces of a stored picture in the photograph that it was made from."""
    return boxes_in_image(squares_of(labelled.faces), labelled.image.shape, *image.shape[:2])


def compare_photographs(contestants: Contestants, photographs: Sequence[Photograph]) -> str:
    """Count found faces, false boxes and right emotions, and take the time."""
    analyzer = FaceAnalyzer.from_pretrained(gender_model=None)
    count = len(photographs)
    rows = []
    for name, contestant in contestants.items():
        start = time.process_time()
        boxes = [contestant.detector.detect(photograph.image) for photograph in photographs]
        milliseconds = 1000 * (time.process_time() - start) / count
        pairs = list(zip(photographs, boxes, strict=True))
        found = sum(is_found(photograph.faces, seen).any() for photograph, seen in pairs)
        right = sum(_is_right(analyzer, photograph, seen) for photograph, seen in pairs)
        best = [overlaps(seen, photograph.faces).max(axis=1) for photograph, seen in pairs]
        false = (np.concatenate(best) < SAME_FACE).sum()
        shares = [f"{each / count:.1%}" for each in (found, right, false)]
        rows.append([name, *shares, f"{milliseconds:.1f}"])
    return (
        f"## Photographs\n\n{len(photographs)} photographs of facial_expressions, none of which "
        "were used in training. Found: the share of photographs in which a box matches a face "
        "found by YuNet with an IoU of 0.5 or more. Right: the share in which the largest box is "
        "classified as the emotion of the legend. False: boxes per photograph whose IoU with every "
        "face of YuNet is below 0.3.\n\n"
        + table(["detector", "found", "right emotion", "false boxes", "CPU ms"], rows)
    )


def largest(boxes: Sequence[Box]) -> list[Box]:
    """Return the largest box, or none."""
    return sorted(boxes, key=lambda box: box.area)[-1:]


def is_right(analyzer: FaceAnalyzer, image: np.ndarray, emotion: str, boxes: Sequence[Box]) -> bool:
    """Tell whether the largest face has the emotion of the legend."""
    faces = analyzer.classify(image, largest(boxes))
    return any(EMOTIONS_8[index_of(face.emotion or "", EMOTIONS_8)] == emotion for face in faces)


def _is_right(analyzer: FaceAnalyzer, photograph: Photograph, boxes: Sequence[Box]) -> bool:
    return is_right(analyzer, photograph.image, photograph.emotion, boxes)


def compare_turns(contestants: Contestants, photographs: Sequence[Photograph]) -> str:
    """Turn the photographs and look again."""
    analyzers = [FaceAnalyzer(gender=None, upright=upright) for upright in (True, False)]
    rows = []
    for name, contestant in contestants.items():
        cells = []
        for angle in TURNS:
            pictures = [replace(each, image=turned(each.image, angle)) for each in photographs]
            seen = [contestant.detector.detect(each.image) for each in pictures]
            right, as_it_is = (
                sum(map(partial(_is_right, each), pictures, seen)) / len(pictures)
                for each in analyzers
            )
            found = sum(map(bool, seen)) / len(pictures)
            cells.append(f"{found:.0%}, {right:.0%} ({as_it_is:.0%})")
        rows.append([name, *cells])
    return (
        f"## Turned faces\n\n{len(photographs)} of these photographs, rotated clockwise: the "
        "share in which any face is found, and the share whose emotion is right, in brackets "
        "without turning faces upright.\n\n"
        + table(["detector", *(f"{angle} degrees" for angle in TURNS)], rows)
    )


def turned(image: np.ndarray, degrees: float) -> np.ndarray:
    """Return a picture turned clockwise, whole, on black."""
    height, width = image.shape[:2]
    side = int(np.hypot(height, width))
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), -degrees, 1.0)
    matrix[:, 2] += ((side - width) / 2, (side - height) / 2)
    return cv2.warpAffine(image, matrix, (side, side)) if degrees else image


def compare_rolls(data: Path) -> str:
    """Compare the rolls that the checker reads with those by which faces were turned."""
    checker = FaceChecker.load()
    dataset = load_candidates(data / "detection", scored=data / PHOTOGRAPHS)
    faces = dataset.split(get_entry("candidates").test_split)
    looks = [checker.check(image, [Box(0, 0, *image.shape[1::-1])])[0] for image in faces.images]
    shares, rolls = np.array([(look.share, look.roll) for look in looks]).T
    truth = faces.attributes["roll"]
    errors = np.abs((rolls - truth + 180) % 360 - 180)
    rows = []
    for low, high in itertools.pairwise((0, 15, 30, 60, 120, 180)):
        of_these = (np.abs(truth) >= low) & (np.abs(truth) <= high)
        is_face = of_these & (shares >= LEAST_SHARE)
        rows.append(
            [f"{low} to {high}", str(of_these.sum()), f"{is_face.sum() / of_these.sum():.1%}",
             f"{np.median(errors[is_face]):.1f}", f"{np.percentile(errors[is_face], 90):.1f}",
             f"{(errors[is_face] > 20).mean():.1%}"]
        )  # fmt: skip
    return (
        f"## Rolls\n\n{len(faces)} crops of the photographs that were not used in training, "
        "rotated at random, half of them at low resolution: how many `candidates_tiny_xception` "
        "takes for faces, and by how many degrees its answer differs from the roll of YuNet's "
        "landmarks.\n\n"
        + table(
            ["turned by degrees", "crops", "faces", "median error", "nine in ten below",
             "more than 20"],
            rows,
        )
    )  # fmt: skip


def without_people(held_out: SceneSources) -> list[LabelledPicture]:
    """Return the held-out pictures that show nobody."""
    return [
        picture
        for picture in held_out.backgrounds
        if not len(picture.faces) and picture.name not in PEOPLE
    ]


def compare_backgrounds(contestants: Contestants, held_out: SceneSources) -> str:
    """Count boxes in pictures without a face."""
    empty = without_people(held_out)
    rows = []
    for name, contestant in contestants.items():
        boxes = sum(len(contestant.detector.detect(picture.image)) for picture in empty)
        rows.append([name, str(boxes)])
    return (
        f"## Backgrounds\n\nBoxes in {len(empty)} pictures of BSDS500 without people that were not "
        f"used in training. ({len(PEOPLE)} in which YuNet finds no face, although people can be "
        "seen, are left out.)\n\n" + table(["detector", "false boxes"], rows)
    )


def compare_words_and_sunglasses(contestants: Contestants, held_out: SceneSources) -> str:
    """Count boxes in pictures with words on them, and the faces with sunglasses that are found."""
    empty = without_people(held_out)
    titled = [
        write_title(empty[index % len(empty)].image, np.random.default_rng(index))
        for index in range(TITLED_PICTURES)
    ]
    single = with_one_face(held_out)
    plain = [picture.image for picture in single]
    faces = [_faces_in(picture.image, picture) for picture in single]
    covered = [image.copy() for image in plain]
    for index, (image, picture) in enumerate(zip(covered, single, strict=True)):
        put_on_sunglasses(image, picture.faces[0], np.random.default_rng(index))
    rows = []
    for name, contestant in contestants.items():
        detect = contestant.detector.detect
        shares = [
            np.mean([is_found(*each) for each in zip(faces, map(detect, images), strict=True)])
            for images in (plain, covered)
        ]
        words = sum(len(detect(image)) for image in titled)
        rows.append([name, str(words), *(f"{share:.1%}" for share in shares)])
    height, width = TITLES
    return (
        f"## Words and sunglasses\n\nBoxes in {len(titled)} pictures of {width}x{height} without "
        f"a face, with one to four words on each, in {len(FONTS)} fonts not used in training; and "
        f"the share of {len(single)} held-out photographs with one face that is found, plain "
        "and with drawn sunglasses.\n\n"
        + table(["detector", "boxes on words", "plain faces", "with sunglasses"], rows)
    )


def write_title(picture: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return a grey picture enlarged, in RGB, with words of any size and colour on it."""
    enlarged = cv2.resize(picture, TITLES[::-1], interpolation=cv2.INTER_CUBIC)
    image = Image.fromarray(as_rgb(enlarged))
    for _ in range(generator.integers(1, 5)):
        word = "".join(generator.choice(LETTERS, generator.integers(3, 12)))
        size = float(np.exp(generator.uniform(np.log(14), np.log(160))))
        font = ImageFont.truetype(FONTS[generator.integers(len(FONTS))], size)
        outline = int(size / 12 * generator.random())
        colours = [tuple(generator.integers(0, 256, 3).tolist()) for _ in range(2)]
        place = generator.uniform((-20, -10), (500, 440)).tolist()
        ImageDraw.Draw(image).text(
            place, word, colours[0], font, stroke_width=outline, stroke_fill=colours[1]
        )
    return np.asarray(image)


def compare_scenes(contestants: Contestants, held_out: SceneSources, count: int) -> str:
    """Score the detectors on composed scenes."""
    scenes = held_out_scenes(held_out, count=count, size=256)
    scores = {
        name: evaluate_detector(contestant.scored, scenes, [], threshold=contestant.threshold)
        for name, contestant in contestants.items()
    }
    measures = {
        "average precision": "average_precision",
        "from 20 px on": "average_precision_20",
        "recall": "recall",
        "false boxes per scene": "false_per_scene",
        "recall at 0.1 false boxes per scene": "recall_at_false_rate",
    }
    rows = [
        [title, *(f"{getattr(one, field):.3f}" for one in scores.values())]
        for title, field in measures.items()
    ]
    first = next(iter(scores.values()))
    for title, field in (("px", "by_size"), ("degrees", "by_angle"), ("mean grey", "by_light")):
        for key, (_, faces) in getattr(first, field).items():
            shares = [f"{getattr(one, field)[key][0]:.3f}" for one in scores.values()]
            rows.append([f"recall, {key} {title} ({faces} faces)", *shares])
    return (
        f"## Scenes\n\n{count} scenes of 256 px composed from held-out photographs and "
        "backgrounds. The cascade returns no confidence, so its average precision is that of a "
        "single point. Recall is at the detector's own threshold, for close-ups too, unless the "
        "row says otherwise.\n\n" + table(["", *scores], rows)
    )


def compare_mosaics(contestants: Contestants, model: str, held_out: SceneSources) -> str:
    """Look for small faces in pictures full of them."""
    empty = [picture.image for picture in without_people(held_out)]
    single = with_one_face(held_out)
    mosaics = [mosaics_of([tile(each, side) for each in single], empty) for side in MOSAIC_FACES]
    (name, first), *others = [(name, one.detector) for name, one in contestants.items()]
    asked = MiniXceptionDetector(model, min_face=8)
    rows = []
    for title, detector in ((name, first), (f"{name}, `--min-face 8`", asked), *others):
        cells = []
        for pictures in mosaics:
            boxes = [detector.detect(image) for image, _ in pictures]
            found = [
                is_found(faces, seen) for (_, faces), seen in zip(pictures, boxes, strict=True)
            ]
            seen = np.concatenate(found)
            cells.append(f"{seen.mean():.1%}, {sum(map(len, boxes)) - seen.sum()}")
        rows.append([title, *cells])
    height, width = MOSAIC
    return (
        f"## Small faces\n\n{len(seen)} held-out photographs with one face, shrunk until it has "
        f"this side, side by side on {width}x{height} pictures without a face: the share that is "
        "found, and the number of other boxes.\n\n"
        + table(["detector", *(f"{side} px" for side in MOSAIC_FACES)], rows)
    )


def with_one_face(held_out: SceneSources) -> list[LabelledPicture]:
    """Return the held-out photographs with one face."""
    return [picture for picture in held_out.photographs if len(picture.faces) == 1]


def tile(picture: LabelledPicture, side: int) -> Tile:
    """Shrink a photograph until its face has this side."""
    face = picture.faces[0]
    scale = side / float(face[SIDE])
    height, width = (max(round(length * scale), 1) for length in picture.image.shape)
    x, y = (face[MIDDLE] * scale - side / 2).tolist()
    return resize_image(picture.image, (height, width)), Box(round(x), round(y), side, side)


def lay(image: np.ndarray, one: Tile, left: int, top: int) -> Box:
    """Lay a tile over a grey image, in place; return where its face is."""
    pixels, face = one
    image[top : top + len(pixels), left : left + pixels.shape[1]] = pixels
    return face._replace(x=face.x + left, y=face.y + top)


def mosaics_of(
    tiles: Sequence[Tile], grounds: Sequence[np.ndarray]
) -> list[tuple[np.ndarray, list[Box]]]:
    """Lay tiles in rows, and begin another picture when one is full."""
    height, width = MOSAIC
    backgrounds = itertools.cycle(grounds)
    mosaics: list[tuple[np.ndarray, list[Box]]] = []
    left, lowest = width, height  # no room yet
    for one in tiles:
        down, across = one[0].shape
        if left + across > width:
            left, top = 0, lowest + MOSAIC_GAP
        if top + down > height:
            mosaics.append((cv2.resize(next(backgrounds), (width, height)), []))
            left = top = lowest = 0
        image, faces = mosaics[-1]
        faces.append(lay(image, one, left, top))
        left, lowest = left + across + MOSAIC_GAP, max(lowest, top + down)
    return mosaics


def compare_times(
    contestants: Contestants, held_out: SceneSources, data: Path, *, rounds: int = 15
) -> str:
    """Take the time for a frame of a film in several sizes, and for pictures of all kinds."""
    with VideoReader(str(data / "media" / "single_face.mp4")) as frames:
        frame = next(iter(frames)).image
    rows = []
    for size in TIMED_SIZES:
        times = _cpu_times(contestants, [cv2.resize(frame, size[::-1])] * rounds)
        rows.append([f"the frame, {size[1]}x{size[0]}", *(f"{np.median(t):.1f}" for t in times)])
    empty = without_people(held_out)
    size = TIMED_SIZES[0]
    for title, pictures in (("photographs", held_out.photographs), ("without a face", empty)):
        chosen = [
            cv2.resize(as_rgb(picture.image), size[::-1]) for picture in pictures[:TIMED_PICTURES]
        ]
        times = _cpu_times(contestants, chosen)
        rows.append([f"{title}, {size[1]}x{size[0]}", *(f"{np.mean(t):.1f}" for t in times)])
    return (
        "## Time\n\nCPU milliseconds per picture: the median of a frame of `single_face.mp4`, and "
        f"means of {TIMED_PICTURES} held-out pictures, enlarged. The cascade's time depends on "
        "what the picture shows.\n\n" + table(["picture", *contestants], rows)
    )


def _cpu_times(contestants: Contestants, pictures: Sequence[np.ndarray]) -> list[list[float]]:
    """Return each detector's times for the pictures; they take turns."""
    times: list[list[float]] = [[] for _ in contestants]
    for image in pictures:
        for taken, contestant in zip(times, contestants.values(), strict=True):
            start = time.process_time()
            contestant.detector.detect(image)
            taken.append(1000 * (time.process_time() - start))
    return times


def compare_groups(contestants: Contestants, held_out: SceneSources) -> str:
    """Look for 72 small faces in a large photograph."""
    image, faces = group_photograph(held_out)
    rows = []
    for name, contestant in contestants.items():
        start = time.perf_counter()
        boxes = contestant.detector.detect(image)
        seconds = time.perf_counter() - start
        found = int(is_found(faces, boxes).sum())
        rows.append([name, f"{found} of {len(faces)}", str(len(boxes) - found), f"{seconds:.2f}"])
    height, width, side = GROUP
    return (
        f"## A large group\n\n{len(faces)} faces of {side} px in a picture of {width}x{height}, "
        "composed from held-out photographs.\n\n"
        + table(["detector", "found", "other boxes", "seconds"], rows)
    )


def group_photograph(held_out: SceneSources) -> tuple[np.ndarray, list[Box]]:
    """Lay photographs in rows over a grey wall."""
    height, width, side = GROUP
    image = np.full((height, width), 110, np.uint8)
    chosen = [picture for picture in with_one_face(held_out) if is_held_out(picture.name, 0.1)]
    faces = [
        lay(image, tile(picture, side), 150 + (index % 12) * 320, 200 + (index // 12) * 460)
        for index, picture in enumerate(chosen[:72])
    ]
    return as_rgb(image), faces


def compare_videos(contestants: Contestants, data: Path) -> str:
    """Follow a face through a film with both classifiers, without drawing."""
    with VideoReader(str(data / "media" / "single_face.mp4")) as reader:
        frames = list(reader)
    rows = []
    for name, contestant in contestants.items():
        analyzer = FaceAnalyzer.from_pretrained(detector=contestant.detector)
        analyzer.analyze(frames[0].image)
        cells = []
        for every in SEARCHED:
            tracker, finder = FaceTracker(), FaceFinder(contestant.detector, every=every)
            start = time.perf_counter()
            seen = 0
            for frame, boxes in finder.find_in(frames):
                faces = analyzer.classify(frame.image, boxes)
                seen += bool(tracker.update(faces, frame.time_seconds))
            rate = len(frames) / (time.perf_counter() - start)
            cells.append(f"{rate:.0f} ({seen} of {len(frames)})")
        rows.append([name, *cells])
    height, width = frames[0].image.shape[:2]
    return (
        f"## A video\n\n`single_face.mp4`, {width}x{height}: frames per second with detection, "
        "tracking and both classifiers on two cores, as in `video`; in brackets, the frames with a "
        f"face. By default every {SEARCHED[-1]}th frame is searched, and boxes follow the faces in "
        "between.\n\n"
        + table(["detector", "every frame searched", f"every {SEARCHED[-1]}th"], rows)
    )


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    main()
