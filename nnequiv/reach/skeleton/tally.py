"""What the leaves of a skeleton run say about each box: the largest objective from both sides, and the pieces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from nnequiv.network import Network
from nnequiv.reach.engine import InputSet, Optimum, attained, stacked_outputs
from nnequiv.reach.skeleton.buffers import blocks
from nnequiv.reach.skeleton.complex import Complex
from nnequiv.reach.skeleton.plan import BISECTIONS, Plan
from nnequiv.reach.skeleton.walk import Leaf
from nnequiv.relations import Objective
from nnequiv.rounding import UNIT, dot_error

#: How far a witness moves from its vertex towards a point inside, until guards and cuts hold in floats.
SHARES = (0.0, 1e-12, 1e-10, 1e-8, 1e-6, 1e-4, 1e-2)
#: Vertices judged in one call: with many objectives their values are more than the complex itself.
BLOCK = 8192
#: Vertices tried as witness in a leaf, best first, where guards or cuts may refuse one.
TRIES = 8


@dataclass(eq=False)
class Tally:
    """Answers for boxes ``0 … k − 1``. ``proof``: fallbacks that were taken."""

    lower: np.ndarray
    upper: np.ndarray
    objective: np.ndarray
    witness: list
    pieces: np.ndarray
    leaves: int = 0
    lps: int = 0
    proof: list[str] = field(default_factory=list)

    @classmethod
    def empty(cls, k: int) -> Tally:
        return cls(np.full(k, -np.inf), np.full(k, -np.inf), np.full(k, -1), [None] * k, np.zeros(k, dtype=int))

    def add(self, other: Tally) -> None:
        """Join the answers of other parts of the same boxes."""
        for k in np.flatnonzero(other.lower > self.lower):
            self.improve(k, other.lower[k], other.objective[k], other.witness[k])
        np.maximum(self.upper, other.upper, out=self.upper)
        self.pieces += other.pieces
        self.leaves += other.leaves
        self.lps += other.lps
        self.proof += [text for text in other.proof if text not in self.proof]

    def improve(self, k: int, lower: float, objective: int, witness: np.ndarray) -> None:
        if lower > self.lower[k]:
            self.lower[k], self.objective[k], self.witness[k] = lower, objective, witness

    def optimum(self, k: int, reason: str = "") -> Optimum:
        proof = "vertices of the complex, drift and bend added (nnequiv.reach.skeleton.drift)"
        objective = int(self.objective[k]) if self.objective[k] >= 0 else None
        return Optimum(
            lower=float(self.lower[k]),
            upper=float(max(self.upper[k], self.lower[k])),
            objective=objective,
            witness=self.witness[k],
            pieces=int(self.pieces[k]),
            nodes=self.leaves,
            lps=self.lps,
            reason=reason,
            proof="; ".join([proof, *self.proof]),
        )


def best_values(leaf: Leaf, plan: Plan, objectives: Sequence[Objective]) -> np.ndarray:
    """The largest objective at each vertex, errors added, (vertices,)."""
    count = len(leaf.outputs)
    best = np.empty(count)
    for block in blocks(count, BLOCK):
        proved_values(leaf, plan, objectives, block).max(axis=1, out=best[block])
    return best


def best_objectives(leaf: Leaf, plan: Plan, objectives: Sequence[Objective], vertices: np.ndarray) -> np.ndarray:
    """Which objective is the largest at some vertices, (k,)."""
    return proved_values(leaf, plan, objectives, vertices).argmax(axis=1)


def proved_values(
    leaf: Leaf, plan: Plan, objectives: Sequence[Objective], block: slice | np.ndarray = slice(None)
) -> np.ndarray:
    """Objectives at some vertices (block, objectives), errors added: over all vertices, their maximum bounds it."""
    goal, offset = np.vstack([o.goal for o in objectives]), np.concatenate([o.goal_offset for o in objectives])
    size = np.abs(goal)
    proved = leaf.state.outputs
    error = 2 * dot_error(goal.shape[1], size @ proved.size + np.abs(offset)) + size @ proved.error * (1 + 1e-9)
    values = (goal @ leaf.outputs[block].T).T  # vertices side by side in memory: their maximum is taken fast
    values += offset + error
    if all(o.linear for o in objectives):
        return values
    first = np.cumsum([0, *(len(o.goal) for o in objectives[:-1])])
    values = np.minimum.reduceat(values, first, axis=1)
    for index, (guards, ties) in enumerate(zip(plan.questions.guards, plan.questions.ties, strict=True)):
        if len(ties):
            values[:, index] += _tie_slack(leaf, plan, ties)
        values[(leaf.questions[block][:, guards] < 0).any(axis=1), index] = -np.inf
    return values


def _tie_slack(leaf: Leaf, plan: Plan, ties: np.ndarray) -> float:
    """By how much another goal than the one a cell takes for the least can be less at a vertex.

    The signs of the differences of goals order the goals of a cell, each up to shift and rounding; in a tournament some
    goal reaches every other in at most two steps.
    """
    rows, offsets = plan.questions.rows[ties], plan.questions.offsets[ties]
    nested = len(plan.questions.offsets) + BISECTIONS  # a part may be bisected between the planes of its question
    proved = leaf.state.outputs.affine(rows, offsets).interpolated(nested, plan.reach)
    return float(2 * (leaf.shifts[ties] + 2 * proved.error + 4 * UNIT * proved.size).max())


def record(tally: Tally, leaf: Leaf, plan: Plan, objectives: Sequence[Objective], sets: Sequence[InputSet]) -> None:
    """Enter a leaf: bound and witness of each of its boxes. ``sets``: the input sets by the caller's numbers."""
    best, home = best_values(leaf, plan, objectives), leaf.home.astype(int)
    tally.leaves += 1
    np.add.at(tally.pieces, plan.job.homes, leaf.pieces)
    if len(plan.job.homes) > 1:
        order = np.lexsort((best, home))
        tops = order[np.flatnonzero(np.append(home[order][1:] != home[order][:-1], True))]
    else:
        tops = best.argmax(keepdims=True)
    boxes = plan.job.homes[home[tops]]
    # The sums that made a value were rounded to nearest.
    found = best[tops] + np.where(np.isfinite(best[tops]), 4 * UNIT * np.abs(best[tops]), 0.0)
    found[np.isnan(found)] = np.inf  # the networks overflow: nothing is proved
    np.maximum.at(tally.upper, boxes, found)
    if all(o.linear for o in objectives) and not len(plan.job.cuts[1]):
        _witnesses_at(tally, leaf, plan, objectives, tops, best[tops])
        return
    for k, top in zip(boxes, tops, strict=True):
        mine = np.flatnonzero((home == home[top]) & (best > tally.lower[k]))
        mine = mine[np.argsort(best[mine])[::-1][:TRIES]]
        for vertex, index in zip(mine, best_objectives(leaf, plan, objectives, mine), strict=True):
            _witness_near(tally, leaf, plan, objectives, sets[k], vertex, int(index))


