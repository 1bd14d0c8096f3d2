"""What a training recipe is: everything that a run needs besides the faces themselves.

A recipe is data, and the training engine has no branch for any of them. `recipe_book` has them all.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

OPTIMIZERS = ("adam", "adamw", "sgd")
SCHEDULES = ("constant", "one-cycle")
MONITORS = ("val_loss", "val_accuracy")
PRECISIONS = ("float32", "mixed_bfloat16")


@dataclass(frozen=True)
class Augmentation:
    """Random changes of a training image. Pixels shifted in repeat the border ("fill nearest").

    Attributes:
        rotation: greatest angle in degrees, either way.
        width_shift: greatest horizontal shift, as a fraction of the width.
        height_shift: greatest vertical shift, as a fraction of the height.
        zoom: greatest relative change of width and of height, each drawn on its own.
        horizontal_flip: mirror every second image, at random.
        brightness: factor drawn from 1 - brightness to 1 + brightness.
        contrast: likewise, around the mean grey of the image.
        saturation: likewise, around the grey version of a colour image.
        lighting: standard deviation of the noise along the principal components of the colours
            (Krizhevsky et al. 2012, section 4.1).
        random_crop: greatest share of height and of width that is cut off: a window whose sides are
            a share of the image's, drawn from 1 - random_crop to 1, lies anywhere inside the image
            and is enlarged to the size of the image.
        erasing: greatest share of the area that a rectangle of noise covers, in every second image
            at random (Zhong et al. 2017, arXiv 1708.04896).
        from_stored_size: where faces are stored smaller than the network takes them, change and
            enlarge them in one interpolation. Each one blurs: faces that are enlarged first and
            changed then are less sharp than those that the trained model will see.
        cubic: interpolate over 4x4 pixels instead of 2x2, which blurs less.
    """

    rotation: float = 0.0
    width_shift: float = 0.0
    height_shift: float = 0.0
    zoom: float = 0.0
    horizontal_flip: bool = False
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    lighting: float = 0.0
    random_crop: float = 0.0
    erasing: float = 0.0
    from_stored_size: bool = False
    cubic: bool = False

    @property
    def changes_colour(self) -> bool:
        """Whether it needs faces in colour, be the network's input grey or not."""
        return self.saturation > 0 or self.lighting > 0

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            ValueError: for a negative or infinite value, a fraction above 1, or a zoom or crop of
                1, which would leave nothing of an image.
        """
        for name, value in asdict(self).items():
            if not 0 <= value < float("inf"):
                raise ValueError(f"`{name}` must be 0 or more, and finite. Received: {value}")
            if value > 1 and name not in ("rotation", "lighting"):
                raise ValueError(f"`{name}` is a fraction, at most 1. Received: {value}")
        for name in ("zoom", "random_crop"):
            if getattr(self, name) == 1:
                raise ValueError(f"`{name}` must be below 1. Received: 1")


@dataclass(frozen=True)
class Recipe:
    """How to train.

    Attributes:
        name: what `--recipe` calls it.
        summary: one line for the list of recipes.
        source: paper and section, or "this project".
        data: the faces of the source, and ours where these are others.
        cost: how long it takes, on which machine.
        expected: what the source reports, or what came of it here.
        network: name in the registry of networks, unless `--model` names another.
        dataset: name in the registry of data sets, unless `--dataset` names another.
        frozen_blocks: how many of the lowest blocks of a pre-trained network are not trained; None
            leaves that to the network.
        classes: names of the classes to keep, in the order of the outputs; none keeps all.
        image_size: (height, width) that faces are resized to.
        channels: of the network's input: 1 (grey) or 3 (RGB).
        value_range: (low, high) that the pixel values 0 and 255 become, see `Preprocessor`.
        mean: value per channel, 0 to 255, that is subtracted first, or None.
        fit_mean: take for `mean` that of the training faces.
        batch_size: images in a step.
        replicas: copies of the network that share a step, each with its part of the batch, over
            which it takes the statistics of batch normalization. Two are faster on two cores.
        epochs: passes over the training set, at most.
        optimizer: one of `OPTIMIZERS`.
        learning_rate: the peak of the one-cycle schedule, else the first rate.
        schedule: "constant", or "one-cycle": a linear rise, then a cosine fall to zero.
        warmup: share of the steps in which the one-cycle schedule rises.
        weight_decay: decoupled decay of kernels (no biases, no batch normalization); adamw only.
        regularizers: whether the network's own penalties, the L2 of the Xception stems, are part of
            the loss. Adam scales the gradient of a penalty up where that of the data is small, and
            filters vanish: with it half of the eight of the first convolution did.
        momentum: of sgd, with Nesterov's correction.
        label_smoothing: share of the target that is spread over all classes.
        needs_teacher: whether it makes no sense without a teacher.
        teacher_share: share of the target that comes from the teachers, where there are any; the
            rest is the label.
        ema_momentum: momentum of the average of the weights that is validated and kept, or None
            to keep the weights as they are. A short run takes a smaller one, so that the average
            spans 1 / (1 - momentum) steps, but no more than a tenth of the run.
        monitor: column of the history that chooses the best epoch and drives the two patiences.
        early_stopping_patience: epochs without improvement before training ends, or None.
        plateau_patience: epochs without improvement before the rate is reduced, or None.
        plateau_factor: what the rate is multiplied by then.
        keep_improvements: whether to keep a model file per improvement.
        crop_margin: stored with the model: how far crops reach beyond the box of a detected face,
            as a fraction of it, negative to cut some off.
        augmentation: random changes of the training images.
        mixup: parameter of the Beta distribution by which images and targets are mixed in pairs,
            or 0 for none (Zhang et al. 2018, arXiv 1710.09412).
        precision: one of `PRECISIONS`, the Keras dtype policy of the training step. Weights are
            float32 with either. mixed_bfloat16 is the faster one for convolutions of 32 or more
            channels on a processor with instructions for it, the slower one otherwise.
    """

    name: str
    summary: str
    source: str = "this project"
    data: str = ""
    cost: str = ""
    expected: str = ""
    network: str = "mini_xception"
    frozen_blocks: int | None = None
    dataset: str = "fer2013"
    classes: tuple[str, ...] = ()
    image_size: tuple[int, int] = (48, 48)
    channels: int = 1
    value_range: tuple[float, float] = (-1.0, 1.0)
    mean: tuple[float, ...] | None = None
    fit_mean: bool = False
    batch_size: int = 64
    replicas: int = 1
    epochs: int = 40
    optimizer: str = "adamw"
    learning_rate: float = 3e-3
    schedule: str = "one-cycle"
    warmup: float = 0.15
    weight_decay: float = 0.0
    regularizers: bool = True
    momentum: float = 0.9
    label_smoothing: float = 0.0
    needs_teacher: bool = False
    teacher_share: float = 0.7
    ema_momentum: float | None = None
    monitor: str = "val_accuracy"
    early_stopping_patience: int | None = None
    plateau_patience: int | None = None
    plateau_factor: float = 0.1
    keep_improvements: bool = False
    crop_margin: float = 0.0
    augmentation: Augmentation = field(default_factory=Augmentation)
    mixup: float = 0.0
    precision: str = "float32"

    def __post_init__(self) -> None:
        """Refuse what no engine could follow.

        Raises:
            ValueError: for an unknown name of optimizer, schedule or monitor, a number outside its
                range, a one-cycle schedule together with a plateau, or two means.
        """
        _check_choice("optimizer", self.optimizer, OPTIMIZERS)
        _check_choice("schedule", self.schedule, SCHEDULES)
        _check_choice("monitor", self.monitor, MONITORS)
        _check_choice("precision", self.precision, PRECISIONS)
        for name in ("batch_size", "replicas", "epochs"):
            if getattr(self, name) < 1:
                raise ValueError(f"`{name}` must be at least 1. Received: {getattr(self, name)}")
        if not 0 < self.learning_rate < float("inf"):
            raise ValueError(f"`learning_rate` must be above 0. Received: {self.learning_rate}")
        if not 0 <= self.weight_decay < float("inf"):
            raise ValueError(f"`weight_decay` must be at least 0. Received: {self.weight_decay}")
        if self.weight_decay and self.optimizer != "adamw":
            raise ValueError(
                "`weight_decay` goes with the optimizer adamw, and must be 0 with others. "
                f"Received: {self.weight_decay} with {self.optimizer}"
            )
        for name in ("warmup", "momentum", "label_smoothing", "ema_momentum"):
            if not 0 <= (getattr(self, name) or 0.0) < 1:
                raise ValueError(
                    f"`{name}` must be at least 0 and below 1. Received: {getattr(self, name)}"
                )
        for name in ("early_stopping_patience", "plateau_patience"):
            if (getattr(self, name) or 0) < 0:
                raise ValueError(f"`{name}` must not be negative. Received: {getattr(self, name)}")
        if not 0 <= self.mixup < float("inf"):
            raise ValueError(f"`mixup` must be 0 or more, and finite. Received: {self.mixup}")
        if not 0 <= self.teacher_share <= 1:
            raise ValueError(f"`teacher_share` must be from 0 to 1. Received: {self.teacher_share}")
        if self.schedule == "one-cycle" and self.plateau_patience is not None:
            raise ValueError(
                "A one-cycle schedule sets every learning rate, so `plateau_patience` must be "
                f"None with it. Received: plateau_patience={self.plateau_patience}"
            )
        if self.fit_mean and self.mean is not None:
            raise ValueError(f"`mean` must be None where it is fitted. Received: {self.mean}")

    def with_changes(self, changes: Mapping[str, Any]) -> "Recipe":
        """Return a copy with the fields in `changes` that are not None replaced."""
        return replace(self, **{name: v for name, v in changes.items() if v is not None})

    def to_json(self) -> dict[str, Any]:
        """Return plain data for `card.json`."""
        return asdict(self)


def _check_choice(field_name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(
            f"`{field_name}` must be one of {', '.join(allowed)}. Received: {field_name}={value!r}"
        )
