"""The best last layer by brute force: every vertex of every piece in one linear program (scipy's), all rows at once.

Pieces come from :mod:`tests.oracles.brute_force`, vertices from every choice of d of a piece's rows. Shares no code
with the library's own search, whose linear programs see a few cuts only.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
from scipy.optimize import linprog

from nnequiv.network import Network
from tests.oracles.brute_force import LP_OPTIONS, patterns

#: How far a vertex may miss a row of its piece.
SLACK = 1e-9


def hidden_part(g: Network) -> Network:
    """g without its last layer, the last ReLU included."""
    width = g.layers[-1].weight.shape[1]
    return Network([*((layer.weight, layer.bias) for layer in g.layers[:-1]), (np.eye(width), np.zeros(width))])


def vertex_values(f: Network, g: Network, input_set) -> tuple[np.ndarray, np.ndarray]:
    """f's outputs (k, m) and g's last hidden values with a 1 (k, width + 1), at all vertices of all pieces."""
    stacked = []
    for piece in patterns(f, hidden_part(g), input_set):
        stacked += [piece.outputs @ np.append(vertex, 1.0) for vertex in _vertices(piece.rows)]
    stacked = np.array(stacked)
    return stacked[:, : f.n_outputs], np.column_stack([stacked[:, f.n_outputs :], np.ones(len(stacked))])


def _vertices(rows: np.ndarray):
    d = rows.shape[1] - 1
    for chosen in combinations(range(len(rows)), d):
        square = rows[list(chosen), :-1]
        if d == 0 or abs(np.linalg.det(square)) > 1e-12:
            vertex = np.linalg.solve(square, -rows[list(chosen), -1]) if d else np.zeros(0)
            if (rows @ np.append(vertex, 1.0) <= SLACK).all():
                yield vertex


def all_values(f: Network, g: Network, input_sets):
    """:func:`vertex_values` over many input sets, and the number of the set of each vertex."""
    parts = [vertex_values(f, g, input_set) for input_set in input_sets]
    home = np.repeat(np.arange(len(parts)), [len(outputs) for outputs, _ in parts])
    return np.vstack([outputs for outputs, _ in parts]), np.vstack([features for _, features in parts]), home


def least_value(rows, low, high, floor=-np.inf) -> float:
    """``min over layers u of max over rows of (constant + Σ_i coefficient_i · u_i · φ)``, at least ``floor``.

    ``rows``: triples of a constant, the factors of the outputs (m,), and the features (width + 1,).
    """
    matrix = np.array([np.append(np.outer(beta, features).ravel(), -1.0) for _, beta, features in rows])
    bound = -np.array([constant for constant, _, _ in rows])
    limits = [*zip(low.ravel(), high.ravel(), strict=True), (floor, np.inf)]
    cost = np.append(np.zeros(low.size), 1.0)
    result = linprog(cost, A_ub=matrix, b_ub=bound, bounds=limits, options=LP_OPTIONS)
    assert result.status == 0, result.message
    return float(result.fun)


def distance_rows(outputs: np.ndarray, features: np.ndarray, offset: float = 0.0):
    """Rows of ``|f_i − g_i| − offset`` in every output."""
    unit = np.eye(outputs.shape[1])
    return [
        (sign * value[i] - offset, -sign * unit[i], phi)
        for value, phi in zip(outputs, features, strict=True)
        for i in range(len(unit))
        for sign in (1.0, -1.0)
    ]


def set_rows(outputs: np.ndarray, features: np.ndarray, matrix: np.ndarray, bound: np.ndarray):
    """Rows of ``matrix @ (f − g) − bound``."""
    return [
        (row @ value - limit, -row, phi)
        for value, phi in zip(outputs, features, strict=True)
        for row, limit in zip(matrix, bound, strict=True)
    ]


def label_rows(labels: np.ndarray, features: np.ndarray, n_outputs: int, margin: float):
    """Rows of ``g_j − g_label + margin``."""
    unit = np.eye(n_outputs)
    return [
        (margin, unit[j] - unit[label], phi)
        for label, phi in zip(labels, features, strict=True)
        for j in range(n_outputs)
        if j != label
    ]