def _witnesses_at(tally: Tally, leaf: Leaf, plan: Plan, objectives, tops, values) -> None:
    """The best vertices ``tops``, one a box, as witnesses; ``values`` (tops,)."""
    home = leaf.home[tops].astype(int)
    boxes = plan.job.homes[home]
    promising = values > tally.lower[boxes]
    if not promising.any():
        return
    indices = best_objectives(leaf, plan, objectives, tops)
    points = plan.full_points(leaf.positions[tops], home)
    for index in np.unique(indices[promising]):
        which = np.flatnonzero(promising & (indices == index))
        for w, reached in zip(which, attained(plan.networks, objectives[index], points[which]), strict=True):
            tally.improve(boxes[w], reached, index, points[w])


def _witness_near(tally: Tally, leaf: Leaf, plan: Plan, objectives, input_set, vertex: int, index: int) -> None:
    """A vertex that may miss a guard or a half-space by rounding: try it, then points a little inside."""
    home = int(leaf.home[vertex])
    allowed = (leaf.questions[:, plan.questions.guards[index]] >= 0).all(axis=1) & (leaf.home == home)
    near = _neighbours(leaf.complex, vertex)
    near = near[allowed[near]]
    position = leaf.positions[vertex]
    # Neighbours stay in the cells around the vertex; all vertices get away where those cells are thin as rounding.
    around = [near, np.flatnonzero(allowed)]
    targets = [leaf.positions[which].mean(axis=0) for which in around if len(which)]
    shares = np.array(SHARES)[:, None]
    positions = np.concatenate([position + shares * (target - position) for target in targets])
    points = plan.full_points(positions, np.full(len(positions), home))
    k = int(plan.job.homes[home])
    reached = attained(plan.networks, objectives[index], points)
    for w in np.flatnonzero(reached > tally.lower[k]):
        if reached[w] > tally.lower[k] and input_set.contains(points[w]):
            tally.improve(k, reached[w], index, points[w])


def _neighbours(complex_: Complex, vertex: int) -> np.ndarray:
    start, end = complex_.start[: complex_.n_edges], complex_.end[: complex_.n_edges]
    return np.concatenate([end[start == vertex], start[end == vertex]])


def record_point(tally: Tally, k: int, networks: Sequence[Network], input_set: InputSet, objectives) -> None:
    """An input set without free inputs is one point."""
    point = input_set.box.lower
    if not input_set.contains(point):
        raise ValueError("the input set is empty: its only candidate violates a half-space")
    tally.pieces[k] += 1
    outputs, errors = stacked_outputs(networks, point)
    for index, objective in enumerate(objectives):
        tally.upper[k] = max(tally.upper[k], _value_above(objective, outputs[0], errors[0]))
        tally.improve(k, attained(networks, objective, point)[0], index, point)


def _value_above(objective: Objective, outputs: np.ndarray, errors: np.ndarray) -> float:
    """Proved upper bound on an objective at outputs known up to ``errors``; −inf if a guard is proved to fail."""

    def above(rows, offsets):
        size = np.abs(rows)
        slack = (size @ errors) * (1 + 1e-9) + 2 * dot_error(
            rows.shape[1], size @ (np.abs(outputs) + errors) + np.abs(offsets)
        )
        return rows @ outputs + offsets + slack

    if (above(objective.guard, objective.guard_offset) < 0).any():
        return -np.inf
    return float(above(objective.goal, objective.goal_offset).min())
