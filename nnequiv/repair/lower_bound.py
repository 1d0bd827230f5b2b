"""Why no last layer does better: a proved lower bound on the value of every last layer over g's hidden ones.

Let ``V_c(u)`` be the value of a cut c (a point of an input set and a row of the target) for the last layer u, affine in
u with slope ``a_c``. For multipliers ``λ ≥ 0`` and the layer ``u*`` that was found,

    max_c V_c(u) · Σ λ_c  ≥  Σ λ_c V_c(u)  =  Σ λ_c V_c(u*) + r · (u − u*),   r = Σ λ_c a_c.

If ``r`` is exactly 0 this holds for every u and the quotient bounds them all (weak duality; with an infeasible target,
Farkas). The solver's multipliers leave r at rounding, which is not 0. Three ways to deal with it, in this order:

1. *Corrected*, where each point has a row of either sign (a distance, a box): signed multipliers may take any value,
   so if as many points as there are entries have independent features, there is an exact correction, and a verified
   inverse bounds it. Its size is paid for. (Of features that are 0 at all points, or doubles of others, r is exactly 0
   once that of the others is.)
2. *Exact*: features and values in rationals, the null space by elimination. Slow, for small supports; takes dependent
   features (dead, doubled, never split neurons) as they come.
3. *Limited*: r is paid for times how far an entry may be from u*; the bound then speaks of last layers within a limit,
   which is said.

Sound: yes, rounding included: points lie in their input sets exactly, networks are evaluated with proved errors.
Source: weak duality; Neumaier and Shcherbina 2004; the verified inverse as in Rump 2010, "Verification methods", 10.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import scipy.linalg

from nnequiv.network import Network
from nnequiv.reach.engine import stacked_outputs
from nnequiv.repair.exact_multipliers import null_vector
from nnequiv.repair.minimax import Minimax, Minimum
from nnequiv.rounding import dot_error, evaluate_exact, rounded_down

#: Entries of a last layer, weights and biases, that a limited bound speaks of: at most this many times the largest of
#: the layer found, and of 1.
LIMIT = 1e4
#: Supports up to this size are made exact in rationals.
MOST_EXACT = 24
#: Multipliers below this share of the largest are the solver's rounding.
TINY = 1e-11
#: Covers the rounding of sums of bounds.
UP = 1 + 1e-9


@dataclass(frozen=True, eq=False)
class Bound:
    """No last layer has a value below ``value``.

    Attributes
    ----------
    value : float
    limit : float
        What is proved only speaks of last layers whose free entries are at most this; infinite if of all.
    how : str
        "corrected", "exact" or "limited"; "nothing is proved" if value is −∞.
    points : (s, n) array
        The points it rests on.
    rows : (s,) int array
        The block's rows there.
    multipliers : (s,) array
        Before correction.
    """

    value: float
    limit: float
    how: str
    points: np.ndarray
    rows: np.ndarray
    multipliers: np.ndarray


def proved_bound(problem: Minimax, found: Minimum, networks: tuple[Network, ...]) -> Bound:
    """The largest lower bound that can be proved from a minimum's multipliers.

    Parameters
    ----------
    problem, found : Minimax, Minimum
        Of one block.
    networks : tuple of Network
        Those of the target, and last g with the layer that was found.
    """
    weights = found.multipliers
    kept = np.flatnonzero(weights > TINY * weights.max(initial=0.0))
    points, held = problem.points.inside(found.cuts[0][kept])
    support = _Support(problem, networks, points[held], found.cuts[1][kept][held], weights[kept][held])
    limit = LIMIT * max(float(np.abs(support.entries).max(initial=0.0)), 1.0)
    ways = [("limited", limit, support.limited(limit))]
    if not support.open.any():
        ways = [("limited", np.inf, ways[0][2])]  # the entries are limited by themselves
    else:
        value = support.corrected(found.cuts[0])
        ways.append(("corrected", np.inf, value))
        # Where what is unconditional is as good as what is not, it is said.
        if value < ways[0][2] - 1e-7 * abs(ways[0][2]) and len(support.points) <= MOST_EXACT:
            ways.append(("exact", np.inf, support.exact()))
    best = max(value for _, _, value in ways)
    if best == -np.inf:  # as where the least value is what was asked for at most
        return Bound(best, np.inf, "nothing is proved", support.points, support.rows, support.weights)
    enough = [way for way in ways if way[2] >= best - 1e-7 * abs(best)]
    how, limit, value = max(enough, key=lambda way: (way[1], way[2]))
    return Bound(value, limit, how, support.points, support.rows, support.weights)


class _Support:
    """Cuts with positive multipliers, at points that lie in their input sets."""

    def __init__(self, problem: Minimax, networks, points: np.ndarray, rows: np.ndarray, weights: np.ndarray):
        self.problem, self.networks, self.points, self.rows, self.weights = problem, networks, points, rows, weights
        block = problem.block
        last = networks[-1].layers[-1]
        whole = np.column_stack([last.weight, last.bias])[block.outputs]
        self.entries = whole[block.free]
        # How far each entry may fall below u* and rise above it.
        self.down, self.up = (whole - block.low)[block.free] * UP, (block.high - whole)[block.free] * UP
        self.open = np.isinf(self.down) | np.isinf(self.up)

    def values(self, points: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """``V_c(u*)`` of points ``(s, n)`` with rows ``(s,)``, and its proved error: two (s,) arrays."""
        block = self.problem.block
        outputs, errors = stacked_outputs(self.networks, points)
        n_f = block.alpha.shape[1]
        goal = np.zeros((len(rows), outputs.shape[1]))
        goal[:, :n_f] = block.alpha[rows]
        goal[:, n_f + block.outputs] = block.beta[rows]
        size = (np.abs(goal) * (np.abs(outputs) + errors)).sum(axis=1) + np.abs(block.offset[rows])
        error = (np.abs(goal) * errors).sum(axis=1) * UP + dot_error(goal.shape[1] + 1, size)
        return (goal * outputs).sum(axis=1) + block.offset[rows], error

    def _slopes(self, points: np.ndarray, beta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """``a_c`` on the free entries and its error, (s, free): features times ``beta`` (s, b)."""
        features, errors = self.problem.points.exact(points)
        full, error = beta[:, :, None] * features[:, None, :], np.abs(beta)[:, :, None] * errors[:, None, :]
        rounding = np.where((features != 0)[:, None, :], dot_error(1, np.abs(full)), 0.0)
        free = self.problem.block.free
        return full[:, free], (error * UP + rounding)[:, free]

    def limited(self, limit: float) -> float:
        """The bound for layers whose entries are at most ``limit`` where nothing else limits them."""
        if not len(self.points):
            return -np.inf
        value, error = self.values(self.points, self.rows)
        slope, slope_error = self._slopes(self.points, self.problem.block.beta[self.rows])
        residual = _residual(self.weights, slope, slope_error)
        reach = (limit + np.abs(self.entries)) * UP
        paid = _paid(*residual, np.minimum(self.down, reach), np.minimum(self.up, reach))
        lowest = _sum_below(self.weights, value - error) - float(paid.sum()) * UP
        return _quotient(lowest, float(self.weights.sum()), len(self.weights))

    def corrected(self, candidates: np.ndarray) -> float:
        """The bound for all layers, by signed multipliers with an exact correction; −inf if there is none.

        ``candidates``: numbers of points that the correction may use.
        """
        block = self.problem.block
        if block.beta.shape[1] != 1 or sorted(block.beta[:, 0]) != [-1.0, 1.0] or not len(self.points):
            return -np.inf
        opposite = {sign: int(np.flatnonzero(block.beta[:, 0] == sign)[0]) for sign in (-1.0, 1.0)}
        signed = self.weights * block.beta[self.rows, 0]
        candidates, kept = np.unique(candidates), block.free[0]
        dead = ~self.problem.points.features[candidates].any(axis=0)[kept] & self.open
        unbounded = kept.copy()
        unbounded[kept] = self.open & ~dead
        open_ = self.open & ~dead & ~self.problem.points.doubled(unbounded)[kept]
        basis = self._independent(candidates, open_)
        if basis is None:
            return -np.inf
        points, signed = np.vstack([self.points, basis]), np.concatenate([signed, np.zeros(len(basis))])
        slope, error = self._slopes(points, np.ones((len(points), 1)))
        if (np.abs(slope) + error)[:, dead].any():
            return -np.inf
        square, square_error = slope[-len(basis) :, open_].T, error[-len(basis) :, open_].T  # columns are points
        scale = np.abs(square).max(axis=1)  # entries have sizes of their own
        if not scale.all():  # a feature that the basis has lost, moved by rounding into its sets
            return -np.inf
        inverse = np.linalg.pinv(square / scale[:, None])
        signed[-len(basis) :] -= inverse @ ((signed @ slope[:, open_]) / scale)
        center, spread = _residual(signed, slope, error)
        change = _verified(inverse, square, square_error, (np.abs(center) + spread)[open_] * UP, scale)
        # The correction changes the other entries' residuals, too.
        spread = spread + change * (np.abs(slope) + error)[-len(basis) :].max(axis=0) * UP
        value, value_error = self._either_sign(points, opposite)
        highest = float((np.abs(value) + value_error).max())
        mine = np.where(signed >= 0, value[0] - value_error[0], value[1] - value_error[1])
        shut = ~self.open
        paid = change * highest + float(_paid(center, spread, self.down, self.up)[shut].sum())
        total = float(np.abs(signed).sum())
        return _quotient(_sum_below(np.abs(signed), mine) - paid * UP, total, len(signed), change)

    def _either_sign(self, points: np.ndarray, opposite: dict) -> tuple[np.ndarray, np.ndarray]:
        """Values and errors of the row with ``beta`` 1 and of that with −1 at points: (2, s) each."""
        both = [self.values(points, np.full(len(points), opposite[sign])) for sign in (1.0, -1.0)]
        return np.array([value for value, _ in both]), np.array([error for _, error in both])

    def _independent(self, candidates: np.ndarray, open_: np.ndarray) -> np.ndarray | None:
        """As many points ``(k, n)`` as there are open entries, with independent features; None if there are none."""
        points, size = self.problem.points, int(open_.sum())
        features = points.features[candidates][:, self.problem.block.free[0]][:, open_]
        features = features / np.maximum(np.abs(features).max(axis=0), 1e-300)
        if len(candidates) < size:
            return None
        triangle, order = scipy.linalg.qr(features.T, mode="r", pivoting=True)
        if abs(triangle[size - 1, size - 1]) < 1e-9 * abs(triangle[0, 0]):
            return None
        chosen, held = points.inside(candidates[order[:size]])
        return chosen if held.all() else None

    def exact(self) -> float:
        """The bound for all layers, from multipliers made exact in rationals; −inf if there are none."""
        block = self.problem.block
        free, open_ = np.nonzero(block.free), self.open
        slopes, values = [], []
        for point, row in zip(self.points, self.rows, strict=True):
            features = [*evaluate_exact(self.problem.points.networks[-1], point), Fraction(1)]
            beta = [Fraction(float(b)) for b in block.beta[row]]
            slopes.append([beta[i] * features[k] for i, k in zip(*free, strict=True)])
            values.append(self._exact_value(point, row))
        weights = null_vector([[a for a, o in zip(slope, open_, strict=True) if o] for slope in slopes], self.weights)
        if weights is None:
            return -np.inf
        lowest = sum(w * v for w, v in zip(weights, values, strict=True))
        for k in np.flatnonzero(~open_):
            residual = sum(w * a[k] for w, a in zip(weights, slopes, strict=True))
            lowest -= max(residual * Fraction(float(self.down[k])), -residual * Fraction(float(self.up[k])))
        return rounded_down(lowest / sum(weights))

    def _exact_value(self, point: np.ndarray, row: int) -> Fraction:
        block = self.problem.block
        *partners, g = (evaluate_exact(network, point) for network in self.networks)
        theirs = [value for outputs in partners for value in outputs]
        ours = [g[i] for i in block.outputs]
        terms = [*zip(block.alpha[row], theirs, strict=True), *zip(block.beta[row], ours, strict=True)]
        return Fraction(float(block.offset[row])) + sum(Fraction(float(w)) * value for w, value in terms)


def _residual(weights: np.ndarray, slope: np.ndarray, error: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``Σ weights_c a_c`` and its proved error, two (entries,) arrays."""
    size = np.abs(weights)
    return weights @ slope, (size @ error + dot_error(len(size), size @ (np.abs(slope) + error))) * UP


