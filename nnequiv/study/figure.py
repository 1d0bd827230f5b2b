"""A study in a picture: a row of axes for each thing that varies; accuracy, and discrepancy on both kinds of sets."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from nnequiv.plot.style import CYCLE, blank, plain
from nnequiv.study.cells import Row
from nnequiv.study.settings import METHODS
from nnequiv.study.statistics import groups, places, spread

MARKERS = "osD^vP"
PANELS = (
    ("accuracy", "accuracy (%)", 100),
    ("delta_upper", "δ, input sets", 1),
    ("heldout_upper", "δ, held-out sets", 1),
)


def study_figure(title: str, rows: Sequence[Row], caption: str) -> Figure:
    """Means as lines, ranges over seeds as bars. A method with one setting on an axis of several is a dashed line."""
    names = groups(rows)
    figure = blank(8.6, 2.7 * len(names) + 0.9, title, caption)
    axes = figure.subplots(len(names), len(PANELS), squeeze=False, sharey="col")
    for line, group in zip(axes, names, strict=True):
        for ax, (column, label, factor) in zip(line, PANELS, strict=True):
            _panel(ax, rows, group, column, factor)
            ax.set_title(label, fontsize=10)
        line[1].set_xlabel(group, fontsize=10)
    figure.legend(
        *axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=3, fontsize=9, frameon=False
    )
    return figure


def _panel(ax, rows: Sequence[Row], group: str, column: str, factor: float) -> None:
    values = places(rows, group)
    ticks = np.arange(len(values))
    for number, method in enumerate(METHODS):
        found = [spread(rows, group, value, method, column) for value in values]
        known = [k for k, cell in enumerate(found) if cell is not None]
        if not known:
            continue
        mean, least, most = factor * np.array([(c.mean, c.least, c.most) for c in (found[k] for k in known)]).T
        style = dict(color=CYCLE[number], label=method, linewidth=1.4)
        if len(known) == 1 < len(values):
            ax.axhline(mean[0], linestyle="--", **style)
            continue
        shifted = ticks[known] + 0.07 * (number - 2.5)
        bars = [np.maximum(mean - least, 0.0), np.maximum(most - mean, 0.0)]
        ax.errorbar(shifted, mean, bars, marker=MARKERS[number], markersize=4, elinewidth=0.9, **style)
    ax.set_xticks(ticks, [f"{value:g}" for value in values])
    if factor == 1:
        ax.set_yscale("log")
        ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        ax.yaxis.set_minor_formatter(NullFormatter())
    plain(ax)
    ax.tick_params(labelsize=9)
