"""Batches of scenes: a pure function of seed and step, composed while the network trains.

Nothing is remembered between steps, so a resumed run continues like an uninterrupted one.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from minixception.detection.cells import assign_faces, cell_places, prepare_images
from minixception.detection.labelled_pictures import SceneSources
from minixception.detection.scenes import compose_scene
from minixception.training.batches import Batch

AHEAD = 3  # batches that are composed while the network is busy


def scene_batches(
    sources: SceneSources,
    *,
    sizes: Sequence[int],
    pixels: int,
    strides: Sequence[int],
    seed: int,
    first_step: int = 0,
) -> Iterator[Batch]:
    """Yield batches forever, from `first_step` on: scenes in [-1, 1], and targets for the cells.

    Scenes are float32 (B, size, size, 1), targets float32 (B, cells, 14). Each step draws one of
    the sizes, in pixels, multiples of the last of the network's strides. A batch has about `pixels`
    pixels in all, so smaller scenes come in larger batches.
    """

    def compose(step: int) -> Batch:
        generator = np.random.default_rng([seed, step])
        size = int(generator.choice(sizes))
        scenes = [compose_scene(sources, size, generator) for _ in range(pixels // size**2)]
        middles, lengths = cell_places(size, size, strides)
        targets = np.stack([assign_faces(faces, middles, lengths) for _, faces in scenes])
        return prepare_images(np.stack([image for image, _ in scenes])), targets

    with ThreadPoolExecutor(1, "scenes") as composer:
        waiting: deque[Future[Batch]] = deque()
        step = first_step
        while True:
            while len(waiting) < AHEAD:
                waiting.append(composer.submit(compose, step))
                step += 1
            yield waiting.popleft().result()