def _paid(center: np.ndarray, spread: np.ndarray, down: np.ndarray, up: np.ndarray) -> np.ndarray:
    """The least that ``r (u − u*)`` can be is minus this, for r within ``spread`` of ``center``, entry by entry."""
    with np.errstate(invalid="ignore"):  # entries without limit are dealt with elsewhere
        return np.maximum(np.maximum((center + spread) * down, -(center - spread) * up), 0.0) * UP


def _verified(inverse, square, square_error, residual, scale) -> float:
    """Proved bound on ``‖δ‖₁`` for the exact δ with ``square δ = −residual``; infinite if none is proved to exist.

    With ``R ≈ (D⁻¹ square)⁻¹`` and ``‖I − R D⁻¹ square‖∞ = q < 1``, square is regular and
    ``‖δ‖∞ ≤ ‖R D⁻¹ r‖∞ / (1 − q)``.
    """
    n = len(residual)
    if not n:
        return 0.0
    square, square_error, residual = square / scale[:, None], square_error / scale[:, None], residual / scale
    size = np.abs(inverse)
    rounding = size @ (square_error + 4 * dot_error(n + 2, np.abs(square)))
    off = np.abs(np.eye(n) - inverse @ square) + UP * rounding + dot_error(n, size @ np.abs(square))
    share = float((off.sum(axis=1) * UP).max())
    if not share < 0.5:
        return np.inf
    return n * float((size @ residual).max()) * UP / (1 - share) * UP


def _sum_below(weights: np.ndarray, values: np.ndarray) -> float:
    """Proved lower bound on ``Σ weights · values``, weights ≥ 0."""
    return float(weights @ values) - float(dot_error(len(weights), weights @ np.abs(values)))


def _quotient(numerator: float, denominator: float, terms: int, change: float = 0.0) -> float:
    """Proved lower bound on a quotient whose denominator is off by rounding and by at most ``change``."""
    if not (np.isfinite(numerator) and denominator > 2 * change >= 0 and denominator > 0):
        return -np.inf
    spare = change + float(dot_error(terms, denominator))
    value = numerator / (denominator + spare if numerator >= 0 else denominator - spare)
    return value - 1e-15 * abs(value)
