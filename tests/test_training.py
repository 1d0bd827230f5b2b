"""Gradients against two independent ways, the optimiser against its formulas, constraints at every step."""

import numpy as np
import pytest

from nnequiv.batches import drawn, joined, shuffled
from nnequiv.compression import Narrow, Prune, Quantize, compress
from nnequiv.losses import CrossEntropy, MeanSquare
from nnequiv.network import Network
from nnequiv.training import (
    SGD,
    Constant,
    Parameters,
    TrainingState,
    WarmupCosine,
    accuracy,
    he_network,
    loss_gradient,
)

LOSSES = [(CrossEntropy(), "labels"), (MeanSquare(), "outputs"), (MeanSquare(scale=2.5), "outputs")]


def _case(seed, kind, widths=(4, 6, 5, 3), count=7):
    rng = np.random.default_rng(seed)
    network = he_network(widths, rng)
    points = rng.standard_normal((count, widths[0]))
    targets = rng.integers(0, widths[-1], count) if kind == "labels" else rng.standard_normal((count, widths[-1]))
    return network, points, targets


def _fast(network, points, targets, loss):
    shapes = [layer.weight.shape for layer in network.layers]
    values, gradient = Parameters(shapes), Parameters(shapes)
    values.fill([layer.weight for layer in network.layers], [layer.bias for layer in network.layers])
    return loss_gradient(values, gradient, points, targets, loss), values, gradient


@pytest.mark.parametrize(("loss", "kind"), LOSSES)
@pytest.mark.parametrize("seed", range(5))
def test_fast_gradients_are_those_of_the_network(loss, kind, seed):
    network, points, targets = _case(seed, kind)
    value, _, gradient = _fast(network, points, targets, loss)
    expected, back = loss(network.evaluate(points), targets)
    weights, biases, _ = network.gradients(points, back)
    assert value == pytest.approx(expected, rel=1e-14), f"seed {seed}"
    for ours, theirs in zip([*gradient.weights, *gradient.biases], [*weights, *biases], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-14, err_msg=f"seed {seed}")


@pytest.mark.parametrize(("loss", "kind"), LOSSES)
def test_fast_gradients_are_finite_differences(loss, kind):
    network, points, targets = _case(11, kind)
    _, values, gradient = _fast(network, points, targets, loss)
    step = 1e-6
    scratch = Parameters([weight.shape for weight in values.weights])
    for position in range(len(values.flat)):
        keep = values.flat[position]
        around = []
        for value in (keep - step, keep + step):
            values.flat[position] = value
            around.append(loss_gradient(values, scratch, points, targets, loss))
        values.flat[position] = keep
        assert gradient.flat[position] == pytest.approx((around[1] - around[0]) / (2 * step), abs=1e-7), position


def test_cross_entropy_of_huge_outputs_does_not_overflow():
    value, gradient = CrossEntropy()(np.array([[1000.0, 0.0]]), np.array([1]))
    assert value == 1000.0
    np.testing.assert_array_equal(gradient, [[1.0, -1.0]])


@pytest.mark.parametrize("nesterov", [False, True])
def test_two_steps_are_the_formulas(nesterov):
    """One weight, loss (w − 3)²; the bias has gradient of its own and is followed too."""
    batch = (np.array([[1.0]]), np.array([[3.0]]))
    state = TrainingState(Network([([[0.0]], [0.0])]))
    sgd = SGD(Constant(0.1), momentum=0.5, nesterov=nesterov)
    sgd.run(state, iter([batch, batch]), 2, MeanSquare())
    w = b = v = 0.0
    for _ in range(2):
        gradient = 2 * (w + b - 3)
        v = 0.5 * v + gradient
        step = gradient + 0.5 * v if nesterov else v
        w, b = w - 0.1 * step, b - 0.1 * step
    assert state.network.layers[0].weight.item() == pytest.approx(w, abs=1e-15)
    assert state.network.layers[0].bias.item() == pytest.approx(b, abs=1e-15)
    assert state.step == 2


def test_clip_bounds_the_whole_gradient_and_decay_comes_after():
    state = TrainingState(Network([([[4.0]], [0.0])]))
    batch = (np.array([[1.0]]), np.array([[-96.0]]))  # gradient 200 on the weight and on the bias
    SGD(Constant(1.0), momentum=0.0, nesterov=False, clip=1.0, decay=0.25).run(state, iter([batch]), 1, MeanSquare())
    assert state.network.layers[0].weight.item() == pytest.approx(4.0 - np.sqrt(0.5) - 0.25 * 4.0)
    assert state.network.layers[0].bias.item() == pytest.approx(-np.sqrt(0.5))


