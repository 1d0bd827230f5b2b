from fractions import Fraction

import numpy as np
import pytest

from nnequiv import Box, Network, Top1
from nnequiv.reach.engine import Engine, Enumerator, attained, stacked_outputs
from nnequiv.reach.intervals import interval_bound, interval_layers
from nnequiv.reach.milp import Milp
from nnequiv.reach.star import Star
from nnequiv.relations import discrepancy_objectives
from nnequiv.rounding import evaluate_exact
from tests.oracles.random_networks import random_network


@pytest.mark.parametrize("scale", [1.0, 1e-8, 1e8, 1e-120, 1e70])
def test_intervals_hold_the_exact_values_of_every_layer(scale):
    for seed in range(20):
        rng = np.random.default_rng(seed)
        net = random_network(rng, (2, 3, 3, 2), scale)
        box = Box(-rng.random(2), rng.random(2))
        bounds = interval_layers(net, box.lower, box.upper)
        for point in (box.lower, box.upper, *box.sample(rng, 4)):
            for depth, (low, high) in enumerate(bounds):
                part = Network(net.layers[: depth + 1])
                for a, value, b in zip(low, evaluate_exact(part, point), high, strict=True):
                    assert Fraction(float(a)) <= value <= Fraction(float(b)), f"seed {seed}, layer {depth}"


def test_intervals_of_a_point_are_its_outputs():
    net = random_network(np.random.default_rng(0), (2, 4, 2))
    low, high = interval_layers(net, np.array([0.5, 0.25]), np.array([0.5, 0.25]))[-1]
    np.testing.assert_allclose(low, net([0.5, 0.25]), atol=1e-13)
    np.testing.assert_allclose(high, net([0.5, 0.25]), atol=1e-13)


def test_the_interval_bound_is_above_every_value():
    for seed in range(30):
        rng = np.random.default_rng(seed)
        f, g, box = random_network(rng, (2, 3, 3)), random_network(rng, (2, 4, 3)), Box(-np.ones(2), np.ones(2))
        points = box.sample(rng, 200)
        for objectives in (discrepancy_objectives(3), Top1().objectives(3)):
            outputs = np.hstack([f(points), g(points)])
            largest = max(objective.values(outputs).max() for objective in objectives)
            assert interval_bound((f, g), box, objectives) >= largest, f"seed {seed}"


def test_overflow_makes_the_interval_bound_infinite_and_never_small():
    big = Network([([[1e200], [-1e200]], [0.0, 0.0]), ([[1e200, -1e200]], [0.0])])
    zero = Network([([[0.0]], [0.0])])
    with np.errstate(over="ignore", invalid="ignore"):
        assert interval_bound((big, zero), Box([-1.0], [1.0]), discrepancy_objectives(1)) == np.inf
        assert interval_bound((zero, big), Box([-1.0], [1.0]), discrepancy_objectives(1)) == np.inf


def test_attained_values_are_below_the_exact_ones():
    for seed in range(30):
        rng = np.random.default_rng(seed)
        f, g = random_network(rng, (2, 3, 3)), random_network(rng, (2, 4, 3))
        points = rng.normal(size=(3, 2))
        for objective in (*discrepancy_objectives(3), *Top1(0.1).objectives(3)):
            for point, value in zip(points, attained((f, g), objective, points), strict=True):
                exact = objective.exact_value(evaluate_exact(f, point) + evaluate_exact(g, point))
                if exact is None:
                    assert value == -np.inf, f"seed {seed}"
                elif value > -np.inf:
                    assert Fraction(float(value)) <= exact, f"seed {seed}"
                    assert float(exact) - value < 1e-12, f"seed {seed}"


def test_a_guard_that_holds_within_rounding_only_does_not_count():
    net = Network([([[0.1], [0.3]], [0.2, 0.0])])  # equal at x = 1, up to rounding
    objective = Top1().objectives(2)[1]
    exact = objective.exact_value(evaluate_exact(net, [1.0]) + evaluate_exact(net, [1.0]))
    value = attained((net, net), objective, np.array([[1.0]]))[0]
    assert value == -np.inf or exact is not None


def test_stacked_outputs_put_g_after_f():
    rng = np.random.default_rng(0)
    f, g = random_network(rng, (2, 3, 3)), random_network(rng, (2, 4, 1))
    points = rng.normal(size=(5, 2))
    values, errors = stacked_outputs((f, g), points)
    np.testing.assert_array_equal(values, np.hstack([f(points), g(points)]))
    assert (errors > 0).all()


def test_the_protocols():
    assert isinstance(Star(), Enumerator)
    assert isinstance(Milp(), Engine)
    assert not isinstance(Milp(), Enumerator)
