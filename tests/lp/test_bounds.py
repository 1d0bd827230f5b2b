from fractions import Fraction

import numpy as np
import pytest

from nnequiv.lp import SOLVERS, HighspySolver, LPSolution, margin, maximise, safe_upper, solve_scaled
from nnequiv.lp.bounds import MOST_EXACT
from nnequiv.tolerances import LP_GAP_TOL
from tests.oracles.exact_lp import exact_maximum
from tests.oracles.random_programs import nearly_parallel_program, random_program


@pytest.mark.parametrize("kind", SOLVERS)
@pytest.mark.parametrize("program", [random_program, nearly_parallel_program])
def test_the_maximum_is_the_exact_one_and_never_below(kind, program):
    """Above by no more than what rows relaxed by ``LP_GAP_TOL`` of their terms admit: slivers have no sharp end."""
    solver = SOLVERS[kind]()
    for seed in range(80):
        objective, matrix, bound, lower, upper = program(seed)
        reach = np.maximum(np.abs(lower), np.abs(upper))
        relaxed = bound + LP_GAP_TOL * (np.abs(matrix) @ reach + np.abs(bound))
        exact = exact_maximum(objective, matrix, bound, lower, upper)
        above = exact_maximum(objective, matrix, relaxed, lower, upper)
        value, point = maximise(solver, objective, matrix, bound, lower, upper)
        if value == -np.inf:
            assert exact is None and point is None, f"seed {seed}"
            continue
        size = 2 * LP_GAP_TOL * (np.abs(objective) @ reach) + 1e-300
        assert exact is None or Fraction(value) >= exact, f"seed {seed}"
        assert above is not None and value <= float(above) + size, f"seed {seed}"
        assert abs(objective @ point - value) <= size, f"seed {seed}"
        assert (matrix @ point <= relaxed + 1e-15).all(), f"seed {seed}"


def test_an_answer_in_floats_alone_is_off_where_rows_are_nearly_parallel():
    """The reason for :func:`exact_maximum`: a proved bound, but too wide by 1e-9 or more."""
    gaps = []
    for seed in range(80):
        program = nearly_parallel_program(seed)
        exact = exact_maximum(*program)
        if exact is not None:
            solution = solve_scaled(HighspySolver(), *program)
            gaps.append(safe_upper(*program, solution.multipliers) - float(exact))
    assert min(gaps) >= 0
    assert sum(gap > 1e-9 for gap in gaps) > 5


def test_any_multipliers_give_an_upper_bound():
    for seed in range(120):
        rng = np.random.default_rng(seed)
        program = random_program(seed)
        exact = exact_maximum(*program)
        multipliers = rng.normal(size=len(program[2])) * 10.0 ** rng.integers(-20, 20, size=len(program[2]))
        if len(multipliers):
            multipliers[0] = (np.nan, np.inf, -np.inf, -1.0, 1e308, 0.0)[seed % 6]
        upper = safe_upper(*program, multipliers)
        assert exact is None or upper == np.inf or Fraction(upper) >= exact, f"seed {seed}"
        assert not np.isnan(upper), f"seed {seed}"


class Liar:
    """Says that nothing, or everything, is possible; its multipliers are nonsense."""

    def __init__(self, feasible: bool, multiplier: float):
        self.feasible, self.multiplier = feasible, multiplier

    def solve(self, objective, matrix, bound, lower, upper):
        return LPSolution(self.feasible, np.array(upper), np.full(len(bound), self.multiplier))


@pytest.mark.parametrize("n", [1, MOST_EXACT, MOST_EXACT + 1])
@pytest.mark.parametrize("feasible", [True, False])
@pytest.mark.parametrize("multiplier", [-1.0, 0.0, 1e9, np.nan])
def test_a_lying_solver_cannot_lower_the_bound(n, feasible, multiplier):
    liar, box = Liar(feasible, multiplier), (np.zeros(n), np.ones(n))
    matrix = np.vstack([np.ones(n), -np.ones(n)])
    value, _ = maximise(liar, np.ones(n), matrix, np.array([0.5, 0.0]), *box)
    assert value >= 0.5
    assert n > MOST_EXACT or value < 0.5 + 1e-12
    assert margin(liar, matrix, np.array([0.5, 0.0]), *box)[0] >= 0.25 / np.sqrt(n)
    empty, _ = maximise(liar, np.ones(n), matrix, np.array([0.5, -1.0]), *box)
    assert n > MOST_EXACT or empty == -np.inf


