"""Differential backward bounds: nothing sampled leaves them, with any choices and signs, nor do exact rationals."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from nnequiv.network import Network
from nnequiv.reach.branch_and_bound.differential import Choice, Pair, PairLayer
from nnequiv.reach.branch_and_bound.slopes import sharpen
from nnequiv.reach.intervals import center_and_radius
from nnequiv.rounding import evaluate_exact, evaluate_with_error
from nnequiv.sets import Box

#: Relative distance of the two networks' weights: equal, nearly so, unrelated.
DISTANCES = [0.0, 1e-12, 1e-3, 1.0]


def close_pair(rng, widths, distance, scale=1.0):
    weights = [scale * rng.normal(size=(b, a)) for a, b in zip(widths, widths[1:], strict=False)]
    biases = [scale * rng.normal(size=b) for b in widths[1:]]
    f = Network.from_arrays(weights, biases)
    changed = [w + distance * scale * rng.normal(size=w.shape) for w in weights]
    g = Network.from_arrays(changed, [b * (1 + distance) for b in biases])
    return f, g


def pair_on(f, g, box):
    return Pair(f, g, *center_and_radius(box.lower, box.upper))


def random_choices(rng, pair, count):
    """Anything that is allowed: slopes and shares in [0, 1], multipliers ≥ 0."""
    result = []
    for line in pair.lines:
        shape = (count, line.f_slope.shape[1])
        result.append(Choice(*(rng.random(shape) for _ in range(3)), *(rng.random(shape) ** 4 for _ in range(2))))
    return result


def last_hidden(f, g, points):
    """Post-activations of the last hidden layer of both, and their errors."""
    values = []
    for network in (f, g):
        below = Network([*network.layers[:-1]])
        z, error = evaluate_with_error(below, points)
        values += [np.maximum(z, 0.0), error]
    return values


def samples_stay_below(distance, scale, width, count):
    """``count`` points of each pair, against the bounds of all layers and of as many random functionals."""
    for seed, widths in enumerate([(3, 5, 2), (3, 4, 4, 4, 2), (2, 1, 1, 1), (4, 6, 5, 3)]):
        rng = np.random.default_rng(seed)
        f, g = close_pair(rng, widths, distance, scale)
        lower = rng.normal(size=widths[0])
        box = Box(lower, lower + width * rng.random(widths[0]))
        pair = pair_on(f, g, box)
        points = box.sample(rng, count)
        pre_f, pre_g = f.pre_activations(points), g.pre_activations(points)
        for bounds, zf, zg in zip(pair.bounds, pre_f, pre_g, strict=False):
            room = 1e-9 * (np.abs(zf) + np.abs(zg) + scale**2)
            assert (zf <= bounds.f_high + room).all() and (zf >= bounds.f_low - room).all(), f"seed {seed}"
            assert (zg <= bounds.g_high + room).all() and (zg >= bounds.g_low - room).all(), f"seed {seed}"
            assert (zf - zg <= bounds.d_high + room).all() and (zf - zg >= bounds.d_low - room).all(), f"seed {seed}"
        yf, ef, yg, eg = last_hidden(f, g, points)
        cf = rng.normal(size=(count, widths[-2]))
        cg = np.where(rng.random(cf.shape) < 0.5, -cf, rng.normal(size=cf.shape))
        constant = rng.normal(size=count)
        lines = [PairLayer.of(bounds) for bounds in pair.bounds]
        done = pair.backward(cf, cg, constant, lines, random_choices(rng, pair, count))
        upper = done.value + pair.slack(done, constant)
        value = (cf * yf + cg * yg).sum(axis=1) + constant
        error = (np.abs(cf) * ef + np.abs(cg) * eg).sum(axis=1) * (1 + 1e-9) + 1e-13 * np.abs(value)
        assert (value - error <= upper).all(), f"seed {seed}"


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("scale, width", [(1.0, 1.0), (1e8, 1e6), (1e-8, 1e-12), (1.0, 0.0)])
def test_no_sampled_value_leaves_its_bound(distance, scale, width):
    samples_stay_below(distance, scale, width, 300)


@pytest.mark.slow
@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("scale, width", [(1.0, 1.0), (1e8, 1e6), (1e-8, 1e-12), (1.0, 0.0)])
def test_no_sampled_value_of_a_hundred_thousand_leaves_its_bound(distance, scale, width):
    samples_stay_below(distance, scale, width, 100_000)


def test_fixed_signs_and_multipliers_are_sound():
    """Points satisfy the bound of every part that their own signs allow, before and after sharpening."""
    for seed, distance in enumerate(DISTANCES * 2):
        rng = np.random.default_rng(seed)
        f, g = close_pair(rng, (3, 5, 4, 2), distance)
        box = Box([-1.0] * 3, [1.0] * 3)
        pair, points = pair_on(f, g, box), box.sample(rng, 200)
        own = [np.where(np.array(n.pre_activations(points)[k]) >= 0, 1, -1) for k in range(2) for n in (f, g)]
        own = [s * (rng.random(s.shape) < 0.4) for s in own]
        signs = [(own[0].astype(float), own[1].astype(float)), (own[2].astype(float), own[3].astype(float))]
        bounds = [b.with_signs(*s) for b, s in zip(pair.bounds, signs, strict=True)]
        assert not np.any([b.empty for b in bounds]), f"seed {seed}"
        lines = [PairLayer.of(b) for b in bounds]
        yf, _, yg, _ = last_hidden(f, g, points)
        cf = rng.normal(size=yf.shape)
        rows = cf, -cf, np.zeros(200)
        value = (cf * (yf - yg)).sum(axis=1)
        choices = random_choices(rng, pair, 200)
        done = pair.backward(*rows, lines, choices, signs)
        assert (value <= done.value + pair.slack(done, rows[2]) + 1e-12).all(), f"seed {seed}"
        found = sharpen(pair, *rows, lines, choices, signs, value - 1.0, 10)
        assert (found.value <= done.value).all() and (value <= found.value + 1e-9).all(), f"seed {seed}"


def exact_backward(pair, cf, cg, constant, done):
    """The bound of one functional in exact rationals, with the shares and lines that the float pass used."""
    cf, cg, constant = exact(cf), exact(cg), Fraction(float(constant))
    for step, k in zip(done.steps, range(len(done.steps) - 1, -1, -1), strict=True):
        f, g = pair.f.layers[k], pair.g.layers[k]
        moved = exact(step.moved[0])
        f_rest, g_rest = cf - moved, cg + moved
        (fs, fo), (gs, go), (ds, do) = ([exact(v[0]) for v in line] for line in (step.f_line, step.g_line, step.d_line))
        f_z = f_rest * fs + moved * ds + exact(step.f_push[0])
        g_z = g_rest * gs - moved * ds + exact(step.g_push[0])
        constant += f_rest @ fo + g_rest @ go + moved @ do + f_z @ exact(f.bias) + g_z @ exact(g.bias)
        cf, cg = f_z @ exact(f.weight), g_z @ exact(g.weight)
    slope = cf + cg
    return constant + slope @ exact(pair.center) + np.abs(slope) @ exact(pair.radius)


def exact(array):
    return np.vectorize(lambda v: Fraction(float(v)), otypes=[object])(array)


def test_exact_rationals_never_exceed_value_and_slack():
    for seed in range(12):
        rng = np.random.default_rng(seed)
        scale = [1.0, 1e8, 1e-8][seed % 3]
        f, g = close_pair(rng, (3, 5, 4, 4, 2), DISTANCES[seed % 4], scale)
        pair = pair_on(f, g, Box([-1.0] * 3, rng.random(3)))
        cf = rng.normal(size=(1, 4))
        cg, constant = -cf * (1 + 1e-9 * rng.normal(size=cf.shape)), rng.normal(size=1)
        signs = [(rng.integers(-1, 2, size=(1, n)),) * 2 for n in (5, 4, 4)]
        done = pair.backward(cf, cg, constant, pair.lines, random_choices(rng, pair, 1), signs)
        proved = Fraction(float((done.value + pair.slack(done, constant))[0]))
        assert exact_backward(pair, cf[0], cg[0], constant[0], done) <= proved, f"seed {seed}"


def test_exact_values_lie_below():
    """At points in exact arithmetic: with equal networks the bound is within rounding, and still above."""
    for seed, distance in enumerate(DISTANCES):
        rng = np.random.default_rng(seed)
        f, g = close_pair(rng, (2, 4, 4, 1), distance)
        box = Box([0.1, 0.2], [0.1, 0.2 + 1e-13])
        pair = pair_on(f, g, box)
        rows = f.layers[-1].weight, -g.layers[-1].weight, f.layers[-1].bias - g.layers[-1].bias
        upper = pair.upper(*rows, 2)[0]
        for point in (box.lower, box.upper):
            exact = evaluate_exact(f, point)[0] - evaluate_exact(g, point)[0]
            # The three arrays are themselves rounded from f and g: equal up to that.
            assert exact <= Fraction(float(upper)) + Fraction(1, 10**15), f"seed {seed}"
        if distance == 0.0:
            assert upper < 1e-10


def test_equal_networks_are_proved_equal():
    rng = np.random.default_rng(0)
    f, _ = close_pair(rng, (5, 20, 20, 3), 0.0)
    pair = pair_on(f, f, Box([-1.0] * 5, [1.0] * 5))
    rows = f.layers[-1].weight, -f.layers[-1].weight, np.zeros(3)
    assert (pair.upper(*rows, 2) < 1e-9).all()
