"""The lower bound holds whatever the multipliers are; with the right ones it is tight."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from nnequiv.compression import Compressed, Prune, Quantize, compress
from nnequiv.control import Control
from nnequiv.network import Network
from nnequiv.reach.skeleton import Skeleton
from nnequiv.repair.exact_multipliers import null_vector
from nnequiv.repair.last_layer import limits, with_last_layer
from nnequiv.repair.lower_bound import _Support, proved_bound
from nnequiv.repair.minimax import Minimax, blocks_of
from nnequiv.repair.points import Points, features_of
from nnequiv.repair.target import Distance, Inside
from nnequiv.sets import Box, Polytope
from tests.oracles.last_layer_lp import all_values, distance_rows, least_value, set_rows
from tests.oracles.random_networks import random_network


def solved(seed: int, target_of=lambda f: Distance(f, 0.0), how=None, widths=(2, 3, 1)):
    """A random problem of one block: its pieces, its minimum, the networks, and what brute force says."""
    rng = np.random.default_rng([8, seed])
    f, g = random_network(rng, (2, 3, widths[-1])), random_network(rng, widths)
    g = Compressed(g.layers) if how is None else compress(g, how)
    sets, target = [Box.around(rng.normal(size=2), 0.8) for _ in range(2)], target_of(f)
    points = Points((f,), g, sets)
    points.add_middles()
    assert points.add_vertices(Skeleton(), Control())
    low, high = limits(g)
    (block,) = blocks_of(target, [0, 0], low, high)
    problem = Minimax(points, [0, 0], block)
    last = g.layers[-1]
    old = np.column_stack([last.weight, last.bias])
    found = problem.minimise(old, target.floor, Control())
    free = Compressed(g.layers)  # the best real layer need not be on the grid
    outputs, features, _ = all_values(f, g, sets)
    rows = (
        distance_rows(outputs, features) if isinstance(target, Distance) else set_rows(outputs, features, *target.rows)
    )
    least = least_value(rows, low, high, -100.0)
    return problem, found, (f, with_last_layer(free, found.entries)), least, rng


@pytest.mark.parametrize("how", [None, Prune(0.4), Quantize(3)])
@pytest.mark.parametrize("seed", range(6))
def test_any_multipliers_give_a_bound_that_holds(seed, how):
    problem, found, networks, least, rng = solved(seed, how=how)
    tight = proved_bound(problem, found, networks)
    assert least - 1e-6 <= tight.value <= least + 1e-9, seed
    for size in (1e-12, 1e-6, 1e-2, 1.0):
        for _ in range(5):
            noise = size * rng.random(len(found.multipliers)) * (rng.random(len(found.multipliers)) < 0.2)
            wrong = proved_bound(problem, replace(found, multipliers=found.multipliers + noise), networks)
            assert wrong.value <= least + 1e-9, (seed, size, wrong.how)
    nothing = proved_bound(problem, replace(found, multipliers=0.0 * found.multipliers), networks)
    assert nothing.value == -np.inf


@pytest.mark.parametrize("seed", range(6))
def test_the_bound_holds_around_any_layer(seed):
    problem, found, networks, least, rng = solved(seed)
    for size in (1e-9, 1e-3, 1.0):
        g = networks[-1]
        entries = found.entries + size * rng.normal(size=found.entries.shape)
        bound = proved_bound(problem, found, (networks[0], with_last_layer(Compressed(g.layers), entries)))
        assert least - 1e-6 <= bound.value <= least + 1e-9, seed


@pytest.mark.parametrize("seed", range(6))
def test_the_three_ways_agree(seed):
    problem, found, networks, least, _ = solved(seed)
    bound = proved_bound(problem, found, networks)
    support = _Support(problem, networks, bound.points, bound.rows, bound.multipliers)
    ways = [support.limited(1e4), support.corrected(found.cuts[0])]
    assert least - 1e-4 <= ways[0] <= least + 1e-9 and least - 1e-8 <= ways[1] <= least + 1e-9, (seed, ways)
    exact = support.exact()
    assert exact <= least + 1e-9 and (exact == -np.inf or exact >= least - 1e-6), (seed, exact)


@pytest.mark.parametrize("seed", range(6))
def test_coupled_outputs(seed):
    def target(f):
        return Inside(f, Polytope([[1.0, 1.0], [-1.0, 0.5], [0.2, -1.0]], [0.05, 0.05, 0.05]))

    problem, found, networks, least, rng = solved(seed, target, widths=(2, 2, 2))
    bound = proved_bound(problem, found, networks)
    assert bound.how in ("exact", "limited") and least - 1e-4 <= bound.value <= least + 1e-9, seed
    for _ in range(10):
        wrong = replace(found, multipliers=found.multipliers + 0.1 * rng.random(len(found.multipliers)))
        assert proved_bound(problem, wrong, networks).value <= least + 1e-9


def test_null_vectors_are_exact_and_near():
    rng = np.random.default_rng(0)
    for _ in range(50):
        s, k = int(rng.integers(2, 7)), int(rng.integers(1, 4))
        near = rng.random(s)
        slopes = rng.normal(size=(s, k))
        slopes[-1] = -(near[:-1] @ slopes[:-1]) / near[-1]  # up to rounding
        rows = [[Fraction(v) for v in row] for row in slopes]
        found = null_vector(rows, near)
        if s <= k:
            continue  # exactly, such rows have no null vector but 0
        assert found is not None and min(found) >= 0
        assert all(sum(w * row[j] for w, row in zip(found, rows, strict=True)) == 0 for j in range(k))
        np.testing.assert_allclose([float(w) for w in found], near, atol=1e-9)


def test_no_null_vector_where_there_is_none():
    assert null_vector([[Fraction(1)], [Fraction(2)]], np.array([0.5, 0.5])) is None
    assert null_vector([[Fraction(1), Fraction(0)], [Fraction(0), Fraction(1)]], np.ones(2)) is None


def test_points_lie_in_their_sets_and_dead_features_have_no_error():
    g = Network([([[1.0, 0.0], [1.0, 0.0], [-1.0, -1.0]], [0.0, 0.0, -9.0]), ([[1.0, 1.0, 1.0]], [0.0])])
    triangle = Polytope([[1.0, 1.0]], [0.1], Box([-1.0, -1.0], [1.0, 1.0]))
    points = Points((), g, [triangle])
    points.add_middles()
    assert points.add_vertices(Skeleton(), Control())
    inside, held = points.inside(np.arange(len(points)))
    assert held.all() and all(triangle.contains(x) for x in inside)
    values, errors = points.exact(inside)
    assert not values[:, 2].any() and not errors[:, 2].any() and (values[:, 3] == 1).all()
    assert points.doubled(np.ones(4, dtype=bool)).tolist() == [False, True, False, False]
    assert points.doubled(np.array([False, True, True, True])).tolist() == [False] * 4
    np.testing.assert_allclose(features_of(g).evaluate(inside), points.features[:, :-1], atol=1e-6)
