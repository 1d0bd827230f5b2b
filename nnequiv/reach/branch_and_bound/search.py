"""What every way of splitting shares: the best witness, the value a part must beat, and what closed parts add up to."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from nnequiv.reach.branch_and_bound.question import Best, Question
from nnequiv.rounding import dot_error

#: A maximum this share of the tolerance away from the threshold is still decided, not called a tie.
FINER = 1e-3


@dataclass
class Search:
    """The state of one search.

    Attributes
    ----------
    question : Question
    best : Best
        The best witness so far.
    tolerance, relative : float
        A part is closed when its bound is within ``max(tolerance, relative |lower|)`` of the witness.
    threshold : float or None
        For a verdict a bound ≤ threshold closes a part as well.
    closed : float
        Largest bound of a closed part.
    stuck : float
        Largest bound of a part that nothing can split any more, though it is above the target.
    nodes : int
        Parts bounded.
    lps : int
        Linear programs that were left to the simplex method.
    """

    question: Question
    tolerance: float
    relative: float
    threshold: float | None
    best: Best = field(init=False)
    closed: float = -np.inf
    stuck: float = -np.inf
    nodes: int = 0
    lps: int = 0

    def __post_init__(self):
        self.best = Best(self.question)

    @property
    def target(self) -> float:
        """Only parts with a bound above this matter."""
        lower = self.best.lower
        enough = max(self.tolerance, self.relative * abs(lower)) if np.isfinite(lower) else 0.0
        return lower + enough if self.threshold is None else max(lower + FINER * enough, self.threshold)

    @property
    def decided(self) -> bool:
        """A counterexample is known: nothing else can change the verdict."""
        return self.threshold is not None and self.best.lower > self.threshold

    def close(self, bounds: np.ndarray) -> None:
        self.closed = max(self.closed, float(np.max(bounds, initial=-np.inf)))

    def give_up(self, bounds: np.ndarray) -> None:
        self.stuck = max(self.stuck, float(np.max(bounds, initial=-np.inf)))

    def branch(self) -> Search:
        """A search of some of the parts elsewhere: it knows the best witness, and counts from zero."""
        other = replace(self, closed=-np.inf, stuck=-np.inf, nodes=0, lps=0)
        other.best.take(self.best)
        return other

    def join(self, other: Search) -> None:
        """Add what a branch found."""
        self.best.take(other.best)
        self.closed, self.stuck = max(self.closed, other.closed), max(self.stuck, other.stuck)
        self.nodes, self.lps = self.nodes + other.nodes, self.lps + other.lps


@dataclass(frozen=True, eq=False)
class Children:
    """Parts to go on with: bounds ``(B,)`` inherited from their parents, and fields ``(B, …)``."""

    bound: np.ndarray
    fields: dict[str, np.ndarray]


def outside(question: Question, center: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """Boxes ``(B,)`` proved to miss the input set: a half-space excludes all of them, rounding included."""
    matrix, bound = question.input_set.cuts
    if not len(bound):
        return np.zeros(len(center), dtype=bool)
    size = np.abs(matrix).T
    slack = 4 * dot_error(2 * len(size), (np.abs(center) + radius) @ size + np.abs(bound))
    return (center @ matrix.T - radius @ size - slack > bound).any(axis=1)
