"""Pictures on the page about limits: shares of groups, shares by strength, examples."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from minixception.drawing.plots import LINE_COLOURS, lighten, new_figure, write_figure
from minixception.limits.measurements import TASKS, levels_of
from minixception.limits.perturbations import PERTURBATIONS, perturb

if TYPE_CHECKING:
    import pandas


def plot_groups(kinds: Mapping[str, "pandas.DataFrame"], path: Path) -> None:
    """Draw the balanced accuracy of each group with its interval, a panel per kind of group.

    A kind has the columns of `choose_rows`. A dotted line marks its last row, all faces.
    """
    longest = max(map(len, kinds.values()))
    figure = new_figure(width=5.0 * len(kinds), height=1.2 + 0.36 * longest)
    grid = figure.subplots(1, len(kinds), sharex=True, squeeze=False)[0]
    for axes, (kind, groups) in zip(grid, kinds.items(), strict=True):
        shares = 100 * groups.balanced_accuracy.to_numpy()
        spread = np.abs(100 * groups[["low", "high"]].to_numpy().T - shares)
        rows = np.arange(len(groups))
        axes.errorbar(shares, rows, xerr=spread, fmt="o", color=LINE_COLOURS[0], capsize=3)
        axes.axvline(shares[-1], color=LINE_COLOURS[0], linewidth=0.8, linestyle=":")
        axes.set_yticks(rows, list(groups.label))
        axes.invert_yaxis()
        axes.set_title(f"by {kind}")
        axes.set_xlabel("gender: balanced accuracy in %, 95 % interval")
        lighten(axes)
    write_figure(figure, path)


def plot_levels(levels: "pandas.DataFrame", path: Path) -> None:
    """Draw the accuracy by level, a panel per perturbation, harder to the right.

    `levels` has the columns of `score_levels`.
    """
    figure = new_figure(width=14.0, height=6.8)
    grid = figure.subplots(2, -(-len(PERTURBATIONS) // 2), sharey=True)
    for axes in grid.ravel()[len(PERTURBATIONS) :]:
        axes.set_axis_off()
    for axes, one in zip(grid.ravel(), PERTURBATIONS, strict=False):
        for task, colour in zip(TASKS, LINE_COLOURS, strict=False):
            rows = levels_of(levels, one.name, task)
            strength = rows.level.to_numpy(float)
            axes.plot(strength, 100 * rows.accuracy, "o-", color=colour, markersize=4, label=task)
            axes.fill_between(
                strength, 100 * rows.low, 100 * rows.high, color=colour, alpha=0.2, linewidth=0
            )
        axes.set_xlabel(f"{one.name}: {one.unit}")
        if one.is_size:
            widths = sorted(set(levels.level[levels.perturbation == one.name]))
            axes.set_xscale("log")
            axes.set_xticks(widths, [f"{width:g}" for width in widths])
            axes.minorticks_off()
            axes.invert_xaxis()
        lighten(axes)
    for axes in grid[:, 0]:
        axes.set_ylabel("accuracy in %, 95 % interval")
    grid[0, 0].set_ylim(0, 100)
    grid[0, 0].legend(frameon=False, loc="lower left")
    write_figure(figure, path)


def plot_example(face: NDArray[np.uint8], path: Path, *, seed: int) -> None:
    """Draw a face, uint8 (H, W, C), at each level of each perturbation, in one size on paper."""
    levels = [one.levels_for(face.shape[1]) for one in PERTURBATIONS]
    columns = max(map(len, levels))
    figure = new_figure(width=1.3 * columns, height=1.55 * len(levels))
    grid = figure.subplots(len(levels), columns, squeeze=False)
    for axes in figure.axes:
        axes.set_axis_off()
    for row, one, strengths in zip(grid, PERTURBATIONS, levels, strict=True):
        for axes, level in zip(row, strengths, strict=False):
            image = perturb(face[np.newaxis], one, level, seed=seed)[0]
            axes.imshow(image, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
            axes.set_title(one.level_name(level), fontsize=8)
    write_figure(figure, path)
