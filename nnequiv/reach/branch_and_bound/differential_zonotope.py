"""Differential zonotopes of two near-equal networks over many boxes at once: the difference itself, layer by layer.

For every input x of a part there are ``e`` in ``[−1, 1]^K`` with

    | z_f(x) − z_g(x) − (center + e @ generators) | ≤ error .

The generators are those of f's zonotope (the inputs, then f's unstable neurons, with the same e) and then one for each
pair of neurons that may differ otherwise. With Δ = z_f − z_g and D = y_f − y_g, one layer is

    Δ' = W_g D + (W_f − W_g) y_f + (b_f − b_g) ,     D = s Δ + middle ± half ,

where s, middle and half are the narrowest of what holds for a pair of neurons:

    always       D − Δ/2 in [−m/2, m/2],  m = max |Δ|          (D is between 0 and Δ)
    f ≥ 0        D − Δ = −relu(−z_g)  in [lower_g, 0]          f ≤ 0        D = −relu(z_g)  in [−upper_g, 0]
    g ≥ 0        D − Δ = relu(−z_f)   in [0, −lower_f]         g ≤ 0        D = relu(z_f)   in [0, upper_f]

Rounding. As in :mod:`nnequiv.reach.branch_and_bound.zonotope`, for two matrix products side by side: their factors
carry at most three roundings, ``W_f − W_g`` one more, 2 n + 1 numbers are added. With M_D = s (|center| + Σ|generators|
+ error) + |middle| + half and M_f for y_f as there, all of it is at most ``γ(2 n + 16) (|W_g| M_D + |W_f − W_g| M_f +
|b_f − b_g|)``. The ``half`` are halves of floats, exact but for underflow. Sound: yes, with rounding.
Source: Teuber et al. 2025 (VeryDiff); the five cases: Paulsen et al. 2020 (NeuroDiff).
"""

from __future__ import annotations

import numpy as np

from nnequiv.network import Network
from nnequiv.reach.branch_and_bound.bounds import RowForms
from nnequiv.reach.branch_and_bound.differential import outward
from nnequiv.reach.branch_and_bound.question import Question
from nnequiv.reach.branch_and_bound.zonotope import HiddenLayer, Zonotope, index_of, times
from nnequiv.rounding import UNDERFLOW, gamma


def _relaxed(delta: Zonotope, f: HiddenLayer, g: HiddenLayer):
    """Slope, middle and half ``(B, n)`` of each pair's D: the narrowest of the module's cases."""
    radius = delta.radius()
    low, high = outward(f.lower - g.upper, f.upper - g.lower)
    low, high = np.maximum(low, delta.center - radius), np.minimum(high, delta.center + radius)
    cases = [  # (where it holds, slope, width, which side of 0 the rest is on)
        (True, 0.5, np.maximum(np.abs(low), np.abs(high)), 0.0),
        (f.lower >= 0, 1.0, -np.minimum(g.lower, 0.0), -1.0),
        (f.upper <= 0, 0.0, np.maximum(g.upper, 0.0), -1.0),
        (g.lower >= 0, 1.0, -np.minimum(f.lower, 0.0), 1.0),
        (g.upper <= 0, 0.0, np.maximum(f.upper, 0.0), 1.0),
    ]
    widths = np.array([np.where(holds, width, np.inf) for holds, _, width, _ in cases])
    case = widths.argmin(axis=0)
    half = 0.5 * widths.min(axis=0)
    half = np.where(half > 0, half + 2 * UNDERFLOW, 0.0)
    slope, side = np.array([c[1] for c in cases]), np.array([c[3] for c in cases])
    return slope[case], side[case] * half, half


def _through(delta: Zonotope, f: HiddenLayer, g: HiddenLayer, shared: int, weights, biases) -> Zonotope:
    """The next layer's difference; ``shared``: how many of the generators are f's."""
    wg, change = weights[1], weights[0] - weights[1]
    slope, middle, half = _relaxed(delta, f, g)
    y = f.before
    size_d, size_f, n = np.abs(wg).T, np.abs(change).T, wg.shape[1]
    magnitude_d = slope * (np.abs(delta.center) + delta.reach + delta.error) + np.abs(middle) + half
    magnitude_f = f.slope * (np.abs(y.center) + y.reach + y.error) + 2 * f.half
    offset = biases[0] - biases[1]
    error = ((slope * delta.error) @ size_d + (f.slope * y.error) @ size_f) * (1 + gamma(2 * n + 16))
    error += gamma(2 * n + 16) * (magnitude_d @ size_d + magnitude_f @ size_f + np.abs(offset))
    count = delta.generators.shape[1] + f.index.shape[1] + n
    error += 8 * UNDERFLOW * (count + 2) * (size_d.sum(axis=0) + size_f.sum(axis=0) + 2 * n)

    old = times(delta.generators * slope[:, None], wg)
    old[:, :shared] += times(y.generators * f.slope[:, None], change)
    from_f = np.take_along_axis(f.half, f.index, axis=1)[:, :, None] * change.T[f.index]
    index = index_of(half > 0)
    own = np.take_along_axis(half, index, axis=1)[:, :, None] * wg.T[index]
    generators = np.concatenate([old[:, :shared], from_f, old[:, shared:], own], axis=1)
    center = (slope * delta.center + middle) @ wg.T + (f.slope * y.center + f.half) @ change.T + offset
    return Zonotope(center, generators, error)


