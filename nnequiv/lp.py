"""The only module that solves linear programs: ``max objective @ x`` over ``matrix @ x ≤ bound, lower ≤ x ≤ upper``.

Two solvers with one method: :class:`CvxpySolver`, the reference, and :class:`HighspySolver`, which keeps one HiGHS
model warm between questions. Neither is trusted: an upper bound is computed from the multipliers by weak duality
(:func:`safe_upper`), which holds for *any* multipliers, so a wrong answer of the solver can only make it loose.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Protocol

import cvxpy
import highspy
import numpy as np

from nnequiv.rounding import dot_error, power_of_two


class LPError(RuntimeError):
    """The solver ended with a status that is neither optimal nor infeasible; never read as an answer."""

    def __init__(self, status: str):
        super().__init__(f"the LP solver ended with status {status!r}")
        self.status = status


@dataclass(frozen=True, eq=False)
class LPSolution:
    """What a solver says: a maximiser and multipliers ``(rows,)`` ≥ 0. Evidence to be checked, not a proof.

    ``feasible`` is False if the solver found no point; then ``point`` is None and the multipliers are zero.
    """

    feasible: bool
    point: np.ndarray | None
    multipliers: np.ndarray


class LPSolver(Protocol):
    solved: int

    def solve(self, objective, matrix, bound, lower, upper) -> LPSolution: ...


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
    """Proved upper bound of the LP, and the solver's maximiser (None if the solver found no point)."""
    if len(lower) == 0:  # a single point: nothing to ask
        return safe_upper(objective, matrix, bound, lower, upper, np.zeros(len(bound))), np.zeros(0)
    solution = solve_scaled(solver, objective, matrix, bound, lower, upper)
    return safe_upper(objective, matrix, bound, lower, upper, solution.multipliers), solution.point


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
    value, point = maximise(solver, objective, rows, bound, low, high)
    return value, None if point is None else point[:-1]


@contextmanager
def silent():
    """HiGHS writes some lines to standard output whatever it is told; ``--json -`` must not carry them."""
    with open(os.devnull, "w") as nowhere:
        kept = os.dup(1)
        try:
            os.dup2(nowhere.fileno(), 1)
            yield
        finally:
            os.dup2(kept, 1)
            os.close(kept)


@cache
def _swallow_banner() -> None:
    """HiGHS greets when a process makes its first model."""
    with silent():
        highspy.Highs()


class CvxpySolver:
    """LPs through cvxpy with HiGHS. One parametrised problem, compiled once, serves all rows and objectives.

    Rows are padded with ``0 @ x ≤ 0`` to the next power of two, so that few sizes are ever compiled.
    """

    def __init__(self):
        _swallow_banner()
        self.solved = 0
        self._compiled: dict[tuple[int, int], dict] = {}

    def _problem(self, rows: int, n: int) -> dict:
        if (rows, n) not in self._compiled:
            x = cvxpy.Variable(n)
            c, low, high = cvxpy.Parameter(n), cvxpy.Parameter(n), cvxpy.Parameter(n)
            matrix, bound = cvxpy.Parameter((rows, n)), cvxpy.Parameter(rows)
            half_spaces = matrix @ x <= bound
            problem = cvxpy.Problem(cvxpy.Maximize(c @ x), [half_spaces, x >= low, x <= high])
            self._compiled[rows, n] = dict(
                problem=problem,
                x=x,
                c=c,
                low=low,
                high=high,
                matrix=matrix,
                bound=bound,
                half_spaces=half_spaces,
            )
        return self._compiled[rows, n]

    def solve(self, objective, matrix, bound, lower, upper) -> LPSolution:
        matrix, bound = np.asarray(matrix, dtype=np.float64), np.asarray(bound, dtype=np.float64)
        m, n = matrix.shape
        rows = 1 << max(m - 1, 0).bit_length()
        p = self._problem(rows, n)
        p["c"].value, p["low"].value, p["high"].value = (
            np.asarray(objective),
            np.asarray(lower),
            np.asarray(upper),
        )
        p["matrix"].value = np.vstack([matrix, np.zeros((rows - m, n))])
        p["bound"].value = np.concatenate([bound, np.zeros(rows - m)])
        self.solved += 1
        try:
            # Cold: from the basis of the question before, HiGHS sometimes fails on nearly parallel rows.
            p["problem"].solve(solver=cvxpy.HIGHS, warm_start=False)
        except (cvxpy.SolverError, ValueError) as error:  # ValueError: the solver ended without a solution
            raise LPError(str(error)) from error
        status = p["problem"].status
        if status in (cvxpy.INFEASIBLE, cvxpy.settings.INF_OR_UNB) and np.isfinite([*lower, *upper]).all():
            return LPSolution(False, None, np.zeros(m))  # bounded variables: it can only be infeasible
        if status != cvxpy.OPTIMAL:
            raise LPError(status)
        return LPSolution(True, np.array(p["x"].value), np.array(p["half_spaces"].dual_value)[:m])


