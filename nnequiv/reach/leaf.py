"""One branch of the star search, from the root to its leaf, and the LP that maximises an objective on a leaf."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from nnequiv import lp
from nnequiv.reach.engine import Piece, attained
from nnequiv.relations import Objective
from nnequiv.rounding import UNIT
from nnequiv.sets import Box, Polytope, StarSet
from nnequiv.tolerances import WITNESS_SLACKS


@dataclass(frozen=True, eq=False)
class Leaf:
    """A star on its way through the layers of one or two networks.

    Attributes
    ----------
    start : StarSet
        The input set; its centre and basis feed the first layer of the second network.
    star : StarSet
        Pre-activations of the layer in work; neurons before ``neuron`` already are post-activations.
    layer, neuron : int
        What is next, counted over the layers of all networks.
    pattern : tuple of bool
    outputs : tuple of StarSet
        Finished networks (only centre, basis and error of these are read).
    """

    start: StarSet
    star: StarSet
    layer: int = 0
    neuron: int = 0
    pattern: tuple[bool, ...] = ()
    outputs: tuple[StarSet, ...] = ()

    def active(self, violation: float = 0.0) -> Leaf:
        """The neuron passes its value on, by at most ``violation`` wrongly."""
        return self._decided(True, self.star, violation)

    def inactive(self, violation: float = 0.0) -> Leaf:
        """The neuron passes 0 on, by at most ``violation`` wrongly."""
        center, basis = self.star.center.copy(), self.star.basis.copy()
        center[self.neuron], basis[self.neuron] = 0.0, 0.0
        return self._decided(False, replace(self.star, center=center, basis=basis), violation)

    def _decided(self, sign: bool, star: StarSet, violation: float) -> Leaf:
        if violation > 0.0:
            error = star.error.copy()
            error[self.neuron] += violation * (1 + 4 * UNIT)
            star = replace(star, error=error)
        return replace(self, star=star, neuron=self.neuron + 1, pattern=(*self.pattern, sign))

    def next_layer(self, layers) -> Leaf:
        layer = layers[self.layer + 1]
        return replace(self, star=self.star.affine_map(layer.weight, layer.bias), layer=self.layer + 1, neuron=0)

    def finish_network(self, layers) -> Leaf:
        """The star holds a network's outputs: keep them; begin the next network on the same predicate."""
        done = replace(self, outputs=(*self.outputs, self.star), layer=self.layer + 1, neuron=0)
        if done.layer == len(layers):
            return done
        first = layers[done.layer]
        inputs = replace(self.start, matrix=self.star.matrix, bound=self.star.bound)
        return replace(done, star=inputs.affine_map(first.weight, first.bias))

    @property
    def stacked(self) -> StarSet:
        """Outputs of all networks side by side, on the final predicate."""
        return replace(
            self.star,
            center=np.concatenate([star.center for star in self.outputs]),
            basis=np.vstack([star.basis for star in self.outputs]),
            error=np.concatenate([star.error for star in self.outputs]),
        )

    def piece(self, box: Box) -> Piece:
        star = self.stacked
        matrix = np.zeros((len(star.center), box.dimension))
        matrix[:, box.free] = star.basis
        rows = np.zeros((len(star.bound), box.dimension))
        rows[:, box.free] = star.matrix
        pattern = np.array(self.pattern, dtype=bool)
        return Piece(pattern, matrix, star.center, Polytope(rows, star.bound, box), star.error)


def leaf_with(networks, input_set, pattern) -> Leaf:
    """The leaf on which all hidden neurons have the given signs, without any LP: a row for each that could have both.

    It holds every input at which the true values have these signs: rows are relaxed by what rounding did to them.
    ``pattern``: a bool for every hidden neuron of all networks.
    """
    layers = [layer for network in networks for layer in network.layers]
    start, ends = StarSet.from_input_set(input_set), np.cumsum([network.n_hidden for network in networks])[:-1]
    branch = Leaf(start, start.affine_map(layers[0].weight, layers[0].bias))
    for network, signs in zip(networks, np.split(np.asarray(pattern, dtype=bool), ends), strict=True):
        for active in network.split_pattern(signs):
            low, high = branch.star.interval()
            above, below = _raised(branch.star), _raised(replace(branch.star, center=-branch.star.center))
            for k, sign in enumerate(active):
                row = branch.star.basis[k]
                if sign and low[k] < 0:
                    branch = replace(branch, star=branch.star.intersect(-row, above[k]))
                elif not sign and high[k] > 0:
                    branch = replace(branch, star=branch.star.intersect(row, below[k]))
                branch = branch.active() if sign else branch.inactive()
            branch = branch.next_layer(layers)
        branch = branch.finish_network(layers)
    return branch


