"""The vertices engine against brute force and grids, and its exact arithmetic against answers known on paper."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from nnequiv.control import Control
from nnequiv.network import Network
from nnequiv.reach.vertices import Vertices
from nnequiv.relations import Epsilon, Order, Top1, TopK, discrepancy_objectives
from nnequiv.sets import Box, Polytope
from tests.oracles.brute_force import brute_force, grid, interior_radius, largest_relation, lipschitz, patterns
from tests.oracles.random_pairs import KINDS, random_pair

FLOAT, EXACT = Vertices(), Vertices("exact")
both = pytest.mark.parametrize("engine", [FLOAT, EXACT], ids=["float", "exact"])


def maximum(engine, f, g, input_set, relation=None, **options):
    objectives = discrepancy_objectives(f.n_outputs) if relation is None else relation.objectives(f.n_outputs)
    return engine.maximise((f, g), input_set, objectives, 1e-9, Control(), **options)


def agrees_with_brute_force(seeds):
    for seed in seeds:
        f, g, input_set, kind = random_pair(seed)
        value, count = brute_force(f, g, input_set)
        if value == -np.inf:  # the input set is flat: brute force looks at interiors only
            continue
        for engine in (FLOAT, EXACT):
            what = f"seed {seed}, {kind}, {engine}"
            assert abs(maximum(engine, f, g, input_set).upper - value) <= 1e-6, what
            radii = [interior_radius(piece.polytope) for piece in engine.pieces((f, g), input_set, Control())]
            assert count is None or sum(r > 1e-7 for r in radii) == count, what


def test_brute_force_agrees():
    agrees_with_brute_force(range(22, 22 + 2 * len(KINDS), 5))


def relations_agree_with_brute_force(seeds):
    """Brute force brackets the maximum between guards tightened and relaxed, as its LPs have tolerances."""
    for seed in seeds:
        f, g, input_set, kind = random_pair(seed)
        pieces = list(patterns(f, g, input_set))
        if f.n_outputs == 1 or not pieces:
            continue
        for relation in (Top1(), Top1(0.25), TopK(2), Order(0, 1)):
            below, above = largest_relation(pieces, relation.objectives(f.n_outputs), relaxed=1e-7)
            found = maximum(EXACT, f, g, input_set, relation)
            assert below - 1e-5 <= found.upper <= above + 1e-5, f"seed {seed}, {kind}, {relation}"


def test_brute_force_agrees_on_relations():
    relations_agree_with_brute_force([4, 6, 13])


@pytest.mark.slow
def test_brute_force_agrees_on_relations_of_hundreds():
    relations_agree_with_brute_force(range(22, 22 + 5 * len(KINDS)))


@pytest.mark.slow
def test_brute_force_agrees_on_hundreds():
    agrees_with_brute_force(range(100, 100 + 15 * len(KINDS)))


@pytest.mark.slow
def test_float_and_exact_agree_on_thousands():
    for seed in range(3000, 3000 + 91 * len(KINDS)):
        f, g, input_set, kind = random_pair(seed)
        found, exact = maximum(FLOAT, f, g, input_set), maximum(EXACT, f, g, input_set)
        assert found.lower <= exact.upper and exact.lower <= found.upper, f"seed {seed}, {kind}"
        assert found.upper - exact.upper <= 1e-9 and exact.lower - found.lower <= 1e-9, f"seed {seed}, {kind}"


@both
def test_grids_stay_below_and_close(engine):
    for seed in [*range(3, 200, len(KINDS)), *range(7, 200, len(KINDS))]:  # one input, two inputs
        f, g, box, kind = random_pair(seed)
        steps = 2001 if box.dimension == 1 else 201
        below, step = grid(f, g, box, steps), float((box.upper - box.lower).max()) / (steps - 1)
        upper = maximum(engine, f, g, box).upper
        assert below - 1e-12 <= upper <= below + lipschitz(f, g) * step, f"seed {seed}, {kind}"


HAT = Network([([[1.0], [1.0], [1.0]], [0.0, -1.0, -2.0]), ([[1.0, -2.0, 1.0]], [0.0])])  # 0, up to 1 at x = 1, 0
ZERO = Network([([[0.0]], [0.0])])


@both
def test_hat(engine):
    found = maximum(engine, HAT, ZERO, Box([-1.0], [3.0]))
    assert found.pieces == 4 and found.witness == [1.0] and found.objective == 0
    assert found.lower == pytest.approx(1.0, abs=1e-12) and found.upper == pytest.approx(1.0, abs=1e-12)


def test_exact_maximum_is_a_rational():
    """1/3 is no float: ``3 x = 1`` is where the two lines meet, at height 1/3."""
    tent = Network([([[1.0], [3.0]], [0.0, -1.0]), ([[1.0, -1.0]], [0.0])])  # x, then x − (3 x − 1): highest at 1/3
    objectives = discrepancy_objectives(1)
    assert EXACT.exact_maximum((tent, ZERO), Box([0.0], [0.4]), objectives) == Fraction(1, 3)
    assert EXACT.exact_optimum((tent, ZERO), Box([0.0], [0.4]), objectives)[1].tolist() == [Fraction(1, 3)]
    found = maximum(EXACT, tent, ZERO, Box([0.0], [0.4]))
    assert Fraction(found.lower) <= Fraction(1, 3) <= Fraction(found.upper)
    assert found.upper - found.lower <= 2 * np.spacing(1 / 3)


def test_exact_equality_is_proved():
    """g = f, as another network: exact arithmetic proves every relation with upper = 0, ties included."""
    f, _, box, _ = random_pair(11 + 5 * len(KINDS))
    assert f.n_outputs > 1
    doubled = Network([*f.hidden, (f.layers[-1].weight, f.layers[-1].bias)])
    for relation in (None, Epsilon(0.0), Top1(), TopK(1), Order(0, 1)):
        found = maximum(EXACT, f, doubled, box, relation, threshold=0.0)
        assert found.upper <= 0.0, relation
    assert maximum(EXACT, f, doubled, box).upper == 0.0


@both
def test_neuron_that_barely_leaves_zero_is_paid_for(engine):
    """relu(x − 1 + 2⁻⁴²) on [0, 1] is too thin to split over floats; a million times that is not nothing."""
    sliver = Network([([[1.0]], [2.0**-42 - 1.0]), ([[1e6]], [0.0])])
    found = maximum(engine, sliver, ZERO, Box([0.0], [1.0]))
    assert found.pieces == (1 if engine is FLOAT else 2)
    assert 1e6 * 2.0**-42 <= found.upper <= 1.1e6 * 2.0**-42


@both
def test_guards_and_several_goals(engine):
    """f = (x, 0), g = (0, x) on [−1, 2]: g's winner is the other one everywhere but at 0, by up to 2."""
    f, g = Network([([[1.0], [0.0]], [0.0, 0.0])]), Network([([[0.0], [1.0]], [0.0, 0.0])])
    box = Box([-1.0], [2.0])
    assert maximum(engine, f, g, box, Top1()).upper == pytest.approx(2.0, abs=1e-12)
    assert maximum(engine, f, g, box, Top1(1.5)).upper == pytest.approx(2.0, abs=1e-12)
    assert maximum(engine, f, g, box, Top1(2.5)).upper == -np.inf  # f never leads by that much
    assert maximum(engine, f, g, box, Order(0, 1)).upper == pytest.approx(2.0, abs=1e-12)
    assert maximum(engine, f, g, box, TopK(2)).upper == -np.inf  # no objective at all
    found = maximum(engine, f, g, box, Top1(), threshold=0.0)
    assert found.lower > 0 and found.reason == "" and found.upper >= 2.0


