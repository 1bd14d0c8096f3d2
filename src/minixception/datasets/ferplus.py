"""FER+: ten votes for each FER2013 picture, eight emotions.

Source: Barsoum, Zhang, Canton Ferrer, Zhang 2016 (arXiv 1608.01041),
https://github.com/microsoft/FERPlus, file `fer2013new.csv`. Licence: MIT for the votes; the
pictures are those of FER2013 and keep its terms.

The file is joined to `fer2013.csv` by position: its column "Image name" does not hold row numbers.
A checksum recognizes the original files. Others are refused if their labels, which agree with the
voters for most faces, show that the rows are in another order.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from minixception.datasets.face_dataset import FaceDataset, require
from minixception.datasets.fer2013 import FER2013_LICENCE, load_fer2013
from minixception.datasets.tables import read_rows
from minixception.files import content_checksum, file_checksum
from minixception.labels import EMOTIONS_8, FERPLUS_COLUMNS, index_of
from minixception.messages import counted

FERPLUS_LICENCE = f"votes MIT; pictures {FER2013_LICENCE}"

_LOGGER = logging.getLogger(__name__)

# Of the original faces, labels and votes together.
_ORIGINAL = "md5:1a4ce66cfe7177b8e417ac5542d63603"
# Of any 100 consecutive faces the voters agree with FER2013's label on at least 47 % in the
# original order, and on at most 31 % if it is shifted by a row.
_BLOCK = 100
_LEAST_AGREEMENT = 0.4

# Winner of the votes -> the reason to leave a row out.
_MAJORITY_REASONS = {
    "": "no majority",
    "unknown": "majority unknown",
    "NF": "majority not a face",
}

LABEL_RULES = ("majority", "distribution", "train-on-votes")
"""Ways to turn votes into labels; see `load_ferplus`."""


def load_ferplus(
    fer2013_path: str | Path,
    votes_path: str | Path,
    *,
    labels: str = "majority",
    use_cache: bool = True,
) -> FaceDataset:
    """Load the FER2013 pictures with the labels of FER+.

    Three rules turn ten votes into a label:

    - "majority", the rule of FER+'s authors: single votes are dropped as outliers, and a row is
      kept when one emotion has more than half of the rest.
    - "distribution": a row is kept when no column has more votes than the best emotion, ties
      included. `targets` are the shares of the votes for the eight emotions, `labels` the first
      emotion with the most votes.
    - "train-on-votes": Training by "distribution", PublicTest and PrivateTest by "majority", with
      `targets` for all: a model learns from all votes, and is scored on the rows that others use.

    Args:
        fer2013_path: File for `load_fer2013`.
        votes_path: `fer2013new.csv`, by default kept as `datasets/ferplus/fer2013new.csv`.
        labels: one of `LABEL_RULES`.
        use_cache: As in `load_fer2013`.

    Returns:
        Images uint8 (N, 48, 48, 1) with classes `EMOTIONS_8` and the splits of FER2013. `dropped`
        counts the rows that the rule left out.

    Raises:
        FileNotFoundError: One of the files is missing.
        ValueError: A file is malformed, the rows of the two do not match, or an option is unknown.
    """
    if labels not in LABEL_RULES:
        raise ValueError(
            f"`labels` must be one of {', '.join(LABEL_RULES)}. Received: labels={labels!r}"
        )
    faces = load_fer2013(fer2013_path, use_cache=use_cache)
    votes = read_ferplus_votes(votes_path, splits=faces.splits)
    _check_same_order(fer2013_path, votes_path, faces, votes)
    kept, dropped = _rows_by_rule(labels, votes, faces.splits)
    if not kept.any():
        raise ValueError(
            f"{votes_path} must have rows for the rule {labels!r}. Received: no row with a majority"
        )
    faces, votes = faces.select(kept), votes[kept]
    emotions = _votes_for(votes, EMOTIONS_8)
    targets = None if labels == "majority" else votes_as_targets(votes, EMOTIONS_8)[0]
    return FaceDataset(
        images=faces.images,
        labels=emotions.argmax(axis=1).astype(np.int64),
        class_names=EMOTIONS_8,
        name="ferplus",
        licence=FERPLUS_LICENCE,
        checksum=f"{faces.checksum} + {file_checksum(votes_path)}",
        splits=faces.splits,
        targets=targets,
        dropped=dropped,
    )


def read_ferplus_votes(votes_path: str | Path, *, splits: np.ndarray | None) -> np.ndarray:
    """Read the votes and check that they belong to the rows of FER2013.

    Args:
        votes_path: `fer2013new.csv`.
        splits: str (N,), `FaceDataset.splits` of the whole of FER2013; None skips the comparison.

    Returns:
        int64 (N, 10), votes at least 0, in the order of `FERPLUS_COLUMNS`.

    Raises:
        FileNotFoundError: The file is missing.
        ValueError: A column is missing, a vote is not a whole number of at least 0, or the rows do
            not match `splits`.
    """
    path = Path(votes_path)
    if not path.is_file():
        raise FileNotFoundError(
            f"There is no file {path}. Get fer2013new.csv from "
            "https://github.com/microsoft/FERPlus and put it into datasets/ferplus/."
        )
    usages, votes = [], []
    with path.open("rb") as stream:
        for where, (usage, *words) in read_rows(path, stream, ("Usage", *FERPLUS_COLUMNS)):
            if not all(word.isascii() and word.isdigit() and len(word) < 6 for word in words):
                raise ValueError(
                    f"{where}: {len(words)} votes, whole numbers of at least 0, expected. "
                    f"Received: {', '.join(words)[:80]}"
                )
            usages.append(usage)
            votes.append([int(word) for word in words])
    if splits is not None and usages != splits.tolist():
        raise ValueError(
            f"{path} must have one row per FER2013 row ({len(splits)}), with its `Usage`. "
            f"Received: {counted(len(usages), 'row')}"
        )
    return np.array(votes, np.int64).reshape(-1, len(FERPLUS_COLUMNS))


def votes_as_targets(
    votes: np.ndarray, class_names: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Turn votes into a probability per class, matched to the classes by name.

    With `EMOTIONS_FER2013`, votes for contempt, unknown and NF are left out.

    Args:
        votes: Integer (N, 10) in the order of `FERPLUS_COLUMNS`, at least 0.
        class_names: K emotions of either convention, in the order wanted.

    Returns:
        float32 (N, K) whose rows sum to 1, and bool (N,), False where none of the classes had
        votes: there the targets are uniform, and the caller decides what to do with the row.

    Raises:
        ValueError: `votes` has another shape or a negative entry, or a class is no FER+ emotion.
    """
    votes = np.asarray(votes)
    count = len(FERPLUS_COLUMNS)
    is_right = votes.ndim == 2 and votes.shape[1] == count and bool((votes >= 0).all())
    require(is_right, "votes", votes, f"of the shape (N, {count}) and at least 0")
    chosen = _votes_for(votes, class_names).astype(np.float64)
    has_votes = chosen.sum(axis=1) > 0
    chosen[~has_votes] = 1.0
    return (chosen / chosen.sum(axis=1, keepdims=True)).astype(np.float32), has_votes


