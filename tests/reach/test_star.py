from fractions import Fraction

import numpy as np
import pytest

from nnequiv import Box, Network, Polytope, enumerate_pieces, max_discrepancy
from nnequiv.control import Control, Stopped
from nnequiv.lp import HighspySolver, LPError, margin
from nnequiv.merge import pad_depth
from nnequiv.reach.star import Star
from nnequiv.relations import discrepancy_objectives
from nnequiv.rounding import evaluate_exact
from nnequiv.tolerances import INTERIOR_TOL
from tests.oracles.brute_force import brute_force
from tests.oracles.random_networks import random_network
from tests.oracles.random_pairs import random_pair

FAST = Star(lp="highspy")
RELU = Network([([[1.0]], [0.0]), ([[1.0]], [0.0])])


def with_interior(pieces) -> list:
    """Pieces that hold a ball, measured in the free inputs."""
    found = []
    for piece in pieces:
        box, free = piece.polytope.box, piece.polytope.free
        sides = np.vstack([np.eye(len(free)), -np.eye(len(free))])
        rows = np.vstack([piece.polytope.matrix[:, free], sides])
        bound = np.concatenate([piece.polytope.bound, box.upper[free], -box.lower[free]])
        kept = np.abs(rows).max(axis=1, initial=0.0) > 1e-12
        depth, _ = margin(HighspySolver(), rows[kept], bound[kept], box.lower[free], box.upper[free])
        if depth > INTERIOR_TOL:
            found.append(piece)
    return found


def count(network, input_set, engine=FAST) -> int:
    return len(with_interior(enumerate_pieces(network, input_set, engine)))


def exact_outputs(networks, point) -> list[Fraction]:
    return [value for network in networks for value in evaluate_exact(network, point)]


def check_cover(networks, input_set, points, where, engine=FAST):
    """Every point lies in a piece up to rounding, and there the piece's map is the network within its stated error."""
    pieces = list(enumerate_pieces(networks, input_set, engine))
    for point in points:
        slacks = [np.max(p.polytope.matrix @ point - p.polytope.bound, initial=-1.0) for p in pieces]
        inside = [p for p, slack in zip(pieces, slacks, strict=True) if slack <= 0 and p.polytope.contains(point)]
        assert inside or min(slacks) < 1e-12, f"{where}: {point.tolist()} is in no piece"
        exact = exact_outputs(networks, point)
        for piece in inside:
            for row, offset, error, value in zip(piece.matrix, piece.offset, piece.error, exact, strict=True):
                mapped = sum(Fraction(float(a)) * Fraction(float(x)) for a, x in zip(row, point, strict=True))
                distance = abs(mapped + Fraction(float(offset)) - value)
                assert distance <= Fraction(float(error)), f"{where}: off by {float(distance)} at {point.tolist()}"
    return pieces


@pytest.mark.parametrize("seed", range(22))
def test_pieces_cover_the_set_and_their_maps_are_the_networks(seed):
    f, g, input_set, kind = random_pair(seed)
    rng = np.random.default_rng(seed)
    points = [point for point in input_set.box.sample(rng, 25) if input_set.contains(point)]
    check_cover((f, g), input_set, points, f"seed {seed} ({kind})")


@pytest.mark.slow
@pytest.mark.parametrize("engine", [Star(), FAST, Star(lp="highspy", intervals=False)], ids=str)
def test_pieces_cover_the_set_on_many_pairs(engine):
    for seed in range(22, 110):
        f, g, input_set, kind = random_pair(seed)
        rng = np.random.default_rng(seed)
        points = [point for point in input_set.box.sample(rng, 40) if input_set.contains(point)]
        check_cover((f, g), input_set, points, f"seed {seed} ({kind})", engine)


HINGES = Network([([[1.0], [1.0], [1.0]], [0.5, 0.0, -0.5]), ([[1.0, -2.0, 1.0]], [0.0])])
CROSS = Network([([[1.0, 0.0], [0.0, 1.0]], [0.0, 0.0]), ([[1.0, 1.0]], [0.0])])
LINES = Network([([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], [0.0, 0.0, 0.0]), ([[1.0, 1.0, 1.0]], [0.0])])
SQUARE, SEGMENT = Box([-1.0, -1.0], [1.0, 1.0]), Box([-1.0], [1.0])