@both
def test_flat_sets_and_points(engine):
    plane = Network([([[1.0, 1.0]], [0.0])])
    bent = Network([([[1.0, -1.0]], [0.0]), ([[1.0]], [0.0])])
    line = Box([0.5, -1.0], [0.5, 1.0])  # f − g = 0.5 + y − relu(0.5 − y)
    assert maximum(engine, plane, bent, line).upper == pytest.approx(2.0, abs=1e-12)
    point = maximum(engine, plane, bent, Box([0.5, 0.25], [0.5, 0.25]))
    assert point.pieces == 1 and point.witness.tolist() == [0.5, 0.25]
    assert point.upper == pytest.approx(0.5, abs=1e-12)
    diagonal = Polytope([[1, 0], [-1, 0], [0, 1], [0, -1], [1, -1], [-1, 1]], [1, 1, 1, 1, 0, 0])
    assert maximum(engine, plane, bent, diagonal).upper == pytest.approx(2.0, abs=1e-12)
    touched = Polytope([[1, 0], [-1, 0], [0, 1], [0, -1], [1, 1]], [1, 0, 1, 0, 0])  # only the origin
    found = maximum(engine, plane, bent, touched)
    assert found.witness.tolist() == [0.0, 0.0] and found.upper == pytest.approx(0.0, abs=1e-12)


