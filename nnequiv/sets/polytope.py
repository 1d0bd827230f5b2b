"""The H-polytope ``{x : matrix @ x ≤ bound}``: an input set cut by half-spaces, or a piece of one."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from nnequiv.lp import HighspySolver, LPError, margin, solve_scaled
from nnequiv.rounding import dot_error, rounded_up
from nnequiv.sets.box import Box
from nnequiv.tolerances import MARGIN_TOL

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


@dataclass(frozen=True, eq=False)
class Polytope:
    """``{x : matrix @ x ≤ bound}``, bounded, possibly flat; or the part of a box where that holds.

    Parameters
    ----------
    matrix : (m, n) array
    bound : (m,) array
    within : Box, optional
        Bounds on the inputs, said here instead of as 2 n more rows.

    Raises
    ------
    ValueError
        If the shapes do not fit, a value is not finite, or (when first used) the set is empty or unbounded.

    Examples
    --------
    The triangle under a diagonal:

    >>> triangle = Polytope([[-1, 0], [0, -1], [1, 1]], [0, 0, 1])
    >>> triangle.contains([0.25, 0.5])
    True
    >>> triangle.box.upper.round(6)
    array([1., 1.])
    """

    matrix: np.ndarray
    bound: np.ndarray
    within: Box | None = None

    if TYPE_CHECKING:  # what callers may give; __post_init__ makes arrays of it

        def __init__(self, matrix: ArrayLike, bound: ArrayLike, within: Box | None = None) -> None: ...

    def __post_init__(self):
        matrix = np.array(self.matrix, dtype=np.float64)
        bound = np.array(self.bound, dtype=np.float64)
        if matrix.ndim != 2 or bound.shape != matrix.shape[:1] or not matrix.shape[1]:
            raise ValueError(f"matrix has shape {matrix.shape} and bound {bound.shape}: need (m, n) and (m,), n ≥ 1")
        for i in range(len(bound)):
            if not (np.isfinite(matrix[i]).all() and np.isfinite(bound[i])):
                raise ValueError(f"row {i} is {matrix[i].tolist()} x ≤ {bound[i]}: it must be finite")
        if self.within is not None and self.within.dimension != matrix.shape[1]:
            raise ValueError(f"matrix has {matrix.shape[1]} columns, but the box has {self.within.dimension} inputs")
        matrix.setflags(write=False)
        bound.setflags(write=False)
        object.__setattr__(self, "matrix", matrix)
        object.__setattr__(self, "bound", bound)

    @property
    def dimension(self) -> int:
        """Number of inputs, fixed ones included."""
        return self.matrix.shape[1]

    @property
    def free(self) -> np.ndarray:
        """Indices of the inputs that the enclosing box does not fix."""
        return self.box.free

    def contains(self, point) -> bool:
        """Exactly: no tolerance, no rounding."""
        point = np.asarray(point, dtype=np.float64)
        if point.shape != (self.dimension,):
            raise ValueError(f"point has shape {point.shape}, but the set has {self.dimension} inputs")
        if not np.isfinite(point).all() or (self.within is not None and not self.within.contains(point)):
            return False
        point = [Fraction(float(v)) for v in point]
        return all(
            sum((Fraction(float(a)) * v for a, v in zip(row, point, strict=True) if a), Fraction(0)) <= float(b)
            for row, b in zip(self.matrix, self.bound, strict=True)
        )

    @cached_property
    def box(self) -> Box:
        """An enclosing box: exact where rows bound a single input, proved by LP duality elsewhere."""
        if self.within is not None:
            return self.within
        lower, upper = self._single_bounds
        if not (np.isfinite(lower).all() and np.isfinite(upper).all()):
            lower, upper = self._proved_bounds(lower, upper)
        if (lower > upper).any():
            i = int(np.argmax(lower > upper))
            raise ValueError(f"the input set is empty: input {i} has lower {lower[i]} > upper {upper[i]}")
        return Box(lower, upper)

    @cached_property
    def cuts(self) -> tuple[np.ndarray, np.ndarray]:
        """The rows that the enclosing box does not already say, ``(m', n)`` and ``(m',)``."""
        if self.within is not None:
            return self.matrix, self.bound
        keep = np.count_nonzero(self.matrix, axis=1) != 1
        for i in np.flatnonzero(~keep):
            j = int(np.flatnonzero(self.matrix[i])[0])
            exact = Fraction(float(self.bound[i])) / Fraction(float(self.matrix[i, j]))
            end = self.box.upper[j] if self.matrix[i, j] > 0 else self.box.lower[j]
            # Exactly implied by the box, or rounded outward there and so still to be said.
            keep[i] = Fraction(float(end)) > exact if self.matrix[i, j] > 0 else Fraction(float(end)) < exact
        return self.matrix[keep], self.bound[keep]

    @property
    def _single_bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Bounds from the rows with one non-zero entry, rounded outward; infinite where there are none."""
        lower, upper = np.full(self.dimension, -np.inf), np.full(self.dimension, np.inf)
        for i in np.flatnonzero(np.count_nonzero(self.matrix, axis=1) == 1):
            j = int(np.flatnonzero(self.matrix[i])[0])
            exact = Fraction(float(self.bound[i])) / Fraction(float(self.matrix[i, j]))
            if self.matrix[i, j] > 0:
                upper[j] = min(upper[j], rounded_up(exact))
            else:
                lower[j] = max(lower[j], -rounded_up(-exact))
        return lower, upper

    def _proved_bounds(self, lower, upper) -> tuple[np.ndarray, np.ndarray]:
        """Bounds by LP. The proof needs no trust in the solver and no bounds to start from.

        For multipliers λ ≥ 0 and residual ``r = c − λ A``, every x in the set has ``c x ≤ λ b + ‖r‖₁ M`` with
        ``M = max ‖x‖∞``. Over all ``c = ±e_j``, with ``ρ = max ‖r‖₁ < 1``: no direction ``A d ≤ 0`` but 0 exists
        (``‖d‖∞ ≤ ρ ‖d‖∞``), so the set is bounded, and ``M ≤ max λ b / (1 − ρ)``.
        """
        n, solver = self.dimension, HighspySolver()
        infinite = np.full(n, np.inf)
        values, residuals = np.zeros((2, n)), np.zeros((2, n))
        for side, sign in enumerate((-1.0, 1.0)):
            for j in range(n):
                c = np.zeros(n)
                c[j] = sign
                try:
                    solution = solve_scaled(solver, c, self.matrix, self.bound, -infinite, infinite)
                except LPError as error:
                    raise ValueError(f"the input set is unbounded: input {j} ({error.status})") from None
                if not solution.feasible:
                    raise ValueError(f"the input set is empty: no x satisfies its {len(self.bound)} rows")
                weight = np.maximum(solution.multipliers, 0.0)
                magnitude = weight @ np.abs(self.matrix) + np.abs(c)
                residuals[side, j] = (np.abs(c - weight @ self.matrix) + dot_error(len(weight), magnitude)).sum()
                values[side, j] = weight @ self.bound + dot_error(len(weight), weight @ np.abs(self.bound))
        share = residuals.max()
        if not share < 0.5:
            raise ValueError(f"the input set could not be proved bounded (residual {share:.2g})")
        size = max(float(values.max()), 0.0) / (1 - share) * (1 + 1e-9)
        proved = values + residuals * size * (1 + 1e-9)
        return np.maximum(lower, -proved[0]), np.minimum(upper, proved[1])

    def inner_point(self) -> np.ndarray:
        """The point of the box that is deepest inside all cuts. Raises ValueError if the set is proved empty."""
        depth, point = margin(HighspySolver(), *self.cuts, self.box.lower, self.box.upper)
        if depth < -MARGIN_TOL or point is None:
            raise ValueError(f"the input set is empty: its margin is at most {depth:.3g}")
        return self.box.clip(point)
