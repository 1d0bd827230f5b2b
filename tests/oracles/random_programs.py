"""Tiny linear programs, most of them degenerate on purpose."""

from __future__ import annotations

import numpy as np


def random_program(seed: int):
    """``(objective, matrix, bound, lower, upper)``; coarse numbers, so many are degenerate or empty."""
    rng = np.random.default_rng(seed)
    n, m = int(rng.integers(1, 4)), int(rng.integers(0, 5))
    draw = (lambda *s: rng.integers(-2, 3, size=s) / 2) if seed % 2 else (lambda *s: rng.normal(size=s))
    lower = np.atleast_1d(draw(n))
    upper = lower + np.abs(draw(n)) + (0.0 if seed % 3 else 0.5)
    return draw(n), draw(m, n), draw(m) + 0.5, lower, upper


def nearly_parallel_program(seed: int):
    """Rows that differ by 1e-6 to 1e-14, as nearly equal networks make them: thin slivers, huge multipliers."""
    rng = np.random.default_rng(seed)
    n, kinds = int(rng.integers(1, 4)), int(rng.integers(1, 3))
    base = np.repeat(rng.normal(size=(kinds, n + 1)), 2, axis=0)
    rows = base + 10.0 ** -rng.uniform(6, 14) * rng.normal(size=base.shape)
    rows *= rng.choice([-1.0, 1.0], size=(len(rows), 1))
    objective = rng.normal(size=n) if seed % 2 else rows[0, :-1] - rows[1, :-1]
    return objective, rows[:, :-1], rows[:, -1] * 0.3, -np.ones(n), np.ones(n)
