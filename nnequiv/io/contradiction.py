"""Is a conjunction of linear constraints empty by itself? Found by an LP, proved in rational arithmetic."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from nnequiv.lp import HighspySolver, LPError

#: Multipliers are looked for among fractions up to this denominator.
MAX_DENOMINATOR = 1000


def contradictory(matrix, offset, strict) -> bool:
    """Whether no y satisfies ``matrix y + offset ≥ 0`` (``> 0`` on strict rows). True is proved; False is not.

    Parameters
    ----------
    matrix : (r, m) array
    offset, strict : (r,) arrays

    Notes
    -----
    Farkas: multipliers λ ≥ 0 with ``λ matrix = 0`` and ``λ offset < 0``, or ``= 0`` and some strict row's λ > 0.
    An LP suggests λ; it is rounded to fractions and the conditions are checked exactly. Sound: yes. Complete: no
    (multipliers with larger denominators are missed).

    Examples
    --------
    >>> contradictory([[1.0], [-1.0]], [-1.0, 0.5], [False, False])  # y ≥ 1 and y ≤ 1/2
    True
    >>> contradictory([[1.0], [-1.0]], [0.0, 0.0], [False, False])  # y = 0
    False
    """
    matrix, offset = np.asarray(matrix, dtype=np.float64), np.asarray(offset, dtype=np.float64)
    strict = np.asarray(strict, dtype=bool)
    if not len(offset) or (len(offset) == 1 and matrix.any()):  # the usual case needs no LP
        return False
    rows = np.vstack([matrix.T, -matrix.T, np.ones((1, len(offset)))])
    bound = np.append(np.zeros(2 * matrix.shape[1]), 1.0)
    # The small reward finds the multipliers of strict rows where λ offset is 0 for all.
    reward = -offset + 1e-6 * strict
    try:
        solution = HighspySolver().solve(reward, rows, bound, np.zeros(len(offset)), np.ones(len(offset)))
    except LPError:
        return False
    if solution.point is None or solution.point.max() < 1e-9:
        return False
    weights = np.maximum(solution.point, 0.0) / solution.point.max()
    return _proves([Fraction(float(w)).limit_denominator(MAX_DENOMINATOR) for w in weights], matrix, offset, strict)


def _proves(multipliers: list[Fraction], matrix, offset, strict) -> bool:
    def combined(column) -> Fraction:
        return sum((m * Fraction(float(v)) for m, v in zip(multipliers, column, strict=True) if m), Fraction(0))

    if any(combined(column) != 0 for column in matrix.T):
        return False
    total = combined(offset)
    return total < 0 or (total == 0 and any(m > 0 and s for m, s in zip(multipliers, strict, strict=True)))
