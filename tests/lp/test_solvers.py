import numpy as np
import pytest

from nnequiv.lp import SOLVERS, CvxpySolver, HighspySolver, LPError, margin, maximise, solve_scaled
from tests.oracles.random_programs import random_program


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
