"""What a training recipe is: everything that a run needs besides the faces themselves.

A recipe is data, and the training engine has no branch for any of them. `recipe_book` has them all.
A field is declared once, by `setting`: the checks, the options of the training commands and the
attributes in the docstrings are made from that.
"""

import math
from collections.abc import Mapping
from dataclasses import MISSING, Field, asdict, dataclass, field, fields, replace
from functools import partial
from inspect import formatannotation
from types import NoneType
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_origin

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from minixception.preprocessor import Preprocessor

Settings = TypeVar("Settings")

REMARKS = ("name", "summary", "source", "data", "cost", "expected")
"""Fields of a recipe that no step of the training depends on."""

PROLONGING = ("epochs", "early_stopping_patience")
"""Those that may change when a run with a constant rate goes on."""


def setting(
    default: Any,
    text: str,
    within: str = "",
    *,
    choices: tuple[Any, ...] = (),
    has_option: bool = False,
) -> Any:
    """Declare a field of a recipe.

    Args:
        default: its value.
        text: what it is, for docstring and `--help`.
        within: the interval of its finite numbers, such as "[0, 1)" or "(0, inf)", where it has
            one; it may also be None where its type says so.
        choices: the values that it may have, none for any.
        has_option: whether the training commands have an option for it, of the same name.
    """
    facts = {"help": text, "within": within, "choices": choices, "option": has_option}
    return field(default=default, metadata=facts)


option = partial(setting, has_option=True)


def kind_of(one: "Field[Any]") -> Any:
    """Return the type of a field's values that are not None."""
    kinds = get_args(one.type)
    return kinds[0] if NoneType in kinds else one.type


def documented(cls: type[Settings]) -> type[Settings]:
    """List the fields of a dataclass in its docstring."""
    lines = (f"    {one.name}: {one.metadata['help']}." for one in fields(cls))  # type: ignore[arg-type]
    cls.__doc__ = "\n    ".join([f"{cls.__doc__}\n", "Attributes:", *lines])
    return cls


def check_fields(settings: Any) -> None:
    """Refuse values that a field's `setting` does not allow."""
    for one in fields(settings):
        value, facts, kind = getattr(settings, one.name), one.metadata, kind_of(one)
        if value is None and NoneType in get_args(one.type):
            continue
        if facts["choices"] and value not in facts["choices"]:
            raise ValueError(
                f"`{one.name}` must be one of {', '.join(map(str, facts['choices']))}. "
                f"Received: {one.name}={value!r}"
            )
        if facts["within"]:
            _check_number(one.name, value, kind, facts["within"])
        elif not _is_a(value, kind):
            raise ValueError(
                f"`{one.name}` must be of type {formatannotation(kind)}. Received: {value!r}"
            )


def _is_a(value: Any, kind: Any) -> bool:
    """Return whether a value is of a type, and so are its parts; a float may be a whole number."""
    if get_origin(kind) is tuple:
        part = get_args(kind)[0]
        return isinstance(value, tuple | list) and all(_is_a(each, part) for each in value)
    wanted = int | float if kind is float else kind
    return isinstance(value, wanted) and isinstance(value, bool) == (kind is bool)


def _check_number(name: str, value: Any, kind: type, within: str) -> None:
    low, high = map(float, within[1:-1].split(","))
    words = [f"at least {low:g}" if within[0] == "[" else f"above {low:g}"]
    if math.isfinite(high):
        words.append(f"at most {high:g}" if within[-1] == "]" else f"below {high:g}")
    if not _is_a(value, kind):
        words.insert(0, "a whole number" if kind is int else "a number")
    elif not math.isfinite(value):
        words.append("finite")
    elif (
        low < value < high or (value == low and "[" in within) or (value == high and "]" in within)
    ):
        return
    raise ValueError(f"`{name}` must be {' and '.join(words)}. Received: {value!r}")


