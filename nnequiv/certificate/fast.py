"""The checker in floats: the same forms, every rounding bounded and added to the error of its form.

Much quicker than whole numbers, and more to believe: IEEE double precision, and the bound ``γ_n = n u / (1 − n u)`` of
a dot product of length n (Higham 2002, chapter 3), whatever the order of its sums. What overflows proves nothing. The
witness is still checked exactly. Needs NumPy and ``check.py``; beside it ``python fast.py certificate.json.gz`` runs.
"""

import sys
from fractions import Fraction

import numpy as np

if __package__:
    from nnequiv.certificate.check import Leaf, check
else:
    from check import Leaf, check  # type: ignore[no-redef]

UNIT, TINY = 2.0**-53, 2.0**-1074


def gamma(length: int) -> float:
    """Relative error of a dot product of this length and of the bound on it, with room to spare."""
    return (4 * length + 32) * UNIT / (1 - (4 * length + 32) * UNIT)


def slack(length: int, magnitude):
    """The error of a sum of ``length`` products whose moduli sum to ``magnitude``, underflow included."""
    return gamma(length) * magnitude + 8 * TINY * (length + 4)


def known(lower, upper) -> tuple:
    """Bounds; where floats overflowed nothing is known."""
    return np.where(np.isnan(lower), -np.inf, lower), np.where(np.isnan(upper), np.inf, upper)


class Fast(Leaf):
    """What :class:`nnequiv.certificate.check.Leaf` does, in float64.

    A form is (table, columns, error): for every x of the leaf ``|value − row of table · (1, e)| ≤ error``.
    """

    @staticmethod
    def matrix(rows) -> tuple:
        values = np.array(rows, dtype=np.float64)
        return values, np.abs(values)

    def inputs(self, box) -> tuple:
        low, high = np.array([*box, (1.0, 1.0)]).T
        free = np.flatnonzero(low < high)
        center = np.clip(low + 0.5 * (high - low), low, high)
        radius = np.maximum(high - center, center - low) * (1 + 4 * UNIT) + 4 * TINY
        table = np.column_stack([center, np.diag(radius)[:, free]])
        return (table, np.array([0, *free + 1]), 0 * low), (low, high)

    def affine(self, matrix, form) -> tuple:
        """The center and all generators are dot products; the errors of the latter count Σ|e_k| ≤ 1 each."""
        (weight, size), (table, columns, error) = matrix, form
        width = table.shape[1]
        count = weight.shape[1] + width
        reach = np.abs(table).sum(axis=1) + error
        underflow = 8 * TINY * (count + 4) * (width + 1)
        more = (size @ error) * (1 + gamma(count)) + slack(count, size @ reach) + underflow
        return weight @ table, columns, more

    def interval(self, matrix, lower, upper) -> tuple:
        weight, size = matrix
        plus, minus = 0.5 * (weight + size), 0.5 * (weight - size)  # exact: one of the two is the weight
        error = slack(2 * weight.shape[1], size @ np.maximum(np.abs(lower), np.abs(upper)))
        return known(plus @ lower + minus @ upper - error, plus @ upper + minus @ lower + error)

    def relu(self, z, lower, upper) -> tuple:
        """A slope is any float in [0, 1], and what it multiplies is rounded once; adding ``half`` rounds again."""
        (table, columns, error), first = z, len(self.neurons)
        sign = np.array([*(self.signs.get(first + i, 0) for i in range(len(table) - 1)), 0])
        reach = np.abs(table[:, 1:]).sum(axis=1) + error
        reach += slack(table.shape[1] + 2, reach + np.abs(table[:, 0]))
        low, high = known(table[:, 0] - reach, table[:, 0] + reach)
        lower, upper = np.maximum(lower, low), np.minimum(upper, high)
        lower, upper = np.where(sign > 0, np.maximum(lower, 0), lower), np.where(sign < 0, np.minimum(upper, 0), upper)
        self.empty |= bool((lower > upper).any())
        both = (lower < 0) & (upper > 0)
        slope = np.where(
            both, np.clip(upper / np.where(both, upper - lower, 1.0), 0.0, 1.0), (lower >= 0) & (sign >= 0)
        )
        half = 0.5 * np.maximum(-slope * lower, (1 - slope) * upper) * (1 + 8 * UNIT) + 4 * TINY
        half, free = np.where(both, half, 0.0), np.flatnonzero(both)
        result = np.hstack([slope[:, None] * table, np.diag(half)[:, free]])
        result[:, 0] += half
        rounded = gamma(1) * (np.abs(table).sum(axis=1) + error + half) + 8 * TINY * (table.shape[1] + 2)
        error = slope * error * (1 + 4 * UNIT) + np.where(both, rounded, 0.0)
        form = result, np.array([*columns, *self.first + first + free]), error
        self.neurons += [(z, form, i) for i in range(len(table) - 1)]
        return form, (np.maximum(lower, 0), np.maximum(upper, 0))

    def largest(self, terms) -> Fraction:
        """The multipliers are whole numbers below 2**53, so floats hold them; each product is rounded once."""
        width, magnitude, error = self.first + len(self.neurons), 0.0, 0.0
        total = np.zeros(width)
        for c, (table, columns, errors), i in terms:
            row = float(c) * table[i]
            total[columns] += row
            error += abs(c) * errors[i]
            magnitude += np.abs(row).sum() + abs(c) * errors[i]
        value = total[0] + np.abs(total[1:]).sum() + error
        value += slack(2 * len(terms) + width, magnitude) + 8 * TINY * len(terms) * (width + 1)
        return Fraction(float(value))  # raises where it is not finite: the leaf proves nothing


if __name__ == "__main__":
    report = check(sys.argv[1], Fast)
    print(report.text)
    raise SystemExit(not report.accepted)
