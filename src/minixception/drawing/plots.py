"""Pictures of training runs, scores and videos, with matplotlib's object interface.

matplotlib is imported by the functions: nothing else in the package needs it, and importing it
takes longer than loading a model.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import TYPE_CHECKING, Any
from warnings import catch_warnings, filterwarnings

import numpy as np

from minixception.drawing.fonts import warn_of_lacking
from minixception.images import write_image
from minixception.messages import require

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DOTS_PER_INCH = 150
TRAINING_COLOUR = "#0072B2"
VALIDATION_COLOUR = "#D55E00"
# Okabe and Ito 2008, told apart by the colour-blind too; the light yellow is left out.
LINE_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
# Letters that fit below the curves of several runs, side by side.
_LEGEND_LETTERS = 120
# Of a class name beside the cells of a confusion matrix; longer ones take up to three lines.
_LETTERS_IN_LINE = 16


def plot_history(history: Mapping[str, Sequence[float]], path: str | os.PathLike[str]) -> None:
    """Draw loss and accuracy of a training run, with the best validation epoch of each marked.

    `history` maps a metric to one value per epoch, at least one, as in Keras: `loss` and, where
    measured, `val_loss`, `accuracy` and `val_accuracy`. Other metrics are left out.
    """
    metrics = [metric for metric in ("loss", "accuracy") if metric in history]
    figure = new_figure(width=5.0 * len(metrics), height=4.0)
    for number, metric in enumerate(metrics, start=1):
        axes = figure.add_subplot(1, len(metrics), number)
        _plot_metric(axes, history, metric)
    write_figure(figure, path)


def _plot_metric(axes: Any, history: Mapping[str, Sequence[float]], metric: str) -> None:
    _plot_values(axes, history[metric], color=TRAINING_COLOUR, label="training")
    validation = np.asarray(history.get(f"val_{metric}", []), dtype=float)
    if np.isfinite(validation).any():
        _plot_values(axes, validation, color=VALIDATION_COLOUR, label="validation")
        best = int(np.nanargmin(validation) if metric == "loss" else np.nanargmax(validation))
        label = f"best: {validation[best]:.3f}, epoch {best + 1}"
        axes.plot(best + 1, validation[best], "o", color=VALIDATION_COLOUR, label=label)
        axes.axvline(best + 1, color=VALIDATION_COLOUR, linewidth=0.8, linestyle=":")
    _finish_axes(axes, metric)
    axes.legend(framealpha=0.9, edgecolor="none")


def _plot_values(axes: Any, values: Sequence[float] | np.ndarray, **style: Any) -> None:
    """Draw a value per epoch; a single one is a point, which a line alone would not show."""
    marker = "o" if len(values) == 1 else None
    axes.plot(np.arange(1, len(values) + 1), np.asarray(values, float), marker=marker, **style)


def _finish_axes(axes: Any, metric: str) -> None:
    axes.set_xlabel("epoch")
    axes.set_ylabel(metric)
    axes.xaxis.get_major_locator().set_params(integer=True)
    lighten(axes)


def plot_runs(
    histories: Mapping[str, Mapping[str, Sequence[float]]], path: str | os.PathLike[str]
) -> None:
    """Draw loss and accuracy of several training runs, a colour per run.

    Lines of the training set are thin and dashed, those of the validation set are solid.
    `histories` lead from the text of the legend to a history as for `plot_history`.
    """
    figure = new_figure(width=11.0, height=4.5)
    for number, metric in enumerate(("loss", "accuracy"), start=1):
        axes = figure.add_subplot(1, 2, number)
        for run, (label, history) in enumerate(histories.items()):
            colour = LINE_COLOURS[run % len(LINE_COLOURS)]
            training, validation = history.get(metric, []), history.get(f"val_{metric}", [])
            _plot_values(axes, training, color=colour, linestyle="--", linewidth=1.0)
            # A legend leaves out what begins with an underscore.
            shown = " " * label.startswith("_") + label
            _plot_values(axes, validation, color=colour, linewidth=1.8, label=shown)
        _finish_axes(axes, metric)
    _add_run_legend(figure, axes)
    write_figure(figure, path)


def _add_run_legend(figure: Figure, axes: Any) -> None:
    from matplotlib.lines import Line2D

    handles, labels = axes.get_legend_handles_labels()
    handles += [Line2D([], [], color="grey", linestyle=style) for style in ("--", "-")]
    labels += ["training", "validation"]
    fitting = _LEGEND_LETTERS // (max(map(len, labels)) + 8)
    columns = max(1, min(len(labels), fitting))
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, frameon=False)


def plot_confusion_matrix(
    matrix: np.ndarray,
    class_names: Sequence[str],
    path: str | os.PathLike[str],
    *,
    title: str = "",
) -> None:
    """Draw a confusion matrix: counts, and colours and percentages relative to each row.

    `matrix` holds counts (N, N), a row per true class and a column per predicted one, in the order
    of the N names.

    Raises:
        ValueError: if the matrix is not square, has negative counts or does not fit the names.
    """
    matrix = np.asarray(matrix)
    count = len(class_names)
    if matrix.shape != (count, count) or count == 0 or (matrix < 0).any():
        raise ValueError(
            f"`matrix` must hold counts of the shape ({count}, {count}), as there are {count} "
            f"names. Received: shape={matrix.shape}, minimum={matrix.min(initial=0)}"
        )
    # A class without images has a row of zeros: dividing by 1 keeps it so.
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    figure = new_figure(width=2.2 + 0.85 * count, height=1.6 + 0.75 * count)
    axes = figure.add_subplot(1, 1, 1)
    axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0, aspect="auto")
    lines = [fill(name, _LETTERS_IN_LINE, max_lines=3, placeholder=" …") for name in class_names]
    axes.set_xticks(range(count), lines, rotation=30, ha="right")
    axes.set_yticks(range(count), lines)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    figure.suptitle(title, wrap=True, fontsize="large")  # wider than the cells of two classes
    axes.spines[:].set_visible(False)
    _write_cells(axes, matrix, shares)
    write_figure(figure, path)


def _write_cells(axes: Any, matrix: np.ndarray, shares: np.ndarray) -> None:
    for (row, column), share in np.ndenumerate(shares):
        # Above 0.55 the blue is too dark for black letters.
        colour = "white" if share > 0.55 else "black"
        text = f"{100 * share:.0f} %\n{matrix[row, column]:g}"
        axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=9)


def plot_timeline(
    tracks: Mapping[str, tuple[np.ndarray, np.ndarray]],
    class_names: Sequence[str],
    path: str | os.PathLike[str],
    *,
    frame_times: np.ndarray,
    colours: Sequence[tuple[int, int, int]],
) -> None:
    """Draw the emotions of each face over time, their probabilities stacked to 1.

    The film is shown whole; a face that is out of sight leaves a gap. `tracks` maps the title of a
    panel to times in seconds (N,) and probabilities (N, K); the times are among those of the film,
    `frame_times` (F,); `colours` are RGB from 0 to 255, one per class.
    """
    figure = new_figure(width=10.0, height=1.2 + 1.5 * max(len(tracks), 1))
    grid = figure.subplots(max(len(tracks), 1), 1, sharex=True, squeeze=False)[:, 0]
    shades = [tuple(part / 255 for part in colour) for colour in colours]
    step = float(np.median(np.diff(frame_times))) if len(frame_times) > 1 else 0.1
    places = np.append(frame_times, frame_times[-1:] + step)  # also where the last frame ends
    for axes, (title, (times, scores)) in zip(grid, tracks.items(), strict=False):
        times, scores = _with_gaps(times, np.asarray(scores, float), places)
        axes.stackplot(times, scores.T, colors=shades, labels=class_names, step="post")
        axes.set_ylabel(title)
    for axes in grid:
        axes.set(xlim=(places[0], places[-1]) if len(places) else None, ylim=(0.0, 1.0))
        axes.spines[["top", "right"]].set_visible(False)
    if tracks:
        handles, labels = grid[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside right upper", frameon=False)
    else:
        grid[0].text(0.5, 0.5, "no face", ha="center", transform=grid[0].transAxes)
    grid[-1].set_xlabel("seconds")
    write_figure(figure, path)


def _with_gaps(
    times: np.ndarray, scores: np.ndarray, places: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the points of a step plot: long series averaged, each stretch closed at its end."""
    frames = np.searchsorted(places, times)
    stretches = np.split(np.arange(len(times)), np.flatnonzero(np.diff(frames) > 3) + 1)
    # A picture 1500 pixels wide shows no more, and matplotlib fails at very long outlines.
    length = -(-len(times) // 2000)
    points: list[np.ndarray] = []
    for stretch in stretches:
        groups = [stretch[start : start + length] for start in range(0, len(stretch), length)]
        points += [np.append(times[group[0]], scores[group].mean(axis=0)) for group in groups]
        end = places[frames[stretch[-1]] + 1]
        points += [np.append(end, points[-1][1:]), np.full(1 + scores.shape[1], np.nan)]
        points[-1][0] = end
    table = np.array(points)
    return table[:, 0], table[:, 1:]


def lighten(axes: Any) -> None:
    """Give axes a faint grid and no frame at the top and on the right."""
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of this size in inches."""
    require("matplotlib")
    # Not pyplot, which keeps every figure in a global list and may want a screen.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DOTS_PER_INCH, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def write_figure(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Draw a figure and write it as a picture, see `images.write_image`."""
    from matplotlib.text import Text

    texts = figure.findobj(Text)
    for text in texts:
        text.set_parse_math(False)  # names of files and classes may have dollar signs
    warn_of_lacking("".join(text.get_text() for text in texts))
    canvas: Any = figure.canvas
    with catch_warnings():
        filterwarnings("ignore", "Glyph")  # matplotlib's words for the same, one per letter
        canvas.draw()
    write_image(path, np.asarray(canvas.buffer_rgba()))
