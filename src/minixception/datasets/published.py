"""Published sets of pictures that come without splits, all loaded in one way."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from minixception.datasets.cache import cached_dataset
from minixception.datasets.face_dataset import FaceDataset
from minixception.datasets.pictures import PictureForm, read_listed, sole_archive
from minixception.datasets.splits import draw_splits
from minixception.detection.registry import default_checksum

Reader = Callable[..., FaceDataset]
"""`read_listed` with form, names and licence of one set filled in."""


@dataclass(frozen=True)
class PublishedSet:
    """A published set of pictures.

    Attributes:
        name: Of the data set.
        licence: Terms of the pictures.
        class_names: Names of the classes in label order.
        wanted: What the place must hold, for messages.
        source: Where to get the set, a sentence for messages.
        read: From a place, and `read_listed` for this set, to all faces without splits.
        form: What is made of a picture, unless the caller asks for another form.
        version: Of what `read` returns, for the cache; 0 for a set that is read fast.
        subjects: Everybody in the whole set, where that is known.
        options: What `read` takes besides, with the defaults; not for a set that is cached.
    """

    name: str
    licence: str
    class_names: tuple[str, ...]
    wanted: str
    source: str
    read: Callable[..., FaceDataset]
    form: PictureForm = field(default_factory=PictureForm)
    version: int = 0
    subjects: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)

    def load(
        self,
        path: str | Path,
        *,
        seed: int = 0,
        use_cache: bool = True,
        **options: Any,
    ) -> FaceDataset:
        """Load a published set of pictures.

        A hash puts pictures into the splits, 80 : 10 : 10: that of the subject's name, or else of
        the pixels, see `draw_splits`. Where all subjects are known, the shares are exact.

        Args:
            path: The folder of the set, or one above it; its sub-folders are searched. Or a tar
                archive, compressed or not, which is read without unpacking; or a folder that holds
                one. (The archive of IMDB must be unpacked.)
            seed: Seed of the split.
            use_cache: Keep faces that take long to read or to find in the cache folder.
            **options: Fields of `PictureForm`, as `image_size`, `channels`, `crop_faces`,
                `detector`, and what else the set in question takes.

        Returns:
            Images uint8 (N, height, width, channels) with the splits "train", "validation" and
            "test"; `attributes` hold "file", the path of each in the set, "content", the hash of
            the whole picture, and what names or tables say. `dropped` counts by reason what is left
            out.

        Raises:
            FileNotFoundError: There is no such set at `path`.
            ValueError: It is damaged, holds no picture of the set, or an option is not allowed.
        """
        own = {name: options.pop(name, default) for name, default in self.options.items()}
        path, wanted = Path(path), replace(self.form, **options)
        if not (path.is_dir() or path.is_file()):  # a pipe would be waited for
            raise FileNotFoundError(f"There is nothing at {path}. {self.source}")
        path = sole_archive(path)
        facts = wanted.to_json()
        if wanted.crop_faces != self.form.crop_faces:
            facts["crop_faces"] = wanted.crop_faces
        if wanted.crop_faces:
            facts |= {"detector": default_checksum(), "crop_margin": wanted.crop_margin}
        read_pictures = partial(
            read_listed,
            form=wanted,
            class_names=self.class_names,
            name=self.name,
            licence=self.licence,
            wanted=self.wanted,
        )
        dataset = cached_dataset(
            path,
            lambda: self.read(path, read_pictures, **own),
            loader=self.name,
            version=self.version,
            options=facts,
            use_cache=use_cache and self.version > 0 and wanted.detector is None,
        )
        return draw_splits(dataset, seed=seed, roster=self.subjects)
