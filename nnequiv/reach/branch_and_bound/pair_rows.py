"""Rows for the dual bound that tie nearly equal networks together: D = y_f − y_g between its lines in Δ = z_f − z_g.

With ``y = s z + half (1 + e)`` for an unstable neuron, ``D ≤ a Δ + b`` reads in the zonotope's variables

    (s_f − a) z_f + half_f (1 + e_f) − (s_g − a) z_g − half_g (1 + e_g) ≤ b ,

and the other line likewise with all signs turned. Source: the joint relation of
:mod:`nnequiv.reach.branch_and_bound.differential`.
"""

from __future__ import annotations

import numpy as np

from nnequiv.reach.branch_and_bound.bounds import RowForms
from nnequiv.reach.branch_and_bound.differential import PairLayer
from nnequiv.reach.branch_and_bound.dual import Rows, pick, placed
from nnequiv.reach.branch_and_bound.zonotope import HiddenLayer, index_of
from nnequiv.rounding import UNDERFLOW, gamma


class _Side:
    """One network's share of the rows: chosen neurons ``index (P, k)`` of a layer, for chosen parts."""

    def __init__(self, layer: HiddenLayer, parts: np.ndarray, index: np.ndarray, first: int, width: int, inputs: int):
        self.center, generators, self.reach, self.error = pick(layer, index, parts)
        self.generators = placed(generators, first, width, inputs)
        self.slope = np.take_along_axis(layer.slope[parts], index, axis=1)
        self.half = np.take_along_axis(layer.half[parts], index, axis=1)
        own = np.zeros(layer.slope[parts].shape, dtype=int)
        columns = np.arange(layer.index.shape[1])
        np.put_along_axis(own, layer.index[parts], np.broadcast_to(columns, layer.index[parts].shape), axis=1)
        # The neuron's own error generator follows those of its network's earlier layers.
        self.column = first + generators.shape[2] - inputs + np.take_along_axis(own, index, axis=1)


def _line_rows(f: _Side, g: _Side, slope, offset, sign: float, used) -> Rows:
    """``sign (D − slope Δ) ≤ offset``. The rounding: coefficients carry at most four roundings each."""
    part, row = np.indices(slope.shape)
    a, b = f.slope - slope, g.slope - slope
    matrix = a[:, :, None] * f.generators - b[:, :, None] * g.generators
    matrix[part, row, f.column] += f.half
    matrix[part, row, g.column] -= g.half
    constant = a * f.center + f.half - b * g.center - g.half
    size = np.abs(a) * f.reach + np.abs(b) * g.reach + 2 * f.half + 2 * g.half + np.abs(offset)
    slack = np.abs(a) * f.error + np.abs(b) * g.error + gamma(12) * size + 16 * UNDERFLOW * matrix.shape[2]
    return Rows.padded(sign * matrix, offset - sign * constant + slack, used)


def pair_rows(forms: RowForms, lines: list[PairLayer], parts: np.ndarray) -> list[Rows]:
    """Two rows for every pair whose neurons are both unstable.

    Parameters
    ----------
    forms : RowForms
        Of two networks with equal hidden widths.
    lines : list of PairLayer
        Of the chosen parts, ``(P, n)`` arrays: their lines in Δ hold on the parts.
    parts : (P,) int array
    """
    f_trace, g_trace = forms.traces
    inputs, width = len(forms.free), forms.generators.shape[1]
    f_first, rows = inputs, []
    g_first = inputs + sum(layer.index.shape[1] for layer in f_trace.hidden)
    for f_layer, g_layer, line in zip(f_trace.hidden, g_trace.hidden, lines, strict=True):
        both = f_layer.unstable[parts] & g_layer.unstable[parts]
        index = index_of(both)
        if not index.shape[1]:
            continue
        used = np.take_along_axis(both, index, axis=1)
        f = _Side(f_layer, parts, index, f_first, width, inputs)
        g = _Side(g_layer, parts, index, g_first, width, inputs)
        up = [np.take_along_axis(v, index, axis=1) for v in (line.up_slope, line.up_offset)]
        down = [np.take_along_axis(v, index, axis=1) for v in (line.down_slope, line.down_offset)]
        rows += [_line_rows(f, g, *up, 1.0, used), _line_rows(f, g, down[0], -down[1], -1.0, used)]
    return rows
