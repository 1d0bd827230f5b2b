"""Multipliers made exact: a vector in the null space of rational rows, next to one in floats."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np


def null_vector(slopes: Sequence[Sequence[Fraction]], near: np.ndarray) -> list[Fraction] | None:
    """Weights ``λ ≥ 0``, not all 0, with ``Σ λ_c slopes[c] = 0`` exactly, near to given ones; None if there are none.

    The equations are solved for the largest of the given weights, in terms of the others, which stay as they are.

    Parameters
    ----------
    slopes : (s, k) rationals
    near : (s,) array

    Examples
    --------
    >>> third = [[Fraction(1)], [Fraction(-1, 3)]]
    >>> null_vector(third, np.array([0.25, 0.75]))
    [Fraction(1, 4), Fraction(3, 4)]
    """
    count = len(slopes)
    equations = [list(column) for column in zip(*slopes, strict=True)]
    pivots: dict[int, list[Fraction]] = {}
    for c in np.argsort(-near, kind="stable").tolist():
        row = next((equation for equation in equations if equation[c]), None)
        if row is None:
            continue
        equations.remove(row)
        row = [value / row[c] for value in row]
        equations = [_without(equation, row, c) for equation in equations]
        pivots = {other: _without(equation, row, c) for other, equation in pivots.items()} | {c: row}
    weights = [Fraction(float(value)) for value in near]
    for c, row in pivots.items():
        weights[c] = -sum((row[j] * weights[j] for j in range(count) if j not in pivots), Fraction(0))
    return weights if min(weights, default=-1) >= 0 and any(weights) else None


def _without(equation: list[Fraction], row: list[Fraction], c: int) -> list[Fraction]:
    """The equation minus the multiple of ``row`` that clears its entry c; ``row[c]`` is 1."""
    factor = equation[c]
    return [a - factor * b for a, b in zip(equation, row, strict=True)] if factor else equation
