"""Formulas of a query: and/or over linear constraints, with exact rational coefficients.

Decimal constants are read as the nearest float64, as every tool of the field does; all arithmetic on them is exact.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")

#: More clauses than this are refused: a disjunctive normal form can grow exponentially.
MAX_CLAUSES = 100_000


@dataclass(frozen=True, order=True)
class Variable:
    """Entry ``index`` (row-major) of the input or output of the network number ``network``."""

    network: int
    output: bool
    index: int


@dataclass(frozen=True)
class Linear:
    """``Σ coefficient · variable + constant``; no coefficient is 0."""

    terms: Mapping[Variable, Fraction]
    constant: Fraction

    @classmethod
    def of(cls, value) -> Linear:
        """A variable or a number as a linear expression."""
        if isinstance(value, Variable):
            return cls({value: Fraction(1)}, Fraction(0))
        return cls({}, Fraction(value))

    def __add__(self, other: Linear) -> Linear:
        terms = dict(self.terms)
        for variable, coefficient in other.terms.items():
            terms[variable] = terms.get(variable, Fraction(0)) + coefficient
        return Linear({v: c for v, c in terms.items() if c}, self.constant + other.constant)

    def scaled(self, factor: Fraction) -> Linear:
        return Linear({v: c * factor for v, c in self.terms.items() if factor}, self.constant * factor)

    def __sub__(self, other: Linear) -> Linear:
        return self + other.scaled(Fraction(-1))

    def value(self, values: Mapping[Variable, Fraction]) -> Fraction:
        return sum((c * values[v] for v, c in self.terms.items()), self.constant)


def arithmetic(operator: str, arguments: list[Linear]) -> Linear:
    """``+ - * /`` of linear expressions; unary minus; products and quotients with constants only."""
    first, *rest = arguments
    if operator == "+":
        return sum(rest, first)
    if operator == "-":
        return first - sum(rest, Linear.of(0)) if rest else first.scaled(Fraction(-1))
    if operator == "*":
        return _product(arguments)
    for divisor in rest:
        if divisor.terms or not divisor.constant:
            raise ValueError("a divisor must be a constant other than 0")
        first = first.scaled(1 / divisor.constant)
    return first


def _product(factors: Sequence[Linear]) -> Linear:
    """The product of linear expressions, at most one of them not a constant."""
    result = Linear.of(1)
    for factor in factors:
        if result.terms and factor.terms:
            raise ValueError("a product of two variables is not linear")
        result = factor.scaled(result.constant) if factor.terms else result.scaled(factor.constant)
    return result


def number(text: str, line: int) -> Fraction:
    """A decimal number as the nearest float64, exactly."""
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"line {line}: {text[:60]!r} is neither a number nor a declared variable")
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"line {line}: {text[:60]} is too large for float64")
    return Fraction(value)


@dataclass(frozen=True)
class Constraint:
    """``linear ≥ 0``, or ``> 0`` if strict; ``line`` of the file says where."""

    linear: Linear
    strict: bool
    line: int

    def holds(self, values: Mapping[Variable, Fraction]) -> bool:
        value = self.linear.value(values)
        return value > 0 if self.strict else value >= 0


@dataclass(frozen=True)
class And:
    parts: tuple[Formula, ...]
    equality: bool = False  # the two halves of an equality


@dataclass(frozen=True)
class Or:
    parts: tuple[Formula, ...]


Formula = Constraint | And | Or
Clause = tuple[Constraint, ...]


def compare(operator: str, left: Linear, right: Linear, line: int) -> Formula:
    """One comparison; ``=`` becomes two constraints, ``!=`` a choice of two."""
    difference = left - right
    opposite = difference.scaled(Fraction(-1))
    if operator in (">=", ">"):
        return Constraint(difference, operator == ">", line)
    if operator in ("<=", "<"):
        return Constraint(opposite, operator == "<", line)
    if operator in ("=", "=="):
        return And((Constraint(difference, False, line), Constraint(opposite, False, line)), equality=True)
    if operator == "!=":
        return Or((Constraint(difference, True, line), Constraint(opposite, True, line)))
    raise ValueError(f"comparison {operator} is not one of <= >= < > = !=")


def constraints(formula: Formula) -> Iterator[Constraint]:
    """All constraints of a formula."""
    if isinstance(formula, Constraint):
        yield formula
    else:
        for part in formula.parts:
            yield from constraints(part)


def holds(formula: Formula, values: Mapping[Variable, Fraction]) -> bool:
    """Whether the formula is true, exactly, at a value for every variable.

    >>> x = Linear.of(Variable(0, False, 0))
    >>> at_half = {Variable(0, False, 0): Fraction(1, 2)}
    >>> holds(compare("<=", x, Linear.of(0.5), 1), at_half), holds(compare("<", x, Linear.of(0.5), 1), at_half)
    (True, False)
    """
    if isinstance(formula, Constraint):
        return formula.holds(values)
    combine = all if isinstance(formula, And) else any
    return combine(holds(part, values) for part in formula.parts)


def clauses(formula: Formula) -> list[Clause]:
    """Disjunctive normal form: the formula holds iff all constraints of some clause do."""
    if isinstance(formula, Constraint):
        return [(formula,)]
    if isinstance(formula, Or):
        result = [clause for part in formula.parts for clause in clauses(part)]
        if len(result) > MAX_CLAUSES:
            raise ValueError(f"over {MAX_CLAUSES} cases in disjunctive normal form")
        return result
    return conjoin([clauses(part) for part in formula.parts])


def conjoin(choices: Sequence[list[Clause]]) -> list[Clause]:
    """The clauses of a conjunction of formulas, from the clauses of each."""
    # Single clauses first: they are joined once instead of once a case.
    single = [constraint for choice in choices if len(choice) == 1 for constraint in choice[0]]
    result: list[Clause] = [tuple(single)]
    for choice in choices:
        if len(choice) == 1:
            continue
        if len(result) * len(choice) > MAX_CLAUSES:
            raise ValueError(f"over {MAX_CLAUSES} cases in disjunctive normal form")
        result = [clause + more for clause in result for more in choice]
    return result
