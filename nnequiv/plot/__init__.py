"""Figures: every function draws on ``ax``, or on a new figure, and gives the axes back. No global state.

Colours are told apart with any common colour blindness. Captions name networks, input set and seed. ``plot.png`` turns
a figure into bytes, ``plot.show`` into the value of a cell of a notebook. The report's figures are in ``summary.py``.
"""

from nnequiv.plot.bounds import Trace, bounds_over_time, gap_over_time
from nnequiv.plot.pieces import discrepancy_map, partition, pieces
from nnequiv.plot.polygons import section
from nnequiv.plot.reachable import reachable_set
from nnequiv.plot.repair import discrepancy_by_set, discrepancy_distribution, repair_history
from nnequiv.plot.steps import animation, search_state, split_tree
from nnequiv.plot.style import about, panels, png, show
from nnequiv.plot.summary import comparison_figure, discrepancy_figure, history_figure, witness_figure
from nnequiv.plot.witness import image, witness_images

__all__ = [
    "Trace",
    "about",
    "animation",
    "bounds_over_time",
    "comparison_figure",
    "discrepancy_by_set",
    "discrepancy_distribution",
    "discrepancy_figure",
    "discrepancy_map",
    "gap_over_time",
    "history_figure",
    "image",
    "panels",
    "partition",
    "pieces",
    "png",
    "reachable_set",
    "repair_history",
    "search_state",
    "section",
    "show",
    "split_tree",
    "witness_figure",
    "witness_images",
]
