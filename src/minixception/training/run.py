"""Training: from faces and a recipe to a checkpoint folder, in one call."""

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from numbers import Integral
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minixception.boxes import as_margin
from minixception.checkpoints.card import STATE_FILE, Card
from minixception.checkpoints.own_models import try_out
from minixception.checkpoints.shipped import check_new_task, find_model
from minixception.checkpoints.versions import recorded_versions
from minixception.datasets.face_dataset import FaceDataset
from minixception.datasets.merging import select_classes
from minixception.datasets.registry import DatasetEntry
from minixception.datasets.requests import (
    as_path,
    as_paths,
    describe_data,
    load_requested,
    name_and_place,
    parts_to_learn_from,
)
from minixception.datasets.unlabelled import describe_unlabelled, gather_unlabelled
from minixception.files import find_data
from minixception.messages import counted
from minixception.training.learned_faces import read_learned, refuse_seen
from minixception.training.origins import (
    NOTHING,
    STATISTICS_FACES,
    begin_with,
    check_backbone,
    choose_origin,
    load_backbone,
)
from minixception.training.recipe_book import RECIPES, get_recipe
from minixception.training.recipes import Recipe
from minixception.training.runs import RunRecord, check_run_folder, read_run
from minixception.training.scoring import calibrate

if TYPE_CHECKING:
    from minixception.training.trainer import TrainingRun


def train(
    dataset: str | Path | FaceDataset | None = None,
    recipe: str | Recipe | None = None,
    *,
    task: str = "emotion",
    data: str | Path | None = None,
    output: str | Path | None = None,
    seed: int = 0,
    resume: bool = False,
    teachers: Sequence[str | PathLike[str]] = (),
    initial_weights: str | PathLike[str] | None = None,
    backbone_weights: str | Path | None = None,
    unlabelled: Sequence[str | Path] = (),
    unlabelled_teachers: Sequence[str | PathLike[str]] = (),
    leave_out: str | Path | None = None,
    devices: int = 1,
    command: Sequence[str] = (),
    verbose: int | str = "auto",
    **changes: Any,
) -> RunRecord:
    """Train a network on faces and write it, with card, history and curves, to a folder.

        run = minixception.train("pictures", epochs=20, output="runs/pictures")
        analyzer = minixception.FaceAnalyzer(emotion=run)

    The best epoch is chosen on the validation split; the test split is not looked at. The same
    seed on the same machine gives the same history, up to rounding where an earlier run of the
    process had another number of replicas: TensorFlow keeps its threads.

    Args:
        dataset: the name of a data set, or several as in "fer2013+jaffe"; a folder with a folder of
            pictures per class; or a `FaceDataset` with splits. None for the recipe's.
        recipe: a `Recipe` or a name, see `get_recipe`; None for the task's, else "emotion".
        task: what the classes are about: "emotion", "gender" or a word of your own, such as
            "glasses", which `FaceAnalyzer` takes as a keyword.
        data: file or folder of a named data set; None for its place in `datasets/`.
        output: folder to write; None for `runs/DATASET_NETWORK_RECIPE`.
        seed: of weights, order and augmentation, from 0 to 2**32 - 1.
        resume: continue the run in the folder, which must have been started with the same
            arguments; start one if there is none.
        teachers: names or folders of models that know the classes; their probabilities go into
            the targets (distillation).
        initial_weights: name or folder of a model of the same network to start from; if its
            classes differ, the last layer is reinitialized. None for random weights, or those of
            the shipped model if there are few faces and the recipe is this project's; "none" for
            random ones.
        backbone_weights: file with weights of a network's pre-trained part.
        unlabelled: folders or archives of pictures, or folders of detection sets, whose faces
            the teachers label, see `datasets.load_unlabelled`.
        unlabelled_teachers: models that label these faces instead of `teachers`.
        leave_out: folder or archive of pictures on which the model will be scored: unlabelled
            pictures with the same file names are left out.
        devices: how many accelerators share the recipe's replicas; the history is the same up to
            rounding.
        command: the command line, for the card.
        verbose: 0 prints nothing, 1 and "auto" show a progress bar, 2 a line per epoch.
        **changes: fields of the recipe, such as `epochs=20`, see `training.recipes.Recipe`.

    Returns:
        The folder, the card of the best epoch, and the history.

    Raises:
        ValueError: a setting is out of range, a name is unknown, models or data do not fit
            together, or the state in the folder belongs to another run.
        TypeError: the recipe has no field of that name.
        FileNotFoundError: data, a model or a file is missing.
        FileExistsError: the folder holds a run and `resume` is False.
        NotADirectoryError: `output` is a file.
        BlockingIOError: another run is writing the folder.
        ModuleNotFoundError: without the packages of the extra `train`.
    """
    check_new_task(task)
    if not isinstance(seed, Integral) or not 0 <= seed < 2**32:  # what NumPy takes
        raise ValueError(f"`seed` must be a whole number from 0 to {2**32 - 1}. Received: {seed!r}")
    if not isinstance(resume, bool):
        raise ValueError(f"`resume` must be True or False. Received: {resume!r:.100}")
    if not isinstance(recipe, Recipe):
        recipe = get_recipe(recipe or (task if task in RECIPES else "emotion"), task)
    recipe = recipe.changed(changes)
    asks = "teacher_share" in changes or recipe.teach_once
    if (recipe.needs_teacher or unlabelled or asks) and not teachers:
        raise ValueError(
            f"The recipe {recipe.name}, `unlabelled`, `teacher_share` or `teach_once` needs a "
            "model to learn from: name one as `teachers`, such as fer2013_mini_xception_wide."
        )
    name, place = name_and_place(dataset, data, default=recipe.dataset, task=task)
    request = _Request(
        recipe=replace(recipe, dataset=name),
        task=task,
        place=place,
        output=as_path("output", output),
        seed=int(seed),
        resume=resume,
        teachers=as_paths("teachers", teachers),
        initial_weights=as_path("initial_weights", initial_weights),
        backbone_weights=as_path("backbone_weights", backbone_weights),
        unlabelled=as_paths("unlabelled", unlabelled),
        unlabelled_teachers=as_paths("unlabelled_teachers", unlabelled_teachers),
        leave_out=as_path("leave_out", leave_out),
        devices=devices,
        command=command,
        say=print if verbose else lambda _: None,
    )
    request.check()
    entry, faces = request.load(dataset)
    folder = request.output or Path("runs", f"{faces.name}_{recipe.network}_{recipe.name}")
    check_run_folder(folder, resume=resume)
    request = replace(request, output=folder)

    from minixception.checkpoints.export import export_beside
    from minixception.training import trainer

    prepared = request.prepare(entry, faces, folder)
    trainer.train(prepared, resume=resume, verbose=verbose)
    run = read_run(prepared.folder)
    request.say(
        f"Kept epoch {run.best + 1} of {len(run.history['loss'])}, the best by {recipe.monitor}: "
        f"{entry.validation_split} accuracy {run.history['val_accuracy'][run.best]:.4f}.\n"
        f"Written to {run.folder}"
    )
    faces_to_compare = prepared.card.preprocessor(prepared.validation.images[:64])
    request.say(export_beside(run.folder, faces_to_compare))
    calibrate(run.folder, prepared.validation, split=entry.validation_split)
    return read_run(run.folder)


