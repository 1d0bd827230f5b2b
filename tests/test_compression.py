"""Each compression does what it says, keeps its constraint, and is counted honestly."""

import numpy as np
import pytest

from nnequiv.compression import Compressed, Narrow, Prune, Quantize, compress, size
from nnequiv.constraints import Mask, nearest_levels
from nnequiv.network import Network
from nnequiv.training import he_network

WIDTHS = (5, 8, 6, 3)


def _network(seed, widths=WIDTHS):
    rng = np.random.default_rng(seed)
    network = he_network(widths, rng)
    return Network((layer.weight, rng.standard_normal(layer.n_out)) for layer in network.layers)


@pytest.mark.parametrize("how", [Prune(0.7), Prune(0.7, per_layer=True), Quantize(2), Quantize(8), Narrow([5, 2])])
@pytest.mark.parametrize("seed", range(3))
def test_compressed_is_a_network_on_its_constraint(how, seed):
    g = compress(_network(seed), how)
    assert isinstance(g, Network) and g.constraint.holds(g), f"seed {seed}"
    assert g.evaluate(np.ones(5)).shape == (3,)
    weights, biases = [layer.weight for layer in g.layers], [layer.bias for layer in g.layers]
    for a, b in zip(g.constraint.project(weights, biases)[0], weights, strict=True):
        np.testing.assert_array_equal(a, b, err_msg=f"projection moves what is on the constraint, seed {seed}")


def test_prune_removes_exactly_the_smallest_of_the_whole_network():
    f = _network(1)
    g = compress(f, Prune(0.6))
    before = np.concatenate([layer.weight.ravel() for layer in f.layers])
    after = np.concatenate([layer.weight.ravel() for layer in g.layers])
    gone = after == 0
    assert gone.sum() == round(0.6 * before.size)
    assert np.abs(before[gone]).max() <= np.abs(before[~gone]).min()
    np.testing.assert_array_equal(after[~gone], before[~gone])
    for a, b in zip(f.layers, g.layers, strict=True):
        np.testing.assert_array_equal(a.bias, b.bias)


def test_prune_per_layer_takes_the_same_share_of_each():
    g = compress(_network(2), Prune(0.5, per_layer=True))
    assert [int((layer.weight == 0).sum()) for layer in g.layers] == [20, 24, 9]


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_quantize_is_on_the_grid_and_no_other_scale_is_better(bits):
    f = _network(3)
    g = compress(f, Quantize(bits))
    most = 2 ** (bits - 1) - 1
    for before, after, scale in zip(f.layers, g.layers, g.constraint.scales, strict=True):
        whole = after.weight / scale
        np.testing.assert_allclose(whole, np.rint(whole), atol=1e-9)
        assert np.abs(np.rint(whole)).max() <= most
        np.testing.assert_array_equal(after.bias, before.bias)
        error = ((after.weight - before.weight) ** 2).sum()
        largest = np.abs(before.weight).max()
        for other in np.linspace(0.02, 1.5, 397) * largest / most:
            others = ((nearest_levels(before.weight, other, bits) * other - before.weight) ** 2).sum()
            assert error <= others * 1.05, (bits, other)


def test_compressing_what_is_compressed_already_changes_nothing():
    f = _network(8)
    pruned = compress(f, Prune(0.6))
    again = compress(Network(pruned.layers), Prune(0.0))
    for a, b, mask, other in zip(
        again.layers, pruned.layers, again.constraint.masks, pruned.constraint.masks, strict=True
    ):
        np.testing.assert_array_equal(a.weight, b.weight)
        np.testing.assert_array_equal(mask, other)
    for bits in (2, 3, 4, 6, 8):
        quantised = compress(f, Quantize(bits))
        again = compress(Network(quantised.layers), Quantize(bits))
        np.testing.assert_allclose(again.constraint.scales, quantised.constraint.scales, rtol=1e-14)
        for a, b in zip(again.layers, quantised.layers, strict=True):
            np.testing.assert_allclose(a.weight, b.weight, rtol=1e-14)


def test_quantize_a_layer_of_zeros():
    g = compress(Network([(np.zeros((2, 2)), [1.0, 2.0])]), Quantize(4))
    np.testing.assert_array_equal(g.evaluate([5.0, 5.0]), [1.0, 2.0])


def test_narrow_removes_the_dead_neurons_first_and_the_function_stays():
    rng = np.random.default_rng(4)
    first, second, last = (layer.weight.copy() for layer in he_network((5, 8, 6, 3), rng).layers)
    first[[1, 5]] = 0.0  # nothing enters two neurons of the first layer
    last[:, [0, 3]] = 0.0  # nothing leaves two of the second
    f = Network([(first, np.zeros(8)), (second, rng.standard_normal(6)), (last, rng.standard_normal(3))])
    g = compress(f, Narrow([6, 4]))
    assert g.widths == (5, 6, 4, 3)
    points = rng.standard_normal((50, 5))
    np.testing.assert_allclose(g.evaluate(points), f.evaluate(points), atol=1e-12)


def test_sizes_count_what_is_stored():
    f = _network(5, (4, 3, 2))  # weights 12 + 6, biases 3 + 2
    assert size(f).to_json() == {"parameters": 23, "nonzeros": 23, "bits": 23 * 64}
    assert size(compress(f, Narrow([2]))).to_json() == {"parameters": 16, "nonzeros": 16, "bits": 16 * 64}
    assert size(compress(f, Prune(0.5))).to_json() == {"parameters": 23, "nonzeros": 14, "bits": 14 * 64 + 18}
    quantised = size(compress(f, Quantize(4)))
    assert (quantised.parameters, quantised.bits) == (23, 18 * 4 + (5 + 2) * 64)
    single = Network((layer.weight.astype(np.float32), layer.bias.astype(np.float32)) for layer in f.layers)
    assert size(single).bits == 23 * 32


def test_values_too_large_for_a_short_float_count_long():
    assert size(Network([([[1e5]], [0.0])])).bits == 64  # two values of 32 bits: float16 ends at 65,504
    assert size(Network([([[1e300]], [0.0])])).bits == 128


def test_a_network_off_its_constraint_is_refused():
    mask = Mask((np.array([[True, False]]),))
    Compressed([([[1.0, 0.0]], [0.0])], mask)
    with pytest.raises(ValueError, match=r"Network\(2-1\) is not on its constraint, Mask"):
        Compressed([([[1.0, 0.5]], [0.0])], mask)
    with pytest.raises(ValueError, match="not on its constraint, Shape"):
        Compressed([(np.eye(2), np.zeros(2))], compress(_network(6), Narrow([3, 3])).constraint)


def test_without_a_constraint_the_shape_is_kept():
    assert Compressed([(np.eye(2), np.zeros(2))]).constraint.widths == (2, 2)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda f: Prune(1.0), r"fraction is 1.0: it must be in \[0, 1\)"),
        (lambda f: Prune(float("nan")), "fraction is nan"),
        (lambda f: Quantize(1), "bits is 1: it must be a whole number from 2 to 16"),
        (lambda f: Quantize(2.5), "bits is 2.5"),
        (lambda f: compress(f, Narrow([9, 2])), r"widths are \(9, 2\): need one .* each of \(8, 6\)"),
        (lambda f: compress(f, Narrow([3])), r"widths are \(3,\)"),
        (lambda f: compress(f, Narrow([0, 1])), r"widths are \(0, 1\)"),
        (lambda f: compress(compress(f, Prune(0.5)), Quantize(4)), "compressed already"),
    ],
)
def test_bad_compressions_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make(_network(7))
