"""Differential zonotopes: nothing sampled leaves them, exact values lie inside, close pairs are bounded closely."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from nnequiv.network import Network
from nnequiv.reach.branch_and_bound.bounds import row_forms
from nnequiv.reach.branch_and_bound.differential_zonotope import _relaxed, _through, difference, differential_rows
from nnequiv.reach.branch_and_bound.question import Question
from nnequiv.reach.branch_and_bound.zonotope import index_of
from nnequiv.reach.engine import stacked_outputs
from nnequiv.reach.intervals import center_and_radius
from nnequiv.relations import Objective, discrepancy_objectives
from nnequiv.rounding import evaluate_exact
from nnequiv.sets import Box
from tests.reach.test_differential import DISTANCES, close_pair

WIDTHS = [(3, 2), (3, 5, 2), (2, 1, 1, 1), (3, 4, 3, 4, 3, 2), (4, 6, 5, 3)]


def any_objectives(rng, m):
    """Rows of f − g, and rows that read f and g in any other way."""
    rows = [Objective(rng.normal(size=(1, 2 * m)), np.zeros(1), np.zeros((0, 2 * m)), np.zeros(0)) for _ in range(3)]
    return discrepancy_objectives(m) + rows


def pair_on_boxes(seed, widths, distance, scale, width, count):
    """A pair with a zero row and a dead neuron where there is room, and boxes in which some inputs are fixed."""
    rng = np.random.default_rng(seed)
    pair = close_pair(rng, widths, distance, scale)
    if len(widths) > 2 and widths[1] > 2:
        pair = tuple(_with_idle_neurons(network, scale) for network in pair)
    n = widths[0]
    lower = rng.normal(size=(count, n))
    upper = lower + width * rng.random((count, n)) * (rng.random((count, n)) > 0.2)
    question = Question(pair, Box(lower.min(axis=0), upper.max(axis=0)), any_objectives(rng, widths[-1]))
    return rng, pair, question, lower, upper


def _with_idle_neurons(network, scale):
    weight, bias = network.layers[0].weight.copy(), network.layers[0].bias.copy()
    weight[0], bias[1] = 0.0, -1e3 * scale
    return Network([(weight, bias), *network.layers[1:]])


def samples_stay_inside(distance, scale, width, boxes, per_box):
    """``boxes · per_box`` points of each pair, against the bounds of their boxes."""
    for seed, widths in enumerate(WIDTHS):
        rng, pair, question, lower, upper = pair_on_boxes(seed, widths, distance, scale, width, boxes)
        center, radius = center_and_radius(lower, upper)
        forms = row_forms(question, center, radius)
        low, high = differential_rows(question, forms, center, radius)
        for b in range(boxes):
            shares = rng.random((per_box, len(lower[b])))
            points = np.clip(lower[b] + (upper[b] - lower[b]) * shares, lower[b], upper[b])
            outputs, errors = stacked_outputs(pair, points)
            rows, slack = outputs @ question.rows.T, (1 + 1e-9) * errors @ np.abs(question.rows).T
            slack += 1e-15 * np.abs(outputs) @ np.abs(question.rows).T
            assert (rows - slack <= high[b]).all() and (rows + slack >= low[b]).all(), f"seed {seed}, box {b}"


EXTREMES = [(1.0, 1.0), (1e8, 1e6), (1e-8, 1e-12), (1e8, 1e-12), (1e-8, 1e6), (1.0, 0.0)]


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("scale, width", EXTREMES)
def test_no_sampled_value_leaves_its_bound(distance, scale, width):
    samples_stay_inside(distance, scale, width, boxes=10, per_box=100)


@pytest.mark.slow
@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("scale, width", EXTREMES)
def test_no_sampled_value_of_a_hundred_thousand_leaves_its_bound(distance, scale, width):
    samples_stay_inside(distance, scale, width, boxes=100, per_box=1000)


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("scale, width", [(1.0, 1.0), (1e8, 1e6), (1e-8, 1e-12), (1.0, 0.0)])
def test_one_layer_in_exact_rationals(distance, scale, width):
    """A layer's centre and generators, with the slopes that the float pass chose: all deviations are in ``error``."""
    for seed, widths in enumerate(WIDTHS[1:]):
        rng, (f, g), question, lower, upper = pair_on_boxes(seed, widths, distance, scale, width, 2)
        center, radius = center_and_radius(lower, upper)
        forms = row_forms(question, center, radius)
        hidden = [trace.hidden[0] for trace in forms.traces]
        before = difference(*(below(network) for network in (f, g)), forms_of_first(forms), center, radius)
        weights, biases = zip(*((n.layers[1].weight, n.layers[1].bias) for n in (f, g)), strict=True)
        after = _through(before, *hidden, len(forms.free), weights, biases)
        slope, middle, half = _relaxed(before, *hidden)
        for b in range(2):
            wg = exact(weights[1])
            change = exact(weights[0]) - wg
            y, f_slope, f_half = hidden[0].before, exact(hidden[0].slope[b]), exact(hidden[0].half[b])
            s, m, h = exact(slope[b]), exact(middle[b]), exact(half[b])
            y_center = f_slope * exact(y.center[b]) + f_half
            middle_exact = wg @ (s * exact(before.center[b]) + m) + change @ y_center
            middle_exact = middle_exact + exact(biases[0]) - exact(biases[1])
            shared = (exact(before.generators[b]) * s) @ wg.T + (exact(y.generators[b]) * f_slope) @ change.T
            from_f = [f_half[i] * change[:, i] for i in hidden[0].index[b]]
            own = [h[i] * wg[:, i] for i in index_of(half > 0)[b]]
            generators = np.array([*shared, *from_f, *own]).reshape(-1, len(wg))
            off = np.abs(middle_exact - exact(after.center[b]))
            off = off + sum(np.abs(generators - exact(after.generators[b])), 0 * off)
            inherited = np.abs(wg) @ (s * exact(before.error[b])) + np.abs(change) @ (f_slope * exact(y.error[b]))
            assert all(off + inherited <= exact(after.error[b])), f"seed {seed}, box {b}"


