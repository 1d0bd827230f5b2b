"""The best last layer against brute force: its value is the least one, its bound holds for every other layer."""

import json
from itertools import product

import numpy as np
import pytest

import nnequiv as nq
from nnequiv.constraints import Mask
from nnequiv.network import Network
from nnequiv.repair.result import LastLayer
from nnequiv.sets import Box, Polytope
from tests.oracles.last_layer_lp import all_values, distance_rows, label_rows, least_value, set_rows
from tests.oracles.random_networks import random_network

#: The least value is compared to this, absolutely and relative to the size of the outputs.
CLOSE = 1e-6


def random_question(seed: int):
    """A small pair, degenerate ones too, and one to three input sets: boxes, flat boxes, points and polytopes."""
    rng = np.random.default_rng(seed)
    d, m = int(rng.integers(1, 3)), int(rng.integers(1, 4))
    f = random_network(rng, (d, *rng.integers(1, 4, size=rng.integers(0, 3)), m))
    g = random_network(rng, (d, *rng.integers(1, 4, size=rng.integers(0, 3)), m))
    return f, spoiled(g, rng), [random_set(rng, d) for _ in range(rng.integers(1, 4))]


def random_set(rng, d: int):
    middle, radius = rng.normal(size=d), rng.random(d)
    kind = rng.integers(6)
    if kind == 0:
        radius[0] = 0.0  # flat, or a point
    if kind == 1:
        radius[:] = 0.0
    box = Box(middle - radius, middle + radius)
    if kind == 2:
        row = rng.normal(size=(1, d))
        return Polytope(row, row @ middle + 0.1, box)
    return box


def spoiled(g: Network, rng) -> Network:
    """Some last hidden neurons dead, doubled, or without inputs."""
    layers = [(layer.weight.copy(), layer.bias.copy()) for layer in g.layers]
    kind = rng.integers(6)
    if len(layers) > 1 and kind < 3:
        weight, bias = layers[-2]
        k = int(rng.integers(len(bias)))
        if kind == 0:
            weight[k], bias[k] = 0.0, -1.0
        elif kind == 1:
            weight[k], bias[k] = weight[0], bias[0]
        else:
            weight[k] = 0.0
    return Network(layers)


def tolerance_of(outputs: np.ndarray) -> float:
    return CLOSE * max(1.0, float(np.abs(outputs).max()))


def free_limits(g: Network):
    shape = g.n_outputs, g.layers[-1].n_in + 1
    return np.full(shape, -np.inf), np.full(shape, np.inf)


def check_least(seed: int) -> LastLayer:
    f, g, sets = random_question(seed)
    best = nq.best_last_layer(f, g, sets)
    outputs, features, _ = all_values(f, g, sets)
    least = least_value(distance_rows(outputs, features), *free_limits(g), floor=0.0)
    close = tolerance_of(outputs)
    assert abs(best.upper - least) <= close, f"seed {seed}: {best.upper} but {least}"
    assert best.lower <= best.upper and best.lower_bound <= least + 1e-9 * max(1.0, abs(outputs).max()), f"seed {seed}"
    loss = close if np.isinf(best.limit) else 1e-4  # a limited bound pays for rounding times the limit
    assert best.lower_bound >= least - loss, f"seed {seed}: bound {best.lower_bound} ({best.limit}) but {least}"
    points = np.vstack([input_set.box.sample(np.random.default_rng(seed), 50) for input_set in sets])
    inside = np.array([any(s.contains(x) for s in sets) for x in points])
    assert np.abs(f.evaluate(points) - best.network.evaluate(points))[inside].max(initial=0.0) <= best.upper
    rng = np.random.default_rng(seed)
    mine = np.column_stack([best.network.layers[-1].weight, best.network.layers[-1].bias])
    for size in (1e-6, 1e-3, 1.0, 100.0):
        other = mine + size * rng.normal(size=mine.shape)
        assert np.abs(outputs - features @ other.T).max() >= best.lower_bound - 1e-12, f"seed {seed}"
    return best


@pytest.mark.parametrize("block", range(6))
def test_value_and_bound_are_those_of_brute_force(block):
    found = [check_least(seed) for seed in range(20 * block, 20 * block + 20)]
    assert sum(np.isinf(best.limit) for best in found) >= 15  # most bounds hold for every last layer there is


@pytest.mark.slow
def test_value_and_bound_are_those_of_brute_force_on_many():
    for seed in range(1000, 1300):
        check_least(seed)


