"""What a claimed counterexample really is: its inputs and the networks' own outputs, in exact arithmetic."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction

import numpy as np

from nnequiv.io.query import Query
from nnequiv.network import Network
from nnequiv.results import Json
from nnequiv.rounding import evaluate_exact
from nnequiv.sets import Box, Polytope


@dataclass(frozen=True)
class Replay(Json):
    """One assignment, evaluated without rounding. Numbers are exact values rounded to the nearest float64.

    Attributes
    ----------
    satisfied : bool
        The assignment satisfies the query, exactly: strict is strict.
    outside_by : float
        How far the inputs are from the nearest of the query's input sets; 0 only if they lie in its closure. Largest
        over bounds and cuts (a cut's rows scaled to length 1), and over inputs that should be equal and are not.
    margin : float
        How far the outputs are inside the unsafe set (below 0: outside): the smallest row, ``row · y + offset``, of the
        best conjunction of the nearest input set. Above 0 they are unsafe; at 0 unless a strict row is 0.
    outputs : tuple of tuples of floats
        The networks' own outputs, one tuple a network.
    output_error : float or None
        Largest difference to the claimed outputs; None where none are claimed.
    output_share : float or None
        The largest ``difference / max(1, |output|)``.
    """

    satisfied: bool
    outside_by: float
    margin: float
    outputs: tuple[tuple[float, ...], ...]
    output_error: float | None = None
    output_share: float | None = None

    def _record(self) -> dict:
        return asdict(self)

    @classmethod
    def from_json(cls, text: str) -> Replay:
        """The replay that :meth:`to_json` wrote."""
        return cls.from_record(json.loads(text))

    @classmethod
    def from_record(cls, record: dict) -> Replay:
        numbers = {n: record[n] if record[n] is None else float(record[n]) for n in ("output_error", "output_share")}
        outputs = tuple(tuple(float(v) for v in values) for values in record["outputs"])
        return cls(record["satisfied"], float(record["outside_by"]), float(record["margin"]), outputs, **numbers)


def satisfied_at(query: Query, networks: Sequence[Network], joint: Sequence) -> tuple[bool, list[list[Fraction]]]:
    """Whether the query holds at a joint input ``(dimension,)`` of floats or Fractions, and the exact outputs there.

    Parameters
    ----------
    query : Query
    networks : as :meth:`Query.bind` returns them

    Examples
    --------
    >>> from nnequiv.io.vnnlib import parse_query
    >>> query = parse_query('''(declare-const X_0 Real) (declare-const Y_0 Real)
    ... (assert (and (>= X_0 0) (<= X_0 1))) (assert (> Y_0 0.5))''')
    >>> satisfied_at(query, query.bind({"N": Network([([[0.5]], [0.0])])}), [1.0])
    (False, [[Fraction(1, 2)]])
    """
    outputs = [evaluate_exact(network, joint) for network in networks]
    inputs = [[joint[i] for i in selection] for selection in query.selections]
    return query.holds(inputs, outputs), outputs


def replay(query: Query, networks: Sequence[Network], inputs: Sequence, claimed: Sequence) -> Replay:
    """Evaluate a claimed counterexample.

    Parameters
    ----------
    query : Query
    networks : as :meth:`Query.bind` returns them
    inputs : one (n,) array a network
    claimed : one (m,) array a network, or None where no outputs are claimed

    Examples
    --------
    >>> from nnequiv.io.vnnlib import parse_query
    >>> query = parse_query('''(declare-const X_0 Real) (declare-const Y_0 Real)
    ... (assert (and (>= X_0 0) (<= X_0 1))) (assert (> Y_0 0.5))''')
    >>> r = replay(query, query.bind({"N": Network([([[0.5]], [0.25])])}), [[1.5]], [[1.0]])
    >>> r.satisfied, r.outside_by, r.margin, r.output_error
    (False, 0.5, 0.5, 0.0)
    """
    joint, apart = joint_input(query, inputs)
    outputs = []
    for network, selection, own in zip(networks, query.selections, inputs, strict=True):
        point = np.zeros(query.dimension)  # the network's own inputs, even where they should equal another's
        point[selection] = own
        outputs.append(evaluate_exact(network, point))
    stacked = [value for values in outputs for value in values]
    distances = [distance(case.input_set, joint) for case in query.cases]
    nearest_cases = [case for case, d in zip(query.cases, distances, strict=True) if d == min(distances)]
    margins = [conjunction.slack(stacked) for case in nearest_cases for conjunction in case.conjunctions]
    errors = [
        (abs(Fraction(float(said)) - value), abs(value))
        for values, given in zip(outputs, claimed, strict=True)
        if given is not None
        for said, value in zip(given, values, strict=True)
    ]
    return Replay(
        satisfied=query.holds(inputs, outputs),
        outside_by=max(apart, min(distances, default=np.inf)),
        margin=nearest(max(margins, default=-np.inf)),
        outputs=tuple(tuple(nearest(value) for value in values) for values in outputs),
        output_error=nearest(max(error for error, _ in errors)) if errors else None,
        output_share=nearest(max(error / max(1, size) for error, size in errors)) if errors else None,
    )


def joint_input(query: Query, inputs: Sequence) -> tuple[np.ndarray, float]:
    """The joint input ``(dimension,)`` of the networks' inputs, and by how much inputs that are one differ."""
    joint = np.full(query.dimension, np.nan)
    apart = 0.0
    for selection, own in zip(query.selections, inputs, strict=True):
        own = np.asarray(own, dtype=np.float64)
        known = ~np.isnan(joint[selection])
        apart = max(apart, float(np.abs(joint[selection] - own)[known].max(initial=0.0)))
        joint[selection] = np.where(known, joint[selection], own)
    return joint, apart


def distance(input_set: Box | Polytope, point: np.ndarray) -> float:
    """How far a point is outside; 0 exactly if the set contains it. Largest over bounds and unit rows."""
    if input_set.contains(point):
        return 0.0
    box, (matrix, bound) = input_set.box, input_set.cuts
    beyond = np.maximum(np.maximum(box.lower - point, point - box.upper), 0.0)
    past = matrix @ point - bound
    scale = np.linalg.norm(matrix, axis=1)
    past = past / np.where(scale > 0, scale, 1.0)
    return max(float(np.max(beyond)), float(np.max(past, initial=0.0)), np.finfo(float).tiny)


def nearest(value) -> float:
    """A Fraction as a float; too large ones as infinity."""
    try:
        return float(value)
    except OverflowError:
        return np.inf if value > 0 else -np.inf
