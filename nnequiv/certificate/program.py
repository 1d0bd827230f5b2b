"""The linear program behind a leaf, in floats: what is ≥ 0 on a part, and multipliers that prove the bound.

Every row carries its name in the certificate, so that a multiplier can be written down. The multipliers are rounded
to whole numbers first and judged then: only their ratios matter, and the checker wants them whole.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nnequiv.lp import HighspySolver, LPError
from nnequiv.reach.branch_and_bound.bounds import RowForms, term_forms
from nnequiv.reach.branch_and_bound.dual import Rows, dual_upper, input_rows, relu_rows
from nnequiv.reach.branch_and_bound.newton import multipliers
from nnequiv.reach.branch_and_bound.question import Question
from nnequiv.reach.branch_and_bound.search import outside
from nnequiv.reach.branch_and_bound.zonotope import index_of
from nnequiv.rounding import gamma

#: Newton steps for a part that can still be split, and for one where every neuron is fixed.
STEPS, FINAL_STEPS = 14, 40

#: The largest multiplier of a leaf is written as this. An empty part's multipliers grow without end: beyond ``ENOUGH``
#: times the weight of the goal they are scaled down.
LARGEST, ENOUGH = 2**50, 2**30

#: Rows below this share of the objective or the largest row say nothing but rounding; their multipliers are huge.
NEGLIGIBLE = 1e-12

#: A bound counts only if it has this share of its terms to spare: the checker's slopes and multipliers are rounded.
SAFETY = 1e-12

#: Numbers in the stacked matrices of one call.
ENTRIES = 8_000_000


@dataclass(frozen=True, eq=False)
class Plain:
    """What one goal, guard or half-space alone proves on B boxes: of terms ``(B, T + 1)``, of objectives ``(B, O)``."""

    question: Question
    terms: np.ndarray
    values: np.ndarray
    excess: np.ndarray

    @classmethod
    def of(cls, question: Question, forms: RowForms, center, radius) -> Plain:
        reach = np.abs(forms.generators).sum(axis=1) + forms.error
        reach = reach * (1 + gamma(forms.generators.shape[1] + 4)) + SAFETY * np.abs(forms.center)
        terms = question.term_upper(forms.center - reach, forms.center + reach)
        terms = np.where(np.isnan(terms), np.inf, terms)
        values = question.objective_upper(terms)
        values[outside(question, center, radius)] = -np.inf
        matrix, bound = question.input_set.cuts
        return cls(question, terms, values, center @ matrix.T - radius @ np.abs(matrix).T - bound)

    def written(self, box: int, objectives, bound: float) -> list:
        """``[objective, multipliers]`` of those that are proved, unless by the first goal, as it is written."""
        named = ((int(o), self._term(box, o, bound)) for o in objectives)
        return [[o, [[kind, k, 1]]] for o, (kind, k) in named if (kind, k) != ("goal", 0)]

    def _term(self, box: int, o: int, bound: float) -> tuple[str, int]:
        goals, guards = (self.terms[box, index[o]] for index in (self.question.goals, self.question.guards))
        if goals.min() <= bound:
            return "goal", int((goals <= bound).argmax())
        if guards.min(initial=np.inf) < 0:
            return "guard", int(guards.argmin())
        return "guard", len(self.question.objectives[o].guard) + int(self.excess[box].argmax())


@dataclass(frozen=True, eq=False)
class Found:
    """Upper bounds ``(P,)``, whole multipliers ``(P, K)`` that give them, and what they leave of the objectives."""

    value: np.ndarray
    weights: np.ndarray
    residual: np.ndarray


@dataclass(frozen=True, eq=False)
class Program:
    """``max center + objective · e``, e in [−1, 1]^D, subject to rows, for P parts.

    Several goals: ``max t`` with ``t ≤ every goal``; t is one more variable. ``kind`` and ``index``, both ``(P, K)``,
    name the rows.
    """

    center: np.ndarray
    objective: np.ndarray
    rows: Rows
    kind: np.ndarray
    index: np.ndarray
    single: bool

    KINDS = ("", "sign", "zero", "line", "guard", "goal")

    @staticmethod
    def chunks(chosen: np.ndarray, forms: RowForms) -> list[np.ndarray]:
        width = forms.generators.shape[1] + 1
        cut = sum(int(layer.cut.sum(axis=1).max(initial=0)) for trace in forms.traces for layer in trace.hidden)
        size = max(1, ENTRIES // (width * (2 * width + cut)))
        return [chosen[i : i + size] for i in range(0, len(chosen), size)]

    @classmethod
    def build(cls, question: Question, forms: RowForms, parts, objective, signs, box, bound: float) -> Program:
        """The programs of chosen parts ``(P,)``, each for its objective, with its signs ``(P, n_hidden)``."""
        rows, names = relu_rows(forms, signs, parts), _relu_names(forms, parts)
        matrix, limits = question.input_set.cuts
        if len(limits):
            rows.append(input_rows(matrix, limits, box[0][parts], box[1][parts], forms))
            first = np.array([len(o.guard) for o in question.objectives])[objective]  # half-spaces come after guards
            names.append(_names("guard", first[:, None] + np.arange(len(limits))))
        terms = question.guards[objective]
        if terms.shape[1]:
            middle, generators, error, real = term_forms(question, forms, parts, terms)
            rows.append(Rows.padded(-generators, middle + error, real))
            names.append(_names("guard", np.broadcast_to(np.arange(terms.shape[1]), terms.shape), real))
        middle, generators, error, real = term_forms(question, forms, parts, question.goals[objective])
        if real.shape[1] == 1:
            center, q = middle[:, 0] + error[:, 0], generators[:, 0]
            rows.append(Rows(generators[:, :0], middle[:, :0]))
            names.append(_names("goal", np.zeros((len(parts), 0), dtype=int)))
        else:
            center, q = _add_level(rows, middle, generators, error, real, bound)
            names.append(_names("goal", np.broadcast_to(np.arange(real.shape[1]), real.shape), real))
        kind, index = (np.concatenate([pair[k] for pair in names], axis=1) for k in (0, 1))
        return cls(center, q, Rows.join(rows), kind, index, real.shape[1] == 1)

    def upper(self, weights: np.ndarray) -> np.ndarray:
        """Bounds ``(P,)`` from multipliers ``(P, K)``, with what must be to spare."""
        size = np.abs(self.rows.bound) + np.abs(self.rows.matrix).sum(axis=2)
        terms = np.abs(self.center) + np.abs(self.objective).sum(axis=1) + (weights * size).sum(axis=1)
        return dual_upper(self.center, self.objective, self.rows, weights) + SAFETY * terms

    def written(self, part: int, weights: np.ndarray) -> list:
        """The multipliers of one part, scaled to whole numbers, as the certificate holds them."""
        some = np.flatnonzero((weights > 0) & (self.kind[part] > 0))
        scale = LARGEST / max(1.0, float(weights[some].max(initial=0.0)))
        first = [["goal", 0, round(scale)]] if self.single else []
        named = zip(self.kind[part, some], self.index[part, some], weights[some], strict=True)
        return first + [[self.KINDS[k], int(i), round(w * scale)] for k, i, w in named if round(w * scale)]


def _names(kind: str, index: np.ndarray, used: np.ndarray | bool = True) -> tuple[np.ndarray, np.ndarray]:
    return np.where(np.broadcast_to(used, index.shape), Program.KINDS.index(kind), 0), index


def _relu_names(forms: RowForms, parts: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """The names of the rows of :func:`nnequiv.reach.branch_and_bound.dual.relu_rows`, in its order."""
    names, neuron = [], 0
    for layer in (layer for trace in forms.traces for layer in trace.hidden):
        if layer.cut.any():
            index = index_of(layer.cut[parts])
            names.append(_names("sign", index + neuron, np.take_along_axis(layer.cut[parts], index, axis=1)))
        if layer.index.shape[1]:
            index = layer.index[parts]
            used = np.take_along_axis(layer.unstable[parts], index, axis=1)
            names += [_names(kind, index + neuron, used) for kind in ("zero", "line")]
        neuron += layer.lower.shape[1]
    return names


def _add_level(rows: list[Rows], middle, generators, error, real, bound: float):
    """One more variable, the level t: ``t ≤ goal`` for every goal. Extends ``rows``; centre and objective of t."""
    reach = np.abs(generators).sum(axis=2) + error
    highest = np.where(real, middle + reach, np.inf).min(axis=1)
    lowest = np.minimum(np.where(real, middle - reach, np.inf).min(axis=1), bound) - 1e-3 * np.abs(bound)
    level, half = 0.5 * (highest + lowest), 0.5 * np.maximum(highest - lowest, 1e-300)
    rows[:] = [Rows(np.concatenate([r.matrix, np.zeros((*r.bound.shape, 1))], axis=2), r.bound) for r in rows]
    lift = np.concatenate([-generators, np.broadcast_to(half[:, None, None], (*real.shape, 1))], axis=2)
    rows.append(Rows.padded(lift, middle - level[:, None] + error, real))
    objective = np.zeros((len(middle), lift.shape[2]))
    objective[:, -1] = half
    return level, objective


def multipliers_of(program: Program, fixed: np.ndarray, bound: float) -> Found:
    """The best multipliers found for P parts; where every neuron is ``fixed`` no effort is spared."""
    count = program.rows.bound.shape[1]
    weights = np.zeros(program.rows.bound.shape)
    if count and program.objective.shape[1]:
        for steps, some in ((STEPS, np.flatnonzero(~fixed)), (FINAL_STEPS, np.flatnonzero(fixed))):
            if len(some):
                rows = program.rows
                weights[some], _ = multipliers(program.objective[some], rows.matrix[some], rows.bound[some], steps)
    weights = _whole(program, weights)
    value = program.upper(weights)
    for part in np.flatnonzero(fixed & (value > bound)) if count else ():
        better = _whole(program, _by_simplex(program, int(part), bound))
        if (new := program.upper(better)[part]) < value[part]:
            weights[part], value[part] = better[part], new
    residual = program.objective - (weights[:, None, :] @ program.rows.matrix)[:, 0]
    return Found(np.where(np.isnan(value), np.inf, value), weights, residual)


def _whole(program: Program, weights: np.ndarray) -> np.ndarray:
    """Multipliers as the certificate will hold them: whole numbers over the weight of the goals."""
    size = np.abs(program.rows.matrix).sum(axis=2)
    least = NEGLIGIBLE * np.maximum(np.abs(program.objective).sum(axis=1), size.max(axis=1, initial=0.0))
    says = (program.kind > 0) & ((size > least[:, None]) | (program.rows.bound < -least[:, None]))
    weights = np.where(says, np.maximum(weights, 0.0), 0.0)
    weights = weights * np.minimum(1.0, ENOUGH / np.maximum(1.0, weights.max(axis=1, initial=0.0, keepdims=True)))
    scale = LARGEST / np.maximum(1.0, weights.max(axis=1, initial=0.0, keepdims=True))
    return np.round(weights * scale) / (np.round(scale) if program.single else scale)


def _by_simplex(program: Program, part: int, bound: float) -> np.ndarray:
    """Multipliers of one flat or nearly empty program, which has no inner path to follow; zero elsewhere.

    An empty program has multipliers that prove just that: those of the smallest t with ``matrix e ≤ bound + t size``.
    They count as many times as it takes to get the objective below the bound.
    """
    weights = np.zeros(program.rows.bound.shape)
    objective, matrix, limit = program.objective[part], program.rows.matrix[part], program.rows.bound[part]
    size, ones = np.abs(matrix).sum(axis=1), np.ones(len(objective))
    try:
        solution = HighspySolver().solve(objective, matrix, limit, -ones, ones)
        if solution.feasible:
            weights[part] = np.maximum(solution.multipliers, 0.0)
            return weights
        elastic = np.concatenate([matrix, -np.where(size > 0, size, 1.0)[:, None]], axis=1)
        last = np.eye(len(ones) + 1)[-1]
        solution = HighspySolver().solve(-last, elastic, limit, np.append(-ones, 0.0), np.append(ones, 1e6))
    except LPError:
        return weights
    if solution.feasible:
        ray = np.maximum(solution.multipliers, 0.0)
        below = ray @ limit + np.abs(ray @ matrix).sum()
        missing = program.center[part] + np.abs(objective).sum() - bound
        if below < 0:
            weights[part] = ray * (2.0 * max(missing, 0.0) / -below)
    return weights