@pytest.mark.parametrize("seed", range(8))
def test_without_degeneracy_the_optimum_is_proved_within_a_millionth(seed):
    rng = np.random.default_rng([1, seed])
    f, g = random_network(rng, (2, 6, 4, 2)), random_network(rng, (2, 3, 3, 2))
    best = nq.best_last_layer(f, g, [Box.around(rng.normal(size=2), 0.7) for _ in range(5)])
    assert best.optimal and best.gap <= 1e-6 * best.upper and best.upper > 0.01, (seed, best)
    assert best.rounds == 1 and len(best.parts) == 2


def test_pruned_weights_stay_zero_and_the_bound_is_that_of_the_mask():
    for seed in range(20):
        rng = np.random.default_rng([2, seed])
        f, g = random_network(rng, (2, 4, 2)), nq.compress(random_network(rng, (2, 4, 2)), nq.Prune(0.5))
        assert isinstance(g.constraint, Mask)
        sets = [Box.around(rng.normal(size=2), 0.8) for _ in range(2)]
        best = nq.best_last_layer(f, g, sets)
        outputs, features, _ = all_values(f, g, sets)
        low, high = free_limits(g)
        low[:, :-1][~g.constraint.masks[-1]] = high[:, :-1][~g.constraint.masks[-1]] = 0.0
        least = least_value(distance_rows(outputs, features), low, high, 0.0)
        assert g.constraint.holds(best.network) and best.network.constraint is g.constraint
        assert abs(best.upper - least) <= CLOSE and least - CLOSE <= best.lower_bound <= least + 1e-9, seed


def test_on_a_grid_the_bound_holds_and_the_value_is_near_the_best_of_all_levels():
    matched = 0
    for seed in range(20):
        rng = np.random.default_rng([3, seed])
        f = random_network(rng, (1, 4, 1))
        g = nq.compress(random_network(rng, (1, 3, 1)), nq.Quantize(bits=3))
        sets = [Box.around(rng.normal(size=1), 1.0) for _ in range(2)]
        best = nq.best_last_layer(f, g, sets)
        outputs, features, _ = all_values(f, g, sets)
        scale = g.constraint.scales[-1]
        every = [
            np.ptp(outputs[:, 0] - features[:, :-1] @ (scale * np.array(levels))) / 2
            for levels in product(range(-3, 4), repeat=3)
        ]
        assert g.constraint.holds(best.network)
        assert best.lower_bound <= min(every) + 1e-9 and best.upper >= min(every) - 1e-9, seed
        before = max(d.upper for d in nq.max_discrepancies(f, g, sets))
        assert best.upper <= before + 1e-9, seed
        matched += best.upper <= min(every) * (1 + 1e-6)
    assert matched >= 12  # a search by single steps, not an optimum


def test_near_stays_within_the_factor_and_moves_least():
    for seed in range(15):
        rng = np.random.default_rng([4, seed])
        f, g = random_network(rng, (2, 4, 1)), random_network(rng, (2, 3, 1))
        sets = [Box.around(rng.normal(size=2), 0.8) for _ in range(2)]
        best, near = nq.best_last_layer(f, g, sets), nq.best_last_layer(f, g, sets, near=1.2)
        assert near.upper <= 1.2 * best.upper + CLOSE and abs(near.lower_bound - best.lower_bound) <= CLOSE, seed

        def moved(network, g=g):
            a, b = network.layers[-1], g.layers[-1]
            return np.abs(a.weight - b.weight).sum() + np.abs(a.bias - b.bias).sum()

        assert moved(near.network) <= moved(best.network) + CLOSE, seed
        line = np.linspace(0, 1, 201)[:, None, None]  # layers between the old one and the best are no nearer
        old, new = (np.column_stack([n.layers[-1].weight, n.layers[-1].bias]) for n in (g, best.network))
        outputs, features, _ = all_values(f, g, sets)
        values = np.abs(outputs.T - ((1 - line) * old + line * new) @ features.T).max(axis=(1, 2))
        share = line[values <= 1.2 * best.upper][0].item()
        assert moved(near.network) <= share * moved(best.network) + CLOSE, seed


def test_near_a_network_that_is_good_enough_changes_nothing():
    rng = np.random.default_rng(0)
    f, g = random_network(rng, (2, 4, 1)), random_network(rng, (2, 3, 1))
    sets = [Box([-1.0, -1.0], [1.0, 1.0])]
    best = nq.best_last_layer(f, g, sets)
    again = nq.best_last_layer(f, best.network, sets, near=1.0001)
    np.testing.assert_allclose(again.network.layers[-1].weight, best.network.layers[-1].weight, atol=1e-9)


