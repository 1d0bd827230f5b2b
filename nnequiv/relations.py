"""What is asked: relations between the outputs of f and g, each as a list of objectives to bound.

Every question of the library has one form. Let ``y = [f(x), g(x)]`` be the stacked outputs (or ``y = f(x)`` for
one network). An :class:`Objective` is ``min over r of (goal_r · y + goal_offset_r)``, wherever all guards
``guard · y + guard_offset ≥ 0`` hold. A relation is violated iff some objective of it is > 0 somewhere in X; the
discrepancy is the largest value of objectives without guards. So engines know one task only: bound the maximum
of objectives from both sides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations

import numpy as np


@dataclass(frozen=True, eq=False)
class Objective:
    """``min_r (goal[r] · y + goal_offset[r])`` where ``guard · y + guard_offset ≥ 0``; y are stacked outputs.

    Parameters
    ----------
    goal : (r, m) array, r ≥ 1
    goal_offset : (r,) array
    guard : (q, m) array
    guard_offset : (q,) array
    output : int, optional
        The output the objective speaks of, for reports.
    """

    goal: np.ndarray
    goal_offset: np.ndarray
    guard: np.ndarray
    guard_offset: np.ndarray
    output: int | None = None

    @property
    def linear(self) -> bool:
        """One goal and no guard: a linear function of y, whose maximum over a polytope is at a vertex."""
        return len(self.goal) == 1 and len(self.guard) == 0

    def values(self, outputs: np.ndarray) -> np.ndarray:
        """Values at stacked outputs ``(k, m)`` as ``(k,)``; −inf where a guard fails. Plain floats."""
        value = (outputs @ self.goal.T + self.goal_offset).min(axis=1)
        allowed = (outputs @ self.guard.T + self.guard_offset >= 0).all(axis=1)
        return np.where(allowed, value, -np.inf)

    def exact_value(self, outputs: Sequence[Fraction]) -> Fraction | None:
        """Value at exact stacked outputs; None where a guard fails."""

        def dot(row, offset):
            return sum(
                (Fraction(float(w)) * y for w, y in zip(row, outputs, strict=True) if w),
                Fraction(float(offset)),
            )

        if any(dot(row, offset) < 0 for row, offset in zip(self.guard, self.guard_offset, strict=True)):
            return None
        return min(dot(row, offset) for row, offset in zip(self.goal, self.goal_offset, strict=True))


def _objective(goal, goal_offset, guard=(), guard_offset=(), output=None) -> Objective:
    goal = np.atleast_2d(np.asarray(goal, dtype=np.float64))
    guard = np.asarray(guard, dtype=np.float64).reshape(-1, goal.shape[1])
    offset = np.atleast_1d(np.asarray(goal_offset, dtype=np.float64))
    return Objective(goal, offset, guard, np.asarray(guard_offset, dtype=np.float64).reshape(-1), output)


def discrepancy_objectives(n_outputs: int, outputs: Sequence[int] | None = None, epsilon=0.0) -> list[Objective]:
    """``f_i − g_i − ε_i`` and ``g_i − f_i − ε_i`` for each output i: their maximum is δ_max when ε = 0."""
    epsilon = np.broadcast_to(np.asarray(epsilon, dtype=np.float64), (n_outputs,))
    unit = np.eye(n_outputs)
    result = []
    for i in range(n_outputs) if outputs is None else outputs:
        for sign in (1.0, -1.0):
            row = np.concatenate([sign * unit[i], -sign * unit[i]])
            result.append(_objective(row, -epsilon[i], output=i))
    return result


def output_objectives(n_outputs: int, pair: bool) -> list[Objective]:
    """``y_i`` and ``−y_i`` for each output i in turn: of one network, or of ``f − g`` for a pair."""
    if pair:
        return discrepancy_objectives(n_outputs)
    unit = np.eye(n_outputs)
    return [_objective(sign * unit[i], 0.0, output=i) for i in range(n_outputs) for sign in (1.0, -1.0)]


def _margin_rows(n: int, winner: int, side: int) -> np.ndarray:
    """Rows ``y_winner − y_j`` for all j ≠ winner, on f's outputs (side 0) or g's (side 1)."""
    rows = np.zeros((n - 1, 2 * n))
    others = [j for j in range(n) if j != winner]
    rows[np.arange(n - 1), [side * n + j for j in others]] = -1.0
    rows[:, side * n + winner] = 1.0
    return rows


@dataclass(frozen=True)
class Epsilon:
    """``|f_i(x) − g_i(x)| ≤ ε_i`` for every output i and every x in X.

    Parameters
    ----------
    epsilon : float or sequence of floats
        One for all outputs, or one an output; at least 0, finite.

    Examples
    --------
    >>> len(Epsilon(0.5).objectives(3)), len(Epsilon((0.1, 0.2)).objectives(2))
    (6, 4)
    """

    epsilon: float | tuple[float, ...]

    def __post_init__(self):
        values = np.atleast_1d(np.asarray(self.epsilon, dtype=np.float64))
        bad = values[~(np.isfinite(values) & (values >= 0))]
        if len(bad) or values.ndim != 1:
            raise ValueError(f"epsilon is {bad[0] if len(bad) else self.epsilon}: it must be finite and at least 0")
        object.__setattr__(self, "epsilon", tuple(values.tolist()) if np.ndim(self.epsilon) else float(values[0]))

    def objectives(self, n_outputs: int) -> list[Objective]:
        """Functions of the stacked outputs: the relation holds iff none is above 0 anywhere."""
        if np.ndim(self.epsilon) and len(self.epsilon) != n_outputs:
            raise ValueError(f"epsilon has {len(self.epsilon)} values, but the networks have {n_outputs} outputs")
        return discrepancy_objectives(n_outputs, epsilon=self.epsilon)


@dataclass(frozen=True)
class Top1:
    """Where f's winner leads all others by at least ``margin``, it is a winner of g too.

    A tie in g satisfies. Where f itself ties (margin 0), each of the tied outputs counts as f's winner.

    Examples
    --------
    >>> len(Top1(margin=0.1).objectives(3))  # an output that wins in f, and another one above it in g
    6
    """

    margin: float = 0.0

    def __post_init__(self):
        if not (np.isfinite(self.margin) and self.margin >= 0):
            raise ValueError(f"margin is {self.margin}: it must be finite and at least 0")

    def objectives(self, n_outputs: int) -> list[Objective]:
        """Functions of the stacked outputs: the relation holds iff none is above 0 anywhere."""
        n = n_outputs
        result = []
        for i in range(n):
            guard = _margin_rows(n, i, side=0)
            for row in -_margin_rows(n, i, side=1):  # g_j − g_i > 0 for some j: g prefers j
                result.append(_objective(row, 0.0, guard, np.full(n - 1, -float(self.margin)), output=i))
        return result


@dataclass(frozen=True)
class TopK:
    """f's winner is among g's k largest outputs (ties satisfy): fewer than k outputs of g are above it, k ≥ 1.

    Examples
    --------
    >>> len(TopK(2).objectives(3))  # a winner, and two others above it in g
    3
    """

    k: int

    def __post_init__(self):
        if not (np.isfinite(self.k) and int(self.k) == self.k and self.k >= 1):
            raise ValueError(f"k is {self.k}: it must be a whole number, at least 1")

    def objectives(self, n_outputs: int) -> list[Objective]:
        """Functions of the stacked outputs: the relation holds iff none is above 0 anywhere."""
        n = n_outputs
        result = []
        for i in range(n):
            guard, above = _margin_rows(n, i, side=0), -_margin_rows(n, i, side=1)
            for chosen in combinations(range(n - 1), self.k):
                result.append(_objective(above[list(chosen)], np.zeros(self.k), guard, np.zeros(n - 1), output=i))
        return result


@dataclass(frozen=True)
class Order:
    """f and g never order outputs i and j strictly oppositely (ties satisfy).

    Examples
    --------
    >>> len(Order(0, 2).objectives(3))
    2
    """

    i: int
    j: int

    def objectives(self, n_outputs: int) -> list[Objective]:
        """Functions of the stacked outputs: the relation holds iff none is above 0 anywhere."""
        for name, index in (("i", self.i), ("j", self.j)):
            if not 0 <= index < n_outputs:
                raise ValueError(f"{name} is {index}, but the networks have outputs 0 to {n_outputs - 1}")
        if self.i == self.j:
            raise ValueError(f"i and j are both {self.i}: they must differ")
        rows = np.zeros((2, 2 * n_outputs))
        rows[0, [self.i, self.j]] = 1.0, -1.0
        rows[1, [n_outputs + self.i, n_outputs + self.j]] = -1.0, 1.0
        return [_objective(sign * rows, np.zeros(2), output=self.i) for sign in (1.0, -1.0)]


Relation = Epsilon | Top1 | TopK | Order