@both
def test_polytopes_whose_bounds_are_found_by_lp(engine):
    """The enclosing box is rounded outward; the half-spaces still say exactly where the set ends."""
    slope = Network([([[1.0, 2.0]], [0.0])])
    triangle = Polytope([[-1, 0], [0, -1], [1, 1]], [0, 0, 1])
    point = Polytope([[1, 1], [-1, -1], [1, -1], [-1, 1]], [1, -1, 0, 0])  # (1/2, 1/2)
    for input_set, value in ((triangle, 2.0), (point, 1.5)):
        found = maximum(engine, slope, Network([([[0.0, 0.0]], [0.0])]), input_set)
        assert found.upper == pytest.approx(value, abs=1e-12) and found.lower == pytest.approx(value, abs=1e-12)
        assert input_set.contains(found.witness)
        assert engine is FLOAT or found.upper == value


@both
def test_empty_set_is_refused(engine):
    empty = Polytope([[1.0], [-1.0], [2.0]], [1.0, 0.0, -1.0], within=Box([0.0], [1.0]))
    with pytest.raises(ValueError, match="empty"):
        maximum(engine, ZERO, ZERO, empty)


@both
def test_pieces_carry_their_vertices_and_map(engine):
    pieces = list(engine.pieces((HAT,), Box([-1.0], [3.0]), Control()))
    ends = sorted((*np.sort(piece.vertices[:, 0]), piece.matrix.item(), piece.offset.item()) for piece in pieces)
    assert ends == [(-1, 0, 0, 0), (0, 1, 1, 0), (1, 2, -1, 2), (2, 3, 0, 0)]
    assert sorted(piece.pattern.tolist() for piece in pieces)[0] == [False, False, False]


@both
def test_interrupt_gives_what_is_proved(engine):
    def impatient(**_):
        raise KeyboardInterrupt

    objectives = discrepancy_objectives(1)
    control = Control(progress=impatient, interval=0.0)
    found = engine.maximise((HAT, ZERO), Box([-1.0], [3.0]), objectives, 1e-9, control)
    assert found.reason == "interrupted" and found.lower <= 1.0 <= found.upper


def test_exact_witness_attains_the_exact_maximum():
    for seed in range(len(KINDS)):
        f, g, input_set, kind = random_pair(seed)
        value, point = EXACT.exact_optimum((f, g), input_set, discrepancy_objectives(f.n_outputs))
        outputs = [exact_outputs(net, point) for net in (f, g)]
        assert max(abs(a - b) for a, b in zip(*outputs, strict=True)) == value, f"seed {seed}, {kind}"


def exact_outputs(network, values) -> list[Fraction]:
    for index, layer in enumerate(network.layers):
        values = [max(v, Fraction(0)) for v in values] if index else values
        rows = zip(layer.weight, layer.bias, strict=True)
        values = [sum((Fraction(w) * v for w, v in zip(row, values, strict=True)), Fraction(b)) for row, b in rows]
    return values


@both
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_overflow_is_never_a_proof(engine):
    """1e200 · 1e200 is no float: the bound is then infinite, never below the truth."""
    big = Network([([[1e200]], [0.0]), ([[1e200]], [0.0])])
    for lower in (-1.0, 0.0, 1.0):
        assert maximum(engine, big, ZERO, Box([lower], [1.0])).upper == np.inf


def test_unknown_arithmetic_is_refused():
    with pytest.raises(ValueError, match="'double'"):
        Vertices("double")
