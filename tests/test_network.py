import numpy as np
import pytest

from nnequiv.network import Layer, Network
from tests.oracles.random_networks import random_network

WIDTHS = [(3, 2), (1, 1, 1), (2, 4, 3), (4, 3, 5, 2), (2, 3, 3, 3, 3, 3, 3, 1)]


def numeric(function, array, step=1e-6):
    """Central differences of a scalar function with respect to every entry of an array."""
    result = np.zeros_like(array)
    for index in np.ndindex(array.shape):
        moved = np.zeros_like(array)
        moved[index] = step
        result[index] = (function(array + moved) - function(array - moved)) / (2 * step)
    return result


@pytest.mark.parametrize("widths", WIDTHS)
def test_evaluation_is_the_formula(widths):
    rng = np.random.default_rng(1)
    net = random_network(rng, widths)
    points = rng.normal(size=(6, widths[0]))
    for point, batch_row in zip(points, net.evaluate(points), strict=True):
        value = point
        for index, layer in enumerate(net.layers):
            value = np.maximum(value, 0.0) if index else value
            value = layer.weight @ value + layer.bias
        np.testing.assert_allclose(net(point), value, rtol=1e-13, atol=1e-13)
        np.testing.assert_allclose(batch_row, value, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("widths", WIDTHS)
def test_gradients_are_finite_differences(widths):
    rng = np.random.default_rng(2)
    net = random_network(rng, widths)
    points, weights = rng.normal(size=(4, widths[0])), rng.normal(size=(4, widths[-1]))
    by_weight, by_bias, by_point = net.gradients(points, weights)

    def loss(network, where):
        return float((network.evaluate(where) * weights).sum())

    np.testing.assert_allclose(by_point, numeric(lambda x: loss(net, x), points), atol=1e-6)
    for index, layer in enumerate(net.layers):

        def with_layer(weight, bias, index=index):
            return Network([*net.layers[:index], (weight, bias), *net.layers[index + 1 :]])

        def by(weight, bias, with_layer=with_layer):
            return loss(with_layer(weight, bias), points)

        np.testing.assert_allclose(
            by_weight[index], numeric(lambda w, layer=layer, by=by: by(w, layer.bias), layer.weight), atol=1e-6
        )
        np.testing.assert_allclose(
            by_bias[index], numeric(lambda b, layer=layer, by=by: by(layer.weight, b), layer.bias), atol=1e-6
        )


@pytest.mark.parametrize("widths", WIDTHS)
def test_affine_map_equals_the_network_at_its_own_pattern(widths):
    rng = np.random.default_rng(3)
    net = random_network(rng, widths)
    for point in rng.normal(size=(30, widths[0])):
        pattern = net.activation_pattern(point)
        matrix, offset = net.affine_map(pattern)
        assert pattern.shape == (net.n_hidden,)
        np.testing.assert_allclose(matrix @ point + offset, net(point), rtol=1e-12, atol=1e-12)


def test_a_pre_activation_of_zero_is_inactive():
    net = Network([([[1.0]], [0.0]), ([[1.0]], [0.0])])
    assert net.activation_pattern([[0.0], [5e-324], [-5e-324]]).tolist() == [[False], [True], [False]]


def test_sizes_and_names():
    net = random_network(np.random.default_rng(0), (4, 3, 5, 2))
    assert (net.n_inputs, net.n_outputs, net.n_hidden, net.widths) == (4, 2, 8, (4, 3, 5, 2))
    assert repr(net) == "Network(4-3-5-2)"
    assert [len(part) for part in net.split_pattern(np.zeros(8, dtype=bool))] == [3, 5]
    assert random_network(np.random.default_rng(0), (4, 2)).activation_pattern(np.zeros((3, 4))).shape == (3, 0)


def test_a_network_keeps_its_own_copy_and_cannot_be_written_to():
    weight, bias = np.ones((2, 2)), np.zeros(2)
    net = Network([(weight, bias)])
    weight[0, 0], bias[0] = 7.0, 7.0
    assert net([1.0, 1.0]).tolist() == [2.0, 2.0]
    with pytest.raises(ValueError, match="read-only"):
        net.layers[0].weight[0, 0] = 3.0
    with pytest.raises(ValueError, match="read-only"):
        net.layers[0].bias += 1.0
    with pytest.raises(AttributeError):
        net.layers[0].weight = weight
    with pytest.raises(AttributeError):
        net.layers = ()
    with pytest.raises(TypeError):
        net.layers[0] = Layer(weight, bias)


def test_float32_and_float16_weights_keep_their_exact_values():
    for dtype in (np.float32, np.float16):
        values = np.array([[0.1, 1e-3]], dtype=dtype)
        net = Network([(values, np.zeros(1, dtype=dtype))])
        assert net.layers[0].weight.dtype == np.float64
        assert (net.layers[0].weight.astype(dtype) == values).all()


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([], r"at least one layer, got 0"),
        (
            [([[1.0]], [0.0]), ([[1.0, 2.0]], [0.0])],
            r"layer 1: weight is \(1, 2\), but the layer before it has 1 output",
        ),
        ([([[1.0], [np.nan]], [0.0, 0.0])], r"layer 0: weight\[1, 0\] is nan: it must be finite"),
        ([([[1.0]], [0.0]), ([[1.0]], [-np.inf])], r"layer 1: bias\[0\] is -inf"),
        ([([1.0, 2.0], [0.0])], r"layer 0: weight has shape \(2,\): it must be \(n_out, n_in\)"),
        ([([[1.0, 2.0]], [0.0, 0.0])], r"layer 0: bias has shape \(2,\), but weight is \(1, 2\)"),
        ([([[1.0]], [0.0]), ([[1.0]],)], r"layer 1: .*bias"),
    ],
)
def test_bad_layers_are_named(layers, message):
    with pytest.raises(ValueError, match=message):
        Network(layers)


def test_bad_points_and_patterns_are_refused_with_both_sizes():
    net = random_network(np.random.default_rng(0), (3, 2, 1))
    with pytest.raises(ValueError, match=r"points have shape \(2,\), but the network has 3 inputs"):
        net([1.0, 2.0])
    with pytest.raises(ValueError, match=r"shape \(1, 1, 3\)"):
        net(np.zeros((1, 1, 3)))
    with pytest.raises(ValueError, match=r"pattern has shape \(3,\), but the network has 2 hidden"):
        net.affine_map([True, False, True])
    with pytest.raises(ValueError, match=r"output_gradient has shape \(2, 1\), but the outputs are \(1, 1\)"):
        net.gradients(np.zeros(3), np.zeros((2, 1)))
    with pytest.raises(ValueError, match="2 weights, but 1 biases"):
        Network.from_arrays([[[1.0]], [[1.0]]], [[0.0]])
