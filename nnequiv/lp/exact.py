"""Linear programs without any rounding: the dual simplex method on whole numbers.

For programs with few variables where an answer in floats leaves a doubt: planes that meet at a tiny angle need
multipliers so large that their rounding spoils the bound, and HiGHS calls a point feasible that misses a row by 1e-7.

Source: Lemke 1954 (dual simplex), Bland 1977 (the rule that ends it), Edmonds 1967 (pivots without fractions).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from nnequiv.rounding import whole_numbers


@dataclass(frozen=True, eq=False)
class ExactSolution:
    """The maximum of a linear program, and a vertex ``(n,)`` where it is, as exact rationals."""

    value: Fraction
    point: tuple[Fraction, ...]


def exact_maximum(objective, matrix, bound, lower, upper, likely: Sequence[int] | None = None) -> ExactSolution | None:
    """``max objective @ x`` over ``matrix @ x ≤ bound, lower ≤ x ≤ upper``; None if no x satisfies them.

    Parameters
    ----------
    objective : (n,) array
    matrix, bound : (m, n) and (m,) arrays
    lower, upper : (n,) arrays
    likely : row numbers, optional
        Rows that a solution in floats says are binding: they are tried first, which saves pivots.

    Raises
    ------
    ValueError
        If a number is not finite.

    Notes
    -----
    The start is the corner of the box that is best for the objective. A violated row takes the place of one of the
    n borders that define the corner, chosen so that the objective remains a combination of them with multipliers
    ≥ 0: then the corner bounds the maximum, and is it once no row is violated. If no border can leave, the row and
    the borders contradict each other. Rules by a fixed order of all borders make it end.

    Sound: yes. Complete: yes. Entries are determinants of the program, so digits grow with n.

    Examples
    --------
    >>> solution = exact_maximum([1.0, 1.0], [[3.0, 1.0]], [1.0], [0.0, 0.0], [1.0, 1.0])
    >>> solution.value, solution.point
    (Fraction(1, 1), (Fraction(0, 1), Fraction(1, 1)))
    >>> exact_maximum([1.0], [[1.0]], [-1.0], [0.0], [1.0]) is None
    True
    """
    objective, lower, upper = (np.asarray(a, dtype=np.float64) for a in (objective, lower, upper))
    rows = np.column_stack([np.reshape(matrix, (len(bound), len(lower))), bound]).astype(np.float64)
    if not all(np.isfinite(a).all() for a in (objective, rows, lower, upper)):
        raise ValueError("the program has a number that is not finite")
    table = _Dictionary.at_best_corner(objective, rows, lower, upper)
    order = list(range(len(rows) + len(lower)))
    if likely is not None:
        first = dict.fromkeys(int(i) for i in likely)
        order = [*first, *(i for i in order if i not in first)]
    return table.solution() if table.optimise(order) else None


@dataclass
class _Dictionary:
    """``denominator · (row's value) = entries @ (σ, 1)`` where σ ≥ 0 are the slacks of the n borders at the corner.

    The rows: slacks of the other m + n borders (which must be ≥ 0 too), then the inputs, then the objective. A row of
    slacks may stand for a positive multiple of its border's slack.
    """

    entries: np.ndarray
    n: int
    scales: tuple[int, int]  # of the inputs, and of the objective
    denominator: int = 1

    @classmethod
    def at_best_corner(cls, objective, rows, lower, upper) -> _Dictionary:
        at_upper, n = objective > 0, len(lower)
        ends, end_shift = whole_numbers(np.stack([lower, upper]))
        corner, width = np.where(at_upper, ends[1], ends[0]), ends[1] - ends[0]
        inward = np.where(at_upper, -1, 1).astype(object)  # x = corner + inward · σ
        whole, _ = whole_numbers(rows)  # one power of two for all rows: a positive multiple of each
        goal, goal_shift = whole_numbers(objective)
        identity = np.array([[int(i == j) for j in range(n)] for i in range(n)], dtype=object).reshape(n, n)
        # Every block in multiples of 2**-end_shift, the unit of the inputs and of σ.
        slacks = np.column_stack([-whole[:, :-1] * inward, whole[:, -1] * (1 << end_shift) - whole[:, :-1] @ corner])
        opposite = np.column_stack([-identity, width])
        inputs = np.column_stack([identity * inward, corner])
        value = np.append(goal * inward, goal @ corner)[None]
        slacks //= np.maximum(np.gcd.reduce(slacks, axis=1), 1)[:, None]  # smaller numbers, the same borders
        return cls(np.vstack([slacks, opposite, inputs, value]), n, (end_shift, end_shift + goal_shift))

    def optimise(self, order: Sequence[int]) -> bool:
        """Pivot until no border is violated; False if that cannot be. ``order`` ranks the rows of slacks."""
        borders = len(self.entries) - self.n - 1
        rank = np.empty(borders, dtype=int)
        rank[list(order)] = np.arange(borders)
        corner_rank = np.arange(borders, borders + self.n)
        while True:
            violated = np.flatnonzero(self.entries[:borders, -1] < 0)
            if not len(violated):
                return True
            row = violated[np.argmin(rank[violated])]
            columns = np.flatnonzero(self.entries[row, :-1] > 0)
            if not len(columns):
                return False
            column = min(columns, key=lambda j: (self._ratio(row, j), corner_rank[j]))
            self._pivot(row, column)
            rank[row], corner_rank[column] = corner_rank[column], rank[row]

    def _ratio(self, row: int, column: int) -> Fraction:
        return Fraction(-self.entries[-1, column], self.entries[row, column])

    def _pivot(self, row: int, column: int) -> None:
        """Border ``row`` comes to the corner in place of border ``column``."""
        entries, pivot = self.entries, self.entries[row, column]
        leaving, entering = entries[row].copy(), entries[:, column].copy()
        entries = (entries * pivot - np.outer(entering, leaving)) // self.denominator  # without remainder
        entries[:, column] = entering
        entries[row] = -leaving
        entries[row, column] = self.denominator
        self.entries, self.denominator = entries, pivot

    def solution(self) -> ExactSolution:
        *inputs, value = self.entries[-self.n - 1 :, -1]
        shift, value_shift = self.scales
        point = tuple(Fraction(v, self.denominator << shift) for v in inputs)
        return ExactSolution(Fraction(value, self.denominator << value_shift), point)
