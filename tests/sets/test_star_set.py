from fractions import Fraction

import numpy as np
import pytest

from nnequiv.rounding import evaluate_exact
from nnequiv.sets import Box, Polytope, StarSet
from tests.oracles.random_networks import random_network


def exact_value(star: StarSet, k: int, alpha) -> Fraction:
    terms = zip(star.basis[k], alpha, strict=True)
    return Fraction(float(star.center[k])) + sum(Fraction(float(a)) * Fraction(float(b)) for a, b in terms)


def affine_layers(rng, widths, scale):
    return random_network(rng, widths, scale).layers


@pytest.mark.parametrize("scale", [1.0, 1e-120, 1e60, 1e-8])
def test_the_error_covers_the_rounding_of_affine_maps(scale):
    for seed in range(25):
        rng = np.random.default_rng(seed)
        box = Box(-rng.random(3), rng.random(3) * (rng.random(3) < 0.7))
        layers = affine_layers(rng, (3, 4, 4, 2), scale)
        star = StarSet.from_input_set(box)
        for layer in layers:
            star = star.affine_map(layer.weight, layer.bias)
        for point in box.sample(rng, 5):
            value = [Fraction(float(v)) for v in point]
            for layer in layers:
                rows = zip(layer.weight, layer.bias, strict=True)
                value = [
                    Fraction(float(b)) + sum(Fraction(float(w)) * v for w, v in zip(row, value, strict=True))
                    for row, b in rows
                ]
            for k, exact in enumerate(value):
                distance = abs(exact_value(star, k, point[box.free]) - exact)
                assert distance <= Fraction(float(star.error[k])), f"seed {seed}"


def test_basis_entries_that_underflow_are_paid_for():
    """Two factors of 1e-200 round to 0, but the input is large: the true value is up to 1e-100, not 0."""
    star = StarSet.from_input_set(Box([0.0], [1e300]))
    for _ in range(2):
        star = star.affine_map(np.array([[1e-200]]), np.zeros(1))
    assert star.basis[0, 0] == 0.0
    assert star.error[0] >= 1e-100 * 0.99


def test_intervals_hold_the_values():
    for seed in range(50):
        rng = np.random.default_rng(seed)
        box = Box(-rng.random(4), rng.random(4))
        star = StarSet.from_input_set(box).affine_map(rng.normal(size=(3, 4)), rng.normal(size=3))
        low, high = star.interval()
        for alpha in (box.lower, box.upper, *box.sample(rng, 5)):
            for k in range(3):
                assert Fraction(float(low[k])) <= exact_value(star, k, alpha) <= Fraction(float(high[k])), (
                    f"seed {seed}"
                )
        assert star.interval([1])[0].item() == pytest.approx(low[1])


def test_fixed_inputs_leave_the_predicate():
    star = StarSet.from_input_set(Box([0.0, 2.0, -1.0], [1.0, 2.0, 1.0]))
    assert star.center.tolist() == [0.0, 2.0, 0.0]
    assert star.basis.tolist() == [[1.0, 0.0], [0.0, 0.0], [0.0, 1.0]]
    assert (star.lower.tolist(), star.upper.tolist()) == ([0.0, -1.0], [1.0, 1.0])
    point = StarSet.from_input_set(Box([2.0], [2.0]))
    assert point.basis.shape == (1, 0)
    assert point.inputs(np.zeros(0), Box([2.0], [2.0])).tolist() == [2.0]


def test_half_spaces_of_fixed_inputs_move_outward():
    """x₀ + 0.1 x₁ ≤ 1 with x₁ fixed: every input of the set stays in the predicate."""
    box = Box([0.0, 0.3], [2.0, 0.3])
    star = StarSet.from_input_set(Polytope([[1.0, 0.1]], [1.0], box))
    exact = Fraction(1) - Fraction(0.1) * Fraction(0.3)
    assert Fraction(float(star.bound[0])) >= exact
    assert float(star.bound[0]) - float(exact) < 1e-14
    assert star.matrix.tolist() == [[1.0]]


def test_intersect_and_objective():
    star = StarSet.from_input_set(Box([0.0, 0.0], [1.0, 1.0])).intersect(np.array([1.0, 1.0]), 0.5)
    objective, matrix, bound, lower, upper = star.objective(1, sign=-1.0)
    assert objective.tolist() == [0.0, -1.0]
    assert (matrix.tolist(), bound.tolist()) == ([[1.0, 1.0]], [0.5])
    assert (lower.tolist(), upper.tolist()) == ([0.0, 0.0], [1.0, 1.0])


def test_inputs_are_clipped_into_the_box():
    box = Box([0.0, 2.0], [1.0, 2.0])
    assert StarSet.from_input_set(box).inputs(np.array([1.0 + 1e-9, 77.0]), box).tolist() == [1.0, 2.0]


def test_an_affine_network_as_a_star_is_the_network():
    rng = np.random.default_rng(0)
    net = random_network(rng, (3, 2))
    star = StarSet.from_input_set(Box(-np.ones(3), np.ones(3))).affine_map(net.layers[0].weight, net.layers[0].bias)
    point = rng.normal(size=3)
    for k, exact in enumerate(evaluate_exact(net, point)):
        assert exact_value(star, k, point) == exact
