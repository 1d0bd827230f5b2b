"""Piece by piece, on vertices: a neuron's range is the least and the largest value at them, a split clips edges.

The plain geometric engine, to be read after ``star``: the same search, but a vertex list answers where an LP did.
Over whole numbers (``arithmetic="exact"``) nothing rounds, and the maximum is an exact rational: the judge of all
other engines.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain
from typing import ClassVar

import numpy as np

from nnequiv.control import Control, Stopped
from nnequiv.network import Network
from nnequiv.reach.engine import InputSet, Optimum, Piece, attained
from nnequiv.reach.intervals import interval_bound
from nnequiv.reach.vertex_cell import Affine, Cell, input_cell
from nnequiv.relations import Objective
from nnequiv.rounding import evaluate_exact, rounded_down, rounded_up
from nnequiv.sets import VertexPolytope
from nnequiv.sets.arithmetic import Floats, Integers
from nnequiv.tolerances import WITNESS_SHARES

ARITHMETICS = {"float": Floats, "exact": Integers}


@dataclass(frozen=True)
class Vertices:
    """Exact reachability with V-polytopes.

    Parameters
    ----------
    arithmetic : {"float", "exact"}
        Over floats, or over whole numbers without any rounding.

    Notes
    -----
    *Exact.* Weights and bounds are dyadic rationals, and so everything is done on whole numbers. The maximum of an
    affine function over a polytope is at a vertex; ``upper`` is the exact maximum rounded up to a float.
    *Floats.* A piece is a list of computed half-spaces; its vertices only guess. (1) The pieces cover X: a split takes
    both sides of one computed plane. (2) On a piece the computed pre-activations differ from the true ones by at most
    ``error``: affine maps add their rounding, a ReLU adds nothing because ``|relu(z) − relu(z̃)| ≤ |z − z̃|``, and a
    neuron that is not split adds what it is proved to leave zero by. (3) Every bound over a piece is proved by weak
    duality from its half-spaces (:meth:`VertexPolytope.maximum`). A wrong vertex can make a bound loose, never wrong.

    Sound: yes, rounding included. Complete: yes; over floats up to rounding.
    Source: edges by rank as in the double description method (Fukuda and Prodon 1996, Proposition 7).

    Examples
    --------
    >>> from nnequiv.relations import discrepancy_objectives
    >>> from nnequiv.sets import Box
    >>> relu = Network([([[1.0]], [0.0]), ([[1.0]], [0.0])])
    >>> line = Network([([[0.5]], [0.25])])
    >>> Vertices("exact").exact_maximum((relu, line), Box([-1.0], [2.0]), discrepancy_objectives(1))
    Fraction(3, 4)
    """

    arithmetic: str = "float"
    name: ClassVar[str] = "vertices"

    def __post_init__(self):
        if self.arithmetic not in ARITHMETICS:
            raise ValueError(f"arithmetic is {self.arithmetic!r}: it must be one of {', '.join(ARITHMETICS)}")

    def pieces(self, networks: Sequence[Network], input_set: InputSet, control: Control) -> Iterator[Piece]:
        """Every piece with its vertices, depth-first: memory holds one path of the tree."""
        for cell in self._cells(networks, input_set, control):
            yield cell.piece(input_set.box)

    def maximise(
        self,
        networks: Sequence[Network],
        input_set: InputSet,
        objectives: Sequence[Objective],
        tolerance: float,
        control: Control,
        threshold: float | None = None,
    ) -> Optimum:
        """The largest objective over all pieces. ``tolerance`` is not needed: every piece is finished."""
        pieces, reason, proof = 0, "", "exact arithmetic" if self.arithmetic == "exact" else "duality at vertices"
        lower, upper, index, witness = -np.inf, -np.inf, None, None
        goals = self._goals(objectives)
        try:
            for cell in self._cells(networks, input_set, control):
                pieces += 1
                for i, objective in enumerate(objectives):
                    for value, region, vertex in _maxima(cell, *goals[i]):
                        upper = max(upper, value)
                        if value > lower:
                            reached, point = self._witness(networks, input_set, objective, region, vertex)
                            if reached > lower:
                                lower, index, witness = reached, i, point
                control.check(lower=lower, pieces=pieces)
                if threshold is not None and lower > threshold:
                    raise Stopped("")
        except (Stopped, KeyboardInterrupt) as stop:
            reason = str(stop) if isinstance(stop, Stopped) else "interrupted"
            upper, proof = interval_bound(networks, input_set, objectives), "interval arithmetic"
        return Optimum(lower, max(rounded_up(upper), lower), index, witness, pieces, reason=reason, proof=proof)

    def exact_optimum(
        self,
        networks: Sequence[Network],
        input_set: InputSet,
        objectives: Sequence[Objective],
        control: Control | None = None,
    ) -> tuple[Fraction, np.ndarray] | None:
        """The maximum over X and a point ``(n,)`` where it is attained, as exact rationals.

        None where no x satisfies any guard. In exact arithmetic, whatever this engine computes with otherwise.
        Raises :class:`nnequiv.Stopped` when the control says so.
        """
        exact, best = Vertices("exact"), None
        goals = exact._goals(objectives)
        for cell in exact._cells(networks, input_set, control or Control()):
            for value, region, vertex in chain.from_iterable(_maxima(cell, *goal) for goal in goals):
                if best is None or value > best[0]:
                    best = value, cell.input_at(region.vertices[vertex])
        return best

    def exact_maximum(
        self, networks: Sequence[Network], input_set: InputSet, objectives: Sequence[Objective]
    ) -> Fraction | None:
        """The maximum of :meth:`exact_optimum`, without the point."""
        best = self.exact_optimum(networks, input_set, objectives)
        return None if best is None else best[0]

    def _cells(self, networks: Sequence[Network], input_set: InputSet, control: Control) -> Iterator[Cell]:
        """The search: take a cell through all layers of all networks; the other half of a split waits on the stack."""
        arithmetic = ARITHMETICS[self.arithmetic]()
        layers = [[Affine.of(layer.weight, layer.bias, arithmetic) for layer in net.layers] for net in networks]
        stack = [input_cell(input_set, arithmetic).enter(layers[0][0])]
        while stack:
            cell = stack.pop()
            while len(cell.outputs) < len(networks):
                control.check()
                todo = layers[len(cell.outputs)][cell.layer + 1 :]
                if not todo:
                    cell = cell.finish_network(layers)
                    continue
                signs = cell.polytope.signs(cell.map[:-1])  # (vertices, neurons)
                active, inactive = (signs > 0).any(axis=0), (signs < 0).any(axis=0)
                if (active & inactive).any():
                    cell, other = cell.split(int(np.argmax(active & inactive)))
                    stack.append(other)
                else:
                    cell = cell.relu(active).affine(todo[0])
            yield cell

    def _goals(self, objectives: Sequence[Objective]) -> list[tuple[Affine, Affine]]:
        arithmetic = ARITHMETICS[self.arithmetic]()
        return [
            (Affine.of(o.goal, o.goal_offset, arithmetic), Affine.of(o.guard, o.guard_offset, arithmetic))
            for o in objectives
        ]

    def _witness(self, networks, input_set, objective, region: VertexPolytope, vertex: int):
        """The value proved to be attained near a vertex of a region, and where: a point that lies in X exactly."""
        box, vertices = input_set.box, region.vertices.astype(float)
        best, middle = vertices[vertex], vertices.mean(axis=0)
        for share in WITNESS_SHARES:
            point = box.lower.copy()
            point[box.free] = best + share * (middle - best)
            point = box.clip(point)
            if not input_set.contains(point):
                continue
            if self.arithmetic == "exact":
                outputs = [value for network in networks for value in evaluate_exact(network, point)]
                value = objective.exact_value(outputs)
                reached = -np.inf if value is None else rounded_down(value)
            else:
                reached = float(attained(networks, objective, point)[0])
            if reached > -np.inf:
                return reached, point
        return -np.inf, None


def _maxima(cell: Cell, goal: Affine, guard: Affine) -> Iterator[tuple[float | Fraction, VertexPolytope, int]]:
    """The maximum of ``min_r goal_r`` where all guards are ≥ 0: one for every goal, over the region where it is least.

    Yields the maximum (over floats a proved bound), the region, and the vertex of the region where it is.
    """
    goals, guards = cell.stacked.affine(goal), cell.stacked.affine(guard)
    allowed: VertexPolytope | None = cell.polytope
    for k in range(len(guard.bias)):
        allowed = allowed and allowed.clip(guards.at_least_zero(k))
    for r in range(len(goal.bias)):
        region = allowed
        for other in range(len(goal.bias)):
            if other != r and region is not None:
                region = region.clip(goals.at_most(r, other))
        if region is not None:
            value, vertex = replace(goals, polytope=region).maximum(r)
            yield value, region, vertex