def below(network):
    """The network whose outputs are the first layer's pre-activations."""
    return Network([network.layers[0]])


def forms_of_first(forms):
    return replace(forms, traces=[replace(trace, hidden=[]) for trace in forms.traces])


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("scale, width", [(1.0, 1.0), (1e8, 1e6), (1e-8, 1e-12), (1.0, 0.0)])
def test_exact_values_lie_inside(distance, scale, width):
    """The difference of corners and inner points, in exact rationals: no rounding is forgiven."""
    for seed, widths in enumerate(WIDTHS):
        rng, (f, g), question, lower, upper = pair_on_boxes(seed, widths, distance, scale, width, 3)
        center, radius = center_and_radius(lower, upper)
        delta = difference(f, g, row_forms(question, center, radius), center, radius)
        for b in range(3):
            reach = exact(delta.radius()[b])
            for _ in range(4):
                point = np.where(rng.random(len(lower[b])) < 0.5, lower[b], upper[b])
                value = np.array(evaluate_exact(f, point)) - np.array(evaluate_exact(g, point))
                assert all(np.abs(value - exact(delta.center[b])) <= reach), f"seed {seed}, box {b}"


def exact(array):
    return np.vectorize(lambda v: Fraction(float(v)), otypes=[object])(array)


def test_close_pairs_are_bounded_closely():
    """On a box where most neurons are unstable the bound is of the order of the pair's distance; zonotopes' is not."""
    rng = np.random.default_rng(0)
    f, g = close_pair(rng, (3, 20, 20, 2), 1e-6)
    question = Question((f, g), Box([-1.0] * 3, [1.0] * 3), discrepancy_objectives(2))
    center, radius = np.zeros((1, 3)), np.ones((1, 3))
    forms = row_forms(question, center, radius)
    _, high = differential_rows(question, forms, center, radius)
    assert forms.unstable[0] > 20
    assert high.max() < 1e-2 and forms.high.max() > 10


def test_equal_networks_are_proved_equal():
    rng = np.random.default_rng(1)
    f, _ = close_pair(rng, (3, 20, 20, 2), 0.0)
    question = Question((f, f), Box([-1.0] * 3, [1.0] * 3), discrepancy_objectives(2))
    center, radius = np.zeros((1, 3)), np.ones((1, 3))
    low, high = differential_rows(question, row_forms(question, center, radius), center, radius)
    assert high.max() < 1e-10 and low.min() > -1e-10


def test_a_layer_of_the_wrong_case_is_not_used():
    """Every case of a pair of neurons (each of f and g dead, unstable or active), against a fine grid."""
    biases = [-2.0, 0.3, 2.0]
    grid = np.linspace(-1.0, 1.0, 2001)[:, None]
    for a in biases:
        for b in biases:
            f, g = (Network([([[1.0]], [c]), ([[s]], [0.0])]) for c, s in ((a, 1.0), (b, 0.9)))
            question = Question((f, g), Box([-1.0], [1.0]), discrepancy_objectives(1))
            center, radius = np.zeros((1, 1)), np.ones((1, 1))
            delta = difference(f, g, row_forms(question, center, radius), center, radius)
            values = f.evaluate(grid) - g.evaluate(grid)
            assert (np.abs(values - delta.center) <= delta.radius() + 1e-12).all(), (a, b)
