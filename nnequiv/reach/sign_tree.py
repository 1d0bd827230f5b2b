"""Branch and bound on the signs of neurons: what proves the bound of the engine ``milp``.

A node fixes the signs of some neurons. Its bound is a linear program: the big-M rows with binaries relaxed to [0, 1].
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from nnequiv.control import Control
from nnequiv.lp import HighspySolver, LPError, maximise_in_floats
from nnequiv.network import Network
from nnequiv.reach.big_m import Encoding
from nnequiv.reach.engine import InputSet
from nnequiv.reach.leaf import climb, leaf_with
from nnequiv.relations import Objective

#: Bounds no further apart are one bound: a tie between numbers this small would be searched to its last leaf.
UNDERFLOW = 1e-300


@dataclass
class SignTree:
    """The proof of one objective's bound.

    Attributes
    ----------
    rows : (m, variables + 2) array
        ``[matrix, high]`` of the relaxed program; its last variable is the objective over ``size``.
    lower, upper : (variables + 1,) arrays
    offer : callable
        Told of every point that may be a witness, and its value; gives the value above which a bound is not enough.

    Notes
    -----
    *Sound.* Every x has true signs. On the way to the node with these signs, a node is left only with a bound: from
    the relaxed rows, which x satisfies with its true values, rounding included, or with all signs known, from the leaf
    of these signs (:func:`leaf_with`), which holds x. Both bounds are by LP duality, not by the solver's word.
    *Complete.* A leaf's program is finished exactly where it has few inputs (:func:`nnequiv.lp.maximise`).
    """

    encoding: Encoding
    networks: Sequence[Network]
    input_set: InputSet
    objective: Objective
    rows: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    size: float
    offer: Callable[[float, np.ndarray | None], float]
    solver: HighspySolver = field(default_factory=HighspySolver)
    nodes: int = 0

    def maximum(self, control: Control, beat: float) -> float:
        """Proved: the objective is nowhere above this. Ends once that is at most what ``offer`` last asked for."""
        proved, enough, stack = -np.inf, beat, [{}]
        while stack:
            control.check(lower=enough, left=len(stack))
            signs = stack.pop()
            self.nodes += 1
            if len(signs) == len(self.encoding.binaries):
                bound, enough = self._leaf(signs, enough)
                proved = max(proved, bound)
                continue
            bound, values = self._relaxed(signs)
            if bound <= max(enough, proved + UNDERFLOW):
                proved = max(proved, bound)
                continue
            neuron, likely = self._undecided(signs, values)
            stack += [{**signs, neuron: not likely}, {**signs, neuron: likely}]
        return proved

    def _leaf(self, signs: dict[int, bool], enough: float) -> tuple[float, float]:
        pattern = np.array(self.encoding.pattern, dtype=bool)
        pattern[list(signs)] = list(signs.values())
        leaf = leaf_with(self.networks, self.input_set, pattern)
        best = climb(leaf, self.objective, self.networks, self.input_set, self.solver, beat=enough)
        return best.bound, self.offer(best.reached, best.point)

    def _relaxed(self, signs: dict[int, bool]) -> tuple[float, np.ndarray | None]:
        """Bound and maximiser of the relaxed program; infinite and None if the solver fails."""
        chosen = np.zeros((len(signs), self.rows.shape[1]))
        for row, (neuron, sign) in zip(chosen, signs.items(), strict=True):
            row[self.encoding.binaries[neuron]] = -1.0 if sign else 1.0  # s ≥ 1, or s ≤ 0
            row[-1] = -1.0 if sign else 0.0
        rows, goal = np.vstack([self.rows, chosen]), np.zeros(len(self.lower))
        goal[-1] = 1.0
        try:
            value, point = maximise_in_floats(self.solver, goal, rows[:, :-1], rows[:, -1], self.lower, self.upper)
        except LPError:
            return np.inf, None
        return value * self.size, point

    def _undecided(self, signs: dict[int, bool], values: np.ndarray | None) -> tuple[int, bool]:
        """The neuron whose binary is furthest from both signs, and the sign it is nearer to."""
        left = [neuron for neuron in self.encoding.binaries if neuron not in signs]
        if values is None:
            return left[0], True
        shares = values[[self.encoding.binaries[neuron] for neuron in left]]
        k = int(np.argmin(np.abs(shares - 0.5)))
        return left[k], bool(shares[k] > 0.5)
