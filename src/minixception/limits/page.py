"""The page about the limits of the models: its text (`page.md`), tables and pictures."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from minixception.drawing.plots import plot_confusion_matrix
from minixception.files import atomic_path
from minixception.limits.measurements import (
    EVERYBODY,
    NOTICEABLE_DROP,
    SMALLEST_CLASS,
    Limits,
    Subject,
    choose_rows,
    confusion_rows,
    first_noticeable,
    is_small,
    recall_rows,
)
from minixception.limits.perturbations import PERTURBATIONS, Perturbation, perturb
from minixception.limits.plots import plot_intervals, plot_levels, plot_tiles
from minixception.messages import csv_cell

if TYPE_CHECKING:
    import pandas

TASKS = ("emotion", "gender")


def write_page(
    limits: Limits,
    page: Path,
    *,
    command: str,
    commit: str | None,
    example: NDArray[np.uint8] | None = None,
) -> None:
    """Write tables and pictures into the folder of the page's name, and last the page itself.

    `commit` is that of the checkout that ran, if any; `example` a face, uint8 (H, W, C), to show at
    each level.
    """
    folder = page.with_suffix("")
    groups = choose_rows(limits.groups, limits.gender.classes)
    for name, table in _tables(limits).items():
        with atomic_path(folder / name) as temporary:
            cells = table.map(csv_cell)
            cells.to_csv(temporary, index=False, float_format="%.4f", lineterminator="\n")
    _draw(limits, groups, folder)
    shown = ""
    if example is not None:
        plot_tiles(_examples(example, limits.seed), folder / "perturbed_face.jpg")
        picture = f"{quote(folder.name)}/perturbed_face.jpg"
        shown = f"\n![The same face at each level]({picture})\n"
    text = Path(__file__).with_name("page.md").read_text(encoding="utf-8")
    text = text.format(
        **_values(limits, groups),
        limits=limits,
        emotion=limits.emotion,
        gender=limits.gender,
        folder=quote(folder.name),
        command=command,
        commit=commit or "unknown",
        example=shown,
    )
    with atomic_path(page) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _tables(limits: Limits) -> "dict[str, pandas.DataFrame]":
    import pandas

    return {
        "gender_by_group.csv": limits.groups,
        "emotion_recall.csv": pandas.DataFrame(recall_rows(limits.emotion.scores)),
        "emotion_confusions.csv": pandas.DataFrame(confusion_rows(limits.emotion.scores)),
        "perturbations.csv": limits.levels.assign(level=limits.levels.level.map("{:g}".format)),
    }


def _values(limits: Limits, groups: "pandas.DataFrame") -> dict[str, Any]:
    """Return what the text leaves open and the measurements do not say as they are."""
    emotion, gender = limits.emotion, limits.gender
    kinds = list(groups.groupby("kind", sort=False))
    return {
        "gender_accuracy": _percent(gender.scores.accuracy),
        "gender_errors": " and ".join(
            f"{_percent(row['share'])} of those labelled {row['true']} for {row['predicted']}"
            for row in confusion_rows(gender.scores)
        ),
        "emotion_errors": _percent(1 - emotion.scores.accuracy),
        "smaller_width": min(emotion.width, gender.width),
        "extremes": "\n".join(f"- {_extremes(kind, rows, gender.classes)}" for kind, rows in kinds),
        "weak_emotions": _weak_emotions(emotion),
        **{f"{task}_surest": _surest_error(limits.levels, task) for task in TASKS},
        "noticeable": f"{100 * NOTICEABLE_DROP:g}",
        "smallest_class": SMALLEST_CLASS,
        "youngest": groups[groups.kind == "age"].group.iloc[0],
        "hurts_table": _hurts_table(limits),
        "group_tables": "\n".join(_group_table(kind, rows, gender.classes) for kind, rows in kinds),
        "calibration_table": _calibration_table(emotion, gender),
        "recall_table": _recall_table(emotion),
        "level_tables": "\n".join(_level_section(limits, one) for one in PERTURBATIONS),
        "method_table": _method_table(emotion, gender),
    }


def _extremes(kind: Any, rows: "pandas.DataFrame", classes: Sequence[str]) -> str:
    """Say which group fares worst and best, and whether chance may have made the difference."""
    each = rows[rows.group != EVERYBODY].sort_values("balanced_accuracy", kind="stable")
    worst, best = each.iloc[0], each.iloc[-1]
    if len(each) < 2:
        return f"By {kind} there is one group only: {worst.group}."
    verdict = (
        "The two intervals do not overlap: the model does not serve all groups equally well."
        if worst.high < best.low
        else "The two intervals overlap: with so few faces the difference may be chance, but "
        "equal quality is not shown either."
    )
    named = [f"{row.group}, {_share(row, 'balanced_accuracy')}" for row in (worst, best)]
    few = ", ".join(each.group[is_small(each, classes)])
    caution = f" Too few faces to judge by: {few}." if few else ""
    return f"Gender by {kind}: worst for {named[0]}, best for {named[1]}. {verdict}{caution}"


def _weak_emotions(emotion: Subject) -> str:
    weak = [row.name for row in emotion.scores.per_class if row.total and row.recall < 0.5]
    if not weak:
        return "Every emotion is recognized in at least half of its faces."
    taken = [f"{name} (most often taken for {_taken_for(emotion, name)[0]})" for name in weak]
    return f"Recognized in fewer than half of their faces: {'; '.join(taken)}."


def _taken_for(subject: Subject, name: str) -> tuple[str, str]:
    """Name the two classes that one is most often taken for, with their shares."""
    found = [
        f"{row['predicted']}, {_percent(row['share'])}"
        for row in confusion_rows(subject.scores)
        if row["true"] == name and row["count"]
    ]
    first, second, *_ = (*found, "-", "-")
    return first, second


def _surest_error(levels: "pandas.DataFrame", task: str) -> str:
    """Say where a model is more certain than right by the most."""
    rows = levels[levels.task == task]
    row = rows.loc[(rows.mean_probability - rows.accuracy).idxmax()]
    if row.mean_probability <= row.accuracy:
        return f"The {task} model is never more certain than it should be."
    name = next(one for one in PERTURBATIONS if one.name == row.perturbation).level_name(row.level)
    return (
        f"The {task} model does not notice when it can no longer read a face: at "
        f"{row.perturbation} {name} the mean probability of its answers is "
        f"{_percent(row.mean_probability)}, but only {_percent(row.accuracy)} are right."
    )


def _calibration_table(*subjects: Subject) -> str:
    header = ("model", "temperature", "fitted on", "its error there before", "after", "error here")
    rows = []
    for subject in subjects:
        cells = ["-", "-", "-"]  # of a model without a temperature of its own
        for split, scores in subject.card.metrics.items():
            if before := scores.get("calibration_error_without_temperature"):
                cells = [split, _percent(before), _percent(scores["calibration_error"])]
        here = _percent(subject.scores.calibration_error)
        rows.append((subject.card.name, f"{subject.card.temperature:g}", *cells, here))
    return _table(header, rows)


def _hurts_table(limits: Limits) -> str:
    """Return a table of the levels from which on the accuracy has dropped noticeably."""

    def cell(one: Perturbation, task: str) -> str:
        rows = limits.levels_of(one.name, task)
        found = first_noticeable(list(rows.accuracy))
        if found is None:
            return f"not up to {one.level_name(rows.level.iloc[-1])}"
        before, after = _percent(rows.accuracy.iloc[0]), _percent(rows.accuracy.iloc[found])
        return f"{one.level_name(rows.level.iloc[found])}: {before} → {after}"

    rows = [(one.name, *(cell(one, task) for task in TASKS)) for one in PERTURBATIONS]
    return _table(("made harder by", *TASKS), rows)


def _group_table(kind: Any, rows: "pandas.DataFrame", classes: Sequence[str]) -> str:
    header = (str(kind), "faces from", "faces", "balanced accuracy (95 % interval)")
    cells = [
        (
            _starred(row, classes),
            row.split,
            str(row.faces),
            _share(row, "balanced_accuracy"),
            *(f"{row[f'{name}_correct']} of {row[name]}" for name in classes),
        )
        for _, row in rows.iterrows()
    ]
    return _table((*header, *(f"{name}: recognized" for name in classes)), cells)


def _starred(row: "pandas.Series", classes: Sequence[str]) -> str:
    return f"{row.group} *" if row[list(classes)].min() < SMALLEST_CLASS else str(row.group)


def _recall_table(emotion: Subject) -> str:
    header = ("emotion", "faces", "recognized (95 % interval)", "most often taken for", "then for")
    return _table(
        header,
        (
            (name, str(row["faces"]), _share(row, "recall"), *_taken_for(emotion, name))
            for row in recall_rows(emotion.scores)
            for name in (row["emotion"],)
        ),
    )


def _level_section(limits: Limits, perturbation: Perturbation) -> str:
    tables = [limits.levels_of(perturbation.name, task).set_index("level") for task in TASKS]
    levels = sorted({*tables[0].index, *tables[1].index}, reverse=perturbation.is_size)
    rows = []
    for level in levels:
        cells = [perturbation.level_name(level)]
        for table in tables:
            cells += _level_cells(table.loc[level]) if level in table.index else ["-", "-", "-"]
        rows.append(cells)
    answers = ("most frequent answer", "mean probability")
    header = (perturbation.name, *(c for task in TASKS for c in (f"{task}: accuracy", *answers)))
    title = f"### {perturbation.name.capitalize()}\n\n{perturbation.description}\n\n"
    return title + _table(header, rows)


def _level_cells(row: "pandas.Series") -> list[str]:
    answer = f"{row.most_frequent_answer}, {_percent(row.its_share)}"
    return [_share(row, "accuracy"), answer, _percent(row.mean_probability)]


def _method_table(*subjects: Subject) -> str:
    header = ("model", "network", "trained on", "commit", "tested on", "checksum")
    rows = [
        (
            card.name,
            f"{card.architecture}, {card.parameters:,} parameters",
            str(card.data.get("name", "not recorded")),
            str(card.versions.get("commit", "not recorded")),
            f"{subject.faces.name} {subject.split}",
            subject.faces.checksum,
        )
        for subject in subjects
        for card in (subject.card,)
    ]
    return _table(header, rows)


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _share(row: Any, column: str) -> str:
    """Return a share with its interval, for a row with `low` and `high`."""
    return f"{_percent(row[column])} ({100 * row['low']:.1f} to {100 * row['high']:.1f})"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _draw(limits: Limits, groups: "pandas.DataFrame", folder: Path) -> None:
    """Draw groups, confusions and levels."""
    plot_intervals(
        {
            f"by {kind}": {
                _starred(row, limits.gender.classes): (row.balanced_accuracy, row.low, row.high)
                for _, row in rows.iterrows()
            }
            for kind, rows in groups.groupby("kind", sort=False)
        },
        folder / "gender_by_group.png",
        label="gender: balanced accuracy in %, 95 % interval",
    )
    emotion = limits.emotion
    plot_confusion_matrix(
        np.array(emotion.scores.confusion_matrix),
        emotion.classes,
        folder / "emotion_confusions.png",
        title=f"{emotion.card.name} on {emotion.faces.name} {emotion.split}",
    )
    columns = ["level", "accuracy", "low", "high"]
    plot_levels(
        {
            f"{one.name}: {one.unit}": {
                task: limits.levels_of(one.name, task)[columns].to_numpy() for task in TASKS
            }
            for one in PERTURBATIONS
        },
        folder / "perturbations.png",
        label="accuracy in %, 95 % interval",
        descending=[f"{one.name}: {one.unit}" for one in PERTURBATIONS if one.is_size],
    )


def _examples(face: NDArray[np.uint8], seed: int) -> list[dict[str, NDArray[np.uint8]]]:
    return [
        {
            one.level_name(level): perturb(face[np.newaxis], one, level, seed=seed)[0]
            for level in one.levels_for(face.shape[1])
        }
        for one in PERTURBATIONS
    ]
