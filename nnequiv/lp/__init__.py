"""The only place that solves linear programs: ``max objective @ x`` over ``matrix @ x ≤ bound, lower ≤ x ≤ upper``.

Two solvers with one method: :class:`CvxpySolver`, the reference, and :class:`HighspySolver`, which keeps one HiGHS
model warm between questions. Neither is trusted: an upper bound is computed from the multipliers by weak duality
(:func:`safe_upper`), which holds for *any* multipliers, so a wrong answer of the solver can only make it loose. Where
it is loose, and variables are few, the program is solved in whole numbers (:func:`exact_maximum`).
"""

from nnequiv.lp.bounds import margin, maximise, maximise_in_floats, safe_upper, solve_scaled
from nnequiv.lp.exact import ExactSolution, exact_maximum
from nnequiv.lp.solvers import SOLVERS, CvxpySolver, HighspySolver, LPError, LPSolution, LPSolver, silent

__all__ = [
    "SOLVERS",
    "CvxpySolver",
    "ExactSolution",
    "HighspySolver",
    "LPError",
    "LPSolution",
    "LPSolver",
    "exact_maximum",
    "margin",
    "maximise",
    "maximise_in_floats",
    "safe_upper",
    "silent",
    "solve_scaled",
]
