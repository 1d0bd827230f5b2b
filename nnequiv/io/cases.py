"""From assertions to cases: which joint inputs there are, the input sets, the conjunctions over outputs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from fractions import Fraction

import numpy as np

from nnequiv.io.formula import MAX_CLAUSES, And, Clause, Constraint, Formula, Variable, clauses, conjoin, constraints
from nnequiv.io.query import Case, Conjunction, Declaration, Query
from nnequiv.sets import Box, Polytope


def build_query(declarations: Sequence[Declaration], assertions: Sequence[Formula], version: str) -> Query:
    """The query of these networks and assertions.

    Raises
    ------
    ValueError
        If a constraint mixes inputs and outputs, a coefficient is no float64, an input is unbounded, or there are
        too many cases. Names the line.
    """
    parts = [part for formula in assertions for part in _conjuncts(formula)]
    dimension, selections = _join_inputs(declarations, parts)
    kinds: dict[str, list[list[Clause]]] = {"input": [], "output": [], "both": []}
    for formula in parts:
        if not _is_tie(formula, selections):
            kinds[_kind(formula)].append(clauses(formula))
    places = _Places(declarations, dimension, selections)
    output_part = conjoin(kinds["output"])
    grouped: dict[frozenset, tuple[Clause, list[Clause]]] = {}
    total = 0
    for clause in conjoin(kinds["input"] + kinds["both"]):
        of_inputs = tuple(c for c in clause if not _speaks_of_outputs(c))
        of_outputs = tuple(c for c in clause if _speaks_of_outputs(c))
        key = frozenset((frozenset(c.linear.terms.items()), c.linear.constant, c.strict) for c in of_inputs)
        total += len(output_part)
        if total > MAX_CLAUSES:
            raise ValueError(f"over {MAX_CLAUSES} cases in disjunctive normal form")
        grouped.setdefault(key, (of_inputs, []))[1].extend(of_outputs + more for more in output_part)
    cases, notes = [], []
    for of_inputs, outputs in grouped.values():
        input_set, reason = places.input_set(of_inputs)
        if input_set is None:
            notes.append(reason)
        else:
            conjunctions = [places.conjunction(clause) for clause in outputs]
            cases.append(Case(input_set, tuple(c for c in conjunctions if c is not None)))
    notes += _contradictions(cases)
    return Query(tuple(declarations), dimension, selections, tuple(cases), tuple(assertions), tuple(notes), version)


def _contradictions(cases: Sequence[Case]) -> list[str]:
    """One note for each contradictory conjunction."""
    seen = {}
    for case in cases:
        if not case.conjunctions:
            seen["the output part is contradictory: it is false without any variable"] = None
        for conjunction in case.conjunctions:
            if conjunction.contradictory:
                lines = ", ".join(str(line) for line in sorted(set(conjunction.lines)))
                seen[f"the output part is contradictory: no outputs satisfy the constraints of line {lines}"] = None
    return list(seen)


def _conjuncts(formula: Formula) -> Iterator[Formula]:
    """The formula as a list to be joined by "and"; equalities stay whole."""
    if isinstance(formula, And) and not formula.equality:
        for part in formula.parts:
            yield from _conjuncts(part)
    else:
        yield formula


def _speaks_of_outputs(constraint: Constraint) -> bool:
    outputs = {variable.output for variable in constraint.linear.terms}
    if len(outputs) == 2:
        raise ValueError(f"line {constraint.line}: one constraint speaks of inputs and outputs; that is not supported")
    return outputs == {True}


def _kind(formula: Formula) -> str:
    sides = {_speaks_of_outputs(constraint) for constraint in constraints(formula) if constraint.linear.terms}
    return "both" if len(sides) == 2 else "output" if sides == {True} else "input"


# Joint inputs


def _tied(formula: Formula) -> tuple[Variable, Variable] | None:
    """The two inputs of different networks that a top-level equality ties, in the order of the networks."""
    if not (isinstance(formula, And) and formula.equality):
        return None
    linear = formula.parts[0].linear
    pair = sorted(linear.terms)
    ties = (
        len(pair) == 2
        and not linear.constant
        and pair[0].network != pair[1].network
        and not (pair[0].output or pair[1].output)
        and linear.terms[pair[0]] == -linear.terms[pair[1]]
    )
    return (pair[0], pair[1]) if ties else None


def _join_inputs(declarations, parts) -> tuple[int, tuple[np.ndarray, ...]]:
    """Number the joint inputs: inputs tied to each other are one, but never two of the same network.

    Two columns of one network's weights on one joint input would have to be added up, and rounded; such an equality
    stays a constraint.
    """
    inputs = [[Variable(k, False, i) for i in range(d.n_inputs)] for k, d in enumerate(declarations)]
    group = {variable: [variable] for variables in inputs for variable in variables}
    for formula in parts:
        pair = _tied(formula)
        if pair is None:
            continue
        first, second = group[pair[0]], group[pair[1]]
        if {v.network for v in first} & {v.network for v in second}:
            continue
        first += second
        group.update((variable, first) for variable in second)
    numbers: dict[int, int] = {}
    selections = [
        np.array([numbers.setdefault(id(group[variable]), len(numbers)) for variable in variables], dtype=int)
        for variables in inputs
    ]
    return len(numbers), tuple(selections)


def _is_tie(formula: Formula, selections) -> bool:
    """Whether the formula says only that two inputs are equal which already are one joint input."""
    pair = _tied(formula)
    return pair is not None and len({int(selections[v.network][v.index]) for v in pair}) == 1


# Sets


class _Places:
    """Where variables stand: inputs among the joint inputs, outputs among the stacked outputs."""

    def __init__(self, declarations, dimension: int, selections):
        self.declarations, self.dimension, self.selections = declarations, dimension, selections
        starts = np.cumsum([0, *(declaration.n_outputs for declaration in declarations)])
        self.starts, self.n_outputs = starts[:-1], int(starts[-1])
        self._made: dict[tuple[int, ...], Conjunction | None] = {}

    def position(self, variable: Variable) -> int:
        if variable.output:
            return int(self.starts[variable.network]) + variable.index
        return int(self.selections[variable.network][variable.index])

    def row(self, constraint: Constraint) -> dict[int, Fraction]:
        row: dict[int, Fraction] = {}
        for variable, coefficient in constraint.linear.terms.items():
            at = self.position(variable)
            row[at] = row.get(at, Fraction(0)) + coefficient
        return {at: coefficient for at, coefficient in row.items() if coefficient}

    def conjunction(self, clause: Clause) -> Conjunction | None:
        """The clause over the stacked outputs, made once; None if it is false by itself."""
        key = tuple(id(constraint) for constraint in clause)
        if key not in self._made:
            self._made[key] = self._conjunction(clause)
        return self._made[key]

    def _conjunction(self, clause: Clause) -> Conjunction | None:
        kept = []
        for constraint in clause:
            row, constant = self.row(constraint), constraint.linear.constant
            if row:
                kept.append((row, constant, constraint))
            elif constant < 0 or (constraint.strict and constant == 0):
                return None
        matrix = np.zeros((len(kept), self.n_outputs))
        for r, (row, _, constraint) in enumerate(kept):
            for at, coefficient in row.items():
                matrix[r, at] = _exact(coefficient, constraint.line)
        offset = np.array([_at_least(constant) for _, constant, _ in kept])
        strict = np.array([constraint.strict for *_, constraint in kept], dtype=bool)
        return Conjunction(matrix, offset, strict, tuple(constraint.line for *_, constraint in kept))

    def input_set(self, clause: Clause) -> tuple[Box | Polytope | None, str]:
        """The closed set of joint inputs of a clause; None and the reason if it is empty."""
        # value and whether strict; the tightest bound wins, strict over non-strict
        lower: list[tuple[Fraction, bool] | None] = [None] * self.dimension
        upper: list[tuple[Fraction, bool] | None] = [None] * self.dimension
        cuts = []
        for constraint in clause:
            row, constant = self.row(constraint), constraint.linear.constant
            if not row:
                if constant < 0 or (constraint.strict and constant == 0):
                    return None, f"line {constraint.line}: the input part is false without any variable"
            elif len(row) > 1:
                cuts.append((row, constant, constraint))
            else:
                [(at, coefficient)] = row.items()
                bound = (-constant / coefficient, constraint.strict)
                if coefficient > 0 and (lower[at] is None or bound > lower[at]):
                    lower[at] = bound
                elif coefficient < 0 and (upper[at] is None or (-bound[0], bound[1]) > (-upper[at][0], upper[at][1])):
                    upper[at] = bound
        for i, (low, high) in enumerate(zip(lower, upper, strict=True)):
            if low and high and (low[0] > high[0] or (low[0] == high[0] and (low[1] or high[1]))):
                ends = f"lower {_nearest(low[0])}, upper {_nearest(high[0])}"
                return None, f"an input set is empty: {self._name(i)} has {ends}"
        return self._closed_set(lower, upper, cuts)

    def _closed_set(self, lower, upper, cuts):
        lows = np.array([-np.inf if low is None else -_at_least(-low[0]) for low in lower])
        highs = np.array([np.inf if high is None else _at_least(high[0]) for high in upper])
        unbounded = np.flatnonzero(~(np.isfinite(lows) & np.isfinite(highs)))
        if not cuts:
            if len(unbounded):
                raise ValueError(f"input {self._name(unbounded[0])} is unbounded")
            return Box(lows, highs), ""
        eye = np.eye(self.dimension)
        matrix, bound = [eye[np.isfinite(highs)], -eye[np.isfinite(lows)]], [highs, -lows]
        bound = [values[np.isfinite(values)] for values in bound]
        for row, constant, constraint in cuts:
            matrix.append(np.zeros((1, self.dimension)))
            for at, coefficient in row.items():
                matrix[-1][0, at] = -_exact(coefficient, constraint.line)
            bound.append([_at_least(constant)])
        polytope = Polytope(np.vstack(matrix), np.concatenate(bound))
        if not len(unbounded):  # then the box is known, and only emptiness can be refused
            try:
                polytope.inner_point()
            except ValueError as error:
                return None, str(error)
        polytope.box  # noqa: B018 (refuses an unbounded set here, where the file is known)
        return polytope, ""

    def _name(self, joint: int) -> str:
        """A joint input as the file calls it."""
        for declaration, selection in zip(self.declarations, self.selections, strict=True):
            found = np.flatnonzero(selection == joint)
            if len(found):
                return entry_name(declaration.input_name, declaration.input_shape, int(found[0]))
        raise IndexError(joint)


def entry_name(name: str, shape: tuple[int, ...], index: int) -> str:
    """An entry of a declared tensor: ``X_3`` in VNN-LIB 1.0 (where the name ends in ``_``), else ``X[0,3]``."""
    if name.endswith("_"):
        return f"{name}{index}"
    return f"{name}[{','.join(str(int(i)) for i in np.unravel_index(index, shape))}]" if shape else name


def _exact(value: Fraction, line: int) -> float:
    """The float64 that is this fraction."""
    result = _nearest(value)
    if not math.isfinite(result) or Fraction(result) != value:
        raise ValueError(f"line {line}: coefficient {result!r} is no exact float64 after the arithmetic on it")
    return result


def _nearest(value: Fraction) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _at_least(value: Fraction) -> float:
    """The smallest float64 that is not below this fraction."""
    result = _nearest(value)
    if math.isinf(result):
        raise ValueError("a constant is too large for float64")
    return result if Fraction(result) >= value else math.nextafter(result, math.inf)
