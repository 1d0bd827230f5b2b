"""Two arithmetics behind one set of names: floats, and whole numbers that make no rounding error at all.

Points are homogeneous: a row ``(x, w)`` with ``w > 0`` stands for ``x / w``. An affine function is a row
``(a, b)``, and ``(a, b) @ (x, w)`` has the sign of its value. An affine map ``A x + b`` is *lifted* to the matrix
``[[A, b], [0, 1]]``, so that maps are composed by a product and applied by a product. Floats are dyadic rationals:
times a power of two they are whole numbers, and a positive factor changes neither a point nor a map. So exact
arithmetic needs integers only.
"""

from __future__ import annotations

from fractions import Fraction
from math import gcd

import numpy as np

from nnequiv.rounding import power_of_two
from nnequiv.tolerances import PLANE_TOL, RANK_TOL


class Floats:
    """float64. A value within ``PLANE_TOL`` of zero, relative to its terms, counts as zero."""

    exact = False

    def lift(self, matrix, offset) -> np.ndarray:
        """``[[matrix, offset], [0, 1]]``: ``(n_out + 1, n_in + 1)``."""
        top = np.column_stack([matrix, offset])
        return np.vstack([top, np.append(np.zeros(top.shape[1] - 1), 1.0)])

    def normalised(self, points: np.ndarray) -> np.ndarray:
        """The same points in their normal form: ``w = 1``."""
        return points / points[:, -1:]

    def plane(self, row: np.ndarray) -> np.ndarray:
        """The same plane, its largest number about 1: the products of a split shall neither overflow nor vanish."""
        return row / power_of_two(np.abs(row).max())

    def signs(self, rows: np.ndarray, points: np.ndarray, reach: np.ndarray) -> np.ndarray:
        """Signs −1, 0, 1 of the affine functions ``rows (m, d + 1)`` at the points ``(k, d + 1)``: ``(k, m)``.

        ``reach (d + 1,)`` bounds the points; it makes the tolerance the same for a polytope and its parts.
        """
        values = points @ rows.T
        zero = PLANE_TOL * (np.abs(rows) @ reach)
        return np.where(np.abs(values) <= zero, 0, np.sign(values)).astype(np.int8)

    def rank(self, rows: np.ndarray) -> int:
        """Rank of ``rows (m, d)``. When in doubt the larger one: a point too many is no vertex, but no error either."""
        sizes = np.linalg.norm(rows, axis=1, keepdims=True)
        return int((np.linalg.svd(rows / sizes, compute_uv=False) > RANK_TOL).sum()) if rows.size else 0

    def ratio(self, numerator, denominator) -> float:
        return numerator / denominator

    def floats(self, values: np.ndarray, scale) -> np.ndarray:
        """``values / scale`` as floats, each to within its rounding."""
        return values / scale


class Integers:
    """Python's whole numbers in object arrays: nothing rounds.

    >>> Integers().lift([[0.5]], [3.0]).tolist()
    [[1, 6], [0, 2]]
    """

    exact = True

    def lift(self, matrix, offset) -> np.ndarray:
        """``[[matrix, offset], [0, 1]]`` times the power of two that makes it whole."""
        parts = [v.as_integer_ratio() for v in Floats().lift(matrix, offset).ravel()]
        scale = max(denominator for _, denominator in parts)  # all are powers of two
        whole = np.array([n * (scale // d) for n, d in parts], dtype=object)
        return whole.reshape(len(offset) + 1, -1)

    def normalised(self, points: np.ndarray) -> np.ndarray:
        """The same points without common factors."""
        return np.array([row // max(gcd(*row), 1) for row in points], dtype=object).reshape(points.shape)

    def plane(self, row: np.ndarray) -> np.ndarray:
        return row

    def signs(self, rows: np.ndarray, points: np.ndarray, reach: np.ndarray) -> np.ndarray:
        values = points @ rows.T
        return (values > 0).astype(np.int8) - (values < 0).astype(np.int8)

    def rank(self, rows: np.ndarray) -> int:
        """Rank by elimination without fractions (Bareiss 1968)."""
        rows, rank, previous = [list(row) for row in rows], 0, 1
        for column in range(len(rows[0]) if rows else 0):
            pivot = next((i for i in range(rank, len(rows)) if rows[i][column]), None)
            if pivot is None:
                continue
            rows[rank], rows[pivot] = rows[pivot], rows[rank]
            top = rows[rank]
            for i in range(rank + 1, len(rows)):
                factor = rows[i][column]
                rows[i] = [(top[column] * a - factor * b) // previous for a, b in zip(rows[i], top, strict=True)]
            rank, previous = rank + 1, top[column]
        return rank

    def ratio(self, numerator, denominator) -> Fraction:
        return Fraction(numerator, denominator)

    def floats(self, values: np.ndarray, scale) -> np.ndarray:
        return np.array([float(Fraction(v, scale)) for v in values.ravel()]).reshape(values.shape)
