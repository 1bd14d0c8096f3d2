"""Published sets of pictures that come without splits, all loaded in one way."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from minixception.datasets.cache import cached_dataset
from minixception.datasets.face_dataset import FaceDataset
from minixception.datasets.pictures import PictureForm
from minixception.datasets.splits import CONTENT_RULE, draw_splits


@dataclass(frozen=True)
class PublishedSet:
    """A published set of pictures.

    Attributes:
        name: Of the data set.
        read: From a place and a form to all faces, without splits.
        missing: What to say where there is nothing at "{}", and where to get the set.
        form: What becomes of a picture, unless another form is asked for.
        takes_file: Whether the set may also be a file, such as a tar archive.
        version: Of what `read` returns, for the cache; 0 for a set that is read fast.
        subjects: Everybody whom the whole set shows, where that is known.
    """

    name: str
    read: Callable[[Path, PictureForm], FaceDataset]
    missing: str
    form: PictureForm = field(default_factory=PictureForm)
    takes_file: bool = True
    version: int = 0
    subjects: tuple[str, ...] = ()

    def load(
        self,
        path: str | Path,
        *,
        split: str | None = None,
        seed: int = 0,
        split_rule: str = CONTENT_RULE,
        use_cache: bool = True,
        **form: Any,
    ) -> FaceDataset:
        """Load a published set of pictures.

        A hash puts pictures into the splits, 80 : 10 : 10: that of the subject's name, since
        pictures of one person are near copies, or else of the pixels. Where all subjects are known,
        the shares are exact.

        Args:
            path: The folder of the set, or one above it; its sub-folders are searched. Some sets
                may also be a tar archive, also a compressed one, which is read without unpacking.
            split: "train", "validation" or "test"; None gives all.
            seed: Seed of the split.
            split_rule: "content", or "drawn" for models of earlier versions.
            use_cache: Keep faces that it takes long to read or to find in the cache folder, and
                read them from there.
            **form: Fields of `PictureForm`, as `image_size`, `channels`, `crop_faces`, `detector`.

        Returns:
            Images uint8 (N, height, width, channels); `attributes` hold "file", the path of each in
            the set, "content", the hash of the whole picture, and what names or tables say, see
            the single sets. `dropped` counts by reason what is left out.

        Raises:
            FileNotFoundError: There is no such set at `path`.
            ValueError: It is damaged, holds no picture of the set, or an option is not allowed.
        """
        path, wanted = Path(path), replace(self.form, **form)
        # A pipe would be waited for.
        if not (path.is_dir() or (self.takes_file and path.is_file())):
            raise FileNotFoundError(self.missing.format(path))
        options: dict[str, Any] = {
            "image_size": list(wanted.image_size),
            "channels": wanted.channels,
        }
        if wanted.crop_faces != self.form.crop_faces:
            options["crop_faces"] = wanted.crop_faces
        dataset = cached_dataset(
            path,
            lambda: self.read(path, wanted),
            loader=self.name,
            version=self.version,
            options=options,
            use_cache=use_cache and self.version > 0 and wanted.detector is None,
        )
        dataset = draw_splits(dataset, seed=seed, split_rule=split_rule, roster=self.subjects)
        return dataset if split is None else dataset.split(split)
