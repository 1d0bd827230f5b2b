"""A complex cut into two smaller ones: by its boxes if it holds several, else by a plane ``x_i = c``.

So every part is the complex of boxes of its own, and the proof of cover holds for each part alone.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nnequiv.reach.skeleton.buffers import Part
from nnequiv.reach.skeleton.complex import Complex
from nnequiv.reach.skeleton.plan import BISECTIONS, Plan
from nnequiv.reach.skeleton.state import State, part_box

SAMPLE = 4096  # edges that stand for all where only speed depends on it


def bisect(c: Complex, plan: Plan, state: State) -> tuple[tuple[State, Part], State] | None:
    """Keep one half in ``c``; the other half, and the state of the half that stays. None if it is not worth it."""
    home = c.rows[: c.n_vertices, plan.d]
    if home.min() < home.max():
        return _by_boxes(c, state, home), state
    if state.bisections == BISECTIONS:
        return None
    _, (lower,), (upper,) = part_box(plan, state, c.rows[: c.n_vertices])
    found = _best_plane(c, plan.d, lower, upper)
    if found is None:
        return None
    return _at(c, plan, replace(state, lower=lower, upper=upper), *found)


def _by_boxes(c: Complex, state: State, home: np.ndarray) -> tuple[State, Part]:
    of_edge = home[c.start[: c.n_edges]]
    upper = of_edge > np.median(home)
    upper = upper if upper.any() else of_edge == home.max()
    aside = replace(state, near_misses=c.near_misses), c.part(upper, c.inside)
    c.keep(~upper, c.inside)
    return aside


def _best_plane(c: Complex, d: int, lower: np.ndarray, upper: np.ndarray) -> tuple[int, float] | None:
    """The input and the place whose plane leaves the least larger half, judged on a sample of edges.

    A cut edge is in both halves and brings about d − 1 edges on the plane. None if no half would be smaller by a
    tenth: bisecting a box with nothing in it gives two such boxes, for ever.
    """
    step = max(1, c.n_edges // SAMPLE)
    a, b = c.rows[c.start[: c.n_edges : step], :d], c.rows[c.end[: c.n_edges : step], :d]  # (sample, d)
    middle = a.mean(axis=0)
    above = (a >= middle).astype(int) + (b >= middle)  # how many of an edge's ends are above, (sample, d)
    half = np.maximum((above == 2).sum(axis=0), (above == 0).sum(axis=0)) + d * (above == 1).sum(axis=0)
    half = np.where((lower < middle) & (middle < upper), half, len(a))
    i = int(half.argmin())
    return (i, float(middle[i])) if half[i] < 0.9 * len(a) else None


def _at(c: Complex, plan: Plan, state: State, i: int, where: float) -> tuple[tuple[State, Part], State]:
    """Bisect at ``x_i = where``; new vertices get exactly this coordinate (:mod:`nnequiv.reach.skeleton.drift`, 1)."""
    plane, before, scratch = plan.first_bisection + state.bisections, c.n_vertices, plan.d + 1
    c.rows[:before, scratch] = c.rows[:before, i] - where
    positive, negative = c.cut_in_two(scratch, plane)
    c.rows[before : c.n_vertices, i] = where
    state = replace(
        state,
        values=state.values.interpolated(1, plan.reach),
        outputs=state.outputs.interpolated(1, plan.reach),
        bisections=state.bisections + 1,
        near_misses=c.near_misses,
    )
    lower, upper = state.lower.copy(), state.upper.copy()
    lower[i] = upper[i] = where
    halves = [(positive, 0, replace(state, lower=lower)), (negative, 1, replace(state, upper=upper))]
    halves.sort(key=lambda half: half[0].sum())  # the smaller half is copied, the larger stays in place
    (small, closed, aside), (large, other_closed, stays) = halves
    put_aside = aside, c.part(small, _without(c.inside, plane, closed))
    c.keep(large, _without(c.inside, plane, other_closed))
    return put_aside, stays


def _without(inside: np.ndarray, plane: int, side: int) -> np.ndarray:
    inside = inside.copy()
    inside[plane, side] = False
    return inside
