"""The argument of the checker, tried by chance: on a leaf any multipliers ≥ 0 give a bound."""

from fractions import Fraction

import numpy as np
import pytest

import nnequiv as nq
from nnequiv.certificate import check, fast
from nnequiv.rounding import evaluate_exact
from tests.oracles.random_pairs import random_pair


def any_multipliers(rng, n_goals: int, n_guards: int, n_neurons: int) -> list:
    """Some of all the terms there are, with whole numbers of very different sizes."""
    kinds = [("goal", n_goals), ("guard", n_guards), ("sign", n_neurons), ("zero", n_neurons), ("line", n_neurons)]
    terms = [[kind, k, int(2 ** rng.uniform(0, 20))] for kind, count in kinds for k in range(count)]
    return [["goal", 0, 2**18]] + [term for term in terms if rng.random() < 0.4]


@pytest.mark.parametrize("kind", [check.Leaf, fast.Fast])
@pytest.mark.parametrize("seed", range(66))
def test_any_multipliers_give_a_bound(kind, seed):
    """Weak duality by itself: on a leaf around a point, with cuts as its neurons are, no multipliers fall below it."""
    rng = np.random.default_rng(seed)
    f, g, input_set, name = random_pair(seed)
    box, m = input_set.box, f.n_outputs
    point = box.sample(rng, 1)[0]
    near = [sorted((float(v), float(rng.uniform(a, b)))) for v, a, b in zip(point, box.lower, box.upper, strict=True)]
    before = [v for net in (f, g) for k in range(1, len(net.layers)) for v in evaluate_exact(_first(net, k), point)]
    cut = {k: 1 if v > 0 or (v == 0 and rng.random() < 0.5) else -1 for k, v in enumerate(before) if rng.random() < 0.5}
    normal = rng.integers(-2, 3, size=(2, len(point))) / 2.0
    bound = [float(np.nextafter(b, np.inf)) + rng.integers(2) for b in normal @ point + 1e-9]
    sides = [[check.augmented(w.weight.tolist(), w.bias.tolist(), w.n_in) for w in net.layers] for net in (f, g)]
    sides.append([check.augmented(normal.tolist(), [-b for b in bound], len(point))])
    leaf = kind([[kind.matrix(rows) for rows in layers] for layers in sides], near, cut)
    assert not leaf.empty
    y = [evaluate_exact(f, point), evaluate_exact(g, point)]
    questions = [{"kind": "difference", "outputs": list(range(m)), "epsilon": ["0x1p-4"] * m}]
    questions += [{"kind": "winner", "k": 1, "margin": "0x0p+0"}, {"kind": "order", "i": 0, "j": m - 1}]
    for question in questions:
        for goals, guards in check.objectives(question, m, "f", "g")[1]:
            goal, guard = (
                [c + sum(s * y[side][i] for s, side, i in row) for c, row in some] for some in (goals, guards)
            )
            if any(value < 0 for value in guard):
                continue
            inside = [(0, [(-1, 2, k)]) for k in range(2)]
            terms = any_multipliers(rng, len(goals), len(guards) + 2, len(before))
            largest, weight = leaf.bound(goals, guards + inside, terms)
            assert min(goal) * weight <= largest, f"seed {seed}, {name}, {question}, {terms}"
            alone = [term for term in terms if term[0] != "goal"]
            if alone:
                assert leaf.bound(goals, guards + inside, alone)[0] >= 0, f"seed {seed}, {name}: a leaf with a point"


def _first(net: nq.Network, k: int) -> nq.Network:
    return nq.Network(net.layers[:k])


def test_the_largest_sum_is_exact():
    """Against fractions: a row of many forms with different shifts."""
    rng = np.random.default_rng(0)
    box = [(-1.0, 1.0), (0.1, 0.7), (2.0, 2.0)]
    leaf = check.Leaf([], box, {})
    x, _ = leaf.inputs(box)
    weight = rng.normal(size=(3, 3)).tolist()
    y = leaf.affine(check.Leaf.matrix(check.augmented(weight, [0.1, 0.2, 0.3], 3)), x)
    want = Fraction(0.1) * 5
    coefficients = [5 * Fraction(w) for w in weight[0]]
    coefficients[1] -= 3
    for c, (low, high) in zip(coefficients, box, strict=True):
        want += max(c * Fraction(low), c * Fraction(high))
    assert leaf.largest([(5, y, 0), (-3, x, 1)]) == want
