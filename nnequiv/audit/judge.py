"""Is another tool's claim true? A counterexample is replayed in exact arithmetic, everything else decided anew."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import Enum

import numpy as np

from nnequiv.audit.claims import Bound, bound_query
from nnequiv.audit.replay import Replay, joint_input, replay, satisfied_at
from nnequiv.audit.verify import Verification, verify
from nnequiv.io.query import Query
from nnequiv.io.vnncomp import Answer
from nnequiv.merge import check_pair
from nnequiv.network import Network
from nnequiv.reach.engine import Engine, InputSet
from nnequiv.results import Json
from nnequiv.tolerances import CLAIMED_INPUT_TOL, CLAIMED_OUTPUT_TOL
from nnequiv.version import VERSION


class Judgement(Enum):
    """CONFIRMED and REFUTED are proved; UNDECIDED is honest."""

    CONFIRMED = "CONFIRMED"
    REFUTED = "REFUTED"
    UNDECIDED = "UNDECIDED"


@dataclass(frozen=True)
class Audit(Json):
    """What became of a claim.

    Attributes
    ----------
    judgement : Judgement
    claim : str
    evidence : tuple of str
        Why, in sentences.
    replay : Replay or None
        Of the claimed counterexample, if there is one.
    verification : Verification or None
        Our own search, if one was needed: its witness or its bound.
    seconds : float
    """

    judgement: Judgement
    claim: str
    evidence: tuple[str, ...]
    replay: Replay | None = None
    verification: Verification | None = None
    seconds: float = 0.0
    version: str = VERSION

    def _record(self) -> dict:
        return {"verdict": self.judgement, **asdict(self)}

    @classmethod
    def from_json(cls, text: str) -> Audit:
        """The audit that :meth:`to_json` wrote: equal to it."""
        record = json.loads(text)
        del record["verdict"]
        record["judgement"], record["evidence"] = Judgement(record["judgement"]), tuple(record["evidence"])
        for name, kind in (("replay", Replay), ("verification", Verification)):
            record[name] = None if record[name] is None else kind.from_record(record[name])
        record["seconds"] = float(record["seconds"])
        return cls(**record)


def audit(
    query: Query,
    networks: Mapping[str, Network],
    answer: Answer,
    engine: str | Engine = "auto",
    *,
    progress: bool | Callable | None = None,
    time_limit: float | None = None,
    executor=None,
    checkpoint=None,
    checkpoint_every: float = 60.0,
    memory_limit: float | None = None,
) -> Audit:
    """Judge another tool's answer to a query.

    Parameters
    ----------
    query : Query
    networks : mapping from declared name to Network
    answer : Answer
        As :func:`nnequiv.io.load_answer` reads it.
    engine, progress, time_limit, executor, checkpoint, checkpoint_every, memory_limit
        As in :func:`verify`, for the search that answers without a counterexample need.

    Notes
    -----
    A counterexample is REFUTED if its inputs leave the input set by more than a float32 rounding, if the networks'
    exact outputs do not satisfy the query there, or if the claimed outputs are not the networks' (to 1e-3). That says
    nothing about other inputs: the query may still be satisfiable.

    Examples
    --------
    >>> from nnequiv.io.vnncomp import parse_answer
    >>> from nnequiv.io.vnnlib import parse_query
    >>> query = parse_query('''(declare-const X_0 Real) (declare-const Y_0 Real)
    ... (assert (and (>= X_0 0) (<= X_0 1))) (assert (>= Y_0 1))''')
    >>> net = Network([([[0.5]], [0.0])])
    >>> result = audit(query, {"N": net}, parse_answer("sat ((X_0 2) (Y_0 1))".replace(" ", chr(10), 1)))
    >>> result.judgement.value, result.evidence[0]
    ('REFUTED', 'the inputs are outside the input set by 1')
    >>> audit(query, {"N": net}, parse_answer("unsat")).judgement.value
    'CONFIRMED'
    """
    started = time.perf_counter()
    if answer.verdict == "sat" and answer.values:
        inputs, claimed = answer.tensors(query)
        result = _judge_counterexample(query, query.bind(networks), inputs, claimed)
    elif answer.verdict in ("sat", "unsat"):
        found = verify(
            query,
            networks,
            engine,
            progress=progress,
            time_limit=time_limit,
            executor=executor,
            checkpoint=checkpoint,
            checkpoint_every=checkpoint_every,
            memory_limit=memory_limit,
        )
        judgement, evidence = _judge(found, answer.verdict == "sat")
        result = Audit(judgement, answer.verdict, evidence, verification=found)
    else:
        query.bind(networks)  # refuses what does not fit, whatever the answer
        result = Audit(Judgement.UNDECIDED, answer.verdict, (f"the answer {answer.verdict!r} claims nothing",))
    return _timed(result, started)


def _timed(result: Audit, started: float) -> Audit:
    return Audit(**{**vars(result), "seconds": time.perf_counter() - started})


def _judge(found: Verification, claims_sat: bool) -> tuple[Judgement, tuple[str, ...]]:
    """Compare our own answer with the claim ``sat`` or ``unsat``."""
    satisfiable = found.verdict == "sat" or bool(found.rational)
    if not satisfiable and found.verdict != "unsat":
        known = f"the largest value of a conjunction is proved to be in [{found.lower:.6g}, {found.upper:.6g}]"
        return Judgement.UNDECIDED, (f"{found.verdict}: {found.reason}", known)
    if found.verdict == "sat":
        why = f"satisfied at {_points(found.inputs)}, where the outputs are {_points(found.outputs)}, exactly"
    elif satisfiable:
        why = f"satisfied, exactly, at the rational input ({', '.join(found.rational)})"
    else:
        why = f"proved unsatisfiable: no conjunction's value is above {found.upper:.6g} ({found.proof})"
    return (Judgement.CONFIRMED if satisfiable == claims_sat else Judgement.REFUTED), (why, *found.notes)


def _points(vectors) -> str:
    return ", ".join("(" + ", ".join(repr(v) for v in vector) + ")" for vector in vectors)


# Counterexamples


def _judge_counterexample(query: Query, networks: Sequence[Network], inputs, claimed) -> Audit:
    found = replay(query, networks, inputs, claimed)
    evidence = [f"the inputs are outside the input set by {found.outside_by:.6g}"] if found.outside_by else []
    if found.outside_by == 0:
        evidence.append("the inputs are in the input set")
    side = "not in" if found.margin < 0 else "in" if found.margin > 0 else "on the border of"
    evidence.append(f"the networks' exact outputs are {side} the unsafe set: margin {found.margin:.6g}")
    if found.output_error is not None:
        evidence.append(f"the claimed outputs differ from the exact ones by at most {found.output_error:.6g}")
    satisfied = found.satisfied
    if not satisfied and found.outside_by:
        moved = _moved_inside(query, inputs)
        satisfied = moved is not None and satisfied_at(query, networks, moved)[0]
        if satisfied:
            evidence.append(
                "that is a float32 rounding: the nearest point of the input set satisfies the query exactly"
            )
    elif not satisfied and found.margin >= 0:
        evidence.append("a strict constraint is met with equality only")
    if satisfied and found.output_share is not None and found.output_share > CLAIMED_OUTPUT_TOL:
        evidence.append("the inputs satisfy the query, but the claimed outputs are not the networks'")
        satisfied = False
    judgement = Judgement.CONFIRMED if satisfied else Judgement.REFUTED
    return Audit(judgement, "sat with a counterexample", (*evidence, *query.notes), replay=found)


def _moved_inside(query: Query, inputs) -> np.ndarray | None:
    """The joint input moved onto an input set, if that changes no input by more than a rounding to float32."""
    for case in query.cases:
        moved = case.input_set.box.clip(joint_input(query, inputs)[0])
        near = all(
            (np.abs(own - moved[selection]) <= CLAIMED_INPUT_TOL * np.abs(own)).all()
            for selection, own in zip(query.selections, inputs, strict=True)
        )
        if near and case.input_set.contains(moved):
            return moved
    return None


# Bounds


def audit_bound(
    f: Network,
    g: Network,
    input_sets: Sequence[InputSet],
    bound: Bound,
    engine: str | Engine = "auto",
    *,
    progress: bool | Callable | None = None,
    time_limit: float | None = None,
    executor=None,
    checkpoint=None,
    checkpoint_every: float = 60.0,
    memory_limit: float | None = None,
) -> Audit:
    """Judge a claimed bound on the largest ``|f_i − g_i|`` over some input sets.

    Examples
    --------
    >>> from nnequiv.sets import Box
    >>> f, g = Network([([[1.0]], [0.0])]), Network([([[0.75]], [0.0])])
    >>> audit_bound(f, g, [Box([0.0], [1.0])], Bound.parse("max<=0.25")).judgement.value
    'CONFIRMED'
    >>> audit_bound(f, g, [Box([0.0], [1.0])], Bound.parse("max<0.25")).judgement.value
    'REFUTED'
    """
    started = time.perf_counter()
    check_pair(f, g)
    query = bound_query(f.n_inputs, f.n_outputs, input_sets, bound)
    found = verify(
        query,
        {"f": f, "g": g},
        engine,
        progress=progress,
        time_limit=time_limit,
        executor=executor,
        checkpoint=checkpoint,
        checkpoint_every=checkpoint_every,
        memory_limit=memory_limit,
    )
    judgement, evidence = _judge(found, claims_sat=">" in bound.relation)
    meaning = f"asked: can some |f_i - g_i| be {bound.beyond} {bound.value!r}? values are |f_i - g_i| - {bound.value!r}"
    return _timed(Audit(judgement, str(bound), (*evidence, meaning), verification=found), started)
