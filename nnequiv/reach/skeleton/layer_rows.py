"""One affine map on all rows of a complex: new rows with the values of the next layer, block by block."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from nnequiv.reach.skeleton.buffers import blocks
from nnequiv.reach.skeleton.complex import Complex
from nnequiv.reach.skeleton.plan import Plan, Step
from nnequiv.reach.skeleton.state import State

BLOCK = 512  # rows of one matrix product: they stay in the cache
SAMPLE = 4096  # rows that stand for all where only speed depends on it


def write_layer(c: Complex, plan: Plan, state: State, step: Step, shift: np.ndarray):
    """Replace the values in work by those of ``step``, its bias raised by ``shift``.

    Columns: first the neurons with both signs, then the positive ones. Which those are is guessed on a sample; if a
    neuron thought negative turns out otherwise, the product is made again. Outputs keep all columns.

    Returns
    -------
    neurons : (columns,) int array
    low, high : (n,) arrays
        Least and largest value of every neuron over all vertices.
    """
    old, count = c.rows, c.n_vertices
    base = plan.d + 2 + len(state.outputs.size)
    order = np.arange(len(step.bias))
    sample = _source(old, plan, state, step, shift, order)(slice(0, count, max(1, count // SAMPLE)))
    low, high = sample.min(axis=0), sample.max(axis=0)
    while True:
        kept = len(order)
        if not step.last:
            rank = np.where(high < 0, 2, low >= 0)
            order, kept = np.argsort(rank, kind="stable"), int((rank < 2).sum())
        source = _source(old, plan, state, step, shift, order)
        rows = c.other_rows(int(count * (1 if step.last else 1.2)) + 256, base + kept)
        extremes = _Extremes(len(order))
        for block in blocks(count, BLOCK):
            product = source(block)
            rows[block, :base] = old[block, :base]
            rows[block, base:] = product[:, :kept]
            extremes.include(product)
        low[order], high[order] = extremes.low.min(axis=0), extremes.high.max(axis=0)
        if (high[order[kept:]] < 0).all():
            c.rows = rows
            return order[:kept], low, high
        c.undo_rows()


def _source(rows, plan: Plan, state: State, step: Step, shift: np.ndarray, order: np.ndarray) -> Callable:
    """A function from a slice of rows to the step's values there, neurons in this order, (k, n)."""
    d, bias = plan.d, (step.bias + shift)[order]
    if step.first:
        weight, constant = plan.first_map(step.weight[order], bias)
        if len(constant) == 1:
            return lambda which: rows[which, :d] @ weight[0].T + constant[0]

        def by_home(which):
            home = rows[which, d].astype(int)
            return constant[home] + np.einsum("kd,knd->kn", rows[which, :d], weight[home])

        return by_home
    base = d + 2 + len(state.outputs.size)
    weight = step.weight[order][:, state.neurons].T
    end, matrix = base + len(state.neurons), np.vstack([bias, weight])
    ends, product = np.empty((BLOCK, end)), np.empty((BLOCK, len(bias)))

    def layer(which):
        block = rows[which, :end]
        k = len(block)
        if k > BLOCK:
            return np.maximum(block[:, base:], 0.0) @ weight + bias
        np.maximum(block, 0.0, out=ends[:k])  # all columns: one long loop
        ends[:k, base - 1] = 1.0  # takes the bias
        return np.matmul(ends[:k, base - 1 :], matrix, out=product[:k])

    return layer


class _Extremes:
    """Least and largest of each of n columns. Long inner loops: 16 rows at a time, side by side.

    ``low, high``: (16, n), to be reduced once more.
    """

    def __init__(self, n: int):
        self.low, self.high = np.full((16, n), np.inf), np.full((16, n), -np.inf)

    def include(self, values: np.ndarray) -> None:
        """Take in ``(k, n)`` values."""
        k, n = values.shape
        whole = k - k % 16
        if whole:
            wide = values[:whole].reshape(-1, 16, n)
            np.minimum(self.low, wide.min(axis=0), out=self.low)
            np.maximum(self.high, wide.max(axis=0), out=self.high)
        rest = values[whole:]
        np.minimum(self.low[: k - whole], rest, out=self.low[: k - whole])
        np.maximum(self.high[: k - whole], rest, out=self.high[: k - whole])