@pytest.mark.parametrize("seed", range(10))
def test_distance_targets_are_called_infeasible_exactly_where_they_are(seed):
    f, g, sets = random_question(500 + seed)
    outputs, features, _ = all_values(f, g, sets)
    least = least_value(distance_rows(outputs, features), *free_limits(g), floor=0.0)
    above, below = least * (1 + 1e-4) + 1e-6, least * (1 - 1e-4)
    feasible = nq.best_last_layer(f, g, sets, target=above)
    assert feasible.reached and not feasible.infeasible, seed
    if least > 1e-3:
        hopeless = nq.best_last_layer(f, g, sets, target=below)
        assert hopeless.infeasible and not hopeless.reached, seed


@pytest.mark.parametrize("seed", range(15))
def test_sets_of_differences_against_brute_force(seed):
    rng = np.random.default_rng([5, seed])
    f, g = random_network(rng, (2, 3, 2)), spoiled(random_network(rng, (2, 3, 2)), rng)
    sets = [random_set(rng, 2) for _ in range(2)]
    outputs, features, _ = all_values(f, g, sets)
    for size in (0.03, 0.3, 3.0):
        box = Box(-size * (0.2 + rng.random(2)), size * (0.2 + rng.random(2)))
        cut = Polytope(np.vstack([[1.0, 1.0], rng.normal(size=2)]), size * rng.random(2), box)
        unit = np.vstack([np.eye(2), -np.eye(2)])
        sides = np.concatenate([box.upper, -box.lower])
        for given, rows in (
            (box, (unit, sides)),
            (cut, (np.vstack([unit, cut.matrix]), np.concatenate([sides, cut.bound]))),
        ):
            least = least_value(set_rows(outputs, features, *rows), *free_limits(g), floor=-100.0)
            best = nq.best_last_layer(f, g, sets, target=given)
            assert abs(best.upper - least) <= 1e-5, (seed, size)
            assert best.lower_bound <= least + 1e-8, (seed, size)
            if abs(least) > 1e-5:
                assert best.reached == (least < 0) and best.infeasible == (least > 0), (seed, size, least, best)


def test_an_unbounded_set_of_differences():
    f, g = Network([([[1.0]], [0.0])]), Network([([[0.5]], [0.0])])
    best = nq.best_last_layer(f, g, [Box([0.0], [1.0])], target=Polytope([[1.0]], [-0.25]))  # f ≤ g − 0.25
    assert best.reached and -0.5 <= best.upper <= 0.0 and not best.infeasible


def test_an_empty_set_of_differences_is_infeasible():
    f, g = random_network(np.random.default_rng(0), (2, 3, 2)), random_network(np.random.default_rng(1), (2, 3, 2))
    empty = Polytope([[1.0, 0.0], [-1.0, 0.0]], [-1.0, -1.0])
    best = nq.best_last_layer(f, g, [Box([-1.0, -1.0], [1.0, 1.0])], target=empty)
    assert best.infeasible and best.lower_bound > 1.0  # 1 where the difference is 0 all over, and it is not


@pytest.mark.parametrize("seed", range(20))
def test_labels_against_brute_force(seed):
    rng = np.random.default_rng([6, seed])
    m = int(rng.integers(2, 4))
    g = random_network(rng, (2, *rng.integers(1, 4, size=rng.integers(1, 3)), m))
    sets = [Box.around(rng.normal(size=2), 0.5 * rng.random()) for _ in range(int(rng.integers(1, 5)))]
    labels, margin = rng.integers(0, m, size=len(sets)), 1.0
    _, features, home = all_values(g, g, sets)
    low, high = free_limits(g)
    least = least_value(label_rows(labels[home], features, m, margin), low - 1e6, high + 1e6, floor=-0.01)
    best = nq.best_last_layer(labels, g, sets, target=margin)
    if least < 0:
        assert best.reached and not best.infeasible, (seed, best)
    elif least > 0.999:  # no last layer separates these labels
        assert best.infeasible and best.lower_bound == pytest.approx(margin, abs=1e-4), (seed, best)
    for number, (input_set, label) in enumerate(zip(sets, labels, strict=True)):
        scores = best.network.evaluate(input_set.sample(rng, 200))
        lead = scores[:, label] - np.delete(scores, label, axis=1).max(axis=1)
        assert margin - lead.min() <= best.discrepancies[number].upper, seed


def test_two_labels_on_one_box_are_infeasible():
    g = random_network(np.random.default_rng(0), (2, 3, 2))
    box = Box([-1.0, -1.0], [1.0, 1.0])
    best = nq.best_last_layer([0, 1], g, [box, box], target=0.5)
    assert best.infeasible and np.isinf(best.limit) and best.lower_bound == pytest.approx(0.5)


