from fractions import Fraction

import numpy as np
import pytest

from nnequiv.lp import (
    SOLVERS,
    CvxpySolver,
    HighspySolver,
    LPError,
    LPSolution,
    margin,
    maximise,
    safe_upper,
    solve_scaled,
)
from tests.oracles.exact_lp import exact_maximum


def random_program(seed: int):
    """A tiny LP ``(objective, matrix, bound, lower, upper)``; coarse numbers, so many are degenerate or empty."""
    rng = np.random.default_rng(seed)
    n, m = int(rng.integers(1, 4)), int(rng.integers(0, 5))
    draw = (lambda *s: rng.integers(-2, 3, size=s) / 2) if seed % 2 else (lambda *s: rng.normal(size=s))
    lower = np.atleast_1d(draw(n))
    upper = lower + np.abs(draw(n)) + (0.0 if seed % 3 else 0.5)
    return draw(n), draw(m, n), draw(m) + 0.5, lower, upper


@pytest.mark.parametrize("kind", SOLVERS)
def test_the_maximum_is_the_exact_one_and_never_below(kind):
    solver = SOLVERS[kind]()
    for seed in range(80):
        program = random_program(seed)
        exact = exact_maximum(*program)
        upper, point = maximise(solver, *program)
        if exact is None:
            assert margin(solver, *program[1:])[0] < 0 or point is not None, f"seed {seed}"
            continue
        assert Fraction(upper) >= exact, f"seed {seed}"
        assert upper <= float(exact) + 1e-9, f"seed {seed}"
        assert abs(program[0] @ point - float(exact)) < 1e-6, f"seed {seed}"


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


def test_a_lying_solver_cannot_lower_the_bound():
    class Liar:
        solved = 0

        def solve(self, objective, matrix, bound, lower, upper):
            return LPSolution(True, np.array(lower), -np.ones(len(bound)) if self.solved else np.full(len(bound), 1e9))

    program = (np.ones(1), np.array([[1.0], [-1.0]]), np.array([0.5, 0.0]), np.zeros(1), np.ones(1))
    assert maximise(Liar(), *program)[0] >= 0.5
    assert margin(Liar(), *program[1:])[0] >= 0.25


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


def test_a_warm_solver_answers_like_a_fresh_one():
    warm = {kind: SOLVERS[kind]() for kind in SOLVERS}
    for seed in range(120):
        rng = np.random.default_rng(seed)
        program = random_program(int(rng.integers(30)))  # few programs, so that neighbours share rows and boxes
        keep = int(rng.integers(len(program[2]) + 1))
        program = (rng.normal(size=len(program[0])), program[1][:keep], program[2][:keep], *program[3:])
        for kind, solver in warm.items():
            upper, point = maximise(solver, *program)
            fresh, fresh_point = maximise(HighspySolver(), *program)
            assert (point is None) == (fresh_point is None), f"{kind}, seed {seed}"
            assert point is None or abs(upper - fresh) < 1e-9, f"{kind}, seed {seed}"


@pytest.mark.slow
def test_a_warm_solver_answers_like_a_fresh_one_along_a_depth_first_search():
    warm = HighspySolver()
    for seed in range(300):
        rng = np.random.default_rng(seed)
        n = int(rng.integers(1, 7))
        lower, upper = -rng.random(n), rng.random(n)
        matrix, bound = np.zeros((0, n)), np.zeros(0)
        for _ in range(20):
            if len(bound) and rng.random() < 0.4:
                keep = int(rng.integers(len(bound)))
                matrix, bound = matrix[:keep], bound[:keep]
            row = rng.normal(size=n)
            matrix, bound = np.vstack([matrix, row]), np.append(bound, row @ (lower + upper) / 2 + rng.normal() * 0.1)
            objective = rng.normal(size=n)
            value, point = maximise(warm, objective, matrix, bound, lower, upper)
            fresh, fresh_point = maximise(HighspySolver(), objective, matrix, bound, lower, upper)
            if point is None or fresh_point is None:
                assert abs(margin(warm, matrix, bound, lower, upper)[0]) < 1e-6 or (point is fresh_point), (
                    f"seed {seed}"
                )
            else:
                assert abs(value - fresh) < 1e-8, f"seed {seed}"


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


@pytest.mark.parametrize("kind", SOLVERS)
def test_unbounded_and_overflowing_programs_are_errors_not_answers(kind):
    solver, infinite = SOLVERS[kind](), np.full(1, np.inf)
    if kind == "highspy":  # only the proof that a polytope is bounded asks without bounds, and it asks highspy
        with pytest.raises(LPError, match="(?i)unbounded"):
            solver.solve(np.ones(1), np.array([[-1.0]]), np.zeros(1), -infinite, infinite)
    with pytest.raises(LPError, match="overflow"):
        solve_scaled(solver, np.array([np.inf]), np.ones((1, 1)), np.ones(1), np.zeros(1), np.ones(1))
    upper, _ = maximise(solver, np.ones(1), np.ones((1, 1)), np.array([0.5]), np.zeros(1), np.ones(1))
    assert abs(upper - 0.5) < 1e-12  # and the solver still works


def test_a_refused_row_is_an_error_and_leaves_no_trace():
    solver = HighspySolver()
    program = (np.ones(1), np.ones((1, 1)), np.array([0.5]), np.zeros(1), np.ones(1))
    solver.solve(*program)
    with pytest.raises(LPError, match="row"):
        solver.solve(np.ones(1), np.array([[1.0], [1e20]]), np.array([0.5, 1.0]), np.zeros(1), np.ones(1))
    assert abs(solver.solve(*program).point[0] - 0.5) < 1e-9


def test_solved_counts_questions():
    for kind in SOLVERS:
        solver = SOLVERS[kind]()
        for _ in range(3):
            maximise(solver, *random_program(0))
        assert solver.solved == 3


def test_nearly_parallel_rows_do_not_make_the_reference_fail():
    """HiGHS failed on this program when cvxpy started it from the basis of another one."""
    rows = [
        [-0.06862080487808118, 0.16307099911770817, 0.8770769877111233, -0.1291666116131279],
        [-0.32286383625403675, -0.7139810590261206, 0.9166356901264622, -0.3077157085672362],
        [-0.06503521860838554, 0.0408175417566037, 0.9634915261819911, 0.5530044157283649],
        [-0.32286383602387936, -0.7139810587481114, 0.9166356902943651, -0.30771570943336785],
        [-0.06503521842680589, 0.04081754168094804, 0.9634915265141091, 0.5530044156685406],
    ]
    bound = np.array([0.19525442484699576, -0.09702389083751886, 0.2028577387786, -0.0970238909483, 0.2028577389])
    lower, upper = np.array([-0.25, -0.5, 0.125, -0.5]), np.array([0.75, 0.5, 0.625, 0.5])
    solver = CvxpySolver()
    for objective in (*np.array(rows), *-np.array(rows)):
        value, _ = maximise(solver, objective, np.array(rows), bound, lower, upper)
        assert abs(value - maximise(HighspySolver(), objective, np.array(rows), bound, lower, upper)[0]) < 1e-7


def test_a_smaller_tolerance_finds_a_smaller_violation():
    """Two rows that contradict each other by 1e-8: feasible to the default tolerance, infeasible to a stricter one."""
    program = np.array([1.0]), np.array([[1.0], [-1.0]]), np.array([0.0, -1e-8]), np.zeros(1), np.ones(1)
    assert HighspySolver().solve(*program).feasible
    assert not HighspySolver(tolerance=1e-10).solve(*program).feasible
