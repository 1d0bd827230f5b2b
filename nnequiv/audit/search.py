"""How a query is decided: one search for each case and kind of conjunction, one after the other.

The conjunctions of a case (an input set and a choice of conjunctions over the outputs) are the objectives of
:meth:`nnequiv.reach.engine.Engine.maximise`. A bound refutes, a point satisfies only after it was replayed in exact
arithmetic, and what lies on both sides of equality goes to exact arithmetic if it is small.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from nnequiv.audit.kept import KeptSearch
from nnequiv.audit.replay import nearest, satisfied_at
from nnequiv.control import Control, Stopped
from nnequiv.io.query import Conjunction, Query
from nnequiv.lp import LPError
from nnequiv.network import Network
from nnequiv.reach.choose import choose_search, named, unstable_neurons
from nnequiv.reach.engine import Engine, InputSet, Optimum
from nnequiv.reach.intervals import interval_bound
from nnequiv.reach.vertices import Vertices
from nnequiv.rounding import rounded_up
from nnequiv.tolerances import WITNESS_SHARES

#: A conjunction without strict rows is satisfied at 0, so only a bound below 0 refutes it. No subnormal number: they
#: are read as 0 where a library set the processor so.
BELOW_ZERO = -float(np.finfo(np.float64).tiny)

#: What engines give as their reason after Ctrl-C.
INTERRUPTED = "interrupted"

#: Up to this many free inputs and neurons of both signs, a tie is decided in exact arithmetic: some ten thousand
#: pieces at most.
EXACT_INPUTS, EXACT_NEURONS = 4, 24

#: What :class:`Search` knows between two groups of conjunctions, but for the witness.
KEPT = ("lower", "upper", "counts", "engines", "proofs", "reasons", "rational")


@dataclass
class Search:
    """What is known while the cases are gone through."""

    query: Query
    networks: tuple[Network, ...]
    engine: str | Engine
    memory_limit: float | None
    control: Control
    witness: np.ndarray | None = None
    outputs: Sequence[Sequence[Fraction]] = ()
    lower: float = -np.inf
    upper: float = -np.inf
    rational: tuple[str, ...] = ()
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("pieces", "nodes", "lps"), 0))
    engines: list[str] = field(default_factory=list)
    proofs: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    interrupted: bool = False
    kept: KeptSearch = field(init=False)

    def __post_init__(self):
        self.kept = KeptSearch(self.control)

    def run(self) -> None:
        """Decide one group of conjunctions after the other until one is satisfied; after a kill, what is left."""
        groups = [
            (case.input_set, group, closed)
            for case in self.query.cases
            for closed in (False, True)
            if (group := [c for c in case.conjunctions if c.closed == closed and not c.contradictory])
        ]
        self.restore(self.kept.record)
        for number in range(self.kept.done, len(groups)):
            if self.witness is not None:
                break
            self.kept.begin(number, self.record(), self.stop)
            self._decide(*groups[number])
        self.kept.end(len(groups), self.record(), self.stop)

    @property
    def stop(self) -> str:
        """Why nothing more is searched: after Ctrl-C, or where the checkpoint cannot be written."""
        return INTERRUPTED if self.interrupted else self.kept.failure

    def _decide(self, input_set: InputSet, group: Sequence[Conjunction], closed: bool) -> None:
        """One search; ``closed`` conjunctions are satisfied at 0, the others only above."""
        objectives = [conjunction.objective() for conjunction in group]
        optimum = self._maximise(input_set, objectives, BELOW_ZERO if closed else 0.0)
        self.lower = max(self.lower, optimum.lower)
        upper = optimum.upper
        if not _refuted(upper, closed):
            if optimum.witness is not None and self._satisfies(input_set, optimum.witness, optimum.lower >= 0):
                return
            exact = self._exact_optimum(input_set, objectives)
            upper = exact[0] if exact else upper
            if not _refuted(upper, closed) and not (exact and self._satisfies_rational(input_set, exact[1])):
                ends = f"[{optimum.lower:.3g}, {nearest(upper):.3g}]"
                reason = f"the largest value of a conjunction is in {ends}: it cannot be told from a tie"
                self._note(self.reasons, optimum.reason or self.stop or reason)
        self.upper = max(self.upper, rounded_up(upper) if isinstance(upper, Fraction) else upper)

    def _maximise(self, input_set: InputSet, objectives, threshold: float) -> Optimum:
        bound = interval_bound(self.networks, input_set, objectives)
        if self.stop:
            return Optimum(-np.inf, bound, reason=self.stop, proof="interval arithmetic")
        kept = self.kept.file
        engine, why = choose_search(self.engine, self.networks, [input_set], kept, self.memory_limit)
        self._note(self.engines, f"{named(engine)} ({why})" if why else named(engine))
        try:
            # A witness near the threshold must not close a part that is above it, hence no tolerance.
            optimum = engine.maximise(self.networks, input_set, objectives, 0.0, self.control, threshold=threshold)
        except LPError as error:
            optimum = Optimum(-np.inf, bound, reason=str(error), proof="interval arithmetic")
        self.interrupted = optimum.reason == INTERRUPTED
        for name in self.counts:
            self.counts[name] += getattr(optimum, name)
        self._note(self.proofs, optimum.proof)
        return optimum

    def _satisfies(self, input_set: InputSet, point: np.ndarray, move: bool) -> bool:
        """Whether the query holds at a point, or (``move``) a little further inside, for bounds that are strict."""
        for share in WITNESS_SHARES if move else (0.0,):
            moved = input_set.box.clip(point + share * (_middle(input_set) - point)) if share else point
            holds, outputs = satisfied_at(self.query, self.networks, moved)
            if holds:
                self.witness, self.outputs = moved, outputs
                return True
        return False

    def _exact_optimum(self, input_set: InputSet, objectives) -> tuple[Fraction, np.ndarray] | None:
        """The maximum over the rationals and where it is (−∞ if no input satisfies any guard); None if out of reach."""
        small = len(input_set.free) <= EXACT_INPUTS and unstable_neurons(self.networks, input_set) <= EXACT_NEURONS
        if self.interrupted or not small:
            return None
        try:
            found = Vertices("exact").exact_optimum(self.networks, input_set, objectives, self.control)
        except Stopped:
            return None
        except KeyboardInterrupt:
            self.interrupted = True
            return None
        self._note(self.engines, "vertices(arithmetic=exact) (a tie)")
        self._note(self.proofs, "exact arithmetic")
        return found if found is not None else (-np.inf, np.zeros(0))

    def _satisfies_rational(self, input_set: InputSet, point: np.ndarray) -> bool:
        """Whether the query holds at a rational point, or at the floats nearest to it (or a little further inside)."""
        floats = input_set.box.clip(np.array([float(v) for v in point]))
        if input_set.contains(floats) and self._satisfies(input_set, floats, move=True):
            return True
        if satisfied_at(self.query, self.networks, list(point))[0]:
            self.rational = tuple(str(v) for v in point)
            self.reasons.append(f"satisfied at an input that is no float64: ({', '.join(self.rational)})")
        return bool(self.rational)

    @staticmethod
    def _note(notes: list[str], text: str) -> None:
        if text and text not in notes:
            notes.append(text)

    def record(self) -> dict:
        """What is known between two groups, as JSON holds it; :meth:`restore` takes it back."""
        witness = None if self.witness is None else [float(v) for v in self.witness]
        return deepcopy({name: getattr(self, name) for name in KEPT}) | {"witness": witness}

    def restore(self, record: dict | None) -> None:
        if record is None:
            return
        for name in KEPT:
            setattr(self, name, record[name])
        self.rational = tuple(self.rational)
        if record["witness"] is not None:
            self.witness = np.array(record["witness"])
            self.outputs = satisfied_at(self.query, self.networks, self.witness)[1]


def _refuted(upper: float, closed: bool) -> bool:
    return upper < 0 or (upper == 0 and not closed)


def _middle(input_set: InputSet) -> np.ndarray:
    """A point off all borders where there is one; else any: what is moved towards it is replayed anyway."""
    center = input_set.box.center
    if len(input_set.cuts[1]):
        with suppress(LPError, ValueError):
            deep = input_set.inner_point()  # deepest inside the cuts, perhaps on a side of the box
            mixed = (deep + 0.5**k * (center - deep) for k in range(12))
            return next((point for point in mixed if input_set.contains(point)), deep)
    return center
