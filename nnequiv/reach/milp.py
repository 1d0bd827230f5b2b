"""The independent cross-check: every ReLU as a binary variable, HiGHS through :func:`scipy.optimize.milp`.

It shares nothing with the enumerating engines but the networks and the interval bounds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_matrix

from nnequiv.control import Control, Stopped
from nnequiv.lp import HighspySolver, LPError, silent
from nnequiv.network import Network
from nnequiv.reach.big_m import Encoding, encode
from nnequiv.reach.engine import InputSet, Optimum
from nnequiv.reach.intervals import interval_bound
from nnequiv.reach.leaf import climb, leaf_with
from nnequiv.reach.sign_tree import SignTree
from nnequiv.relations import Objective
from nnequiv.rounding import dot_error, power_of_two
from nnequiv.tolerances import MILP_TOL


@dataclass(frozen=True)
class Milp:
    """Exact maximisation by mixed-integer programming, one program an objective.

    Parameters
    ----------
    prove : bool
        Prove the bound by a tree of our own, if HiGHS's does not come as near to the witness as is asked for. False
        takes HiGHS's word: much faster on large networks, but its error is rarely below 1e-6, and no proof.

    Notes
    -----
    *The witness.* HiGHS finds a point. An LP on the piece around it removes the solver's tolerance, and what it finds
    is evaluated through the networks.
    *The bound.* HiGHS keeps rows and binaries to ``MILP_TOL``, which layers magnify, so its own bound is a statement
    about slightly different networks: what such errors can do is added to it, and ``proof`` says that it rests on
    HiGHS. With ``prove`` it serves as a first guess only; then the signs of neurons are branched on until LP duality
    proves every bound (:class:`SignTree`).

    Sound: yes, rounding included, if ``proof`` says LP duality; else if HiGHS keeps its stated tolerances. Complete:
    with ``prove``, to the tolerance. Source: Tjeng, Xiao and Tedrake 2019 (arXiv 1711.07356), the big-M encoding.

    Examples
    --------
    >>> from nnequiv import Box, Network, max_discrepancy
    >>> f, g = Network([([[1.0]], [0.0]), ([[1.0]], [0.0])]), Network([([[0.5]], [0.0])])
    >>> round(max_discrepancy(f, g, Box([-1.0], [1.0]), engine="milp").lower, 6)
    0.5
    """

    prove: bool = True
    name: ClassVar[str] = "milp"

    def maximise(
        self,
        networks: Sequence[Network],
        input_set: InputSet,
        objectives: Sequence[Objective],
        tolerance: float,
        control: Control,
        threshold: float | None = None,
    ) -> Optimum:
        """Solve one program for each objective; the largest counts."""
        search = _Search(networks, input_set, encode(networks, input_set), tolerance, threshold)
        proof, reason = f"HiGHS's bound, if it keeps its tolerance of {MILP_TOL:g}", ""
        try:
            upper = max((search.ask(o, i, control) for i, o in enumerate(objectives)), default=-np.inf)
            if self.prove:
                upper = max((search.prove(o, i, control) for i, o in enumerate(objectives)), default=-np.inf)
                proof = "LP duality on every choice of signs"
        except (Stopped, KeyboardInterrupt, LPError) as stop:
            reason = _why(stop)
            upper, proof = interval_bound(networks, input_set, objectives), "interval arithmetic"
        return search.optimum(upper, reason, proof)


def _why(stop: BaseException) -> str:
    return "interrupted" if isinstance(stop, KeyboardInterrupt) else str(stop)


@dataclass
class _Search:
    """The best witness so far, and the two ways to a bound."""

    networks: Sequence[Network]
    input_set: InputSet
    encoding: Encoding
    tolerance: float
    threshold: float | None
    lower: float = -np.inf
    index: int | None = None
    witness: np.ndarray | None = None
    nodes: int = 0
    solver: HighspySolver = field(default_factory=HighspySolver)

    @property
    def enough(self) -> float:
        """A bound that is not above this needs no more work."""
        # Half: the width of the interval is rounded too when somebody compares it with the tolerance.
        return self.lower + self.tolerance / 2 if self.threshold is None else max(self.lower, self.threshold)

    def offer(self, index: int, reached: float, point: np.ndarray | None) -> float:
        """Keep a better witness. Raises Stopped, with no reason, once it is above the threshold."""
        if reached > self.lower:
            self.lower, self.index, self.witness = reached, index, point
        if self.threshold is not None and self.lower > self.threshold:
            raise Stopped("")
        return self.enough

    def ask(self, objective: Objective, index: int, control: Control) -> float:
        """HiGHS's bound on one objective, with its error added; its maximiser is offered."""
        control.check(lower=self.lower)
        lowest, highest = self._range(objective)
        size = float(power_of_two(max(abs(highest), abs(lowest))))
        bound, values, nodes = _highs(self.encoding, objective, size, lowest, highest, control)
        self.nodes += nodes
        if values is not None:
            point = self.encoding.inputs(self.input_set, values)
            pattern = np.concatenate([network.activation_pattern(point) for network in self.networks])
            leaf = leaf_with(self.networks, self.input_set, pattern)
            best = climb(leaf, objective, self.networks, self.input_set, self.solver, beat=self.lower)
            self.offer(index, best.reached, best.point)
        return bound

    def prove(self, objective: Objective, index: int, control: Control) -> float:
        """A bound on one objective by LP duality alone, not above ``enough`` but for what a leaf attains."""
        lowest, highest = self._range(objective)
        size = float(power_of_two(max(abs(highest), abs(lowest))))
        tree = SignTree(
            encoding=self.encoding,
            networks=self.networks,
            input_set=self.input_set,
            objective=objective,
            rows=self.encoding.with_objective(objective, size),
            lower=np.append(self.encoding.lower, lowest / size),
            upper=np.append(self.encoding.upper, highest / size),
            size=size,
            offer=lambda reached, point: self.offer(index, reached, point),
            solver=self.solver,
        )
        try:
            return min(highest, tree.maximum(control, self.enough))
        finally:
            self.nodes += tree.nodes

    def _range(self, objective: Objective) -> tuple[float, float]:
        """What interval arithmetic says of the smallest goal. Raises LPError if it overflows."""
        highest = interval_bound(self.networks, self.input_set, [objective])
        goals = zip(objective.goal, objective.goal_offset, strict=True)
        negated = [replace(objective, goal=-row[None], goal_offset=-np.array([offset])) for row, offset in goals]
        lowest = -interval_bound(self.networks, self.input_set, negated)
        if not np.isfinite([lowest, highest]).all():
            raise LPError("numbers overflow")
        return lowest, highest

    def optimum(self, upper: float, reason: str, proof: str) -> Optimum:
        return Optimum(
            lower=self.lower,
            upper=max(upper, self.lower),
            objective=self.index,
            witness=self.witness,
            nodes=self.nodes,
            lps=self.solver.solved,
            reason=reason,
            proof=proof,
        )


