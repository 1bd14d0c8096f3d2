"""Class names of every label set, and their mapping by name.

The order of classes belongs to a data set and to the checkpoint trained on it. Two sets that mean
the same thing write it differently ("happy", "Happiness"), so a label crosses from one order to
another by name, never by position.
"""

from collections.abc import Mapping, Sequence
from keyword import kwlist
from unicodedata import normalize

EMOTIONS_FER2013 = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
"""The seven FER2013 emotions; the position is the number in the column `emotion`."""

EMOTIONS_8 = (
    *("anger", "contempt", "disgust", "fear"),
    *("happiness", "neutral", "sadness", "surprise"),
)
"""The eight emotions of FER+ and of the facial_expressions set, in alphabetical order."""

GENDERS = ("woman", "man")
"""The two classes of the IMDB and UTKFace annotations; IMDB numbers them 0 and 1 likewise."""

ROLLS = tuple(str(degrees) for degrees in range(0, 360, 15))
"""By how many degrees a face is turned in the image plane, clockwise: its roll, as 24 classes."""

NO_FACE = "none"
"""The class beside `ROLLS` of what a detector took for a face."""

FERPLUS_COLUMNS = (
    *("neutral", "happiness", "surprise", "sadness", "anger"),
    *("disgust", "fear", "contempt", "unknown", "NF"),
)
"""The ten vote columns of `fer2013new.csv` in file order; `NF` means "not a face"."""

SYNONYMS = {
    "anger": ("anger", "angry", "an"),
    "contempt": ("contempt", "contemptuous"),
    "disgust": ("disgust", "disgusted", "di"),
    "fear": ("fear", "fearful", "afraid", "af", "fe"),
    "happiness": ("happiness", "happy", "ha"),
    "neutral": ("neutral", "neutrality", "ne"),
    "sadness": ("sadness", "sad", "sa"),
    "surprise": ("surprise", "surprised", "su"),
    "woman": ("woman", "female", "women"),
    "man": ("man", "male", "men"),
}
"""Canonical name -> its spellings in lower case; two-letter codes are those of KDEF and JAFFE."""

LONGEST_CLASS_NAME = 100
"""Characters of a class name."""

TAKEN_NAMES = (
    *("box", "x", "y", "width", "height", "picture", "faces", "error"),
    *("frame", "time_seconds", "track", "detector", "engine", "upright", "self"),
)
"""Columns, keys and keywords that stand beside those of a task, and so cannot be its name."""

_CANONICAL_NAMES = {
    spelling: canonical for canonical, spellings in SYNONYMS.items() for spelling in spellings
}


def canonical_name(name: str) -> str:
    """Return the one spelling that all synonyms of `name` share, whatever its case and blanks.

    "Happy" and "happiness" give "happiness"; a name without known synonyms comes in lower case.
    """
    # Folders that were made on macOS may have accents as characters of their own.
    spelling = normalize("NFC", name).strip().lower()
    return _CANONICAL_NAMES.get(spelling, spelling)


def index_of(name: str, class_names: Sequence[str]) -> int:
    """Return the position of the class that means the same as `name`, of any convention and case.

    Raises:
        ValueError: No class of `class_names` means the same as `name`.
    """
    meanings = list(map(canonical_name, class_names))
    if canonical_name(name) in meanings:
        return meanings.index(canonical_name(name))
    raise ValueError(
        f"`name` must mean the same as one of {', '.join(class_names)}. Received: name={name!r}"
    )


def lacking(names: Sequence[str], others: Sequence[str]) -> list[str]:
    """Return the names that mean none of the others, of any convention and case."""
    known = set(map(canonical_name, others))
    return [name for name in names if canonical_name(name) not in known]


def check_class_names(names: Sequence[str]) -> None:
    """Raise ValueError for class names that mean the same, or cannot be shown in a line."""
    meanings: dict[str, str] = {}
    for name in names:
        is_text = isinstance(name, str) and name.isprintable()
        if not is_text or not 0 < len(name) <= LONGEST_CLASS_NAME:
            raise ValueError(
                f"`class_names` must be printable, of 1 to {LONGEST_CLASS_NAME} characters. "
                f"Received: {name!r:.200}"
            )
        other = meanings.get(canonical_name(name))
        if other is not None:
            raise ValueError(
                f"`class_names` must mean different things. Received: {other!r} and {name!r}"
            )
        meanings[canonical_name(name)] = name


def check_task(name: str) -> None:
    """Raise ValueError for the name of a task that could be no keyword, or no column of its own."""
    is_word = isinstance(name, str) and name.isidentifier() and len(name) <= LONGEST_CLASS_NAME
    if not is_word or name in (*TAKEN_NAMES, *kwlist) or name.endswith("_scores"):
        raise ValueError(
            "`task` must be a word such as emotion, gender or glasses: letters, digits and _, "
            "not ending in _scores, not a keyword of Python and none of "
            f"{', '.join(TAKEN_NAMES)}. Received: {name!r:.200}"
        )


def most_probable(scores: Mapping[str, float]) -> str | None:
    """Return the class with the highest probability, None where there are no classes."""
    return max(scores, key=lambda name: scores[name]) if scores else None


def describe_scores(scores: Mapping[str, float]) -> str | None:
    """Return the most probable class with its percentage, None if there is none.

    >>> describe_scores({"happy": 0.93, "sad": 0.07})
    'happy 93 %'
    """
    name = most_probable(scores)
    return None if name is None else f"{name} {100 * scores[name]:.0f} %"
