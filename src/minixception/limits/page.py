"""The page about the limits of the models: its text (`page.md`), tables and pictures."""

from collections.abc import Iterable, Mapping, Sequence
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
    TASKS,
    Limits,
    Subject,
    choose_rows,
    confusion_table,
    first_noticeable,
    levels_of,
    recall_table,
)
from minixception.limits.perturbations import PERTURBATIONS, ROTATION, Perturbation
from minixception.limits.plots import plot_example, plot_groups, plot_levels
from minixception.messages import csv_cell

if TYPE_CHECKING:
    import pandas


def write_page(
    limits: Limits,
    page: Path,
    *,
    command: str,
    commit: str | None,
    example: NDArray[np.uint8] | None = None,
) -> None:
    """Write tables and pictures into the folder named like the page, and then the page itself.

    `commit` is that of the checkout that ran, if any; `example` a face, uint8 (H, W, C), to show at
    each level.
    """
    folder = page.with_suffix("")
    chosen = choose_rows(limits.groups, limits.gender.faces.class_names)
    kinds = {str(kind): rows for kind, rows in chosen.groupby("kind", sort=False)}
    tables = {
        "gender_by_group.csv": limits.groups,
        "emotion_recall.csv": recall_table(limits.emotion.scores),
        "emotion_confusions.csv": confusion_table(limits.emotion.scores),
        "perturbations.csv": limits.levels.assign(level=limits.levels.level.map("{:g}".format)),
    }
    for name, table in tables.items():
        with atomic_path(folder / name) as temporary:
            cells = table.map(csv_cell)
            cells.to_csv(temporary, index=False, float_format="%.4f", lineterminator="\n")
    _draw(limits, kinds, folder)
    shown = ""
    if example is not None:
        plot_example(example, folder / "perturbed_face.jpg", seed=limits.seed)
        picture = f"{quote(folder.name)}/perturbed_face.jpg"
        shown = f"\n![The same face at each level]({picture})\n"
    text = Path(__file__).with_name("page.md").read_text(encoding="utf-8")
    text = text.format(
        **_values(limits, kinds),
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


def _draw(limits: Limits, kinds: Mapping[str, "pandas.DataFrame"], folder: Path) -> None:
    plot_groups(kinds, folder / "gender_by_group.png")
    emotion = limits.emotion
    plot_confusion_matrix(
        np.array(emotion.scores.confusion_matrix),
        emotion.faces.class_names,
        folder / "emotion_confusions.png",
        title=f"{emotion.card.name} on {emotion.faces.name} {emotion.split}",
    )
    plot_levels(limits.levels, folder / "perturbations.png")


def _values(limits: Limits, kinds: Mapping[str, "pandas.DataFrame"]) -> dict[str, Any]:
    """Return the values in the text that cannot be taken directly from the measurements."""
    emotion, gender = limits.emotion, limits.gender
    errors = confusion_table(gender.scores).itertuples()
    return {
        "gender_accuracy": _percent(gender.scores.accuracy),
        "gender_errors": " and ".join(
            f"{_percent(row.share)} of those labelled {row.true} for {row.predicted}"
            for row in errors
        ),
        "emotion_errors": _percent(1 - emotion.scores.accuracy),
        "smaller_width": min(emotion.width, gender.width),
        "extremes": "\n".join(f"- {_extremes(kind, rows)}" for kind, rows in kinds.items()),
        "weak_emotions": _weak_emotions(emotion),
        **{f"{task}_surest": _surest_error(limits.levels, task) for task in TASKS},
        "noticeable": f"{100 * NOTICEABLE_DROP:g}",
        "smallest_class": SMALLEST_CLASS,
        "youngest": kinds["age"].group.iloc[0],
        "hurts_table": _hurts_table(limits.levels),
        "group_tables": "\n".join(
            _group_table(kind, rows, gender.faces.class_names) for kind, rows in kinds.items()
        ),
        "calibration_table": _calibration_table(emotion, gender),
        "recall_table": _recall_table(emotion),
        "level_tables": "\n".join(_level_section(limits.levels, one) for one in PERTURBATIONS),
        "method_table": _method_table(emotion, gender),
    }


def _extremes(kind: str, rows: "pandas.DataFrame") -> str:
    """Say which group fares worst and best, and whether chance may have made the difference."""
    each = rows[rows.group != EVERYBODY].sort_values("balanced_accuracy", kind="stable")
    worst, best = each.iloc[0], each.iloc[-1]
    verdict = (
        "The two intervals do not overlap: the model does not serve all groups equally well."
        if worst.high < best.low
        else "The two intervals overlap: with so few faces the difference may be chance, but "
        "equal quality is not shown either."
    )
    named = [f"{row.group}, {_share(row, 'balanced_accuracy')}" for row in (worst, best)]
    few = ", ".join(each.group[each.is_small])
    caution = f" Too few faces to judge by: {few}." if few else ""
    return f"Gender by {kind}: worst for {named[0]}, best for {named[1]}. {verdict}{caution}"


def _weak_emotions(emotion: Subject) -> str:
    weak = [row.name for row in emotion.scores.per_class if row.total and row.recall < 0.5]
    if not weak:
        return "Every emotion is recognized in at least half of its faces."
    taken = [f"{name} (most often taken for {_taken_for(emotion, name)[0]})" for name in weak]
    return f"Recognized in fewer than half of their faces: {'; '.join(taken)}."


def _taken_for(subject: Subject, name: str) -> list[str]:
    """Name the two classes that one is most often taken for, with their shares."""
    errors = confusion_table(subject.scores)
    errors = errors[(errors.true == name) & (errors.share > 0)]
    found = [f"{row.predicted}, {_percent(row.share)}" for row in errors.itertuples()]
    return [*found, "-", "-"][:2]


def _surest_error(levels: "pandas.DataFrame", task: str) -> str:
    """Say where a model is most overconfident; faces are turned upright."""
    rows = levels[(levels.task == task) & (levels.perturbation != ROTATION.name)]
    row = rows.loc[(rows.mean_probability - rows.accuracy).idxmax()]
    if row.mean_probability <= row.accuracy:
        return f"The {task} model is never more certain than it should be."
    name = next(one for one in PERTURBATIONS if one.name == row.perturbation).level_name(row.level)
    return (
        f"The {task} model is most overconfident at {row.perturbation} {name}: the mean "
        "probability of its answers is "
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


def _hurts_table(levels: "pandas.DataFrame") -> str:
    """Return a table of the levels from which on the accuracy has dropped noticeably."""

    def cell(one: Perturbation, task: str) -> str:
        rows = levels_of(levels, one.name, task)
        unchanged = levels_of(levels, PERTURBATIONS[0].name, task).accuracy.iloc[0]
        found = first_noticeable([unchanged, *rows.accuracy.iloc[1:]])
        if found is None:
            return f"not up to {one.level_name(rows.level.iloc[-1])}"
        before, after = _percent(unchanged), _percent(rows.accuracy.iloc[found])
        return f"{one.level_name(rows.level.iloc[found])}: {before} → {after}"

    rows = [(one.name, *(cell(one, task) for task in TASKS)) for one in PERTURBATIONS]
    return _table(("made harder by", *TASKS), rows)


def _group_table(kind: str, groups: "pandas.DataFrame", classes: Sequence[str]) -> str:
    header = (kind, "faces from", "faces", "balanced accuracy (95 % interval)")
    rows = (
        (row.label, row.split, row.faces, _share(row, "balanced_accuracy"))
        + tuple(f"{row[f'{name}_correct']} of {row[name]}" for name in classes)
        for _, row in groups.iterrows()
    )
    return _table((*header, *(f"{name}: recognized" for name in classes)), rows)


def _recall_table(emotion: Subject) -> str:
    header = ("emotion", "faces", "recognized (95 % interval)", "most often taken for", "then for")
    rows = (
        (row.emotion, row.faces, _share(row, "recall"), *_taken_for(emotion, row.emotion))
        for _, row in recall_table(emotion.scores).iterrows()
    )
    return _table(header, rows)


def _level_section(levels: "pandas.DataFrame", perturbation: Perturbation) -> str:
    cells = {
        (row.level, row.task): (
            _share(row, "accuracy"),
            f"{row.most_frequent_answer}, {_percent(row.its_share)}",
            _percent(row.mean_probability),
        )
        for _, row in levels[levels.perturbation == perturbation.name].iterrows()
    }
    rows = (
        [perturbation.level_name(level)]
        + [cell for task in TASKS for cell in cells.get((level, task), ("-", "-", "-"))]
        for level in sorted({level for level, _ in cells}, reverse=perturbation.is_size)
    )
    answers = ("most frequent answer", "mean probability")
    header = (perturbation.name, *(c for task in TASKS for c in (f"{task}: accuracy", *answers)))
    title = f"### {perturbation.name.capitalize()}\n\n{perturbation.description}\n\n"
    return title + _table(header, rows)


def _method_table(*subjects: Subject) -> str:
    header = ("model", "network", "trained on", "commit", "tested on", "checksum")
    rows = []
    for card, faces, split in ((one.card, one.faces, one.split) for one in subjects):
        network = f"{card.architecture}, {card.parameters:,} parameters"
        data = card.data.get("name", "not recorded")
        commit = card.versions.get("commit", "not recorded")
        rows.append((card.name, network, data, commit, f"{faces.name} {split}", faces.checksum))
    return _table(header, rows)


def _table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(map(str, line))} |\n" for line in lines)


def _share(row: Any, column: str) -> str:
    """Return a share with its interval, for a row with `low` and `high`."""
    return f"{_percent(row[column])} ({100 * row['low']:.1f} to {100 * row['high']:.1f})"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