def _highs(encoding: Encoding, objective: Objective, size: float, lowest: float, highest: float, control: Control):
    """HiGHS's bound on one objective, with its error added; its maximiser or None; its nodes."""
    limit = {} if control.time_limit is None else {"time_limit": control.remaining}
    table, binary = encoding.with_objective(objective, size, encoding.drift), np.zeros(len(encoding.lower) + 1)
    binary[list(encoding.binaries.values())] = 1
    with silent():
        result = milp(
            -np.eye(len(binary))[-1],
            constraints=LinearConstraint(csr_matrix(table[:, :-1]), -np.inf, table[:, -1]),
            integrality=binary,
            bounds=Bounds([*encoding.lower, lowest / size], [*encoding.upper, highest / size]),
            options={"mip_rel_gap": 0.0, **limit},
        )
    nodes = int(getattr(result, "mip_node_count", 0) or 0)
    if result.status == 2 and len(objective.guard):
        return -np.inf, None, nodes  # no input satisfies the guards, to the solver's tolerance
    if result.status == 1:
        control.check()  # out of time: stops the search if it is ours
    # Without binaries it is a linear program, which has no dual bound of its own.
    bound = result.mip_dual_bound if binary.any() else result.fun if result.status == 0 else None
    if result.status not in (0, 1) or bound is None:
        return highest, None, nodes
    error = float((np.abs(objective.goal) @ encoding.drift).max()) + MILP_TOL * size
    error += float(dot_error(objective.goal.shape[1], np.abs(objective.goal_offset)).max())
    return min(highest, error - bound * size), result.x, nodes
