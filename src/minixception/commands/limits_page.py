"""The page about the limits of the models: what was measured, and in plain words what follows.

Every figure on it comes from the report; a sentence that draws a conclusion is chosen by it.
"""

from collections.abc import Iterable, Mapping, Sequence

from minixception.commands.limits_report import (
    CONFUSIONS_PICTURE,
    CONFUSIONS_TABLE,
    EXAMPLES_PICTURE,
    GROUPS_PICTURE,
    GROUPS_TABLE,
    LEVELS_PICTURE,
    LEVELS_TABLE,
    RECALL_TABLE,
    LimitsReport,
    Subject,
)
from minixception.evaluation import ClassScores, Scores, wilson_interval
from minixception.limits import (
    EVERYBODY,
    NOTICEABLE_DROP,
    SMALLEST_CLASS,
    GroupScores,
    LevelScores,
    confusions,
    first_noticeable,
)
from minixception.perturbations import FULL_WELL, PERTURBATIONS, READ_NOISE, Perturbation

Groups = Mapping[str, Sequence[GroupScores]]

_PROHIBITED = """\
## What the models must not be used for

A label says what a face seems to show to the people who labelled the data, not what somebody feels
or is. Do not use these models

- to decide or advise about people: hiring, schooling, credit, insurance, policing, borders, courts,
  health, lie detection. At work and in education the European Union forbids systems that infer
  emotions, but for medical or safety reasons (Regulation 2024/1689, article 5);
- to watch, single out or identify people, or on anybody who has not agreed to it;
- to address, admit, count or describe people by gender: the model knows two looks, as annotators
  saw them, and for people who fit neither both answers are wrong;
- on children, as far as gender goes: the youngest faces that it was tried on here are of the ages
  {youngest};
- to compare groups of people: its errors differ between groups, and so do those of the labels.

They are for teaching, for demonstrations among people who agree, and for comparing networks.
"""


def format_page(report: LimitsReport, groups: Groups, *, folder: str) -> str:
    """Return the page as Markdown.

    Args:
        report: what was measured.
        groups: the rows to show of each kind of groups, the last of each for all faces.
        folder: where tables and pictures lie, seen from the page.
    """
    sections = [
        "# Limits of the models\n\nWritten by `minixception report-limits`; do not edit it, run "
        "the command again.\n",
        "## What follows\n\n" + _lines(f"- {text}" for text in _conclusions(report, groups)),
        _hurts_table(report),
        _PROHIBITED.format(youngest=groups["age"][0].group),
        _gender_section(report, groups, folder),
        _emotion_section(report, folder),
        _perturbation_section(report, folder),
        _method_section(report),
    ]
    return "\n".join(sections)


def _conclusions(report: LimitsReport, groups: Groups) -> list[str]:
    gender, emotion = report.gender.scores, report.emotion.scores
    errors = " and ".join(
        f"{_percent(one.share)} of those labelled {one.true} for {one.predicted}"
        for one in confusions(gender)
    )
    weak = [row for row in emotion.per_class if row.total and row.recall < 0.5]
    names = "; ".join(f"{row.name} (as {_taken_for(emotion, row)[0]})" for row in weak)
    return [
        f"Of {gender.n} held-out faces the gender model labels {_percent(gender.accuracy)} as the "
        f"annotators did. It takes {errors}.",
        *(_extremes(kind, rows) for kind, rows in groups.items()),
        f"The emotion model gives {_percent(1 - emotion.accuracy)} of the faces another emotion "
        "than their label. One picture of one face proves nothing.",
        "Recognized in less than half of the cases, and what they are most often taken for: "
        f"{names}."
        if weak
        else "Every emotion is recognized in at least half of the cases.",
        *(
            _surest_error([row for row in report.levels if row.task == task])
            for task in ("emotion", "gender")
        ),
        "Whether emotions are recognized equally well in women and men, at all ages and of all "
        "origins has not been measured: FER2013 does not tell who is shown. Nothing here says "
        "that they are.",
    ]


def _extremes(kind: str, rows: Sequence[GroupScores]) -> str:
    """Say which group fares worst and best, and whether chance may have made the difference."""
    each = sorted(
        (row for row in rows if row.group != EVERYBODY), key=lambda r: r.scores.balanced_accuracy
    )
    worst, best = each[0], each[-1]
    if len(each) < 2:
        return f"By {kind} there is one group only: {worst.group}."
    apart = worst.interval[1] < best.interval[0]
    verdict = (
        "The two intervals lie apart: the model does not serve all groups alike."
        if apart
        else "The two intervals overlap: with so few faces this may be chance, and equal quality "
        "is not shown either."
    )
    few = [row.group for row in each if row.is_small]
    caution = f" Too few faces to judge by: {', '.join(few)}." if few else ""
    return (
        f"Gender by {kind}: worst for {_named(worst)}, best for {_named(best)}. {verdict}{caution}"
    )