@documented
@dataclass(frozen=True)
class Augmentation:
    """Random changes of a training image. Pixels shifted in repeat the border ("fill nearest").

    Raises:
        ValueError: for a negative or infinite value, a fraction above 1, or a zoom or crop of 1,
            which would leave nothing of an image.
    """

    rotation: float = setting(0.0, "greatest angle in degrees, either way", "[0, inf)")
    width_shift: float = setting(0.0, "greatest shift, as a fraction of the width", "[0, 1]")
    height_shift: float = setting(0.0, "greatest shift, as a fraction of the height", "[0, 1]")
    zoom: float = setting(0.0, "greatest relative change of width, and of height", "[0, 1)")
    horizontal_flip: bool = setting(False, "mirror every second image, at random")
    brightness: float = setting(0.0, "factor drawn from 1 - brightness to 1 + brightness", "[0, 1]")
    contrast: float = setting(0.0, "likewise, around the mean grey of the image", "[0, 1]")
    saturation: float = setting(
        0.0, "likewise, around the grey version of a colour image", "[0, 1]"
    )
    lighting: float = setting(
        0.0,
        "standard deviation of the noise along the principal components of the colours "
        "(Krizhevsky et al. 2012, section 4.1)",
        "[0, inf)",
    )
    random_crop: float = setting(
        0.0,
        "greatest share of height and of width that is cut off: a window whose sides are a "
        "share of the image's, drawn from 1 - random_crop to 1, lies anywhere inside the "
        "image and is enlarged to the size of the image",
        "[0, 1)",
    )
    blur: float = setting(
        0.0,
        "greatest standard deviation of the Gaussian that blurs every second image at random, as "
        "a fraction of the width",
        "[0, 1]",
    )
    erasing: float = setting(
        0.0,
        "greatest share of the area that a rectangle of noise covers, in every second image "
        "at random (Zhong et al. 2017, arXiv 1708.04896)",
        "[0, 1]",
    )
    from_stored_size: bool = setting(
        False,
        "if faces are stored smaller than the network takes them, augment and enlarge them "
        "in one interpolation. Each interpolation blurs: faces that are enlarged first and "
        "augmented afterwards are less sharp than those that the trained model will see",
    )
    cubic: bool = setting(False, "interpolate over 4x4 pixels instead of 2x2, which blurs less")

    @property
    def changes_colour(self) -> bool:
        """Whether it needs faces in colour, be the network's input grey or not."""
        return self.saturation > 0 or self.lighting > 0

    def __post_init__(self) -> None:
        check_fields(self)


UNCHANGED = Augmentation()


