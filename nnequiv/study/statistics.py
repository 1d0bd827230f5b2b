"""Means and ranges over seeds, and paired comparisons."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from nnequiv.study.cells import Row


@dataclass(frozen=True)
class Spread:
    """Mean, least and largest value over seeds.

    >>> Spread.of([1.0, 2.0, 6.0])
    Spread(mean=3.0, least=1.0, most=6.0)
    """

    mean: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        return cls(math.fsum(values) / len(values), min(values), max(values))


@dataclass(frozen=True)
class Paired:
    """One method against another, over all settings and seeds in which both are: same f, g and sets.

    Attributes
    ----------
    lower, runs : int
        In how many of how many runs the first has the smaller value.
    ratio : float
        Geometric mean of first / second; NaN without a run in which both are above 0.
    """

    lower: int
    runs: int
    ratio: float

    @property
    def clear(self) -> bool:
        """One side has at least three quarters of the runs."""
        return max(self.lower, self.runs - self.lower) >= 0.75 * self.runs


def groups(rows: Sequence[Row]) -> list[str]:
    """The axes, in order."""
    return list(dict.fromkeys(row.group for row in rows))


def places(rows: Sequence[Row], group: str) -> list[float]:
    """The places on an axis, in the order of the study."""
    return list(dict.fromkeys(row.value for row in rows if row.group == group))


def spread(rows: Sequence[Row], group: str, value: float, method: str, column: str) -> Spread | None:
    """Over seeds; None where the setting has no such network."""
    chosen = [getattr(r, column) for r in rows if (r.group, r.value, r.method) == (group, value, method)]
    return Spread.of(chosen) if chosen else None


def paired(rows: Sequence[Row], first: str, second: str, column: str) -> Paired:
    """Where values are equal, the first is not lower."""
    runs = [{(r.group, r.value, r.seed): getattr(r, column) for r in rows if r.method == m} for m in (first, second)]
    pairs = [(runs[0][key], runs[1][key]) for key in runs[0] if key in runs[1]]
    logs = [math.log(a / b) for a, b in pairs if a > 0 and b > 0]
    ratio = math.exp(math.fsum(logs) / len(logs)) if logs else math.nan
    return Paired(sum(a < b for a, b in pairs), len(pairs), ratio)
