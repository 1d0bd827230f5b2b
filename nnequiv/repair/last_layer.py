"""The best last layer: g's hidden layers stay, and no last layer over them comes nearer to the target, with proof.

With the hidden layers fixed, the pieces of ``f − g`` do not move, and the difference is linear in the last layer. So
the exact minimax is a linear program over the vertices of all pieces; cutting planes reach it in a few rounds. Then the
result is measured from scratch by an engine, and the program's multipliers prove that nobody can do better.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from nnequiv.compression import Compressed
from nnequiv.constraints import Grid, Mask
from nnequiv.control import Stopped
from nnequiv.equivalence import check_question, max_discrepancies
from nnequiv.lp import SOLVERS
from nnequiv.network import Layer, Network
from nnequiv.progress import watched
from nnequiv.reach.choose import ENUMERABLE_INPUTS, check_name
from nnequiv.reach.engine import Engine, InputSet
from nnequiv.reach.skeleton import Skeleton
from nnequiv.repair.grid import settled
from nnequiv.repair.lower_bound import Bound, proved_bound
from nnequiv.repair.minimax import LP_TOL, Block, Minimax, Minimum, blocks_of
from nnequiv.repair.points import Points
from nnequiv.repair.result import LastLayer, Part
from nnequiv.repair.target import Distance, Target, target_of
from nnequiv.results import Answer
from nnequiv.sets import Box, Polytope
from nnequiv.tolerances import TOLERANCE

#: Rounds of proof and new witnesses at most; one is enough where all vertices are listed.
MOST_ROUNDS = 30


def best_last_layer(
    f: Network | Sequence[int],
    g: Network,
    input_sets: Sequence[InputSet],
    target: float | Box | Polytope | None = None,
    *,
    near: float | None = None,
    engine: str | Engine = "auto",
    lp: str = "highspy",
    tolerance: float = TOLERANCE,
    progress: bool | Callable | None = None,
    time_limit: float | None = None,
    executor=None,
) -> LastLayer:
    """Choose g's last layer, weights and biases, so that the exact maximum of ``|f − g|`` over all input sets is least.

    Parameters
    ----------
    f : Network, or a label for each input set
        With labels, the last layer keeps each label of its input set ahead of all other outputs by ``target``, and is
        as near to the old one as that allows.
    g : Network
        A :class:`Compressed` one keeps its constraint: pruned weights stay 0. On a grid the best real layer is rounded
        and then improved level by level; its value is proved as it is, and need not be the least one on the grid.
    input_sets : sequence of Box or Polytope
    target : float, Box or Polytope, optional
        What is to be reached: a distance, or a set O of differences ``f − g``. With a set, how far the rows of O are
        left is made least. By default just the least distance.
    near : float ≥ 1, optional
        Of the last layers whose value is within this factor of the least one (output by output, where outputs are
        independent), take the one nearest to the old one: the least sum of absolute changes of weights and biases.
    engine : str or engine
        Measures and proves. With "auto", and with a :class:`nnequiv.Skeleton`, all vertices of up to six free inputs
        are listed first; other engines find witnesses round by round, as repair does.
    lp : {"highspy", "cvxpy"}
    tolerance, progress, time_limit, executor
        As in :func:`nnequiv.max_discrepancy`.

    Returns
    -------
    LastLayer
        Sound: ``upper`` is proved by the engine on the returned network, run anew; ``lower_bound`` by weak duality,
        rounding included. Complete: where all vertices are listed, up to rounding; not on a grid. Source: the paper
        retrains all of g on witnesses (Mo et al. 2024, section IV); for the last layer alone that loop is a cutting
        plane method (Kelley 1960), and so ends at the optimum.

    Examples
    --------
    The line that is nearest to ``|x|`` on [-1, 1] is off by one half:

    >>> absolute = Network([([[1.0], [-1.0]], [0.0, 0.0]), ([[1.0, 1.0]], [0.0])])
    >>> best = best_last_layer(absolute, Network([([[0.3]], [0.0])]), [Box([-1.0], [1.0])])
    >>> round(best.upper, 9), round(best.lower_bound, 9), best.optimal
    (0.5, 0.5, True)
    >>> best_last_layer(absolute, Network([([[0.3]], [0.0])]), [Box([-1.0], [1.0])], target=0.4).infeasible
    True
    """
    g = g if isinstance(g, Compressed) else Compressed(g.layers)
    _check(f, g, input_sets, target, near, engine, lp)
    wanted = target_of(f, g, input_sets, 0.0 if target is None else target)
    for input_set in input_sets:
        check_question((*wanted.partners, g), input_set, outputs=True)
    with watched(progress, time_limit, executor) as control:
        search = _Search(wanted, g, input_sets, near, engine, lp, tolerance, control)
        try:
            search.run()
        except (Stopped, KeyboardInterrupt) as stop:
            search.reason = str(stop) or "interrupted"
        return search.result(None if target is None else wanted.threshold)


class _Search:
    """The state of one call: points, the bounds so far, and the best layer that was measured."""

    def __init__(self, target: Target, g: Compressed, input_sets, near, engine, lp: str, tolerance: float, control):
        self.target, self.g, self.input_sets, self.near, self.engine = target, g, input_sets, near, engine
        self.lp, self.tolerance, self.control = lp, tolerance, control
        self.kinds = [target.kind(k) for k in range(len(input_sets))]
        last = g.layers[-1]
        self.old = np.column_stack([last.weight, last.bias])
        low, high = limits(g)
        self.blocks = blocks_of(target, self.kinds, low, high)
        self.points = Points(target.partners, g, input_sets)
        self.network, self.found, self.parts = g, (), []
        self.rounds, self.reason = 0, ""

    def run(self) -> None:
        self.points.add_middles()
        listed = self._lists_vertices() and self.points.add_vertices(self._skeleton(), self.control)
        if not listed:
            self._learn(self.g, self._look(self.g))
        for self.rounds in range(1, MOST_ROUNDS + 1):
            network, parts = self._solve()
            found = self._look(network)
            self._keep(network, found, parts)
            worst = max(answer.upper for answer in found)
            # What the points say of this layer is all there is: more witnesses change nothing.
            if worst <= max(part.value for part in parts) + self.tolerance + 1e-9 * abs(worst):
                return
            self._learn(network, found)
        self.reason = f"witnesses still moved the last layer after {MOST_ROUNDS} rounds"

    def result(self, threshold: float | None) -> LastLayer:
        bounds = [part.lower_bound for part in self.parts]
        worst = max(range(len(bounds)), key=lambda i: bounds[i]) if bounds else None
        return LastLayer(
            lower=max((answer.lower for answer in self.found), default=-np.inf),
            upper=max((answer.upper for answer in self.found), default=np.inf),
            lower_bound=-np.inf if worst is None else bounds[worst],
            limit=np.inf if worst is None else self.parts[worst].limit,
            threshold=threshold,
            rounds=self.rounds,
            parts=tuple(self.parts),
            discrepancies=tuple(self.found),
            seconds=self.control.seconds,
            reason=self.reason,
            network=self.network,
        )

    # -- one round --------------------------------------------------------------------------------------------------

    def _solve(self) -> tuple[Compressed, list[Part]]:
        """The best last layer over the points, and what is proved of each block."""
        layer, problems = self.old.copy(), []
        for block in self.blocks:
            problem = Minimax(self.points, self.kinds, block, self.lp)
            least = problem.minimise(self.old[block.outputs], self.target.floor, self.control)
            chosen = self._chosen(problem, block, least)
            layer[block.outputs] = chosen.entries
            problems.append((problem, least, chosen))
        network = with_last_layer(self.g, layer)
        parts = []
        for problem, least, chosen in problems:
            bound = self._bound(problem, least)
            parts.append(Part.of(problem.block.outputs, problem.value(self.old[problem.block.outputs]), chosen, bound))
        return network, parts

    def _chosen(self, problem: Minimax, block: Block, least: Minimum) -> Minimum:
        """The layer to take: on its grid, or near to the old one if that is asked or nothing else decides."""
        old, constraint = self.old[block.outputs], self.g.constraint
        if isinstance(constraint, Grid):
            grid = constraint.scales[-1], constraint.bits
            return settled(problem, least, old, *grid, self.target.floor, self.control)
        at_floor = least.value <= self.target.floor + 10 * LP_TOL * max(abs(least.value), 1.0)
        if self.near is None and not at_floor:
            return least
        factor = self.near or 1.0
        limit = least.value * factor if least.value >= 0 else least.value / factor
        return problem.nearest(old, limit, least, self.control)

    def _bound(self, problem: Minimax, least: Minimum) -> Bound:
        """Proved around the least layer itself, whichever layer is taken."""
        layer = self.old.copy()
        layer[problem.block.outputs] = least.entries
        last = Layer(layer[:, :-1], layer[:, -1])
        bound = proved_bound(problem, least, (*self.target.partners, Network([*self.g.hidden, last])))
        if isinstance(self.target, Distance) and bound.value < 0.0:
            return replace(bound, value=0.0, limit=np.inf, how="a distance")
        return bound

    def _keep(self, network: Compressed, found: list[Answer], parts: list[Part]) -> None:
        """Every bound holds for every layer: the best of all rounds is kept, and the layer with the least value."""
        old = self.parts or parts
        better = not self.found or max(a.upper for a in found) < max(a.upper for a in self.found)
        if better:
            self.network, self.found = network, tuple(found)
        values = parts if better else old
        bounds = [max(a, b, key=lambda part: part.lower_bound) for a, b in zip(old, parts, strict=True)]
        self.parts = [part.bounded_by(bound) for part, bound in zip(values, bounds, strict=True)]

    # -- points -----------------------------------------------------------------------------------------------------

    def _lists_vertices(self) -> bool:
        few = max(len(input_set.free) for input_set in self.input_sets) <= ENUMERABLE_INPUTS
        return isinstance(self._skeleton(), Skeleton) and few

    def _skeleton(self) -> Engine | None:
        if isinstance(self.engine, str):
            return Skeleton() if self.engine in ("auto", Skeleton.name) else None
        return self.engine

    def _look(self, network: Network) -> list[Answer]:
        """The largest value on each input set. Raises Stopped if the engine was stopped before it was done."""
        return self._checked(lambda search, left: self.target.look(network, self.input_sets, search, left))

    def _checked(self, look: Callable) -> list[Answer]:
        self.control.check()
        limit = self.control.remaining
        search = dict(engine=self.engine, tolerance=self.tolerance, executor=self.control.executor)
        found = look(search, None if np.isinf(limit) else limit)
        for answer in found:
            if answer.reason:
                self.control.check()
                raise Stopped(answer.reason)
        return found

    def _learn(self, network: Network, found: list[Answer]) -> None:
        """Add the witnesses of a look; of a distance, those of every output."""
        looks = [found]
        if isinstance(self.target, Distance) and self.g.n_outputs > 1:
            for i in range(self.g.n_outputs):
                looks.append(
                    self._checked(
                        lambda search, left, i=i: max_discrepancies(
                            self.target.f, network, self.input_sets, **search, outputs=[i], time_limit=left
                        )
                    )
                )
        pairs = [(k, a.witness) for look in looks for k, a in enumerate(look) if a.witness is not None]
        self.points.add(np.array([k for k, _ in pairs], dtype=int), np.array([x for _, x in pairs]))


def limits(g: Compressed) -> tuple[np.ndarray, np.ndarray]:
    """Limits on the entries ``(outputs, width + 1)`` of g's last layer that its constraint leaves."""
    last = g.layers[-1]
    old = np.column_stack([last.weight, last.bias])
    low, high = np.full(old.shape, -np.inf), np.full(old.shape, np.inf)
    if isinstance(g.constraint, Mask):
        pruned = np.column_stack([~g.constraint.masks[-1], np.zeros(len(old), dtype=bool)])
        low[pruned], high[pruned] = 0.0, 0.0
    if isinstance(g.constraint, Grid):
        most = (2 ** (g.constraint.bits - 1) - 1) * g.constraint.scales[-1]
        low[:, :-1], high[:, :-1] = -most, most
    return low, high