def _named(row: GroupScores) -> str:
    return f"{row.group}, {_with_interval(row.scores.balanced_accuracy, row.interval)}"


def _surest_error(levels: Sequence[LevelScores]) -> str:
    """Say where a model is surer than right by the most."""
    row = max(levels, key=lambda one: one.confidence - one.scores.accuracy)
    if row.confidence <= row.scores.accuracy:
        return f"The {row.task} model is nowhere surer than it is right."
    return (
        f"The {row.task} model does not tell when a face is beyond it: at {row.perturbation} "
        f"{_level_name(row)} it gives its answers a mean probability of "
        f"{_percent(row.confidence)}, and {_percent(row.scores.accuracy)} are right."
    )


def _hurts_table(report: LimitsReport) -> str:
    """Return a table of the levels from which on the accuracy has dropped noticeably."""

    def cell(perturbation: Perturbation, task: str) -> str:
        levels = report.levels_of(perturbation.name, task)
        found = first_noticeable(levels)
        if found is None:
            return f"not up to {_level_name(levels[-1])}"
        before, after = levels[0].scores.accuracy, found.scores.accuracy
        return f"{_level_name(found)}: {_percent(before)} → {_percent(after)}"

    rows = [(one.name, cell(one, "emotion"), cell(one, "gender")) for one in PERTURBATIONS]
    return (
        f"From here on the accuracy is at least {100 * NOTICEABLE_DROP:g} points lower than on the "
        "faces as they are:\n\n" + _table(("made worse", "emotion", "gender"), rows)
    )


def _gender_section(report: LimitsReport, groups: Groups, folder: str) -> str:
    parts = [
        "## Gender by age and ethnicity code\n",
        f"{report.gender.dataset}, faces that the model was not trained on. Groups with fewer than "
        f"{SMALLEST_CLASS} women or men in the test split are shown with the validation faces "
        "taken in, on which the epoch was chosen (a slight advantage), and marked * where they "
        "are still so small. Both selections of all groups are in "
        f"[{GROUPS_TABLE}]({folder}/{GROUPS_TABLE}). Balanced accuracy is the mean of the shares "
        "of women and of men recognized.\n",
        f"![Balanced accuracy by group]({folder}/{GROUPS_PICTURE})\n",
    ]
    classes = [row.name for row in report.gender.scores.per_class]
    recognized = [f"{name}: recognized" for name in classes]
    for kind, rows in groups.items():
        header = (kind, "faces from", "faces", "balanced accuracy (95 % interval)", *recognized)
        parts.append(_table(header, [_group_cells(row) for row in rows]))
    parts.append(
        "Ages and ethnicity codes are those in the file names of the set: estimated by a program "
        "and checked by people, not told by those shown. Five codes for all of mankind are "
        "coarse, and the pictures are what the web had to offer.\n"
    )
    return "\n".join(parts)


def _group_cells(row: GroupScores) -> tuple[str, ...]:
    return (
        f"{row.group}{' *' if row.is_small else ''}",
        row.split,
        str(row.scores.n),
        _with_interval(row.scores.balanced_accuracy, row.interval),
        *(f"{one.correct} of {one.total}" for one in row.scores.per_class),
    )


def _emotion_section(report: LimitsReport, folder: str) -> str:
    scores = report.emotion.scores
    rows = []
    for row in scores.per_class:
        interval = wilson_interval(row.correct, row.total) if row.total else (0.0, 1.0)
        recall = _with_interval(row.recall, interval)
        rows.append((row.name, str(row.total), recall, *_taken_for(scores, row)))
    header = ("emotion", "faces", "recognized (95 % interval)", "most often taken for", "then for")
    return "\n".join(
        [
            "## Emotions and their confusions\n",
            f"{report.emotion.dataset} {report.emotion.split}, {scores.n} faces; {report.twins} of "
            "them have a pixel-identical twin among the training faces and are left in, as in the "
            "scores of the model card. Figures: "
            f"[{RECALL_TABLE}]({folder}/{RECALL_TABLE}), "
            f"[{CONFUSIONS_TABLE}]({folder}/{CONFUSIONS_TABLE}).\n",
            _table(header, rows),
            f"![Confusion matrix]({folder}/{CONFUSIONS_PICTURE})\n",
        ]
    )


def _taken_for(scores: Scores, row: ClassScores) -> tuple[str, str]:
    """Name the two classes that one is most often taken for, with their shares."""
    found = [one for one in confusions(scores) if one.true == row.name and one.count][:2]
    names = [f"{one.predicted}, {_percent(one.share)}" for one in found]
    first, second = (*names, "-", "-")[:2]
    return first, second


