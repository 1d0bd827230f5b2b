"""What an LP proves: bounds that need no trust in the solver, in floats where they suffice, else exactly."""

from __future__ import annotations

import numpy as np

from nnequiv.lp.exact import exact_maximum
from nnequiv.lp.solvers import LPError, LPSolution, LPSolver
from nnequiv.rounding import dot_error, power_of_two, rounded_up
from nnequiv.tolerances import LP_GAP_TOL, MARGIN_TOL

#: With more variables than this no program is solved exactly: the digits grow with them (at 16, 0.1 s for 100 rows).
MOST_EXACT = 16
#: What an objective of zeros is bounded by.
SMALLEST = float(np.finfo(np.float64).tiny)


def safe_upper(objective, matrix, bound, lower, upper, multipliers) -> float:
    """Proved upper bound on ``max objective @ x`` over the polytope, for any multipliers.

    Parameters
    ----------
    objective : (n,) array
    matrix, bound : (m, n) and (m,) arrays
    lower, upper : (n,) arrays, finite
    multipliers : (m,) array
        Entries that are negative or not finite are taken as 0.

    Returns
    -------
    float
        Infinite where the arithmetic overflows; never NaN.

    Notes
    -----
    Weak duality: with λ ≥ 0, ``c x ≤ λ b + (c − λ A) x ≤ λ b + Σ_j max(r_j l_j, r_j u_j)`` for the residual
    ``r = c − λ A``. The rounding of both sums is added. Sound: yes, whatever the multipliers.
    Source: Neumaier and Shcherbina 2004, "Safe bounds in linear and mixed-integer linear programming".

    Examples
    --------
    ``max x`` over ``2 x ≤ 3`` in ``[0, 10]``, with the right multiplier and with a useless one:

    >>> one = np.ones(1)
    >>> 1.5 <= safe_upper(one, [[2.0]], [3.0], [0.0], [10.0], [0.5]) < 1.5 + 1e-12
    True
    >>> 10.0 <= safe_upper(one, [[2.0]], [3.0], [0.0], [10.0], [0.0]) < 10 + 1e-12
    True
    """
    weights = np.asarray(multipliers, dtype=np.float64)
    weights = np.where(np.isfinite(weights), np.maximum(weights, 0.0), 0.0)
    matrix, bound = np.asarray(matrix, dtype=np.float64), np.asarray(bound, dtype=np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        residual = objective - weights @ matrix
        reach = np.maximum(np.abs(lower), np.abs(upper))
        residual_error = dot_error(len(weights), np.abs(objective) + weights @ np.abs(matrix))
        value = weights @ bound + np.maximum(residual * lower, residual * upper).sum()
        magnitude = weights @ np.abs(bound) + np.abs(residual) @ reach
        rounding = (1 + 1e-12) * (residual_error @ reach) + dot_error(len(weights) + 2 * len(reach), magnitude)
        total = float(value + rounding)
    return np.inf if np.isnan(total) else total


def maximise(solver: LPSolver, objective, matrix, bound, lower, upper) -> tuple[float, np.ndarray | None]:
    """Proved upper bound of the LP, and its maximiser; ``(−inf, None)`` if the program is proved empty.

    The solver's multipliers prove a bound. Where its point does not come as near to that bound, or misses a row by
    more, than ``LP_GAP_TOL`` allows, and where it finds no point, the program is solved exactly, from the rows that it
    says bind. Beyond ``MOST_EXACT`` variables the bound stays as it is, and the point is None if there is none.

    Sound: yes, whatever the solver says. Complete: with at most ``MOST_EXACT`` variables, to a share ``LP_GAP_TOL`` of
    the terms of the objective and of every row.

    Examples
    --------
    >>> from nnequiv.lp import HighspySolver
    >>> value, point = maximise(HighspySolver(), np.ones(1), [[3.0]], [1.0], [0.0], [1.0])
    >>> round(value, 9), point.round(9)
    (0.333333333, array([0.33333333]))
    """
    program = [np.asarray(a, dtype=np.float64) for a in (objective, matrix, bound, lower, upper)]
    if len(lower) == 0:  # a single point: nothing to ask
        return safe_upper(*program, np.zeros(len(bound))), np.zeros(0)
    solution = solve_scaled(solver, *program)
    value = safe_upper(*program, solution.multipliers)
    if solution.feasible and _settled(value, solution.point, *program):
        return value, solution.point
    if len(lower) <= MOST_EXACT and all(np.isfinite(a).all() for a in program):
        exact = exact_maximum(*program, likely=_binding_first(solution, *program[1:3]))
        if exact is None:
            return -np.inf, None
        return min(value, rounded_up(exact.value)), np.array([float(v) for v in exact.point])
    return _unless_empty(solver, solution, value, program)


def maximise_in_floats(solver: LPSolver, objective, matrix, bound, lower, upper) -> tuple[float, np.ndarray | None]:
    """What :func:`maximise` says beyond ``MOST_EXACT`` variables: for bounds that need not be tight."""
    program = [np.asarray(a, dtype=np.float64) for a in (objective, matrix, bound, lower, upper)]
    solution = solve_scaled(solver, *program)
    return _unless_empty(solver, solution, safe_upper(*program, solution.multipliers), program)


def _unless_empty(solver: LPSolver, solution: LPSolution, value: float, program) -> tuple[float, np.ndarray | None]:
    """The answer in floats; emptiness counts if a margin proves it."""
    if not solution.feasible and margin(solver, *program[1:])[0] < -MARGIN_TOL:
        return -np.inf, None
    return value, solution.point


def _settled(value: float, point: np.ndarray, objective, matrix, bound, lower, upper) -> bool:
    """Whether a solver's point attains the proved value and satisfies the rows, each to a share of its terms."""
    point = np.minimum(np.maximum(point, lower), upper)
    reach = np.maximum(np.abs(lower), np.abs(upper))
    if value - objective @ point > LP_GAP_TOL * (np.abs(objective) @ reach) + SMALLEST:
        return False
    return bool((matrix @ point - bound <= LP_GAP_TOL * (np.abs(matrix) @ reach + np.abs(bound))).all())


def _binding_first(solution: LPSolution, matrix, bound) -> np.ndarray:
    """Row numbers: those with the largest multipliers, then those with the least slack."""
    slack = bound - matrix @ solution.point if solution.feasible else bound
    return np.lexsort((slack, -solution.multipliers))


def solve_scaled(solver: LPSolver, objective, matrix, bound, lower, upper) -> LPSolution:
    """``solver.solve`` on the same program with every variable, row and the objective brought to size 1.

    HiGHS's tolerances are absolute: it drops coefficients below 1e-9, refuses those above 1e15, and takes
    reduced costs below 1e-7 for zero. Factors are powers of two, so nothing rounds.

    Raises
    ------
    LPError
        If numbers overflow, or from the solver.
    """
    objective, matrix, bound = (np.asarray(a, dtype=np.float64) for a in (objective, matrix, bound))
    reach = np.maximum(np.abs(lower), np.abs(upper))
    columns = power_of_two(reach)
    with np.errstate(over="ignore", invalid="ignore"):
        objective, matrix = objective * columns, matrix * columns
        rows = power_of_two(np.abs(matrix).max(axis=1, initial=0.0))
        scale = power_of_two(np.abs(objective).max(initial=0.0))
        matrix, bound, objective = matrix / rows[:, None], bound / rows, objective / scale
    if not (np.isfinite(objective).all() and np.isfinite(matrix).all() and not np.isnan(bound).any()):
        raise LPError("numbers overflow")
    solution = solver.solve(objective, matrix, bound, lower / columns, upper / columns)
    if not solution.feasible:
        return solution
    with np.errstate(over="ignore"):
        return LPSolution(True, solution.point * columns, solution.multipliers / rows * scale)


def margin(solver: LPSolver, matrix, bound, lower, upper) -> tuple[float, np.ndarray | None]:
    """How deep inside the half-spaces a point of the box can be: proved upper bound, and the deepest point.

    Solves ``max t : A x + t ‖a_i‖ ≤ b, lower ≤ x ≤ upper, t ≤ 1``. It always has a solution, so emptiness is read
    off a number instead of a solver's status (which depends on the solver near the boundary): the polytope is
    empty iff the margin is negative. Sound: a negative bound proves emptiness.
    """
    norms = np.linalg.norm(matrix, axis=1)
    norms[norms == 0] = 1.0  # a row 0 ≤ b: t becomes its slack
    most = np.maximum(matrix * lower, matrix * upper).sum(axis=1)  # of each row over the box
    depth = float(np.max(np.maximum((most - bound) / norms, 0.0), initial=0.0)) + 1.0
    objective = np.append(np.zeros(len(lower)), 1.0)
    rows = np.column_stack([matrix, norms])
    low, high = np.append(lower, -depth), np.append(upper, 1.0)
    solution = solve_scaled(solver, objective, rows, bound, low, high)
    value = safe_upper(objective, rows, bound, low, high, solution.multipliers)
    return value, solution.point[:-1] if solution.feasible else None