def test_a_run_in_two_parts_is_one_run():
    network, points, targets = _case(3, "outputs")
    sgd = SGD(WarmupCosine(0.1, 40), clip=1.0)

    def trained(parts):
        state, batches = TrainingState(network), shuffled(points, targets, 3, np.random.default_rng(0))
        for steps in parts:
            sgd.run(state, batches, steps, MeanSquare())
        return state.latent.flat

    np.testing.assert_array_equal(trained([40]), trained([15, 25]))


def test_warmup_cosine_rises_then_falls_to_zero():
    rates = [WarmupCosine(0.3, 1000).rate(step) for step in range(1002)]
    assert rates[0] == pytest.approx(0.01)
    assert np.argmax(rates) in (29, 30) and max(rates) == pytest.approx(0.3)
    assert np.all(np.diff(rates[30:]) <= 0) and rates[1000] == rates[1001] == 0.0


@pytest.mark.parametrize("how", [Prune(0.6), Prune(0.5, per_layer=True), Quantize(3), Narrow([4, 3])])
def test_the_constraint_holds_after_every_step(how):
    network, points, targets = _case(5, "outputs")
    g = compress(network, how)
    state = TrainingState(g, g.constraint)
    batches = shuffled(points, targets, 4, np.random.default_rng(1))
    for step in range(30):
        assert g.constraint.holds(state.network), step
        SGD(Constant(0.05), clip=1.0, decay=0.01).run(state, batches, 1, MeanSquare())
    assert g.constraint.holds(state.network)
    assert not np.array_equal(state.network.layers[-1].bias, g.layers[-1].bias)


def test_straight_through_uses_the_gradient_at_the_projected_weights():
    network, points, targets = _case(8, "outputs")
    g = compress(network, Quantize(3))
    state = TrainingState(network, g.constraint)  # latent weights off the grid
    start = state.latent.flat.copy()
    SGD(Constant(0.01), momentum=0.0).run(state, iter([(points, targets)]), 1, MeanSquare())
    _, _, gradient = _fast(g, points, targets, MeanSquare())
    np.testing.assert_allclose(state.latent.flat, start - 0.01 * gradient.flat, rtol=1e-13, atol=1e-15)


def test_training_learns_and_is_deterministic():
    def learned():
        rng = np.random.default_rng(2)
        points = rng.standard_normal((200, 2))
        labels = (points[:, 0] * points[:, 1] > 0).astype(int)  # not linearly separable
        state = TrainingState(he_network([2, 16, 2], rng))
        SGD(WarmupCosine(0.2, 600)).run(state, shuffled(points, labels, 20, rng), 600, CrossEntropy())
        return state.network, accuracy(state.network, points, labels)

    (first, share), (second, _) = learned(), learned()
    assert share >= 0.97
    for a, b in zip(first.layers, second.layers, strict=True):
        np.testing.assert_array_equal(a.weight, b.weight)


def test_divergence_is_an_error_not_a_network():
    network, points, targets = _case(1, "outputs")
    state = TrainingState(network)
    with np.errstate(all="ignore"), pytest.raises(ValueError, match="training diverged before step 200"):
        SGD(Constant(1e6)).run(state, shuffled(points, targets, 7, np.random.default_rng(0)), 200, MeanSquare())


def test_batches_cover_an_epoch_once_and_noise_is_fresh():
    points, labels = np.arange(10.0)[:, None], np.arange(10)
    batches = shuffled(points, labels, 5, np.random.default_rng(0))
    for _ in range(3):
        assert sorted(np.concatenate([next(batches)[1], next(batches)[1]])) == list(range(10))
    noisy = shuffled(points[:1], labels[:1], 1, np.random.default_rng(0), noise=0.5)
    assert next(noisy)[0] != next(noisy)[0]


def test_joined_batches_keep_each_source():
    rng = np.random.default_rng(0)
    one, two = drawn(np.zeros((1, 2)), np.array([0]), 3, rng), drawn(np.ones((4, 2)), np.ones(4, dtype=int), 2, rng)
    points, labels = next(joined(one, two))
    assert points.shape == (5, 2) and labels.tolist() == [0, 0, 0, 1, 1]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MeanSquare(scale=0.0), "scale is 0.0"),
        (lambda: WarmupCosine(0.1, 0), "steps is 0"),
        (lambda: SGD(Constant(0.1), momentum=1.0), "momentum is 1.0"),
        (lambda: next(shuffled(np.zeros((2, 1)), np.zeros(3), 1, np.random.default_rng(0))), r"\(2, 1\).*\(3,\)"),
    ],
)
def test_bad_settings_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
