"""The paper's algorithm as written: star sets, an exact split at every unstable ReLU, an LP for every question.

Source: Mo, Yang, Lu, Xiang 2024 (arXiv 2402.11737), section IV. The yardstick of the other engines, and the file
to read first. One star walks through the layers of f and then, on the same predicate, through those of g; where a
neuron can have both signs on the star, the star is split in two and one half is put aside.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import ClassVar

import numpy as np

from nnequiv import lp
from nnequiv.control import Control, Stopped
from nnequiv.network import Network
from nnequiv.reach.engine import InputSet, Optimum, Piece
from nnequiv.reach.intervals import interval_bound
from nnequiv.reach.leaf import Leaf, climb, objective_program
from nnequiv.reach.steps import Dropped, Entered, Event, Finished, Looked, Solved, Split, Stable
from nnequiv.relations import Objective
from nnequiv.sets import StarSet
from nnequiv.tolerances import STABLE_TOL


@dataclass(frozen=True)
class Star:
    """Exact reachability with star sets.

    Parameters
    ----------
    lp : {"cvxpy", "highspy"}
        The LP solver; the algorithm is the same.
    intervals : bool
        Let sound interval bounds answer where they can: a neuron whose interval lies on one side of zero, and an
        objective that cannot beat the best witness, need no LP. False asks the LP every time, as the paper does.

    Notes
    -----
    *The pieces cover X.* A split is made by a computed row ``z̃ ≥ 0`` or ``z̃ ≤ 0``, and every input satisfies one
    of the two, whatever rounding did to the row. A half is dropped only if it is proved empty.
    *The bound holds.* On a piece the computed value of neuron k differs from the true one by at most ``error[k]``:
    affine maps add their rounding (:meth:`StarSet.affine_map`), and a ReLU adds nothing because
    ``|relu(z) − relu(z̃)| ≤ |z − z̃|``. A neuron that leaves zero by no more than ``STABLE_TOL`` is not split; the
    amount joins its error. LP bounds hold for any multipliers (:func:`nnequiv.lp.safe_upper`).
    *The bound is tight.* Planes of nearly equal neurons meet at tiny angles, and there an LP in floats may leave a gap
    that later layers magnify: it is closed in exact arithmetic (:func:`nnequiv.lp.maximise`).

    Sound: yes, rounding included. Complete: yes, up to rounding; with more than 16 free inputs, up to what the LP
    solver leaves. Source: Mo et al. 2024, Eq. 5–8.

    Examples
    --------
    >>> net = Network([([[1.0], [-1.0]], [0.0, 0.0]), ([[1.0, 1.0]], [0.0])])
    >>> from nnequiv.sets import Box
    >>> [piece.matrix.item() for piece in Star().pieces((net,), Box([-1.0], [2.0]), Control())]
    [1.0, -1.0]
    """

    lp: str = "cvxpy"
    intervals: bool = True
    name: ClassVar[str] = "star"

    def __post_init__(self):
        if self.lp not in lp.SOLVERS:
            raise ValueError(f"lp is {self.lp!r}: it must be one of {', '.join(lp.SOLVERS)}")

    def pieces(self, networks: Sequence[Network], input_set: InputSet, control: Control) -> Iterator[Piece]:
        """Every piece, depth-first: memory holds one path of the tree."""
        for leaf in self._leaves(networks, input_set, lp.SOLVERS[self.lp](), control):
            yield leaf.piece(input_set.box)

    def steps(self, networks: Sequence[Network], input_set: InputSet, control: Control) -> Iterator[Event]:
        """What the search does, one event at a time; its pieces are those of :meth:`pieces`, by the same code."""
        return self._search(networks, input_set, lp.SOLVERS[self.lp](), control)

    def maximise(
        self,
        networks: Sequence[Network],
        input_set: InputSet,
        objectives: Sequence[Objective],
        tolerance: float,
        control: Control,
        threshold: float | None = None,
    ) -> Optimum:
        """The largest objective over all pieces: one LP a piece and objective that could still beat the best."""
        solver, pieces, reason, proof = lp.SOLVERS[self.lp](), 0, "", "LP duality"
        lower, upper, index, witness = -np.inf, -np.inf, None, None
        try:
            for leaf in self._leaves(networks, input_set, solver, control):
                pieces += 1
                for i, objective in enumerate(objectives):
                    enough = lower if threshold is None else max(lower, threshold)
                    known = objective_program(leaf, objective).interval if self.intervals else np.inf
                    if known <= enough:
                        upper = max(upper, known)
                        continue
                    best = climb(leaf, objective, networks, input_set, solver, beat=lower)
                    upper = max(upper, best.bound)
                    if best.reached > lower:
                        lower, index, witness = best.reached, i, best.point
                control.check(lower=lower, pieces=pieces)
                if threshold is not None and lower > threshold:
                    raise Stopped("")
        except (Stopped, KeyboardInterrupt, lp.LPError) as stop:
            reason = "interrupted" if isinstance(stop, KeyboardInterrupt) else str(stop)
            upper, proof = interval_bound(networks, input_set, objectives), "interval arithmetic"
        return Optimum(lower, max(upper, lower), index, witness, pieces, 0, solver.solved, reason, proof)

    def _leaves(self, networks, input_set, solver, control) -> Iterator[Leaf]:
        return (event.branch for event in self._search(networks, input_set, solver, control) if type(event) is Finished)

    def _search(self, networks, input_set, solver, control) -> Iterator[Event]:
        """The search: take a branch, push it to its leaf, put the other half of every split on the stack."""
        start = StarSet.from_input_set(input_set)
        layers = list(chain.from_iterable(network.layers for network in networks))
        places = [(n, k) for n, network in enumerate(networks) for k in range(len(network.layers))]
        ends = np.cumsum([len(network.layers) for network in networks]) - 1  # indices of the output layers
        stack, finished = [("", Leaf(start, start.affine_map(layers[0].weight, layers[0].bias)))], 0
        while stack:
            path, branch = stack.pop()
            while branch is not None and branch.layer < len(layers):
                control.check()
                place = (*places[branch.layer], branch.neuron)
                if branch.neuron == 0:
                    yield Entered(path, place, branch)
                if branch.layer in ends:
                    branch = branch.finish_network(layers)
                elif branch.neuron == layers[branch.layer].n_out:
                    branch = branch.next_layer(layers)
                else:
                    branch, other = yield from self._step_relu(path, place, branch, solver)
                    if other is not None:
                        stack.append((path + "-", other))
                        path += "+"
            if branch is not None:
                yield Finished(path, place, branch, finished)
                finished += 1

    def _step_relu(self, path: str, place, branch: Leaf, solver) -> Generator[Event, None, tuple]:
        """One neuron: its range on the star; then keep it, zero it, or split the star (Mo et al. 2024, Eq. 7).

        Yields what it does, and returns the branch and the other half, or None in their place.
        """
        k, star, at = branch.neuron, branch.star, (path, place, branch)
        low, high = (bound.item() for bound in star.interval([k]))
        yield Looked(*at, low, high)
        zero = max(STABLE_TOL * min(1.0, max(-low, high)), 2 * star.error[k])  # within its error a sign means nothing
        if not self.intervals or low < -zero < zero < high:
            most, point = lp.maximise(solver, *star.objective(k))
            yield Solved(*at, 1.0, star.center[k] + most, point)
            if most == -np.inf:  # proved empty; anything else is kept
                yield Dropped(*at)
                return None, None
            high = min(high, star.center[k] + most)
            if high > zero:
                least, point = lp.maximise(solver, *star.objective(k, sign=-1.0))
                yield Solved(*at, -1.0, star.center[k] - least, point)
                low = max(low, star.center[k] - least)
        if low >= -zero or high <= zero:
            yield Stable(*at, low >= -zero, low, high)
            violation = max(-low, 0.0) if low >= -zero else max(high, 0.0)
            return (branch.active(violation) if low >= -zero else branch.inactive(violation)), None
        row, offset = star.basis[k], star.center[k]
        yield Split(*at, low, high, row, offset)
        above, below = star.intersect(-row, offset), star.intersect(row, -offset)
        return replace(branch, star=above).active(), replace(branch, star=below).inactive()
