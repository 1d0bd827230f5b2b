"""Multipliers for many small linear programs at once: interior-point steps on stacked matrices.

Nothing here is trusted: any λ ≥ 0 gives a sound dual bound (:mod:`nnequiv.reach.branch_and_bound.dual`), so rounding,
a singular system or too few steps cost sharpness only.
"""

from __future__ import annotations

import numpy as np

#: Complementarity (of scaled programs) at which a program is solved: further steps would only spoil its point.
SOLVED = 1e-17

#: Steps whose iterates are kept: feasible from the first, as a rule, and nearer to the optimum each time.
KEPT = (6, 9, 12, 15, 18, 22, 26, 30)


def multipliers(objective: np.ndarray, matrix: np.ndarray, bound: np.ndarray, steps: int):
    """Nearly optimal multipliers of ``max objective @ e : matrix @ e ≤ bound, −1 ≤ e ≤ 1`` for B programs.

    Parameters
    ----------
    objective : (B, D) array
    matrix, bound : (B, K, D) and (B, K) arrays
    steps : int
        Newton steps: 12 to 16 are enough to decide most parts, 40 for six digits and more.

    Returns
    -------
    weights : (B, K) array
        ≥ 0 and finite: the best λ seen.
    points : (S, B, D) array
        Primal iterates in [−1, 1], from early ones (inside, far from all borders) to the last (nearly optimal).

    Notes
    -----
    Infeasible primal-dual path following. With slacks ``w = bound − matrix e``, multipliers α, β of the box and
    Θ = α / (1 − e) + β / (1 + e), a step solves ``(A Θ⁻¹ Aᵀ + diag(w / λ)) dλ = rhs``, a (K, K) system each.
    Source: Wright 1997, "Primal-dual interior-point methods", chapter 6, with bounds on both sides of e.

    Examples
    --------
    ``max e₁ + e₂`` with ``e₁ + e₂ ≤ 0.5``: the multiplier is 1.

    >>> weights, points = multipliers(np.ones((1, 2)), np.ones((1, 1, 2)), np.full((1, 1), 0.5), 30)
    >>> float(weights[0, 0].round(6)), float(points[-1].sum().round(6))
    (1.0, 0.5)
    """
    with np.errstate(all="ignore"):
        return _follow_path(objective, matrix, bound, steps)


def _follow_path(objective, matrix, bound, steps):
    count = matrix.shape[2]
    scale = np.abs(objective).sum(axis=1, keepdims=True) / count
    scale = np.where(scale > 0, scale, 1.0)
    q = objective / scale
    norm = np.abs(matrix).sum(axis=2)
    norm = np.where(norm > 0, norm, 1.0)
    a, b = matrix / norm[:, :, None], bound / norm
    state = _State(q, a, b)
    best, weights = np.abs(q).sum(axis=1), np.zeros_like(b)
    points = []
    for step in range(steps):
        if not state.advance(0.15 if step else 0.5):
            break
        value = (b * state.dual).sum(axis=1) + np.abs(q - _left(state.dual, a)).sum(axis=1)
        better = value < best
        best = np.where(better, value, best)
        weights[better] = state.dual[better]
        if step in KEPT:
            points.append(state.e)
    weights = weights / norm * scale
    weights[~np.isfinite(weights).all(axis=1)] = 0.0
    return weights, np.clip(np.nan_to_num(np.array([*points, state.e])), -1.0, 1.0)


def _left(weights, matrix):
    """``weights @ matrix`` for each of B pairs."""
    return (weights[:, None, :] @ matrix)[:, 0]


def _right(matrix, vector):
    return (matrix @ vector[:, :, None])[:, :, 0]


def _solve(system, right):
    """Solutions of B systems; NaN for a singular one, which must not stop the others."""
    try:
        return np.linalg.solve(system, right[:, :, None])[:, :, 0]
    except np.linalg.LinAlgError:
        if len(system) == 1:
            return np.full_like(right, np.nan)
        return np.concatenate([_solve(system[k : k + 1], right[k : k + 1]) for k in range(len(system))])


def _longest_step(*pairs):
    """The largest share of the step ≤ 1 that keeps all values positive, a little less; ``(B, 1)``."""
    share = np.ones(len(pairs[0][0]))
    for value, change in pairs:
        share = np.minimum(share, 0.97 * np.where(change < 0, -value / change, np.inf).min(axis=1, initial=np.inf))
    return share[:, None]


class _State:
    """Primal e, slack w; dual λ for the rows, α and β for ``e ≤ 1`` and ``e ≥ −1``.

    ``1 − e`` and ``1 + e`` are carried on their own: computed anew they would lose all digits near the border.
    """

    def __init__(self, q, a, b):
        self.q, self.a, self.b = q, a, b
        self.e = np.zeros_like(q)
        self.up, self.down = np.ones_like(q), np.ones_like(q)
        self.slack = np.maximum(b, 0.1)
        self.dual = np.full_like(b, 0.5)
        self.high, self.low = np.maximum(q, 0.0) + 0.5, np.maximum(-q, 0.0) + 0.5
        self.diagonal = np.arange(b.shape[1])

    def advance(self, centring: float) -> bool:
        """One Newton step, towards ``centring`` times the present complementarity; whether any program moved."""
        q, a, e, w, dual, high, low = self.q, self.a, self.e, self.slack, self.dual, self.high, self.low
        up, down = self.up, self.down
        total = (dual * w).sum(axis=1) + (high * up).sum(axis=1) + (low * down).sum(axis=1)
        mu = (centring * total / (w.shape[1] + 2 * e.shape[1]))[:, None]
        primal_gap = self.b - _right(a, e) - w
        dual_gap = q - _left(dual, a) - high + low
        theta = high / up + low / down
        pull = (mu / up - high) - (mu / down - low)
        scaled = a / theta[:, None, :]
        system = scaled @ a.transpose(0, 2, 1)
        system[:, self.diagonal, self.diagonal] += w / dual
        complementarity = mu - dual * w
        right = _right(scaled, dual_gap - pull) + complementarity / dual - primal_gap
        d_dual = _solve(system, right)
        d_e = (dual_gap - pull - _left(d_dual, a)) / theta
        d_w = (complementarity - w * d_dual) / dual
        d_high, d_low = (mu - high * up + high * d_e) / up, (mu - low * down - low * d_e) / down
        primal = _longest_step((w, d_w), (up, -d_e), (down, d_e))
        along = _longest_step((dual, d_dual), (high, d_high), (low, d_low))
        # A program that is solved, or whose step is not finite, stays where it is; the others go on.
        fine = np.isfinite(primal * along * (d_e.sum(axis=1) + d_dual.sum(axis=1) + d_w.sum(axis=1))[:, None])
        fine &= mu > SOLVED
        primal, along = np.where(fine, primal, 0.0), np.where(fine, along, 0.0)

        def moved(value, share, change):
            return value + share * np.where(fine, change, 0.0)

        self.e, self.slack = moved(e, primal, d_e), moved(w, primal, d_w)
        self.up, self.down = moved(up, primal, -d_e), moved(down, primal, d_e)
        self.dual = moved(dual, along, d_dual)
        self.high, self.low = moved(high, along, d_high), moved(low, along, d_low)
        return bool(fine.any())
