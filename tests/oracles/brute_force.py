"""Brute force: every activation pattern of a pair, one by one, each with its own LP. Shares no code with the engines.

The affine maps are composed in exact rationals, so that a neuron that is constant on a piece is seen as constant.
Only the LPs (scipy's HiGHS) round.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from scipy.optimize import linprog

from nnequiv.relations import discrepancy_objectives
from nnequiv.tolerances import INTERIOR_TOL

LP_OPTIONS = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}
#: Pieces whose inscribed ball is smaller are not followed: their maximum is their neighbours' to this accuracy.
THINNEST = 1e-9
#: Farther from the origin than any input set of the tests reaches.
FAR = 1e4


@dataclass(frozen=True)
class Pattern:
    """One piece: its signs, half-spaces ``rows @ (x, 1) ≤ 0`` in the free inputs, the map to the
    stacked outputs and its inscribed ball."""

    signs: tuple[bool, ...]
    rows: np.ndarray
    outputs: np.ndarray
    radius: float


def _fractions(array) -> np.ndarray:
    return np.array([Fraction(float(v)) for v in np.ravel(array)], dtype=object).reshape(np.shape(array))


def _unit_row(row) -> np.ndarray:
    """A row ``(a, b)`` of ``a x + b``, exact, as floats with ``‖a‖ = 1``.

    A plane that is very far from the small boxes of the tests is moved nearer, on the same side: HiGHS calls a
    problem with a plane at 2e9 unbounded.
    """
    size = max(abs(v) for v in row[:-1])
    floats = np.array([float(v / size) for v in row])
    floats /= np.linalg.norm(floats[:-1])
    floats[-1] = np.clip(floats[-1], -FAR, FAR)
    return floats


def _input_rows(input_set) -> tuple[np.ndarray, np.ndarray]:
    """The embedding ``x = E (α, 1)`` in fractions, and unit rows of the set over α."""
    box, (matrix, bound) = input_set.box, input_set.cuts
    free = box.free
    embedding = np.full((box.dimension + 1, len(free) + 1), Fraction(0))
    embedding[free, np.arange(len(free))] = Fraction(1)
    embedding[-1, -1] = Fraction(1)
    fixed = np.setdiff1d(np.arange(box.dimension), free)
    embedding[fixed, -1] = _fractions(box.lower[fixed])
    cuts = np.hstack([_fractions(matrix), -_fractions(bound)[:, None]]) @ embedding
    sides = np.eye(len(free))
    rows = [np.append(s, -u) for s, u in zip(sides, box.upper[free], strict=True)]
    rows += [np.append(-s, low) for s, low in zip(sides, box.lower[free], strict=True)]
    rows += [_unit_row(row) for row in cuts if any(row[:-1])]
    return embedding, np.array(rows).reshape(-1, len(free) + 1)


def _solve(cost, matrix, bound):
    """``min cost @ v : matrix @ v ≤ bound``. HiGHS gives up on some slivers: then again without presolve."""
    free = [(None, None)] * len(cost)
    for options in (LP_OPTIONS, LP_OPTIONS | {"presolve": False}, {"presolve": False}, {}):
        result = linprog(cost, A_ub=matrix, b_ub=bound, bounds=free, options=options)
        if result.status in (0, 2):
            return result
    raise RuntimeError(f"linprog ended with status {result.status}: {result.message}")


def ball(rows: np.ndarray) -> tuple[float, np.ndarray]:
    """The largest ball in ``{α : rows @ (α, 1) ≤ 0}``, unit rows: its radius (negative if the set is empty) and centre.

    A single point, in dimension 0, has radius ∞.
    """
    d = rows.shape[1] - 1
    if d == 0:
        return np.inf, np.zeros(0)
    matrix = np.hstack([rows[:, :-1], np.ones((len(rows), 1))])
    cost = np.append(np.zeros(d), -1.0)
    result = _solve(cost, matrix, -rows[:, -1])
    return result.x[-1], result.x[:-1]


def interior_radius(polytope) -> float:
    """Radius of the largest ball in a set with ``box`` and ``cuts``, measured in its free inputs."""
    return ball(_input_rows(polytope)[-1])[0]


def patterns(f, g, input_set, thinnest: float = THINNEST) -> Iterator[Pattern]:
    """All patterns whose piece holds a ball of radius ``thinnest``, depth first, neuron by neuron."""
    embedding, rows = _input_rows(input_set)
    layers = [[np.hstack([_fractions(l.weight), _fractions(l.bias)[:, None]]) for l in n.layers] for n in (f, g)]

    def follow(signs, rows, inside, depth, net, before, done) -> Iterator[Pattern]:
        """Enter a layer with the lifted map ``before``; ``inside`` is a ball in the piece."""
        if net == 2:
            yield Pattern(signs, rows, np.vstack(done).astype(float), ball(rows)[0])
            return
        z = layers[net][depth] @ before
        if depth == len(layers[net]) - 1:
            yield from follow(signs, rows, inside, 0, net + 1, embedding, [*done, z])
        else:
            yield from decide(signs, rows, inside, depth, net, z, done, 0)

    def decide(signs, rows, inside, depth, net, z, done, k) -> Iterator[Pattern]:
        """Give neuron k every sign it has somewhere in the piece."""
        if k == len(z):
            active = np.array([Fraction(int(s)) for s in signs[len(signs) - k :]], dtype=object)
            after = np.vstack([z * active[:, None], embedding[-1:]])
            yield from follow(signs, rows, inside, depth + 1, net, after, done)
        elif not any(z[k, :-1]):  # constant on the piece
            yield from decide((*signs, z[k, -1] > 0), rows, inside, depth, net, z, done, k + 1)
        else:
            for sign in (True, False):
                row = _unit_row(z[k]) * (-1 if sign else 1)
                half = np.vstack([rows, row])
                # A centre that deep on the right side is the centre of a ball there: no LP needed.
                within = inside if row @ np.append(inside[1], 1.0) < -2 * thinnest else ball(half)
                if within[0] > thinnest:
                    yield from decide((*signs, sign), half, within, depth, net, z, done, k + 1)

    start = ball(rows)
    if start[0] > thinnest:
        yield from follow((), rows, start, 0, 0, embedding, [])


def largest(piece: Pattern, objective, relaxed: float = 0.0) -> float:
    """Maximum of an objective over one piece: ``max t`` with ``t ≤ goals`` and ``guards ≥ −relaxed``."""
    goals, guards = (
        np.hstack([rows @ piece.outputs[:, :-1], (rows @ piece.outputs[:, -1] + offsets)[:, None]])
        for rows, offsets in ((objective.goal, objective.goal_offset), (objective.guard, objective.guard_offset))
    )
    d = piece.rows.shape[1] - 1
    matrix = np.vstack([piece.rows[:, :-1], -goals[:, :-1], -guards[:, :-1]])
    t = np.concatenate([np.zeros(len(piece.rows)), np.ones(len(goals)), np.zeros(len(guards))])
    bound = np.concatenate([-piece.rows[:, -1], goals[:, -1], guards[:, -1] + relaxed])
    result = _solve(np.append(np.zeros(d), -1.0), np.column_stack([matrix, t]), bound)
    return -result.fun if result.status == 0 else -np.inf


def brute_force(f, g, input_set) -> tuple[float, int | None]:
    """``max |f − g|``, and the number of pieces with interior (None if a piece is too close to having none)."""
    pieces = list(patterns(f, g, input_set))
    radii = np.array([piece.radius for piece in pieces])
    clear = not ((radii > INTERIOR_TOL / 10) & (radii < INTERIOR_TOL * 10)).any()
    objectives = discrepancy_objectives(f.n_outputs)
    value = max((largest(piece, objective) for piece in pieces for objective in objectives), default=-np.inf)
    return value, int((radii > INTERIOR_TOL).sum()) if clear else None


def largest_relation(pieces: list[Pattern], objectives, relaxed: float) -> tuple[float, float]:
    """The largest of the objectives over all pieces, with guards tightened and with guards relaxed by this much."""
    return tuple(
        max((largest(piece, objective, by) for piece in pieces for objective in objectives), default=-np.inf)
        for by in (-relaxed, relaxed)
    )


def grid(f, g, box, steps: int) -> float:
    """A lower bound on ``max |f − g|`` over a box: the largest value on a grid of ``steps`` points an input."""
    axes = [np.linspace(l, u, steps) for l, u in zip(box.lower, box.upper, strict=True)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, box.dimension)
    return float(np.abs(f(points) - g(points)).max())


def lipschitz(f, g) -> float:
    """A bound on how fast ``|f − g|`` changes per unit of the largest input change, from the weights alone."""

    def of(network):
        rate = np.ones(network.n_inputs)
        for layer in network.layers:
            rate = np.abs(layer.weight) @ rate
        return rate

    return float((of(f) + of(g)).max())