def test_emptiness_with_many_variables_is_proved_by_margin():
    n = MOST_EXACT + 1
    rows, box = np.vstack([np.ones(n), -np.ones(n)]), (np.zeros(n), np.ones(n))
    assert maximise(HighspySolver(), np.ones(n), rows, np.array([0.5, -1.0]), *box) == (-np.inf, None)
    value, _ = maximise(HighspySolver(), np.ones(n), rows, np.array([0.5, -0.5 - 1e-10]), *box)
    assert value >= 0.5 or value == -np.inf  # too thin to tell: kept, unless a proof was found


@pytest.mark.parametrize("scale", [1e-150, 1e-12, 1e-6, 1.0, 1e6, 1e16, 1e100])
@pytest.mark.parametrize("kind", SOLVERS)
def test_the_size_of_the_numbers_does_not_matter(kind, scale):
    solver = SOLVERS[kind]()
    objective, matrix, bound = np.array([1.0, 2.0]), np.array([[1.0, 1.0], [-1.0, 2.0]]), np.array([1.0, 1.0])
    lower, upper = np.array([-1.0, -1.0]), np.array([1.0, 1.0])
    expected = 1 / 3 + 2 * 2 / 3
    by_row = maximise(solver, objective, matrix * scale, bound * scale, lower, upper)[0]
    by_objective = maximise(solver, objective * scale, matrix, bound, lower, upper)[0]
    by_variable = maximise(solver, objective, matrix, bound * scale, lower * scale, upper * scale)[0]
    mixed = maximise(solver, objective, matrix * np.array([[1.0], [scale]]), bound * [1.0, scale], lower, upper)[0]
    np.testing.assert_allclose([by_row, by_objective / scale, by_variable / scale, mixed], expected, rtol=1e-12)


@pytest.mark.parametrize("kind", SOLVERS)
@pytest.mark.parametrize("width", [1e-6, 1e-9, 1e-12, 0.0, -1e-12, -1e-3])
def test_thin_slabs_are_called_empty_only_if_they_are(kind, width):
    solver = SOLVERS[kind]()
    for seed in range(15):
        rng = np.random.default_rng(seed)
        n = int(rng.integers(1, 5))
        row = rng.normal(size=n)
        middle = row @ (rng.random(n) * 0.5)
        matrix, bound = np.vstack([row, -row]), np.array([middle + width / 2, -middle + width / 2])
        depth, point = margin(solver, matrix, bound, -np.ones(n), np.ones(n))
        if width >= 0:
            assert depth >= 0, f"seed {seed}: a set with points has margin {depth}"
        if width == -1e-3:
            assert depth < -1e-9, f"seed {seed}"
        assert point is not None
        assert point.shape == (n,)


def test_margin_is_the_depth_of_the_deepest_point():
    """The strip 0 ≤ x + y ≤ 1 in a wide box: half its width is 1 / (2 √2)."""
    matrix, bound = np.array([[1.0, 1.0], [-1.0, -1.0]]), np.array([1.0, 0.0])
    depth, point = margin(HighspySolver(), matrix, bound, np.full(2, -9.0), np.full(2, 9.0))
    assert abs(depth - 1 / (2 * 2**0.5)) < 1e-9
    assert abs(point.sum() - 0.5) < 1e-6


def test_margin_with_rows_that_bind_nothing():
    box = (np.zeros(2), np.ones(2))
    assert margin(HighspySolver(), np.zeros((1, 2)), np.array([-0.5]), *box)[0] < -0.4
    assert margin(HighspySolver(), np.zeros((1, 2)), np.array([0.0]), *box)[0] >= 0
    assert margin(HighspySolver(), np.zeros((0, 2)), np.zeros(0), *box)[0] >= 1
    assert margin(HighspySolver(), np.zeros((1, 0)), np.array([-0.5]), np.zeros(0), np.zeros(0))[0] < -0.4


def test_no_variables():
    value, point = maximise(HighspySolver(), np.zeros(0), np.zeros((2, 0)), np.ones(2), np.zeros(0), np.zeros(0))
    assert 0 <= value < 1e-300
    assert point.shape == (0,)