@dataclass(frozen=True, eq=False)
class Program:
    """``max constant + c @ v`` over ``matrix @ v ≤ bound, lower ≤ v ≤ upper``; ``interval`` bounds it without an LP."""

    objective: np.ndarray
    matrix: np.ndarray
    bound: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    constant: float
    interval: float

    def solve(self, solver) -> tuple[float, np.ndarray | None]:
        """Proved upper bound and the maximiser (inputs first); −inf if the program is proved empty."""
        value, point = lp.maximise(solver, self.objective, self.matrix, self.bound, self.lower, self.upper)
        if value == -np.inf:
            return value, None
        total = value + self.constant
        return min(self.interval, total + UNIT * abs(total) * 2), point


def climb(leaf: Leaf, objective: Objective, networks, input_set, solver, beat: float = -np.inf) -> Climb:
    """The best point of a leaf for one objective, and a proved bound on how good any point of it can be.

    A maximiser on the border of a guard or of the input set may miss it by rounding; then the next try keeps
    inside by a little. The bound is that of the first try, which keeps inside by nothing.
    """
    bound = np.inf
    for inward in WITNESS_SLACKS:
        value, alpha = objective_program(leaf, objective, inward).solve(solver)
        bound = min(bound, value) if inward == 0.0 else bound
        if alpha is None or bound <= beat:
            break
        point = leaf.star.inputs(alpha, input_set.box)
        reached = float(attained(networks, objective, point)[0]) if input_set.contains(point) else -np.inf
        if reached > -np.inf:
            return Climb(bound, reached, point)
    return Climb(bound, -np.inf, None)


@dataclass(frozen=True, eq=False)
class Climb:
    """``reached`` is attained at ``point``; nothing on the leaf is above ``bound``."""

    bound: float
    reached: float
    point: np.ndarray | None


def objective_program(leaf: Leaf, objective: Objective, inward: float = 0.0) -> Program:
    """The LP of one objective on one leaf; errors of the leaf are added to goals and guards, so its value bounds.

    A single goal without guards is a linear function of α. Otherwise a variable t joins: ``max t`` with
    ``t ≤ goal_r`` for every goal and ``guard ≥ 0`` for every guard. With ``inward`` > 0 the program keeps that far
    (relative to its row) from the input set's half-spaces and the guards, and the errors are left out: it looks for a
    witness then, not for a bound. The leaf's own borders it need not keep from: a witness may lie beyond them.
    """
    goals = leaf.stacked.affine_map(objective.goal, objective.goal_offset)
    low, high = goals.interval()
    interval = float((high + goals.error).min())
    star = goals
    reach = np.maximum(np.abs(star.lower), np.abs(star.upper))
    border, given = star.bound.copy(), len(leaf.start.bound)
    border[:given] -= inward * (np.abs(star.matrix[:given]) @ reach)
    if objective.linear:
        constant = float(_raised(star)[0])
        return Program(star.basis[0], star.matrix, border, star.lower, star.upper, constant, interval)
    guards = leaf.stacked.affine_map(objective.guard, objective.guard_offset)
    limit = _raised(guards) if inward == 0.0 else guards.center - inward * _largest(guards, reach)
    rows = [
        np.column_stack([star.matrix, np.zeros(len(border))]),
        np.column_stack([-goals.basis, np.ones(len(goals.center))]),
        np.column_stack([-guards.basis, np.zeros(len(limit))]),
    ]
    most = float((high + goals.error).min())
    least = min(float((low - goals.error).min()), most)
    return Program(
        objective=np.append(np.zeros(len(star.lower)), 1.0),
        matrix=np.vstack(rows),
        bound=np.concatenate([border, _raised(goals), limit]),
        lower=np.append(star.lower, least),
        upper=np.append(star.upper, most),
        constant=0.0,
        interval=interval,
    )


def _largest(star: StarSet, reach: np.ndarray) -> np.ndarray:
    return np.abs(star.center) + np.abs(star.basis) @ reach


def _raised(star: StarSet) -> np.ndarray:
    """``center + error``, rounded up."""
    return star.center + star.error + 4 * UNIT * (np.abs(star.center) + star.error)