def _perturbation_section(report: LimitsReport, folder: str) -> str:
    emotion, gender = report.emotion, report.gender
    parts = [
        "## Small, blurred, dark and turned faces\n",
        f"Accuracy on {emotion.scores.n} faces of {emotion.dataset} {emotion.split} "
        f"({emotion.width} px wide) and {gender.scores.n} of {gender.dataset} {gender.split} "
        f"({gender.width} px wide), changed as described and then prepared as the card of each "
        f"model says. Sizes above {min(emotion.width, gender.width)} px exist for one of the sets "
        "only. Beside it stand the answer given most often, as a model at its end gives the same "
        "one to all, and the mean probability that the model gives to its answers: where it is "
        "above the accuracy, the model is surer than it is right. The faces are cut out already: "
        "what a detector no longer finds comes on top. Figures: "
        f"[{LEVELS_TABLE}]({folder}/{LEVELS_TABLE}).\n",
        f"![Accuracy by strength]({folder}/{LEVELS_PICTURE})\n",
    ]
    if report.has_example:
        parts.append(f"![The same face at each level]({folder}/{EXAMPLES_PICTURE})\n")
    answers = ("answered most often", "mean probability")
    header = ("emotion: accuracy", *answers, "gender: accuracy", *answers)
    for one in PERTURBATIONS:
        rows = _level_rows(report, one)
        parts += [f"### {one.name.capitalize()}\n", f"{_DESCRIPTIONS[one.name]}\n"]
        parts.append(_table((one.name, *header), rows))
    return "\n".join(parts)


_DESCRIPTIONS = {
    "size": "The face is scaled down to this width (mean over the area), and up again by the "
    "preprocessor where the network takes more.",
    "blur": "A Gaussian; its standard deviation is given as a share of the face's width.",
    "darkness": "Each stop halves the light that reaches the camera, which neither exposes longer "
    "nor brightens the picture. Noise is added as a sensor would have it: shot noise and read "
    f"noise (EMVA standard 1288), with {FULL_WELL:g} electrons at white and {READ_NOISE:g} "
    "electrons of read noise, assumed values of the order of small sensors.",
    "rotation": "In the plane of the picture, to either side by chance, about the middle; the "
    "border is repeated into the corners.",
}


def _level_rows(report: LimitsReport, perturbation: Perturbation) -> list[tuple[str, ...]]:
    columns = [
        {row.level: row for row in report.levels_of(perturbation.name, task)}
        for task in ("emotion", "gender")
    ]
    levels = sorted({level for column in columns for level in column})
    if perturbation.is_size:
        levels.reverse()
    rows = []
    for level in levels:
        cells: list[str] = []
        for column in columns:
            cells += _level_cells(column[level]) if level in column else ("-", "-", "-")
        rows.append((perturbation.level_name(level), *cells))
    return rows


def _level_cells(row: LevelScores) -> tuple[str, str, str]:
    accuracy = _with_interval(row.scores.accuracy, row.scores.accuracy_interval)
    return accuracy, f"{row.answer}, {_percent(row.answer_share)}", _percent(row.confidence)


def _level_name(row: LevelScores) -> str:
    perturbation = next(one for one in PERTURBATIONS if one.name == row.perturbation)
    return perturbation.level_name(row.level)


def _method_section(report: LimitsReport) -> str:
    subjects = [_subject_cells(one) for one in (report.emotion, report.gender)]
    header = ("model", "network", "trained on", "commit", "tried on", "checksum")
    return "\n".join(
        [
            "## How it was measured\n",
            f"    {report.command}\n",
            f"Seed {report.seed}, commit {report.commit or 'unknown'}, LiteRT, single view.\n",
            _table(header, subjects),
            "Intervals: Wilson's for shares; for balanced accuracy those of its shares are "
            "combined by their squares (Zou and Donner 2008). They say what another draw of as "
            "many faces of the same kind might give, not what other kinds of pictures would. "
            "Among many groups the worst and the best differ by chance more than any two chosen "
            "beforehand. One person may be on both sides of the split of UTKFace, which does not "
            "tell who is shown. UTKFace starts here from frames of "
            f"{report.gender.width} pixels, so that they can be made smaller; `evaluate` takes the "
            "loader's smaller ones and may differ by a few faces.\n",
        ]
    )


def _subject_cells(subject: Subject) -> tuple[str, ...]:
    card = subject.card
    return (
        card.name,
        f"{card.architecture}, {card.parameters:,} parameters",
        str(card.data.get("name", "not recorded")),
        str(card.versions.get("commit", "not recorded")),
        f"{subject.dataset} {subject.split}",
        subject.checksum,
    )


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return _lines(f"| {' | '.join(line)} |" for line in lines)


def _lines(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _with_interval(share: float, interval: tuple[float, float]) -> str:
    low, high = interval
    return f"{_percent(share)} ({100 * low:.1f} to {100 * high:.1f})"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