def _votes_for(votes: np.ndarray, class_names: Sequence[str]) -> np.ndarray:
    """Pick the columns of `class_names` (K) from votes (N, 10), in the order of the names."""
    return votes[:, [index_of(name, FERPLUS_COLUMNS) for name in class_names]]


def _rows_by_rule(
    rule: str, votes: np.ndarray, splits: np.ndarray | None
) -> tuple[np.ndarray, dict[str, int]]:
    """Return the rows to keep by a rule, bool (N,), and how many are left out by reason."""
    best = _votes_for(votes, EMOTIONS_8).max(axis=1)
    is_emotion = (best > 0) & (best >= _votes_for(votes, ("unknown", "NF")).max(axis=1))
    valid = np.where(votes > 1, votes, 0)
    has_majority = 2 * valid.max(axis=1) > valid.sum(axis=1)
    winners = np.where(has_majority, np.array(FERPLUS_COLUMNS)[valid.argmax(axis=1)], "")
    by_majority = np.full(len(votes), rule == "majority")
    if rule == "train-on-votes":
        by_majority = np.asarray(splits) != "Training"
    left_out = {}
    if rule != "majority":
        left_out["most votes unknown or not a face"] = ~is_emotion & ~by_majority
    if rule != "distribution":
        for winner, reason in _MAJORITY_REASONS.items():
            left_out[reason] = by_majority & (winners == winner)
    dropped = {reason: int(rows.sum()) for reason, rows in left_out.items()}
    return ~np.any(list(left_out.values()), axis=0), dropped


def _check_same_order(
    fer2013_path: str | Path, votes_path: str | Path, faces: FaceDataset, votes: np.ndarray
) -> None:
    """Refuse files in some part of which faces and votes agree too rarely to belong together."""
    arrays = {"faces": faces.images, "labels": faces.labels, "votes": votes}
    if content_checksum((name, each.tobytes()) for name, each in arrays.items()) == _ORIGINAL:
        return
    emotions = _votes_for(votes, EMOTIONS_8)
    rows = np.flatnonzero(emotions.any(axis=1))
    places = np.array([index_of(name, EMOTIONS_8) for name in faces.class_names])
    agrees = (emotions.argmax(axis=1) == places[faces.labels])[rows]
    if len(rows) >= _BLOCK:  # with fewer, chance decides
        shares = np.convolve(agrees, np.full(_BLOCK, 1 / _BLOCK), "valid")
        worst = int(shares.argmin())
        if shares[worst] < _LEAST_AGREEMENT:
            raise ValueError(
                f"{fer2013_path} must have its rows in the order of the original, which "
                f"{votes_path} goes by: the label of a face is that of most voters for about 63 %. "
                f"Received: {shares[worst]:.1%} in rows {rows[worst] + 1} to "
                f"{rows[worst + _BLOCK - 1] + 1}, {agrees.mean():.1%} in all"
            )
    _LOGGER.warning(
        "%s and %s are not the original files: that votes and faces belong together was "
        "checked by the labels only, as far as these differ.",
        *(fer2013_path, votes_path),
    )
