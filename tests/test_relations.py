from fractions import Fraction

import numpy as np
import pytest

from nnequiv.relations import Epsilon, Order, Top1, TopK, discrepancy_objectives


def violated(relation, y, z) -> bool:
    """Whether outputs y of f and z of g break a relation, said as directly as possible. Works on exact numbers."""
    n, others = len(y), lambda i: [j for j in range(len(y)) if j != i]
    match relation:
        case Epsilon(epsilon):
            each = epsilon if isinstance(epsilon, tuple) else (epsilon,) * n
            return any(abs(a - b) > Fraction(e) for a, b, e in zip(y, z, each, strict=True))
        case Top1(margin):
            winners = [i for i in range(n) if all(y[i] - y[j] >= Fraction(margin) for j in others(i))]
            return any(z[j] > z[i] for i in winners for j in others(i))
        case TopK(k):
            winners = [i for i in range(n) if all(y[i] >= y[j] for j in others(i))]
            return any(sum(z[j] > z[i] for j in others(i)) >= k for i in winners)
        case Order(i, j):
            return (y[i] - y[j]) * (z[i] - z[j]) < 0
    raise TypeError(relation)


RELATIONS = [
    Epsilon(0.0),
    Epsilon(0.5),
    Epsilon((0.0, 0.5, 1.0)),
    Top1(),
    Top1(margin=0.5),
    TopK(1),
    TopK(2),
    TopK(3),
    TopK(9),
    Order(0, 1),
    Order(2, 0),
]


@pytest.mark.parametrize("relation", RELATIONS, ids=repr)
def test_a_relation_is_violated_iff_an_objective_is_positive(relation):
    objectives = relation.objectives(3)
    rng = np.random.default_rng(0)
    # Coarse values, so that ties and equalities are common.
    for y, z in rng.integers(-2, 3, size=(400, 2, 3)) / 2:
        exact = [Fraction(v) for v in (*y, *z)]
        values = [objective.exact_value(exact) for objective in objectives]
        found = any(value is not None and value > 0 for value in values)
        assert found == violated(relation, exact[:3], exact[3:]), f"f {y}, g {z}"
        floats = [objective.values(np.array([[*y, *z]]))[0] for objective in objectives]
        assert floats == [-np.inf if value is None else float(value) for value in values]


@pytest.mark.parametrize("relation", RELATIONS, ids=repr)
def test_equal_outputs_satisfy_every_relation(relation):
    for y in np.random.default_rng(1).integers(-1, 2, size=(50, 3)):
        exact = [Fraction(int(v)) for v in (*y, *y)]
        values = [objective.exact_value(exact) for objective in relation.objectives(3)]
        assert all(value is None or value <= 0 for value in values), f"outputs {y}"


def test_the_discrepancy_is_the_largest_objective():
    rng = np.random.default_rng(2)
    for outputs in (None, [1], [0, 2]):
        objectives = discrepancy_objectives(3, outputs)
        assert all(objective.linear for objective in objectives)
        stacked = rng.normal(size=(20, 6))
        largest = np.max([objective.values(stacked) for objective in objectives], axis=0)
        chosen = list(range(3)) if outputs is None else outputs
        np.testing.assert_array_equal(largest, np.abs(stacked[:, :3] - stacked[:, 3:])[:, chosen].max(axis=1))


def test_objectives_name_their_output():
    assert [objective.output for objective in discrepancy_objectives(2)] == [0, 0, 1, 1]
    assert [objective.output for objective in Top1().objectives(2)] == [0, 1]
    assert not Top1().objectives(2)[0].linear
    assert not Order(0, 1).objectives(2)[0].linear


def test_one_output_has_no_rival():
    assert Top1().objectives(1) == []
    assert TopK(1).objectives(1) == []
    assert TopK(3).objectives(3) == []


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Epsilon(-0.1), "epsilon is -0.1: it must be finite and at least 0"),
        (lambda: Epsilon(np.nan), "epsilon is nan"),
        (lambda: Epsilon((0.1, np.inf)), "epsilon is inf"),
        (lambda: Epsilon((0.1, 0.2)).objectives(3), "epsilon has 2 values, but the networks have 3 outputs"),
        (lambda: Top1(-1.0), "margin is -1.0: it must be finite and at least 0"),
        (lambda: Top1(np.inf), "margin is inf"),
        (lambda: TopK(0), "k is 0: it must be a whole number, at least 1"),
        (lambda: TopK(1.5), "k is 1.5"),
        (lambda: TopK(np.inf), "k is inf"),
        (lambda: TopK(np.nan), "k is nan"),
        (lambda: Order(0, 3).objectives(3), "j is 3, but the networks have outputs 0 to 2"),
        (lambda: Order(-1, 0).objectives(3), "i is -1"),
        (lambda: Order(1, 1).objectives(3), "i and j are both 1"),
    ],
)
def test_bad_relations_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
