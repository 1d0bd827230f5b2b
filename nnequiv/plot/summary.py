"""The figures of the demo's report: several axes each, made of plain numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from nnequiv.plot.repair import discrepancy_by_set, repair_history
from nnequiv.plot.style import BLUE, GREEN, GREY, ORANGE, blank, plain


def comparison_figure(
    names: Sequence[str], accuracies, sets, heldout, target: float, caption: str, highlight: int
) -> Figure:
    """Accuracy (left) and proved discrepancy (right) of every network, a row each.

    Parameters
    ----------
    names : n names, the original first
    accuracies : (n,) array
    sets, heldout : (n,) arrays
        Worst upper bound over the input sets, and over the held-out ones; NaN for the original.
    target : float
    highlight : int
        The row to print in bold.
    """
    figure = blank(8.2, 0.42 * len(names) + 1.6, "Accuracy, and how close to f each network is proved to be", caption)
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=[1, 1.5])
    accuracy_dots(left, names, accuracies, highlight)
    discrepancy_dots(right, sets, heldout, target)
    return figure


def accuracy_dots(ax: Axes, names: Sequence[str], accuracies, highlight: int) -> None:
    """The left half of :func:`comparison_figure`, which has the names of the rows."""
    rows = np.arange(len(names))
    ax.plot(accuracies, rows, "o", color=BLUE, markersize=7)
    ax.axvline(accuracies[0], color=GREY, linewidth=0.8, linestyle=":")
    for row, value in zip(rows, accuracies, strict=True):
        ax.annotate(
            f"{100 * value:.1f}", (value, row), xytext=(0, 6), textcoords="offset points", ha="center", fontsize=7
        )
    room = 1.05 - min(accuracies)
    ax.set_xlim(1.0 - room, 1.0 + 0.1 * room)
    ax.xaxis.set_major_formatter(lambda value, _: f"{100 * value:g}")
    ax.xaxis.get_major_locator().set_params(nbins=6, steps=[1, 2, 5, 10])
    ax.set_xlabel("accuracy on test images (%)", fontsize=9)
    name_rows(ax, names, highlight)
    plain(ax, "both")


def discrepancy_dots(ax: Axes, sets, heldout, target: float) -> None:
    """The right half of :func:`comparison_figure`."""
    rows = np.arange(len(sets))
    ax.plot(sets, rows, "o", color=ORANGE, markersize=7, label="input sets")
    ax.plot(heldout, rows, "D", color=GREEN, markersize=6, markerfacecolor="none", label="held-out sets")
    ax.axvline(target, color=GREY, linewidth=1, linestyle="--", label=f"target {target:g}")
    ax.set_xscale("log")
    ax.margins(x=0.08)
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.xaxis.set_minor_formatter(lambda value, _: f"{value:g}" if f"{value:e}"[0] in "25" else "")
    ax.tick_params(which="minor", labelsize=7)
    ax.set_xlabel("largest |f − g|, proved (logit units, log scale)", fontsize=9)
    ax.legend(fontsize=7.5, loc="upper right", frameon=True, framealpha=0.9, edgecolor="none")
    plain(ax, "both")


def name_rows(ax: Axes, names: Sequence[str], highlight: int) -> None:
    """A name a row, the first on top, one of them in bold."""
    ax.set_yticks(np.arange(len(names)), names, fontsize=9)
    ax.get_yticklabels()[highlight].set_fontweight("bold")
    ax.set_ylim(len(names) - 0.5, -0.6)


def discrepancy_figure(before: np.ndarray, after: np.ndarray, target: float, caption: str) -> Figure:
    """The discrepancy interval of each input set before and after repair, sets ordered by what they were before.

    Parameters
    ----------
    before, after : (sets, 2) arrays
        ``[lower, upper]``.
    """
    figure = blank(8.2, 3.8, "Discrepancy on every input set", caption)
    discrepancy_by_set(before, after, target, figure.subplots())
    return figure


def history_figure(
    rounds: np.ndarray, worst: np.ndarray, median: np.ndarray, loss, accuracy, target, caption
) -> Figure:
    """How repair went: discrepancy, loss and training accuracy after each round, all ``(rounds + 1,)`` arrays."""
    figure = blank(8.2, 3.4, "Repair, round by round", caption)
    first, second, third = figure.subplots(1, 3, width_ratios=[1.5, 1, 1])
    repair_history(worst, median, target, ax=first)
    second.plot(rounds, loss, "o-", color=GREEN, markersize=4)
    second.set_ylim(bottom=0)
    second.set_ylabel("mean loss of the round", fontsize=9)
    third.plot(rounds, 100 * np.asarray(accuracy), "o-", color=BLUE, markersize=4)
    third.set_ylabel("accuracy on training images (%)", fontsize=9)
    for axes in (second, third):
        axes.set_xlabel("round", fontsize=9)
        axes.set_xticks(rounds[:: max(1, len(rounds) // 6)])
        plain(axes)
    return figure


def witness_figure(
    center: np.ndarray, witness: np.ndarray, free: np.ndarray, outputs: dict[str, np.ndarray], output: int, caption: str
) -> Figure:
    """The input where f and g are farthest apart before repair, and what the networks say there.

    Parameters
    ----------
    center, witness : (height, width) arrays
        The image the input set lies around, and the witness; pixels in [0, 1].
    free : (k, 2) int array
        Rows and columns of the free pixels.
    outputs : name → (m,) array
        Outputs at the witness: f, g before, g after.
    output : int
        The output that is farthest.
    """
    figure = blank(8.2, 3.0, f"Where f and g were farthest apart (output {output})", caption)
    first, second, third = figure.subplots(1, 3, width_ratios=[1, 1, 2])
    for axes, image, title in (
        (first, center, "training image\n(white 0, black 1)"),
        (second, witness, "witness\n(framed pixels are free)"),
    ):
        axes.imshow(image, cmap="Greys", vmin=0, vmax=1, interpolation="nearest")
        axes.set_xlabel(title, fontsize=9)
        axes.set_xticks([])
        axes.set_yticks([])
        for row, column in free:
            axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor=ORANGE, linewidth=1.8))
    output_bars(third, outputs, output)
    return figure


def output_bars(ax: Axes, outputs: dict[str, np.ndarray], output: int | None, unit: str = "logit") -> None:
    """What up to three networks say at one point, side by side, ``name → (m,) array``; one output is shaded."""
    place = np.arange(len(next(iter(outputs.values()))))
    width = 0.8 / len(outputs)
    for k, ((name, values), color) in enumerate(zip(outputs.items(), (GREY, ORANGE, BLUE), strict=False)):
        ax.bar(place + (k - (len(outputs) - 1) / 2) * width, values, width, color=color, label=name)
    if output is not None:
        ax.axvspan(output - 0.5, output + 0.5, color="#f2f2f2", zorder=0)
    ax.axhline(0, color="black", linewidth=0.6)
    ax.set_xticks(place)
    ax.set_xlabel("class" if unit == "logit" else "output", fontsize=9)
    ax.set_ylabel(f"output at the witness ({unit})", fontsize=9)
    ax.legend(fontsize=8, frameon=False)
    plain(ax)