@pytest.mark.parametrize("options", [dict(engine="branch-and-bound"), dict(engine="star"), dict(lp="cvxpy")])
def test_engines_and_solvers_agree(options):
    rng = np.random.default_rng(7)
    f, g = random_network(rng, (2, 3, 2)), random_network(rng, (2, 2, 2))
    sets = [Box.around(rng.normal(size=2), 0.8) for _ in range(2)]
    best, other = nq.best_last_layer(f, g, sets), nq.best_last_layer(f, g, sets, **options)
    assert abs(best.upper - other.upper) <= 1e-5 and abs(best.lower_bound - other.lower_bound) <= 1e-5
    assert other.reason == ""


def test_a_network_of_one_layer_and_one_that_is_equal():
    line = Network([([[2.0], [1.0]], [0.5, 0.0])])
    best = nq.best_last_layer(line, Network([([[0.0], [0.0]], [0.0, 0.0])]), [Box([0.0], [1.0])])
    assert best.upper <= 1e-9
    same = nq.best_last_layer(line, line, [Box([0.0], [1.0])])
    np.testing.assert_array_equal(same.network.layers[-1].weight, line.layers[-1].weight)
    assert same.lower_bound == 0.0


def test_json_round_trip():
    f, g, sets = random_question(3)
    for best in (
        nq.best_last_layer(f, g, sets, target=0.1),
        nq.best_last_layer([0] * len(sets), random_network(np.random.default_rng(0), (g.n_inputs, 2, 2)), sets, 1.0),
    ):
        assert LastLayer.from_json(best.to_json()) == best
        record = json.loads(best.to_json())
        assert record["infeasible"] == best.infeasible and len(record["discrepancies"]) == len(sets)


def test_time_limit_and_interruption_prove_nothing():
    f, g, sets = random_question(3)
    out = nq.best_last_layer(f, g, sets, target=0.5, time_limit=0.0)
    assert out.reason == "time limit of 0 s reached" and out.upper == np.inf and out.lower_bound == -np.inf
    assert not (out.reached or out.infeasible or out.optimal)
    np.testing.assert_array_equal(out.network.layers[-1].weight, g.layers[-1].weight)

    def interrupt(**_):
        raise KeyboardInterrupt

    out = nq.best_last_layer(f, g, sets, progress=interrupt)
    assert out.reason == "interrupted" and out.discrepancies == ()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(input_sets=[]), "at least one input set"),
        (dict(near=0.9), "near is 0.9"),
        (dict(lp="simplex"), "lp is 'simplex'"),
        (dict(engine="stars"), "unknown engine 'stars'"),
        (dict(target=-1.0), "target is -1.0"),
        (dict(target=Box([0.0], [1.0])), "dimension 1, but the networks have 2 outputs"),
        (dict(f=[0]), "with labels a target is needed"),
        (dict(f=[0, 1], target=1.0), "one label for each input set: 1 are needed"),
        (dict(f=[2], target=1.0), "label 0 is 2"),
        (dict(f=[0], target=Box([0.0, 0.0], [1.0, 1.0])), "with labels the target is their margin"),
        (dict(f=random_network(np.random.default_rng(0), (3, 2))), "inputs"),
        (dict(input_sets=[Box([0.0], [1.0])]), "the input set has 1 inputs"),
        (dict(g=nq.compress(random_network(np.random.default_rng(0), (2, 3, 2)), nq.Quantize(4)), near=1.1), "grid"),
    ],
)
def test_bad_input_is_refused(options, message):
    rng = np.random.default_rng(0)
    arguments = dict(f=random_network(rng, (2, 3, 2)), g=random_network(rng, (2, 3, 2)))
    arguments |= dict(input_sets=[Box([0.0, 0.0], [1.0, 1.0])]) | options
    with pytest.raises(ValueError, match=message):
        nq.best_last_layer(**arguments)


@pytest.mark.parametrize("seed", [0, 1, 2, 3, 9, 31, 48])
def test_a_difference_of_rounding_only_leaves_a_layer(seed):
    """The layers within the least value, about 1e-15, are a set that the LP solver may take for empty."""
    rng = np.random.default_rng(seed)
    f = random_network(rng, (2, int(rng.integers(2, 9)), 3))
    last, size = f.layers[-1], [0.0, 1e-15, 1e-13, 1e-300][seed % 4]
    noise = rng.normal(size=last.weight.shape)
    g = Network([*f.hidden, (last.weight * (1 + size * noise), last.bias)])
    best = nq.best_last_layer(f, g, [random_set(rng, 2) for _ in range(2)])
    assert max(answer.upper for answer in best.discrepancies) <= 1e-9
