"""The pages' pictures: one panel each, so that a phone shows them below one another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from nnequiv import plot
from nnequiv.plot.summary import accuracy_dots, discrepancy_dots, name_rows, output_bars


def panel(draw, width: float = 4.6, height: float = 3.2) -> bytes:
    """A PNG of what ``draw(axes)`` draws.

    >>> panel(lambda ax: ax.plot([0.0, 1.0]), 2.0, 2.0)[:4]
    b'\\x89PNG'
    """
    ax = plot.panels(1, width=width, height=height)[0]
    draw(ax)
    return plot.png(ax.figure)


def demo_pictures(record: Mapping, before, after, medians: Sequence[float], image_shape: tuple[int, int]) -> dict:
    """The demo's panels, name → PNG.

    Parameters
    ----------
    record : the demo's
    before, after : (sets, 2) arrays
        ``[lower, upper]`` on each input set.
    medians : (rounds + 1,) sequence
        Of the upper bounds.
    image_shape : (height, width)
    """
    found, target = record["worst"], record["target"]
    names = ["f, original", "g, compressed", *record["controls"], "g, repaired"]
    controls = record["controls"].values()
    right = record["accuracy"]
    shares = [right["original"], right["compressed"], *(c["accuracy"] for c in controls), right["repaired"]]

    def gaps(key: str) -> list[float]:
        middle = [c[key]["upper"] for c in controls]
        return [np.nan, record[key]["before"]["upper"], *middle, record[key]["after"]["upper"]]

    def draw_gaps(ax) -> None:
        discrepancy_dots(ax, gaps("discrepancy"), gaps("heldout"), target)
        name_rows(ax, names, len(names) - 1)

    outputs = {name: np.array(values) for name, values in found["outputs"].items()}
    worst = [entry["upper"] for entry in record["history"]]
    return {
        "accuracy": panel(lambda ax: accuracy_dots(ax, names, shares, len(names) - 1)),
        "gaps": panel(draw_gaps, 5.2),
        "image": picture_of(found["image"], image_shape, found["free"]),
        "witness": picture_of(found["witness"], image_shape, found["free"]),
        "outputs": panel(lambda ax: output_bars(ax, outputs, found["output"])),
        "sets": panel(lambda ax: plot.discrepancy_distribution({"before": before, "after": after}, target, ax)),
        "rounds": panel(lambda ax: plot.repair_history(worst, medians, target, ax=ax)),
    }


def picture_of(values, shape: tuple[int, int], free: Sequence[int]) -> bytes:
    """An input as an image, its free pixels framed."""
    return panel(lambda ax: plot.image(values, shape, ax, free=free), 2.6, 2.6)
