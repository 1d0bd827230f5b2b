"""The demo's four figures, to be used without the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from nnequiv import plot
from nnequiv.pipeline import Measured, Recipe, worst
from nnequiv.repair.result import Round


def demo_figures(
    record: Mapping,
    history: Sequence[Round],
    measured: tuple[Measured, Measured],
    controls: Mapping[str, Measured],
    recipe: Recipe,
    image_shape: tuple[int, int],
) -> dict[str, bytes]:
    """Name → PNG. ``measured``: before and after repair."""
    pair = f"f {record['networks']['original']}, g {record['networks']['compressed']} by {record['compression']}"
    boxes = f"{record['sets']} boxes: image ± {recipe.radius:g} on {recipe.free} pixels"
    caption = f"{record['data']}; {pair}; {boxes}; seed {record['seed']}"
    rows = {"g, compressed": measured[0], **controls, "g, repaired": measured[1]}
    target = record["target"]
    uppers = np.array([entry.intervals[:, 1] for entry in history])
    made = {
        "comparison": plot.comparison_figure(
            ["f, original", *rows],
            [record["accuracy"]["original"], *(one.accuracy for one in rows.values())],
            [np.nan, *(worst(one.sets)[1] for one in rows.values())],
            [np.nan, *(worst(one.heldout)[1] for one in rows.values())],
            target,
            caption,
            highlight=len(rows),
        ),
        "discrepancy": plot.discrepancy_figure(
            *(np.array([[d.lower, d.upper] for d in one.sets]) for one in measured), target, caption
        ),
        "history": plot.history_figure(
            np.arange(len(history)),
            uppers.max(axis=1),
            np.median(uppers, axis=1),
            [entry.loss for entry in history],
            [entry.accuracy for entry in history],
            target,
            caption,
        ),
        "witness": _witness_figure(record["worst"], image_shape, caption),
    }
    return {name: plot.png(figure) for name, figure in made.items()}


def _witness_figure(found: Mapping, image_shape: tuple[int, int], caption: str):
    """The worst point of the worst input set before repair."""
    outputs = {name: np.array(values) for name, values in found["outputs"].items()}
    free = np.column_stack(np.unravel_index(found["free"], image_shape))
    images = (np.reshape(found[name], image_shape) for name in ("image", "witness"))
    return plot.witness_figure(*images, free, outputs, found["output"], f"{caption}; set {found['set']}")
