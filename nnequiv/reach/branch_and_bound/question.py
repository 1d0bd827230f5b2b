"""All objectives of one question as arrays, so that a batch of parts or points is judged by a few NumPy calls.

Goals and guards are *terms* ``sign · (row · y) + offset``. Rows that differ only in sign are kept once: f_i − g_i and
g_i − f_i are the two ends of one interval.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from nnequiv.network import Network
from nnequiv.reach.engine import InputSet, attained
from nnequiv.relations import Objective
from nnequiv.rounding import dot_error, evaluate_exact


class _Terms:
    """Collects rows without repetition."""

    def __init__(self):
        self.rows: list[np.ndarray] = []
        self._row_index: dict[bytes, int] = {}
        self.terms: list[tuple[int, float, float]] = []
        self._term_index: dict[tuple, int] = {}

    def add(self, row: np.ndarray, offset: float) -> int:
        row = row + 0.0  # no negative zeros: equal rows have equal bytes
        sign = 1.0
        if (-row + 0.0).tobytes() in self._row_index:
            row, sign = -row + 0.0, -1.0
        index = self._row_index.setdefault(row.tobytes(), len(self.rows))
        if index == len(self.rows):
            self.rows.append(row)
        term = (index, sign, float(offset))
        position = self._term_index.setdefault(term, len(self.terms))
        if position == len(self.terms):
            self.terms.append(term)
        return position


def _padded(lists: list[list[int]], fill: int) -> np.ndarray:
    width = max((len(entry) for entry in lists), default=0)
    return np.array([entry + [fill] * (width - len(entry)) for entry in lists], dtype=int).reshape(len(lists), width)


class Question:
    """Objectives over the stacked outputs of some networks on one input set.

    Attributes
    ----------
    rows : (R, m) array
        Distinct up to sign.
    row, sign, offset : (T,) arrays
        Term t is ``sign[t] · (rows[row[t]] · y) + offset[t]``.
    goals, guards : (O, …) int arrays
        Terms of each objective, padded with T, which stands for a term that is +∞.
    """

    def __init__(self, networks: Sequence[Network], input_set: InputSet, objectives: Sequence[Objective]):
        self.networks, self.input_set, self.objectives = tuple(networks), input_set, tuple(objectives)
        m = sum(network.n_outputs for network in networks)
        for index, objective in enumerate(objectives):
            if objective.goal.shape[1] != m:
                raise ValueError(f"objective {index} reads {objective.goal.shape[1]} outputs, the networks have {m}")
        collected = _Terms()
        goals = [[collected.add(*pair) for pair in zip(o.goal, o.goal_offset, strict=True)] for o in objectives]
        guards = [[collected.add(*pair) for pair in zip(o.guard, o.guard_offset, strict=True)] for o in objectives]
        self.rows = np.array(collected.rows).reshape(-1, m)
        terms = np.array(collected.terms, dtype=np.float64).reshape(-1, 3)
        self.row, self.sign, self.offset = terms[:, 0].astype(int), terms[:, 1], terms[:, 2]
        self.goals, self.guards = _padded(goals, len(terms)), _padded(guards, len(terms))
        splits = np.cumsum([network.n_outputs for network in networks])[:-1]
        self.rows_of = [np.ascontiguousarray(part) for part in np.split(self.rows, splits, axis=1)]

    def term_upper(self, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        """Proved upper bounds on all terms, given those on the rows ``(B, R)``; ``(B, T + 1)``, the last +∞."""
        value = np.where(self.sign > 0, high[:, self.row], -low[:, self.row])
        with_offset = value + self.offset
        with_offset += dot_error(1, np.abs(value) + np.abs(self.offset))
        return np.concatenate([with_offset, np.full((len(low), 1), np.inf)], axis=1)

    def objective_upper(self, terms: np.ndarray) -> np.ndarray:
        """Upper bounds on the objectives ``(B, O)`` from those on the terms; −inf where a guard must fail."""
        value = terms[:, self.goals].min(axis=2)
        if self.guards.shape[1]:
            value = np.where(terms[:, self.guards].min(axis=2) < 0, -np.inf, value)
        return value

    def values(self, points: np.ndarray) -> np.ndarray:
        """Values of all objectives at points ``(k, n)`` in plain floats, ``(k, O)``; to choose, not to prove."""
        outputs = np.hstack([network.evaluate(points) for network in self.networks])
        rows = outputs @ self.rows.T
        terms = np.concatenate([self.sign * rows[:, self.row] + self.offset, np.full((len(points), 1), np.inf)], axis=1)
        return self.objective_upper(terms)


class Best:
    """The best witness so far: a point of X, and the proved value there."""

    #: Of the points offered at once, how many are evaluated with proof, and how many in exact arithmetic.
    PROVED, EXACT = 32, 2

    #: Weights of a network beyond which exact evaluation is too slow to be tried on a mere candidate.
    EXACT_SIZE = 2000

    def __init__(self, question: Question):
        self.question = question
        self.lower, self.objective, self.witness = -np.inf, None, None
        size = sum(layer.weight.size for network in question.networks for layer in network.layers)
        self._exact = self.EXACT if size <= self.EXACT_SIZE else 0

    def offer(self, points: np.ndarray) -> None:
        """Take the best of some points ``(k, n)`` if it beats the witness, is proved to, and lies in X."""
        points = self.question.input_set.box.clip(points)
        values = self.question.values(points)
        best, which = values.max(axis=1), values.argmax(axis=1)
        order = np.argsort(-best, kind="stable")[: self.PROVED]
        order = order[best[order] > self.lower]
        if not len(order):
            return
        proved = np.full(len(order), -np.inf)
        for o in np.unique(which[order]):
            some = which[order] == o
            proved[some] = attained(self.question.networks, self.question.objectives[o], points[order[some]])
        for k in np.argsort(-proved, kind="stable"):
            if proved[k] <= self.lower:
                break
            if self._inside(points[order[k]]):
                self._take(float(proved[k]), int(which[order[k]]), points[order[k]])
                break
        for k in order[: self._exact] if best[order[0]] > self.lower else ():
            self._offer_exactly(points[k], int(which[k]))

    def take(self, other: Best) -> None:
        """Take over another's witness, proved already, if it is better."""
        if other.lower > self.lower:
            self.lower, self.objective, self.witness = other.lower, other.objective, other.witness

    def _take(self, value: float, objective: int, point: np.ndarray) -> None:
        self.lower, self.objective, self.witness = value, objective, point.copy()

    def _offer_exactly(self, point: np.ndarray, objective: int) -> None:
        """Where rounding leaves a guard or a half-space open, as at ties: no rounding at all."""
        outputs = [y for network in self.question.networks for y in evaluate_exact(network, point)]
        value = self.question.objectives[objective].exact_value(outputs)
        if value is None or abs(value) > np.finfo(float).max:
            return
        low = float(value)
        low = low if Fraction(low) <= value else float(np.nextafter(low, -np.inf))
        if low > self.lower and self.question.input_set.contains(point):
            self._take(low, objective, point)

    def _inside(self, point: np.ndarray) -> bool:
        """Whether a point of the box satisfies the half-spaces: proved in floats, else exactly where it is near."""
        matrix, bound = self.question.input_set.cuts
        value = matrix @ point
        slack = dot_error(len(point), np.abs(matrix) @ np.abs(point) + np.abs(bound))
        if (value + slack <= bound).all():
            return True
        return bool((value - slack <= bound).all()) and self.question.input_set.contains(point)
