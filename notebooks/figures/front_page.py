"""Draws the figure of the README: ``nnequiv demo --out DIR && python notebooks/figures/front_page.py DIR``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

import nnequiv as nq
from nnequiv.plot import image, panels, pieces, png


def main(folder: Path) -> None:
    """The worst image of the demo, and f − g over all values of two of its pixels, before and after repair."""
    f, g, repaired = (nq.load(folder / f"{name}.npz") for name in ("original", "compressed", "repaired"))
    worst = json.loads((folder / "report.json").read_text(encoding="utf-8"))["worst"]
    point, free = np.array(worst["witness"]), worst["free"][:2]
    lower, upper = point.copy(), point.copy()
    lower[free], upper[free] = 0.0, 1.0
    box = nq.Box(lower, upper)
    axes = panels(3, width=3.7, height=3.3)
    image(point, (8, 8), axes[0], free=free, title="a digit; two pixels (orange) are free")
    for ax, other, name in zip(axes[1:], (g, repaired), ("compressed", "repaired"), strict=True):
        pieces((f, other), box, ax, unit="logit units")
        delta = nq.max_discrepancy(f, other, box).upper
        ax.set_title(f"f − g, {name}: {ax.get_title()}, δ = {delta:.2f}", fontsize=10)
        ax.set(xlabel=f"pixel {free[0]}", ylabel=f"pixel {free[1]}")
    shared = max(ax.collections[0].get_clim()[1] for ax in axes[1:])
    for ax in axes[1:]:
        ax.collections[0].set_clim(0.0, shared)
    axes[0].figure.supxlabel("")
    Path(__file__).with_name("front_page.png").write_bytes(png(axes[0].figure))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
