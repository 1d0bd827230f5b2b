from fractions import Fraction

import numpy as np
import pytest

from nnequiv.merge import merge, pad_depth, side_by_side
from nnequiv.network import Network
from nnequiv.rounding import evaluate_exact, evaluate_with_error
from tests.oracles.random_networks import random_network

PAIRS = [
    ((2, 3, 2), (2, 4, 2)),
    ((2, 2), (2, 2)),
    ((2, 2), (2, 3, 2)),
    ((3, 1), (3, 2, 2, 2, 2, 1)),
    ((1, 2, 2, 2, 2, 2, 2, 3), (1, 5, 3)),
    ((4, 1, 1, 2), (4, 1, 2)),
]


@pytest.mark.parametrize(("a", "b"), PAIRS)
def test_the_merged_network_is_the_difference(a, b):
    for seed in range(20):
        rng = np.random.default_rng(seed)
        f, g = random_network(rng, a), random_network(rng, b)
        for left, right in ((f, g), (g, f)):
            h, point = merge(left, right), rng.normal(size=a[0])
            values, errors = evaluate_with_error(h, point)
            pairs = zip(evaluate_exact(left, point), evaluate_exact(right, point), strict=True)
            for value, error, exact in zip(values, errors, [x - y for x, y in pairs], strict=True):
                # The last biases are subtracted in floats: half a unit in the last place, beyond h's own rounding.
                slack = Fraction(float(error)) + Fraction(2.0**-52) * 10
                assert abs(Fraction(float(value)) - exact) <= slack, f"seed {seed}"


@pytest.mark.parametrize(("a", "b"), PAIRS)
def test_side_by_side_is_exact(a, b):
    rng = np.random.default_rng(5)
    f, g = random_network(rng, a), random_network(rng, b)
    both = side_by_side(f, g)
    assert len(both.layers) == max(len(f.layers), len(g.layers))
    for point in rng.normal(size=(20, a[0])):
        assert evaluate_exact(both, point) == evaluate_exact(f, point) + evaluate_exact(g, point)


@pytest.mark.parametrize("widths", [(2, 2), (3, 1), (2, 3, 1), (2, 1, 4, 2)])
def test_padding_is_exact_and_has_the_depth(widths):
    rng = np.random.default_rng(6)
    net = random_network(rng, widths)
    for depth in range(len(net.layers), len(net.layers) + 4):
        padded = pad_depth(net, depth)
        assert len(padded.layers) == depth
        for point in rng.normal(size=(10, widths[0])):
            assert evaluate_exact(padded, point) == evaluate_exact(net, point)


def test_side_by_side_allows_different_outputs():
    rng = np.random.default_rng(0)
    assert side_by_side(random_network(rng, (2, 3)), random_network(rng, (2, 2, 1))).n_outputs == 4


def test_what_does_not_fit_is_refused_with_both_numbers():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="f has 2 inputs, but g has 3"):
        merge(random_network(rng, (2, 1)), random_network(rng, (3, 1)))
    with pytest.raises(ValueError, match="f has 1 outputs, but g has 4"):
        merge(random_network(rng, (2, 1)), random_network(rng, (2, 4)))
    with pytest.raises(ValueError, match="the network has 2 layers, more than the depth 1"):
        pad_depth(random_network(rng, (2, 2, 1)), 1)


def test_a_network_minus_itself_is_zero():
    net = random_network(np.random.default_rng(1), (3, 4, 4, 2))
    points = np.random.default_rng(2).normal(size=(50, 3))
    np.testing.assert_allclose(merge(net, net)(points), 0.0, atol=1e-14)
    affine = Network([net.layers[0]])
    assert (merge(affine, affine)(points) == 0).all()
