"""Bounds for parts with ReLU signs fixed by splitting: weak duality over the zonotope's own variables.

A part's points are ``e`` in ``[−1, 1]^D``: the input and one error generator per unstable neuron. Rows ``A e ≤ b`` say
what the plain zonotope forgets: split neurons keep their sign, and a free unstable neuron ``y = s z + half (1 + e_k)``
satisfies the triangle cuts ``y ≥ 0`` and ``y ≥ z``. Guards, half-spaces of the input set and further goals are rows
too. Then for *any* λ ≥ 0

    max { center + q · e : A e ≤ b, |e| ≤ 1 }  ≤  center + λ · b + ‖q − Aᵀ λ‖₁ .

Source: weak duality; Neumaier and Shcherbina 2004 for its safety in floats.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from nnequiv.reach.branch_and_bound.bounds import RowForms
from nnequiv.reach.branch_and_bound.zonotope import HiddenLayer, index_of
from nnequiv.rounding import UNDERFLOW, dot_error, gamma


@dataclass(frozen=True, eq=False)
class Rows:
    """``matrix (B, K, D) @ e ≤ bound (B, K)`` for every point of each part, rounding included in ``bound``."""

    matrix: np.ndarray
    bound: np.ndarray

    @classmethod
    def padded(cls, matrix: np.ndarray, bound: np.ndarray, used: np.ndarray) -> Rows:
        """Rows where ``used``; elsewhere ``0 ≤ 1``, which says nothing."""
        return cls(np.where(used[:, :, None], matrix, 0.0), np.where(used, bound, 1.0))

    @classmethod
    def join(cls, rows: list[Rows]) -> Rows:
        return cls(np.concatenate([r.matrix for r in rows], axis=1), np.concatenate([r.bound for r in rows], axis=1))


def pick(layer: HiddenLayer, index: np.ndarray, parts: np.ndarray):
    """Centre, generators (as rows), reach and error of chosen neurons of chosen parts."""
    z = layer.before
    center = np.take_along_axis(z.center[parts], index, axis=1)
    error = np.take_along_axis(z.error[parts], index, axis=1)
    generators = np.swapaxes(np.take_along_axis(z.generators[parts], index[:, None, :], axis=2), 1, 2)
    reach = np.abs(center) + np.abs(generators).sum(axis=2) + error
    return center, generators, reach, error


def placed(local: np.ndarray, first: int, width: int, inputs: int) -> np.ndarray:
    """Rows over a layer's own generators (the inputs', then its network's errors so far) in the joint columns."""
    matrix = np.zeros((*local.shape[:2], width))
    matrix[:, :, :inputs] = local[:, :, :inputs]
    matrix[:, :, first : first + local.shape[2] - inputs] = local[:, :, inputs:]
    return matrix


def _sign_rows(layer: HiddenLayer, signs: np.ndarray, parts: np.ndarray, place) -> Rows:
    """``sign · z ≥ 0`` for split neurons: ``−sign G e ≤ sign c + error``; one addition is rounded."""
    index = index_of(layer.cut[parts])
    used = np.take_along_axis(layer.cut[parts], index, axis=1)
    sign = np.take_along_axis(signs, index, axis=1).astype(np.float64)
    center, generators, reach, error = pick(layer, index, parts)
    return Rows.padded(place(-sign[:, :, None] * generators), sign * center + error + gamma(4) * reach, used)