@pytest.mark.parametrize(
    ("network", "input_set", "pieces"),
    [
        (RELU, SEGMENT, 2),
        (RELU, Box([0.0], [1.0]), 1),
        (RELU, Box([-1.0], [0.0]), 1),
        (HINGES, SEGMENT, 4),
        (HINGES, Box([-0.5], [0.5]), 2),
        (CROSS, SQUARE, 4),
        (LINES, SQUARE, 6),  # three lines through one point
        (LINES, Box([0.0, 0.0], [1.0, 1.0]), 1),
        (LINES, Box([-1.0, -0.25], [1.0, -0.25]), 3),
        (CROSS, Polytope([[1.0, 1.0], [-1.0, 0.0], [0.0, -1.0]], [-0.5, 1.0, 1.0]), 3),
    ],
)
def test_pieces_of_hand_made_networks(network, input_set, pieces):
    for engine in (FAST, Star(), Star(lp="highspy", intervals=False)):
        assert count(network, input_set, engine) == pieces


def test_a_second_layer_folds_again():
    """relu(|x| − 1/2): the kinks are at −1/2, 0 and 1/2, and 0 is one although the output does not show it."""
    net = Network([([[1.0], [-1.0]], [0.0, 0.0]), ([[1.0, 1.0]], [-0.5]), ([[1.0]], [0.0])])
    assert count(net, SEGMENT) == 4
    found = sorted((piece.matrix.item(), piece.offset.item()) for piece in enumerate_pieces(net, SEGMENT, FAST))
    assert found == [(-1.0, -0.5), (0.0, 0.0), (0.0, 0.0), (1.0, -0.5)]


def test_degenerate_neurons_add_no_pieces():
    rows = [[1.0], [1.0], [-1.0], [2.0], [0.0], [0.0], [0.0]]  # duplicates, a negation, a multiple, zero rows
    biases = [0.25, 0.25, -0.25, 0.5, 0.0, 1.0, -1.0]
    net = Network([(rows, biases), ([[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]], [0.0])])
    for engine in (FAST, Star(), Star(lp="highspy", intervals=False)):
        pieces = list(enumerate_pieces(net, SEGMENT, engine))
        assert len(pieces) == 2
        assert {piece.pattern[5].item() for piece in pieces} == {True}


def test_identity_lanes_are_never_split():
    net = random_network(np.random.default_rng(3), (2, 4, 1))
    lanes = pad_depth(net, 6)
    assert count(lanes, SQUARE) == count(net, SQUARE)
    assert len(list(enumerate_pieces(lanes, SQUARE, FAST))) == len(list(enumerate_pieces(net, SQUARE, FAST)))


def test_an_affine_network_is_one_piece_and_a_point_too():
    affine = random_network(np.random.default_rng(0), (3, 2))
    (piece,) = enumerate_pieces(affine, Box(-np.ones(3), np.ones(3)), FAST)
    np.testing.assert_array_equal(piece.matrix, affine.layers[0].weight)
    assert piece.pattern.shape == (0,)
    deep = random_network(np.random.default_rng(1), (3, 4, 4, 2))
    (piece,) = enumerate_pieces(deep, Box([0.1, 0.2, 0.3], [0.1, 0.2, 0.3]), FAST)
    np.testing.assert_allclose(piece.offset, deep([0.1, 0.2, 0.3]), atol=1e-12)
    assert not piece.matrix.any()


@pytest.mark.parametrize("widths", [(1, 1, 1, 1, 1, 1, 1, 1), (2, 2, 2, 2, 2, 2, 2, 2), (3, 1), (1, 6, 1)])
def test_depths_and_widths(widths):
    for seed in range(6):
        rng = np.random.default_rng(seed)
        f, g = random_network(rng, widths), random_network(rng, (widths[0], 2, widths[-1]))
        box = Box(-np.ones(widths[0]), np.ones(widths[0]))
        check_cover((f, g), box, box.sample(rng, 15), f"widths {widths}, seed {seed}")
        r = max_discrepancy(f, g, box, FAST)
        points = box.sample(rng, 2000)
        assert r.exact, f"seed {seed}"
        assert np.abs(f(points) - g(points)).max() <= r.upper, f"seed {seed}"


@pytest.mark.parametrize("scale", [1e-150, 1e-12, 1e-9, 1e-6, 1e6, 1e12, 1e16, 1e150])
def test_the_scale_of_hidden_values_does_not_matter(scale):
    """f = |x| up to a kink, made of weights ``scale`` and ``1 / scale``; g = x."""
    rows, biases = [[scale], [-scale]], [0.5 * scale, 0.25 * scale]
    f = Network([(rows, biases), ([[1 / scale, 1 / scale]], [0.0])])
    g = Network([([[1.0]], [0.0])])
    for engine in (FAST, Star(), Star(lp="highspy", intervals=False)):
        r = max_discrepancy(f, g, SEGMENT, engine)
        assert r.exact
        assert abs(r.lower - 2.25) < 1e-9


