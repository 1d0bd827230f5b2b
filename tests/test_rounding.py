from fractions import Fraction

import numpy as np
import pytest

from nnequiv.network import Network
from nnequiv.rounding import (
    UNDERFLOW,
    dot_error,
    evaluate_exact,
    evaluate_with_error,
    gamma,
    power_of_two,
    whole_numbers,
)
from tests.oracles.fractions_network import evaluate_with_fractions
from tests.oracles.random_networks import random_network

SCALES = [1.0, 1e-8, 1e8, 1e-150, 1e90, 1e-310]


def exact_error(value: float, exact: Fraction) -> Fraction:
    return abs(Fraction(float(value)) - exact)


@pytest.mark.parametrize("scale", SCALES)
def test_the_error_of_an_evaluation_is_bounded_by_the_stated_one(scale):
    for seed in range(40):
        rng = np.random.default_rng(seed)
        widths = (int(rng.integers(1, 6)), *rng.integers(1, 6, size=rng.integers(0, 3)).tolist(), 2)
        net = random_network(rng, widths, scale)
        point = rng.normal(size=widths[0]) * 10.0 ** rng.integers(-3, 4)
        values, errors = evaluate_with_error(net, point)
        for value, error, exact in zip(values, errors, evaluate_exact(net, point), strict=True):
            assert exact_error(value, exact) <= Fraction(float(error)), f"seed {seed}, scale {scale}"


def test_scales_mixed_within_a_layer_and_cancellation():
    for seed in range(60):
        rng = np.random.default_rng(seed)
        layers = []
        for n_in, n_out in ((3, 4), (4, 4), (4, 2)):
            weight = rng.normal(size=(n_out, n_in)) * 10.0 ** rng.integers(-30, 30, size=(n_out, n_in))
            weight[0] = 0.1 * np.where(np.arange(n_in) % 2, 1, -1)  # sums that cancel
            layers.append((weight, rng.normal(size=n_out) * 10.0 ** rng.integers(-30, 30, size=n_out)))
        net, point = Network(layers), rng.normal(size=3)
        values, errors = evaluate_with_error(net, point)
        for value, error, exact in zip(values, errors, evaluate_exact(net, point), strict=True):
            assert exact_error(value, exact) <= Fraction(float(error)), f"seed {seed}"


def test_products_that_underflow_are_covered_and_amplified():
    net = Network([([[1e-200]], [0.0]), ([[1e-200]], [0.0]), ([[1e300]], [0.0])])
    values, errors = evaluate_with_error(net, [1.0])
    assert values == [0.0]  # the true value is 1e-100
    assert errors[0] >= 1e-100 * 0.99
    assert evaluate_exact(net, [1.0])[0] > 0


def test_the_error_is_small_for_ordinary_networks():
    net = random_network(np.random.default_rng(0), (50, 50, 50, 10))
    values, errors = evaluate_with_error(net, np.random.default_rng(1).normal(size=(5, 50)))
    assert values.shape == errors.shape == (5, 10)
    assert (errors < 1e-10).all()
    assert (values == net(np.random.default_rng(1).normal(size=(5, 50)))).all()


def test_overflow_never_looks_small():
    net = Network([([[1e200]], [0.0]), ([[1e200]], [0.0])])
    with np.errstate(over="ignore"):
        _, errors = evaluate_with_error(net, [1.0])
    assert not errors[0] < np.inf


def test_dot_error_bounds_dot_products_in_any_order():
    for seed in range(200):
        rng = np.random.default_rng(seed)
        n = int(rng.integers(1, 60))
        a, b = rng.normal(size=n) * 10.0 ** rng.integers(-160, 3, size=n), rng.normal(size=n)
        bound = Fraction(float(dot_error(n, np.abs(a) @ np.abs(b))))
        exact = sum(Fraction(float(x)) * Fraction(float(y)) for x, y in zip(a, b, strict=True))
        for computed in (a @ b, (a * b).sum(), sum(x * y for x, y in zip(a[::-1], b[::-1], strict=True))):
            assert exact_error(computed, exact) <= bound, f"seed {seed}"


def test_constants():
    assert gamma(0) > 0
    assert gamma(100) > 100 * 2.0**-53
    assert UNDERFLOW == np.nextafter(0, 1)
    assert dot_error(3, 0.0) > 0


def test_powers_of_two():
    values = np.array([1.0, 0.9, -3.0, 1e300, 5e-324, 0.0, 1.7e308, np.inf, np.nan])
    sizes = power_of_two(values)
    assert (np.frexp(sizes)[0] == 0.5).all()
    assert (sizes[:4] > np.abs(values[:4])).all()
    assert (sizes[:4] <= 2 * np.abs(values[:4])).all()
    assert sizes[5] == 1.0
    assert np.isfinite(1.0 / sizes).all()
    assert float(power_of_two(3.0)) == 4.0


@pytest.mark.parametrize("seed", range(40))
def test_exact_evaluation_agrees_with_fractions_term_by_term(seed):
    rng = np.random.default_rng(seed)
    exponents = [(0, 1), (-30, 30), (-323, 300), (-320, -300)][seed % 4]
    layers = []
    for n_in, n_out in ((3, 4), (4, 4), (4, 2)):
        weight, bias = (rng.normal(size=s) * 10.0 ** rng.integers(*exponents, size=s) for s in ((n_out, n_in), n_out))
        weight[rng.random(size=weight.shape) < 0.3] = 0.0
        layers.append((weight, bias))
    floats, rational = rng.normal(size=3), [Fraction(int(n), 7) for n in rng.integers(-9, 10, size=3)]
    for point in (floats.tolist(), rational, [0.0, -0.0, Fraction(1, 3)]):
        assert evaluate_exact(Network(layers), point) == evaluate_with_fractions(Network(layers), point), seed


def test_whole_numbers_are_the_floats_exactly():
    values = np.array([0.0, -0.0, 1.0, -1.5, 5e-324, -2.2250738585072014e-308, 1.7976931348623157e308, 3 * 2.0**60])
    numbers, shift = whole_numbers(values)
    assert [Fraction(n, 2**shift) for n in numbers] == [Fraction(v) for v in values.tolist()]