class HighspySolver:
    """LPs on one HiGHS model that stays warm: rows shared with the question before are kept, with the basis.

    Depth-first splitting asks about polytopes that differ in their last rows only, so most questions cost a few
    simplex steps.
    """

    def __init__(self):
        _swallow_banner()
        self.solved = 0
        self._model: highspy.Highs | None = None
        self._box = np.zeros((2, 0))
        self._rows = np.zeros((0, 1))  # (rows, n + 1): matrix and bound as loaded

    def _load(self, matrix, bound, lower, upper) -> highspy.Highs:
        n = len(lower)
        rows, box = np.column_stack([matrix, bound]), np.array([lower, upper])
        if self._model is None or not np.array_equal(box, self._box):
            self._model = highspy.Highs()
            self._model.setOptionValue("output_flag", False)
            self._model.setOptionValue("presolve", "off")  # presolve would throw the warm basis away
            self._model.addVars(n, box[0], box[1])
            self._box, self._rows = box, np.zeros((0, n + 1))
        shared = min(len(rows), len(self._rows))
        differ = np.flatnonzero((rows[:shared] != self._rows[:shared]).any(axis=1))
        shared = int(differ[0]) if len(differ) else shared
        if shared < len(self._rows):
            self._model.deleteRows(len(self._rows) - shared, np.arange(shared, len(self._rows), dtype=np.int32))
        for row in rows[shared:]:
            status = self._model.addRow(-highspy.kHighsInf, row[-1], n, np.arange(n, dtype=np.int32), row[:-1])
            if status == highspy.HighsStatus.kError:
                self._model = None  # what it holds is no longer known
                raise LPError("a row was refused")
        self._rows = rows
        return self._model

    def solve(self, objective, matrix, bound, lower, upper) -> LPSolution:
        matrix = np.asarray(matrix, dtype=np.float64)
        model = self._load(matrix, bound, lower, upper)
        n = len(lower)
        # Minimise the negative: HiGHS's row duals are then ≤ 0 at an active upper bound.
        model.changeColsCost(n, np.arange(n, dtype=np.int32), -np.asarray(objective, dtype=np.float64))
        self.solved += 1
        model.run()
        status = model.getModelStatus()
        if status not in (highspy.HighsModelStatus.kOptimal, highspy.HighsModelStatus.kInfeasible):
            model.clearSolver()  # once more without the basis of the question before
            model.run()
            status = model.getModelStatus()
        if status == highspy.HighsModelStatus.kInfeasible:
            return LPSolution(False, None, np.zeros(len(matrix)))
        if status != highspy.HighsModelStatus.kOptimal:
            raise LPError(model.modelStatusToString(status))
        solution = model.getSolution()
        return LPSolution(True, np.array(solution.col_value), -np.array(solution.row_dual))


SOLVERS = {"cvxpy": CvxpySolver, "highspy": HighspySolver}