@pytest.mark.parametrize("reach", [1e-6, 1.0, 1e6, 1e21])
def test_the_size_of_the_box_does_not_matter(reach):
    f = Network([([[1.0], [-1.0]], [0.5 * reach, 0.25 * reach]), ([[1.0, 1.0]], [0.0])])
    g = Network([([[1.0]], [0.0])])
    r = max_discrepancy(f, g, Box([-reach], [reach]), FAST)
    assert r.upper - r.lower < 1e-9 * reach
    assert abs(r.lower - 2.25 * reach) < 1e-9 * reach


def test_underflow_inside_never_hides_an_output():
    """Hidden weights underflow (1e-200 twice), the output is 1e-300 x: 1 at the end of the box."""
    tiny = Network([([[1e-200]], [0.0]), ([[1e-200]], [0.0]), ([[1e100]], [0.0])])
    zero = Network([([[0.0]], [0.0])])
    r = max_discrepancy(tiny, zero, Box([0.0], [1e300]), FAST)
    assert r.upper >= 1.0


def test_overflow_inside_is_reported_and_bounds_nothing():
    big = Network([([[1e200], [-1e200]], [0.0, 0.0]), ([[1e200, -1e200]], [0.0])])
    zero = Network([([[0.0]], [0.0])])
    with np.errstate(over="ignore", invalid="ignore"):
        r = FAST.maximise((big, zero), SEGMENT, discrepancy_objectives(1), 1e-6, Control())
    assert r.upper == np.inf
    assert "overflow" in r.reason


def test_a_failing_solver_is_reported_and_proves_nothing(monkeypatch):
    def fail(*_):
        raise LPError("kSolveError")

    monkeypatch.setattr(HighspySolver, "solve", fail)
    r = max_discrepancy(HINGES, RELU, SEGMENT, FAST)
    assert r.upper >= 1.0
    assert "kSolveError" in r.reason
    with pytest.raises(LPError, match="kSolveError"):
        list(enumerate_pieces(HINGES, SEGMENT, FAST))


def test_listing_stops_with_an_exception_never_silently():
    with pytest.raises(Stopped, match="time limit"):
        list(enumerate_pieces(CROSS, SQUARE, FAST, time_limit=0.0))


def test_a_threshold_stops_the_search_early_or_proves_the_rest():
    objectives = discrepancy_objectives(1)
    f, g = random_network(np.random.default_rng(4), (2, 5, 1)), random_network(np.random.default_rng(5), (2, 5, 1))
    full = FAST.maximise((f, g), SQUARE, objectives, 1e-6, Control())
    below = FAST.maximise((f, g), SQUARE, objectives, 1e-6, Control(), threshold=full.lower - 0.5)
    above = FAST.maximise((f, g), SQUARE, objectives, 1e-6, Control(), threshold=full.upper + 0.5)
    assert below.lower > full.lower - 0.5
    assert below.pieces <= full.pieces
    assert below.upper >= full.lower
    assert full.lower <= above.upper <= full.upper + 0.5
    assert above.lps < full.lps


def test_engines_refuse_unknown_solvers():
    with pytest.raises(ValueError, match="lp is 'glpk': it must be one of cvxpy, highspy"):
        Star(lp="glpk")


def agrees(engine, seed):
    f, g, input_set, kind = random_pair(seed)
    expected, pieces = brute_force(f, g, input_set)
    where = f"seed {seed} ({kind})"
    r = max_discrepancy(f, g, input_set, engine)
    assert not r.reason, where
    assert r.upper >= expected - 1e-9, where
    assert r.upper - r.lower <= 1e-6 * max(1.0, r.upper), where
    assert r.upper <= expected + 1e-6 * max(1.0, expected) or not np.isfinite(expected), where
    return f, g, input_set, pieces, where


@pytest.mark.parametrize("seed", range(200, 211))
def test_the_maximum_is_that_of_brute_force(seed):
    agrees(FAST, seed)


@pytest.mark.slow
@pytest.mark.parametrize("engine", [Star(), FAST, Star(lp="highspy", intervals=False)], ids=str)
def test_maximum_and_count_are_those_of_brute_force(engine):
    for seed in range(211, 277):
        f, g, input_set, pieces, where = agrees(engine, seed)
        if pieces is not None and "noise" not in where:
            assert count((f, g), input_set, engine) == pieces, where
