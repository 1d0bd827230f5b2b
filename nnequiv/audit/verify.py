"""Decide a query about one network or two: can it be satisfied? An answer with its evidence.

How a query is decided, case by case, is in :mod:`nnequiv.audit.search`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, fields

import numpy as np

from nnequiv.audit.kept import query_checkpoint
from nnequiv.audit.replay import nearest
from nnequiv.audit.search import Search
from nnequiv.equivalence import check_question
from nnequiv.io.query import Query
from nnequiv.lp import LPError
from nnequiv.network import Network
from nnequiv.progress import watched
from nnequiv.reach.engine import Engine
from nnequiv.results import Json
from nnequiv.version import VERSION


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
    checkpoint=None,
    checkpoint_every: float = 60.0,
    memory_limit: float | None = None,
) -> Verification:
    """Whether a query can be satisfied.

    Parameters
    ----------
    query : Query
        About one or two networks.
    networks : mapping from declared name to Network
        ``N`` is the network of VNN-LIB 1.0.
    engine, progress, time_limit, executor, checkpoint, checkpoint_every, memory_limit
        As in :func:`nnequiv.max_discrepancy`.

    Raises
    ------
    ValueError
        If the networks are not those the query declares, or are more than two; if the checkpoint is of another query.

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
    kept = query_checkpoint(checkpoint, checkpoint_every, query, bound, engine)
    with watched(progress, time_limit, executor, kept) as control:
        search = Search(query, bound, engine, memory_limit, control)
        search.run()
    return _answer(search)


def _answer(search: Search) -> Verification:
    query, control = search.query, search.control
    known = dict(
        lower=float(search.lower),
        upper=float(max(search.lower, search.upper)) if search.witness is None else np.inf,
        notes=query.notes,
        seconds=search.kept.seconds,
        engine="; ".join(search.engines),
        proof="; ".join(search.proofs) or "nothing can satisfy the query",
        **search.counts,
    )
    if search.witness is not None:
        inputs = tuple(tuple(values.tolist()) for values in query.network_inputs(search.witness))
        outputs = tuple(tuple(nearest(value) for value in values) for values in search.outputs)
        return Verification("sat", inputs, outputs, **known)
    if not search.reasons:
        return Verification("unsat", **known)
    late = control.remaining == 0 and not search.rational
    reason = "; ".join(search.reasons)
    return Verification("timed-out" if late else "unknown", rational=search.rational, reason=reason, **known)
