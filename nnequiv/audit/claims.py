"""Claimed bounds on a discrepancy, such as ``max<=0.05``, as queries."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from nnequiv.io.formula import And, Formula, Linear, Or, Variable, compare
from nnequiv.io.query import Case, Conjunction, Declaration, Query
from nnequiv.reach.engine import InputSet
from nnequiv.relations import discrepancy_objectives


@dataclass(frozen=True)
class Bound:
    """The claim ``max over i and x of |f_i(x) − g_i(x)|  relation  value``; relation is one of ``<= < >= >``."""

    relation: str
    value: float

    @classmethod
    def parse(cls, text: str) -> Bound:
        """Read ``max<=0.05``.

        >>> Bound.parse("max <= 5e-2")
        Bound(relation='<=', value=0.05)
        """
        match = re.fullmatch(r"\s*max\s*(<=|>=|<|>)\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*", text)
        if match is None or not math.isfinite(float(match[2])):
            raise ValueError(f"claim {text!r} is not of the form max<=0.05 (or with < >= >)")
        return cls(match[1], float(match[2]))

    def __str__(self) -> str:
        return f"max{self.relation}{self.value!r}"

    @property
    def beyond(self) -> str:
        """The relation whose existence refutes ``<=`` and ``<``, and confirms ``>`` and ``>=``."""
        return ">" if self.relation in ("<=", ">") else ">="


def bound_query(n_inputs: int, n_outputs: int, input_sets: Sequence[InputSet], bound: Bound) -> Query:
    """The query that is satisfiable iff some ``|f_i − g_i|`` is beyond the value of the bound.

    Examples
    --------
    >>> from nnequiv.sets import Box
    >>> query = bound_query(1, 1, [Box([0.0], [1.0])], Bound("<=", 0.25))
    >>> query.holds([[1.0], [1.0]], [[0.5], [0.25]]), query.holds([[1.0], [1.0]], [[0.5], [0.125]])
    (False, True)
    """
    strict = bound.beyond == ">"
    conjunctions = tuple(
        Conjunction(o.goal, o.goal_offset, np.array([strict]), (0,))
        for o in discrepancy_objectives(n_outputs, epsilon=bound.value)
    )
    outputs = [[Linear.of(Variable(k, True, i)) for i in range(n_outputs)] for k in (0, 1)]
    value = Linear.of(bound.value)
    gaps = [a - b for a, b in zip(*outputs, strict=True)]
    unsafe = Or(tuple(compare(bound.beyond, gap, value, 0) for g in gaps for gap in (g, Linear.of(0) - g)))
    return Query(
        declarations=tuple(Declaration(n, f"X_{n}", f"Y_{n}", (n_inputs,), (n_outputs,)) for n in "fg"),
        dimension=n_inputs,
        selections=(np.arange(n_inputs), np.arange(n_inputs)),
        cases=tuple(Case(input_set, conjunctions) for input_set in input_sets),
        assertions=(Or(tuple(_inside(input_set) for input_set in input_sets)), unsafe),
        notes=() if input_sets else ("the input set is empty",),
        version="2.0",
    )


def _inside(input_set: InputSet) -> Formula:
    """The input set as a formula over f's inputs."""
    box, (matrix, bound) = input_set.box, input_set.cuts
    inputs = [Linear.of(Variable(0, False, i)) for i in range(box.dimension)]
    parts = [compare(">=", x, Linear.of(float(low)), 0) for x, low in zip(inputs, box.lower, strict=True)]
    parts += [compare("<=", x, Linear.of(float(high)), 0) for x, high in zip(inputs, box.upper, strict=True)]
    for row, limit in zip(matrix, bound, strict=True):
        terms = [x.scaled(Fraction(float(weight))) for x, weight in zip(inputs, row, strict=True) if weight]
        parts.append(compare("<=", sum(terms, Linear.of(0)), Linear.of(float(limit)), 0))
    return And(tuple(parts))