def with_last_layer(g: Compressed, layer: np.ndarray) -> Compressed:
    """g with another last layer ``(outputs, width + 1)``, biases last, on its constraint."""
    weights = [*(hidden.weight for hidden in g.hidden), layer[:, :-1]]
    biases = [*(hidden.bias for hidden in g.hidden), layer[:, -1]]
    weights, biases = g.constraint.project(weights, biases)
    return Compressed([*g.hidden, Layer(weights[-1], biases[-1])], g.constraint)


def check_near(near: float | None, g: Network) -> None:
    """Refuse a factor below 1, and any for a network on a grid."""
    if near is not None and not near >= 1:
        raise ValueError(f"near is {near}: it must be at least 1, the factor of the least value")
    if near is not None and isinstance(g, Compressed) and isinstance(g.constraint, Grid):
        raise ValueError(f"near is {near}, but g is on a grid: rounding moves its weights anyway")


def _check(f, g: Compressed, input_sets, target, near, engine, lp: str) -> None:
    if not len(input_sets):
        raise ValueError("best_last_layer needs at least one input set, got 0")
    if not isinstance(f, Network) and target is None:
        raise ValueError("with labels a target is needed: the margin by which they are to be kept")
    check_near(near, g)
    if lp not in SOLVERS:
        raise ValueError(f"lp is {lp!r}: it must be one of {', '.join(SOLVERS)}")
    if isinstance(engine, str):
        check_name(engine)