def difference(f: Network, g: Network, forms: RowForms, center: np.ndarray, radius: np.ndarray) -> Zonotope:
    """The zonotope of ``f(x) − g(x)`` over B boxes, for networks of equal hidden widths.

    Parameters
    ----------
    f, g : Network
    forms : RowForms
        Of f and g on the boxes (:func:`nnequiv.reach.branch_and_bound.bounds.row_forms`).
    center, radius : (B, n_inputs) arrays

    Returns
    -------
    Zonotope
        Its first generators are those of ``forms.traces[0].output``, in the same order.

    Examples
    --------
    Two ReLUs that differ by 0.1: bounded apart, up to 0.6; the difference itself, up to 0.1.

    >>> from nnequiv.reach.branch_and_bound.bounds import row_forms
    >>> from nnequiv.relations import discrepancy_objectives
    >>> from nnequiv.sets import Box
    >>> f, g = (Network([([[1.0]], [b]), ([[1.0]], [0.0])]) for b in (0.1, 0.0))
    >>> box, question_of = (np.zeros((1, 1)), np.ones((1, 1))), discrepancy_objectives(1)
    >>> forms = row_forms(Question((f, g), Box([-1.0], [1.0]), question_of), *box)
    >>> delta = difference(f, g, forms, *box)
    >>> [float(v.round(9).item()) for v in (forms.high, delta.center + delta.radius())]
    [0.6, 0.1]
    """
    first, free = (f.layers[0], g.layers[0]), forms.free
    change, offset = first[0].weight - first[1].weight, first[0].bias - first[1].bias
    size, n = np.abs(change).T, first[0].n_in
    generators = radius[:, free, None] * change.T[free]
    error = gamma(n + 12) * ((np.abs(center) + radius) @ size + np.abs(offset)) + 8 * UNDERFLOW * (n + 1)
    delta, shared = Zonotope(center @ change.T + offset, generators, error), len(free)
    layers = zip(forms.traces[0].hidden, forms.traces[1].hidden, f.layers[1:], g.layers[1:], strict=True)
    for f_hidden, g_hidden, f_next, g_next in layers:
        pairs = (f_next.weight, g_next.weight), (f_next.bias, g_next.bias)
        delta = _through(delta, f_hidden, g_hidden, shared, *pairs)
        shared += f_hidden.index.shape[1]
    return delta


def differential_rows(question: Question, forms: RowForms, center: np.ndarray, radius: np.ndarray):
    """Proved bounds ``low, high (B, R)`` on a question's rows: ``r_f · y_f + r_g · y_g = (r_f + r_g) · y_f − r_g · Δ``.

    Sound: yes, with rounding, counted as in :func:`nnequiv.reach.branch_and_bound.bounds.row_forms`.
    """
    f_rows, g_rows = question.rows_of
    y, delta = forms.traces[0].output, difference(*question.networks, forms, center, radius)
    both, shared, m = f_rows + g_rows, y.generators.shape[1], f_rows.shape[1]
    size_f, size_d = np.abs(both).T, np.abs(g_rows).T
    middle = y.center @ both.T - delta.center @ g_rows.T
    generators = times(delta.generators, -g_rows)
    generators[:, :shared] += times(y.generators, both)
    error = (y.error @ size_f + delta.error @ size_d) * (1 + gamma(2 * m + 8))
    magnitude = (np.abs(y.center) + y.reach) @ size_f + (np.abs(delta.center) + delta.reach) @ size_d
    error += gamma(2 * m + 8) * magnitude + 16 * UNDERFLOW * (m + 1) * (generators.shape[1] + 2)
    reach = Zonotope(middle, generators, error).radius()
    return middle - reach, middle + reach
