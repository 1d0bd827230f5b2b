"""A last layer whose weights are on a grid: the best real one is rounded, then improved level by level.

Biases are free floats, so they are the best ones for the weights on the grid. A search, not an optimum: how far the
result is from the best real layer within the grid's range is what the lower bound says.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nnequiv.constraints import nearest_levels
from nnequiv.control import Control
from nnequiv.repair.minimax import Minimax, Minimum

#: Points added to those that the levels are searched over, whenever others turn out to be worse.
EXTREMES = 20
#: Searches over a growing list of points, and single steps of one search, at most.
MOST_SEARCHES, MOST_STEPS = 20, 1000


def settled(
    problem: Minimax, found: Minimum, old: np.ndarray, scale: float, bits: int, floor: float, control: Control
) -> Minimum:
    """The found part of a last layer, ``(b, width + 1)``, brought onto a grid, or the old one where that is better."""
    best = None
    for start in (found.entries, old):
        entries = start.copy()
        entries[:, :-1] = nearest_levels(start[:, :-1], scale, bits) * scale
        if len(entries) == 1:
            entries[0, :-1] = _descend(problem, found, entries[0], scale, bits, control) * scale
        weights_fixed = np.where(np.arange(entries.shape[1]) < entries.shape[1] - 1, entries, -np.inf)
        block = replace(problem.block, low=weights_fixed, high=np.where(np.isinf(weights_fixed), np.inf, entries))
        fixed = Minimax(problem.points, problem.kinds, block, problem.lp)
        value = fixed.minimise(entries, floor, control)
        if best is None or value.value < best.value:
            best = value
    return replace(found, entries=best.entries, value=best.value, rounds=found.rounds + best.rounds)


def _descend(problem: Minimax, found: Minimum, entries: np.ndarray, scale: float, bits: int, control) -> np.ndarray:
    """Whole levels ``(width,)``: single steps that make the range of the output's error smaller, until none does.

    With the best bias, a single output's value is half the range of ``alpha · f + beta · g``, plus a constant.
    """
    points, most = problem.points, 2 ** (bits - 1) - 1
    features = points.features[:, :-1]
    aim = points.outputs @ -problem.block.alpha[0] / problem.block.beta[0, 0]  # what the output should be, up to bias
    levels = nearest_levels(entries[:-1], scale, bits)
    chosen = np.unique(found.cuts[0])
    for _ in range(MOST_SEARCHES):
        levels = _steps(aim[chosen], features[chosen] * scale, levels, most, control)
        error = aim - features @ (levels * scale)
        order = np.argsort(error, kind="stable")
        extremes = np.setdiff1d(np.concatenate([order[:EXTREMES], order[-EXTREMES:]]), chosen)
        if np.ptp(error) <= np.ptp(error[chosen]) * (1 + 1e-12) or not len(extremes):
            break
        chosen = np.concatenate([chosen, extremes])
    return levels


def _steps(aim: np.ndarray, slopes: np.ndarray, levels: np.ndarray, most: int, control: Control) -> np.ndarray:
    """Take the best single step of a level until none helps. ``slopes`` (points, width): of one level each."""
    levels, error = levels.copy(), aim - slopes @ levels
    for _ in range(MOST_STEPS):
        control.check()
        best, which = np.ptp(error) * (1 - 1e-9), None
        for sign in (-1.0, 1.0):
            ranges = np.where(np.abs(levels + sign) <= most, np.ptp(error[:, None] - sign * slopes, axis=0), np.inf)
            if ranges.min(initial=np.inf) < best:
                best, which = ranges.min(), (int(ranges.argmin()), sign)
        if which is None:
            break
        levels[which[0]] += which[1]
        error = error - which[1] * slopes[:, which[0]]
    return levels
