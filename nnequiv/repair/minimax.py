"""The best last layer over a list of points: linear programs with cutting planes.

A last layer ``u`` (weights and biases, ``(outputs, width + 1)``) has the value ``max over points v and rows r of
V_rv(u)``, with ``V_rv(u) = alpha_r · f(v) + beta_r · (u φ(v)) + offset_r`` and g's features ``φ(v)``: affine in u. So
the least value is a linear program, ``min t : V_rv(u) ≤ t``, of which only the rows that matter are written (cuts).
Outputs that no row couples are problems of their own (blocks). Nothing here is a proof: the value is proved by an
engine, the lower bound by :mod:`nnequiv.repair.lower_bound`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from nnequiv.control import Control
from nnequiv.lp import SOLVERS, HighspySolver, LPError, solve_scaled
from nnequiv.repair.points import Points
from nnequiv.repair.target import Target
from nnequiv.rounding import power_of_two

#: Feasibility tolerance asked of the solver, and by how much a pair must exceed the program's value to become a cut: in
#: units of the largest value at the start.
LP_TOL = 1e-9
#: Cuts added at once: of each row and input set, and in all.
CUTS_EACH, CUTS_TOGETHER = 3, 2000
#: Rounds of cuts after which the best layer found is taken as it is.
MOST_ROUNDS = 100
#: The program is stated anew around its solution where the value has fallen below this share of where it began: the
#: solver's tolerances are absolute.
RECENTRE = 0.2


@dataclass(frozen=True, eq=False)
class Block:
    """Outputs that belong together, and what may be done to their part of the last layer.

    Attributes
    ----------
    outputs : (b,) int array
    alpha, beta, offset : (rows, f's outputs), (rows, b) and (rows,) arrays
    kinds : dict of (rows of the kind,) int arrays
        Which rows hold on the input sets of a kind.
    low, high : (b, width + 1) arrays
        Limits on weights and biases, infinite mostly; equal where an entry must stay.
    """

    outputs: np.ndarray
    alpha: np.ndarray
    beta: np.ndarray
    offset: np.ndarray
    kinds: dict[int, np.ndarray]
    low: np.ndarray
    high: np.ndarray

    @property
    def free(self) -> np.ndarray:
        """Entries that may move, bool ``(b, width + 1)``."""
        return self.low < self.high


def blocks_of(target: Target, kinds: Sequence[int], low: np.ndarray, high: np.ndarray) -> list[Block]:
    """The blocks of a target: connected components of outputs that share a row. ``low, high``: the whole layer's."""
    alphas, betas, offsets, of_kind, n_f = [], [], [], {}, sum(network.n_outputs for network in target.partners)
    for kind in sorted(set(kinds)):
        objectives = target.objectives(kind)
        of_kind[kind] = np.arange(len(objectives)) + len(offsets)
        alphas += [o.goal[0, :n_f] for o in objectives]
        betas += [o.goal[0, n_f:] for o in objectives]
        offsets += [o.goal_offset[0] for o in objectives]
    alpha = np.array(alphas, dtype=float).reshape(len(offsets), n_f)
    beta, offset = np.array(betas, dtype=float).reshape(len(offsets), len(low)), np.array(offsets)
    name = np.arange(len(low))  # of each output's component
    for row in beta:
        together = np.isin(name, name[row != 0])
        name[together] = name[together].min(initial=len(name))
    blocks = []
    for component in np.unique(name):
        outputs = np.flatnonzero(name == component)
        rows = np.flatnonzero((beta[:, outputs] != 0).any(axis=1))
        inverse = {row: index for index, row in enumerate(rows)}
        mine = {k: np.array([inverse[r] for r in some if r in inverse], dtype=int) for k, some in of_kind.items()}
        rows_of = (alpha[rows], beta[np.ix_(rows, outputs)], offset[rows], mine)
        if len(rows):
            blocks.append(Block(outputs, *rows_of, low[outputs], high[outputs]))
    return blocks


@dataclass(frozen=True, eq=False)
class Minimum:
    """A part of a last layer ``(b, width + 1)``, its value over the points, and the evidence that it is least.

    ``cuts``: (points, rows), two int arrays; ``multipliers``: one a cut, ≥ 0; ``rounds``: of cuts.
    """

    entries: np.ndarray
    value: float
    cuts: tuple[np.ndarray, np.ndarray]
    multipliers: np.ndarray
    rounds: int


class Minimax:
    """The problem of one block over some points."""

    def __init__(self, points: Points, kinds: Sequence[int], block: Block, lp: str = "highspy"):
        self.points, self.kinds, self.block, self.lp = points, np.asarray(kinds), block, lp
        kind_of_point = self.kinds[points.home]
        self.groups = [(np.flatnonzero(kind_of_point == kind), rows) for kind, rows in block.kinds.items() if len(rows)]

    def values(self, entries: np.ndarray) -> list[np.ndarray]:
        """Values of a layer at all points and rows, a (points, rows) array for each kind."""
        block, result = self.block, []
        for members, rows in self.groups:
            value = self.points.features[members] @ (block.beta[rows] @ entries).T
            value += self.points.outputs[members] @ block.alpha[rows].T + block.offset[rows]
            result.append(value)
        return result

    def value(self, entries: np.ndarray) -> float:
        return max((float(values.max(initial=-np.inf)) for values in self.values(entries)), default=-np.inf)

    def above(self, entries: np.ndarray, limit: float) -> tuple[np.ndarray, np.ndarray]:
        """Pairs (points, rows) above a limit, the worst few of each row and input set, the worst first."""
        points, rows, found = [], [], []
        for (members, group), values in zip(self.groups, self.values(entries), strict=True):
            which, column = np.nonzero(values > limit)
            points.append(members[which])
            rows.append(group[column])
            found.append(values[which, column])
        points, rows, found = np.concatenate(points), np.concatenate(rows), np.concatenate(found)
        place = self.points.home[points] * len(self.block.offset) + rows
        order = np.lexsort((-found, place))
        first = np.flatnonzero(np.append(True, place[order][1:] != place[order][:-1])) if len(order) else order
        rank = np.arange(len(order)) - np.repeat(first, np.diff(np.append(first, len(order))))
        kept = order[rank < CUTS_EACH]
        kept = kept[np.argsort(-found[kept], kind="stable")][:CUTS_TOGETHER]
        return points[kept], rows[kept]

    def coefficients(self, cuts) -> np.ndarray:
        """``∂V/∂u`` of each cut, on the free entries: (cuts, free)."""
        points, rows = cuts
        full = self.block.beta[rows][:, :, None] * self.points.features[points][:, None, :]
        return full[:, self.block.free]

    def values_at(self, cuts, entries: np.ndarray) -> np.ndarray:
        """Values of a layer at the cuts, (cuts,)."""
        (points, rows), block = cuts, self.block
        ours = ((block.beta[rows] @ entries) * self.points.features[points]).sum(axis=1)
        return (self.points.outputs[points] * block.alpha[rows]).sum(axis=1) + ours + block.offset[rows]

    # -- the two programs -------------------------------------------------------------------------------------------

    def minimise(self, start: np.ndarray, floor: float, control: Control) -> Minimum:
        """The least value a layer has, at least ``floor``, and a layer that has it."""
        best = None
        cuts = self.above(start, -np.inf)
        while True:
            found = self._cutting_planes(_Least(self, start, floor), start, cuts, control)
            if best is not None:
                found = replace(found, rounds=found.rounds + best.rounds)
            shrunk = best is None or found.value < RECENTRE * best.value
            best = found
            if not (shrunk and 0 < found.value < RECENTRE * self.value(start)):
                return best
            start, cuts = found.entries, found.cuts

    def nearest(self, old: np.ndarray, limit: float, begin: Minimum, control: Control) -> Minimum:
        """Of the layers whose value is at most ``limit``, the one nearest to ``old`` in the sum of absolute changes.

        ``begin`` is such a layer, and stays the answer where the solver finds no other: a limit that is the least value
        itself leaves a set so thin that rounding can empty it.
        """
        try:
            found = self._cutting_planes(_Nearest(self, old, limit), old, begin.cuts, control)
        except LPError:
            return begin
        return replace(begin, entries=found.entries, value=found.value, rounds=begin.rounds + found.rounds)

    def _cutting_planes(self, program, start: np.ndarray, cuts, control: Control) -> Minimum:
        """Solve a program on its cuts, add the pairs its solution violates, until there are none."""
        solver = HighspySolver(LP_TOL) if self.lp == "highspy" else SOLVERS[self.lp]()
        best, known = None, set(zip(*(part.tolist() for part in cuts), strict=True))
        for number in range(1, MOST_ROUNDS + 1):
            control.check(cuts=len(known))
            entries, limit, multipliers = program.solve(solver, cuts)
            found = Minimum(entries, self.value(entries), cuts, multipliers, number)
            best = found if best is None or found.value < best.value or program.exact else best
            new = self.above(entries, limit + LP_TOL * program.unit)
            fresh = [pair not in known for pair in zip(*(part.tolist() for part in new), strict=True)]
            if not any(fresh):
                break
            new = new[0][fresh], new[1][fresh]
            known.update(zip(*(part.tolist() for part in new), strict=True))
            cuts = np.concatenate([cuts[0], new[0]]), np.concatenate([cuts[1], new[1]])
        return replace(best, cuts=found.cuts, multipliers=found.multipliers, rounds=number)


class _Program:
    """What both programs share: variables are changes of the free entries, in units that make numbers about 1."""

    def __init__(self, problem: Minimax, start: np.ndarray):
        self.problem, self.start = problem, start
        block = problem.block
        self.unit = float(power_of_two(np.abs(np.concatenate([v.ravel() for v in problem.values(start)])).max()))
        size = np.broadcast_to(np.abs(problem.points.features).max(axis=0), block.low.shape)[block.free]
        self.scale = power_of_two(size) / self.unit  # a variable is scale · change
        self.low = (block.low - start)[block.free] * self.scale
        self.high = (block.high - start)[block.free] * self.scale

    def rows(self, cuts) -> tuple[np.ndarray, np.ndarray]:
        """Coefficients on the scaled changes, and the values at the start, in units."""
        problem = self.problem
        return problem.coefficients(cuts) / (self.scale * self.unit), problem.values_at(cuts, self.start) / self.unit

    def moved(self, change: np.ndarray) -> np.ndarray:
        block, entries = self.problem.block, self.start.copy()
        entries[block.free] += change / self.scale
        return np.clip(entries, block.low, block.high)


class _Least(_Program):
    """``min t : V ≤ t, t ≥ floor``."""

    exact = False  # a layer with a smaller value is better, whichever round it is from

    def __init__(self, problem: Minimax, start: np.ndarray, floor: float):
        super().__init__(problem, start)
        self.floor = floor / self.unit

    def solve(self, solver, cuts):
        coefficients, values = self.rows(cuts)
        matrix = np.column_stack([coefficients, -np.ones(len(values))])
        objective = np.append(np.zeros(coefficients.shape[1]), -1.0)
        low, high = np.append(self.low, self.floor), np.append(self.high, np.inf)
        solution = solve_scaled(solver, objective, matrix, -values, low, high)
        return self.moved(solution.point[:-1]), solution.point[-1] * self.unit, np.maximum(solution.multipliers, 0.0)


class _Nearest(_Program):
    """``min ‖change‖₁ : V ≤ limit``, with each change as ``plus − minus``."""

    exact = True  # a layer that breaks the limit is no answer, however near it is

    def __init__(self, problem: Minimax, start: np.ndarray, limit: float):
        super().__init__(problem, start)
        self.limit = limit

    def solve(self, solver, cuts):
        coefficients, values = self.rows(cuts)
        matrix = np.hstack([coefficients, -coefficients])
        cost = 1.0 / np.concatenate([self.scale, self.scale])
        low, high = np.zeros(len(cost)), np.maximum(np.concatenate([self.high, -self.low]), 0.0)
        solution = solve_scaled(solver, -cost, matrix, self.limit / self.unit - values, low, high)
        if not solution.feasible:
            raise LPError("infeasible")
        n = len(self.scale)
        return self.moved(solution.point[:n] - solution.point[n:]), self.limit, solution.multipliers
