"""The two LP solvers, with one method: cvxpy, the reference, and highspy, which keeps one HiGHS model warm."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Protocol

import cvxpy
import highspy
import numpy as np


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

    Rows are padded with ``0 @ x ≤ 0`` to the next power of two, so that few sizes are ever compiled; a side on which a
    variable is not bounded is ``0 x ≤ 0`` too, because a parameter has to be finite.
    """

    def __init__(self):
        _swallow_banner()
        self.solved = 0
        self._compiled: dict[tuple[int, int], dict] = {}

    def _problem(self, rows: int, n: int) -> dict:
        if (rows, n) not in self._compiled:
            x = cvxpy.Variable(n)
            c, low, high, below, above = (cvxpy.Parameter(n) for _ in range(5))
            matrix, bound = cvxpy.Parameter((rows, n)), cvxpy.Parameter(rows)
            half_spaces = matrix @ x <= bound
            sides = [cvxpy.multiply(below, x) >= low, cvxpy.multiply(above, x) <= high]
            problem = cvxpy.Problem(cvxpy.Maximize(c @ x), [half_spaces, *sides])
            self._compiled[rows, n] = dict(
                problem=problem,
                x=x,
                c=c,
                low=low,
                high=high,
                below=below,
                above=above,
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
        p["c"].value = np.asarray(objective)
        for side, bounds, bounded in (("low", lower, "below"), ("high", upper, "above")):
            finite = np.isfinite(bounds)
            p[side].value, p[bounded].value = np.where(finite, bounds, 0.0), finite.astype(float)
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
    simplex steps. ``tolerance``: how far rows and reduced costs may miss; 1e-7 by default, 1e-10 at least.
    """

    def __init__(self, tolerance: float = 1e-7):
        _swallow_banner()
        self.tolerance = tolerance
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
            for side in ("primal", "dual"):
                self._model.setOptionValue(f"{side}_feasibility_tolerance", self.tolerance)
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
        status = self._run(model)
        if status == highspy.HighsModelStatus.kInfeasible:
            return LPSolution(False, None, np.zeros(len(matrix)))
        if status != highspy.HighsModelStatus.kOptimal:
            raise LPError(model.modelStatusToString(status))
        solution = model.getSolution()
        return LPSolution(True, np.array(solution.col_value), -np.array(solution.row_dual))

    @staticmethod
    def _run(model: highspy.Highs) -> highspy.HighsModelStatus:
        """Warm; if that ends with no answer, without the basis of the question before; then presolved, too."""
        model.run()
        for presolve in ("off", "on"):
            if model.getModelStatus() in (highspy.HighsModelStatus.kOptimal, highspy.HighsModelStatus.kInfeasible):
                break
            model.clearSolver()
            model.setOptionValue("presolve", presolve)
            model.run()
        model.setOptionValue("presolve", "off")
        return model.getModelStatus()


SOLVERS = {"cvxpy": CvxpySolver, "highspy": HighspySolver}
