"""Bounds on the rows of a question over many boxes: zonotopes of all networks that share the input's generators.

f and g are bounded apart, but ``f_i − g_i`` is formed generator by generator: what both do with the input cancels,
and only the error generators of unstable neurons add up. Depths and widths need not agree.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nnequiv.reach.branch_and_bound.question import Question
from nnequiv.reach.branch_and_bound.zonotope import Trace, forward, free_inputs, times
from nnequiv.reach.intervals import interval_layer, interval_layers
from nnequiv.rounding import UNDERFLOW, UNIT, gamma


@dataclass(frozen=True, eq=False)
class RowForms:
    """``row · y = center + e @ generators ± error`` on B parts, for all R rows of a question.

    Attributes
    ----------
    center, error : (B, R) arrays
    free : (d,) int array
        Inputs that are not fixed.
    generators : (B, K, R) array
        One for each free input, then the error generators of each network in turn.
    traces : list of Trace
        One a network.
    low, high : (B, R) arrays
        Proved bounds on the rows, rounding included.
    """

    free: np.ndarray
    center: np.ndarray
    generators: np.ndarray
    error: np.ndarray
    traces: list[Trace]
    low: np.ndarray
    high: np.ndarray

    @property
    def infeasible(self) -> np.ndarray:
        return np.any([trace.infeasible for trace in self.traces], axis=0)

    @property
    def unstable(self) -> np.ndarray:
        """Number of unstable neurons of all networks together, ``(B,)``."""
        return sum(trace.unstable for trace in self.traces)


def row_forms(question: Question, center: np.ndarray, radius: np.ndarray, signs: np.ndarray | None = None) -> RowForms:
    """Affine forms and proved bounds of all rows over B boxes.

    Parameters
    ----------
    question : Question
    center, radius : (B, n_inputs) arrays
        From :func:`nnequiv.reach.intervals.center_and_radius`.
    signs : (B, n_hidden of all networks) int8 array, optional

    Notes
    -----
    A row's centre and generators are dot products over the m stacked outputs; their errors sum to at most
    ``γ(m + 4) |row| (|center| + Σ|generators|)``, as for a layer, and the outputs' own errors come through |row|.
    ``high`` adds K + 2 non-negative numbers: enlarged by ``γ(K + 4)`` and two units of |center|, which covers the last
    addition. Sound: yes, with rounding.
    """
    free = free_inputs(radius)
    m = sum(rows.shape[1] for rows in question.rows_of)
    traces, middle, shared, own, error = [], 0.0, 0.0, [], 0.0
    low = high = 0.0
    start = 0
    for network, rows in zip(question.networks, question.rows_of, strict=True):
        fixed = None if signs is None else signs[:, start : start + network.n_hidden]
        start += network.n_hidden
        trace = forward(network, center, radius, fixed)
        y, size = trace.output, np.abs(rows).T
        middle = middle + y.center @ rows.T
        generators = times(y.generators, rows)
        shared = shared + generators[:, : len(free)]
        own.append(generators[:, len(free) :])
        magnitude = np.abs(y.center) + y.reach
        error = error + (y.error @ size) * (1 + gamma(m + 4)) + gamma(m + 4) * (magnitude @ size)
        traces.append(trace)
        a, b = interval_layer(trace.lower, trace.upper, rows, np.zeros(len(rows)))
        low, high = low + a, high + b
    generators = np.concatenate([shared, *own], axis=1)
    count = generators.shape[1]
    error = error * (1 + 8 * UNIT) + 8 * UNDERFLOW * (m + 1) * (count + 2)
    reach = (np.abs(generators).sum(axis=1) + error) * (1 + gamma(count + 4)) + 2 * UNIT * np.abs(middle)
    slack = 4 * UNIT * len(traces) * (np.abs(low) + np.abs(high))
    low, high = np.maximum(middle - reach, low - slack), np.minimum(middle + reach, high + slack)
    return RowForms(free, middle, generators, error, traces, low, high)


def term_forms(question: Question, forms: RowForms, parts: np.ndarray, terms: np.ndarray):
    """Centres ``(P, Q)``, generators ``(P, Q, K)`` and errors ``(P, Q)`` of terms ``(P, Q)``; padding is masked."""
    real = terms < len(question.row)
    index = np.where(real, terms, 0)
    row, sign, offset = question.row[index], question.sign[index], question.offset[index]
    generators = np.swapaxes(np.take_along_axis(forms.generators[parts], row[:, None, :], axis=2), 1, 2)
    middle = sign * np.take_along_axis(forms.center[parts], row, axis=1)
    error = np.take_along_axis(forms.error[parts], row, axis=1)
    error = error + gamma(4) * (np.abs(middle) + np.abs(offset) + error)
    return middle + offset, generators * sign[:, :, None], error, real


def interval_rows(question: Question, lower: np.ndarray, upper: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The plain twin of :func:`row_forms`: bounds on all rows by interval arithmetic, no cancellation at all."""
    low = high = 0.0
    for network, rows in zip(question.networks, question.rows_of, strict=True):
        a, b = interval_layer(*interval_layers(network, lower, upper)[-1], rows, np.zeros(len(rows)))
        low, high = low + a, high + b
    slack = 4 * UNIT * len(question.networks) * (np.abs(low) + np.abs(high))
    return low - slack, high + slack


def smear(forms: RowForms, row: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """How much halving each input would help: the split rule of the search over boxes.

    For input j, the sum over unstable neurons k of ``|effect of k's error on the row| · |G_jk| / radius_k``: the
    share of k's width that input j is responsible for, weighed by what k's error costs. Only a choice; proves nothing.

    Parameters
    ----------
    row : (P,) int array
        The row each part should be split for.
    parts : (P,) int array
        Which of the B parts.

    Returns
    -------
    (P, d) array
        A score for each free input.
    """
    n_inputs = len(forms.free)
    effect = np.abs(np.take_along_axis(forms.generators[parts, n_inputs:], row[:, None, None], axis=2)[:, :, 0])
    score, start = np.zeros((len(parts), n_inputs)), 0
    for trace in forms.traces:
        for layer in trace.hidden:
            index = layer.index[parts]
            count = index.shape[1]
            if count:
                z = layer.before
                width = np.take_along_axis(layer.upper[parts] - layer.lower[parts], index, axis=1)
                share = np.abs(np.take_along_axis(z.generators[parts, :n_inputs], index[:, None, :], axis=2))
                cost = effect[:, start : start + count] / np.where(width > 0, width, 1.0)
                score += (share @ cost[:, :, None])[:, :, 0]
            start += count
    return score
