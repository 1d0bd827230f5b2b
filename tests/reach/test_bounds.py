"""Zonotope, interval and dual bounds: no sample leaves them, exact rationals never find them on the wrong side."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from nnequiv.network import Network
from nnequiv.reach.branch_and_bound.bounds import interval_rows, row_forms
from nnequiv.reach.branch_and_bound.differential import Pair
from nnequiv.reach.branch_and_bound.dual import Rows, dual_upper, relu_rows
from nnequiv.reach.branch_and_bound.newton import multipliers
from nnequiv.reach.branch_and_bound.pair_rows import pair_rows
from nnequiv.reach.branch_and_bound.question import Question
from nnequiv.reach.branch_and_bound.zonotope import forward
from nnequiv.reach.engine import stacked_outputs
from nnequiv.reach.intervals import center_and_radius, interval_layers
from nnequiv.relations import discrepancy_objectives
from nnequiv.rounding import evaluate_with_error
from nnequiv.sets import Box

#: Hidden widths of f and g: affine, one wide, one narrow, deep, unequal.
SHAPES = [((), ()), ((5,), (5,)), ((1, 1), (3,)), ((4, 3, 4, 3, 4, 3), (4, 3, 4, 3, 4, 3)), ((6, 5), ())]


def networks(rng, shape, n=3, m=2, scale=1.0):
    """A pair; where there is room in the first layer, with a zero row, a dead neuron and two equal neurons."""
    result = []
    for hidden in shape:
        widths = [n, *hidden, m]
        weights = [scale * rng.normal(size=(b, a)) for a, b in zip(widths, widths[1:], strict=False)]
        biases = [scale * rng.normal(size=b) for b in widths[1:]]
        if hidden and hidden[0] >= 4:
            weights[0][0], biases[0][1] = 0.0, -1e3 * scale
            weights[0][3], biases[0][3] = weights[0][2], biases[0][2]
        result.append(Network.from_arrays(weights, biases))
    return tuple(result)


def question_on(pair, box):
    return Question(pair, box, discrepancy_objectives(pair[0].n_outputs))


def samples_stay_inside(scale, width, boxes, per_box):
    """``boxes · per_box`` points of each pair, against the zonotopes' and the intervals' bounds of their boxes."""
    for seed, shape in enumerate(SHAPES):
        rng = np.random.default_rng(seed)
        pair = networks(rng, shape, scale=scale)
        lower = rng.normal(size=(boxes, 3))
        upper = lower + width * rng.random((boxes, 3)) * (rng.random((boxes, 3)) > 0.2)
        question = question_on(pair, Box(lower.min(axis=0), upper.max(axis=0)))
        forms = row_forms(question, *center_and_radius(lower, upper))
        twin = interval_rows(question, lower, upper)
        for b in range(boxes):
            points = np.clip(lower[b] + (upper[b] - lower[b]) * rng.random((per_box, 3)), lower[b], upper[b])
            outputs, errors = stacked_outputs(pair, points)
            rows, slack = outputs @ question.rows.T, (1 + 1e-12) * errors @ np.abs(question.rows).T
            for low, high in ((forms.low[b], forms.high[b]), (twin[0][b], twin[1][b])):
                assert (rows - slack <= high).all() and (rows + slack >= low).all(), f"seed {seed}, box {b}"


@pytest.mark.parametrize("width", [0.0, 1e-12, 1.0, 1e6])
@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_no_sampled_value_leaves_its_bound(scale, width):
    samples_stay_inside(scale, width, boxes=20, per_box=100)


@pytest.mark.slow
@pytest.mark.parametrize("width", [0.0, 1e-12, 1.0, 1e6])
@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_no_sampled_value_of_a_hundred_thousand_leaves_its_bound(scale, width):
    samples_stay_inside(scale, width, boxes=100, per_box=1000)


def test_zonotopes_are_never_looser_than_intervals():
    for seed, shape in enumerate(SHAPES):
        rng = np.random.default_rng(seed)
        pair = networks(rng, shape)
        lower = rng.normal(size=(200, 3))
        upper = lower + 10.0 ** rng.uniform(-3, 2, size=(200, 3))
        question = question_on(pair, Box(lower.min(axis=0), upper.max(axis=0)))
        forms = row_forms(question, *center_and_radius(lower, upper))
        low, high = interval_rows(question, lower, upper)
        room = 1e-9 * (high - low)
        assert (forms.high <= high + room).all() and (forms.low >= low - room).all(), f"seed {seed}"


def exact(array):
    """An array of Fractions."""
    return np.vectorize(lambda v: Fraction(float(v)), otypes=[object])(array)


def exact_zonotope(network, center, radius, trace, part):
    """The zonotope of one part in exact rationals, with the slopes that the float pass chose.

    Its generators are those of the float pass in the same order, so that both speak of the same e.
    """
    weight, bias = exact(network.layers[0].weight), exact(network.layers[0].bias)
    c = weight @ exact(center) + bias
    generators = exact(radius)[:, None] * weight.T if (radius > 0).any() else exact(np.zeros((0, len(c))))
    for layer, hidden in zip(network.layers[1:], trace.hidden, strict=True):
        reach = sum(np.abs(generators), c * 0)
        low, high = c - reach, c + reach
        slope, unstable = exact(hidden.slope[part]), hidden.unstable[part]
        half = np.array([max(-s * l, (1 - s) * u) / 2 for s, l, u in zip(slope, low, high, strict=True)])
        half[~unstable] = Fraction(0)
        weight, bias = exact(layer.weight), exact(layer.bias)
        new = [half[i] * weight[:, i] for i in hidden.index[part]]
        c = weight @ (slope * c + half) + bias
        generators = np.array([*((generators * slope) @ weight.T), *new]).reshape(-1, layer.n_out)
    return c, generators


@pytest.mark.parametrize("scale, width", [(1.0, 1.0), (1.0, 1e-12), (1e8, 1e6), (1e-8, 0.0)])
def test_exact_rationals_lie_inside_zonotopes(scale, width):
    for seed, shape in enumerate(SHAPES[1:4]):
        rng = np.random.default_rng(seed)
        network = networks(rng, shape, n=2, scale=scale)[0]
        lower = rng.normal(size=(4, 2))
        center, radius = center_and_radius(lower, lower + width * rng.random((4, 2)))
        trace = forward(network, center, radius)
        for part in range(4):
            c, generators = exact_zonotope(network, center[part], radius[part], trace, part)
            z = trace.output
            assert generators.shape == z.generators[part].shape
            # Interval arithmetic may have narrowed a neuron, and with it ``half``: then the float form is the smaller.
            if not any((h.upper - h.lower < 1.999 * h.before.radius())[part].any() for h in trace.hidden):
                reach = sum(np.abs(generators), c * 0)
                radius_proved = exact(z.radius()[part])
                assert all(c + reach <= exact(z.center[part]) + radius_proved), f"seed {seed}"
                assert all(c - reach >= exact(z.center[part]) - radius_proved), f"seed {seed}"
            # The same e gives the same point up to the error, whatever half is: compare the input's part.
            for j in range(2 if width else 0):
                gap = np.abs(generators[j] - exact(z.generators[part, j]))
                assert all(gap <= exact(z.error[part])), f"seed {seed}"


def test_exact_rationals_lie_inside_intervals():
    def exact_intervals(network, low, high):
        for index, layer in enumerate(network.layers):
            if index:
                low, high = np.maximum(low, Fraction(0)), np.maximum(high, Fraction(0))
            weight, bias = exact(layer.weight), exact(layer.bias)
            up, down = np.maximum(weight, Fraction(0)), np.minimum(weight, Fraction(0))
            low, high = up @ low + down @ high + bias, up @ high + down @ low + bias
        return low, high

    for seed, scale in enumerate([1.0, 1e8, 1e-8]):
        rng = np.random.default_rng(seed)
        network = networks(rng, SHAPES[3], scale=scale)[0]
        lower = rng.normal(size=(1, 3))
        upper = lower + rng.random((1, 3))
        low, high = interval_layers(network, lower, upper)[-1]
        exact_low, exact_high = exact_intervals(network, exact(lower[0]), exact(upper[0]))
        assert all(exact(low[0]) <= exact_low) and all(exact_high <= exact(high[0])), f"seed {seed}"


def test_dual_bound_is_above_the_exact_one_for_any_multipliers():
    for seed in range(30):
        rng = np.random.default_rng(seed)
        k, d = rng.integers(1, 6, size=2)
        size = 10.0 ** rng.uniform(-8, 8)
        rows = Rows(size * rng.normal(size=(1, k, d)), size * rng.normal(size=(1, k)))
        center, objective = rng.normal(size=1), rng.normal(size=(1, d))
        weights = rng.random((1, k)) * 10.0 ** rng.uniform(-9, 9, size=(1, k))
        value = dual_upper(center, objective, rows, weights)[0]
        w = exact(weights[0])
        residual = exact(objective[0]) - w @ exact(rows.matrix[0])
        assert Fraction(value) >= Fraction(center[0]) + w @ exact(rows.bound[0]) + sum(np.abs(residual)), f"seed {seed}"


def variables_of(points, pair, forms, center, radius):
    """The e of each point: of its inputs, and of its neurons as ``relu(z) = slope z + half (1 + e)`` defines them."""
    e = np.zeros((len(points), forms.generators.shape[1]))
    e[:, :3], column = (points - center) / radius, 3
    for network, trace in zip(pair, forms.traces, strict=True):
        for z, layer in zip(network.pre_activations(points), trace.hidden, strict=False):
            count = layer.index.shape[1]
            z, slope, half = (np.take_along_axis(v, layer.index, axis=1) for v in (z, layer.slope, layer.half))
            offset = np.maximum(z, 0) - slope * z
            e[:, column : column + count] = np.where(half > 0, offset / np.where(half > 0, half, 1) - 1, 0)
            column += count
    return e


def parts_of_points(seed, pair, share=0.5):
    """40 points of the unit cube, a part for each with some of its own signs fixed, and its forms and e."""
    rng = np.random.default_rng(seed)
    box = Box(np.zeros(3), np.ones(3))
    points = box.sample(rng, 40)
    patterns = np.hstack([network.activation_pattern(points) for network in pair])
    signs = np.where(patterns, 1, -1).astype(np.int8) * (rng.random(patterns.shape) < share)
    question = question_on(pair, box)
    center, radius = center_and_radius(*np.tile([[box.lower], [box.upper]], (1, 40, 1)))
    forms = row_forms(question, center, radius, signs)
    assert not forms.infeasible.any()
    e = variables_of(points, pair, forms, center, radius)
    assert (np.abs(e) <= 1 + 1e-9).all(), f"seed {seed}"
    return points, signs, question, forms, e


def hold(rows, e):
    left = (rows.matrix @ e[:, :, None])[:, :, 0]
    return (left <= rows.bound + 1e-9 * (1 + np.abs(rows.bound))).all()


def test_rows_hold_for_the_points_of_their_part():
    """Every input satisfies the rows of its own signs, with the e that its neurons define."""
    for seed, shape in enumerate(SHAPES):
        pair = networks(np.random.default_rng(seed), shape)
        points, signs, question, forms, e = parts_of_points(seed, pair)
        rows = relu_rows(forms, signs, np.arange(40))
        if not rows:
            continue
        joined = Rows.join(rows)
        assert hold(joined, e), f"seed {seed}"
        objective = forms.generators[:, :, 0]
        weights, _ = multipliers(objective, joined.matrix, joined.bound, 12)
        bound = dual_upper(forms.center[:, 0] + forms.error[:, 0], objective, joined, weights)
        values = np.hstack([network.evaluate(points) for network in pair]) @ question.rows[0]
        assert (values <= bound + 1e-9).all(), f"seed {seed}"


def parts_bound_their_points(scale, width, count):
    """Dual bounds of 20 parts with some signs fixed, against all of ``count`` points that have those signs."""
    for seed, shape in enumerate(SHAPES[1:]):
        rng = np.random.default_rng(seed)
        pair = networks(rng, shape, scale=scale)
        box = Box(np.full(3, 0.1), np.full(3, 0.1 + width))
        points = box.sample(rng, count)
        outputs, errors = stacked_outputs(pair, points)
        question = question_on(pair, box)
        values, slack = outputs @ question.rows.T, (1 + 1e-12) * errors @ np.abs(question.rows).T
        patterns = np.hstack([network.activation_pattern(points) for network in pair])
        signs = np.where(patterns[:20], 1, -1).astype(np.int8) * (rng.random((20, patterns.shape[1])) < 0.3)
        forms = row_forms(question, *center_and_radius(*np.tile([[box.lower], [box.upper]], (1, 20, 1))), signs)
        rows, generators = relu_rows(forms, signs, np.arange(20)), forms.generators
        joined = Rows.join(rows) if rows else Rows(generators[:, :0, :].swapaxes(1, 2)[:, :0], np.zeros((20, 0)))
        for r in range(len(question.rows)):
            objective = generators[:, :, r]
            weights = 10.0 ** rng.uniform(-3, 1, size=joined.bound.shape) * (rng.random(joined.bound.shape) < 0.3)
            if rows:
                weights[::2] = multipliers(objective, joined.matrix, joined.bound, 12)[0][::2]
                bound = dual_upper(forms.center[:, r] + forms.error[:, r], objective, joined, weights)
            else:
                bound = forms.high[:, r]
            for part in range(20):
                fixed = signs[part] != 0
                mine = (patterns[:, fixed] == (signs[part, fixed] > 0)).all(axis=1)
                assert (values[mine, r] - slack[mine, r] <= bound[part]).all(), f"seed {seed}, part {part}"


@pytest.mark.parametrize("width", [1e-12, 1.0, 1e6])
@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_no_point_leaves_the_dual_bound_of_its_part(scale, width):
    parts_bound_their_points(scale, width, 300)


@pytest.mark.slow
@pytest.mark.parametrize("width", [0.0, 1e-12, 1.0, 1e6])
@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_no_point_of_a_hundred_thousand_leaves_the_dual_bound_of_its_part(scale, width):
    parts_bound_their_points(scale, width, 100_000)


@pytest.mark.parametrize("distance", [0.0, 1e-6, 0.1, 1.0])
def test_rows_that_tie_a_pair_together_hold(distance):
    checked = 0
    for seed in range(6):
        rng = np.random.default_rng(seed)
        f = networks(rng, ((6, 5, 4), ()))[0]
        g = Network([(w.weight + distance * rng.normal(size=w.weight.shape), w.bias) for w in f.layers])
        _, signs, _, forms, e = parts_of_points(seed, (f, g), share=0.2)
        pair = Pair(f, g, *center_and_radius(np.zeros(3), np.ones(3)))
        for rows in pair_rows(forms, pair.lines_of(signs)[0], np.arange(40)):
            assert hold(rows, e), f"seed {seed}"
            checked += 1
    assert checked


def test_error_of_a_dead_neuron_stops_there():
    """A pre-activation far below 0 passes nothing on, however large its rounding error."""
    network = Network([([[1e8, -1e8]], [-1e9]), ([[1e8]], [0.0])])
    values, errors = evaluate_with_error(network, [0.3, 0.1])
    assert values[0] == 0.0 and errors[0] < 1e-300
