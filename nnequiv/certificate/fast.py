"""Rigorous floating-point arithmetic for the checker: the same forms, every rounding bounded and added to the error.

Much quicker than exact integers, and more to believe: IEEE double precision, and the bound ``γ_n = n u / (1 − n u)`` of
a dot product of length n (Higham 2002, chapter 3), whatever the order of its sums. What overflows proves nothing.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from nnequiv.certificate.check import Form

UNIT, TINY = 2.0**-53, 2.0**-1074


def gamma(length: int) -> float:
    """Relative error of a dot product of this length and of the bound on it, with room to spare."""
    return (4 * length + 32) * UNIT / (1 - (4 * length + 32) * UNIT)


def slack(length: int, magnitude):
    """The error of a sum of ``length`` products whose moduli sum to ``magnitude``, underflow included."""
    return gamma(length) * magnitude + 8 * TINY * (length + 4)


class Fast:
    """What :class:`nnequiv.certificate.check.Exact` does, in float64. ``bits`` is not needed."""

    def __init__(self, bits: int):
        pass

    def matrix(self, rows) -> tuple:
        values = np.array(rows, dtype=np.float64)
        return values, np.abs(values)

    def box(self, lower, upper) -> Form:
        low, high = np.array([*lower, 1.0]), np.array([*upper, 1.0])
        center = np.clip(low + 0.5 * (high - low), low, high)
        radius = np.maximum(high - center, center - low) * (1 + 4 * UNIT) + 4 * TINY * (low < high)
        free = np.flatnonzero(low < high)
        return Form(center, low[:, None][:, :0], 0 * low, (free, radius[free]), np.arange(len(free)))

    def affine(self, matrix, form: Form) -> Form:
        """A centre and all generators are dot products over the n rows; errors of the latter count Σ|e_k| ≤ 1 each."""
        weight, size = matrix
        rows, sizes = form.single
        generators = np.hstack([weight @ form.generators, weight[:, rows] * sizes])
        reach = np.abs(form.center) + np.abs(form.generators).sum(axis=1) + form.error
        reach[rows] += sizes
        count = weight.shape[1] + form.generators.shape[1] + len(rows)
        underflow = 8 * TINY * (count + 4) * (generators.shape[1] + 1)
        error = (size @ form.error) * (1 + gamma(count)) + slack(count, size @ reach) + underflow
        return Form(weight @ form.center, generators, error, (rows[:0], sizes[:0]), form.columns)

    def range(self, form: Form) -> tuple:
        reach = np.abs(form.generators).sum(axis=1) + form.error
        reach += slack(form.generators.shape[1] + 2, reach + np.abs(form.center))
        return self._known(form.center - reach, form.center + reach)

    @staticmethod
    def _known(lower, upper) -> tuple:
        """Where floats overflowed nothing is known."""
        return np.where(np.isnan(lower), -np.inf, lower), np.where(np.isnan(upper), np.inf, upper)

    def interval(self, matrix, lower, upper) -> tuple:
        weight, size = matrix
        plus, minus = 0.5 * (weight + size), 0.5 * (weight - size)  # exact: one of the two is the weight
        error = slack(2 * weight.shape[1], size @ np.maximum(np.abs(lower), np.abs(upper)))
        return self._known(plus @ lower + minus @ upper - error, plus @ upper + minus @ lower + error)

    def relu(self, form: Form, lower, upper, column: int) -> Form:
        """As in exact arithmetic; a slope is any float in [0, 1], and what it multiplies is rounded once."""
        unstable = (lower < 0) & (upper > 0)
        slope = np.where(unstable, np.clip(upper / np.where(unstable, upper - lower, 1.0), 0.0, 1.0), lower >= 0)
        free = np.flatnonzero(unstable)
        half = 0.5 * np.maximum(-slope * lower, (1 - slope) * upper)[free] * (1 + 8 * UNIT) + 4 * TINY
        center, generators = slope * form.center, slope[:, None] * form.generators
        center[free] += half
        reach = np.abs(form.center) + np.abs(form.generators).sum(axis=1) + form.error
        reach[free] += half
        rounded = gamma(1) * reach + 8 * TINY * (generators.shape[1] + 2)
        error = slope * form.error * (1 + 4 * UNIT) + np.where(unstable, rounded, 0.0)
        columns = np.concatenate([form.columns, np.arange(column, column + len(free))])
        return Form(center, generators, error, (free, half), columns)

    def largest(self, rows, width: int) -> Fraction:
        """The multipliers are whole numbers below 2**53, so floats hold them; each product is rounded once."""
        e, total, magnitude = np.zeros(width), 0.0, 0.0
        for c, form, i in rows:
            c, count, own = float(c), form.generators.shape[1], form.single[0] == i
            entries, single = c * form.generators[i], c * form.single[1][own]
            e[form.columns[:count]] += entries
            e[form.columns[count:][own]] += single
            total += c * form.center[i] + abs(c) * form.error[i]
            magnitude += abs(c) * (abs(form.center[i]) + form.error[i]) + np.abs(entries).sum() + np.abs(single).sum()
        value = total + np.abs(e).sum() + slack(2 * len(rows) + width, magnitude) + 8 * TINY * len(rows) * (width + 1)
        return Fraction(float(value))  # raises where it is not finite: the leaf proves nothing