@documented
@dataclass(frozen=True)
class Recipe:
    """How to train.

    Raises:
        ValueError: for an unknown name of optimizer, schedule, monitor or precision, a number
            outside its range, a one-cycle schedule together with a plateau, or two means.
    """

    name: str = setting(MISSING, "what `--recipe` calls it")
    summary: str = setting(MISSING, "one line for the list of recipes")
    source: str = setting("this project", "paper and section, or 'this project'")
    data: str = setting("", "the data of the source, and ours where it differs")
    cost: str = setting("", "how long it takes, on which machine")
    expected: str = setting("", "what the source reports, or the result here")
    network: str = option("mini_xception", "name of the network; an unknown one lists them all")
    dataset: str = setting("fer2013", "name in the registry of data sets; others can be asked for")
    classes: tuple[str, ...] = option(
        (), "names of classes to keep, in the order of the outputs, instead of all"
    )
    image_size: tuple[int, int] = option((48, 48), "size in pixels that faces are resized to")
    channels: int = option(1, "of the network's input: 1 is grey, 3 RGB", choices=(1, 3))
    value_range: tuple[float, float] = setting(
        (-1.0, 1.0), "(low, high) that the pixels 0 and 255 become"
    )
    mean: tuple[float, ...] | None = setting(
        None, "value per channel, 0 to 255, that is subtracted first"
    )
    fit_mean: bool = setting(False, "use the mean of the training faces as `mean`")
    batch_size: int = option(64, "images in a step", "[1, inf)")
    replicas: int = option(
        1,
        "copies of the network that divide each step, and the cores or --devices, among them. "
        "Each takes the statistics of batch normalization over its part of the batch",
        "[1, inf)",
    )
    epochs: int = option(40, "passes over the training set, at most", "[1, inf)")
    optimizer: str = option("adamw", "the optimizer", choices=("adam", "adamw", "sgd"))
    learning_rate: float = option(3e-3, "constant, or the peak of the schedule", "(0, inf)")
    schedule: str = setting(
        "one-cycle",
        "one-cycle is a linear rise, then a cosine fall to zero",
        choices=("constant", "one-cycle"),
    )
    warmup: float = setting(0.15, "share of the steps in which one-cycle rises", "[0, 1)")
    weight_decay: float = option(
        0.0, "decoupled decay, of kernels only; with adamw only", "[0, inf)"
    )
    regularizers: bool = setting(
        True,
        "whether the network's own penalties, the L2 of the Xception stems, are part of the "
        "loss. Adam scales the gradient of a penalty up where that of the data is small, and "
        "filters vanish: with it half of the eight of the first convolution did",
    )
    momentum: float = setting(0.9, "of sgd, with Nesterov's correction", "[0, 1)")
    label_smoothing: float = option(0.0, "share of the target spread over all classes", "[0, 1)")
    needs_teacher: bool = setting(False, "whether it cannot be used without a teacher")
    teacher_share: float = option(
        0.7, "share of the target that teachers, if any, provide; the rest is the label", "[0, 1]"
    )
    teach_once: bool = option(
        False,
        "ask the teachers once about each original face, not about every augmented copy: a long "
        "run takes a fraction of the time",
    )
    ema_momentum: float | None = option(
        None,
        "momentum of the average of the weights that is validated and kept, if any. It spans "
        "1 / (1 - momentum) steps, but at most a tenth of the run",
        "[0, 1)",
    )
    monitor: str = option(
        "val_accuracy",
        "column of the history that decides the best epoch and the patience. Of epochs with the "
        "same accuracy the one with the lowest val_loss is the best",
        choices=("val_loss", "val_accuracy"),
    )
    early_stopping_patience: int | None = option(
        None, "epochs without improvement before training ends", "[0, inf)"
    )
    plateau_patience: int | None = setting(
        None, "epochs without improvement before the rate falls", "[0, inf)"
    )
    plateau_factor: float = setting(0.1, "what the rate is multiplied by then", "(0, 1)")
    keep_improvements: bool = option(False, "keep a model file per improvement")
    crop_margin: float = option(
        0.0,
        "how far crops reach beyond the box of a detected face, as a fraction of it, or, if "
        "negative, how much they cut off; stored with the model",
    )
    augmentation: Augmentation = setting(UNCHANGED, "random changes of training images")  # noqa: RUF009
    mixup: float = option(
        0.0,
        "mix images and targets in pairs: the parameter of the Beta distribution. 0 mixes none "
        "(Zhang et al. 2018, arXiv 1710.09412)",
        "[0, inf)",
    )
    class_weights: tuple[float, ...] = option(
        (),
        "weight of each class in the loss, in the order of the outputs. A class of weight 3 is "
        "answered as if it were three times as frequent (Elkan 2001, The foundations of "
        "cost-sensitive learning)",
    )
    outliers: float = option(
        0.0,
        "share of the images that are made unrecognizable, with all classes equally likely as "
        "their target, so that the model learns to be unsure. The idea is from Hendrycks et al. "
        "2019, arXiv 1812.04606",
        "[0, 1)",
    )
    precision: str = option(
        "float32",
        "the Keras dtype policy of the training step. Weights are float32 with either. "
        "mixed_bfloat16 is the faster one for convolutions of 32 or more channels on a "
        "processor with instructions for it, the slower one otherwise",
        choices=("float32", "mixed_bfloat16"),
    )

    def __post_init__(self) -> None:
        check_fields(self)
        if self.weight_decay and self.optimizer != "adamw":
            raise ValueError(
                "`weight_decay` goes with the optimizer adamw, and must be 0 with others. "
                f"Received: {self.weight_decay} with {self.optimizer}"
            )
        if self.schedule == "one-cycle" and self.plateau_patience is not None:
            raise ValueError(
                "A one-cycle schedule sets every learning rate, so `plateau_patience` must be "
                f"None with it. Received: plateau_patience={self.plateau_patience}"
            )
        for weight in self.class_weights:
            _check_number("class_weights", weight, float, "(0, inf)")
        if self.fit_mean and self.mean is not None:
            raise ValueError(f"`mean` must be None where it is fitted. Received: {self.mean}")

    def changed(self, changes: Mapping[str, Any]) -> "Recipe":
        """Return a copy with other values, which may be NumPy's, of some fields.

        Raises:
            TypeError: there is no field of a name.
        """
        names = [one.name for one in fields(self)]
        if unknown := [name for name in changes if name not in names]:
            raise TypeError(
                f"There is no argument or field of a recipe `{unknown[0]}`. The fields are "
                f"{', '.join(names)}"
            )
        plain = {
            name: value.tolist() if hasattr(value, "tolist") else value  # as `card.json` has it
            for name, value in changes.items()
        }
        return replace(self, **plain)

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of the network's input."""
        return (*self.image_size, self.channels)

    def preprocessor(self, images: "NDArray[np.uint8] | None" = None) -> "Preprocessor":
        """Return the way from faces to the network's input; a mean may be fitted on the images."""
        from minixception.preprocessor import Preprocessor

        plain = Preprocessor(self.image_size, self.channels, self.value_range, self.mean)
        return plain if images is None or not self.fit_mean else plain.centred_on(images)

    def to_json(self) -> dict[str, Any]:
        """Return plain data for `card.json`."""
        return asdict(self)
