"""Decide a query about one network or two: can it be satisfied? An answer with its evidence.

Each case of the query (an input set and a choice of conjunctions over the outputs) is one search: its conjunctions are
the objectives of :meth:`nnequiv.reach.engine.Engine.maximise`. A bound refutes, a point satisfies only after it was
replayed in exact arithmetic, and what lies on both sides of equality goes to exact arithmetic if it is small.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from fractions import Fraction

import numpy as np

from nnequiv.audit.replay import nearest, satisfied_at
from nnequiv.control import Control, Stopped
from nnequiv.equivalence import check_question
from nnequiv.io.query import Case, Conjunction, Query
from nnequiv.lp import LPError
from nnequiv.network import Network
from nnequiv.progress import watched
from nnequiv.reach.choose import choose, named, unstable_neurons
from nnequiv.reach.engine import Engine, InputSet, Optimum
from nnequiv.reach.intervals import interval_bound
from nnequiv.reach.vertices import Vertices
from nnequiv.results import Json
from nnequiv.rounding import rounded_up
from nnequiv.tolerances import WITNESS_SHARES
from nnequiv.version import VERSION

#: A conjunction without strict rows is satisfied at 0, so only a bound below 0 refutes it. No subnormal number: they
#: are read as 0 where a library set the processor so.
BELOW_ZERO = -float(np.finfo(np.float64).tiny)

#: What engines give as their reason after Ctrl-C.
INTERRUPTED = "interrupted"

#: Up to this many free inputs and neurons of both signs, a tie is decided in exact arithmetic: some ten thousand
#: pieces at most.
EXACT_INPUTS, EXACT_NEURONS = 4, 24


@dataclass(frozen=True)
class Verification(Json):
    """The answer to a query.

    Attributes
    ----------
    verdict : str
        ``sat``, ``unsat``, ``unknown`` or ``timed-out``, as in the VNN-LIB standard.
    inputs, outputs : tuples of tuples of floats, one a network
        For ``sat``: inputs that satisfy the query exactly, and the exact outputs rounded to floats. Else empty.
    lower, upper : float
        The proved interval of the largest value of any conjunction, which is the smallest of its rows. ``unsat`` iff
        ``upper`` is below 0, or at 0 and every conjunction has a strict row. Infinite for ``sat``: the search ended.
    rational : tuple of str
        A joint input of rational numbers that satisfies the query, where none of floats was found: it proves that the
        query is satisfiable, but cannot be written as an assignment, so the verdict is ``unknown``.
    notes : tuple of str
        What should be said loudly, such as a contradictory output part.
    pieces, nodes, lps, seconds, engine, proof, reason, version
        As in :class:`nnequiv.results.Answer`.
    """

    verdict: str
    inputs: tuple[tuple[float, ...], ...] = ()
    outputs: tuple[tuple[float, ...], ...] = ()
    lower: float = -np.inf
    upper: float = np.inf
    rational: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    pieces: int = 0
    nodes: int = 0
    lps: int = 0
    seconds: float = 0.0
    engine: str = ""
    proof: str = ""
    reason: str = ""
    version: str = VERSION

    def _record(self) -> dict:
        """With the keys that every answer's JSON has: the witness is one input a network, and nothing is tolerated."""
        return {**asdict(self), "witness": self.inputs or None, "output": None, "tolerance": 0.0}

    @classmethod
    def from_json(cls, text: str) -> Verification:
        """The verification that :meth:`to_json` wrote: equal to it."""
        return cls.from_record(json.loads(text))

    @classmethod
    def from_record(cls, record: dict) -> Verification:
        values = {f.name: record[f.name] for f in fields(cls)}
        for name in ("lower", "upper", "seconds"):
            values[name] = float(values[name])
        for name in ("inputs", "outputs"):
            values[name] = tuple(tuple(float(v) for v in vector) for vector in values[name])
        for name in ("rational", "notes"):
            values[name] = tuple(values[name])
        return cls(**values)