def _triangle_rows(layer: HiddenLayer, parts: np.ndarray, place, first_error: int) -> list[Rows]:
    """``y ≥ 0`` and ``y ≥ z`` for free unstable neurons.

    With s = slope (or ``1 − slope``), the row's coefficients ``s G`` carry at most two roundings each; with the bound's
    own they are at most ``γ(8)`` of ``s (|c| + Σ|G| + error) + half``, plus underflow.
    """
    index = layer.index[parts]
    used = np.take_along_axis(layer.unstable[parts], index, axis=1)
    center, generators, reach, error = pick(layer, index, parts)
    slope = np.take_along_axis(layer.slope[parts], index, axis=1)
    half = np.take_along_axis(layer.half[parts], index, axis=1)
    own = np.arange(index.shape[1])
    result = []
    for factor, sign in ((slope, -1.0), (1 - slope, 1.0)):
        matrix = place(sign * factor[:, :, None] * generators)
        matrix[:, own, first_error + own] = -half
        slack = factor * error + gamma(8) * (factor * reach + half) + 4 * UNDERFLOW * (generators.shape[2] + 2)
        result.append(Rows.padded(matrix, half - sign * factor * center + slack, used))
    return result


def relu_rows(forms: RowForms, signs: np.ndarray, parts: np.ndarray) -> list[Rows]:
    """All rows that split and unstable neurons give, for chosen parts ``(P,)`` with signs ``(P, n_hidden)``."""
    width, n_inputs = forms.generators.shape[1], len(forms.free)
    rows, neuron, column = [], 0, n_inputs
    for trace in forms.traces:
        first = column
        for layer in trace.hidden:
            n, count = layer.lower.shape[1], layer.index.shape[1]
            place = partial(placed, first=first, width=width, inputs=n_inputs)
            if layer.cut.any():
                rows.append(_sign_rows(layer, signs[:, neuron : neuron + n], parts, place))
            if count:
                rows += _triangle_rows(layer, parts, place, column)
            neuron, column = neuron + n, column + count
    return rows


def input_rows(matrix: np.ndarray, bound: np.ndarray, center: np.ndarray, radius: np.ndarray, forms: RowForms) -> Rows:
    """Half-spaces ``matrix @ x ≤ bound`` on ``x = center + radius e``; the rounding of both sides is in the bound."""
    size = np.abs(matrix)
    coefficients = np.zeros((len(center), len(matrix), forms.generators.shape[1]))
    coefficients[:, :, : len(forms.free)] = matrix[:, forms.free] * radius[:, None, forms.free]
    magnitude = (np.abs(center) + radius) @ size.T + np.abs(bound)
    return Rows(coefficients, bound - center @ matrix.T + 2 * dot_error(matrix.shape[1] + 2, magnitude))


def dual_upper(center, objective, rows: Rows, weights) -> np.ndarray:
    """Proved upper bounds of B linear programs, for any multipliers.

    Parameters
    ----------
    center : (B,) array
        Constant of the objective; its own error already added.
    objective : (B, D) array
    rows : Rows
    weights : (B, K) array ≥ 0

    Notes
    -----
    A residual ``q_j − λ · A_j`` is a dot product of length K + 1; the D of them err by at most ``γ(K + 4)`` of
    ``‖q‖₁ + Σ λ_k ‖A_k‖₁`` together. Adding D + K + 1 numbers errs by ``γ(D + K + 4)`` of their moduli. Sound: yes.

    Examples
    --------
    >>> rows = Rows(np.ones((1, 1, 2)), np.full((1, 1), 0.5))
    >>> bounds = [dual_upper(np.zeros(1), np.ones((1, 2)), rows, np.full((1, 1), w)) for w in (0.0, 1.0)]
    >>> [float(b.round(9)[0]) for b in bounds]
    [2.0, 0.5]
    """
    count, width = rows.matrix.shape[1:]
    residual = objective - (weights[:, None, :] @ rows.matrix)[:, 0]
    reach = np.abs(residual).sum(axis=1)
    value = center + (weights * rows.bound).sum(axis=1) + reach
    row_size = np.abs(rows.matrix).sum(axis=2)
    magnitude = np.abs(center) + (weights * (np.abs(rows.bound) + row_size)).sum(axis=1)
    magnitude += np.abs(objective).sum(axis=1) + reach
    return value + 2 * gamma(count + width + 8) * magnitude + 8 * UNDERFLOW * (count + 1) * (width + 1)