@dataclass(frozen=True)
class _Request:
    """The arguments of `train`; the recipe names the data set, `place` says where it is."""

    recipe: Recipe
    task: str
    place: Path | None
    output: Path | None
    seed: int
    resume: bool
    teachers: tuple[Path, ...]
    initial_weights: Path | None
    backbone_weights: Path | None
    unlabelled: tuple[Path, ...]
    unlabelled_teachers: tuple[Path, ...]
    leave_out: Path | None
    devices: int
    command: Sequence[str]
    say: Callable[[str], None]

    @property
    def goes_on(self) -> bool:
        """Whether there is a run to resume, which has weights of its own."""
        return bool(self.resume and self.output and (self.output / STATE_FILE).is_file())

    @property
    def origins(self) -> list[Path]:
        """The models that this one learns from, or starts from."""
        models, origin = [*self.teachers, *self.unlabelled_teachers], self.initial_weights
        if origin is None or origin == NOTHING or self.goes_on:
            return models
        return [*models, origin]

    def check(self) -> None:
        """Refuse, before the data is loaded, what would fail afterwards."""
        recipe = self.recipe
        if self.output is not None:
            check_run_folder(self.output, resume=self.resume)
        as_margin(recipe.crop_margin)
        recipe.preprocessor()
        if (self.unlabelled_teachers or self.leave_out) and not self.unlabelled:
            raise ValueError("`unlabelled_teachers` and `leave_out` need `unlabelled`.")
        for model in self.origins:
            find_model(model)

        from minixception import models
        from minixception.training.acceleration import choose_devices

        choose_devices(self.devices, recipe.replicas)
        models.check_input(recipe.network, recipe.input_shape)
        check_backbone(recipe.network, self.backbone_weights)

    def load(self, dataset: str | Path | FaceDataset | None) -> tuple[DatasetEntry, FaceDataset]:
        """Return the faces; they keep their colours where the augmentation changes these."""
        recipe = self.recipe
        entry, faces = load_requested(
            dataset,
            recipe.dataset,
            self.place,
            image_size=recipe.image_size,
            channels=3 if recipe.augmentation.changes_colour else recipe.channels,
            crop_margin=as_margin(recipe.crop_margin),
        )
        return entry, select_classes(faces, recipe.classes) if recipe.classes else faces

    def prepare(self, entry: DatasetEntry, dataset: FaceDataset, folder: Path) -> "TrainingRun":
        """Seed, build the network, and record in a card what it learns from."""
        import keras

        from minixception import models
        from minixception.training.acceleration import divide_cores
        from minixception.training.teaching import load_teachers
        from minixception.training.trainer import TrainingRun

        recipe, class_names = self.recipe, dataset.class_names
        refuse = partial(refuse_seen, name=recipe.dataset, dataset=dataset, entry=entry)
        for other in self.origins:
            refuse(other)
        divide_cores(recipe.replicas)
        training, validation = parts_to_learn_from(dataset, entry)
        sizes = f"{counted(len(training), 'face')} to train on, {len(validation)} to validate on"
        self.say(f"{dataset.name}: {sizes}")
        if not (self.goes_on or models.is_shipped(recipe.network)):
            fresh = models.build(recipe.network, recipe.input_shape, len(class_names))
            try_out(fresh, class_names=class_names, value_range=recipe.value_range)
        keras.utils.set_random_seed(self.seed)
        preprocessor = recipe.preprocessor(training.images)
        model = models.build(recipe.network, recipe.input_shape, len(class_names))
        origin = choose_origin(
            self.initial_weights,
            recipe,
            task=self.task,
            faces=len(training),
            refuse=refuse,
            say=(lambda _: None) if self.goes_on else self.say,
        )
        backbone = {}
        if self.backbone_weights or not origin:
            every = max(1, len(training) // STATISTICS_FACES)
            inputs = preprocessor(training.images[::every][:STATISTICS_FACES])
            backbone = load_backbone(model, self.backbone_weights, inputs, say=self.say)
        if origin is not None and not self.goes_on:
            begin_with(model, origin, class_names, preprocessor)
        description = describe_data(dataset, entry.training_split, entry.validation_split)
        card = Card(
            name=folder.resolve().name,
            task=self.task,
            architecture=model.name,
            parameters=model.count_params(),
            class_names=class_names,
            preprocessor=preprocessor,
            crop_margin=as_margin(recipe.crop_margin),
            data={"dataset": recipe.dataset, **description, **backbone},
            recipe=recipe.to_json(),
            seed=self.seed,
            command=shlex.join(self.command),
            versions=recorded_versions(),
        )
        teachers = load_teachers(self.teachers, card)
        unlabelled_teachers = load_teachers(self.unlabelled_teachers, card)
        before = [*self.teachers, *self.unlabelled_teachers, *([origin] if origin else [])]
        facts: dict[str, Any] = {"initial_weights": str(origin)} if origin else {}
        unseen = (entry.validation_split, entry.test_split)
        unlabelled = gather_unlabelled(
            self.unlabelled, dataset, unseen=unseen, leave_out=self.leave_out
        )
        if unlabelled is not None:
            facts["unlabelled"] = describe_unlabelled(unlabelled)
            self.say(f"{counted(len(unlabelled), 'unlabelled face')} in addition")
        asked = {"teachers": teachers, "unlabelled_teachers": unlabelled_teachers}
        facts |= {key: [each.description for each in some] for key, some in asked.items() if some}
        return TrainingRun(
            model=model,
            training=training,
            validation=validation,
            card=replace(card, data={**card.data, **facts}),
            validation_split=entry.validation_split,
            recipe=recipe,
            seed=self.seed,
            folder=folder,
            teachers=teachers,
            unlabelled=unlabelled,
            unlabelled_teachers=unlabelled_teachers,
            origin={"initial weights": str(origin), **backbone},
            start=self._start(entry),
            earlier=read_learned([folder] if self.goes_on else map(find_model, before)),
            devices=self.devices,
        )

    def _start(self, entry: DatasetEntry) -> Mapping[str, Any]:
        """Return what a later resume needs: the command, and where its inputs are."""
        data = self.place
        if data is None and entry.default_paths:
            data = find_data(*entry.default_paths)
        return {
            "command": list(self.command),
            "data": _absolute(data),
            "backbone_weights": _absolute(self.backbone_weights),
            "teacher": [_absolute(teacher) for teacher in self.teachers],
            "unlabelled": [_absolute(place) for place in self.unlabelled],
            "unlabelled_teacher": [_absolute(teacher) for teacher in self.unlabelled_teachers],
            "leave_out": _absolute(self.leave_out),
        }


def _absolute(path: Path | None) -> str | None:
    """Return a path that holds in every folder; the name of a shipped model stays."""
    return None if path is None else str(path.resolve() if path.exists() else path)