def verify(
    query: Query,
    networks: Mapping[str, Network],
    engine: str | Engine = "auto",
    *,
    progress: bool | Callable | None = None,
    time_limit: float | None = None,
    executor=None,
) -> Verification:
    """Whether a query can be satisfied.

    Parameters
    ----------
    query : Query
        About one or two networks.
    networks : mapping from declared name to Network
        ``N`` is the network of VNN-LIB 1.0.
    engine, progress, time_limit, executor
        As in :func:`nnequiv.max_discrepancy`.

    Raises
    ------
    ValueError
        If the networks are not those the query declares, or are more than two.

    Notes
    -----
    Sound: yes; ``sat`` is replayed in exact arithmetic, ``unsat`` is a proved bound. Complete: up to rounding and
    time; ties of small networks are decided exactly, except where they lie on the border of a strict input constraint.

    Examples
    --------
    >>> from nnequiv.io.vnnlib import parse_query
    >>> query = parse_query('''(declare-const X_0 Real) (declare-const Y_0 Real)
    ... (assert (and (>= X_0 -1) (<= X_0 1))) (assert (>= Y_0 1))''')
    >>> relu = Network([([[1.0]], [0.0]), ([[1.0]], [0.0])])
    >>> answer = verify(query, {"N": relu})
    >>> answer.verdict, answer.inputs, answer.outputs
    ('sat', ((1.0,),), ((1.0,),))
    """
    bound = query.bind(networks)
    if len(bound) > 2:
        raise ValueError(f"the query declares {len(bound)} networks: one or two are supported")
    for case in query.cases:
        with suppress(LPError):  # which proves no input set empty
            check_question(bound, case.input_set, outputs=False)
    with watched(progress, time_limit, executor) as control:
        search = _Search(query, bound, engine, control)
        for case in query.cases:
            search.decide(case)
        return search.answer()


@dataclass
class _Search:
    """What is known while the cases are gone through."""

    query: Query
    networks: tuple[Network, ...]
    engine: str | Engine
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

    def decide(self, case: Case) -> None:
        """Refute all conjunctions of a case, or find a witness, or say why not."""
        possible = [c for c in case.conjunctions if not c.contradictory]
        for closed in (False, True):
            group = [conjunction for conjunction in possible if conjunction.closed == closed]
            if group and self.witness is None:
                self._decide(case.input_set, group, closed)

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
                self._note(self.reasons, optimum.reason or reason)
        self.upper = max(self.upper, rounded_up(upper) if isinstance(upper, Fraction) else upper)

    def _maximise(self, input_set: InputSet, objectives, threshold: float) -> Optimum:
        bound = interval_bound(self.networks, input_set, objectives)
        if INTERRUPTED in self.reasons:
            return Optimum(-np.inf, bound, reason=INTERRUPTED, proof="interval arithmetic")
        engine, why = choose(self.engine, self.networks, [input_set], "maximum")
        self._note(self.engines, f"{named(engine)} ({why})" if why else named(engine))
        try:
            # A witness near the threshold must not close a part that is above it, hence no tolerance.
            optimum = engine.maximise(self.networks, input_set, objectives, 0.0, self.control, threshold=threshold)
        except LPError as error:
            optimum = Optimum(-np.inf, bound, reason=str(error), proof="interval arithmetic")
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
        if not small:
            return None
        try:
            found = Vertices("exact").exact_optimum(self.networks, input_set, objectives, self.control)
        except Stopped:
            return None
        except KeyboardInterrupt:
            self._note(self.reasons, INTERRUPTED)
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

    def answer(self) -> Verification:
        known = dict(
            lower=float(self.lower),
            upper=float(max(self.lower, self.upper)) if self.witness is None else np.inf,
            notes=self.query.notes,
            seconds=self.control.seconds,
            engine="; ".join(self.engines),
            proof="; ".join(self.proofs) or "nothing can satisfy the query",
            **self.counts,
        )
        if self.witness is not None:
            inputs = tuple(tuple(values.tolist()) for values in self.query.network_inputs(self.witness))
            outputs = tuple(tuple(nearest(value) for value in values) for values in self.outputs)
            return Verification("sat", inputs, outputs, **known)
        if not self.reasons:
            return Verification("unsat", **known)
        limit = self.control.time_limit
        late = limit is not None and self.control.seconds >= limit and not self.rational
        reason = "; ".join(self.reasons)
        return Verification("timed-out" if late else "unknown", rational=self.rational, reason=reason, **known)


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
