"""Pictures of the page of limits: shares of groups, shares by strength, examples."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from minixception.drawing.plots import LINE_COLOURS, lighten, new_figure, write_figure


def plot_intervals(
    panels: Mapping[str, Mapping[str, tuple[float, float, float]]],
    path: str | os.PathLike[str],
    *,
    label: str,
) -> None:
    """Draw shares with their intervals, a line per group and a panel per kind of groups.

    `panels` maps a title to group name to (share, lower bound, upper bound), at least one of
    each. The last group of a panel is all faces: a dotted line goes through all groups at its
    share.
    """
    longest = max(map(len, panels.values()))
    figure = new_figure(width=5.0 * len(panels), height=1.2 + 0.36 * longest)
    grid = figure.subplots(1, len(panels), sharex=True, squeeze=False)[0]
    for axes, (title, groups) in zip(grid, panels.items(), strict=True):
        table = 100 * np.array(list(groups.values()), float)
        shares, rows = table[:, 0], np.arange(len(table))
        spread = np.abs(table[:, 1:] - table[:, :1]).T
        axes.errorbar(shares, rows, xerr=spread, fmt="o", color=LINE_COLOURS[0], capsize=3)
        axes.axvline(shares[-1], color=LINE_COLOURS[0], linewidth=0.8, linestyle=":")
        axes.set_yticks(rows, list(groups))
        axes.invert_yaxis()
        axes.set_title(title)
        axes.set_xlabel(label)
        lighten(axes)
    write_figure(figure, path)


def plot_levels(
    panels: Mapping[str, Mapping[str, np.ndarray]],
    path: str | os.PathLike[str],
    *,
    label: str,
    descending: Sequence[str] = (),
) -> None:
    """Draw how shares change with the strength of something, two panels side by side.

    Args:
        panels: label of the strength to name of a line to (N, 4): strength, share, lower and upper
            bound of its interval.
        path: the picture to write.
        label: what is shared.
        descending: the panels where less is harder: their axis is logarithmic, and turned round so
            that it gets harder to the right everywhere.
    """
    rows = -(-len(panels) // 2)
    figure = new_figure(width=10.0, height=3.4 * rows)
    grid = figure.subplots(rows, 2, sharey=True, squeeze=False).ravel()
    for axes, (title, lines) in zip(grid, panels.items(), strict=False):
        for (name, table), colour in zip(lines.items(), LINE_COLOURS, strict=False):
            strength, share, low, high = np.asarray(table, float).T
            axes.plot(strength, 100 * share, "o-", color=colour, markersize=4, label=name)
            axes.fill_between(strength, 100 * low, 100 * high, color=colour, alpha=0.2, linewidth=0)
        axes.set_xlabel(title)
        if title in descending:
            _turn_round(axes, sorted({level for table in lines.values() for level in table[:, 0]}))
        lighten(axes)
    for axes in grid[len(panels) :]:
        axes.set_visible(False)
    for axes in grid[::2]:
        axes.set_ylabel(label)
    grid[0].set_ylim(0, 100)
    grid[0].legend(frameon=False, loc="lower left")
    write_figure(figure, path)


def plot_tiles(rows: Sequence[Mapping[str, np.ndarray]], path: str | os.PathLike[str]) -> None:
    """Draw rows of small images, uint8 (H, W, 1 or 3), with names, all of one size on paper."""
    columns = max(map(len, rows))
    figure = new_figure(width=1.3 * columns, height=1.55 * len(rows))
    grid = figure.subplots(len(rows), columns, squeeze=False)
    for axes in grid.ravel():
        axes.set_axis_off()
    for line, tiles in zip(grid, rows, strict=True):
        for axes, (name, image) in zip(line, tiles.items(), strict=False):
            axes.imshow(image, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
            axes.set_title(name, fontsize=8)
    write_figure(figure, path)


def _turn_round(axes: Any, levels: Sequence[float]) -> None:
    axes.set_xscale("log")
    axes.set_xticks(levels, [f"{level:g}" for level in levels])
    axes.minorticks_off()
    axes.invert_xaxis()
