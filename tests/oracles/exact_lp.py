"""Linear programs over tiny polytopes in exact rationals: every vertex, one by one."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations


def _solved(rows: list[list[Fraction]]) -> list[Fraction] | None:
    """The one solution of ``row[:-1] @ x = row[-1]`` for n rows, by elimination; None if there is not exactly one."""
    rows, n = [list(row) for row in rows], len(rows)
    for column in range(n):
        pivot = next((i for i in range(column, n) if rows[i][column]), None)
        if pivot is None:
            return None
        rows[column], rows[pivot] = rows[pivot], rows[column]
        rows[column] = [v / rows[column][column] for v in rows[column]]
        for i in range(n):
            if i != column:
                rows[i] = [a - rows[i][column] * b for a, b in zip(rows[i], rows[column], strict=True)]
    return [row[-1] for row in rows]


def exact_maximum(objective, matrix, bound, lower, upper) -> Fraction | None:
    """``max objective @ x`` over ``matrix @ x ≤ bound, lower ≤ x ≤ upper``; None if no x satisfies them."""
    n = len(lower)
    rows = [[Fraction(float(v)) for v in row] + [Fraction(float(b))] for row, b in zip(matrix, bound, strict=True)]
    for j in range(n):
        unit = [Fraction(int(i == j)) for i in range(n)]
        rows.append([*unit, Fraction(float(upper[j]))])
        rows.append([*(-v for v in unit), -Fraction(float(lower[j]))])
    best = None
    for chosen in combinations(rows, n):
        point = _solved(list(chosen))
        if point is None or any(sum(a * x for a, x in zip(row, point, strict=False)) > row[-1] for row in rows):
            continue
        value = sum(Fraction(float(c)) * x for c, x in zip(objective, point, strict=True))
        best = value if best is None else max(best, value)
    return best
