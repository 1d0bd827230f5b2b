"""Branch and bound: the largest value of the objectives, or a verdict, without enumerating pieces."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from nnequiv.control import Control, Stopped
from nnequiv.network import Network
from nnequiv.reach.branch_and_bound.bounds import row_forms
from nnequiv.reach.branch_and_bound.differential_zonotope import differential_rows
from nnequiv.reach.branch_and_bound.frontier import Frontier
from nnequiv.reach.branch_and_bound.input_splitting import InputSplitting
from nnequiv.reach.branch_and_bound.leaves import Leaves
from nnequiv.reach.branch_and_bound.pair_splitting import PairSplitting, applies
from nnequiv.reach.branch_and_bound.question import Question
from nnequiv.reach.branch_and_bound.relu_splitting import ReluSplitting
from nnequiv.reach.branch_and_bound.search import Children, Search
from nnequiv.reach.branch_and_bound.simplify import without_identity_lanes
from nnequiv.reach.branch_and_bound.state import restored, state_of
from nnequiv.reach.branch_and_bound.workers import Workers
from nnequiv.reach.engine import InputSet, Optimum
from nnequiv.reach.intervals import center_and_radius, interval_bound
from nnequiv.relations import Objective

#: With few inputs, differential bounds are used where they are at most this share of the zonotopes' at the start.
CLEARLY_TIGHTER = 0.7

#: With more free inputs, boxes are not finished by listing their pieces: a vertex lies in 2^inputs of them.
ENUMERABLE = 6

PROOF = "zonotopes, differential bounds and weak duality over a cover of the input set, rounding included"


@dataclass(frozen=True)
class BranchAndBound:
    """Best-first search over parts of the input set, each with a proved upper bound; a few NumPy calls a batch.

    The whole algorithm::

        best ← the best witness so far (always re-evaluated through the networks), target ← best + tolerance
        open ← {X}
        while open is not empty:
            take the ``batch`` parts with the largest bounds
            bound them (NumPy, all at once), try the witnesses that the bounds suggest
            close every part whose bound is ≤ target
            split the others:
                few inputs, many unstable neurons    → halve the input with the largest smear      (input_splitting.py)
                few unstable neurons, or many inputs → fix the sign of the costliest ReLU          (relu_splitting.py)
            and of two nearly equal networks:
                few inputs, some unstable neurons    → list all pieces of many boxes at once       (leaves.py)
                many inputs                          → fix a sign of the costliest pair of ReLUs   (pair_splitting.py)
        upper ← the largest bound of any closed part, or best

    Boxes are bounded by zonotopes of f and g that share the input's generators (zonotope.py, bounds.py). Parts with
    fixed signs are bounded by weak duality (dual.py), with multipliers from a few interior-point steps (newton.py);
    nearly equal networks by their difference, layer by layer: forward on boxes (differential_zonotope.py), backward on
    parts with fixed signs (differential.py, slopes.py). For a verdict the target is the threshold, and the first
    witness above it ends the search. With an executor, groups of open parts are searched elsewhere (workers.py).

    Parameters
    ----------
    batch : int
        Parts bounded at once; 64 to 512 differ little.
    few : int
        A box with at most this many unstable neurons (one more for each round of halvings) is finished by ReLU splits.
    few_exact : int
        Nearly equal networks: a box with at most this many unstable neurons is finished by listing its pieces.
    few_pairs : int
        Nearly equal networks with few inputs are split by pairs when at most twice as many neurons are unstable.
    low_dimension : int
        Sets with at most this many free inputs are split along inputs first.
    relative : float
        Also finish when ``upper − lower ≤ relative · |lower|``.
    memory : float
        Megabytes of open parts before the search turns depth-first.
    tasks : int
        Groups of open parts that an executor has at a time, about twice its workers; 0: twice this machine's cores.

    Notes
    -----
    Sound: yes, rounding included, for any input set, objectives and networks. Complete: up to rounding; a part whose
    neurons are all fixed and whose bound still exceeds the target is reported in ``reason``, never dropped.
    Source: Bunel et al. 2020 (branch and bound on ReLUs), Wang et al. 2021 (with multipliers for the splits), Kearfott
    1996 (smear), Singh et al. 2018 (zonotopes), Teuber et al. 2025 (differential bounds).

    Examples
    --------
    >>> from nnequiv.equivalence import max_discrepancy
    >>> from nnequiv.sets import Box
    >>> relu = Network([([[1.0]], [0.0]), ([[1.0]], [0.0])])
    >>> line = Network([([[0.5]], [0.25])])
    >>> round(max_discrepancy(relu, line, Box([-1.0], [2.0]), BranchAndBound()).upper, 6)
    0.75
    """

    batch: int = 128
    few: int = 8
    few_exact: int = 16
    few_pairs: int = 40
    low_dimension: int = 8
    relative: float = 0.0
    memory: float = 500.0
    tasks: int = 0
    name: ClassVar[str] = "branch-and-bound"

    def maximise(
        self,
        networks: tuple[Network, ...],
        input_set: InputSet,
        objectives: Sequence[Objective],
        tolerance: float,
        control: Control,
        threshold: float | None = None,
    ) -> Optimum:
        """Bounds on the largest objective over the input set; see :class:`nnequiv.reach.engine.Engine`."""
        networks = tuple(without_identity_lanes(network) for network in networks)
        search = Search(Question(networks, input_set, objectives), tolerance, self.relative, threshold)
        wide = len(input_set.free) > self.low_dimension
        splits = {"boxes": InputSplitting(np.inf if wide else self.few), "signs": ReluSplitting()}
        frontier = Frontier(splits, self.batch, 1e6 * self.memory)
        workers = Workers(control.executor, self.tasks or 2 * (os.cpu_count() or 1))
        ceiling, reason = interval_bound(networks, input_set, objectives), ""

        def keep() -> tuple[dict, dict]:
            return state_of(search, workers.with_those_out(frontier))

        try:
            if control.checkpoint is not None and control.checkpoint.saved is not None:
                splits |= restored(control.checkpoint.saved, search, frontier, self.few)
            else:
                control.check(lower=-np.inf, upper=ceiling, nodes=0, left=1)
                frontier.push(self._start(search, splits, wide))
            while (len(frontier) or workers.left) and not search.decided:
                ceiling = max(frontier.upper, workers.upper, search.closed, search.stuck)
                left = len(frontier) + workers.left
                control.keep(keep)
                control.check(lower=search.best.lower, upper=ceiling, nodes=search.nodes, left=left)
                workers.advance(frontier, search, control.remaining)
            ceiling = max(frontier.upper, workers.upper, search.closed, search.stuck)
            control.keep(keep, last=True)
        except (Stopped, KeyboardInterrupt) as stop:
            reason = str(stop) or "interrupted"  # the last ceiling holds: parts only ever shrink
        finally:
            workers.close()
        return _answer(search, ceiling, reason, workers.failure)

    def _start(self, search: Search, splits: dict, wide: bool) -> dict[str, Children]:
        """One box; where bounding the difference pays, what its zonotopes leave of it, as pairs."""
        question, boxes = search.question, splits["boxes"].root(search)
        if not applies(question):
            return {"boxes": boxes}
        pairs = PairSplitting(search) if wide else self._as_pairs(search, splits, boxes)
        if pairs is None:
            return {"boxes": boxes}
        left = InputSplitting(np.inf).expand(boxes.bound, boxes.fields, search).get("signs")
        if left is None or not len(left.bound):
            return {}
        if wide and pairs.first_bound() > left.bound.max() and not question.guards.shape[1]:
            return {"signs": left}
        splits |= {"pairs": pairs, "signs": ReluSplitting(pairs.pair)}
        return {"pairs": pairs.root(search, left.bound, left.fields["objective"])}

    def _as_pairs(self, search: Search, splits: dict, boxes: Children) -> PairSplitting | None:
        """With few inputs: pairs where few neurons are unstable and the difference is bounded clearly tighter.

        Where many are unstable, the same difference may still be used box by box.
        """
        question, box = search.question, center_and_radius(boxes.fields["lower"], boxes.fields["upper"])
        forms = row_forms(question, *box)

        def highest(low, high):
            return question.objective_upper(question.term_upper(low, high)).max()

        apart = CLEARLY_TIGHTER * max(highest(forms.low, forms.high), 0.0)
        if forms.unstable[0] <= 2 * self.few_pairs:
            pairs = PairSplitting(search)
            return pairs if pairs.first_bound() < apart else None
        if highest(*differential_rows(question, forms, *box)) < apart:
            enumerable = len(question.input_set.free) <= ENUMERABLE and all(o.linear for o in question.objectives)
            few, finish = (self.few_exact, "leaves") if enumerable else (self.few, "signs")
            splits |= {"boxes": InputSplitting(few, True, finish), "leaves": Leaves(self.few)}
        return None


def _answer(search: Search, ceiling: float, reason: str, failure: str) -> Optimum:
    best = search.best
    if not reason and not search.decided and search.stuck > search.target:
        reason = f"rounding: a part with every neuron fixed keeps the bound {search.stuck:.17g}"
    return Optimum(
        lower=best.lower,
        upper=max(ceiling, best.lower),
        objective=best.objective,
        witness=best.witness,
        nodes=search.nodes,
        lps=search.lps,
        reason=reason,
        proof="; ".join(filter(None, [PROOF, failure])),
    )
