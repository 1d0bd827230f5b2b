"""Repair in pictures: round by round, set by set, before and after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from nnequiv.plot.style import BLUE, CYCLE, GREY, ORANGE, plain, ready
from nnequiv.results import Discrepancy


def repair_history(
    worst: Sequence[float],
    median: Sequence[float],
    target: float | None = None,
    controls: Mapping[str, float] | None = None,
    ax: Axes | None = None,
    *,
    unit: str = "logit units",
    caption: str = "",
) -> Axes:
    """The discrepancy after each round of repair, and what training without witnesses reaches in as many steps.

    Parameters
    ----------
    worst, median : (rounds + 1,) sequences
        Over the input sets; round 0 is g as it came.
    target : float, optional
    controls : name → float, optional
        The worst discrepancy of each control: a line from edge to edge.
    """
    ax = ready(ax, caption, 5.6, 3.6)
    rounds = np.arange(len(worst))
    ax.plot(rounds, worst, "o-", color=ORANGE, markersize=4, label="worst set")
    ax.plot(rounds, median, "s-", color=BLUE, markersize=3.5, label="median set")
    if target is not None:
        ax.axhline(target, color=GREY, linewidth=1, linestyle="--", label=f"target {target:g}")
    for (name, value), style in zip((controls or {}).items(), ("-.", ":", (0, (5, 1, 1, 1, 1, 1))) * 3, strict=False):
        ax.axhline(value, color="black", linewidth=1, linestyle=style, label=f"control: {name} ({value:.3g})")
    ax.set_ylim(bottom=0)
    ax.set_xlabel("round", fontsize=9)
    ax.set_ylabel(f"max |f − g| ({unit})", fontsize=9)
    ax.set_xticks(rounds[:: max(1, len(rounds) // 6)])
    ax.legend(fontsize=8, frameon=False)
    plain(ax)
    return ax


def discrepancy_by_set(
    before: np.ndarray | Sequence[Discrepancy],
    after: np.ndarray | Sequence[Discrepancy],
    target: float | None = None,
    ax: Axes | None = None,
    *,
    unit: str = "logit units",
    caption: str = "",
) -> Axes:
    """The discrepancy interval of each input set before and after, sets ordered by what they were before.

    Parameters
    ----------
    before, after : (sets, 2) arrays ``[lower, upper]``, or answers
    """
    before, after = intervals(before), intervals(after)
    ax = ready(ax, caption, 7.0, 3.6)
    order = np.argsort(before[:, 1], kind="stable")
    place = np.arange(len(order))
    for values, color, marker, name in ((before, ORANGE, "o", "before"), (after, BLUE, "s", "after repair")):
        lower, upper = values[order].T
        ax.vlines(place, lower, upper, color=color, linewidth=1.2)
        ax.plot(place, upper, marker, color=color, markersize=3, label=f"{name} (worst {upper.max():.3g})")
    if target is not None:
        ax.axhline(target, color=GREY, linewidth=1, linestyle="--", label=f"target {target:g}")
    ax.set_ylim(0, 1.2 * max(before.max(), after.max(), target or 0.0))  # room for the legend
    ax.set_xlim(-1, len(order))
    ax.set_xlabel("input set, ordered by its discrepancy before", fontsize=9)
    ax.set_ylabel(f"max |f − g| on the set\n({unit})", fontsize=9)
    ax.legend(fontsize=8, frameon=False, loc="upper left", ncols=3)
    plain(ax)
    return ax


def discrepancy_distribution(
    groups: Mapping[str, np.ndarray | Sequence[Discrepancy]],
    target: float | None = None,
    ax: Axes | None = None,
    *,
    unit: str = "logit units",
    caption: str = "",
) -> Axes:
    """On what share of the input sets ``|f − g|`` is proved to be at most so much: one line a network.

    Parameters
    ----------
    groups : name → (sets, 2) array ``[lower, upper]``, or answers
        Such as before, after, and the controls.

    Examples
    --------
    >>> ax = discrepancy_distribution({"before": np.array([[1.0, 1.0], [3.0, 3.0]])})
    >>> ax.lines[0].get_xdata().tolist(), ax.lines[0].get_ydata().tolist()
    ([0.0, 1.0, 3.0], [0.0, 50.0, 100.0])
    """
    ax = ready(ax, caption, 5.6, 3.6)
    styles = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)))
    for (name, values), color, style in zip(groups.items(), CYCLE, styles, strict=False):
        upper = np.sort(intervals(values)[:, 1])
        share = 100 * np.arange(len(upper) + 1) / len(upper)
        ax.step(np.append(0.0, upper), share, where="post", color=color, linestyle=style, linewidth=1.6, label=name)
    if target is not None:
        ax.axvline(target, color=GREY, linewidth=1, linestyle="--", label=f"target {target:g}")
    ax.set_xlim(left=0)
    ax.set_ylim(0, 102)
    ax.set_xlabel(f"max |f − g| on the set ({unit})", fontsize=9)
    ax.set_ylabel("input sets with at most this (%)", fontsize=9)
    ax.legend(fontsize=8, framealpha=0.9, edgecolor="none", loc="lower right")
    plain(ax, "both")
    return ax


def intervals(values: np.ndarray | Sequence[Discrepancy]) -> np.ndarray:
    """``[lower, upper]`` a set, from answers or as they are."""
    if len(values) and isinstance(values[0], Discrepancy):
        values = [[value.lower, value.upper] for value in values]
    return np.asarray(values, dtype=float).reshape(-1, 2)
